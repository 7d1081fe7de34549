//! One environment, as readers see it: what it runs, what is under way, what was verified, and what holds it up.

use super::deployment::{Decided, DeploymentView};
use super::evidence::{Ledger, Revoked};
use super::history::Summary;
use super::observed::Observed;
use super::phase::Phase;
use super::slice::SliceView;
use super::started::StartedSlices;
use super::stays::Stays;
use crate::digest::Digest;
use crate::event::{Event, EventKind};
use crate::gate::{About, Finding, VERIFIED};
use crate::id::{Actor, DeploymentId, EnvName, Epoch, EvidenceName, PlaceId, Seq, ServiceName, SliceName};
use crate::machine::{Outcome, TurnReason};
use crate::model::ReleaseRef;
use crate::plan::{Base, Kind};
use crate::port::target::HealthSeen;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an environment runs, as far as its journal knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Current {
    /// Nothing was deployed here.
    #[default]
    Nothing,
    /// One release, everywhere.
    Release(ReleaseRef),
    /// Not known: a deployment needed a human or was given up. The next one looks first.
    Unknown,
}

impl Current {
    /// The release, if it is known.
    pub const fn release(self) -> Option<ReleaseRef> {
        match self {
            Self::Release(release) => Some(release),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

/// An environment in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvState {
    /// Nothing was deployed here.
    Empty,
    /// One release, everywhere, nothing under way.
    Steady,
    /// A deployment waits for people or time.
    Waiting,
    /// A deployment is under way.
    Deploying,
    /// It is paused.
    Paused,
    /// It is going back.
    GoingBack,
    /// Slices are not where they should be.
    NeedsHuman,
}

/// The line was stopped, by hand or by a failed verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesInForce {
    /// Their digest.
    pub digest: Digest,
    /// The rules.
    pub rules: Box<crate::gate::Rules>,
    /// Since when.
    pub since: Timestamp,
    /// What the last change did, one line each.
    pub lines: Vec<String>,
}

/// A fold over an environment's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentView {
    /// Its name.
    pub name: EnvName,
    /// What it runs.
    pub current: Current,
    /// Deployments that have not ended, by id (so by age).
    pub unended: BTreeMap<DeploymentId, DeploymentView>,
    /// The last deployment that ended having begun to move.
    pub last_moved: Option<Box<DeploymentView>>,
    /// Ended deployments, the oldest first.
    pub ended: Vec<Summary>,
    /// Which releases were verified here, and the order to go back in.
    pub stays: Stays,
    /// Evidence that holds here.
    pub evidence: Ledger,
    /// Approvals of deployments that failed before they changed anything: they still count for the very same plan and rules.
    pub carried: Vec<Decided>,
    /// Whether the line was stopped by hand.
    pub frozen: Option<Stopped>,
    /// Whether automatic promotion was stopped.
    pub automatic_frozen: Option<Stopped>,
    /// The rules in force, once any were recorded.
    pub rules: Option<RulesInForce>,
    /// Host keys that were pinned, by host.
    pub trusted: BTreeMap<crate::id::HostName, String>,
    /// The last epoch of each place that a deployment of this environment claimed.
    pub epochs: BTreeMap<PlaceId, Epoch>,
    /// What each slice ran when it was last looked at.
    pub observed: BTreeMap<ServiceName, BTreeMap<SliceName, Observed>>,
    pub(super) started: StartedSlices,
    /// The stream's last event; 0 if there is none.
    pub last: Seq,
    /// The latest time that any of its events has.
    pub latest: Timestamp,
    keys: BTreeMap<String, DeploymentId>,
}

impl EnvironmentView {
    /// One without events.
    pub fn new(name: EnvName) -> Self {
        Self {
            name,
            current: Current::Nothing,
            unended: BTreeMap::new(),
            last_moved: None,
            ended: Vec::new(),
            stays: Stays::default(),
            evidence: Ledger::default(),
            carried: Vec::new(),
            frozen: None,
            automatic_frozen: None,
            rules: None,
            trusted: BTreeMap::new(),
            epochs: BTreeMap::new(),
            observed: BTreeMap::new(),
            started: StartedSlices::new(),
            last: Seq(0),
            latest: Timestamp(0),
            keys: BTreeMap::new(),
        }
    }

    /// Folds the environment's stream from its first event.
    pub fn fold<'a>(name: &EnvName, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut view = Self::new(name.clone());
        for event in events {
            view.apply(event);
        }
        view
    }

    /// Takes one more event. What opens something by its age counts as no older than what the log has before it: a clock that was put
    /// back makes nothing old.
    pub fn apply(&mut self, event: &Event) {
        self.last = event.seq;
        self.latest = self.latest.max(event.at);
        let at = self.latest;
        if let Some(id) = &event.deployment {
            self.apply_deployment(id, event);
        }
        let stopped = |reason: &String| {
            Some(Stopped {
                reason: reason.clone(),
                by: event.actor.clone(),
                at,
            })
        };
        match &event.kind {
            EventKind::EvidenceGiven { evidence } => {
                // Kept where it is looked for: one for every deployment there ever was would be a burden on every reader.
                if evidence.name.as_str() != VERIFIED {
                    self.evidence.give(event, at, evidence);
                } else if let About::Digest(release) = evidence.about {
                    match evidence.finding {
                        Finding::Passed => self.stays.verified(release, evidence.at.max(at)),
                        Finding::Failed => {
                            self.stays
                                .revoke(release, at, &format!("looked at again: {}", evidence.note));
                        }
                        Finding::Inconclusive => {}
                    }
                }
            }
            EventKind::EvidenceRevoked {
                name,
                release,
                reason,
            } => {
                if name.as_str() == VERIFIED {
                    self.stays.revoke(release.digest, at, reason);
                }
                self.revoke(name, release.digest, event, reason);
            }
            EventKind::FrozenByHand { reason } => self.frozen = stopped(reason),
            EventKind::AutomaticPromotionFrozen { reason } => self.automatic_frozen = stopped(reason),
            EventKind::Unfrozen => {
                self.frozen = None;
                self.automatic_frozen = None;
            }
            EventKind::RulesChanged {
                rules,
                in_force,
                lines,
                ..
            } => {
                self.rules = Some(RulesInForce {
                    digest: *rules,
                    rules: in_force.clone(),
                    since: at,
                    lines: lines.clone(),
                });
            }
            EventKind::LookedAt { .. } => {
                if let Some((release, look)) = self.look(event) {
                    self.stays.looked_at(release, &look);
                }
            }
            EventKind::HostTrusted {
                host, fingerprint, ..
            } => {
                self.trusted.insert(host.clone(), fingerprint.clone());
            }
            _ => {}
        }
    }

    fn revoke(&mut self, name: &EvidenceName, release: Digest, event: &Event, reason: &str) {
        self.evidence.revoke(
            name,
            Revoked {
                seq: event.seq,
                at: self.latest,
                release,
                reason: reason.to_owned(),
            },
        );
    }

    fn apply_deployment(&mut self, id: &DeploymentId, event: &Event) {
        if let EventKind::Requested { request } = &event.kind {
            self.keys.insert(request.key.clone(), id.clone());
            self.unended
                .insert(id.clone(), DeploymentView::new(id.clone(), event.at));
        }
        let Some(mut view) = self.unended.remove(id) else {
            return;
        };
        view.apply(event);
        self.follow(&view, event);
        if !view.ended {
            self.unended.insert(id.clone(), view);
            return;
        }
        self.ended.push(Summary::of(&view));
        if view.outcome == Some(Outcome::Failed) {
            self.carried.append(&mut view.decisions);
        } else {
            self.carried.clear();
        }
        if !view.attempts.is_empty() {
            self.last_moved = Some(Box::new(view));
        }
    }

    /// What an event of a deployment means for its environment.
    fn follow(&mut self, view: &DeploymentView, event: &Event) {
        self.observe(view, event);
        self.start(view, &event.kind);
        let release = view.release();
        let rollback = view.kind() == Some(Kind::Rollback);
        match &event.kind {
            EventKind::Claimed { .. } => {
                for (place, epoch) in &view.epochs {
                    let known = self.epochs.entry(place.clone()).or_default();
                    *known = (*known).max(*epoch);
                }
            }
            EventKind::ActivationBegun { .. } => {
                self.carried.clear();
                if let Some(release) = release.filter(|_| rollback) {
                    // Rolled back off: what was verified of it here is no reason to bring it anywhere else.
                    if let Some(off) = self.current.release().filter(|off| *off != release) {
                        let reason = format!("rolled back from {} to {}", off.number, release.number);
                        self.stays.revoke(off.digest, self.latest, &reason);
                    }
                    self.stays.pop_to(release);
                }
            }
            EventKind::BatchIntended { .. } => self.stays.disturbed(),
            EventKind::TurnedBack {
                reason: TurnReason::Unhealthy,
                ..
            } => {
                if let Some(release) = release {
                    self.stays
                        .revoke(release.digest, self.latest, "its health verdict failed");
                }
            }
            EventKind::Ended { outcome, .. } => self.deployment_ended(view, *outcome, self.latest),
            _ => {}
        }
    }

    fn deployment_ended(&mut self, view: &DeploymentView, outcome: Outcome, at: Timestamp) {
        match outcome {
            Outcome::Succeeded => {
                if let Some(release) = view.release() {
                    self.current = Current::Release(release);
                    if view.kind() != Some(Kind::Rollback) {
                        self.stays.push(release);
                    }
                    self.stays
                        .resumed(release.digest, self.resumed_at(release, view, at));
                }
            }
            Outcome::RolledBack => {
                if let Some(Base::Release(base)) = view.plan.as_ref().map(|plan| plan.base.clone()) {
                    self.current = Current::Release(base);
                    // It may be back no healthier than it was: then its stay begins when somebody sees it healthy.
                    let unwell = |slice: &SliceView| {
                        matches!(slice.health, HealthSeen::Unhealthy | HealthSeen::Stopped)
                    };
                    if view.changed() && !view.slices.iter().any(unwell) {
                        self.stays.resumed(base.digest, at);
                    }
                }
            }
            Outcome::NeedsHuman => {
                self.current = Current::Unknown;
                self.stays.disturbed();
            }
            Outcome::Refused | Outcome::Failed | Outcome::Cancelled | Outcome::Superseded => {}
        }
    }

    /// Since when a release that succeeded has been well: a stay that nothing disturbed goes on.
    fn resumed_at(&self, release: ReleaseRef, view: &DeploymentView, at: Timestamp) -> Timestamp {
        self.stays
            .counting(release.digest)
            .and_then(|stay| stay.since)
            .filter(|_| !view.changed())
            .unwrap_or(at)
    }

    /// The deployment that somebody drives, or must: the one that began to move, else the oldest that is about to.
    pub fn active(&self) -> Option<&DeploymentView> {
        let mut active = self.unended.values().filter(|view| view.is_active());
        active
            .clone()
            .find(|view| !view.attempts.is_empty())
            .or_else(|| active.next())
    }

    /// Whether a deployment may have changed something that serves, and has not ended.
    pub fn is_moving(&self) -> bool {
        self.unended.values().any(DeploymentView::changed)
    }

    /// Deployments that wait for people or time, the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &DeploymentView> {
        self.unended.values().filter(|view| view.is_waiting())
    }

    /// The deployment that a request key already made.
    pub fn by_key(&self, key: &str) -> Option<&DeploymentId> {
        self.keys.get(key)
    }

    /// The environment in a word.
    pub fn state(&self) -> EnvState {
        match (self.active().map(DeploymentView::phase), self.current) {
            (Some(Phase::Paused), _) => EnvState::Paused,
            (Some(Phase::TurnedBack | Phase::Restoring), _) => EnvState::GoingBack,
            (Some(_), _) => EnvState::Deploying,
            (None, Current::Unknown) => EnvState::NeedsHuman,
            (None, _) if self.waiting().next().is_some() => EnvState::Waiting,
            (None, Current::Nothing) => EnvState::Empty,
            (None, Current::Release(_)) => EnvState::Steady,
        }
    }

    /// The command that lets the line move again, where it was stopped.
    pub fn unfreeze(&self) -> Option<String> {
        (self.frozen.is_some() || self.automatic_frozen.is_some())
            .then(|| format!("deploy unfreeze -e {}", self.name))
    }
}

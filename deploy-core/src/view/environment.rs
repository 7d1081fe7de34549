//! One environment, as readers see it: what it runs, what is under way, what was verified, and what holds it up.

use super::deployment::{Decided, DeploymentView, Phase};
use super::evidence::{Ledger, Revoked};
use super::history::Summary;
use super::project::ProjectView;
use super::slice::Running;
use super::stays::Stays;
use crate::digest::Digest;
use crate::event::{Event, EventKind};
use crate::gate::{About, Finding};
use crate::id::{
    Actor, DeploymentId, EnvName, Epoch, EvidenceName, PlaceId, ReleaseNumber, Seq, ServiceName, SliceName,
};
use crate::machine::{Outcome, TurnReason};
use crate::model::ReleaseRef;
use crate::plan::{Base, Change, Kind};
use crate::port::target::{HealthSeen, Runs};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the evidence that a release was verified in an environment; written with `succeeded`.
pub const VERIFIED: &str = "verified";

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

/// What a slice ran when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Its target's kind.
    pub target: String,
    /// What runs, relative to the deployment that looked.
    pub running: Running,
    /// What runs.
    pub runs: Option<Runs>,
    /// The release that runs, where that is known.
    pub release: Option<ReleaseRef>,
    /// Health.
    pub health: HealthSeen,
    /// When it was looked at.
    pub at: Timestamp,
    /// By which deployment.
    pub deployment: DeploymentId,
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
    /// The stream's last event; 0 if there is none.
    pub last: Seq,
    keys: BTreeMap<String, DeploymentId>,
}

/// Why there is nothing to go back to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    /// No earlier release was verified here, or all are barred.
    #[error("no earlier release was verified in {environment}, or all are barred")]
    Nothing {
        /// Where.
        environment: EnvName,
    },
    /// The named one runs already.
    #[error("{release} runs in {environment} already")]
    Same {
        /// Where.
        environment: EnvName,
        /// Which.
        release: ReleaseNumber,
    },
    /// The named one was never verified here: going there is a promotion, with all its gates.
    #[error("{release} was never verified in {environment}: there is no going back to it")]
    NeverHere {
        /// Where.
        environment: EnvName,
        /// Which.
        release: ReleaseNumber,
    },
    /// The named one came after what runs: going there is a promotion, with all its gates.
    #[error("{release} came after what runs in {environment}: that is no rollback")]
    Newer {
        /// Where.
        environment: EnvName,
        /// Which.
        release: ReleaseNumber,
    },
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
            last: Seq(0),
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

    /// Takes one more event.
    pub fn apply(&mut self, event: &Event) {
        self.last = event.seq;
        if let Some(id) = &event.deployment {
            self.apply_deployment(id, event);
        }
        let stopped = |reason: &String| {
            Some(Stopped {
                reason: reason.clone(),
                by: event.actor.clone(),
                at: event.at,
            })
        };
        match &event.kind {
            EventKind::EvidenceGiven { evidence } => {
                self.evidence.give(event.seq, evidence);
                if evidence.name.as_str() == VERIFIED
                    && let About::Digest(release) = evidence.about
                {
                    match evidence.finding {
                        Finding::Passed => self.stays.verified(release, evidence.at.max(event.at)),
                        Finding::Failed => {
                            self.stays.revoke(
                                release,
                                event.at,
                                &format!("looked at again: {}", evidence.note),
                            );
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
                    self.stays.revoke(release.digest, event.at, reason);
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
                    since: event.at,
                    lines: lines.clone(),
                });
            }
            EventKind::HostTrusted { host, fingerprint } => {
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
                at: event.at,
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
        }
        if !view.attempts.is_empty() {
            self.last_moved = Some(Box::new(view));
        }
    }

    /// What an event of a deployment means for its environment.
    fn follow(&mut self, view: &DeploymentView, event: &Event) {
        self.observe(view, event);
        let release = view.release();
        let rollback = view.kind() == Some(Kind::Rollback);
        match &event.kind {
            EventKind::Claimed { .. } => {
                for (place, epoch) in &view.epochs {
                    let known = self.epochs.entry(place.clone()).or_default();
                    *known = (*known).max(*epoch);
                }
            }
            EventKind::ActivationBegun { .. } if rollback => {
                if let Some(release) = release {
                    // Rolled back off: what was verified of it here is no reason to bring it anywhere else.
                    if let Some(off) = self.current.release().filter(|off| *off != release) {
                        let reason = format!("rolled back from {} to {}", off.number, release.number);
                        self.stays.revoke(off.digest, event.at, &reason);
                    }
                    self.stays.pop_to(release);
                }
            }
            EventKind::BatchIntended { .. } => self.stays.disturbed(event.at),
            EventKind::TurnedBack {
                reason: TurnReason::Unhealthy,
                ..
            } => {
                if let Some(release) = release {
                    self.stays
                        .revoke(release.digest, event.at, "its health verdict failed");
                }
            }
            EventKind::Ended { outcome, .. } => self.deployment_ended(view, *outcome, event.at),
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
                    if view.changed() {
                        self.stays.resumed(base.digest, at);
                    }
                }
            }
            Outcome::NeedsHuman => {
                self.current = Current::Unknown;
                self.stays.disturbed(at);
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

    fn observe(&mut self, view: &DeploymentView, event: &Event) {
        if let EventKind::FinishBegun = event.kind {
            for service in view.plan.iter().flat_map(|plan| &plan.services) {
                if service.change == Change::Remove {
                    self.observed.remove(&service.name);
                }
            }
            return;
        }
        let removed = |name: &ServiceName| {
            view.phase() == Phase::Finishing
                && view
                    .plan
                    .iter()
                    .flat_map(|plan| &plan.services)
                    .any(|service| service.change == Change::Remove && service.name == *name)
        };
        for slice in view.slices.iter().filter(|slice| slice.seen_at == Some(event.at)) {
            if removed(&slice.service) {
                continue;
            }
            let seen = Observed {
                target: slice.target.clone(),
                running: slice.running,
                runs: slice.runs.clone(),
                release: slice.release,
                health: slice.health,
                at: event.at,
                deployment: view.id.clone(),
            };
            let of_service = self.observed.entry(slice.service.clone()).or_default();
            of_service.insert(slice.slice.clone(), seen);
        }
    }

    /// The deployment that somebody drives, or must: the one that began to move, else the oldest that is about to.
    pub fn active(&self) -> Option<&DeploymentView> {
        let mut active = self.unended.values().filter(|view| view.is_active());
        active
            .clone()
            .find(|view| !view.attempts.is_empty())
            .or_else(|| active.next())
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

    /// Where a rollback goes: the last release verified here before what runs, not barred, or the one named (which must have been
    /// verified here, and have come before what runs).
    ///
    /// # Errors
    /// [`NoWayBack`].
    pub fn destination(
        &self,
        to: Option<ReleaseRef>,
        project: &ProjectView,
    ) -> Result<ReleaseRef, NoWayBack> {
        let environment = || self.name.clone();
        let current = self.current.release();
        let past = match (self.stays.in_turn(), current) {
            ([past @ .., top], Some(current)) if *top == current => past,
            (all, _) => all,
        };
        let Some(named) = to else {
            return past
                .iter()
                .rev()
                .find(|release| {
                    Some(**release) != current
                        && project.yanked(**release).is_none()
                        && self.stays.counting(release.digest).is_some()
                })
                .copied()
                .ok_or_else(|| NoWayBack::Nothing {
                    environment: environment(),
                });
        };
        let release = named.number;
        if current == Some(named) {
            Err(NoWayBack::Same {
                environment: environment(),
                release,
            })
        } else if self.stays.get(named.digest).is_none() {
            Err(NoWayBack::NeverHere {
                environment: environment(),
                release,
            })
        } else if !past.contains(&named) && current.is_some_and(|current| current.number < release) {
            Err(NoWayBack::Newer {
                environment: environment(),
                release,
            })
        } else {
            Ok(named)
        }
    }
}

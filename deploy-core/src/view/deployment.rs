//! One deployment, as readers see it: a fold over its events. Its phase is a fold over its slices.

use super::slice::{Progress, Running, SliceView, Stray};
use crate::digest::Digest;
use crate::event::{AttemptReason, Driver, Event, EventKind, Request};
use crate::failure::Failure;
use crate::gate::{Approval, Unmet};
use crate::id::{Actor, Attempt, DeploymentId, EnvName, Epoch, PlaceId, Seq, SliceIx};
use crate::machine::{Ask, Outcome, Refusal, TurnReason};
use crate::model::ReleaseRef;
use crate::plan::{Base, Change, Kind, Plan};
use crate::port::target::{HealthSeen, Runs};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The phase of a deployment, in the words that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asked for; to be planned and judged.
    Requested,
    /// Gates that people or time can open do not hold.
    Waiting,
    /// All gates hold; places are being claimed and looked at.
    Gated,
    /// Slices are being prepared.
    Preparing,
    /// All of them are.
    Prepared,
    /// Slices are being moved.
    Activating,
    /// Somebody stopped it before the next slice.
    Paused,
    /// Every slice is verified.
    Verified,
    /// Past the commit point.
    Committed,
    /// Watched a while longer.
    Baking,
    /// Cleaning up.
    Finishing,
    /// It will go back.
    TurnedBack,
    /// It is going back.
    Restoring,
    /// The new release everywhere.
    Succeeded,
    /// The old one everywhere, verified.
    RolledBack,
    /// Named slices are not where they should be.
    NeedsHuman,
    /// A gate does not hold, and waiting does not open it.
    Refused,
    /// Failed before anything that serves changed.
    Failed,
    /// Cancelled before anything that serves changed.
    Cancelled,
    /// A newer one took its place.
    Superseded,
}

impl Phase {
    /// The word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Waiting => "waiting",
            Self::Gated => "gated",
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Activating => "activating",
            Self::Paused => "paused",
            Self::Verified => "verified",
            Self::Committed => "committed",
            Self::Baking => "baking",
            Self::Finishing => "finishing",
            Self::TurnedBack => "turned_back",
            Self::Restoring => "restoring",
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled_back",
            Self::NeedsHuman => "needs_human",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

impl From<Outcome> for Phase {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::NeedsHuman => Self::NeedsHuman,
            Outcome::Refused => Self::Refused,
            Outcome::Failed => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Superseded => Self::Superseded,
        }
    }
}

/// A try to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// From 1.
    pub attempt: Attempt,
    /// Why it began.
    pub reason: AttemptReason,
    /// Who drives it.
    pub driver: Option<Driver>,
    /// When it began.
    pub at: Timestamp,
}

/// What a person decided about a waiting deployment, with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision")]
pub enum Decided {
    /// Yes.
    Approved {
        /// Its place in the log.
        seq: Seq,
        /// To what.
        approval: Approval,
    },
    /// No.
    Rejected {
        /// Its place in the log.
        seq: Seq,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
        /// When.
        at: Timestamp,
    },
}

impl Decided {
    /// Who decided.
    pub fn by(&self) -> &Actor {
        match self {
            Self::Approved { approval, .. } => &approval.by,
            Self::Rejected { by, .. } => by,
        }
    }
}

/// A fold over the events of one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentView {
    /// Its id.
    pub id: DeploymentId,
    /// Its environment, once an event told.
    pub environment: Option<EnvName>,
    /// What was asked.
    pub request: Option<Request>,
    /// The plan in force.
    pub plan: Option<Box<Plan>>,
    /// Its digest.
    pub plan_digest: Option<Digest>,
    /// By [`SliceIx`].
    pub slices: Vec<SliceView>,
    /// All attempts, in order.
    pub attempts: Vec<AttemptView>,
    /// Approvals and rejections, in the order of the log.
    pub decisions: Vec<Decided>,
    /// Gates that did not hold when they were last judged.
    pub unmet: Vec<Unmet>,
    /// The end, once there is one (or is about to be: claims are being released).
    pub outcome: Option<Outcome>,
    /// Whether it has ended.
    pub ended: bool,
    /// The first failure that mattered.
    pub failure: Option<Failure>,
    /// What could not be cleaned up.
    pub warnings: Vec<Failure>,
    /// How a place refused its claim, if one did.
    pub claim_refused: Option<Refusal>,
    /// Why it turned back, if it did.
    pub turned_back: Option<TurnReason>,
    /// Slices that are not where they should be.
    pub strays: Vec<Stray>,
    /// The deployment that superseded it.
    pub superseded_by: Option<DeploymentId>,
    /// The last epoch of each place that it claimed.
    pub epochs: BTreeMap<PlaceId, Epoch>,
    /// When going forward must have committed, or going back be done.
    pub due: Option<Timestamp>,
    /// Until when it bakes at the earliest.
    pub bakes_until: Option<Timestamp>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The latest time that any of its events has: a clock that jumps back is measured against it.
    pub latest: Timestamp,
    /// Its last event.
    pub last: Seq,
    step: Phase,
    paused: bool,
}

impl DeploymentView {
    /// Folds the events of one deployment; those of others are passed over.
    pub fn fold<'a>(id: &DeploymentId, events: impl IntoIterator<Item = &'a Event>) -> Option<Self> {
        let mut view: Option<Self> = None;
        for event in events
            .into_iter()
            .filter(|event| event.deployment.as_ref() == Some(id))
        {
            view.get_or_insert_with(|| Self::new(id.clone(), event.at))
                .apply(event);
        }
        view
    }

    /// One that nothing is known about yet.
    pub fn new(id: DeploymentId, started_at: Timestamp) -> Self {
        Self {
            id,
            environment: None,
            request: None,
            plan: None,
            plan_digest: None,
            slices: Vec::new(),
            attempts: Vec::new(),
            decisions: Vec::new(),
            unmet: Vec::new(),
            outcome: None,
            ended: false,
            failure: None,
            warnings: Vec::new(),
            claim_refused: None,
            turned_back: None,
            strays: Vec::new(),
            superseded_by: None,
            epochs: BTreeMap::new(),
            due: None,
            bakes_until: None,
            started_at,
            finished_at: None,
            latest: started_at,
            last: Seq(0),
            step: Phase::Requested,
            paused: false,
        }
    }

    /// The phase, in the words that people read.
    pub fn phase(&self) -> Phase {
        let forward = matches!(
            self.step,
            Phase::Gated | Phase::Preparing | Phase::Prepared | Phase::Activating
        );
        match self.outcome {
            Some(outcome) if self.ended => outcome.into(),
            _ if self.paused && forward => Phase::Paused,
            _ => self.step,
        }
    }

    /// Which way it was meant to go.
    pub fn kind(&self) -> Option<Kind> {
        self.request.as_ref().map(|request| request.kind)
    }

    /// The release it brings.
    pub fn release(&self) -> Option<ReleaseRef> {
        self.request.as_ref().map(|request| request.release)
    }

    /// What the environment ran before, where that was one known release.
    pub fn previous(&self) -> Option<ReleaseRef> {
        match self.plan.as_deref()?.base {
            Base::Release(release) => Some(release),
            Base::Nothing | Base::Uniform | Base::Mixed => None,
        }
    }

    /// Whether it may have changed anything that serves.
    pub fn changed(&self) -> bool {
        self.slices.iter().any(|slice| slice.touched)
    }

    /// Whether somebody drives it, or must: it has begun, or is about to, and does not wait.
    pub fn is_active(&self) -> bool {
        !self.ended && self.step != Phase::Waiting
    }

    /// Whether it waits for people or time.
    pub fn is_waiting(&self) -> bool {
        !self.ended && self.step == Phase::Waiting
    }

    /// The approvals and rejections that stand, in the order of the log: each person's last word.
    pub fn last_words(&self) -> BTreeMap<&Actor, &Decided> {
        self.decisions
            .iter()
            .map(|decided| (decided.by(), decided))
            .collect()
    }

    /// Takes one more event of this deployment.
    pub fn apply(&mut self, event: &Event) {
        self.last = event.seq;
        self.latest = self.latest.max(event.at);
        if let Some(environment) = &event.environment {
            self.environment = Some(environment.clone());
        }
        if self.ended {
            return;
        }
        self.apply_slices(event);
        match &event.kind {
            EventKind::Requested { request } => self.request = Some(request.clone()),
            EventKind::Planned { plan, digest } => self.planned(plan, *digest),
            EventKind::Waiting { unmet } => {
                self.unmet.clone_from(unmet);
                self.step = Phase::Waiting;
            }
            EventKind::Gated { .. } => {
                self.unmet.clear();
                self.step = Phase::Gated;
            }
            EventKind::AttemptBegun {
                attempt,
                reason,
                driver,
            } => self.attempts.push(AttemptView {
                attempt: *attempt,
                reason: *reason,
                driver: driver
                    .clone()
                    .or_else(|| self.attempts.last().and_then(|before| before.driver.clone())),
                at: event.at,
            }),
            EventKind::Claimed { place, epoch, .. } => {
                if let Some(place) = self.plan.as_ref().and_then(|plan| plan.places.get(place.at())) {
                    self.epochs.insert(place.clone(), *epoch);
                }
            }
            EventKind::ClaimFailed { refusal, failure, .. } => {
                self.claim_refused = Some(*refusal);
                self.failure.get_or_insert_with(|| failure.clone());
            }
            EventKind::Surveyed { .. } if self.step == Phase::Gated => self.step = Phase::Preparing,
            EventKind::Surveyed { .. } if self.step == Phase::TurnedBack => self.step = Phase::Restoring,
            EventKind::Surveyed { .. } if self.step == Phase::Verified => self.step = Phase::Activating,
            EventKind::PlanOutdated => self.step = Phase::Requested,
            EventKind::AllPrepared => self.step = Phase::Prepared,
            EventKind::ActivationBegun { due } => {
                self.unmet.clear();
                self.step = Phase::Activating;
                self.due = Some(*due);
            }
            EventKind::SliceVerified { .. } if self.all_verified() => self.step = Phase::Verified,
            EventKind::BatchIntended { .. } => self.step = Phase::Activating,
            EventKind::SliceFailed { slice, failure, .. } => {
                let failure = self.located(*slice, failure);
                self.failure.get_or_insert(failure);
            }
            EventKind::Committed => {
                self.step = Phase::Committed;
                self.due = None;
            }
            EventKind::BakeBegun { until } => {
                self.step = Phase::Baking;
                self.bakes_until = Some(*until);
            }
            EventKind::FinishBegun => self.step = Phase::Finishing,
            EventKind::PlaceFinished {
                warning: Some(warning),
                ..
            }
            | EventKind::PlaceReleased {
                warning: Some(warning),
                ..
            } => self.warnings.push(warning.clone()),
            EventKind::TurnedBack { reason, failure, due } => {
                self.turned_back = Some(*reason);
                self.step = Phase::TurnedBack;
                self.due = Some(*due);
                self.paused = false;
                self.failure = self.failure.take().or_else(|| failure.clone());
            }
            EventKind::HeldBack { failure } => {
                self.due = None;
                self.failure.get_or_insert_with(|| failure.clone());
            }
            EventKind::RestoreIntended { .. } => self.step = Phase::Restoring,
            EventKind::AskAccepted { ask } => match ask {
                Ask::Pause => self.paused = true,
                Ask::Continue => self.paused = false,
                Ask::Recheck => self.step = Phase::Requested,
                Ask::Cancel | Ask::Abandon | Ask::Supersede => {}
            },
            EventKind::Closing {
                outcome,
                failure,
                unmet,
            } => {
                self.outcome = Some(*outcome);
                if !unmet.is_empty() {
                    self.unmet.clone_from(unmet);
                }
                self.failure = self.failure.take().or_else(|| failure.clone());
            }
            EventKind::Ended { outcome, strays, by } => {
                self.outcome = Some(*outcome);
                self.ended = true;
                self.finished_at = Some(event.at);
                self.superseded_by.clone_from(by);
                self.due = None;
                if *outcome == Outcome::Succeeded {
                    self.failure = None;
                }
                self.strays = strays
                    .iter()
                    .filter_map(|slice| self.stray(*slice, event.at))
                    .collect();
            }
            EventKind::ApprovalGiven { approval } => self.decisions.push(Decided::Approved {
                seq: event.seq,
                approval: approval.clone(),
            }),
            EventKind::ApprovalRejected { by, reason } => self.decisions.push(Decided::Rejected {
                seq: event.seq,
                by: by.clone(),
                reason: reason.clone(),
                at: event.at,
            }),
            _ => {}
        }
    }

    fn planned(&mut self, plan: &Plan, digest: Digest) {
        self.slices = plan
            .slices
            .iter()
            .map(|slice| {
                let service = plan.service(slice.service);
                SliceView {
                    service: service.name.clone(),
                    target: service.target.clone(),
                    slice: slice.name.clone(),
                    place: slice.place,
                    running: Running::Old,
                    runs: Some(slice.now.clone()),
                    release: match &slice.now {
                        Runs::Release { release, .. } => *release,
                        Runs::Nothing => None,
                    },
                    progress: Progress::Waiting,
                    will_be: None,
                    checkpoint: None,
                    changes: (service.change != Change::Move).then_some(false),
                    health: HealthSeen::Unknown,
                    note: None,
                    armed: false,
                    touched: false,
                    failed_step: None,
                    failure: None,
                    seen_at: None,
                    began_at: None,
                    verified_at: None,
                }
            })
            .collect();
        self.plan = Some(Box::new(plan.clone()));
        self.plan_digest = Some(digest);
        self.environment = Some(plan.environment.clone());
    }

    fn apply_slices(&mut self, event: &Event) {
        let Some(to) = self.plan.as_ref().map(|plan| plan.release) else {
            return;
        };
        let at = event.at;
        let slice = |ix: &SliceIx| ix.at();
        let uncommitted = matches!(self.step, Phase::Activating | Phase::Verified);
        match &event.kind {
            EventKind::Surveyed { seen, runs } => {
                let none = None;
                for (at_slice, (view, sight)) in self.slices.iter_mut().zip(seen).enumerate() {
                    let runs = runs.get(at_slice).unwrap_or(&none);
                    view.sighted(*sight, runs.as_ref(), to, at);
                    // Before the commit point a new attempt believes nothing: what was verified is verified again.
                    if uncommitted && view.progress == Progress::Verified {
                        view.progress = Progress::Verifying;
                    }
                }
            }
            EventKind::SlicePrepared {
                slice: ix,
                checkpoint,
                will_be,
                changes,
            } => {
                if let Some(view) = self.slices.get_mut(slice(ix)) {
                    view.checkpoint.get_or_insert_with(|| checkpoint.clone());
                    view.will_be = Some(will_be.clone());
                    view.changes = Some(*changes);
                    view.progress = Progress::Prepared;
                    if !changes {
                        view.running = Running::New;
                        view.runs(will_be, to);
                    }
                }
            }
            EventKind::BatchIntended { slices } => {
                for ix in slices {
                    if let Some(view) = self.slices.get_mut(slice(ix)) {
                        view.touched = true;
                        view.running = Running::Unknown;
                        view.health = HealthSeen::Unknown;
                        view.progress = Progress::Activating;
                        view.began_at.get_or_insert(at);
                    }
                }
            }
            EventKind::RestoreIntended { slices } => {
                for ix in slices {
                    if let Some(view) = self.slices.get_mut(slice(ix)) {
                        view.running = Running::Unknown;
                        view.health = HealthSeen::Unknown;
                        view.progress = Progress::Restoring;
                    }
                }
            }
            EventKind::SliceActivated {
                slice: ix,
                runs,
                armed,
            } => self.at_slice(*ix, at, |view| {
                view.running = Running::New;
                view.runs(runs, to);
                view.armed = *armed;
                view.progress = Progress::Verifying;
            }),
            EventKind::SliceVerified { slice: ix, note } => self.at_slice(*ix, at, |view| {
                view.running = Running::New;
                view.release = view.release.or(Some(to));
                view.health = HealthSeen::Healthy;
                view.note = Some(note.clone());
                view.progress = Progress::Verified;
                view.verified_at = Some(at);
            }),
            EventKind::SliceConfirmed { slice: ix } => self.at_slice(*ix, at, |view| {
                view.armed = false;
                if view.progress == Progress::Verified {
                    view.progress = Progress::Confirmed;
                }
            }),
            EventKind::SliceFailed {
                slice: ix,
                step,
                how,
                failure,
            } => {
                let failure = self.located(*ix, failure);
                self.at_slice(*ix, at, |view| view.failed(*step, *how, &failure, at));
            }
            EventKind::SliceRestored { slice: ix, runs } => self.at_slice(*ix, at, |view| {
                view.running = Running::Old;
                view.runs(runs, to);
                view.armed = false;
                view.progress = Progress::Restored;
            }),
            EventKind::SliceBack { slice: ix, note } => self.at_slice(*ix, at, |view| {
                view.running = Running::Old;
                view.note = Some(note.clone());
                view.health = match view.checkpoint.as_ref().map(|checkpoint| checkpoint.health) {
                    Some(was @ (HealthSeen::Unhealthy | HealthSeen::Stopped)) => was,
                    _ => HealthSeen::Healthy,
                };
                view.progress = Progress::Back;
                view.verified_at = Some(at);
            }),
            EventKind::SliceUnknown { slice: ix, failure } => {
                let failure = self.located(*ix, failure);
                self.at_slice(*ix, at, |view| {
                    view.running = Running::Unknown;
                    view.release = None;
                    view.health = HealthSeen::Unknown;
                    view.failure = Some(failure);
                    view.progress = Progress::Unknown;
                });
            }
            EventKind::SliceOvertaken { slice: ix } => self.at_slice(*ix, at, |view| {
                view.running = Running::Other;
                view.release = None;
                view.progress = Progress::Overtaken;
            }),
            _ => {}
        }
    }

    fn at_slice(&mut self, ix: SliceIx, at: Timestamp, change: impl FnOnce(&mut SliceView)) {
        if let Some(view) = self.slices.get_mut(ix.at()) {
            view.seen_at = Some(at);
            change(view);
        }
    }

    fn all_verified(&self) -> bool {
        self.slices
            .iter()
            .all(|slice| matches!(slice.progress, Progress::Verified | Progress::Confirmed))
    }

    /// A failure with its slice and phase, where it does not name them itself.
    fn located(&self, ix: SliceIx, failure: &Failure) -> Failure {
        let mut failure = failure.clone();
        if let Some(view) = self.slices.get(ix.at()) {
            failure.service.get_or_insert_with(|| view.service.clone());
            failure.slice.get_or_insert_with(|| view.slice.clone());
        }
        failure.phase.get_or_insert_with(|| self.step.as_str().to_owned());
        failure
    }

    fn stray(&self, ix: SliceIx, ended: Timestamp) -> Option<Stray> {
        let view = self.slices.get(ix.at())?;
        let plan = self.plan.as_deref()?;
        let environment = &plan.environment;
        let why = match (&view.failure, view.progress) {
            (_, Progress::Overtaken) => "somebody else changed what runs there".to_owned(),
            (Some(failure), _) => failure.message.clone(),
            (None, Progress::Waiting | Progress::Prepared) => "its turn never came".to_owned(),
            (None, Progress::Verified | Progress::Confirmed | Progress::Verifying) => {
                "it is still on the new release".to_owned()
            }
            (None, _) => "what became of it was not learned in time".to_owned(),
        };
        let look = format!("deploy status -e {environment} --refresh");
        let next = match (view.running, view.progress) {
            (Running::Other | Running::Unknown, _) | (_, Progress::Unknown) => look,
            _ => match (plan.kind, self.previous()) {
                (Kind::Rollback, _) => {
                    format!("deploy rollback -e {environment} --to {}", plan.release.number)
                }
                (_, Some(previous)) => format!("deploy rollback -e {environment} --to {}", previous.number),
                (_, None) => look,
            },
        };
        Some(Stray {
            service: view.service.clone(),
            slice: view.slice.clone(),
            runs: view.runs_in_words(),
            why,
            next,
            // No arming outlives the longer of both limits: it is renewed only while this deployment runs.
            may_change_until: view
                .armed
                .then(|| ended.after(plan.limits.activation.max(plan.limits.going_back))),
        })
    }
}

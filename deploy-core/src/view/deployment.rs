//! One deployment, as readers see it: a fold over its events. Its phase is a fold over its slices.

use super::phase::Phase;
use super::slice::{Running, SliceView, Stage, Stray};
use crate::digest::Digest;
use crate::event::{AttemptReason, Driver, Event, EventKind, Request};
use crate::failure::Failure;
use crate::gate::{Approval, Unmet};
use crate::id::{Actor, Attempt, DeploymentId, EnvName, Epoch, PlaceId, PlaceIx, Seq};
use crate::machine::{Ask, Outcome, Refusal, TurnReason};
use crate::model::ReleaseRef;
use crate::plan::{Base, Kind, Plan};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A try to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// From 1.
    pub attempt: Attempt,
    /// Why it began.
    pub reason: AttemptReason,
    /// Who drives it.
    pub driver: Option<Driver>,
    /// What went wrong before it, where that is why it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Failure>,
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
    /// By the index of the slice.
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
    /// What keeps it out of places that it asked for last: they are away, or full, or somebody else's.
    #[serde(default)]
    pub kept_out: BTreeMap<PlaceIx, Failure>,
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
    #[serde(default)]
    committed: bool,
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
            kept_out: BTreeMap::new(),
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
            committed: false,
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

    /// Whether `cancel` still means something: it ends it, or turns it back. Not for what goes back already, and not past the point
    /// where nothing turns back.
    pub fn can_be_cancelled(&self) -> bool {
        match self.step {
            Phase::Requested | Phase::Waiting | Phase::Gated | Phase::Preparing | Phase::Prepared => true,
            Phase::Activating | Phase::Verified | Phase::Committed | Phase::Baking => {
                self.plan.as_ref().is_none_or(|plan| plan.kind != Kind::Rollback)
            }
            _ => false,
        }
    }

    /// The phase, whether or not it is paused or over.
    pub(super) const fn step(&self) -> Phase {
        self.step
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

    /// The slices that it succeeded without: they failed within their service's budget, and were stopped.
    pub fn excluded(&self) -> impl Iterator<Item = &SliceView> {
        let succeeded = self.ended && self.outcome == Some(Outcome::Succeeded);
        let out = self
            .slices
            .iter()
            .filter(|slice| slice.running == Running::Excluded);
        out.filter(move |_| succeeded)
    }

    /// How far it has come, as far as names of releases are concerned.
    pub(super) const fn stage(&self) -> Stage {
        match (self.turned_back, self.committed) {
            (Some(_), _) => Stage::Back,
            (None, true) => Stage::Committed,
            (None, false) => Stage::Uncommitted,
        }
    }

    /// Whether somebody drives it, or must: it has begun, or is about to, and does not wait.
    pub fn is_active(&self) -> bool {
        !self.ended && self.step != Phase::Waiting
    }

    /// Whether it waits for people or time.
    pub fn is_waiting(&self) -> bool {
        !self.ended && self.step == Phase::Waiting
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
                because,
            } => self.attempts.push(AttemptView {
                attempt: *attempt,
                reason: *reason,
                driver: driver
                    .clone()
                    .or_else(|| self.attempts.last().and_then(|before| before.driver.clone())),
                because: because.clone(),
                at: event.at,
            }),
            EventKind::Claimed { place, epoch, .. } => {
                self.kept_out.remove(place);
                if let Some(place) = self.plan.as_ref().and_then(|plan| plan.places.get(place.at())) {
                    self.epochs.insert(place.clone(), *epoch);
                }
            }
            EventKind::ClaimFailed {
                place,
                refusal,
                failure,
            } => {
                self.claim_refused = Some(*refusal);
                self.kept_out.insert(*place, failure.clone());
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
            EventKind::SliceVerified { .. } | EventKind::SliceExcluded { .. } if self.all_settled() => {
                self.step = Phase::Verified;
            }
            // Within the budget: what failed there is not why a deployment fails that fails later.
            EventKind::ExclusionIntended { slice } => {
                let its_own = self.slices.get(slice.at()).and_then(|view| view.failure.as_ref());
                if self.failure.as_ref() == its_own {
                    self.failure = None;
                }
            }
            EventKind::BatchIntended { .. } => self.step = Phase::Activating,
            EventKind::DeadlineMoved { due } | EventKind::AllBack { due } => self.due = Some(*due),
            EventKind::SliceFailed {
                slice, step, failure, ..
            } => {
                let failure = self.located(*slice, Some(*step), failure);
                self.failure.get_or_insert(failure);
            }
            EventKind::Committed => {
                self.step = Phase::Committed;
                self.committed = true;
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
                self.failure = self
                    .failure
                    .take()
                    .or_else(|| failure.clone())
                    .or_else(|| self.suspicion());
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

    /// What went wrong before the attempt under way.
    fn suspicion(&self) -> Option<Failure> {
        self.attempts.last()?.because.clone()
    }

    fn planned(&mut self, plan: &Plan, digest: Digest) {
        let base = match plan.base {
            Base::Release(release) => Some(release),
            Base::Nothing | Base::Uniform | Base::Mixed => None,
        };
        let slices = plan.slices.iter();
        self.slices = slices
            .map(|slice| SliceView::planned(plan, slice, base))
            .collect();
        self.plan = Some(Box::new(plan.clone()));
        self.plan_digest = Some(digest);
        self.environment = Some(plan.environment.clone());
    }
}

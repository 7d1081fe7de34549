//! The state machine of one deployment.
//!
//! `decide` is pure and answers an input with events; `apply` is the only mutation and takes only what a journal has stored;
//! `outstanding` lists what must be running now, from applied state alone; `wake_at` the timers. See the crate's contract.
//!
//! # Shape
//!
//! A deployment moves in **attempts**. Each begins the same way, whoever drives it and in whichever direction it goes: claim every
//! place at a higher epoch (which fences everything that older attempts left behind), then survey every slice under these claims.
//! What follows depends on two facts that only ever grow: how far it has come ([`state::Reach`]) and whether it has turned back.
//! An unknown outcome, a fenced write, a takeover and turning back all do nothing but begin the next attempt. There is no second
//! recovery path.
//!
//! A phase, as people read it, is a fold over the slices ([`crate::view`]); the machine has none.

mod advance;
mod apply;
mod budget;
mod claims;
mod consequences;
mod decide;
mod failed;
mod order;
mod outstanding;
mod seen;
pub mod state;
mod survey;
#[cfg(test)]
mod tests;

pub use claims::Taking;
pub use consequences::{barred, consequences};

use crate::event::{Driver, EventKind, Recorded};
use crate::failure::Failure;
use crate::gate::Verdict;
use crate::id::{Attempt, DeploymentId, Epoch, PlaceIx, Seq, SliceIx, StoreId};
use crate::plan::Plan;
use crate::port::target::{Checkpoint, HealthSeen, Runs};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use state::State;
use std::sync::Arc;

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
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
    /// A newer one took its place while it waited.
    Superseded,
}

/// What somebody who does not hold the lease may ask of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// End it before it starts, or go back.
    Cancel,
    /// Give it up where it stands: the environment is unknown, the next deployment observes first.
    Abandon,
    /// Stop before the next slice.
    Pause,
    /// Go on after a pause.
    Continue,
    /// Look at the gates again: an approval or other evidence came in.
    Recheck,
    /// A newer deployment waits: end if still waiting.
    Supersede,
}

/// Why a place could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Somebody else holds it.
    Held,
    /// It cannot be reached.
    Unreachable,
    /// Something else went wrong there.
    Broken,
}

/// What a survey or a look saw of one slice, as far as the machine is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SliceSight {
    /// What runs.
    pub runs: Sight,
    /// Whether a revert is armed, with time enough for a renewal.
    pub armed: bool,
    /// Health, where the look included it. Of what is [`Sight::Gone`]: that nothing answers.
    pub healthy: bool,
}

/// What runs in a slice, relative to this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// What ran before, wholly.
    Old,
    /// The release, wholly.
    New,
    /// The release, which is also what ran before: nothing changes here.
    Both,
    /// Nothing, where this deployment stopped it or was about to.
    Gone,
    /// Something else.
    Foreign,
    /// It could not be learned.
    Unreachable,
}

/// Why a deployment turned back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnReason {
    /// A step on a slice failed.
    Failed,
    /// A health verdict: the release is yanked and automatic promotion frozen.
    Unhealthy,
    /// Somebody asked.
    Cancelled,
    /// It took too long.
    TooLate,
    /// A crash or an unknown outcome left something that is not wholly old or new.
    NotClean,
    /// Somebody else changed what runs, or took a place.
    Foreign,
    /// A place reverted by itself.
    Reverted,
}

/// The verbs that slices see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// `prepare`.
    Prepare,
    /// `activate`.
    Activate,
    /// `verify` and the health window.
    Verify,
    /// `stop`, and looking whether nothing serves.
    Stop,
    /// Watching while others move.
    Watch,
    /// The last look.
    Look,
    /// `confirm`.
    Confirm,
    /// Watching after the commit point.
    Bake,
    /// `restore`.
    Restore,
    /// Looking at what was restored.
    VerifyOld,
    /// `finish`.
    Finish,
}

/// How a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failed {
    /// It did not happen.
    NotDone,
    /// It may have happened.
    Unknown,
    /// A newer claim is in force.
    Fenced,
    /// What runs there is not what was expected.
    Overtaken,
    /// It was looked at and is not well.
    Unhealthy,
    /// It could not be looked at.
    Unreachable,
    /// The way back is gone.
    CheckpointLost,
}

/// Something that must be running now. Equal effects are the same effect: a driver starts what it does not run yet, and stops
/// what is not listed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Effect {
    /// The attempt it belongs to; an answer for another is late and is dropped.
    pub attempt: Attempt,
    /// What to do.
    pub work: Work,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Judge all gates for the plan; the answer is decided upon in a transaction that has seen the same evidence. Before anything
    /// is claimed: observe and plan first.
    Judge,
    /// Claim a place. Another store's may be adopted, if that was asked for, only before anything that serves may have changed: who
    /// was adopted away does not come back for it.
    Claim(PlaceIx),
    /// Look at every slice under our claims. Before anything was touched: plan again, and say whether the plan is still the same.
    Survey,
    /// Prepare a slice.
    Prepare(SliceIx),
    /// Move a slice, armed where its target can.
    Activate(SliceIx),
    /// Platform and health window.
    Verify(SliceIx),
    /// Take a slice out of service, disarmed, and see that nothing of it serves.
    Stop(SliceIx),
    /// Keep every armed slice armed until it is confirmed or restored. Answers only when one is lost.
    KeepArmed,
    /// Keep looking at what is verified. Answers only when one is not well.
    Watch,
    /// The last look at all slices, listed anew.
    Look,
    /// Disarm a slice.
    Confirm(SliceIx),
    /// Watch for the bake.
    Bake,
    /// Clean up in a place and release its claim.
    Finish(PlaceIx),
    /// Put a slice back.
    Restore(SliceIx),
    /// Whether it runs what it did before, no less healthy than then.
    VerifyOld(SliceIx),
    /// Release a claim, nothing else.
    Release(PlaceIx),
    /// Wait until what could not be reached (or claimed, for that reason) can be; going back has nothing else to do. Answers
    /// [`Answer::Done`] then, and nothing before.
    Reach,
}

/// What a driver feeds the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A driver holds the lease and takes this deployment up: its first start, or a takeover.
    Taken {
        /// Who.
        driver: Driver,
    },
    /// An effect answered.
    Answered {
        /// Which.
        effect: Effect,
        /// What.
        answer: Answer,
    },
    /// Somebody asks.
    Asked {
        /// What.
        ask: Ask,
        /// The deployment that supersedes, for [`Ask::Supersede`].
        by: Option<DeploymentId>,
    },
    /// The time of [`Machine::wake_at`] has come.
    Elapsed,
}

/// An effect's answer. Details are for the journal; the machine itself looks at kinds only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Work::Judge`].
    Judged {
        /// All gates, for the plan (the new one, if it is).
        verdict: Verdict,
        /// Before anything was claimed: the plan as it would be made now, where it differs.
        replanned: Option<Box<Plan>>,
    },
    /// To [`Work::Claim`].
    Claimed {
        /// The epoch given.
        epoch: Epoch,
        /// Taken from another store.
        adopted: Option<StoreId>,
    },
    /// To [`Work::Claim`].
    ClaimRefused {
        /// In kind.
        refusal: Refusal,
        /// For people.
        failure: Failure,
    },
    /// To [`Work::Survey`] and [`Work::Look`]. A slice that could not be seen is [`Sight::Unreachable`]; the effect as a whole
    /// fails only where a claim is not ours any more ([`Failed::Fenced`]).
    Seen {
        /// For the machine.
        seen: Vec<SliceSight>,
        /// What runs.
        runs: Vec<Option<Runs>>,
        /// Before anything was touched: whether the plan would be made differently now.
        outdated: bool,
        /// For a last look: whether it began less than the shortest remaining deadline ago. A stale one is looked at again.
        fresh: bool,
        /// For people, where something seen is not well.
        failure: Option<Failure>,
    },
    /// To [`Work::Prepare`].
    Prepared {
        /// The unit's checkpoint.
        checkpoint: Checkpoint,
        /// What it will run.
        will_be: Runs,
        /// Whether activating would change anything.
        changes: bool,
        /// What people should know of how it was done.
        note: Option<String>,
    },
    /// To [`Work::Activate`] and [`Work::Restore`].
    Moved {
        /// What it runs now.
        runs: Runs,
        /// Whether a revert is armed.
        armed: bool,
    },
    /// To [`Work::Verify`] and [`Work::VerifyOld`]: it runs what it should. To [`Work::Stop`]: nothing of it serves.
    Verified {
        /// Health, as far as anybody looked.
        health: HealthSeen,
        /// `healthy 10s`.
        note: String,
    },
    /// To everything else: done, or well.
    Done {
        /// What could not be cleaned up.
        warning: Option<Failure>,
    },
    /// It failed. `slice` names which, where the effect is about several.
    Failed {
        /// In kind.
        how: Failed,
        /// Which slice, for `Watch`, `Bake` and `KeepArmed`.
        slice: Option<SliceIx>,
        /// For people.
        failure: Failure,
    },
}

/// Events to store, and what must still be so when they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// In order; empty if nothing follows from the inputs.
    pub events: Vec<EventKind>,
    /// What the transaction must have seen.
    pub guard: Guard,
}

/// What the transaction that stores a decision must have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// Nothing but the lease and the expected sequence number.
    Nothing,
    /// The inbox: a request that came in before the commit point is heard before it.
    Inbox,
    /// The inbox, and the very evidence that the gates were judged by.
    Evidence,
}

/// Why an input has no effect. Nothing changed; nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejected {
    /// The effect belongs to an older attempt, or was answered already.
    #[error("the answer is late")]
    Late,
    /// Nobody asked for that effect.
    #[error("nothing like that is under way")]
    NotOutstanding,
    /// The deployment has ended.
    #[error("the deployment has ended")]
    Over,
    /// Too late to turn back: a rollback is the way.
    #[error("the release is being finished; go back with `deploy rollback`")]
    Finishing,
    /// It is going back already; nothing can hold that up.
    #[error("the deployment is already going back")]
    GoingBack,
    /// The answer does not fit the effect: a defect of the driver.
    #[error("the answer does not fit the effect")]
    Mismatch,
    /// A last look that took longer than the shortest deadline: it is repeated.
    #[error("the look is stale")]
    Stale,
    /// It would make no difference.
    #[error("that makes no difference")]
    NoChange,
}

/// A journal that this machine cannot have written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} cannot follow: {why}")]
pub struct CorruptJournal {
    /// Which event.
    pub seq: Seq,
    /// Why.
    pub why: &'static str,
}

/// The machine of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    plan: Arc<Plan>,
    order: Arc<order::Order>,
    state: State,
}

impl Machine {
    /// Folds the stored events of one deployment, from its first.
    ///
    /// # Errors
    /// [`CorruptJournal`] if no machine can have written them, or if one is of a kind that this version does not know.
    pub fn load<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Result<Self, CorruptJournal> {
        let mut machine: Option<Self> = None;
        for recorded in events {
            let event = recorded.event();
            match (&mut machine, &event.kind) {
                (Some(machine), _) => machine.apply(recorded)?,
                (none, EventKind::Planned { plan, .. }) => {
                    *none = Some(Self::new(Arc::new((**plan).clone())));
                }
                (None, EventKind::Requested { .. }) => {}
                (None, _) => {
                    return Err(CorruptJournal {
                        seq: event.seq,
                        why: "no plan came before it",
                    });
                }
            }
        }
        machine.ok_or(CorruptJournal {
            seq: Seq(0),
            why: "there is no plan",
        })
    }

    /// A deployment that was requested and planned, and nothing else yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        let state = State::new(&plan);
        let order = Arc::new(order::Order::of(&plan));
        Self { plan, order, state }
    }

    /// What it brings where.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The state, for readers and the model checker.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What follows from these inputs, as one batch: one transaction. Pure. Inputs that have no effect are passed over as long as
    /// another has one.
    ///
    /// # Errors
    /// [`Rejected`] if none of the inputs has an effect.
    pub fn decide(&self, now: Timestamp, inputs: &[Input]) -> Result<Decision, Rejected> {
        decide::decide(self, now, inputs)
    }

    /// Takes what a journal has stored; the only mutation.
    ///
    /// # Errors
    /// [`CorruptJournal`] if the event cannot follow here; the machine is then as it was.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), CorruptJournal> {
        let event = recorded.event();
        self.apply_kind(&event.kind)
            .map_err(|why| CorruptJournal { seq: event.seq, why })
    }

    /// What must be running now; the same after a crash.
    pub fn outstanding(&self) -> Vec<Effect> {
        outstanding::outstanding(self)
    }

    /// When [`Input::Elapsed`] is due.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.state
            .due
            .filter(|_| !matches!(self.state.stage, state::Stage::Ended(_)))
    }

    /// The end, if it has ended.
    pub fn ended(&self) -> Option<Outcome> {
        match self.state.stage {
            state::Stage::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }
}

//! The world of the checker: what is stored, who runs, what the network carries, and what is really true in the places. Data and
//! its canonical form; how it moves is in `steps.rs`, what the places do in `target.rs`.

use crate::config::Config;
use crate::faults::Spent;
use deploy_core::id::{Attempt, Epoch, PlaceIx, SliceIx};
use deploy_core::machine::{Ask, Effect, Failed, Machine, Refusal, SliceSight, Work};
use std::sync::Arc;

/// What a slice runs.
pub(crate) type Value = u8;
/// What a person put there by hand.
pub(crate) const BY_HAND: Value = 9;
/// Nothing: it was stopped.
pub(crate) const GONE: Value = 6;
/// Nobody's store.
pub(crate) const NOBODY: u8 = 8;
/// A store that is not simulated any further.
pub(crate) const STRANGER: u8 = 7;

pub(crate) const SLICES: usize = 4;
pub(crate) const PLACES: usize = 2;
pub(crate) type Base = [Value; SLICES];

/// The release that a side brings.
pub(crate) const fn release_of(side: u8) -> Value {
    side + 1
}

/// What is really so in a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Truth {
    pub(crate) runs: Value,
    pub(crate) armed: bool,
    pub(crate) healthy: bool,
    /// Changed by somebody else since a side last looked: bit by side.
    pub(crate) unseen: u8,
    /// An effect on it answered `unknown`, and its place was not claimed since: bit by side.
    pub(crate) unclear: u8,
    /// A confirm of it failed, by a fault: it may be armed at an end, and is named.
    pub(crate) stubborn: bool,
}

/// What is really so in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) store: u8,
    pub(crate) held: bool,
    pub(crate) epoch: Epoch,
    /// Which process took the claim, and which way its deployment went then.
    pub(crate) claimer: u8,
    pub(crate) claimed_going_back: bool,
    pub(crate) reachable: bool,
}

/// One store with one deployment.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// The fold of its journal.
    pub(crate) machine: Arc<Machine>,
    /// Who holds the lease.
    pub(crate) holder: Option<u8>,
    pub(crate) inbox: Vec<Ask>,
    /// What ran when the stored plan was made.
    pub(crate) base: Base,
    /// The base of the plan that people said yes to.
    pub(crate) approved: Option<Base>,
    /// Rises when evidence changes; small.
    pub(crate) evidence: u8,
    // What the invariants remember of the journal.
    pub(crate) intended: u8,
    pub(crate) restoring: u8,
    /// Slices that were to be stopped and left out.
    pub(crate) stopping: u8,
    pub(crate) looked: Option<Attempt>,
    pub(crate) abandoned: bool,
    /// What the checkpoint of its unit holds of each slice.
    pub(crate) checkpoints: [Option<Value>; SLICES],
    pub(crate) in_journal: u8,
    pub(crate) written: u8,
}

/// An orchestrator.
#[derive(Debug, Clone)]
pub(crate) enum Proc {
    Idle,
    Driving {
        side: u8,
    },
    /// Asleep past its lease; what it knows is old.
    Stale {
        side: u8,
        knows: Arc<Machine>,
    },
}

/// An answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ans {
    Holds {
        base: Base,
        evidence: u8,
    },
    Waits {
        base: Base,
        evidence: u8,
    },
    Refuses,
    Claimed(Epoch),
    Refused(Refusal),
    Seen {
        seen: [SliceSight; SLICES],
        outdated: bool,
        fresh: bool,
    },
    Prepared {
        changes: bool,
    },
    Moved {
        armed: bool,
    },
    Done,
    Failed {
        how: Failed,
        slice: Option<SliceIx>,
    },
}

/// What the network carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cargo {
    /// A request that its sender does not wait for any more.
    Request,
    /// An answer that its sender waits for.
    Answer(Ans),
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Msg {
    pub(crate) from: u8,
    pub(crate) side: u8,
    pub(crate) attempt: Attempt,
    pub(crate) work: Work,
    /// The claim it carries.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) base: Base,
    pub(crate) cargo: Cargo,
}

impl Msg {
    pub(crate) fn effect(&self) -> Effect {
        Effect {
            attempt: self.attempt,
            work: self.work,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) sides: Vec<Side>,
    pub(crate) procs: [Proc; 2],
    pub(crate) places: [Place; PLACES],
    pub(crate) slices: [Truth; SLICES],
    pub(crate) bag: Vec<Msg>,
    pub(crate) spent: Spent,
    /// For people: what happened, where somebody listens. No part of a state.
    pub(crate) log: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        let sides = (0..config.stores)
            .map(|side| Side {
                machine: Arc::new(Machine::new(config.plan(side, config.start))),
                holder: None,
                inbox: Vec::new(),
                base: config.start,
                approved: None,
                evidence: 0,
                intended: 0,
                restoring: 0,
                stopping: 0,
                looked: None,
                abandoned: false,
                checkpoints: [None; SLICES],
                in_journal: 0,
                written: 0,
            })
            .collect();
        Self {
            sides,
            procs: [Proc::Idle, Proc::Idle],
            places: [Place {
                store: NOBODY,
                held: false,
                epoch: Epoch(0),
                claimer: NOBODY,
                claimed_going_back: false,
                reachable: true,
            }; PLACES],
            slices: config.start.map(|runs| Truth {
                runs,
                armed: false,
                healthy: true,
                unseen: 0,
                unclear: 0,
                stubborn: false,
            }),
            bag: Vec::new(),
            spent: Spent::default(),
            log: None,
        }
    }

    /// Notes something for people.
    pub(crate) fn tell(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    pub(crate) fn side(&self, side: u8) -> &Side {
        &self.sides[usize::from(side)]
    }

    pub(crate) fn side_mut(&mut self, side: u8) -> &mut Side {
        &mut self.sides[usize::from(side)]
    }

    /// Which side a process works for, and what it knows.
    pub(crate) fn knows(&self, proc: u8) -> Option<(u8, &Arc<Machine>)> {
        match &self.procs[usize::from(proc)] {
            Proc::Idle => None,
            Proc::Driving { side } => Some((*side, &self.side(*side).machine)),
            Proc::Stale { side, knows } => Some((*side, knows)),
        }
    }
}

/// Where each slice is: `A0 B0` in one place, `A1 B1` in the other.
pub(crate) const PLACE_OF: [usize; SLICES] = [0, 1, 0, 1];

/// The place that a write goes to.
pub(crate) fn place_of(work: Work) -> Option<usize> {
    match work {
        Work::Prepare(slice)
        | Work::Activate(slice)
        | Work::Confirm(slice)
        | Work::Restore(slice)
        | Work::Verify(slice)
        | Work::Stop(slice)
        | Work::VerifyOld(slice) => Some(PLACE_OF[slice.at()]),
        Work::Claim(PlaceIx(place)) | Work::Finish(PlaceIx(place)) | Work::Release(PlaceIx(place)) => {
            Some(usize::from(place))
        }
        Work::Judge
        | Work::Survey
        | Work::KeepArmed
        | Work::Watch
        | Work::Look
        | Work::Bake
        | Work::Reach => None,
    }
}

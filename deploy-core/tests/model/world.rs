//! The world of the checker: what is stored, who runs, what the network carries, and what is really true in the places. Data and
//! its canonical form; how it moves is in `steps.rs`, what the places do in `target.rs`.

use crate::config::Config;
use crate::faults::Spent;
use deploy_core::id::{Attempt, Epoch, PlaceIx, SliceIx};
use deploy_core::machine::state::State;
use deploy_core::machine::{Ask, Effect, Failed, Machine, Refusal, SliceSight, Work};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What a slice runs.
pub type Value = u8;
/// What ran at first.
pub const OLD: Value = 0;
/// What a person put there by hand.
pub const BY_HAND: Value = 9;
/// Nobody's store.
pub const NOBODY: u8 = 8;
/// A store that is not simulated any further.
pub const STRANGER: u8 = 7;

pub const SLICES: usize = 4;
pub const PLACES: usize = 2;
pub type Base = [Value; SLICES];

/// The release that a side brings.
pub const fn release_of(side: u8) -> Value {
    side + 1
}

/// What is really so in a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Truth {
    pub runs: Value,
    pub armed: bool,
    pub healthy: bool,
    /// Changed by somebody else since a side last looked: bit by side.
    pub unseen: u8,
    /// An effect on it answered `unknown`, and its place was not claimed since: bit by side.
    pub unclear: u8,
    /// A confirm of it failed, by a fault: it may be armed at an end, and is named.
    pub stubborn: bool,
}

/// What is really so in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub store: u8,
    pub held: bool,
    pub epoch: Epoch,
    /// Which process took the claim, and which way its deployment went then.
    pub claimer: u8,
    pub claimed_going_back: bool,
    pub reachable: bool,
}

/// One store with one deployment.
#[derive(Debug, Clone)]
pub struct Side {
    /// The fold of its journal.
    pub machine: Arc<Machine>,
    /// Who holds the lease.
    pub holder: Option<u8>,
    pub inbox: Vec<Ask>,
    /// What ran when the stored plan was made.
    pub base: Base,
    /// The base of the plan that people said yes to.
    pub approved: Option<Base>,
    /// Rises when evidence changes; small.
    pub evidence: u8,
    // What the invariants remember of the journal.
    pub intended: u8,
    pub restoring: u8,
    pub looked: Option<Attempt>,
    pub abandoned: bool,
    /// What the checkpoint of its unit holds of each slice.
    pub checkpoints: [Option<Value>; SLICES],
    pub in_journal: u8,
    pub written: u8,
}

/// An orchestrator.
#[derive(Debug, Clone)]
pub enum Proc {
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
pub enum Ans {
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
pub enum Cargo {
    /// A request that its sender does not wait for any more.
    Request,
    /// An answer that its sender waits for.
    Answer(Ans),
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msg {
    pub from: u8,
    pub side: u8,
    pub attempt: Attempt,
    pub work: Work,
    /// The claim it carries.
    pub epoch: Option<Epoch>,
    pub base: Base,
    pub cargo: Cargo,
}

impl Msg {
    pub fn effect(&self) -> Effect {
        Effect {
            attempt: self.attempt,
            work: self.work,
        }
    }
}

#[derive(Debug, Clone)]
pub struct World {
    pub sides: Vec<Side>,
    pub procs: [Proc; 2],
    pub places: [Place; PLACES],
    pub slices: [Truth; SLICES],
    pub bag: Vec<Msg>,
    pub spent: Spent,
    /// For people: what happened, where somebody listens. No part of a state.
    pub log: Option<Vec<String>>,
}

impl World {
    pub fn new(config: &Config) -> Self {
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
    pub fn tell(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    pub fn side(&self, side: u8) -> &Side {
        &self.sides[usize::from(side)]
    }

    pub fn side_mut(&mut self, side: u8) -> &mut Side {
        &mut self.sides[usize::from(side)]
    }

    /// Which side a process works for, and what it knows.
    pub fn knows(&self, proc: u8) -> Option<(u8, &Arc<Machine>)> {
        match &self.procs[usize::from(proc)] {
            Proc::Idle => None,
            Proc::Driving { side } => Some((*side, &self.side(*side).machine)),
            Proc::Stale { side, knows } => Some((*side, knows)),
        }
    }

    /// Two worlds with the same key have the same future: epochs and attempts are counted from the lowest that anybody remembers,
    /// and messages have no order.
    pub fn key(&self, config: &Config) -> u128 {
        let (mut epochs, mut attempts) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        let mut machine = |side: u8, machine: &Machine| {
            let state = machine.state();
            attempts[usize::from(side)].push(state.attempt);
            for (place, known) in state.places.iter().enumerate() {
                epochs[place].extend(known.epoch);
            }
        };
        for (side, of) in (0u8..).zip(&self.sides) {
            machine(side, &of.machine);
        }
        for proc in &self.procs {
            if let Proc::Stale { side, knows } = proc {
                machine(*side, knows);
            }
        }
        for msg in &self.bag {
            attempts[usize::from(msg.side)].push(msg.attempt);
            if let (Some(place), Some(epoch)) = (place_of(msg.work), msg.epoch) {
                epochs[place].push(epoch);
            }
            if let (Work::Claim(place), Cargo::Answer(Ans::Claimed(epoch))) = (msg.work, msg.cargo) {
                epochs[place.at()].push(epoch);
            }
        }
        for (place, epochs) in self.places.iter().zip(&mut epochs) {
            epochs.push(place.epoch);
            epochs.sort_unstable();
            epochs.dedup();
        }
        for attempts in &mut attempts {
            attempts.sort_unstable();
            attempts.dedup();
        }
        let ranks = Ranks { epochs, attempts };
        let mut low = DefaultHasher::new();
        let mut high = DefaultHasher::new();
        0x9e37_u16.hash(&mut high);
        let mut bag = self.bag.clone();
        for msg in &mut bag {
            ranks.msg(msg);
        }
        bag.sort_unstable();
        for hasher in [&mut low, &mut high] {
            self.feed(config, &ranks, &bag, hasher);
        }
        (u128::from(high.finish()) << 64) | u128::from(low.finish())
    }

    fn feed(&self, config: &Config, ranks: &Ranks, bag: &[Msg], into: &mut DefaultHasher) {
        for (number, side) in (0u8..).zip(&self.sides) {
            ranks.machine(number, &side.machine, into);
            let Side {
                machine,
                holder,
                inbox,
                base,
                approved,
                evidence,
                intended,
                restoring,
                looked,
                abandoned,
                checkpoints,
                in_journal,
                written,
            } = side;
            let looked = *looked == Some(machine.state().attempt);
            (
                holder,
                inbox,
                base,
                approved,
                evidence,
                intended,
                restoring,
                looked,
                abandoned,
                checkpoints,
                in_journal,
                written,
            )
                .hash(into);
        }
        for proc in &self.procs {
            std::mem::discriminant(proc).hash(into);
            match proc {
                Proc::Idle => {}
                Proc::Driving { side } => side.hash(into),
                Proc::Stale { side, knows } => {
                    side.hash(into);
                    ranks.machine(*side, knows, into);
                }
            }
        }
        for (at, place) in self.places.iter().enumerate() {
            Place {
                epoch: ranks.epoch(at, place.epoch),
                ..*place
            }
            .hash(into);
        }
        (self.slices, self.spent.left(&config.budget), bag).hash(into);
    }
}

struct Ranks {
    epochs: [Vec<Epoch>; PLACES],
    attempts: [Vec<Attempt>; 2],
}

impl Ranks {
    fn epoch(&self, place: usize, epoch: Epoch) -> Epoch {
        Epoch(self.epochs[place].partition_point(|other| *other < epoch) as u64)
    }

    fn attempt(&self, side: u8, attempt: Attempt) -> Attempt {
        let rank = self.attempts[usize::from(side)].partition_point(|other| *other < attempt);
        // The first attempt differs from no attempt.
        Attempt(if attempt == Attempt(0) {
            0
        } else {
            1 + u32::try_from(rank).unwrap_or(u32::MAX)
        })
    }

    fn msg(&self, msg: &mut Msg) {
        msg.attempt = self.attempt(msg.side, msg.attempt);
        if let (Some(place), Some(epoch)) = (place_of(msg.work), msg.epoch) {
            msg.epoch = Some(self.epoch(place, epoch));
        }
        if let (Work::Claim(place), Cargo::Answer(Ans::Claimed(epoch))) = (msg.work, msg.cargo) {
            msg.cargo = Cargo::Answer(Ans::Claimed(self.epoch(place.at(), epoch)));
        }
    }

    fn machine(&self, side: u8, machine: &Machine, into: &mut DefaultHasher) {
        let State {
            claimed_for,
            turned_back,
            stage,
            attempt,
            reach,
            direction,
            pace,
            places,
            slices,
            checkpoints,
            tries,
            due,
        } = machine.state();
        self.attempt(side, *attempt).hash(into);
        for (at, place) in places.iter().enumerate() {
            (place.epoch.map(|epoch| self.epoch(at, epoch)), place.hold).hash(into);
        }
        (
            stage,
            claimed_for,
            turned_back,
            reach,
            direction,
            pace,
            slices,
            checkpoints,
            tries,
            due.is_some(),
        )
            .hash(into);
    }
}

/// Where each slice is: `A0 B0` in one place, `A1 B1` in the other.
pub const PLACE_OF: [usize; SLICES] = [0, 1, 0, 1];

/// The place that a write goes to.
pub fn place_of(work: Work) -> Option<usize> {
    match work {
        Work::Prepare(slice)
        | Work::Activate(slice)
        | Work::Confirm(slice)
        | Work::Restore(slice)
        | Work::Verify(slice)
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

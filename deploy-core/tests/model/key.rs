//! When two worlds are the same: their canonical form, hashed.

use crate::config::Config;
use deploy_core::id::{Attempt, Epoch};
use deploy_core::machine::state::State;
use deploy_core::machine::{Machine, Work};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::world::{Ans, Cargo, Msg, PLACES, Place, Proc, Side, World, place_of};

impl World {
    /// Two worlds with the same key have the same future: epochs and attempts are counted from the lowest that anybody remembers,
    /// and messages have no order.
    pub(crate) fn key(&self, config: &Config) -> u128 {
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
                stopping,
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
                (restoring, stopping),
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

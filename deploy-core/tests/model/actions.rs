//! Every action that is possible in a world, and which of them are faults.

use crate::config::Config;
use crate::faults::Fault;
use crate::mutants::{self};
use crate::target::{self, Call};
use crate::world::{BY_HAND, Cargo, PLACE_OF, Proc, STRANGER, World, place_of};
use deploy_core::machine::state::{Pace, Stage};
use deploy_core::machine::{Ask, Failed, Work};

/// How an effect goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum How {
    Well,
    RequestLost,
    AnswerLost,
    Delayed,
    /// Cut off half-way: armed, and not moved.
    CutOff,
    Fails(Failed),
    /// A look that took too long.
    Stale,
    /// Gates that nothing opens.
    Refuses,
}

/// One step of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Take(u8, u8),
    Perform(u8, Work, How),
    Linger(u8, Work),
    Arrive(u8),
    Deliver(u8, bool),
    Ask(u8, Ask),
    Hear(u8),
    Elapse(u8),
    Approve(u8),
    Revoke(u8),
    Crash(u8),
    Sleep(u8),
    Stop(u8),
    Fire(u8),
    RunOut(u8),
    Hand(u8),
    Sicken(u8),
    Cut(u8),
    Mend(u8),
    Intrude(u8),
}

impl Action {
    /// Which budget it uses.
    pub(crate) fn fault(self) -> Option<Fault> {
        match self {
            Self::Perform(_, _, How::Well)
            | Self::Take(..)
            | Self::Arrive(_)
            | Self::Deliver(_, false)
            | Self::Hear(_)
            | Self::Elapse(_)
            | Self::Approve(_)
            | Self::Stop(_)
            | Self::RunOut(_)
            | Self::Mend(_)
            | Self::Ask(_, Ask::Continue) => None,
            Self::Perform(_, _, How::RequestLost | How::AnswerLost | How::CutOff) => Some(Fault::Lose),
            Self::Perform(_, _, How::Delayed) | Self::Deliver(_, true) => Some(Fault::Delay),
            Self::Perform(_, _, How::Fails(_) | How::Stale | How::Refuses) => Some(Fault::Fail),
            Self::Linger(..) => Some(Fault::Linger),
            Self::Ask(..) => Some(Fault::Ask),
            Self::Revoke(_) => Some(Fault::Revoke),
            Self::Crash(_) => Some(Fault::Crash),
            Self::Sleep(_) => Some(Fault::Sleep),
            Self::Fire(_) => Some(Fault::Fire),
            Self::Hand(_) => Some(Fault::Hand),
            Self::Sicken(_) => Some(Fault::Sicken),
            Self::Cut(_) => Some(Fault::Cut),
            Self::Intrude(_) => Some(Fault::Intrude),
        }
    }

    /// Whether it goes on when faults have stopped: what drivers, places, people and clocks do of themselves. A place that cannot
    /// be reached stays so.
    pub(crate) fn helps(self) -> bool {
        self.fault().is_none() && !matches!(self, Self::Mend(_))
    }
}

const ASKS: [Ask; 4] = [Ask::Cancel, Ask::Abandon, Ask::Pause, Ask::Supersede];

fn is_write(work: Work) -> bool {
    place_of(work).is_some() && !matches!(work, Work::Verify(_) | Work::VerifyOld(_))
}

fn ways_to_fail(work: Work) -> &'static [How] {
    match work {
        Work::Judge => &[How::Refuses],
        Work::Claim(_)
        | Work::Confirm(_)
        | Work::Prepare(_)
        | Work::Activate(_)
        | Work::Stop(_)
        | Work::Finish(_)
        | Work::Release(_) => &[How::Fails(Failed::NotDone)],
        Work::Verify(_) | Work::VerifyOld(_) => &[How::Fails(Failed::Unhealthy)],
        Work::Look => &[How::Stale],
        Work::Bake => &[How::Fails(Failed::Unreachable)],
        Work::Restore(_) => &[How::Fails(Failed::NotDone), How::Fails(Failed::CheckpointLost)],
        Work::KeepArmed | Work::Watch | Work::Survey | Work::Reach => &[],
    }
}

impl World {
    /// Everything that can happen next.
    pub(crate) fn actions(&self, config: &Config) -> Vec<Action> {
        let mut actions = Vec::new();
        let over = self.sides.iter().all(|side| side.machine.ended().is_some());
        for proc in 0..2u8 {
            self.actions_of(config, proc, &mut actions);
        }
        for (at, msg) in (0u8..).zip(&self.bag) {
            match msg.cargo {
                Cargo::Request => actions.push(Action::Arrive(at)),
                Cargo::Answer(_) => actions.extend([Action::Deliver(at, false), Action::Deliver(at, true)]),
            }
        }
        for (at, side) in (0u8..).zip(&self.sides) {
            if side.machine.ended().is_some() {
                continue;
            }
            for ask in ASKS {
                if side.inbox.is_empty() {
                    actions.push(Action::Ask(at, ask));
                }
            }
            if side.machine.state().pace == Pace::Paused && side.inbox.is_empty() {
                actions.push(Action::Ask(at, Ask::Continue));
            }
            if side.machine.state().stage == Stage::Waiting && side.approved != Some(side.base) {
                actions.push(Action::Approve(at));
            }
            if side.machine.state().stage == Stage::Waiting
                && side.approved == Some(side.base)
                && side.inbox.is_empty()
            {
                actions.push(Action::Approve(at));
            }
            if side.approved.is_some() {
                actions.push(Action::Revoke(at));
            }
        }
        for slice in 0..4u8 {
            if self.slices[usize::from(slice)].armed {
                actions.push(if self.renewed(usize::from(slice)) {
                    Action::Fire(slice)
                } else {
                    Action::RunOut(slice)
                });
            }
        }
        if !over {
            for slice in 0..4u8 {
                let truth = &self.slices[usize::from(slice)];
                if truth.runs != BY_HAND {
                    actions.push(Action::Hand(slice));
                }
                if truth.healthy && truth.runs != config.start[usize::from(slice)] {
                    actions.push(Action::Sicken(slice));
                }
            }
            for place in 0..2u8 {
                let now = &self.places[usize::from(place)];
                actions.push(if now.reachable {
                    Action::Cut(place)
                } else {
                    Action::Mend(place)
                });
                if now.store != STRANGER {
                    actions.push(Action::Intrude(place));
                }
            }
        }
        actions.retain(|action| {
            action
                .fault()
                .is_none_or(|fault| self.spent.may(fault, &config.budget))
        });
        actions
    }

    /// Whether somebody is there who renews what is armed.
    fn renewed(&self, slice: usize) -> bool {
        let place = &self.places[PLACE_OF[slice]];
        let side = self.sides.get(usize::from(place.store));
        place.held && side.is_some_and(|side| side.holder.is_some())
    }

    fn actions_of(&self, config: &Config, proc: u8, actions: &mut Vec<Action>) {
        match &self.procs[usize::from(proc)] {
            Proc::Idle => {
                let sides = if config.stores == 1 { 0..1 } else { proc..proc + 1 };
                for side in sides {
                    let of = self.side(side);
                    if of.holder.is_none() && of.machine.ended().is_none() {
                        actions.push(Action::Take(proc, side));
                    }
                }
            }
            Proc::Driving { side } => {
                let machine = &self.side(*side).machine;
                let mut work: Vec<_> = machine
                    .outstanding()
                    .into_iter()
                    .map(|effect| effect.work)
                    .collect();
                work.extend(mutants::extra_work(config.mutant, machine));
                for work in work {
                    let waits = self.bag.iter().any(|msg| {
                        msg.from == proc
                            && matches!(msg.cargo, Cargo::Answer(_))
                            && msg.work == work
                            && msg.attempt == machine.state().attempt
                    });
                    if waits {
                        continue;
                    }
                    let waits = work == Work::Judge
                        && machine.state().stage == Stage::Open
                        && self.slices.iter().any(|slice| slice.armed);
                    if waits {
                        // Planned only after reverts armed under older claims have fired or are gone.
                        continue;
                    }
                    if work == Work::Reach && self.places.iter().any(|place| !place.reachable) {
                        continue;
                    }
                    if matches!(work, Work::KeepArmed | Work::Watch) {
                        let call = Call::new(proc, *side, machine, self.side(*side).base, work);
                        if target::complaint(self, &call).is_none() {
                            continue;
                        }
                    }
                    actions.push(Action::Perform(proc, work, How::Well));
                    actions.push(Action::Perform(proc, work, How::Delayed));
                    actions.extend(
                        ways_to_fail(work)
                            .iter()
                            .map(|how| Action::Perform(proc, work, *how)),
                    );
                    if is_write(work) {
                        actions.push(Action::Perform(proc, work, How::RequestLost));
                        actions.push(Action::Perform(proc, work, How::AnswerLost));
                        actions.push(Action::Linger(proc, work));
                        if matches!(work, Work::Activate(_)) && config.arms() {
                            actions.push(Action::Perform(proc, work, How::CutOff));
                        }
                    }
                }
                if machine.wake_at().is_some() {
                    actions.push(Action::Elapse(proc));
                }
                if !self.side(*side).inbox.is_empty() {
                    actions.push(Action::Hear(proc));
                }
                actions.extend([Action::Crash(proc), Action::Sleep(proc)]);
            }
            Proc::Stale { knows, .. } => {
                actions.push(Action::Stop(proc));
                for effect in knows.outstanding() {
                    if is_write(effect.work) {
                        actions.push(Action::Perform(proc, effect.work, How::Well));
                    }
                }
            }
        }
    }
}

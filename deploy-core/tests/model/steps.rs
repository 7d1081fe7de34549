//! How a world moves: every action that is possible in it, and what each does. A process is a driver as the crate's contract
//! describes it: decide, append, apply, start what is outstanding.

use crate::config::{Config, runs};
use crate::faults::Fault;
use crate::invariants::{self, Invariant, Violation, broken};
use crate::mutants::{self, Mutant};
use crate::target::{self, Call};
use crate::trace;
use crate::world::{
    Ans, BY_HAND, Cargo, Msg, NOBODY, PLACE_OF, PLACES, Proc, SLICES, STRANGER, World, place_of,
};
use deploy_core::digest::Digest;
use deploy_core::event::{Driver, Event, EventKind, Recorded, SCHEMA};
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::{GateKind, Opens, Unmet, Verdict};
use deploy_core::id::{Actor, Epoch, Seq, SliceIx};
use deploy_core::machine::state::{Hold, Pace, Stage};
use deploy_core::machine::{
    Answer, Ask, Decision, Failed, Guard, Input, Machine, Refusal, Rejected, Sight, Work,
};
use deploy_core::port::target::Checkpoint;
use deploy_core::time::Timestamp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How an effect goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
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
pub enum Action {
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
    pub fn fault(self) -> Option<Fault> {
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
    pub fn helps(self) -> bool {
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
        Work::Claim(_) | Work::Prepare(_) | Work::Activate(_) | Work::Finish(_) | Work::Release(_) => {
            &[How::Fails(Failed::NotDone)]
        }
        Work::Verify(_) => &[How::Fails(Failed::Unhealthy)],
        Work::Confirm(_) => &[How::Fails(Failed::NotDone)],
        Work::VerifyOld(_) => &[How::Fails(Failed::Unhealthy)],
        Work::Look => &[How::Stale],
        Work::Bake => &[How::Fails(Failed::Unreachable)],
        Work::Restore(_) => &[How::Fails(Failed::NotDone), How::Fails(Failed::CheckpointLost)],
        Work::KeepArmed | Work::Watch | Work::Survey | Work::Reach => &[],
    }
}

impl World {
    /// Everything that can happen next.
    pub fn actions(&self, config: &Config) -> Vec<Action> {
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

    /// The world after a step; `None` if nothing changed.
    pub fn after(&self, config: &Config, action: Action) -> Result<Option<Self>, Violation> {
        let mut world = self.clone();
        if let Some(fault) = action.fault() {
            world.spent.spend(fault);
        }
        match action {
            Action::Take(proc, side) => {
                world.procs[usize::from(proc)] = Proc::Driving { side };
                world.side_mut(side).holder = Some(proc);
                if config.mutant == Some(Mutant::CheckpointRetaken) && world.side(side).intended != 0 {
                    mutants::retake(&mut world, side);
                }
                let driver = Driver {
                    who: format!("process {proc}"),
                    version: "1".to_owned(),
                };
                world.feed_input(config, proc, &Input::Taken { driver }, None)?;
            }
            Action::Perform(proc, work, how) => world.perform(config, proc, work, how)?,
            Action::Linger(proc, work) => {
                let (side, machine) = world.knows(proc).expect("it drives");
                let call = Call::new(proc, side, machine, world.side(side).base, work);
                let msg = msg(&call, Cargo::Request);
                if world.bag.contains(&msg) {
                    return Ok(None);
                }
                world.bag.push(msg);
            }
            Action::Arrive(at) => {
                let msg = world.bag.remove(usize::from(at));
                let answer = target::perform(&mut world, config, &call_of(&msg))?;
                world.tell(|| trace::answer(&answer));
            }
            Action::Deliver(at, again) => {
                let msg = world.bag[usize::from(at)];
                if !again {
                    world.bag.remove(usize::from(at));
                }
                let Cargo::Answer(answer) = msg.cargo else {
                    return Ok(None);
                };
                world.deliver(config, &call_of(&msg), answer)?;
            }
            Action::Ask(side, ask) => world.side_mut(side).inbox.push(ask),
            Action::Hear(proc) => {
                let (side, _) = world.knows(proc).expect("it drives");
                let ask = world.side_mut(side).inbox.remove(0);
                if ask == Ask::Abandon {
                    world.side_mut(side).abandoned = true;
                }
                world.feed_input(config, proc, &Input::Asked { ask, by: None }, None)?;
            }
            Action::Elapse(proc) => {
                if !world.feed_input(config, proc, &Input::Elapsed, None)? {
                    return Ok(None);
                }
            }
            Action::Approve(side) => {
                let of = world.side_mut(side);
                of.approved = Some(of.base);
                of.inbox = vec![Ask::Recheck];
            }
            Action::Revoke(side) => {
                let of = world.side_mut(side);
                of.approved = None;
                of.evidence += 1;
            }
            Action::Crash(proc) => {
                let (side, _) = world.knows(proc).expect("it drives");
                world.side_mut(side).holder = None;
                world.stop(proc);
            }
            Action::Sleep(proc) => {
                let (side, machine) = world.knows(proc).expect("it drives");
                let knows = Arc::clone(machine);
                world.side_mut(side).holder = None;
                world.procs[usize::from(proc)] = Proc::Stale { side, knows };
            }
            Action::Stop(proc) => world.stop(proc),
            Action::Fire(slice) | Action::RunOut(slice) => target::fire(&mut world, usize::from(slice)),
            Action::Hand(slice) => {
                let truth = &mut world.slices[usize::from(slice)];
                truth.runs = BY_HAND;
                truth.unseen = 0b11;
            }
            Action::Sicken(slice) => world.slices[usize::from(slice)].healthy = false,
            Action::Cut(place) => world.places[usize::from(place)].reachable = false,
            Action::Mend(place) => world.places[usize::from(place)].reachable = true,
            Action::Intrude(place) => {
                let place = &mut world.places[usize::from(place)];
                place.store = STRANGER;
                place.held = true;
                place.claimer = NOBODY;
                place.epoch = place.epoch.next();
            }
        }
        Ok(Some(world))
    }

    fn stop(&mut self, proc: u8) {
        self.procs[usize::from(proc)] = Proc::Idle;
        self.bag
            .retain(|msg| msg.from != proc || matches!(msg.cargo, Cargo::Request));
    }

    fn perform(&mut self, config: &Config, proc: u8, work: Work, how: How) -> Result<(), Violation> {
        let (side, machine) = self.knows(proc).expect("it runs");
        let mut call = Call::new(proc, side, machine, self.side(side).base, work);
        if config.mutant == Some(Mutant::EffectBeforeIntent) && matches!(work, Work::Activate(_)) {
            call.epochs = [0, 1].map(|place| self.places[place].held.then_some(self.places[place].epoch));
        }
        if matches!(self.procs[usize::from(proc)], Proc::Driving { .. }) {
            invariants::on_start(self, side, work)?;
        }
        if let Work::Confirm(slice) = work
            && (how != How::Well || place_of(work).is_some_and(|place| !self.places[place].reachable))
        {
            self.slices[slice.at()].stubborn = true;
        }
        let unknown = if matches!(work, Work::Claim(_)) {
            Ans::Refused(Refusal::Broken)
        } else {
            Ans::Failed {
                how: Failed::Unknown,
                slice: None,
            }
        };
        let answer = match how {
            How::Well | How::Delayed => target::perform(self, config, &call)?,
            How::RequestLost => unknown,
            How::CutOff => {
                target::half(self, config, &call);
                unknown
            }
            How::AnswerLost => {
                target::perform(self, config, &call)?;
                unknown
            }
            How::Fails(_) if matches!(work, Work::Claim(_)) => Ans::Refused(Refusal::Broken),
            How::Fails(how) => Ans::Failed {
                how,
                slice: (work == Work::Bake).then_some(SliceIx(0)),
            },
            How::Stale => match target::perform(self, config, &call)? {
                Ans::Seen { seen, outdated, .. } => Ans::Seen {
                    seen,
                    outdated,
                    fresh: false,
                },
                other => other,
            },
            How::Refuses => Ans::Refuses,
        };
        self.tell(|| trace::answer(&answer));
        if matches!(
            answer,
            Ans::Failed {
                how: Failed::Unknown,
                ..
            }
        ) {
            self.unclear(&call);
            if config.mutant == Some(Mutant::BlindRetry) {
                return Ok(());
            }
        }
        match (&self.procs[usize::from(proc)], how) {
            (_, How::Delayed) => {
                self.bag.push(msg(&call, Cargo::Answer(answer)));
                Ok(())
            }
            _ => self.deliver(config, &call, answer),
        }
    }

    fn unclear(&mut self, call: &Call) {
        if let Work::Activate(slice) | Work::Restore(slice) = call.work {
            self.slices[slice.at()].unclear |= 1 << call.side;
        }
    }

    fn deliver(&mut self, config: &Config, call: &Call, answer: Ans) -> Result<(), Violation> {
        let Some((side, knows)) = self.knows(call.from) else {
            return Ok(());
        };
        let mut effect = msg(call, Cargo::Request).effect();
        if config.mutant == Some(Mutant::LateAnswers) {
            effect.attempt = knows.state().attempt;
        }
        let base = self.side(side).base;
        let plan = |base| (*config.plan(side, base)).clone();
        let (answer, evidence) = match answer {
            Ans::Holds {
                base: judged,
                evidence,
            }
            | Ans::Waits {
                base: judged,
                evidence,
            } => {
                let verdict = if matches!(answer, Ans::Holds { .. }) {
                    Verdict::Holds
                } else {
                    Verdict::Waits { unmet: vec![unmet()] }
                };
                let replanned = (judged != base).then(|| Box::new(plan(judged)));
                (Answer::Judged { verdict, replanned }, Some(evidence))
            }
            Ans::Refuses => (
                Answer::Judged {
                    verdict: Verdict::Refuses { unmet: vec![unmet()] },
                    replanned: None,
                },
                None,
            ),
            Ans::Claimed(epoch) => (Answer::Claimed { epoch, adopted: None }, None),
            Ans::Refused(refusal) => (
                Answer::ClaimRefused {
                    refusal,
                    failure: failure(),
                },
                None,
            ),
            Ans::Seen {
                seen,
                outdated,
                fresh,
            } => (
                Answer::Seen {
                    seen: seen.to_vec(),
                    runs: Vec::new(),
                    outdated,
                    fresh,
                    failure: None,
                },
                None,
            ),
            Ans::Prepared { changes } => (
                Answer::Prepared {
                    checkpoint: checkpoint(),
                    will_be: runs(1),
                    changes,
                },
                None,
            ),
            Ans::Moved { armed } => (Answer::Moved { runs: runs(1), armed }, None),
            Ans::Done => (
                Answer::Done {
                    note: String::new(),
                    warning: None,
                },
                None,
            ),
            Ans::Failed { how, slice } => (
                Answer::Failed {
                    how,
                    slice,
                    failure: failure(),
                },
                None,
            ),
        };
        let input = Input::Answered { effect, answer };
        self.feed_input(config, call.from, &input, evidence)?;
        Ok(())
    }

    /// One turn of a driver: decide, append, apply. Whether anything was stored.
    fn feed_input(
        &mut self,
        config: &Config,
        proc: u8,
        input: &Input,
        evidence: Option<u8>,
    ) -> Result<bool, Violation> {
        let (side, knows) = self.knows(proc).expect("it runs");
        let knows = Arc::clone(knows);
        let asleep = matches!(self.procs[usize::from(proc)], Proc::Stale { .. });
        let mut decision = match decide(&knows, input)? {
            Ok(decision) => decision,
            Err(_) => return Ok(false),
        };
        mutants::alter(config.mutant, &mut decision.events);
        if asleep && config.mutant != Some(Mutant::StaleAppends) {
            self.tell(|| "the journal takes nothing: the lease is another's".to_owned());
            // The journal refuses: the lease is another's. Its writer stops.
            self.stop(proc);
            return Ok(true);
        }
        let heard = self.side(side).inbox.is_empty() || config.mutant == Some(Mutant::CommitUnheard);
        let unchanged = evidence.is_none_or(|evidence| evidence == self.side(side).evidence);
        let stored = match decision.guard {
            Guard::Nothing => true,
            Guard::Inbox => heard,
            Guard::Evidence => heard && unchanged,
        };
        if !stored {
            self.tell(|| "the journal takes nothing: a request or evidence came in".to_owned());
            return Ok(false);
        }
        self.append(config, side, &decision, asleep)?;
        self.observed(side, input);
        Ok(true)
    }

    fn append(
        &mut self,
        config: &Config,
        side: u8,
        decision: &Decision,
        asleep: bool,
    ) -> Result<(), Violation> {
        let first = Arc::clone(&self.side(side).machine);
        for kind in &decision.events {
            let before = Arc::clone(&self.side(side).machine);
            if let EventKind::BatchIntended { slices } = kind {
                for slice in slices {
                    self.side_mut(side).intended |= 1 << slice.at();
                }
            }
            if let EventKind::RestoreIntended { slices } = kind {
                for slice in slices {
                    self.side_mut(side).restoring |= 1 << slice.at();
                }
            }
            if let EventKind::Planned { plan, .. } = kind {
                let base = config.base_of(side, plan);
                let of = self.side_mut(side);
                of.base = base;
                // Nothing was touched: what was prepared for the old plan counts no more.
                of.in_journal = 0;
            }
            if let EventKind::SlicePrepared { slice, .. } = kind {
                let unit = before.plan().slice(*slice).unit.at();
                self.side_mut(side).in_journal |= 1 << unit;
            }
            let mut after = (*before).clone();
            let recorded = Recorded::stored(event(kind.clone()), nothing());
            if let Err(corrupt) = after.apply(&recorded) {
                let which = if asleep {
                    Invariant::OneJournalWriter
                } else {
                    Invariant::EveryPrefixFolds
                };
                return broken(which, format!("{kind:?}: {corrupt}"));
            }
            self.tell(|| trace::event(kind));
            invariants::on_event(self, config, side, &before, &after, kind)?;
            self.side_mut(side).machine = Arc::new(after);
        }
        let last = Arc::clone(&self.side(side).machine);
        invariants::on_survey(&first, &last, &decision.events)?;
        if asleep {
            return broken(Invariant::OneJournalWriter, format!("{:?}", decision.events));
        }
        if last.ended().is_some() {
            self.over(side);
        }
        Ok(())
    }

    fn over(&mut self, side: u8) {
        for proc in 0..2u8 {
            if matches!(self.procs[usize::from(proc)], Proc::Driving { side: of } if of == side) {
                self.stop(proc);
            }
        }
        let of = self.side_mut(side);
        of.holder = None;
        of.inbox.clear();
    }

    /// What a side has now been told, it has seen.
    fn observed(&mut self, side: u8, input: &Input) {
        let Input::Answered { effect, answer } = input else {
            return;
        };
        let base = self.side(side).base;
        let now: [Sight; SLICES] = std::array::from_fn(|slice| target::sight(self, side, base, slice));
        let machine = Arc::clone(&self.side(side).machine);
        // Only what it relies on: where it has no claim, it has seen nothing.
        let mut saw = |slice: usize| {
            if machine.state().places[PLACE_OF[slice]].hold == Hold::Held {
                self.slices[slice].unseen &= !(1 << side);
            }
        };
        match (answer, effect.work) {
            (Answer::Seen { seen, .. }, _) => {
                for (slice, sight) in seen.iter().enumerate() {
                    if matches!(sight.runs, Sight::Foreign | Sight::Old) && now[slice] == sight.runs {
                        saw(slice);
                    }
                }
            }
            (
                Answer::Failed {
                    how: Failed::Overtaken,
                    ..
                },
                Work::Prepare(slice)
                | Work::Activate(slice)
                | Work::Verify(slice)
                | Work::Restore(slice)
                | Work::VerifyOld(slice),
            ) => saw(slice.at()),
            (
                Answer::Failed {
                    how: Failed::Overtaken | Failed::NotDone,
                    slice: Some(slice),
                    ..
                },
                _,
            ) => saw(slice.at()),
            _ => {}
        }
    }
}

type Decided = Result<Decision, Rejected>;

fn decide(machine: &Machine, input: &Input) -> Result<Decided, Violation> {
    // Every limit is zero, so that any timer may elapse at any point and no time is part of a state.
    catch_unwind(AssertUnwindSafe(|| {
        machine.decide(Timestamp(0), std::slice::from_ref(input))
    }))
    .or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        broken(Invariant::NeverPanics, format!("{input:?}: {text}"))
    })
}

fn msg(call: &Call, cargo: Cargo) -> Msg {
    Msg {
        from: call.from,
        side: call.side,
        attempt: call.attempt,
        work: call.work,
        epoch: place_of(call.work).and_then(|place| call.epochs[place]),
        base: call.base,
        cargo,
    }
}

fn call_of(msg: &Msg) -> Call {
    let mut epochs: [Option<Epoch>; PLACES] = [None; PLACES];
    if let Some(place) = place_of(msg.work) {
        epochs[place] = msg.epoch;
    }
    Call {
        from: msg.from,
        side: msg.side,
        attempt: msg.attempt,
        work: msg.work,
        epochs,
        base: msg.base,
    }
}

fn event(kind: EventKind) -> Event {
    Event {
        seq: Seq(1),
        at: Timestamp(0),
        environment: None,
        deployment: None,
        actor: Actor::new("a").expect("a name"),
        schema: SCHEMA,
        kind,
    }
}

fn failure() -> Failure {
    Failure::new(Code::RemoteFailed, "", "")
}

fn unmet() -> Unmet {
    Unmet {
        gate: GateKind::Approval,
        reason: String::new(),
        earliest: None,
        opens: Opens::ByPeople,
        next: String::new(),
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        reference: String::new(),
        digest: nothing(),
        was: runs(0),
        health: deploy_core::port::target::HealthSeen::Healthy,
    }
}

fn nothing() -> Digest {
    static NOTHING: std::sync::LazyLock<Digest> = std::sync::LazyLock::new(|| Digest::of(""));
    *NOTHING
}

//! What each action does to a world: the processes, the network, the places.

use crate::config::Config;
use crate::invariants::{self, Violation};
use crate::mutants::{self, Mutant};
use crate::target::{self, Call};
use crate::trace;
use crate::world::{Ans, BY_HAND, Cargo, Msg, NOBODY, PLACES, Proc, STRANGER, World, place_of};
use deploy_core::event::Driver;
use deploy_core::id::{Epoch, SliceIx};
use deploy_core::machine::{Ask, Failed, Input, Refusal, Work};
use std::sync::Arc;

use crate::actions::{Action, How};

impl World {
    /// The world after a step; `None` if nothing changed.
    pub(crate) fn after(&self, config: &Config, action: Action) -> Result<Option<Self>, Violation> {
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

    pub(crate) fn stop(&mut self, proc: u8) {
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
        if let Work::Activate(slice) | Work::Restore(slice) | Work::Stop(slice) = call.work {
            self.slices[slice.at()].unclear |= 1 << call.side;
        }
    }
}

pub(crate) fn msg(call: &Call, cargo: Cargo) -> Msg {
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

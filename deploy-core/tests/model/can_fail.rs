//! Each invariant shown a world in which it does not hold: one that is reached in the ordinary way, and bent by hand until the sentence
//! is wrong. A check that says nothing there would say nothing of a mistake either.

use crate::config::Config;
use crate::driver::unless_it_panics;
use crate::faults::{Budget, Fault};
use crate::invariants::{self, Invariant, Violation};
use crate::search;
use crate::target::Call;
use crate::world::{BY_HAND, PLACE_OF, SLICES, World};
use deploy_core::event::EventKind;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{PlaceIx, SliceIx};
use deploy_core::machine::state::{At, Direction, Pace, Reach, Stage, Step};
use deploy_core::machine::{Decision, Failed, Guard, Input, Machine, Outcome, Sight, SliceSight, Verb, Work};
use deploy_core::time::Timestamp;
use std::sync::Arc;

type Checked = Result<(), Violation>;

const FIRST: SliceIx = SliceIx(0);
const THIRD: SliceIx = SliceIx(2);

fn plain() -> Config {
    Config {
        batches: true,
        ..Config::new("bent by hand", Budget::none())
    }
}

fn with(fault: Fault) -> Config {
    Config {
        budget: Budget::of(1).with(fault, 1),
        ..plain()
    }
}

fn stage(world: &World) -> Stage {
    world.side(0).machine.state().stage
}

/// The first world at this step.
fn at(step: Step) -> World {
    search::first(&plain(), |world| stage(world) == Stage::Moving(step))
}

/// Activating, with the first slice intended.
fn activating() -> World {
    search::first(&plain(), |world| world.side(0).intended & 1 != 0)
}

/// Going back, with the first slice about to be put back.
fn restoring() -> World {
    let config = with(Fault::Sicken);
    search::first(&config, |world| world.side(0).restoring & 1 != 0)
}

fn budgeted() -> Config {
    Config {
        max_failures: 1,
        ..with(Fault::Fail)
    }
}

/// The first slice failed, and is to be left out.
fn failed_once() -> World {
    search::first(&budgeted(), |world| world.side(0).stopping & 1 != 0)
}

fn machine(world: &World) -> Arc<Machine> {
    Arc::clone(&world.side(0).machine)
}

fn call(world: &World, work: Work) -> Call {
    let side = world.side(0);
    let from = side.holder.expect("somebody drives");
    Call::new(from, 0, &side.machine, side.base, work)
}

fn activates(world: &World, slice: SliceIx) -> Checked {
    invariants::on_activate(world, &plain(), &call(world, Work::Activate(slice)), slice)
}

fn restores(world: &World) -> Checked {
    invariants::on_restore(world, &plain(), &call(world, Work::Restore(FIRST)), FIRST).map(|_| ())
}

/// The journal takes this event, and nothing changes.
fn takes(world: &World, event: &EventKind) -> Checked {
    let machine = machine(world);
    invariants::on_event(world, &plain(), 0, &machine, &machine, event)
}

fn ends(world: &World, outcome: Outcome) -> Checked {
    let ended = EventKind::Ended {
        outcome,
        strays: Vec::new(),
        by: None,
    };
    takes(world, &ended)
}

/// About to be over.
fn closing() -> World {
    search::first(&plain(), |world| {
        matches!(stage(world), Stage::Moving(Step::Finishing))
            && world.slices.iter().all(|slice| !slice.armed)
    })
}

fn with_slices(mut world: World, runs: u8) -> World {
    for slice in &mut world.slices {
        (slice.runs, slice.armed, slice.unseen) = (runs, false, 0);
    }
    world
}

fn decided(events: Vec<EventKind>) -> Decision {
    Decision {
        events,
        guard: Guard::Nothing,
    }
}

fn batch(slices: &[SliceIx]) -> EventKind {
    EventKind::BatchIntended {
        slices: slices.to_vec(),
    }
}

fn closes(outcome: Outcome) -> EventKind {
    EventKind::Closing {
        outcome,
        failure: None,
        unmet: Vec::new(),
    }
}

/// Bent worlds, each of which breaks the invariant and no other that is asked there.
fn bent(invariant: Invariant) -> Vec<Checked> {
    match invariant {
        Invariant::NeverPanics => {
            vec![unless_it_panics(&Input::Elapsed, || panic!("by hand")).map(|_| ())]
        }
        Invariant::EveryPrefixFolds => {
            let mut world = World::new(&plain());
            vec![world.append(&plain(), 0, &decided(vec![EventKind::Committed]), false)]
        }
        Invariant::OneJournalWriter => {
            let mut world = at(Step::Preparing);
            let rightly = decided(vec![EventKind::PlanOutdated]);
            let mut other = world.clone();
            vec![
                world.append(&plain(), 0, &decided(vec![EventKind::Committed]), true),
                other.append(&plain(), 0, &rightly, true),
            ]
        }
        Invariant::NothingForwardAfterBack => {
            let mut claimed = activating();
            claimed.places[0].claimed_going_back = true;
            let mut forward = restoring();
            forward.places[0].claimed_going_back = false;
            vec![
                activates(&claimed, FIRST),
                restores(&forward),
                takes(&restoring(), &batch(&[FIRST])),
            ]
        }
        Invariant::TurnedBackIsFinal => {
            let (world, ahead) = (restoring(), activating());
            let event = EventKind::Baked;
            vec![invariants::on_event(
                &world,
                &plain(),
                0,
                &machine(&world),
                &machine(&ahead),
                &event,
            )]
        }
        Invariant::NoWriteWithoutClaim => {
            let world = activating();
            let ours = call(&world, Work::Activate(FIRST));
            let mut without = ours;
            without.epochs = [None; 2];
            let (mut given_back, mut taken, mut newer) = (world.clone(), world.clone(), world.clone());
            given_back.places[0].held = false;
            taken.places[0].store = 1;
            newer.places[0].epoch = newer.places[0].epoch.next();
            vec![
                invariants::on_claim(&world, &without, 0),
                invariants::on_claim(&given_back, &ours, 0),
                invariants::on_claim(&taken, &ours, 0),
                invariants::on_claim(&newer, &ours, 0),
            ]
        }
        Invariant::OneWriter => {
            let mut world = activating();
            let ours = call(&world, Work::Activate(FIRST));
            world.places[0].claimer = 1 - ours.from;
            vec![invariants::on_claim(&world, &ours, 0)]
        }
        Invariant::IntentFirst => {
            let (mut ahead, mut back) = (activating(), restoring());
            ahead.side_mut(0).intended = 0;
            back.side_mut(0).restoring = 0;
            vec![activates(&ahead, FIRST), restores(&back)]
        }
        Invariant::CheckpointOnce => {
            let world = at(Step::Preparing);
            let (mut taken, mut touched) = (world.clone(), world);
            taken.side_mut(0).in_journal = 1;
            touched.side_mut(0).intended = 0b1000;
            [taken, touched]
                .iter()
                .map(|world| invariants::on_checkpoint(world, &call(world, Work::Prepare(FIRST)), 0))
                .collect()
        }
        Invariant::CheckpointKept => {
            let (mut lost, mut other) = (restoring(), restoring());
            lost.side_mut(0).checkpoints[0] = None;
            other.side_mut(0).checkpoints[0] = Some(1);
            vec![restores(&lost), restores(&other)]
        }
        Invariant::ConfirmAfterCommit => {
            let world = activating();
            vec![invariants::on_confirm(
                &world,
                &call(&world, Work::Confirm(FIRST)),
                FIRST,
            )]
        }
        Invariant::RestoreInOrder => {
            let mut world = restoring();
            world.slices[2].runs = 1;
            vec![restores(&world)]
        }
        Invariant::ActivateInOrder => {
            let mut world = search::first(&plain(), |world| world.side(0).intended & 0b100 != 0);
            world.slices[1].runs = 0;
            vec![activates(&world, THIRD), takes(&activating(), &batch(&[THIRD]))]
        }
        Invariant::OneBatch => {
            let world = activating();
            let both = search::first(&Config::new("both at once", Budget::none()), |world| {
                world.side(0).intended & 0b11 == 0b11
            });
            vec![invariants::on_event(
                &world,
                &plain(),
                0,
                &machine(&world),
                &machine(&both),
                &batch(&[SliceIx(1)]),
            )]
        }
        Invariant::PreparedFirst => {
            let mut world = at(Step::Preparing);
            world.side_mut(0).intended = 1;
            vec![activates(&world, FIRST)]
        }
        Invariant::CommitSeen | Invariant::RolledBackSeen => {
            let (ahead, back) = (at(Step::Looking), restoring());
            let (mut world, event) = if invariant == Invariant::CommitSeen {
                (ahead, EventKind::Committed)
            } else {
                (back, closes(Outcome::RolledBack))
            };
            let mut of_another = world.clone();
            let attempt = machine(&world).state().attempt;
            world.side_mut(0).looked = None;
            of_another.side_mut(0).looked = Some(attempt.next());
            vec![takes(&world, &event), takes(&of_another, &event)]
        }
        Invariant::RequestsHeard => {
            let mut world = at(Step::Looking);
            world.side_mut(0).looked = Some(machine(&world).state().attempt);
            world.side_mut(0).inbox = vec![deploy_core::machine::Ask::Cancel];
            vec![takes(&world, &EventKind::Committed)]
        }
        Invariant::ApprovedPlan => {
            let config = Config {
                approval: true,
                ..plain()
            };
            let mut world = at(Step::Judging);
            let (mut another, machine) = (world.clone(), machine(&world));
            world.side_mut(0).approved = None;
            another.side_mut(0).approved = Some([1, 0, 0, 0]);
            let begun = EventKind::ActivationBegun { due: Timestamp(0) };
            [world, another]
                .iter()
                .map(|world| invariants::on_event(world, &config, 0, &machine, &machine, &begun))
                .collect()
        }
        Invariant::UncleanTurnsBack => {
            let world = search::first(&plain(), |world| {
                machine(world).state().slice(FIRST).at == At::Verified
            });
            let machine = machine(&world);
            let seen = |first: Sight, armed| {
                let sight = |runs, armed| SliceSight {
                    runs,
                    armed,
                    healthy: true,
                };
                let mut seen = vec![sight(Sight::Old, false); SLICES];
                seen[0] = sight(first, armed);
                let runs = vec![None; SLICES];
                let events = [EventKind::Surveyed { seen, runs }];
                invariants::on_survey(&machine, &machine, &events)
            };
            vec![
                seen(Sight::Foreign, false),
                seen(Sight::Unreachable, false),
                seen(Sight::Old, false),
                seen(Sight::New, false),
            ]
        }
        Invariant::UnknownIsLookedAt => {
            let mut world = activating();
            world.slices[0].unclear = 1;
            [Work::Activate(FIRST), Work::Restore(FIRST)]
                .map(|work| invariants::on_start(&world, 0, work))
                .to_vec()
        }
        Invariant::ForeignKept => {
            let (mut ahead, mut back) = (activating(), restoring());
            ahead.slices[0].runs = BY_HAND;
            back.slices[0].runs = BY_HAND;
            vec![activates(&ahead, FIRST), restores(&back)]
        }
        Invariant::EpochsRise => {
            let world = activating();
            let epoch = machine(&world).state().place(PlaceIx(0)).epoch.expect("claimed");
            let place = PlaceIx(0);
            vec![takes(
                &world,
                &EventKind::Claimed {
                    place,
                    epoch,
                    adopted: None,
                },
            )]
        }
        Invariant::PauseHolds => {
            let world = search::first(&with(Fault::Ask), |world| {
                let machine = machine(world);
                let state = machine.state();
                state.pace != Pace::Going
                    && state.direction == Direction::Forward
                    && state.reach == Reach::Activating
            });
            vec![takes(&world, &batch(&[FIRST]))]
        }
        Invariant::SucceededIsNew => {
            let mut world = with_slices(closing(), 1);
            world.slices[3].runs = 0;
            vec![ends(&world, Outcome::Succeeded)]
        }
        Invariant::RolledBackIsOld => {
            let mut world = with_slices(closing(), 0);
            world.slices[3].runs = 1;
            vec![ends(&world, Outcome::RolledBack)]
        }
        Invariant::StraysAreNamed => {
            let mut world = with_slices(closing(), 1);
            world.slices[3].runs = 0;
            vec![ends(&world, Outcome::NeedsHuman)]
        }
        Invariant::EndsDisarmed => {
            let (mut ahead, mut back) = (with_slices(closing(), 1), with_slices(closing(), 0));
            ahead.slices[3].armed = true;
            back.slices[3].armed = true;
            let mut closing = restoring();
            closing.side_mut(0).looked = Some(machine(&closing).state().attempt);
            closing.slices[0].armed = true;
            vec![
                ends(&ahead, Outcome::Succeeded),
                ends(&back, Outcome::RolledBack),
                takes(&closing, &closes(Outcome::RolledBack)),
                takes(&closing, &closes(Outcome::NeedsHuman)),
            ]
        }
        Invariant::EarlyEndsChangeNothing => {
            let world = activating();
            [
                Outcome::Refused,
                Outcome::Failed,
                Outcome::Cancelled,
                Outcome::Superseded,
            ]
            .map(|outcome| ends(&world, outcome))
            .to_vec()
        }
        Invariant::OneEnd => {
            let over = search::first(&plain(), |world| machine(world).ended().is_some());
            let early = with_slices(activating(), 1);
            vec![
                takes(&over, &EventKind::Baked),
                ends(&over, Outcome::Succeeded),
                ends(&early, Outcome::Succeeded),
            ]
        }
        Invariant::WithinBudget => {
            let world = failed_once();
            let after = machine(&world);
            vec![invariants::on_event(
                &world,
                &plain(),
                0,
                &after,
                &after,
                &EventKind::ExclusionIntended { slice: FIRST },
            )]
        }
        Invariant::ExcludedIsStopped => {
            let mut world = search::first(&budgeted(), |world| {
                stage(world) == Stage::Moving(Step::Looking)
                    && machine(world).state().slice(FIRST).at == At::Excluded
            });
            world.side_mut(0).looked = Some(machine(&world).state().attempt);
            let mut old = world.clone();
            world.slices[0].runs = 1;
            old.slices[0].runs = 0;
            vec![
                takes(&world, &EventKind::Committed),
                takes(&old, &EventKind::Committed),
            ]
        }
        Invariant::UnreachableIsNoFailure => {
            let excluded = EventKind::ExclusionIntended { slice: FIRST };
            let failed = |how| EventKind::SliceFailed {
                slice: FIRST,
                step: Verb::Verify,
                how,
                failure: Failure::new(Code::Unreachable, "", ""),
            };
            vec![
                invariants::on_exclusion(std::slice::from_ref(&excluded)),
                invariants::on_exclusion(&[failed(Failed::Unreachable), excluded.clone()]),
                invariants::on_exclusion(&[failed(Failed::Unknown), excluded]),
            ]
        }
        Invariant::AnEndIsReachable => {
            // Of three states, the first ends, the second leads there, and the third nowhere.
            let stuck = search::cannot_end(3, &[(1, 0), (0, 2)], &[0]);
            vec![stuck.map_or(Ok(()), |stuck| {
                assert_eq!(stuck, 2);
                invariants::broken(invariant, "stuck")
            })]
        }
    }
}

#[test]
fn every_invariant_can_fail() {
    for invariant in Invariant::ALL {
        let worlds = bent(*invariant);
        assert!(!worlds.is_empty(), "{invariant}");
        for (number, checked) in worlds.into_iter().enumerate() {
            let violation = checked.expect_err(&format!("{invariant:?}, world {number}: it holds"));
            assert_eq!(
                violation.invariant, *invariant,
                "world {number}: {}",
                violation.detail
            );
        }
    }
}

/// The worlds that are bent are sound before: it is what was bent that is caught.
#[test]
fn what_is_bent_was_straight() {
    let ahead = activating();
    for checked in [
        activates(&ahead, FIRST),
        invariants::on_claim(&ahead, &call(&ahead, Work::Activate(FIRST)), PLACE_OF[0]),
        invariants::on_start(&ahead, 0, Work::Activate(FIRST)),
        restores(&restoring()),
        ends(&with_slices(closing(), 1), Outcome::Succeeded),
        ends(&with_slices(closing(), 0), Outcome::RolledBack),
        ends(&with_slices(closing(), 1), Outcome::NeedsHuman),
    ] {
        assert_eq!(checked, Ok(()));
    }
    assert_eq!(search::cannot_end(2, &[(1, 0)], &[0]), None);
}

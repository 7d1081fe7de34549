//! C45 to C58: targets, crashes and time.

use crate::digest::Digest;
use crate::event::{AttemptReason, Event, EventKind, Recorded};
use crate::failure::Code;
use crate::fixture::{World, env, fails, failure, minutes, runs};
use crate::id::{Attempt, DeploymentId, Epoch, Seq, SliceIx};
use crate::machine::state::{At, Reach};
use crate::machine::{
    Answer, Ask, Effect, Failed, Input, Machine, Outcome, Rejected, Sight, SliceSight, Verb, Work,
};
use crate::plan::Kind;
use crate::view::result::{OutcomeWord, ending};
use crate::view::{Current, DeploymentView, Phase, Running};

const FIRST: SliceIx = SliceIx(0);

/// A deployment of v1 to production, up to where a condition holds.
fn until(done: impl Fn(&Machine) -> bool) -> (World, DeploymentId) {
    let mut world = World::new();
    let v1 = world.make(1);
    let id = world.ask("production", Kind::Deploy, &v1, "ann");
    world.run_until(&id, &mut |_, _| None, done);
    (world, id)
}

fn is_doing(machine: &Machine, wanted: impl Fn(Work) -> bool) -> bool {
    machine.outstanding().iter().any(|effect| wanted(effect.work))
}

fn activating() -> (World, DeploymentId) {
    until(|machine| is_doing(machine, |work| work == Work::Activate(FIRST)))
}

fn events(world: &World, id: &DeploymentId) -> Vec<Recorded> {
    world.streams[&env("production")]
        .iter()
        .filter(|event| event.deployment.as_ref() == Some(id))
        .map(|event| Recorded::stored(event.clone(), Digest::of("")))
        .collect()
}

fn reload(world: &World, id: &DeploymentId) -> Machine {
    Machine::load(&events(world, id)).expect("its own log")
}

#[test]
pub(super) fn c45() {
    for (moved, then) in [(true, At::Activated), (false, At::Intended)] {
        let (mut world, id) = activating();
        let effect = world.effect(&id, Work::Activate(FIRST));
        if moved {
            world.sights(&id)[0] = SliceSight {
                runs: Sight::New,
                armed: true,
                healthy: true,
            };
        }
        let decision = world
            .answer(&id, effect, fails(Failed::Unknown))
            .expect("it was asked");
        assert!(
            matches!(
                decision.events[0],
                EventKind::AttemptBegun {
                    reason: AttemptReason::UnknownOutcome,
                    ..
                }
            ),
            "claimed anew and looked at, never tried blindly"
        );
        world.run_until(&id, &mut |_, _| None, |machine| {
            is_doing(machine, |work| {
                matches!(work, Work::Activate(_) | Work::Verify(_))
            })
        });
        assert_eq!(world.machine(&id).state().slice(FIRST).at, then);
        world.run(&id);
        assert_eq!(world.machine(&id).ended(), Some(Outcome::Succeeded));
        let late = Answer::Moved {
            runs: runs(world.machine(&id).plan().release),
            armed: true,
        };
        assert_eq!(
            world.answer(&id, effect, late),
            Err(Rejected::Over),
            "no late word moves an end"
        );
    }
}

#[test]
pub(super) fn c46() {
    let (mut world, id) = activating();
    let again = reload(&world, &id);
    assert_eq!(again, *world.machine(&id), "the intent was stored first");
    assert_eq!(again.outstanding(), world.machine(&id).outstanding());
    world.take_over(&id).expect("it was under way");
    assert!(is_doing(world.machine(&id), |work| matches!(
        work,
        Work::Claim(_)
    )));
    world.run_until(&id, &mut |_, _| None, |machine| {
        is_doing(machine, |work| work == Work::Survey)
    });
    world.run(&id);
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Succeeded));
    let view = world.view(&id);
    assert_eq!(view.attempts.len(), 2);
    assert_eq!(view.attempts[1].reason, AttemptReason::Takeover);
}

#[test]
pub(super) fn c47() {
    let (mut world, id) = until(|machine| is_doing(machine, |work| matches!(work, Work::Verify(_))));
    world.asked(&id, Ask::Cancel).expect("it runs");
    let due = world.machine(&id).wake_at();
    world.wait(minutes(3));
    assert_eq!(
        reload(&world, &id).wake_at(),
        due,
        "a stored time, not begun anew"
    );
    world.take_over(&id).expect("it was under way");
    assert_eq!(world.machine(&id).wake_at(), due);
    world.run(&id);
    assert_eq!(world.machine(&id).ended(), Some(Outcome::RolledBack));
    let after_turning = events(&world, &id)
        .into_iter()
        .map(Recorded::into_event)
        .skip_while(|event| !matches!(event.kind, EventKind::TurnedBack { .. }));
    for event in after_turning {
        let forward = matches!(
            event.kind,
            EventKind::BatchIntended { .. } | EventKind::SliceVerified { .. } | EventKind::Committed
        );
        assert!(!forward, "{event:?}");
    }
}

#[test]
pub(super) fn c48() {
    let (mut world, id) = activating();
    world.take_over(&id).expect("it was under way");
    world.run_with(&id, &mut |_, effect| {
        assert!(
            !matches!(effect.work, Work::Prepare(_)),
            "the sources may be gone"
        );
        None
    });
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Succeeded));
}

#[test]
pub(super) fn c49() {
    let (mut world, id) = until(|machine| is_doing(machine, |work| work == Work::Verify(SliceIx(1))));
    let effect = world.effect(&id, Work::Verify(SliceIx(1)));
    world
        .answer(&id, effect, fails(Failed::Unhealthy))
        .expect("it was asked");
    world.sights(&id)[0].runs = Sight::Unreachable;
    world.run(&id);
    assert_eq!(
        world.machine(&id).ended(),
        None,
        "it waits until it can be reached, for as long as going back may take"
    );
    world.wait(minutes(10));
    world.feed(&id, &[Input::Elapsed]).expect("it is late");
    world.run(&id);
    let view = world.view(&id);
    assert_eq!(ending(&view).outcome, OutcomeWord::NeedsHuman);
    let stray = &view.strays[0];
    assert_eq!((stray.slice.as_str(), stray.runs.as_str()), ("host-1", "unknown"));
    assert_eq!(
        stray.next,
        "deploy doctor -e production; v1 is barred (deploy yank v1 --undo lifts that): commit what mends it, then deploy up -e production"
    );
    assert_eq!(stray.why, "it could not be looked at");
    assert!(
        view.strays.iter().all(|stray| stray.service.as_str() == "api"),
        "web was never touched, or is back"
    );
    assert_eq!(world.environment("production").current, Current::Unknown);
}

#[test]
pub(super) fn c50() {
    let (world, id) = activating();
    // Whatever the manifest says by now, the plan that is in the journal is what goes on.
    let machine = reload(&world, &id);
    assert_eq!(machine.plan(), world.machine(&id).plan());
    assert_eq!(machine.state().slices.len(), 4);
}

#[test]
pub(super) fn c51() {
    let (mut world, id) = until(|machine| is_doing(machine, |work| work == Work::Survey));
    let effect = world.effect(&id, Work::Survey);
    let changed = Answer::Seen {
        seen: world.sights(&id).clone(),
        runs: vec![None; 4],
        outdated: true,
        fresh: true,
        failure: None,
    };
    world.answer(&id, effect, changed).expect("it was asked");
    assert!(is_doing(world.machine(&id), |work| matches!(
        work,
        Work::Release(_)
    )));
    world.run_until(&id, &mut |_, _| None, |machine| {
        is_doing(machine, |work| work == Work::Judge)
    });
    assert_eq!(
        world.view(&id).phase(),
        Phase::Requested,
        "to be planned and judged again"
    );
    assert!(!world.view(&id).changed());
    world.run(&id);
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Succeeded));
}

#[test]
pub(super) fn c52() {
    let (mut world, id) = activating();
    let text = r#"{"type":"invented_later","much":[1,2]}"#;
    let kind: EventKind = serde_json::from_str(text).expect("readers tolerate it");
    assert_eq!(kind, EventKind::Unknown);
    let before = world.view(&id);
    world.tell("production", "engine", Some(&id), kind);
    assert_eq!(world.view(&id).phase(), before.phase(), "who reads goes on");
    assert!(Machine::load(&events(&world, &id)).is_err(), "who decides stops");
    // It can still be given up: the environment is then not known.
    let given_up = EventKind::Ended {
        outcome: Outcome::NeedsHuman,
        strays: Vec::new(),
        by: None,
    };
    world.tell("production", "ann", Some(&id), given_up);
    assert_eq!(world.environment("production").current, Current::Unknown);
}

#[test]
pub(super) fn c53() {
    let (mut world, id) = activating();
    let effect = world.effect(&id, Work::Activate(FIRST));
    world
        .answer(&id, effect, fails(Failed::Fenced))
        .expect("it was asked");
    let claim = world.effect(&id, Work::Claim(crate::id::PlaceIx(0)));
    assert_eq!(claim.attempt, Attempt(2));
    assert!(
        !is_doing(world.machine(&id), |work| matches!(work, Work::Activate(_))),
        "nothing is written"
    );
    let low = Answer::Claimed {
        epoch: Epoch(2),
        adopted: None,
    };
    world.answer(&id, claim, low).expect("it was asked");
    let epochs = |world: &World| {
        world
            .environment("production")
            .epochs
            .values()
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(epochs(&world), [2, 1, 1, 1].map(Epoch));
    world.run(&id);
    assert_eq!(
        epochs(&world),
        [2, 2, 2, 2].map(Epoch),
        "each attempt raises them all"
    );
    let next = world.ask("production", Kind::Deploy, &crate::fixture::release(1), "ann");
    world.run(&next);
    assert_eq!(epochs(&world), [3, 3, 3, 3].map(Epoch), "and each deployment");
}

#[test]
pub(super) fn c54() {
    let (mut world, id) = until(|_| false);
    let transactions = world.transactions[&id].clone();
    for kept in transactions
        .into_iter()
        .filter(|kept| *kept < events(&world, &id).len())
    {
        let log = &events(&world, &id)[..kept];
        let machine = Machine::load(log).expect("its own log");
        let asked = Input::Asked {
            ask: Ask::Abandon,
            by: None,
        };
        let decision = machine
            .decide(world.now, &[asked])
            .expect("whatever it was doing");
        let outcome = decision.events.iter().find_map(|event| match event {
            EventKind::Ended { outcome, .. } => Some(*outcome),
            _ => None,
        });
        let reached = machine.state().reach >= Reach::Activating;
        let wanted = if reached {
            Outcome::NeedsHuman
        } else {
            Outcome::Cancelled
        };
        assert_eq!(outcome, Some(wanted), "after {kept} events");
    }
    // Everything is dead: going back ends all the same, by its deadline.
    let (mut dead, id) = activating();
    dead.asked(&id, Ask::Cancel).expect("it runs");
    dead.wait(minutes(11));
    dead.feed(&id, &[Input::Elapsed]).expect("it is late");
    let release = |_: &Machine, effect: Effect| {
        matches!(effect.work, Work::Release(_)).then(|| fails(Failed::Unreachable))
    };
    dead.run_with(&id, &mut { release });
    assert_eq!(dead.machine(&id).ended(), Some(Outcome::NeedsHuman));
    let next = dead.ask("production", Kind::Deploy, &crate::fixture::release(1), "ann");
    assert_eq!(
        dead.machine(&next).plan().base,
        crate::plan::Base::Mixed,
        "what runs is not known"
    );
    dead.run_until(&next, &mut |_, _| None, |machine| {
        is_doing(machine, |work| work == Work::Survey)
    });
    world.wait(minutes(1));
}

#[test]
pub(super) fn c55() {
    let (mut world, id) = activating();
    let first: Vec<_> = world.machine(&id).outstanding();
    assert!(
        first
            .iter()
            .all(|effect| !matches!(effect.work, Work::Activate(slice) if slice != FIRST))
    );
    let effect = world.effect(&id, Work::Activate(FIRST));
    let moved = Answer::Moved {
        runs: runs(world.machine(&id).plan().release),
        armed: true,
    };
    world.answer(&id, effect, moved).expect("it was asked");
    assert!(
        !is_doing(world.machine(&id), |work| work == Work::Activate(SliceIx(1))),
        "not on its word"
    );
    let verify = world.effect(&id, Work::Verify(FIRST));
    world
        .answer(&id, verify, crate::fixture::verified())
        .expect("it was asked");
    assert!(is_doing(world.machine(&id), |work| work == Work::Activate(SliceIx(1))));
    assert!(
        !is_doing(world.machine(&id), |work| work == Work::Activate(SliceIx(2))),
        "web needs api whole"
    );
}

#[test]
pub(super) fn c58() {
    // A story of each end.
    let (forward, id_forward) = until(|_| false);
    let (mut back, id_back) = until(|machine| is_doing(machine, |work| matches!(work, Work::Verify(_))));
    back.asked(&id_back, Ask::Cancel).expect("it runs");
    back.run(&id_back);
    let (mut lost, id_lost) = activating();
    let effect = lost.effect(&id_lost, Work::Activate(FIRST));
    lost.answer(&id_lost, effect, fails(Failed::Overtaken))
        .expect("it was asked");
    lost.sights(&id_lost)[0].runs = Sight::Foreign;
    lost.run(&id_lost);
    assert_eq!(lost.view(&id_lost).slices[0].running, Running::Other);

    for (world, id) in [(forward, id_forward), (back, id_back), (lost, id_lost)] {
        let log = events(&world, &id);
        for kept in 2..=log.len() {
            Machine::load(&log[..kept]).unwrap_or_else(|why| panic!("{kept}: {why}"));
            let stored: Vec<Event> = log[..kept]
                .iter()
                .map(|recorded| recorded.event().clone())
                .collect();
            assert!(DeploymentView::fold(&id, &stored).is_some());
        }
        // One event lost, or two changed places: refused or harmless, never a panic.
        for at in 1..log.len() {
            let mut without = log.clone();
            without.remove(at);
            let _ = Machine::load(&without);
            let mut swapped = log.clone();
            swapped.swap(at - 1, at);
            let _ = Machine::load(&swapped);
        }
        let foreign = EventKind::SliceFailed {
            slice: SliceIx(99),
            step: Verb::Verify,
            how: Failed::NotDone,
            failure: failure(Code::Defect, "there is no such slice"),
        };
        let mut event = log[1].event().clone();
        (event.kind, event.seq) = (foreign, Seq(3));
        let damaged = [
            log[0].clone(),
            log[1].clone(),
            Recorded::stored(event, Digest::of("")),
        ];
        assert_eq!(Machine::load(&damaged).map_err(|why| why.seq), Err(Seq(3)));
    }
}

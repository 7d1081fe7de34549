//! C19 to C22: gates and time.

use super::gates::{attest, checks, gates_of, promote};
use crate::event::EventKind;
use crate::fixture::{World, at, env, evidence, minutes};
use crate::gate::rules::CheckRule;
use crate::gate::window::Window;
use crate::gate::{About, Finding, GateKind, Rules, Verdict};
use crate::machine::{Ask, Input, Outcome, Rejected};
use crate::plan::Kind;
use crate::view::{Current, Phase};
use std::time::Duration;

fn freeze(world: &mut World, from: &str, to: &str, tz: &str) {
    let window = Window::Weekly {
        from: from.parse().expect("a time"),
        to: to.parse().expect("a time"),
        tz: tz.parse().expect("a zone"),
    };
    let rules = Rules {
        freezes: [("weekend".to_owned(), window.into())].into(),
        ..Rules::default()
    };
    world.rules.insert(env("production"), rules);
}

#[test]
pub(super) fn c19() {
    let mut world = World::new();
    // Twenty minutes is the longest that the plan may take.
    freeze(&mut world, "Sat 07:30", "Sat 09:00", "UTC");
    let v1 = world.make(1);
    let id = promote(&mut world, &v1);
    world.wait(minutes(10));
    assert_eq!(
        world.verdict(&id),
        Verdict::Holds,
        "done by half past at the latest"
    );
    world.run_until(&id, &mut |_, _| None, |machine| {
        machine.state().reach == crate::machine::state::Reach::Prepared
    });
    world.wait(minutes(1));
    let late = world.unmet(&id);
    assert!(late[0].reason.contains("it may take 20m"), "{}", late[0].reason);
    world.run(&id);
    assert_eq!(
        world.view(&id).phase(),
        Phase::Waiting,
        "judged again in the transaction that starts it"
    );

    let mut world = World::new();
    freeze(&mut world, "Sat 07:30", "Sat 09:00", "UTC");
    let v1 = world.make(1);
    world.now = at("2026-11-21T07:00:00Z");
    let next = world.ask("production", Kind::Promote, &v1, "dan");
    world.run_until(&next, &mut |_, _| None, |machine| machine.state().touched());
    world.wait(minutes(45));
    world.run(&next);
    assert_eq!(
        world.machine(&next).ended(),
        Some(Outcome::Succeeded),
        "what began finishes"
    );
}

#[test]
pub(super) fn c20() {
    let mut world = World::new();
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("production", &v1);
    world.deploy("production", &v2);
    freeze(&mut world, "Fri 16:00", "Mon 08:00", "Europe/Berlin");
    let stop = EventKind::FrozenByHand {
        reason: "an incident".to_owned(),
    };
    world.tell("production", "eve", None, stop);
    let id = promote(&mut world, &v2);
    assert_eq!(gates_of(&world, &id), [GateKind::Freeze, GateKind::Freeze]);
    world.run(&id);
    world.reject(&id, "eve");
    assert!(
        matches!(world.verdict(&id), Verdict::Refuses { .. }),
        "a no is heard"
    );
    world.asked(&id, Ask::Cancel).expect("cancelling is not held up");
    world.roll_back("production", &v1);
    assert_eq!(
        world.environment("production").current,
        Current::Release(v1.to_ref())
    );
}

#[test]
pub(super) fn c21() {
    let berlin = |from: &str, to: &str| Window::Weekly {
        from: from.parse().expect("a time"),
        to: to.parse().expect("a time"),
        tz: "Europe/Berlin".parse().expect("a zone"),
    };
    let instant = Duration::ZERO;
    let table = [
        // Half-open: from the first minute, up to but not the last.
        ("Fri 16:00", "Mon 08:00", "2026-11-20T14:59:59.999Z", false),
        ("Fri 16:00", "Mon 08:00", "2026-11-20T15:00:00Z", true),
        ("Fri 16:00", "Mon 08:00", "2026-11-23T06:59:59.999Z", true),
        ("Fri 16:00", "Mon 08:00", "2026-11-23T07:00:00Z", false),
        // Local time in summer.
        ("Fri 16:00", "Mon 08:00", "2026-07-17T14:00:00Z", true),
        ("Fri 16:00", "Mon 08:00", "2026-07-17T13:59:59Z", false),
        // 02:30 does not exist on 2026-03-29: as early as it can be, and as late.
        ("Sun 02:30", "Sun 04:00", "2026-03-29T00:30:00Z", true),
        ("Sun 00:30", "Sun 02:30", "2026-03-29T01:29:59Z", true),
        ("Sun 00:30", "Sun 02:30", "2026-03-29T01:30:00Z", false),
        // 02:30 is there twice on 2026-10-25.
        ("Sun 02:30", "Sun 04:00", "2026-10-25T00:30:00Z", true),
        ("Sun 00:30", "Sun 02:30", "2026-10-25T01:29:59Z", true),
        ("Sun 00:30", "Sun 02:30", "2026-10-25T01:30:00Z", false),
        // Across midnight, and across the week.
        ("Tue 22:00", "Wed 02:00", "2026-11-25T00:59:59Z", true),
        ("Tue 22:00", "Wed 02:00", "2026-11-25T01:00:00Z", false),
        ("Sun 22:00", "Mon 02:00", "2026-11-23T00:00:00Z", true),
        // The same on both ends: always.
        ("Mon 00:00", "Mon 00:00", "2026-11-25T12:00:00Z", true),
    ];
    for (from, to, when, frozen) in table {
        assert_eq!(
            berlin(from, to).touches(at(when), instant).is_some(),
            frozen,
            "{from} to {to} at {when}"
        );
    }

    // Evidence that has expired by what the deployment itself recorded does not come back with the clock.
    let mut world = World::new();
    let valid = CheckRule {
        valid_for: Some(minutes(10)),
        ..CheckRule::default()
    };
    checks(&mut world, valid);
    let v1 = world.make(1);
    let passed = world.found("tests", About::Digest(v1.digest()), Finding::Passed);
    attest(&mut world, passed);
    let id = promote(&mut world, &v1);
    world.wait(minutes(10));
    world.run(&id);
    assert_eq!(world.view(&id).phase(), Phase::Waiting);
    world.now = at("2026-11-21T07:05:00Z");
    assert_eq!(gates_of(&world, &id), [GateKind::Check]);

    // Nor does a freeze open for another deployment.
    let mut jumped = World::new();
    freeze(&mut jumped, "Sat 07:00", "Sat 09:00", "UTC");
    let v1 = jumped.make(1);
    let id = promote(&mut jumped, &v1);
    jumped.run(&id);
    assert_eq!(jumped.view(&id).phase(), Phase::Waiting);
    jumped.now = at("2026-11-21T06:00:00Z");
    let id = promote(&mut jumped, &v1);
    assert_eq!(gates_of(&jumped, &id), [GateKind::Freeze]);

    // A deadline is stored as a time: a clock that jumps does not move it.
    world.rules.clear();
    let v2 = world.make(2);
    let id = promote(&mut world, &v2);
    world.run_until(&id, &mut |_, _| None, |machine| machine.state().touched());
    let due = world.machine(&id).wake_at();
    assert_eq!(due, Some(at("2026-11-21T07:15:00Z")));
    world.now = at("2026-11-21T06:00:00Z");
    assert_eq!(world.feed(&id, &[Input::Elapsed]), Err(Rejected::NoChange));
    assert_eq!(world.machine(&id).wake_at(), due);
}

#[test]
pub(super) fn c22() {
    let mut world = World::new();
    freeze(&mut world, "Sat 00:00", "Sat 12:00", "UTC");
    let rules = world.rules.entry(env("production")).or_default();
    let valid = CheckRule {
        valid_for: Some(minutes(60)),
        ..CheckRule::default()
    };
    rules.checks.insert(evidence("tests"), valid);
    let v1 = world.make(1);
    let passed = world.found("tests", About::Digest(v1.digest()), Finding::Passed);
    attest(&mut world, passed);
    let id = promote(&mut world, &v1);
    world.run(&id);
    assert_eq!(gates_of(&world, &id), [GateKind::Freeze]);
    world.now = at("2026-11-21T12:00:00Z");
    world.asked(&id, Ask::Recheck).expect("it waits");
    world.run(&id);
    assert_eq!(world.view(&id).phase(), Phase::Waiting, "no failure");
    assert_eq!(gates_of(&world, &id), [GateKind::Check]);
    let again = world.found("tests", About::Digest(v1.digest()), Finding::Passed);
    attest(&mut world, again);
    world.asked(&id, Ask::Recheck).expect("it waits");
    world.run(&id);
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Succeeded));
}

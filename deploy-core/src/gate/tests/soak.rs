//! Soak counts between two looks that found the release healthy, and bad health starts it again.

use super::*;
use crate::model::ReleaseRef;
use crate::port::target::HealthSeen;

/// v1 was just verified in staging; production wants ten minutes of it. The deployment to production waits.
fn soaking() -> (World, DeploymentId, ReleaseRef) {
    let (mut world, id) = asked(Rules {
        after: [env("staging")].into(),
        soak: minutes(10),
        ..Rules::default()
    });
    let v1 = crate::fixture::release(1);
    world.deploy("staging", &v1);
    (world, id, v1.to_ref())
}

#[test]
fn bad_health_starts_it_again_when_it_is_healthy_again() {
    let (mut world, id, v1) = soaking();
    world.wait(minutes(11));
    world.look("staging", v1, HealthSeen::Unhealthy);
    let unmet = world.unmet(&id);
    assert_eq!((unmet[0].gate, unmet[0].opens), (GateKind::Soak, Opens::ByPeople));
    assert!(
        unmet[0].reason.contains("web host-1: ready: 503"),
        "{}",
        unmet[0].reason
    );
    world.wait(minutes(20));
    assert_eq!(world.unmet(&id).len(), 1, "time alone does not heal it");

    world.look("staging", v1, HealthSeen::Healthy);
    let unmet = world.unmet(&id);
    assert_eq!(unmet[0].opens, Opens::ByTime);
    assert_eq!(
        unmet[0].earliest,
        Some(world.now.after(minutes(10))),
        "from this look"
    );
    world.wait(minutes(10));
    world.look("staging", v1, HealthSeen::Healthy);
    assert_eq!(world.verdict(&id), Verdict::Holds);

    // Long enough once is not long enough for ever: what was found unwell since does not move on.
    world.look("staging", v1, HealthSeen::Stopped);
    assert_eq!(world.unmet(&id)[0].gate, GateKind::Soak);
}

#[test]
fn a_stay_that_is_over_counts_up_to_the_last_healthy_look() {
    for (looked, opens) in [(false, Some(Opens::Never)), (true, None)] {
        let (mut world, id, v1) = soaking();
        world.wait(minutes(10));
        if looked {
            world.look("staging", v1, HealthSeen::Healthy);
        }
        world.wait(minutes(5));
        let v2 = world.make(2);
        world.deploy("staging", &v2);
        assert_eq!(
            world.unmet(&id).first().map(|unmet| unmet.opens),
            opens,
            "{looked}"
        );
    }
}

#[test]
fn what_cannot_be_looked_at_is_not_met() {
    let (mut world, id, _) = soaking();
    world.wait(minutes(11));
    assert_eq!(world.verdict(&id), Verdict::Holds);
    world
        .unseen
        .insert(env("staging"), "host-1 could not be reached".to_owned());
    let unmet = world.unmet(&id);
    assert_eq!(unmet[0].opens, Opens::ByPeople);
    assert!(
        unmet[0].reason.contains("host-1 could not be reached"),
        "{}",
        unmet[0].reason
    );
    let back = world.ask("production", Kind::Rollback, &crate::fixture::release(1), "dan");
    assert_eq!(world.verdict(&back), Verdict::Holds, "a rollback is not held up");
}

#[test]
fn what_the_platform_proves_is_said_and_counts_from_where_its_proof_begins() {
    let met = |world: &World, id: &DeploymentId| {
        let judged = world.gates(id, examine);
        judged.into_iter().find_map(|judged| match judged {
            Judged::Met {
                gate: GateKind::Soak,
                by,
            } => Some(by),
            _ => None,
        })
    };
    for (ago, said) in [
        (
            None,
            Some("healthy in staging for 12m; counted between two healthy looks, nobody looked in between"),
        ),
        (
            Some(60),
            Some("healthy in staging for 12m; the platform proves that nothing broke"),
        ),
        (
            Some(11),
            Some("healthy in staging for 11m; the platform proves that nothing broke"),
        ),
        (Some(3), None),
    ] {
        let (mut world, id, v1) = soaking();
        world.wait(minutes(12));
        let unbroken = ago.map(|ago| Timestamp(world.now.0 - 60_000 * ago));
        world.look_with("staging", v1, HealthSeen::Healthy, unbroken);
        assert_eq!(met(&world, &id).as_deref(), said, "{ago:?}");
    }
}

#[test]
fn who_waits_for_it_goes_on_with_what_waits() {
    let (world, id, _) = soaking();
    assert_eq!(world.unmet(&id)[0].next, format!("deploy resume {}", id.short()));
    let nobody_waits = world.gates(&id, |input| {
        judge(&GateInput {
            deployment: None,
            ..*input
        })
    });
    assert_eq!(
        nobody_waits.unmet()[0].next,
        "deploy promote -e production --release v1"
    );
}

#[test]
fn a_look_at_another_release_or_while_one_comes_says_nothing() {
    let (mut world, id, v1) = soaking();
    world.wait(minutes(11));
    world.look(
        "staging",
        crate::fixture::release(2).to_ref(),
        HealthSeen::Unhealthy,
    );
    world.look("staging", v1, HealthSeen::Unknown);
    assert_eq!(world.verdict(&id), Verdict::Holds);
    let second = world.make(2);
    let next = world.ask("staging", Kind::Deploy, &second, "dan");
    world.run_until(&next, &mut |_, _| None, |machine| machine.state().touched());
    world.look("staging", v1, HealthSeen::Healthy);
    assert!(
        world
            .environment("staging")
            .stays
            .counting(v1.digest)
            .is_some_and(|stay| stay.since.is_none())
    );
}

/// A clock that was put back writes times long past; what happened last did not happen before what happened earlier.
#[test]
fn a_clock_put_back_gives_nothing_an_age() {
    let day = minutes(24 * 60);
    let back = |now: Timestamp| Timestamp(now.0 - i64::try_from(day.as_millis()).expect("a day"));

    let (mut world, _, _) = soaking();
    let v2 = world.make(2);
    let right = world.now;
    world.now = back(right);
    world.deploy("staging", &v2);
    world.now = right.after(minutes(1));
    let id = world.ask("production", Kind::Promote, &v2, "dan");
    let unmet = world.unmet(&id);
    assert_eq!((unmet[0].gate, unmet[0].opens), (GateKind::Soak, Opens::ByTime));
    assert_eq!(unmet[0].earliest, Some(right.after(minutes(10))));

    // A look that found it well after it was unwell is as little a day old.
    let (mut world, id, v1) = soaking();
    world.wait(minutes(20));
    world.look("staging", v1, HealthSeen::Unhealthy);
    let right = world.now;
    world.now = back(right);
    world.look("staging", v1, HealthSeen::Healthy);
    world.now = right.after(minutes(1));
    assert_eq!(world.unmet(&id)[0].earliest, Some(right.after(minutes(10))));
}

/// Nor does it make a check that failed last one that failed before it passed.
#[test]
fn a_clock_put_back_makes_the_last_word_no_earlier_one() {
    let (mut world, id) = asked(Rules {
        checks: [(evidence("tests"), CheckRule::default())].into(),
        ..Rules::default()
    });
    let about = About::Digest(crate::fixture::release(1).digest());
    for (finding, verdict) in [(Finding::Passed, true), (Finding::Failed, false)] {
        let found = world.found("tests", about.clone(), finding);
        world.tell_project("ci", EventKind::EvidenceGiven { evidence: found });
        assert_eq!(world.verdict(&id) == Verdict::Holds, verdict);
        world.now = Timestamp(world.now.0 - 24 * 60 * 60 * 1000);
    }
}

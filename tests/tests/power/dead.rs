//! A host that dies for good in the middle of a fleet: the others go back, it is named with the latest time at which it may still change,
//! and when it is there again, the next command ends it well.

use deploy_tests::machines::Account;
use deploy_tests::wait;

use crate::world::{LIMIT, World, is_whole};

#[test]
fn a_host_that_dies_for_good_is_named_and_the_others_go_back() {
    let mut world = World::new(3, Account::Root);
    world.one_after_the_other();
    let old = world.version();
    let new = world.release();
    let mut run = world.scratch.spawn(&["up", "--json"]);
    let [first, dies, last] = world.machines.all() else {
        panic!("three were started")
    };
    wait::until(LIMIT, "the second host to be switched", || {
        assert!(!run.ended(), "it ended: {:?}", run.wait(LIMIT));
        is_whole(dies, &new)
    });
    dies.power_off();
    // Nobody waits for it: the host that was switched before goes back, while it is still asked for.
    wait::until(LIMIT, "the first host to be back", || is_whole(first, &old));
    // It is asked for as long as going back may take, which is 5 minutes.
    let end = run.wait(LIMIT * 3).expect_code(4);
    for machine in [first, last] {
        assert!(is_whole(machine, &old), "{}: {end:?}", machine.name());
    }
    let told = end.json();
    assert_eq!(told["outcome"], "needs_human", "{told:#}");
    let strays = told["strays"].as_array().expect("strays");
    let [stray] = &strays[..] else { panic!("{told:#}") };
    assert_eq!(
        (&stray["slice"], &stray["runs"]),
        (&"12".into(), &"unknown".into())
    );
    let why = stray["why"].as_str().expect("it says why");
    assert!(why.starts_with("12 cannot be reached: "), "{why}");
    assert!(stray["may_change_until"].is_string(), "{told:#}");
    assert!(
        end.stderr.contains("may still change by itself until "),
        "{end:?}"
    );

    // The next command as it is told, while it is away: which host, and nothing changes.
    let next = stray["next"].as_str().expect("it says what to do");
    assert_eq!(
        next,
        "deploy doctor -e production && deploy rollback -e production --to v1"
    );
    let doctor = world
        .scratch
        .deploy_within(LIMIT, &["doctor", "-e", "production"]);
    assert_ne!(doctor.code, Some(0), "{doctor:?}");
    let up = world.scratch.deploy_within(LIMIT, &["up"]).expect_code(8);
    assert!(up.stderr.contains("12 cannot be reached"), "{up:?}");

    // And when it is there again: it has gone back by itself, and all of them take what comes.
    dies.power_on();
    wait::until(LIMIT, "the host to be back by itself", || is_whole(dies, &old));
    world
        .scratch
        .deploy_within(LIMIT, &["doctor", "-e", "production"])
        .expect_code(0);
    let back = ["rollback", "-e", "production", "--to", "v1", "--yes"];
    world.scratch.deploy_within(LIMIT, &back).expect_code(0);
    world.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    for machine in [first, dies, last] {
        assert!(is_whole(machine, &new), "{}", machine.name());
    }
    world.scratch.deploy(&["audit", "verify"]).expect_code(0);
}

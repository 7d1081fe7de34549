//! Two processes on one environment of one state.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::{procs, wait};

use deploy_engine::store::Holder;

use crate::claim::{Hosts, journal};
use crate::{LIMIT, rounds};

#[test]
fn one_acts_and_the_other_names_the_holder() {
    let shop = Shop::new(Where::Local, 1);
    shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    let mut turns = [0; 2];
    let all = rounds(20, 100);
    for round in 0..all {
        let version = shop.release(Health::Up);
        let mut runs = [(); 2].map(|()| shop.scratch.spawn(&["up", "--no-wait"]));
        let pids = [runs[0].pid(), runs[1].pid()];
        let outputs = [runs[0].wait(LIMIT), runs[1].wait(LIMIT)];
        let codes = [outputs[0].code, outputs[1].code];
        let (acted, refused) = match codes {
            [Some(0), Some(5)] => (0, 1),
            [Some(5), Some(0)] => (1, 0),
            // The second came when the first had ended, and found nothing to do: they did not meet.
            [Some(0), Some(0)] if shop.whole() == Ok(version.clone()) => continue,
            _ => panic!("round {round}: {outputs:?}"),
        };
        turns[acted] += 1;
        let holder = format!("(pid {})", pids[acted]);
        assert!(
            outputs[refused].stderr.contains(&holder),
            "round {round}: {outputs:?}"
        );
        assert_eq!(shop.whole(), Ok(version), "round {round}: {outputs:?}");
    }
    let met: u32 = turns.iter().sum();
    println!(
        "the two met in {met} of {all} rounds; the first acted {} times, the second {} times",
        turns[0], turns[1]
    );
    assert!(
        met * 2 >= all,
        "the two met in {met} of {all} rounds only: too few to prove anything"
    );
    shop.scratch.deploy(&["audit", "verify"]).expect_code(0);
}

/// Where a process is stopped: in the middle of a write on the host, right before one, between two, and at the end.
const STOPPED_AT: [&str; 5] = [
    "effect.activate.before",
    "ssh.claim.after",
    "effect.finish.before",
    "ssh.activate.before",
    "effect.verify.before",
];

/// Rounds at once: a round is mostly the fifteen seconds in which a lease is watched.
const AT_ONCE: usize = 5;

#[test]
fn one_stopped_past_its_lease_writes_nothing_more() {
    let rounds = rounds(5, 100) as usize;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(rounds) {
            scope.spawn(|| {
                let shop = Shop::new(Where::Local, 1);
                shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        break;
                    }
                    stop_past_the_lease(&shop, round, STOPPED_AT[round % STOPPED_AT.len()]);
                }
                shop.release(Health::Up);
                shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
                shop.scratch.deploy(&["audit", "verify"]).expect_code(0);
            });
        }
    });
    println!("{rounds} processes were stopped past their lease, and wrote nothing when they went on");
}

fn stop_past_the_lease(shop: &Shop, round: usize, point: &str) {
    shop.release(Health::Up);
    let log = shop.scratch.root().join(format!("log-{round}"));
    let mut command = shop.scratch.command(&["up"]);
    command.env("DEPLOY_FAILPOINT_LOG", &log);
    let mut sleeper = shop.scratch.spawn_command(command);
    wait::until(LIMIT, point, || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains(point))
    });
    // Stopped in the middle of a write to the state it would keep that locked, and nobody could do anything; that is told in
    // the engine's own tests.
    wait::until(LIMIT, "a stop outside of a write", || {
        sleeper.stop();
        let writes = Holder::of(&shop.scratch.path(".deploy/state.db"))
            .is_some_and(|holder| holder.pid == sleeper.pid());
        if writes {
            sleeper.cont();
        }
        !writes
    });
    assert!(
        !sleeper.ended(),
        "round {round}, {point}: it was stopped too late to prove anything"
    );

    // Another watches it for a whole term, and takes over.
    let resumed = shop.scratch.deploy_within(LIMIT, &["resume"]).expect_code(0);
    let (live, hosts, rows) = (shop.whole(), Hosts::of(shop), journal(shop, &[]));
    live.as_ref()
        .unwrap_or_else(|mixed| panic!("round {round}, {point}: {mixed}\n{resumed:?}"));

    assert!(procs::stopped(sleeper.pid()), "round {round}, {point}");
    sleeper.cont();
    let woken = sleeper.wait(LIMIT);
    assert!(
        matches!(woken.code, Some(5 | 9)),
        "round {round}, {point}: it lost its lease and says otherwise\n{woken:?}"
    );
    // What the other made of it is over: there is nothing to resume.
    assert!(
        woken.stderr.contains("deploy show 01") && !woken.stderr.contains("deploy resume"),
        "round {round}, {point}\n{woken:?}"
    );
    assert_eq!(shop.whole(), live, "round {round}, {point}\n{woken:?}");
    assert_eq!(Hosts::of(shop), hosts, "round {round}, {point}\n{woken:?}");
    assert_eq!(journal(shop, &[]), rows, "round {round}, {point}\n{woken:?}");
}

//! Two processes on one environment of one state.

use std::fs;

use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::{procs, wait};

use crate::claim::{Hosts, journal};
use crate::{LIMIT, rounds};

#[test]
fn one_acts_and_the_other_names_the_holder() {
    let shop = Shop::new(Where::Local, 1);
    shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    let mut turns = [0; 2];
    for round in 0..rounds(20, 100) {
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
    println!(
        "the first acted {} times, the second {} times",
        turns[0], turns[1]
    );
    assert!(turns.iter().sum::<u32>() > 0, "the two never met");
    shop.scratch.deploy(&["audit", "verify"]).expect_code(0);
}

#[test]
fn one_stopped_past_its_lease_writes_nothing_more() {
    let shop = Shop::new(Where::Local, 1);
    shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    let points = [
        "effect.activate.before",
        "ssh.claim.after",
        "effect.finish.before",
        "ssh.activate.before",
        "effect.verify.before",
    ];
    for point in points.into_iter().take(rounds(1, 5) as usize) {
        shop.release(Health::Up);
        let log = shop.scratch.root().join(format!("log-{point}"));
        let mut command = shop.scratch.command(&["up"]);
        command.env("DEPLOY_FAILPOINT_LOG", &log);
        let mut sleeper = shop.scratch.spawn_command(command);
        wait::until(LIMIT, point, || {
            fs::read_to_string(&log).is_ok_and(|text| text.contains(point))
        });
        sleeper.stop();
        assert!(
            !sleeper.ended(),
            "{point}: it was stopped too late to prove anything"
        );

        // Another watches it for a whole term, and takes over.
        let resumed = shop.scratch.deploy_within(LIMIT, &["resume"]).expect_code(0);
        let (live, hosts, rows) = (shop.whole(), Hosts::of(&shop), journal(&shop, &[]));
        live.as_ref()
            .unwrap_or_else(|mixed| panic!("{point}: {mixed}\n{resumed:?}"));

        assert!(procs::stopped(sleeper.pid()), "{point}");
        sleeper.cont();
        let woken = sleeper.wait(LIMIT);
        assert!(
            !matches!(woken.code, Some(0 | 3) | None),
            "{point}: it lost its lease and says otherwise\n{woken:?}"
        );
        // What the other made of it is over: there is nothing to resume.
        assert!(
            woken.stderr.contains("deploy show 01") && !woken.stderr.contains("deploy resume"),
            "{point}\n{woken:?}"
        );
        assert_eq!(shop.whole(), live, "{point}\n{woken:?}");
        assert_eq!(Hosts::of(&shop), hosts, "{point}\n{woken:?}");
        assert_eq!(journal(&shop, &[]), rows, "{point}\n{woken:?}");
    }
    shop.release(Health::Up);
    shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    shop.scratch.deploy(&["audit", "verify"]).expect_code(0);
}

//! Kills at the points that a run passes only where it loses a host of real sshd: its link is cut and is there again before `deploy resume`,
//! or it went back by itself while its deployer slept.

use std::fs;
use std::thread;
use std::time::Duration;

use deploy_tests::running::Running;
use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::wait;

use crate::round::{self, End, LIMIT, Round};

/// Where a run loses the revert that it keeps armed on a host.
const LOST: &str = "effect.keep_armed.after";
/// Where it begins to wait for a host that it cannot reach.
const AWAITED: &str = "effect.reach.before";
/// Where that host answers again.
const REACHED: &str = "effect.reach.after";

/// All of these.
pub(crate) const POINTS: [&str; 3] = [LOST, AWAITED, REACHED];

/// Going back waits half a minute for a host that cannot be reached, at each step, before it does anything else.
const PATIENCE: Duration = LIMIT.saturating_mul(3);

const HOST: &str = "11";

/// Kills a run at each of these points, or at the one that was asked for.
pub(crate) fn where_a_host_is_lost() {
    let only = std::env::var("DEPLOY_POINT").ok();
    let wanted = |point: &&str| only.as_ref().is_none_or(|only| only.starts_with(*point));
    thread::scope(|scope| {
        // Side by side: a run that cannot reach its host mostly waits.
        for point in POINTS.into_iter().filter(wanted) {
            scope.spawn(move || killed_at(point));
        }
    });
}

fn killed_at(point: &str) {
    let shop = Shop::new(Where::Ssh, 1);
    round::settle(&shop);
    let old = shop.whole();
    // Looked at for long enough to lose the host meanwhile.
    shop.watch("20s", "1m");
    if point == LOST {
        shop.scratch.set("DEPLOY_REVERT_AFTER", "6s");
    }
    let mut round = Round::begin(&shop, Health::Up).unwrap_or_else(|mixed| panic!("{}", mixed.0));
    let log = shop.scratch.root().join("passed");
    let mut command = shop.scratch.command(&["up"]);
    command
        .env("DEPLOY_FAILPOINT", point)
        .env("DEPLOY_FAILPOINT_LOG", &log);
    let mut run = shop.scratch.spawn_command(command);
    let passes = |run: &mut Running, name: &str| {
        wait::until(PATIENCE, name, || {
            let passed = fs::read_to_string(&log).unwrap_or_default();
            passed.lines().any(|line| line == name) || run.ended()
        });
    };
    passes(&mut run, "effect.verify.before");
    let fleet = shop.fleet().expect("it is behind ssh");
    let how = match point {
        LOST => {
            run.stop();
            wait::until(LIMIT, "the host to go back by itself", || shop.whole() == old);
            run.cont();
            "while it slept its host went back by itself"
        }
        _ => {
            fleet.unplug(HOST);
            "its host was unplugged while it was looked at"
        }
    };
    if point == REACHED {
        passes(&mut run, AWAITED);
        fleet.restart(HOST);
    }
    let output = run.wait(PATIENCE);
    assert_eq!(output.signal, Some(9), "{point}: {output:?}");
    if point == AWAITED {
        fleet.restart(HOST);
    }
    shop.scratch.unset("DEPLOY_REVERT_AFTER");
    round.note(format!("DEPLOY_FAILPOINT={point} deploy up; {how}"));
    match round.resume() {
        Ok(End::Old) => println!("{point}: killed, and back on the old release"),
        Ok(end) => panic!("{point}: {end:?}, though its host was lost before it was verified"),
        Err(wrong) => panic!("{}", wrong.0),
    }
    round::settle(&shop);
}

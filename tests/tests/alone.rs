//! Hosts that lose their deployer: each goes back by itself, and whoever goes on learns that from the host.
//!
//! The deployer is killed with no chance to say anything. Nobody resumes until every host is on one whole release again.

use std::time::Duration;

use deploy_tests::shop::Where::{Local, Ssh};
use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::wait;

const LIMIT: Duration = Duration::from_mins(1);
/// How long a host waits to be confirmed.
const SPAN: &str = "6s";
/// What `api` waits, which `web` needs, and then 5 s.
const BACK: Duration = Duration::from_secs(6 + 3 + 5);

/// Where a run is killed, and whether it had disarmed a slice by then: such a one does not go back by itself.
const POINTS: [(&str, bool); 5] = [
    ("effect.verify.before:1", false),
    ("effect.look.before:1", false),
    ("effect.confirm.before:1", false),
    ("ssh.confirm.before:1", false),
    ("effect.confirm.after:1", true),
];

#[track_caller]
fn up(shop: &Shop) -> String {
    let version = shop.release(Health::Up);
    shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    assert_eq!(shop.whole(), Ok(version.clone()));
    version
}

fn go_back_alone(place: Where, hosts: usize) {
    let shop = Shop::new(place, hosts);
    shop.scratch.set("DEPLOY_REVERT_AFTER", SPAN);
    for (point, one_confirmed) in POINTS {
        let old = up(&shop);
        let new = shop.release(Health::Up);
        let mut command = shop.scratch.command(&["up"]);
        command.env("DEPLOY_FAILPOINT", point);
        let run = shop.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{point}: {run:?}");
        let switched = |version: &str| {
            let live = shop.live();
            live.into_iter()
                .any(|slice| slice.answers.as_deref() == Some(version))
        };
        assert!(switched(&new), "{point}: nothing was switched");
        // Confirmed is `api` alone: `web`, which needs it, goes back.
        let back = || {
            let mut live = shop.live().into_iter();
            live.all(|slice| {
                let stays = one_confirmed
                    && slice.slice.starts_with("api")
                    && slice.answers.as_deref() == Some(new.as_str());
                stays || (slice.answers.as_deref() == Some(old.as_str()) && slice.on_disk == slice.answers)
            })
        };
        wait::until(BACK, &format!("the hosts to go back, {point}"), back);
        let resumed = shop.scratch.deploy_within(LIMIT, &["resume"]).expect_code(3);
        assert_eq!(
            shop.whole(),
            Ok(old),
            "{point}: a confirmed host among reverted ones\n{resumed:?}"
        );
        assert!(
            resumed.stdout.contains("went back by itself") || resumed.stderr.contains("went back by itself"),
            "{point}: it does not say why\n{resumed:?}"
        );
        shop.scratch.deploy(&["audit", "verify"]).expect_code(0);
    }
    up(&shop);
}

#[test]
fn a_local_host_goes_back() {
    go_back_alone(Local, 1);
}

#[test]
fn a_host_over_ssh_goes_back() {
    go_back_alone(Ssh, 1);
}

#[test]
fn three_hosts_over_ssh_go_back() {
    go_back_alone(Ssh, 3);
}

/// A deployer that comes back in time finds everything armed still, and goes on.
#[test]
fn whoever_comes_back_in_time_goes_on() {
    let shop = Shop::new(Local, 1);
    up(&shop);
    let new = shop.release(Health::Up);
    let mut command = shop.scratch.command(&["up"]);
    command.env("DEPLOY_FAILPOINT", "effect.look.before:1");
    let run = shop.scratch.spawn_command(command).wait(LIMIT);
    assert_eq!(run.signal, Some(9), "{run:?}");
    shop.scratch.deploy_within(LIMIT, &["resume"]).expect_code(0);
    assert_eq!(shop.whole(), Ok(new));
}

/// Looked at for longer than a host waits: it is kept armed as long as that takes.
#[test]
fn a_deployer_that_lives_keeps_its_hosts_from_going_back() {
    let shop = Shop::new(Local, 1);
    shop.scratch.set("DEPLOY_REVERT_AFTER", "4s");
    up(&shop);
    shop.watch("7s", "40s");
    up(&shop);
}

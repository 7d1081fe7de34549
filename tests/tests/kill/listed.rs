//! The points that the parts list, all of which have to kill a run, and those at a run's edges: making the state, another's request,
//! `doctor`.

use std::collections::BTreeSet;
use std::fs;

use deploy_tests::scratch::Scratch;
use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::wait;
use deploy_tests::{pages, points};

use crate::round::{self, LIMIT, Round};
use crate::trouble;

/// Fails unless each listed point has killed a run, here or in the test that has the world for it.
pub(crate) fn complete(killed: &BTreeSet<String>) {
    if std::env::var_os("DEPLOY_POINT").is_some() {
        return;
    }
    let listed: BTreeSet<&str> = deploy_engine::store::FAILPOINTS
        .iter()
        .chain(deploy_engine::drive::POINTS)
        .chain(deploy_target_ssh::FAILPOINTS)
        .chain(&[
            "artifact.made",
            "artifact.kept",
            "engine.end.before",
            "engine.end.after",
        ])
        .copied()
        .collect();
    let elsewhere: BTreeSet<&str> = points::STOPPING
        .into_iter()
        .chain(points::TAKING_TURNS)
        .chain(trouble::POINTS)
        .collect();
    let missed: Vec<_> = listed
        .iter()
        .filter(|name| !killed.contains(**name) && !elsewhere.contains(**name))
        .collect();
    let gone: Vec<_> = elsewhere.difference(&listed).collect();
    println!(
        "{} of {} listed points killed a run; {} do in tests of their own",
        listed.iter().filter(|name| killed.contains(**name)).count(),
        listed.len(),
        elsewhere.len()
    );
    assert!(missed.is_empty(), "no run was killed at {missed:?}");
    assert!(gone.is_empty(), "no part lists these any more: {gone:?}");
}

/// Kills at the points that a plain run does not pass.
pub(crate) fn at_the_edges() -> BTreeSet<String> {
    if std::env::var_os("DEPLOY_POINT").is_some() {
        return BTreeSet::new();
    }
    let mut killed = BTreeSet::new();
    for point in [
        "store.create.before",
        "store.create.file",
        "store.create.commit",
        "store.create.after",
    ] {
        while_the_state_is_made(point);
        killed.insert(point.to_owned());
    }
    for point in ["ssh.guard.before", "ssh.guard.after"] {
        the_first_time_on_a_host(Where::Local, point);
        killed.insert(point.to_owned());
    }
    for point in ["ssh.renew.before", "ssh.renew.after"] {
        while_it_is_kept_armed(point);
        killed.insert(point.to_owned());
    }
    when_what_is_watched_becomes_unwell("effect.watch.after");
    killed.insert("effect.watch.after".to_owned());
    while_another_asks();
    killed.extend(["store.inbox.before", "store.inbox.after"].map(str::to_owned));
    let shop = Shop::new(Where::Local, 1);
    round::settle(&shop);
    for point in ["ssh.doctor.before", "ssh.doctor.after"] {
        let live = shop.live();
        let mut command = shop.scratch.command(&["doctor", "-e", "production"]);
        command.env("DEPLOY_FAILPOINT", point);
        let run = shop.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{point}: {run:?}");
        assert_eq!(shop.live(), live, "{point}");
        killed.insert(point.to_owned());
    }
    round::settle(&shop);
    killed
}

fn while_the_state_is_made(point: &str) {
    let shop = Shop::new(Where::Local, 1);
    let mut command = shop.scratch.command(&["up"]);
    command.env("DEPLOY_FAILPOINT", point);
    let run = shop.scratch.spawn_command(command).wait(LIMIT);
    assert_eq!(run.signal, Some(9), "{point}: {run:?}");
    let live = shop.live();
    assert!(
        live.iter().all(|slice| slice.on_disk.is_none()),
        "{point}: {live:?}"
    );
    let resumed = shop.scratch.deploy_within(LIMIT, &["resume"]);
    assert_eq!(resumed.code, Some(2), "{point}: nothing had begun\n{resumed:?}");
    round::settle(&shop);
    shop.scratch.deploy(&["audit", "verify"]).expect_code(0);
}

/// A unit that reverts is made on a host once.
pub(crate) fn the_first_time_with_systemd() {
    for point in ["ssh.guard.before", "ssh.guard.after"] {
        the_first_time_on_a_host(Where::Systemd, point);
        println!("Systemd, the first time on a host, {point}: killed");
    }
}

/// What reverts is put on a host once.
fn the_first_time_on_a_host(place: Where, point: &str) {
    let shop = Shop::new(place, 1);
    let mut command = shop.scratch.command(&["up"]);
    command.env("DEPLOY_FAILPOINT", point);
    let run = shop.scratch.spawn_command(command).wait(LIMIT);
    assert_eq!(run.signal, Some(9), "{point}: {run:?}");
    let resumed = shop.scratch.deploy_within(LIMIT, &["resume"]);
    assert!(matches!(resumed.code, Some(0 | 2 | 3)), "{point}: {resumed:?}");
    let live = shop.live();
    let none = live.iter().all(|slice| slice.on_disk.is_none());
    assert!(none || shop.whole().is_ok(), "{point}: {live:?}\n{resumed:?}");
    round::settle(&shop);
}

/// api becomes unwell while web is still looked at.
fn when_what_is_watched_becomes_unwell(point: &str) {
    let shop = Scratch::new();
    let sick = shop.root().join("sick").display().to_string();
    let manifest = format!(
        r#"[project]
name = "shop"
[services.api.ssh]
source = "api/"
path = "live/api"
[services.api.health.ready]
command = "! test -e {sick}"
healthy_for = "0s"
interval = "100ms"
deadline = "2s"
[services.web]
needs = ["api"]
[services.web.ssh]
source = "web/"
path = "live/web"
restart = "if grep -q v2 page; then touch {sick}; else rm -f {sick}; fi"
[services.web.health.ready]
command = "true"
healthy_for = "10s"
[environments.development.hosts]
here = {{ local = true }}
"#
    );
    shop.write("deploy.toml", manifest.replace("10s", "100ms"));
    shop.write(".gitignore", "live/\n");
    pages::next(&shop, "v1\n", "Begin");
    shop.deploy_within(LIMIT, &["up"]).expect_code(0);
    shop.write("deploy.toml", manifest);
    pages::next(&shop, "v2\n", "Next");
    let mut command = shop.command(&["up"]);
    command.env("DEPLOY_FAILPOINT", point);
    let run = shop.spawn_command(command).wait(LIMIT);
    assert_eq!(run.signal, Some(9), "{point}: {run:?}");
    let resumed = shop.deploy_within(LIMIT, &["resume"]).expect_code(3);
    let live = ["api", "web"].map(|service| pages::serves(&shop, service));
    assert_eq!(live, ["v1\n", "v1\n"], "{point}: {resumed:?}");
}

/// A release that is looked at for longer than a renewal takes.
fn while_it_is_kept_armed(point: &str) {
    let shop = Shop::new(Where::Local, 1);
    round::settle(&shop);
    shop.watch("3s", "20s");
    shop.scratch.set("DEPLOY_REVERT_AFTER", "4s");
    let mut round = Round::begin(&shop, Health::Up).unwrap_or_else(|mixed| panic!("{mixed:?}"));
    let (killed, run) = round.killed_at(point, &["up"]);
    assert!(killed, "{point}: {run:?}");
    round.resume().unwrap_or_else(|wrong| panic!("{}", wrong.0));
    shop.scratch.unset("DEPLOY_REVERT_AFTER");
    round::settle(&shop);
}

/// Somebody asks a run that lives to stop, and is killed while asking; then somebody is heard.
fn while_another_asks() {
    let shop = Shop::new(Where::Local, 1);
    round::settle(&shop);
    let old = shop.whole();
    // A run that lives until it is asked: a bake that nobody sits through.
    let manifest = fs::read_to_string(shop.scratch.path("deploy.toml")).expect("a shop has a manifest");
    shop.scratch.write(
        "deploy.toml",
        manifest.replace("bake = \"50ms\"", "bake = \"10m\""),
    );
    let new = shop.release(Health::Up);
    let log = shop.scratch.root().join("log");
    let mut command = shop.scratch.command(&["up"]);
    command.env("DEPLOY_FAILPOINT_LOG", &log);
    let mut up = shop.scratch.spawn_command(command);
    wait::until(LIMIT, "the run to bake", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("effect.bake.before"))
    });
    assert_eq!(shop.whole(), Ok(new));
    for point in ["store.inbox.before", "store.inbox.after"] {
        let mut command = shop.scratch.command(&["cancel"]);
        command.env("DEPLOY_FAILPOINT", point);
        let run = shop.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{point}: {run:?}");
        assert!(
            !up.ended() || point == "store.inbox.after",
            "{point}: {:?}",
            up.stderr()
        );
    }
    // What was written before the kill is heard.
    let run = up.wait(LIMIT).expect_code(3);
    assert_eq!(shop.whole(), old, "{run:?}");
}

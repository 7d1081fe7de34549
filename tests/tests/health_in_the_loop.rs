//! Health decides: windows that have to be full, services that nobody touched, the last look before the commit point, and a bake
//! that breaks.

use deploy_tests::scratch::Scratch;
use deploy_tests::service::{Behaviour, WebRelease};
use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::wait::PATIENCE;
use serde_json::Value;

/// What each service of a result says became of it.
fn releases(result: &Value) -> Vec<(&str, &str)> {
    let services = result["services"].as_array().into_iter().flatten();
    services
        .map(|service| {
            let word = |key: &str| service[key].as_str().unwrap_or_default();
            (word("service"), word("release"))
        })
        .collect()
}

/// The versions that answer, api's first.
fn answers(shop: &Shop) -> Vec<String> {
    let live = shop.live();
    live.into_iter()
        .map(|slice| slice.answers.unwrap_or_default())
        .collect()
}

#[test]
fn one_good_look_fills_no_window_and_what_was_not_touched_stays() {
    let shop = Shop::new(Where::Local, 1);
    shop.watch("1s", "10s");
    let first = shop.release(Health::Up);
    shop.scratch.deploy(&["up"]).expect_code(0);
    let api = || std::fs::read_to_string(shop.scratch.units().join("run/api-11.pid")).unwrap_or_default();
    let ran = api();

    let second = shop.release_web(WebRelease::healthy);
    let result = shop.scratch.deploy(&["up", "--json"]).expect_code(0).json();
    assert_eq!(answers(&shop), [first.clone(), second.clone()], "{result:#}");
    assert_eq!(api(), ran, "api was restarted");

    // Two good looks, a bad one: never a second of good ones. Without a window it would pass.
    let flaps = |version: &str| {
        let behaviour = Behaviour {
            flap_every: Some(3),
            ..Behaviour::default()
        };
        WebRelease::behaving(version, behaviour)
    };
    shop.release_web(flaps);
    let result = shop.scratch.deploy(&["up", "--json"]).expect_code(3).json();
    assert_eq!(result["outcome"], "rolled_back", "{result:#}");
    assert_eq!(result["failure"]["service"], "web", "{result:#}");
    assert_eq!(answers(&shop), [first, second], "{result:#}");
    assert_eq!(api(), ran, "api was restarted");
    assert_eq!(releases(&result).len(), 2, "{result:#}");
}

/// Two services whose health is a file; api is looked at twice a day.
fn by_files(web: &str) -> Scratch {
    let shop = Scratch::new();
    let root = shop.project().display().to_string();
    shop.write(".gitignore", "live/\nsick-*\nlook-*\n");
    shop.write_script("look-api", &format!("#!/bin/sh\n! test -e {root}/sick-api\n"));
    shop.write(
        "deploy.toml",
        format!(
            r#"[project]
name = "shop"
[services.api.ssh]
source = "api/"
path = "live/api"
[services.api.health.ready]
command = "{root}/look-api"
healthy_for = "0s"
interval = "12h"
deadline = "13h"
[services.web]
needs = ["api"]
{web}
[services.web.ssh]
source = "web/"
path = "live/web"
restart = """
if grep -q breaks page; then touch {root}/sick-api
elif grep -q blinds page; then mv {root}/look-api {root}/look-away
elif grep -q v1 page; then rm -f {root}/sick-*; test ! -e {root}/look-away || mv {root}/look-away {root}/look-api
fi"""
[services.web.health.ready]
command = "! test -e {root}/sick-web"
healthy_for = "0s"
interval = "100ms"
[environments.development.hosts]
here = {{ local = true }}
"#
        ),
    );
    next(&shop, "v1");
    shop.deploy(&["up"]).expect_code(0);
    shop
}

fn next(shop: &Scratch, page: &str) {
    shop.write("api/page", page);
    shop.write("web/page", page);
    shop.commit(page);
}

fn serves(shop: &Scratch) -> [String; 2] {
    ["api", "web"].map(|service| {
        std::fs::read_to_string(shop.path(format!("live/{service}/current/page"))).unwrap_or_default()
    })
}

/// It was well when it was verified, and nobody has looked since: the last look before the commit point does.
#[test]
fn the_last_look_is_at_health_too() {
    let shop = by_files("");
    next(&shop, "breaks");
    let result = shop.deploy(&["up", "--json"]).expect_code(3).json();
    assert_eq!(result["outcome"], "rolled_back", "{result:#}");
    assert_eq!(result["failure"]["service"], "api", "{result:#}");
    assert_eq!(serves(&shop), ["v1", "v1"]);
}

/// What is verified is watched until all are: nobody waits for the others' windows to end first.
#[test]
fn what_was_verified_is_watched_while_others_move() {
    let shop = by_files("");
    let manifest = std::fs::read_to_string(shop.path("deploy.toml")).expect("it is there");
    let often = manifest.replace("interval = \"12h\"", "interval = \"100ms\"");
    let (api, web) = often.split_once("[services.web]").expect("web comes last");
    let web = web.replace("healthy_for = \"0s\"", "healthy_for = \"20s\"");
    shop.write("deploy.toml", format!("{api}[services.web]{web}"));
    next(&shop, "breaks");
    let events = shop.deploy(&["up", "--events"]).expect_code(3).events();
    let verified = |slice: u64| {
        let of = |event: &&Value| event["type"] == "slice_verified" && event["slice"] == slice;
        events.iter().filter(of).count()
    };
    assert_eq!((verified(0), verified(1)), (1, 0), "{events:#?}");
    assert_eq!(serves(&shop), ["v1", "v1"]);
}

/// Nobody saw that it was unwell: it goes back, and is neither barred nor does it stop the line.
#[test]
fn what_cannot_be_looked_at_goes_back_and_is_not_called_unwell() {
    let shop = by_files("");
    next(&shop, "blinds");
    let result = shop.deploy(&["up", "--json"]).expect_code(3).json();
    assert_eq!(result["outcome"], "rolled_back", "{result:#}");
    assert_eq!(result["failure"]["service"], "api", "{result:#}");
    assert_eq!(result["failure"]["code"], "DPL0603", "{result:#}");
    assert_eq!(serves(&shop), ["v1", "v1"]);
    let status = shop.deploy(&["status"]).expect_code(0);
    assert!(!status.stdout.contains("frozen"), "{status:?}");
    let known = shop.deploy(&["releases", "--json"]).expect_code(0).json();
    assert_eq!(known["releases"][0]["yanked"], Value::Null, "{known:#}");
    // It may be tried again.
    next(&shop, "v2");
    shop.deploy(&["up"]).expect_code(0);
}

#[test]
fn a_bake_that_breaks_turns_back() {
    let shop = by_files("bake = \"15s\"");
    next(&shop, "v2");
    let mut run = shop.spawn(&["up", "--events"]);
    run.until_says(PATIENCE, "bake_begun");
    assert_eq!(serves(&shop), ["v2", "v2"]);
    shop.write("sick-web", "");
    let output = run.wait(PATIENCE).expect_code(3);
    let rows = output.events();
    let result = rows.last().expect("the last is the result");
    assert_eq!(result["type"], "result");
    assert!(rows.iter().any(|row| row["type"] == "turned_back"), "{result:#}");
    assert_eq!(serves(&shop), ["v1", "v1"], "{result:#}");
}

/// An answer may quote what the service was given: it is masked wherever it is told or kept.
#[test]
fn what_a_service_answers_tells_no_secret() {
    let shop = Scratch::new();
    let port = deploy_tests::sshd::free_port("127.0.0.1");
    let unit = deploy_tests::service::Unit::web("web", &shop.root().join("web/current"), &port.to_string());
    unit.install(&shop.units());
    let restart = deploy_tests::service::restart_command(&shop.units(), "web");
    shop.write(
        "deploy.toml",
        format!(
            r#"[project]
name = "shop"
[services.web]
secrets = ["TOKEN"]
[services.web.ssh]
source = "web/"
path = "{}/web"
restart = """{restart}"""
[services.web.health.ready]
http = "http://127.0.0.1:{port}/health"
expect = {{ json = {{ "/status" = ["UP"] }} }}
healthy_for = "0s"
interval = "100ms"
deadline = "1s"
[environments.development.secrets]
TOKEN = {{ env = "TOKEN" }}
[environments.development.hosts]
here = {{ local = true }}
"#,
            shop.root().display()
        ),
    );
    shop.set("TOKEN", "hunter2-and-more");
    shop.write_web("web", &WebRelease::healthy("1"));
    shop.commit("Up");
    shop.deploy(&["up"]).expect_code(0);
    let told = WebRelease {
        health: serde_json::json!({"status": "DOWN", "denied": "hunter2-and-more"}),
        ..WebRelease::healthy("2")
    };
    shop.write_web("web", &told);
    shop.commit("Down");
    let output = shop.deploy(&["up", "--json"]).expect_code(3);
    let failure = output.json()["failure"].to_string();
    assert!(failure.contains("DOWN") && failure.contains("***"), "{failure}");
    let kept = shop.deploy(&["audit", "export", "--events"]).expect_code(0);
    shop.write_web(
        "web",
        &WebRelease {
            version: "3".to_owned(),
            ..told.clone()
        },
    );
    shop.commit("Down again");
    let events = shop.deploy(&["up", "--events", "-v"]).expect_code(3);
    let people = shop.deploy(&["show"]).expect_code(0);
    // Others look at what runs, and one takes over a deployment that another process began.
    shop.write(
        "deploy.toml",
        std::fs::read_to_string(shop.path("deploy.toml"))
            .expect("it is there")
            .replace("[services.web]\n", "[services.web]\nbake = \"1h\"\n"),
    );
    shop.write_web("web", &WebRelease::healthy("4"));
    shop.commit("Up, and to be watched");
    let mut run = shop.spawn(&["up", "--events"]);
    run.until_says(PATIENCE, "bake_begun");
    run.signal(rustix::process::Signal::KILL);
    run.wait(PATIENCE);
    let answers = shop.root().join("web/current/health.json");
    std::fs::write(&answers, r#"{"status": "hunter2-and-more"}"#).expect("it is ours");
    let restarted = std::process::Command::new("sh").args(["-c", &restart]).status();
    assert!(restarted.is_ok_and(|status| status.success()), "{restart}");
    let verified = shop.deploy(&["verify", "-e", "development"]);
    assert!(verified.stdout.contains("***"), "{verified:?}");
    let looked = shop.deploy(&["status", "--refresh", "--json"]);
    let resumed = shop.deploy(&["resume", "--json"]).expect_code(3);
    let failure = resumed.json()["failure"].to_string();
    assert!(failure.contains("***"), "{failure}");
    let kept_now = shop.deploy(&["audit", "export", "--events"]).expect_code(0);
    for output in [
        &output, &kept, &events, &people, &verified, &looked, &resumed, &kept_now,
    ] {
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

//! `deploy run`.

use std::fs;

use deploy_tests::procs;
use deploy_tests::wait::{PATIENCE, until};
use insta::assert_snapshot;
use rustix::process::Signal;

use crate::world::{SECRET, World};

#[test]
fn a_command_runs_everywhere_as_the_service() {
    let world = World::up("");
    let text =
        "echo \"$COLOUR $TOKEN $DEPLOY_HOST\"; cat page; echo oops >&2; test $DEPLOY_HOST = web-1 || exit 3";
    let said = world.deploy(&["run", "-s", "web", "--host", "web-1", "--", text]);
    assert_snapshot!("a command that goes well", world.look(&said));
    let said = world.deploy(&["run", "-s", "web", "--host", "web-2", "--", text]);
    assert_snapshot!("a command that fails", world.look(&said));

    let object = world
        .deploy(&["run", "-s", "web", "--json", "--", text])
        .expect_code(1)
        .json();
    assert_eq!(object["schema"], "deploy.run/1", "{object}");
    let hosts = object["hosts"].as_array().expect("a list");
    let ends: Vec<_> = hosts
        .iter()
        .map(|host| (host["host"].as_str(), host["status"].as_i64()))
        .collect();
    assert_eq!(ends, [(Some("web-1"), Some(0)), (Some("web-2"), Some(3))]);
    assert_eq!(hosts[1]["stdout"], "blue *** web-2\nv1\n");
    assert_eq!(hosts[1]["stderr"], "oops\n");
    let events = world
        .deploy(&["run", "--events", "--", "echo", "a  b"])
        .expect_code(0)
        .events();
    let lines: Vec<_> = events.iter().filter(|event| event["type"] == "output").collect();
    assert_eq!(lines.len(), 2, "{events:?}");
    assert!(
        lines
            .iter()
            .all(|line| line["line"] == "a  b" && line["stream"] == "stdout"),
        "{lines:?}"
    );
    assert_eq!(events.last().expect("a result")["type"], "result");

    // Who ran what where is in the journal, without what the hosts know as a secret.
    let typed = format!("true {SECRET}");
    world
        .deploy(&["run", "--host", "web-1", "--", &typed])
        .expect_code(0);
    let begun = world.audit("command_begun");
    let last = begun.last().expect("it is there");
    assert_eq!(last["command"], "true ***");
    assert_eq!(last["hosts"], serde_json::json!(["web-1"]));
    let ended = world.audit("command_ended");
    assert_eq!(ended.len(), begun.len());
    assert_eq!(ended.last().expect("it is there")["ended"]["web-1"], "status 0");
    assert_eq!(ended[1]["ended"]["web-2"], "status 3", "{ended:?}");
    let journal = world.deploy(&["audit", "export", "--events"]).stdout;
    assert!(!journal.contains(SECRET), "{journal}");
    world.deploy(&["audit", "verify"]).expect_code(0);
}

#[test]
fn a_host_that_is_away_is_named_and_stops_no_other() {
    let world = World::up("");
    world.fleet.kill("web-2");
    let said = world.deploy(&["run", "--", "echo here"]);
    assert_snapshot!(world.look(&said));
    let said = world
        .deploy(&["run", "--host", "web-3", "--", "true"])
        .expect_code(2);
    assert!(said.stderr.contains("web-3 is no host of production"), "{said:?}");
    let said = world.deploy(&["run", "-s", "api", "--", "true"]).expect_code(2);
    assert!(said.stderr.contains("there is no service api"), "{said:?}");
}

#[test]
fn it_asks_as_a_deployment_does() {
    let world = World::up("confirm = true");
    let said = world.deploy(&["run", "--", "true"]);
    assert_snapshot!(world.look(&said));
    assert!(world.audit("command_begun").is_empty());
    world
        .deploy(&["run", "--confirm", "production", "--", "true"])
        .expect_code(0);
    // To read is nothing to confirm.
    fs::write(
        world.fleet.host("web-1").root().join("srv/web/shared/log/a.log"),
        "x\n",
    )
    .expect("it is shared");
    world
        .deploy(&["logs", "-s", "web", "--host", "web-1"])
        .expect_code(0);
}

#[test]
fn whoever_may_not_deploy_may_not_run() {
    let world = World::bare("allow = { deploy = [\"operators\"] }");
    let manifest = fs::read_to_string(world.shop.path("deploy.toml")).expect("it is there");
    world.shop.write(
        "deploy.toml",
        manifest + "[groups]\noperators = [\"nobody@shop.example\"]\n",
    );
    let said = world.deploy(&["run", "--", "true"]).expect_code(7);
    assert!(said.stderr.contains("that is for operators"), "{said:?}");
}

/// Ctrl-C, and a kill that nobody can do anything about: either way nothing is left on the hosts.
#[test]
fn nothing_is_left_on_the_hosts() {
    let world = World::up("");
    for signal in [Signal::INT, Signal::KILL] {
        let mut run = world.shop.spawn(&["run", "--", "echo $$; exec sleep 600"]);
        let found = || -> Vec<u32> {
            let said = run.stdout();
            let words = said
                .lines()
                .filter_map(|line| line.split_whitespace().nth(1)?.parse().ok());
            words.collect()
        };
        until(PATIENCE, "both hosts to have begun", || found().len() == 2);
        let pids = found();
        assert!(pids.iter().all(|pid| procs::runs(*pid)));
        run.signal(signal);
        let output = run.wait(PATIENCE);
        until(PATIENCE, "the hosts to have ended it", || {
            !pids.iter().any(|pid| procs::runs(*pid))
        });
        if signal == Signal::INT {
            assert_eq!(output.code, Some(1), "{output:?}");
            let ended = world.audit("command_ended");
            assert_eq!(
                ended.last().expect("it is there")["ended"]["web-1"],
                "was ended, as asked"
            );
        } else {
            assert_eq!(
                world.audit("command_begun").len(),
                2,
                "what was begun is in the journal"
            );
        }
    }
    let slow = world
        .deploy(&["run", "--timeout", "1s", "--host", "web-1", "--", "sleep", "600"])
        .expect_code(1);
    assert!(
        slow.stderr.contains("took longer than its time limit"),
        "{slow:?}"
    );
}

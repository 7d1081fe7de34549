//! What is decided while a deployment prepares, and even while its gates are judged: nothing is activated on what was true before.

use deploy_tests::running::Running;
use deploy_tests::scratch::Scratch;
use deploy_tests::wait::{PATIENCE, until};
use serde_json::Value;

use crate::world::{ended, serves, told, up};

const RULES: &str = "[services.api.hooks.slow]\nat = \"prepare\"\ncommand = \"touch ../../../../hold-begun; \
     while test -e ../../../../hold-prepare; do sleep 0.1; done\"\n\
     [environments.development]\nchecks = [\"tests\"]\nbranches = [\"main\"]\n";

/// A deployment whose check has passed, in the middle of its hook at `prepare`.
fn prepares() -> (Scratch, Running) {
    let shop = up(RULES);
    told(&shop, &["attest", "tests"], 0);
    shop.write("hold-prepare", "");
    // Whoever asks git which branches contain a commit waits, once that is asked for.
    shop.write_script(
        "../bin/git",
        &format!(
            "#!/bin/sh\nPATH=${{PATH#*:}}\ncase $* in *--contains*) if test -e '{0}/hold-git'; then touch '{0}/hold-asked'; \
             while test -e '{0}/hold-git'; do sleep 0.1; done; fi;; esac\nexec git \"$@\"\n",
            shop.project().display()
        ),
    );
    let mut command = shop.command(&["up", "--json"]);
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    command.env("PATH", format!("{}:{path}", shop.root().join("bin").display()));
    let run = shop.spawn_command(command);
    until(PATIENCE, "the hook to run", || shop.path("hold-begun").exists());
    (shop, run)
}

fn go_on(shop: &Scratch, file: &str) {
    std::fs::remove_file(shop.path(file)).expect("it is there");
}

#[track_caller]
fn stopped(shop: &Scratch, run: &mut Running, code: i32, gate: &str) -> Value {
    let result = run.wait(PATIENCE).expect_code(code).json();
    assert_eq!(result["unmet"][0]["gate"], gate, "{result:#}");
    assert_eq!(result["changed"], false, "{result:#}");
    assert_eq!(serves(shop), "v1");
    result
}

#[test]
fn a_line_that_is_stopped_while_it_prepares_stops_it() {
    let (shop, mut run) = prepares();
    told(&shop, &["freeze", "--reason", "the fair"], 0);
    go_on(&shop, "hold-prepare");
    stopped(&shop, &mut run, 11, "freeze");
    told(&shop, &["unfreeze"], 0);
    ended(&shop, &["resume"], 0, "succeeded");
    assert_eq!(serves(&shop), "v2");
}

#[test]
fn a_check_that_is_taken_back_while_it_prepares_refuses() {
    let (shop, mut run) = prepares();
    told(&shop, &["attest", "tests", "--failed"], 0);
    go_on(&shop, "hold-prepare");
    stopped(&shop, &mut run, 6, "check");
}

/// The gates were judged by what was known a moment ago: they are judged again, whichever stream the news came in.
#[test]
fn what_comes_while_the_gates_are_judged_counts() {
    for (news, code, gate) in [
        (&["attest", "tests", "--failed"][..], 6, "check"),
        (&["freeze", "--reason", "the fair"], 11, "freeze"),
    ] {
        let (shop, mut run) = prepares();
        shop.write("hold-git", "");
        go_on(&shop, "hold-prepare");
        until(PATIENCE, "the gates to be judged", || {
            shop.path("hold-asked").exists()
        });
        told(&shop, news, 0);
        go_on(&shop, "hold-git");
        stopped(&shop, &mut run, code, gate);
    }
}

//! What people wrote may hold anything. It moves no cursor, clears no screen and forges no line, wherever it is shown.

use deploy_tests::process::Output;

use crate::world::{ALICE, APPROVAL, BOB, asks, next, up};

/// Clears the screen, in both forms, goes up a line, and begins a line that looks like ours.
const WORDS: &str = "fair\u{1b}[2J\u{9b}2J\u{1b}[1A\r\u{8}\u{7f}\n\u{1b}[32m✓ every gate holds";

/// Words that are there, in one line and without what a terminal would act on.
#[track_caller]
fn harmless(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let acts = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(acts, None, "{output:?}");
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with("✓ every gate") || line.starts_with("[32m")),
            "{output:?}"
        );
    }
}

#[test]
fn what_people_wrote_does_nothing_to_a_terminal() {
    let shop = up(&format!(
        "{APPROVAL}[environments.development.checklist]\nbaskets = \"Baskets counted\"\n"
    ));
    let said = |arguments: &[&str]| {
        let output = shop.deploy(arguments);
        harmless(&output);
        output
    };
    let id = {
        let told = shop.deploy(&["up", "--reason", WORDS, "--json"]);
        harmless(&told);
        told.json()["deployment"].as_str().expect("it waits").to_owned()
    };
    asks(&shop, BOB);
    said(&["approve", &id, "--reason", WORDS]);
    said(&["attest", &id, "baskets", "--note", WORDS]);
    asks(&shop, ALICE);
    said(&["freeze", "--reason", WORDS]);
    said(&["yank", "v2", "--reason", WORDS]);
    let status = said(&["status"]).expect_code(0);
    assert!(status.stdout.contains("frozen: fair[2J"), "{status:?}");
    for arguments in [
        &["gates", "--release", "v2"][..],
        &["gates", "--release", "v1"],
        &["plan", "--release", "v2"],
        &["releases"],
        &["history"],
        &["show", &id],
        &["audit"],
        &["audit", "--events"],
        &["status", "--json"],
        &["resume", &id],
        &["show", &id],
        &["show", &id, "--json"],
    ] {
        said(arguments);
    }
    said(&["unfreeze"]);
    next(&shop, WORDS.lines().next().expect("a line"));
    said(&["up"]).expect_code(11);
    said(&["show"]).expect_code(0);
}

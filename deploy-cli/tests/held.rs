//! Somebody else drives the environment: whoever waits is told who, since when and at which step; a cancel from beside is heard; and
//! how a deployment that was cancelled reads for programs.

mod common;

use common::{Home, LOCAL};

/// A deployment whose health window is as long as a variable says.
fn slow() -> Home {
    let manifest = LOCAL.replace(
        "healthy_for = \"1s\"",
        "healthy_for = \"${WINDOW:-100ms}\"\ndeadline = \"60s\"",
    );
    let home = Home::with(&[
        ("deploy.toml", &manifest),
        (".gitignore", ".deploy/\nlive*\n"),
        ("index.html", "hello\n"),
    ]);
    home.git(&["init", "-q"]);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "Begin"]);
    home
}

const UP: [&str; 4] = ["up", "-e", "development", "--events"];
const LONG: [(&str, &str); 1] = [("WINDOW", "30s")];

#[test]
fn whoever_waits_is_told_at_once_who_holds_it_and_at_which_step() {
    let home = slow();
    let first = home.start(&UP, &LONG, "slice_activated");
    let log = home.start(&["up", "-e", "development"], &[], "waiting for its end");
    assert!(
        log.said.contains("alice@") && log.said.contains("(pid "),
        "{}",
        log.said
    );
    assert!(
        log.said.contains("has held development (deployment 01") && log.said.contains("since 20"),
        "{}",
        log.said
    );
    let events = home.start(&UP, &[], "waits_for_holder");
    let line: serde_json::Value = serde_json::from_str(&events.said).expect("an object");
    assert_eq!(line["environment"], "development", "{line}");
    assert!(
        line["holder"]["who"]
            .as_str()
            .is_some_and(|who| who.starts_with("alice@")),
        "{line}"
    );
    assert!(
        line["holder"]["deployment"].is_string() && line["until"].is_string(),
        "{line}"
    );

    let refused = home.run(&["up", "-e", "development", "--no-wait"]);
    assert!(refused.starts_with("exit 5\n"), "{refused}");
    for word in ["alice@", "since 20", "now at: ", "deploy watch 01"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    drop((log, events, first));
}

#[test]
fn a_cancel_ends_as_every_deployment_does_and_exits_as_its_object_says() {
    let home = slow();
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    home.write("index.html", b"second\n");
    home.git(&["commit", "-qam", "Second"]);

    // A live holder is told: that is not the end of it.
    let mut driven = home.start(&UP, &LONG, "slice_activated");
    let (told, code) = home.json(&["cancel", "--json"]);
    assert_eq!(told["schema"], "deploy.result/1", "{told}");
    // It may have heard and gone back before we look.
    let ended = told["outcome"] == "rolled_back";
    let wanted = if ended { 0 } else { 9 };
    assert!(ended || told["outcome"] == "open", "{told}");
    assert_eq!((&told["code"], code), (&wanted.into(), wanted), "{told}");
    driven.until("\"type\":\"result\"");
    assert_eq!(driven.end().0, Some(3));

    // Nobody drives it: it goes back here, which is what was asked for.
    let left = home.start(&UP, &LONG, "slice_activated");
    left.signal("-TERM");
    assert_eq!(left.end().0, Some(9));
    let (back, code) = home.json(&["cancel", "--json"]);
    assert_eq!(back["schema"], "deploy.result/1", "{back}");
    assert_eq!(
        (back["outcome"].as_str(), &back["code"], code),
        (Some("rolled_back"), &0.into(), 0),
        "{back}"
    );

    // Given up as it stands.
    let left = home.start(&UP, &LONG, "slice_activated");
    left.signal("-TERM");
    assert_eq!(left.end().0, Some(9));
    let (given_up, code) = home.json(&["cancel", "--force", "--yes", "--json"]);
    assert_eq!(given_up["schema"], "deploy.result/1", "{given_up}");
    assert_eq!(
        (given_up["outcome"].as_str(), &given_up["code"], code),
        (Some("needs_human"), &4.into(), 4),
        "{given_up}"
    );

    let (history, _) = home.json(&["history", "--json"]);
    let rows = history["deployments"].as_array().expect("rows");
    let words: Vec<_> = rows.iter().filter_map(|row| row["outcome"].as_str()).collect();
    assert_eq!(
        words,
        ["needs_human", "rolled_back", "rolled_back", "succeeded"],
        "{history}"
    );
}

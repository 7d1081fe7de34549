//! Interrupted while a deployment runs: no further step starts, the command to go on is printed, exit 9 within five seconds; the
//! deployment is brought to an end by whoever resumes it. Where nothing began, 130.

mod common;

use common::{Home, LOCAL, Running};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A project of one commit. A page that says `bad` is not healthy, and has every restart from then on held up: while `hold` is
/// there, none ends.
fn shop(bake: &str) -> Home {
    let home = Home::new();
    let at = home.project();
    let at = at.display();
    let manifest = LOCAL
        .replace(
            "path = \"live\"\n",
            &format!("path = \"live\"\nrestart = \"while test -e {at}/hold; do sleep 0.1; done\"\n"),
        )
        .replace(
            "[services.web.ssh]",
            &format!("[services.web]\nbake = \"{bake}\"\n[services.web.ssh]"),
        )
        .replace(
            "command = \"true\"\nhealthy_for = \"1s\"",
            &format!(
                "command = \"grep -qv bad {at}/live/current/index.html || {{ touch {at}/hold; false; }}\"\n\
                 healthy_for = \"${{WINDOW:-100ms}}\"\ndeadline = \"${{DEADLINE:-30s}}\""
            ),
        );
    home.write("deploy.toml", manifest.as_bytes());
    home.write(".gitignore", b".deploy/\nlive*\nhold\n");
    home.write("index.html", b"hello\n");
    home.git(&["init", "-q"]);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "Begin"]);
    home
}

const UP: [&str; 4] = ["up", "-e", "development", "--events"];

/// Holds the lock of the service's place, as a write that does not end would.
struct Lock(Child);

impl Lock {
    fn of(home: &Home) -> Self {
        let mut child = Command::new("flock")
            .args(["live/.deploy/lock", "sh", "-c", "echo held; exec cat"])
            .current_dir(home.project())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("flock runs");
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut said).expect("text");
        assert_eq!(said, "held\n");
        Self(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _over = self.0.wait();
    }
}

/// A moment to interrupt: what stands in the way, and the event after which it does.
struct Moment {
    name: &'static str,
    bake: &'static str,
    variables: &'static [(&'static str, &'static str)],
    page: &'static str,
    event: &'static str,
    /// Whether the place's lock is held by somebody else.
    locked: bool,
    /// How it ends when it is resumed.
    resumed: &'static [&'static str],
}

const MOMENTS: [Moment; 4] = [
    Moment {
        name: "claiming",
        bake: "0s",
        variables: &[],
        page: "second\n",
        event: "\"gated\"",
        locked: true,
        resumed: &["exit 0\n"],
    },
    Moment {
        name: "verifying",
        bake: "0s",
        variables: &[("WINDOW", "8s")],
        page: "second\n",
        event: "\"slice_activated\"",
        locked: false,
        resumed: &["exit 0\n", "exit 3\n"],
    },
    Moment {
        name: "baking",
        bake: "30s",
        variables: &[],
        page: "second\n",
        event: "\"bake_begun\"",
        locked: false,
        resumed: &[],
    },
    Moment {
        name: "restoring",
        bake: "0s",
        variables: &[("DEADLINE", "1s")],
        page: "bad\n",
        event: "\"restore_intended\"",
        locked: false,
        resumed: &["exit 3\n"],
    },
];

fn ends_soon(run: Running, signal: &str, name: &str) -> (Option<i32>, String, String) {
    let began = Instant::now();
    run.signal(signal);
    let (code, said, errors) = run.end();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{name}: {took:?} {said}{errors}");
    (code, said, errors)
}

fn interrupted_by(signal: &str) {
    for moment in &MOMENTS {
        let Moment { name, .. } = moment;
        let home = shop(moment.bake);
        if moment.bake == "0s" {
            let first = home.run(&["up", "-e", "development"]);
            assert!(first.starts_with("exit 0\n"), "{name}: {first}");
        }
        home.write("index.html", moment.page.as_bytes());
        home.git(&["commit", "-qam", "Second"]);
        let lock = moment.locked.then(|| Lock::of(&home));
        let run = home.start(&UP, moment.variables, moment.event);
        let (code, said, errors) = ends_soon(run, signal, name);
        assert_eq!(code, Some(9), "{name}: {said}{errors}");
        assert!(errors.contains("deploy resume 01"), "{name}: {errors}");
        let result = said.lines().next_back().unwrap_or_default();
        assert!(
            result.contains("\"type\":\"result\"") && result.contains("\"code\":9"),
            "{name}: {result}"
        );
        drop(lock);
        // Nothing is in the way any more; it has never been there for most.
        let _free = std::fs::remove_file(home.project().join("hold"));
        if moment.resumed.is_empty() {
            let back = home.run(&["cancel"]);
            assert!(back.starts_with("exit 0\n"), "{name}: {back}");
        } else {
            let resumed = home.run(&["resume"]);
            let fits = moment.resumed.iter().any(|end| resumed.starts_with(end));
            assert!(fits, "{name}: {resumed}");
            assert!(resumed.contains("taken up again by"), "{name}: {resumed}");
        }
    }
}

#[test]
fn sigterm_leaves_a_deployment_to_be_resumed() {
    interrupted_by("-TERM");
}

#[test]
fn sigint_without_a_terminal_does_the_same() {
    interrupted_by("-INT");
}

#[test]
fn whoever_waits_for_somebody_else_has_begun_nothing() {
    for signal in ["-TERM", "-INT"] {
        let home = shop("0s");
        let _first = home.start(&UP, &[("WINDOW", "8s")], "\"slice_activated\"");
        let waits = home.start(&UP, &[], "waits_for_holder");
        let (code, said, errors) = ends_soon(waits, signal, "waiting");
        assert_eq!(code, Some(130), "{said}{errors}");
        assert!(said.contains("interrupted before anything began"), "{said}");
    }
}

/// Somebody else drives it: it goes on, and nobody is told that it was left.
#[test]
fn whoever_looks_on_stops_nothing() {
    for signal in ["-TERM", "-INT"] {
        let home = shop("0s");
        let driven = home.start(&UP, &[("WINDOW", "4s")], "\"slice_activated\"");
        let looks_on = home.start(&["watch", "--events"], &[], "\"slice_activated\"");
        let (code, said, errors) = ends_soon(looks_on, signal, "looking on");
        assert_eq!(code, Some(130), "{said}{errors}");
        assert!(said.contains("stopped looking: deployment 01"), "{said}");
        assert!(
            !said.contains("resume") && !errors.contains("resume"),
            "{said}{errors}"
        );
        let (code, said, errors) = driven.end();
        assert_eq!(code, Some(0), "{said}{errors}");
    }
}

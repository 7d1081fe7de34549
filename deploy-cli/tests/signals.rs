//! Interrupted while a deployment runs: no further step starts, the command to go on is printed, exit 9 within five seconds; the
//! deployment is brought to an end by whoever resumes it.

mod common;

use common::{Home, LOCAL};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A deployment whose health window is longer than the test waits.
fn slow() -> Home {
    let manifest = LOCAL.replace(
        "healthy_for = \"1s\"",
        "healthy_for = \"${WINDOW:-1s}\"\ndeadline = \"60s\"",
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

fn interrupted_by(signal: &str) {
    let home = slow();
    let mut child = Command::new(env!("CARGO_BIN_EXE_deploy"))
        .args(["up", "-e", "development", "-v"])
        .current_dir(home.project())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("USER", "alice")
        .env("WINDOW", "30s")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    // Something serves already: the slice was switched, and is being looked at.
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut said = String::new();
    while !said.contains("switched") {
        assert_ne!(out.read_line(&mut said).expect("text"), 0, "it ended: {said}");
    }
    let began = Instant::now();
    let killed = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(killed.success());
    out.read_to_string(&mut said).expect("text");
    let status = child.wait().expect("it ends");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let mut errors = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut errors)
        .expect("text");
    assert_eq!(status.code(), Some(9), "{said}{errors}");
    assert!(errors.contains("deploy resume "), "{errors}");
    assert!(
        said.contains("open: left activating") || errors.contains("DPL0703"),
        "{said}{errors}"
    );

    let resumed = home.run(&["resume"]);
    assert!(
        resumed.starts_with("exit 0\n") || resumed.starts_with("exit 3\n"),
        "{resumed}"
    );
    assert!(resumed.contains("taken up again by"), "{resumed}");
}

#[test]
fn sigterm_leaves_a_deployment_to_be_resumed() {
    interrupted_by("-TERM");
}

#[test]
fn sigint_without_a_terminal_does_the_same() {
    interrupted_by("-INT");
}

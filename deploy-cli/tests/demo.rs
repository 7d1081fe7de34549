//! `deploy demo` for real: it ends as announced, and whatever ends it, nothing of it is left.
#![expect(clippy::unwrap_used, reason = "a test fails where it panics, its helpers too")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a demo may take here, where other tests run beside it; on a machine of its own it takes twenty seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// One demo at a time: each of them wants a processor.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn demo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deploy"));
    command
        .arg("demo")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Reads up to the line that begins the act with `$ {until}`; the folder was named on the way.
fn read_until(child: &mut Child, until: &str) -> PathBuf {
    let mut folder = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(path) = line.strip_prefix("folder ") {
            folder = Some(PathBuf::from(path.trim()));
        }
        if line.contains(until) {
            break;
        }
    }
    folder.expect("the demo names its folder first")
}

fn processes_of(folder: &Path) -> usize {
    let mark = format!("DEPLOY_DEMO={}", folder.display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            std::fs::read(entry.path().join("environ"))
                .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
        })
        .count()
}

fn is_gone(folder: &Path) {
    let begun = Instant::now();
    while folder.exists() || processes_of(folder) > 0 {
        assert!(begun.elapsed() < PATIENCE, "{} is still there", folder.display());
        std::thread::yield_now();
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn every_act_ends_as_announced_and_no_request_fails() {
    let _alone = alone();
    let output = demo().arg("--json").output().unwrap();
    let story = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{story}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{report}");
    assert_eq!(report["outcome"], "as_announced", "{story}");
    // As many as announced, and as many as there are.
    assert_eq!(report["acts"], serde_json::json!([8, 8]), "{story}");
    assert!(
        report["requests"].as_u64() > Some(100),
        "the users asked: {story}"
    );
    assert_eq!(report["failed"], 0, "{story}");
    // How long it took is told and not judged here, where other tests run beside it: `tests/bench` has its goal.
    let seconds = report["duration_ms"].as_u64().unwrap() / 1000;
    let last = story.lines().last();
    let told = format!("✓ all 8 acts ended as announced · {seconds}s · nothing is left behind");
    assert_eq!(last, Some(told.as_str()), "{story}");
    let folder = story
        .lines()
        .find_map(|line| line.strip_prefix("folder "))
        .expect("it names its folder");
    is_gone(Path::new(folder.trim()));
}

#[test]
fn interrupted_in_the_middle_of_an_act_it_leaves_nothing() {
    let _alone = alone();
    for (way, code) in [(Signal::INT, 130), (Signal::TERM, 130)] {
        let mut child = demo().spawn().unwrap();
        let folder = read_until(&mut child, "$ deploy promote -e staging");
        assert!(processes_of(&folder) >= 3, "the machine and two services run");
        signal(&child, way);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(
            !folder.exists() && processes_of(&folder) == 0,
            "gone when it says so"
        );
    }
}

#[test]
fn killed_it_leaves_nothing_either() {
    let _alone = alone();
    let mut child = demo().spawn().unwrap();
    let folder = read_until(&mut child, "$ deploy promote -e staging");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    is_gone(&folder);
}

#[test]
fn without_git_it_says_so() {
    let nothing = tempfile::tempdir().unwrap();
    let output = demo().env("PATH", nothing.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(said.trim(), @"✗ the demo needs git, and there is none here; apt install git brings it");
}

#[test]
fn without_a_folder_for_it_it_says_which() {
    let output = demo().env("TMPDIR", "/nonexistent").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(said.trim(), @r#"
    ✗ no folder can be made in /nonexistent: No such file or directory (os error 2); name one that you may write to: TMPDIR=/tmp deploy demo
    "#);
}

/// The word of the line that begins so.
fn line_of<'a>(said: &'a str, word: &str) -> &'a str {
    said.lines()
        .find_map(|line| {
            line.strip_prefix(word)?
                .starts_with(' ')
                .then(|| line[word.len()..].trim())
        })
        .unwrap_or_else(|| panic!("no line begins with {word}: {said}"))
}

#[test]
fn kept_it_serves_on_until_it_is_stopped_as_it_says() {
    let _alone = alone();
    let output = demo().arg("--keep").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let folder = PathBuf::from(line_of(&said, "folder"));
    assert!(
        folder.exists() && processes_of(&folder) >= 3,
        "the machine and its services run: {said}"
    );
    assert!(!said.contains("nothing is left behind"), "{said}");
    let in_shell = |command: &str| {
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let status = in_shell(line_of(&said, "kept"));
    assert!(status.contains("production"), "{status}");
    in_shell(line_of(&said, "stop"));
    is_gone(&folder);
}

/// A `git` that knows no commit when `deploy` asks for one.
#[test]
fn an_act_that_does_not_end_as_announced_ends_it_with_1() {
    use std::os::unix::fs::PermissionsExt as _;
    let _alone = alone();
    let before = std::env::var("PATH").unwrap();
    let bin = tempfile::tempdir().unwrap();
    let git = bin.path().join("git");
    let text =
        format!("#!/bin/sh\ncase $* in *--end-of-options*) exit 1;; esac\nPATH='{before}' exec git \"$@\"\n");
    std::fs::write(&git, text).unwrap();
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = demo()
        .env("PATH", format!("{}:{before}", bin.path().display()))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("act 1 did not end as announced"), "{said}");
    let folder = PathBuf::from(line_of(&said, "folder"));
    assert!(!folder.exists() && processes_of(&folder) == 0, "{said}");
}

//! Several processes on one state, killed and stopped. The children are this test program again, running one test by name.

use super::*;
use crate::failpoint;
use deploy_core::failure::{Code, Failure};
use deploy_core::machine::Ask;
use deploy_core::port::journal::{LeaseError, Patience};
use deploy_tests::{procs, wait};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "DEPLOY_TEST_ROLE";
const STATE: &str = "DEPLOY_TEST_STATE";

/// A child in a role. Its lines that begin with `>` are heard here.
struct Player {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

fn command(role: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "store::tests::children::children_do_as_they_are_told",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env(STATE, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

fn start(role: &str, path: &Path) -> Player {
    play(command(role, path))
}

fn play(mut command: Command) -> Player {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Player { child, lines }
}

impl Player {
    /// The next thing it says; `None` when it has ended.
    fn hear(&mut self) -> Option<String> {
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once('>')?.1.to_owned()))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops it, and waits until the kernel says so.
    fn stop(&self) {
        self.signal(Signal::STOP);
        wait::until(wait::PATIENCE, "the child to be stopped", || {
            procs::stopped(self.child.id())
        });
    }

    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let rest = std::iter::from_fn(|| self.hear()).collect();
        self.child.wait().unwrap();
        rest
    }
}

/// A test that fails leaves no process behind.
impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One write, so that a line is whole or not there.
fn say(text: &str) {
    std::io::stdout()
        .write_all(format!(">{text}\n").as_bytes())
        .unwrap();
}

/// What a child does; in the parent, that a child without a state ends in failure.
#[tokio::test]
async fn children_do_as_they_are_told() {
    let (Some(role), Some(path)) = (std::env::var(ROLE).ok(), std::env::var_os(STATE)) else {
        let (_folder, path) = place();
        std::fs::create_dir_all(&path).unwrap();
        assert!(
            !command("append", &path)
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        return;
    };
    let journal = match SqliteJournal::open(Path::new(&path), options()) {
        Ok(journal) => journal,
        Err(error) if role == "fill" => {
            assert_eq!(Failure::from(error).code, Code::StateFull);
            return say("full");
        }
        Err(error) => panic!("{error:?}"),
    };
    match role.as_str() {
        "append" => loop {
            let last = journal.head(&staging()).await.unwrap();
            journal.append(plain(staging(), last.0, 3)).await.unwrap();
            say(&(last.0 + 3).to_string());
        },
        "hold" => {
            let token = journal
                .take_lease(&env("staging"), &holder("child"))
                .await
                .unwrap();
            say("holds");
            loop {
                let last = journal.head(&staging()).await.unwrap();
                let append = Append {
                    lease: Some(token.clone()),
                    ..plain(staging(), last.0, 1)
                };
                match journal.append(append).await {
                    Ok(stored) => say(&stored[0].event().seq.to_string()),
                    Err(JournalError::LeaseLost(_)) => break,
                    // The other holder has written in between; the lease is compared first the next time.
                    Err(JournalError::Moved { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(matches!(
                journal.renew_lease(&token, "x").await,
                Err(LeaseError::Journal(_))
            ));
            say("lost");
        }
        "race" => {
            for _ in 0..50 {
                let patience = Patience::For(Duration::from_mins(1));
                let token = journal
                    .take_lease_waiting(&env("staging"), &holder("racer"), patience)
                    .await
                    .unwrap();
                let last = journal.head(&staging()).await.unwrap();
                let append = Append {
                    lease: Some(token.clone()),
                    ..plain(staging(), last.0, 2)
                };
                // Alone while it holds: nobody can have come in between.
                journal.append(append).await.unwrap();
                journal.release_lease(&token).await.unwrap();
            }
            for _ in 0..50 {
                // And without a lease, by the expected number alone.
                loop {
                    let last = journal.head(&Stream::Project).await.unwrap();
                    match journal.append(plain(Stream::Project, last.0, 2)).await {
                        Ok(_) => break,
                        Err(JournalError::Moved { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            say("done");
        }
        "fill" => {
            let big = |expected| Append {
                events: (0..3).map(|_| draft(None, &"x".repeat(2000))).collect(),
                ..plain(staging(), expected, 0)
            };
            let mut last = journal.head(&staging()).await.unwrap().0;
            let error = loop {
                match journal.append(big(last)).await {
                    Ok(_) => last += 3,
                    Err(error) => break error,
                }
                say(&last.to_string());
            };
            assert_eq!(journal_failure(&error).code, Code::StateFull, "{error:?}");
            // What is there can still be read, also by who comes anew.
            assert_eq!(journal.head(&staging()).await.unwrap(), Seq(last));
            assert_eq!(journal.verify_chain().await.unwrap(), last);
            say("full");
        }
        "everything" => {
            let token = journal
                .take_lease(&env("staging"), &holder("child"))
                .await
                .unwrap();
            let asked = journal
                .send(&env("staging"), &actor(), &deployment(1), Ask::Pause)
                .await
                .unwrap();
            journal.renew_lease(&token, "preparing").await.unwrap();
            let last = journal.head(&staging()).await.unwrap();
            let append = Append {
                lease: Some(token.clone()),
                answers: vec![asked],
                ..plain(staging(), last.0, 3)
            };
            journal.append(append).await.unwrap();
            journal.release_lease(&token).await.unwrap();
            say("done");
        }
        other => panic!("no role {other}"),
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let (_folder, path) = place();
    drop(open(&path));
    let mut dice = Dice::new("what_was_acknowledged");
    let mut acknowledged = 0;
    for round in 0..50 {
        let mut child = start("append", &path);
        let parse = |line: &String| line.parse::<u64>().unwrap();
        for _ in 0..=dice.roll(6) {
            acknowledged = parse(&child.hear().unwrap());
        }
        std::thread::sleep(Duration::from_micros(dice.roll(4000) as u64));
        acknowledged = child.kill().iter().map(parse).max().unwrap_or(acknowledged);
        let journal = open(&path);
        let stored = journal.verify_chain().await.unwrap();
        assert!(
            stored >= acknowledged,
            "round {round}: {stored} of {acknowledged}"
        );
        assert_eq!(stored % 3, 0, "round {round}: an append is whole");
        assert_eq!(journal.head(&staging()).await.unwrap(), Seq(stored));
    }
}

#[tokio::test]
async fn the_lease_of_a_killed_process_is_free_at_once() {
    let (_folder, path) = place();
    let mut child = start("hold", &path);
    assert_eq!(child.hear().as_deref(), Some("holds"));
    let journal = open(&path);
    let refused = journal.take_lease(&env("staging"), &holder("parent")).await;
    assert!(matches!(refused, Err(LeaseError::Held { holder, .. }) if holder.who == "child"));
    child.kill();
    journal
        .take_lease_waiting(&env("staging"), &holder("parent"), Patience::None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stopped_holder_is_watched_and_can_write_nothing_when_it_goes_on() {
    let (_folder, path) = place();
    let journal = open(&path);
    let mut dice = Dice::new("a_stopped_holder");
    let (mut rounds, mut tries) = (0, 0);
    while rounds < 3 {
        tries += 1;
        assert!(tries < 30, "never stopped between two writes");
        let mut child = start("hold", &path);
        assert_eq!(child.hear().as_deref(), Some("holds"));
        for _ in 0..dice.roll(5) {
            child.hear();
        }
        child.stop();
        let begun = tokio::time::Instant::now();
        let token = match journal.take_lease(&env("staging"), &holder("parent")).await {
            Ok(token) => token,
            // Stopped inside a transaction it keeps SQLite's own lock: nobody can write, which is safe, and said.
            Err(LeaseError::Journal(JournalError::Write(error))) => {
                assert!(
                    matches!(error.downcast_ref(), Some(StoreError::Busy { .. })),
                    "{error:?}"
                );
                child.kill();
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        assert!(begun.elapsed() >= SHORT);
        let last = journal.head(&staging()).await.unwrap();
        child.signal(Signal::CONT);
        // What it said before it was stopped, and then that it is over.
        let said = std::iter::from_fn(|| child.hear()).take(1000);
        assert!(said.last().as_deref() == Some("lost"), "it finds out");
        assert_eq!(journal.head(&staging()).await.unwrap(), last);
        journal.release_lease(&token).await.unwrap();
        assert!(child.child.wait().unwrap().success());
        rounds += 1;
    }
}

#[tokio::test]
async fn racing_processes_write_one_after_the_other() {
    let (_folder, path) = place();
    // They also race to make the state.
    let mut children = [start("race", &path), start("race", &path), start("race", &path)];
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("done"));
        assert!(child.child.wait().unwrap().success());
    }
    let journal = open(&path);
    assert_eq!(journal.verify_chain().await.unwrap(), 3 * 2 * (50 + 50));
}

#[tokio::test]
async fn a_kill_at_every_failpoint_leaves_a_whole_state() {
    let (folder, path) = place();
    let log = folder.path().join("hits");
    assert!(
        command("everything", &path)
            .env(failpoint::LOG, &log)
            .status()
            .unwrap()
            .success()
    );
    let hits = std::fs::read_to_string(&log).unwrap();
    for point in FAILPOINTS {
        assert!(hits.lines().any(|hit| hit == *point), "{point} was never hit");
    }
    for hit in hits.lines() {
        assert!(FAILPOINTS.contains(&hit), "{hit} is not listed");
    }
    for point in FAILPOINTS {
        let path = folder.path().join(point).join("state.db");
        let killed = command("everything", &path)
            .env(failpoint::ARM, point)
            .status()
            .unwrap();
        assert_eq!(killed.signal(), Some(9), "{point}");
        // Another process goes on at once, whatever was left, lease included.
        assert!(
            command("everything", &path).status().unwrap().success(),
            "{point}"
        );
        let journal = open(&path);
        let stored = journal.verify_chain().await.unwrap();
        let whole = match *point {
            // Written, and said or not: it was there, and again by the second.
            "store.append.after" | "store.lease.release.before" | "store.lease.release.after" => 6,
            _ => 3,
        };
        assert_eq!(stored, whole, "{point}");
    }
}

/// Every file of the process ends at a limit, so that the first write past it fails, wherever in SQLite that is.
#[tokio::test]
async fn a_write_that_finds_no_room_changes_nothing_wherever_it_fails() {
    let (folder, _) = place();
    for blocks in (4..160).step_by(6) {
        let path = folder.path().join(blocks.to_string()).join("state.db");
        let plain = command("fill", &path);
        let mut limited = Command::new("sh");
        limited
            .args([
                "-c",
                "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"",
                "sh",
                &blocks.to_string(),
            ])
            .arg(plain.get_program())
            .args(plain.get_args())
            .envs([(ROLE, "fill")])
            .env(STATE, &path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = play(limited);
        let mut said: Vec<_> = std::iter::from_fn(|| child.hear()).collect();
        assert!(child.child.wait().unwrap().success(), "{blocks}");
        assert_eq!(said.pop().as_deref(), Some("full"), "{blocks}");
        let acknowledged = said.last().map_or(0, |last| last.parse().unwrap());
        // There is room again.
        let journal = open(&path);
        assert_eq!(journal.verify_chain().await.unwrap(), acknowledged, "{blocks}");
        journal
            .append(super::plain(staging(), acknowledged, 1))
            .await
            .unwrap();
    }
}

/// A process that is stopped in the middle of a write keeps the file locked: nothing can be done about that from here, but to say
/// whom to wake or end.
#[tokio::test]
async fn who_is_stopped_in_the_middle_of_a_write_is_named() {
    let (_folder, path) = place();
    drop(SqliteJournal::open(&path, options()).unwrap());
    let mut child = play(command("append", &path));
    child.hear().unwrap();
    let mut stops = 0;
    let holder = loop {
        child.stop();
        match Holder::of(&path) {
            Some(holder) => break holder,
            None => child.signal(Signal::CONT),
        }
        stops += 1;
        assert!(stops < 1000, "never stopped in the middle of a write");
    };
    assert!(holder.stopped && holder.pid == child.child.id(), "{holder:?}");

    let failure = Failure::from(SqliteJournal::open(&path, options()).unwrap_err());
    assert_eq!(failure.code, Code::StateLocked);
    assert!(failure.message.ends_with(&holder.to_string()), "{failure:?}");
    let next = format!("kill -CONT {}", holder.pid);
    assert!(failure.next.contains(&next), "{failure:?}");

    child.signal(Signal::CONT);
    child.hear().unwrap();
    drop(child);
    SqliteJournal::open(&path, options()).unwrap();
}

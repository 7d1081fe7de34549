//! `deploy demo`: the real thing on this machine, in a folder of its own, gone afterwards. It plays a story (data in
//! [`story`]) with child processes of this very program against services that are served by this program too
//! ([`service`], kept by [`machine`]), while users ask for pages ([`probe`]). No engine in here: the demo is a user.

mod machine;
mod play;
mod probe;
mod project;
mod service;
mod stage;
mod story;
mod sweep;

use play::{Tally, say};
use serde::Serialize;
use stage::{Stage, Trouble};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How the demo ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// `deploy.demo/1`.
    pub(crate) schema: &'static str,
    /// In a word.
    pub(crate) outcome: Outcome,
    /// Why it did not end as announced: for people.
    pub(crate) why: Option<String>,
    /// Acts that ended as announced, of how many.
    pub(crate) acts: (usize, usize),
    /// Requests that users made meanwhile.
    pub(crate) requests: u64,
    /// How many of them failed.
    pub(crate) failed: u64,
    /// Where it was left running.
    pub(crate) kept: Option<PathBuf>,
    /// How long it took.
    pub(crate) duration_ms: u64,
}

/// How the demo ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Every act as announced.
    AsAnnounced,
    /// An act did not, or something is missing on this machine.
    Failed,
    /// Somebody wanted it to end.
    Interrupted,
}

/// Plays the demo, telling it on `out`. Blocks; Ctrl-C and SIGTERM end it, and leave nothing behind. With `keep` it is left
/// running to play with.
pub(crate) fn run(keep: bool, out: &mut dyn Write) -> Report {
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut kept = None;
    let played = play_and_close(keep, out, &mut tally, &mut kept);
    let took = begun.elapsed();
    let (outcome, why) = match played {
        Ok(()) => (Outcome::AsAnnounced, None),
        Err(Trouble::Interrupted) => (
            Outcome::Interrupted,
            Some("interrupted; nothing is left behind".to_owned()),
        ),
        Err(Trouble::Failed(why)) => (Outcome::Failed, Some(why)),
    };
    let left = if kept.is_some() {
        ""
    } else {
        " · nothing is left behind"
    };
    match &why {
        None => say(
            out,
            &format!(
                "✓ all {} acts ended as announced · {}s{left}",
                tally.acts,
                took.as_secs()
            ),
        ),
        Some(why) => say(out, &format!("\n✗ {why}")),
    }
    Report {
        schema: "deploy.demo/1",
        outcome,
        why,
        acts: (tally.acts, story::ACTS.len()),
        requests: tally.requests,
        failed: tally.failed,
        kept,
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn play_and_close(
    keep: bool,
    out: &mut dyn Write,
    tally: &mut Tally,
    kept: &mut Option<PathBuf>,
) -> Result<(), Trouble> {
    let interrupted = watch_signals()?;
    needed("git", "apt install git")?;
    needed("flock", "apt install util-linux")?;
    let stage = Stage::open()?;
    say(
        out,
        "A shop of two services in three environments, on this machine, for real.",
    );
    say(out, &format!("folder       {}", stage.folder.display()));
    for name in story::ENVIRONMENTS {
        say(out, &format!("{name:<12} {}", url(&stage, name)));
    }
    let played = play::play(&stage, out, tally, &interrupted);
    let folder = stage.folder.clone();
    if keep && played != Err(Trouble::Interrupted) {
        say(
            out,
            &format!(
                "\nkept     cd {}/shop && {} status",
                folder.display(),
                stage.deploy()
            ),
        );
        say(out, &format!("shop     {}", url(&stage, "development")));
        say(out, &format!("stop     {}", stage.stop_command()));
        stage.keep()?;
        *kept = Some(folder);
    } else {
        drop(stage);
        if folder.exists() || !sweep::marked(&folder).is_empty() {
            return Err(Trouble::Failed(format!(
                "{} could not be cleaned up",
                folder.display()
            )));
        }
    }
    played
}

fn url(stage: &Stage, environment: &str) -> String {
    let port = stage
        .ports
        .get(&format!("{environment}/{}", story::SERVICES[1]))
        .copied()
        .unwrap_or_default();
    format!("http://127.0.0.1:{port}/")
}

fn needed(program: &str, fix: &str) -> Result<(), Trouble> {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(_) => Ok(()),
        Err(_) => Err(Trouble::Failed(format!(
            "the demo needs {program}, and there is none here; {fix} brings it"
        ))),
    }
}

/// A flag that is up once somebody wants this to end.
fn watch_signals() -> std::io::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut int, mut term, mut hup) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    // Not joined: it waits for signals as long as this process lives.
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                    _ = hup.recv() => {}
                }
                flag.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(interrupted)
}

/// The words after `deploy demo-service`, where that is what was called.
pub(crate) fn part_words(mut all: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    (all.nth(1)? == "demo-service").then(|| all.collect())
}

/// The parts of the demo that are processes of their own: `deploy demo-service ROLE …`.
pub(crate) fn part(words: &[OsString]) -> ExitCode {
    match play_part(words) {
        Ok(code) => code,
        Err(why) => {
            let _gone = writeln!(std::io::stderr(), "{why}");
            ExitCode::FAILURE
        }
    }
}

fn play_part(words: &[OsString]) -> Result<ExitCode, String> {
    let texts: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
    match texts.as_slice() {
        ["serve"] => service::serve(),
        ["machine", folder, places @ ..] => {
            let places: Vec<_> = places.iter().map(|place| (*place).to_owned()).collect();
            machine::run(Path::new(folder), &places)
        }
        ["restart", folder] => {
            let path = std::env::var_os("DEPLOY_PATH")
                .map(PathBuf::from)
                .ok_or("DEPLOY_PATH is not set")?;
            let variables: BTreeMap<_, _> = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect();
            answered(machine::ask(
                Path::new(folder),
                &machine::Request::Restart { path, variables },
            ))
        }
        ["stop", folder] => answered(machine::ask(Path::new(folder), &machine::Request::Stop)),
        _ => Err("this is a part of `deploy demo`".to_owned()),
    }
}

fn answered(answer: machine::Answer) -> Result<ExitCode, String> {
    let said = answer?;
    let _gone = writeln!(std::io::stdout(), "{said}");
    Ok(ExitCode::SUCCESS)
}

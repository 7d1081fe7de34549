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

use play::say;
use stage::{Stage, Trouble};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What `deploy demo` was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DemoArgs {
    /// Leave it running to play with.
    pub(crate) keep: bool,
}

/// Plays the demo on stdout. Blocks; Ctrl-C and SIGTERM end it, and leave nothing behind.
///
/// The code is 0 if every act ended as announced, 130 if it was interrupted, else 1.
pub(crate) fn run(args: DemoArgs) -> ExitCode {
    let mut out = std::io::stdout();
    let interrupted = match watch_signals() {
        Ok(interrupted) => interrupted,
        Err(error) => {
            say(&mut out, &format!("✗ the demo cannot watch for Ctrl-C: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match play_and_close(args, &mut out, &interrupted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::Interrupted) => {
            say(&mut out, "\n✗ interrupted; nothing is left behind");
            ExitCode::from(130)
        }
        Err(Trouble::Failed(why)) => {
            say(&mut out, &format!("\n✗ {why}"));
            ExitCode::FAILURE
        }
    }
}

fn play_and_close(args: DemoArgs, out: &mut dyn Write, interrupted: &AtomicBool) -> Result<(), Trouble> {
    let begun = Instant::now();
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
    let played = play::play(&stage, out, interrupted);
    let took = begun.elapsed().as_secs_f32();
    if args.keep && played != Err(Trouble::Interrupted) {
        say(
            out,
            &format!(
                "\nkept     cd {}/shop && {} status",
                stage.folder.display(),
                stage.deploy()
            ),
        );
        say(out, &format!("shop     {}", url(&stage, "development")));
        say(out, &format!("stop     {}", stage.stop_command()));
        stage.keep()?;
    } else {
        let folder = stage.folder.clone();
        drop(stage);
        if folder.exists() || !sweep::marked(&folder).is_empty() {
            return Err(Trouble::Failed(format!(
                "{} could not be cleaned up",
                folder.display()
            )));
        }
    }
    played?;
    let left = if args.keep {
        ""
    } else {
        " · nothing is left behind"
    };
    say(
        out,
        &format!(
            "✓ all {} acts ended as announced · {took:.0}s{left}",
            story::ACTS.len()
        ),
    );
    Ok(())
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

/// The hidden `deploy demo-service ROLE …`: the parts of the demo that are processes of their own.
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

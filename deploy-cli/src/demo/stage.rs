//! Where the demo plays: a fresh folder, the machine that runs its services, and the commands it runs. Closing it leaves
//! nothing behind, whether by the end, a failure, a panic, or the death of this process: the machine watches for that.

use super::machine::{KEEP, Ports};
use super::story::{ENVIRONMENTS, SERVICES};
use super::sweep;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long one command may take before the demo gives up on it.
const LIMIT: Duration = Duration::from_mins(1);
/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long the machine may take to end everything.
const CLOSING: Duration = Duration::from_secs(15);
/// What a command inherits of the caller's environment: nothing that says how to deploy, or that this is a CI job.
const INHERITED: [&str; 9] = [
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "TMPDIR", "NO_COLOR",
];

/// Why the demo stops early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Somebody pressed Ctrl-C, or sent a signal.
    Interrupted,
    /// Something went wrong: for people.
    Failed(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With this code; `None`: by a signal that was not ours.
    Itself(Option<i32>),
    /// By our `kill -9`.
    Killed(u32),
}

/// An open stage.
pub(super) struct Stage {
    /// The demo's folder.
    pub(super) folder: PathBuf,
    /// Where everything listens.
    pub(super) ports: Ports,
    exe: PathBuf,
    machine: Child,
    /// Its closing tells the machine that the demo is gone. `None`: told to stay.
    line: Option<ChildStdin>,
}

impl Stage {
    /// Makes the folder and starts the machine.
    ///
    /// # Errors
    /// If either cannot be had; nothing is left then.
    pub(super) fn open() -> Result<Self, Trouble> {
        let exe = std::env::current_exe()?;
        let below = std::env::temp_dir();
        let folder = fresh_folder(&below).map_err(|error| {
            let below = below.display();
            Trouble::Failed(format!(
                "no folder can be made in {below}: {error}; name one that you may write to: TMPDIR=/tmp deploy demo"
            ))
        })?;
        Self::start(exe, &folder).inspect_err(|_| sweep::sweep(&folder))
    }

    fn start(exe: PathBuf, folder: &Path) -> Result<Self, Trouble> {
        let places = ENVIRONMENTS
            .iter()
            .flat_map(|environment| SERVICES.map(|service| format!("{environment}/{service}")));
        let mut machine = Command::new(&exe)
            .args(["demo-service", "machine"])
            .arg(folder)
            .args(places)
            .env(sweep::MARK, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (line, words, errors) = (machine.stdin.take(), machine.stdout.take(), machine.stderr.take());
        // From here on dropping closes it.
        let mut stage = Self {
            folder: folder.to_owned(),
            ports: Ports::new(),
            exe,
            machine,
            line,
        };
        let mut text = String::new();
        if let Some(words) = words {
            BufReader::new(words).read_line(&mut text)?;
        }
        let Ok(ports) = serde_json::from_str(&text) else {
            let why = errors
                .and_then(|errors| std::io::read_to_string(errors).ok())
                .unwrap_or_default();
            return Err(Trouble::Failed(format!(
                "the demo's machine did not start: {}",
                why.trim()
            )));
        };
        stage.ports = ports;
        let restart = format!(
            "#!/bin/sh\nexec {} demo-service restart {}\n",
            quoted(&stage.exe),
            quoted(folder)
        );
        std::fs::write(folder.join("machine/restart"), restart)?;
        Ok(stage)
    }

    /// Runs `deploy WORDS` in `folder`, hands on each line it prints, and kills it -9 as soon as `strike` says so.
    ///
    /// # Errors
    /// If it cannot be run or takes too long, or the demo was interrupted; it is killed then.
    pub(super) fn run(
        &self,
        folder: &Path,
        words: &[&str],
        interrupted: &AtomicBool,
        print: &mut dyn FnMut(&str),
        strike: &mut dyn FnMut() -> bool,
    ) -> Result<Ended, Trouble> {
        let (reader, writer) = std::io::pipe()?;
        let inherited = INHERITED
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(&self.exe)
            .args(words)
            .current_dir(folder)
            .env_clear()
            .envs(inherited)
            .env(sweep::MARK, &self.folder)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        let (send, lines) = mpsc::channel();
        // Not joined: it ends with the pipe, whose last holder may be something that a killed command left behind.
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let begun = Instant::now();
        let mut struck = false;
        loop {
            match lines.recv_timeout(LOOK) {
                Ok(line) => print(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            }
            let trouble = if interrupted.load(Ordering::Relaxed) {
                Some(Trouble::Interrupted)
            } else if begun.elapsed() > LIMIT {
                Some(Trouble::Failed(format!("not over after {}s", LIMIT.as_secs())))
            } else {
                None
            };
            if trouble.is_some() || (!struck && strike()) {
                struck = child.kill().is_ok();
            }
            if let Some(trouble) = trouble {
                child.wait()?;
                return Err(trouble);
            }
            if let Some(status) = child.try_wait()? {
                while let Ok(line) = lines.recv_timeout(LOOK) {
                    print(&line);
                }
                let killed = struck && status.code().is_none();
                return Ok(if killed {
                    Ended::Killed(child.id())
                } else {
                    Ended::Itself(status.code())
                });
            }
        }
    }

    /// The command that ends a stage that was kept.
    pub(super) fn stop_command(&self) -> String {
        format!("{} demo-service stop {}", quoted(&self.exe), quoted(&self.folder))
    }

    /// How the kept stage's `deploy` is called.
    pub(super) fn deploy(&self) -> String {
        quoted(&self.exe)
    }

    /// Lets everything run on after this process.
    ///
    /// # Errors
    /// If the machine is gone.
    pub(super) fn keep(mut self) -> Result<(), Trouble> {
        if let Some(mut line) = self.line.take() {
            line.write_all(KEEP)?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else { return };
        drop(line);
        let begun = Instant::now();
        while begun.elapsed() < CLOSING && matches!(self.machine.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK);
        }
        // The machine has done all of it, unless it was killed or hangs.
        let _ended = self.machine.kill();
        let _reaped = self.machine.wait();
        sweep::sweep(&self.folder);
    }
}

/// A folder of our own, which nobody else can read, with a name that was not there.
fn fresh_folder(below: &Path) -> std::io::Result<PathBuf> {
    let below = std::fs::canonicalize(below)?;
    loop {
        let random = RandomState::new().build_hasher().finish();
        let folder = below.join(format!("deploy-demo-{:06x}", random & 0xff_ffff));
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// A path as a word for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_folder_is_ours_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let below = tempfile::tempdir().unwrap();
        let (one, other) = (
            fresh_folder(below.path()).unwrap(),
            fresh_folder(below.path()).unwrap(),
        );
        assert_ne!(one, other);
        assert_eq!(
            std::fs::metadata(one).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn paths_are_quoted_for_a_shell_only_where_it_needs_it() {
        assert_eq!(quoted(Path::new("/usr/bin/deploy")), "/usr/bin/deploy");
        assert_eq!(quoted(Path::new("/it's here/deploy")), r"'/it'\''s here/deploy'");
    }
}

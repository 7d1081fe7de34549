//! Running a program to its end within a time limit, with all that it said.
//!
//! Every program gets its own process group, so that one that hangs is ended with its children.

use std::fmt;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::{procs, wait};

/// What a program left behind.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// How it was called, for messages.
    pub call: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it, by number.
    pub signal: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Output {
    /// The same output, if it ended with `code`.
    ///
    /// # Panics
    /// With everything the program said, when it ended otherwise.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "mostly called for the assertion alone"
    )]
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code == Some(code), "wanted exit {code}\n{self:?}");
        self
    }

    /// Stdout as one JSON value.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON on stdout: {error}\n{self:?}"))
    }

    /// Stdout as one JSON value a line (`--events`).
    ///
    /// # Panics
    /// When a line is anything else.
    #[track_caller]
    pub fn events(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("no JSON in {line:?}: {error}\n{self:?}"))
        };
        self.stdout.lines().map(parse).collect()
    }

    pub(crate) fn new(
        call: String,
        status: ExitStatus,
        took: Duration,
        stdout: String,
        stderr: String,
    ) -> Self {
        Self {
            call,
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr,
            took,
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call,
            code,
            signal,
            stdout,
            stderr,
            took,
        } = self;
        write!(
            out,
            "$ {call}\nexit {code:?}, signal {signal:?}, after {took:?}\n"
        )?;
        write!(out, "--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}

/// Runs `command` with no stdin until it ends.
///
/// # Panics
/// When it cannot be started, or still runs after `limit`: it is then killed with its process group.
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Output {
    let call = call(command);
    let began = Instant::now();
    let started = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = started.unwrap_or_else(|error| panic!("cannot start `{call}`: {error}"));
    // Read on the side: a program that fills a pipe nobody reads would never end.
    let stdout = child.stdout.take().map(read);
    let stderr = child.stderr.take().map(read);
    let status = wait::find_within(limit, || {
        child.try_wait().expect("a child of ours can be waited for")
    });
    let took = began.elapsed();
    if status.is_none() {
        end_group(&mut child);
    }
    // A daemon that kept the pipe open would hold us for as long as it lives.
    let left = limit.saturating_sub(took).max(Duration::from_secs(1));
    let text = |reader: Option<Receiver<Vec<u8>>>| {
        let bytes = reader.map(|reader| reader.recv_timeout(left));
        bytes
            .and_then(Result::ok)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    let held = stdout.is_none() || stderr.is_none();
    let (stdout, stderr) = (stdout.unwrap_or_default(), stderr.unwrap_or_default());
    assert!(
        !held || status.is_none(),
        "`{call}` has ended, but something it started holds its stdout or stderr"
    );
    let Some(status) = status else {
        panic!("`{call}` still ran after {limit:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
    };
    Output::new(call, status, took, stdout, stderr)
}

/// Kills a child and its process group, and collects it.
pub fn end_group(child: &mut Child) {
    procs::signal_group(child.id(), Signal::KILL);
    let _ended = child.kill();
    let _collected = child.wait();
}

/// The command as a person would type it, near enough.
pub fn call(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The program named `name` on `PATH`, or in the places where daemons live.
pub fn find(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(Into::into));
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The program named `name`.
///
/// # Panics
/// When this machine has none, naming the Debian package that brings it.
#[track_caller]
pub fn require(name: &str, package: &str) -> std::path::PathBuf {
    find(name).unwrap_or_else(|| {
        panic!("this test needs `{name}`: run tests/run as root, or install the package {package} (Debian's name)")
    })
}

fn read(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        let _partial = pipe.read_to_end(&mut bytes);
        let _nobody_waits = sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_code_signal_and_both_streams() {
        let output = run(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            wait::PATIENCE,
        );
        assert_eq!(
            (output.code, output.stdout.as_str(), output.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
        let output = run(Command::new("sh").args(["-c", "kill -9 $$"]), wait::PATIENCE);
        assert_eq!((output.code, output.signal), (None, Some(9)));
    }

    #[test]
    fn reads_more_than_a_pipe_holds() {
        let output = run(
            Command::new("sh").args(["-c", "head -c 1000000 /dev/zero"]),
            wait::PATIENCE,
        );
        assert_eq!(output.stdout.len(), 1_000_000);
    }

    #[test]
    #[should_panic(expected = "holds its stdout or stderr")]
    fn a_daemon_that_keeps_the_pipe_open_is_a_failure() {
        run(
            Command::new("sh").args(["-c", "sleep 5 & exit 0"]),
            Duration::from_millis(100),
        );
    }

    #[test]
    #[should_panic(expected = "still ran after")]
    fn ends_what_hangs_with_its_children() {
        run(
            Command::new("sh").args(["-c", "echo before; sleep 600; true"]),
            Duration::from_millis(200),
        );
    }
}

//! A command in the background, watched by a test.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{self, Output};
use crate::{procs, wait};

/// A command in the background; killed with its process group when it is dropped.
pub struct Running {
    call: String,
    child: Child,
    began: Instant,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Starts `command` with its output in two files of that name.
    #[track_caller]
    pub(crate) fn start(mut command: Command, files: &Path) -> Self {
        let call = process::call(&command);
        let (stdout, stderr) = (files.with_extension("out"), files.with_extension("err"));
        command.stdin(Stdio::null()).process_group(0);
        command.stdout(File::create(&stdout).expect("the folder of runs can be written"));
        command.stderr(File::create(&stderr).expect("the folder of runs can be written"));
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{call}`: {error}"));
        Running {
            call,
            child,
            began: Instant::now(),
            stdout,
            stderr,
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Sends a signal to the process alone, not to its children.
    pub fn signal(&self, signal: Signal) {
        procs::signal(self.child.id(), signal);
    }

    /// SIGSTOP, until it has taken effect.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        wait::until(wait::PATIENCE, "the process to be stopped", || {
            procs::stopped(self.child.id())
        });
    }

    /// SIGCONT.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL to the process alone, as the kernel's memory killer does it: its children live on until this is
    /// dropped.
    pub fn kill9(&mut self) -> Output {
        self.signal(Signal::KILL);
        self.collect(wait::PATIENCE)
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come within `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> Output {
        self.collect(limit)
    }

    /// Waits until `text` was written to stdout or stderr.
    ///
    /// # Panics
    /// When the process ends without it, or does not write it within `limit`.
    #[track_caller]
    pub fn until_says(&mut self, limit: Duration, text: &str) {
        let found = wait::find_within(limit, || {
            let ended = self.ended();
            let said = self.stdout().contains(text) || self.stderr().contains(text);
            (said || ended).then_some(said)
        });
        assert!(
            found == Some(true),
            "`{}` never said {text:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.call,
            self.stdout(),
            self.stderr()
        );
    }

    #[track_caller]
    fn collect(&mut self, limit: Duration) -> Output {
        let status = wait::find_within(limit, || {
            self.child.try_wait().expect("a child of ours can be waited for")
        });
        let (stdout, stderr) = (self.stdout(), self.stderr());
        let Some(status) = status else {
            panic!(
                "`{}` still ran after {limit:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
                self.call
            );
        };
        Output::new(self.call.clone(), status, self.began.elapsed(), stdout, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        process::end_group(&mut self.child);
    }
}

fn text(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

//! A run of `deploy` at a terminal, and what is typed there.
//!
//! `script` holds the terminal. Stdout and stderr are one there, lines end as a terminal's do, and nothing that
//! is typed is shown: what the run says is all there is to see.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::process::{self, Output};
use crate::running::Running;
use crate::scratch::{Scratch, deploy_program};
use crate::wait;

/// A run of `deploy` at a terminal; killed when it is dropped.
pub struct Terminal {
    running: Running,
    keys: File,
}

impl Terminal {
    /// Starts `deploy` at a terminal of that many columns.
    ///
    /// # Panics
    /// When there is no `script` on this machine.
    #[track_caller]
    pub fn start(scratch: &Scratch, columns: u16, arguments: &[&str]) -> Self {
        process::require("script", "bsdutils");
        let keys = scratch.root().join("runs").join("keys");
        if !keys.exists() {
            process::require("mkfifo", "coreutils");
            process::run(scratch.command_of(Path::new("mkfifo")).arg(&keys), wait::PATIENCE).expect_code(0);
        }
        let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
        let program = deploy_program().display().to_string();
        let words: Vec<String> = [program.as_str()]
            .iter()
            .chain(arguments)
            .map(|word| quoted(word))
            .collect();
        let call = format!("stty -echo cols {columns} rows 40 && exec {}", words.join(" "));
        let mut command = scratch.command_of(Path::new("sh"));
        command
            .args(["-c", r#"exec script -qefc "$1" /dev/null <"$2""#, "sh", &call])
            .arg(&keys)
            .env("TERM", "xterm")
            .env("NO_COLOR", "1");
        let running = scratch.spawn_command(command);
        // Both ways, so that opening it waits for nobody.
        let keys = OpenOptions::new().read(true).write(true).open(&keys);
        Self {
            running,
            keys: keys.expect("the keys can be written"),
        }
    }

    /// Waits until `text` is shown.
    #[track_caller]
    pub fn until_shows(&mut self, text: &str) {
        self.running.until_says(wait::PATIENCE, text);
    }

    /// What was shown so far, without what a terminal is told between the lines.
    pub fn shown(&self) -> String {
        plain(&self.running.stdout())
    }

    /// Types a line.
    ///
    /// # Panics
    /// When nobody reads it any more.
    pub fn types(&mut self, line: &str) {
        writeln!(self.keys, "{line}").expect("the terminal is there");
    }

    /// Waits for the end; all that was shown is its stdout.
    #[track_caller]
    pub fn end(&mut self, limit: Duration) -> Output {
        let output = self.running.wait(limit);
        Output {
            stdout: plain(&output.stdout),
            ..output
        }
    }
}

/// Text without carriage returns.
fn plain(text: &str) -> String {
    text.replace('\r', "")
}

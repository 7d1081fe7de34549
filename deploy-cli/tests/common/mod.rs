//! A folder of a test's own with a HOME of its own, and the command in it: what it printed and how it ended, as one text.

#![allow(dead_code, reason = "not every test file uses all of it, and some do")]

use assert_cmd::Command;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use tempfile::TempDir;

/// A folder that is gone with the test.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("shop-")
            .tempdir()
            .expect("a temporary folder");
        std::fs::create_dir(folder.path().join("project")).expect("a folder");
        Self { folder }
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let home = Self::new();
        for (name, text) in files {
            home.write(name, text.as_bytes());
        }
        home
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.project().join(name);
        std::fs::create_dir_all(path.parent().expect("below the project")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.project().join(name)).expect("a file")
    }

    /// The command, with nothing of the caller's environment but where programs are.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deploy"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("USER", "alice")
            .current_dir(self.project())
            .args(args);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .timeout(std::time::Duration::from_mins(1));
        command
    }

    /// The command in the background, up to the line of its stdout that has `text`.
    pub(crate) fn start(&self, args: &[&str], variables: &[(&str, &str)], text: &str) -> Running {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_deploy"))
            .args(args)
            .current_dir(self.project())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("USER", "alice")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut running = Running {
            child,
            out,
            said: String::new(),
        };
        running.until(text);
        running
    }

    /// What it printed and how it ended.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.show(&mut self.command(args))
    }

    pub(crate) fn show(&self, command: &mut Command) -> String {
        let output = command.output().expect("the command runs");
        let mut text = format!(
            "exit {}\n",
            output
                .status
                .code()
                .map_or("by signal".to_owned(), |code| code.to_string())
        );
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                text = format!(
                    "{text}--- {name}\n{}\n",
                    String::from_utf8_lossy(bytes).trim_end()
                );
            }
        }
        text.replace(&self.folder.path().display().to_string(), "[home]")
    }

    /// The one object that `--json` prints, and the exit code.
    pub(crate) fn json(&self, args: &[&str]) -> (serde_json::Value, i32) {
        let output = self.command(args).output().expect("the command runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(text.lines().count(), 1, "exactly one object: {text}");
        (
            serde_json::from_str(&text).expect("an object"),
            output.status.code().expect("an exit code"),
        )
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let output = std::process::Command::new("git")
            .args([
                "-c",
                "user.name=Alice",
                "-c",
                "user.email=alice@shop.example",
                "-c",
                "init.defaultBranch=develop",
            ])
            .args(args)
            .current_dir(self.project())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git runs");
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A command in the background; killed where a test leaves it.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) said: String,
}

impl Running {
    /// Reads on until its stdout has `text`.
    pub(crate) fn until(&mut self, text: &str) {
        while !self.said.contains(text) {
            let read = self.out.read_line(&mut self.said).expect("text");
            if read == 0 {
                let mut errors = String::new();
                let mut err = self.child.stderr.take().expect("piped");
                err.read_to_string(&mut errors).expect("text");
                panic!("it ended and never said {text}: {}{errors}", self.said);
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let killed = std::process::Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(killed.success());
    }

    /// Its end: exit code, all of stdout and stderr.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        self.out.read_to_string(&mut self.said).expect("text");
        let mut errors = String::new();
        let mut err = self.child.stderr.take().expect("piped");
        err.read_to_string(&mut errors).expect("text");
        let status = self.child.wait().expect("it ends");
        (status.code(), std::mem::take(&mut self.said), errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended in most tests.
        let _over = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A manifest that needs nothing but this machine.
pub(crate) const LOCAL: &str = r#"[project]
name = "shop"
[vars]
LOG_LEVEL = "info"
[services.web.ssh]
source = "."
path = "live"
[services.web.health.ready]
command = "true"
healthy_for = "1s"
[environments.development.hosts]
here = { local = true }
[environments.production]
after = ["development"]
confirm = true
[environments.production.hosts]
there = { local = true }
[environments.production.services.web.ssh]
path = "live-production"
"#;

//! Services on hosts without a service manager: units, a `systemctl` that knows them, and a small web service.
//!
//! The programs themselves are `src/bin/deploy-test-service.rs` and `src/bin/deploy-test-web.rs`; here is how
//! tests describe and find them. A unit is a file in systemd's own form, of which the stand-in plays
//! `WorkingDirectory`, `ExecStart`, `Environment`, `EnvironmentFile`, `%i` and its own `X-ReadyPort`. It knows
//! more keys that it does not play (`Restart`, for one), and refuses those it does not know.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::{procs, wait};

/// The variable that names the folder of units to `deploy-test-service`.
pub const UNITS: &str = "DEPLOY_TEST_UNITS";

/// A service that the stand-in for systemd can start. A name that ends in `@` is a template: its instance
/// stands for `%i` everywhere.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// `web`, or `web@`.
    pub name: String,
    /// Where it runs; a symlink is followed when it starts.
    pub directory: PathBuf,
    /// A shell command that becomes the service's main process.
    pub command: String,
    /// More of its environment, which is otherwise PATH and HOME alone.
    pub environment: Vec<(String, String)>,
    /// A file of `NAME=value` lines that may be missing.
    pub environment_file: Option<PathBuf>,
    /// `start` and `restart` return when something listens here (a number or `%i`).
    pub ready_port: Option<String>,
}

impl Unit {
    /// The unit of a [`WebRelease`] in `directory`: it listens on `port` (a number or `%i`) of 127.0.0.1.
    pub fn web(name: &str, directory: &Path, port: &str) -> Self {
        Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
            command: format!("'{}'", program("deploy-test-web").display()),
            environment: vec![("PORT".to_owned(), port.to_owned())],
            environment_file: None,
            ready_port: Some(port.to_owned()),
        }
    }

    /// Makes the unit known in the folder `units`, in place of one of the same name.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn install(&self, units: &Path) {
        let mut text = format!(
            "[Service]\nWorkingDirectory={}\nExecStart={}\n",
            self.directory.display(),
            self.command
        );
        for (name, value) in &self.environment {
            writeln!(text, "Environment={name}={value}").expect("a string takes all");
        }
        if let Some(file) = &self.environment_file {
            writeln!(text, "EnvironmentFile=-{}", file.display()).expect("a string takes all");
        }
        if let Some(port) = &self.ready_port {
            writeln!(text, "X-ReadyPort={port}").expect("a string takes all");
        }
        fs::create_dir_all(units).expect("the folder of units can be made");
        fs::write(units.join(format!("{}.service", self.name)), text)
            .expect("the folder of units can be written");
    }
}

/// Makes a unit file of systemd's known in the folder `units` as it is, but for texts that stand for others:
/// paths of the real host, and those of the test's.
pub fn install_file(units: &Path, file: &Path, instead: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).expect("the unit file can be read");
    for (from, to) in instead {
        text = text.replace(from, to);
    }
    let name = file.file_name().expect("a unit file has a name");
    fs::create_dir_all(units).expect("the folder of units can be made");
    fs::write(units.join(name), text).expect("the folder of units can be written");
}

/// A command for `restart =` in a manifest, for hosts on which no `systemctl` is found by `PATH`.
pub fn restart_command(units: &Path, unit: &str) -> String {
    format!(
        "{UNITS}='{}' '{}' restart '{unit}'",
        units.display(),
        program("deploy-test-service").display()
    )
}

/// Puts the stand-in into `folder` under the name `systemctl`.
pub(crate) fn install_systemctl(folder: &Path) {
    symlink(program("deploy-test-service"), folder.join("systemctl")).expect("the folder can be written");
}

/// Ends every service that was started from the folder `units`.
pub fn end_all(units: &Path) {
    let Ok(files) = fs::read_dir(units.join("run")) else {
        return;
    };
    for file in files
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|end| end == "pid"))
    {
        if let Some(pid) = running(&file.path()) {
            procs::signal_group(pid, Signal::KILL);
            wait::until(wait::PATIENCE, "a killed service to be gone", || {
                !procs::runs(pid)
            });
        }
    }
}

/// The process that a pid file of the stand-in names, if that very process still runs.
pub fn running(pid_file: &Path) -> Option<u32> {
    let text = fs::read_to_string(pid_file).ok()?;
    let (pid, started) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    (procs::runs(pid) && procs::started(pid)?.to_string() == started).then_some(pid)
}

/// A release of the small web service: the files that its program reads when it starts.
#[derive(Clone, Debug)]
pub struct WebRelease {
    /// What `/version` tells; the file `VERSION`.
    pub version: String,
    /// What `/health` answers; the file `health.json`.
    pub health: serde_json::Value,
    /// How it misbehaves; the file `behaviour.json`.
    pub behaviour: Behaviour,
}

/// How the small web service misbehaves; by default not at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// `/health` answers with this status instead of 200.
    pub status: Option<u16>,
    /// Every answer comes this late.
    pub delay_ms: u64,
    /// Every n-th answer of `/health` is a 503.
    pub flap_every: Option<u64>,
    /// The first n answers of `/health` are a 503.
    pub unready_answers: u64,
    /// The program ends with this code instead of listening.
    pub exit_at_start: Option<u8>,
    /// The program ends with code 1 at this many answers of `/health`.
    pub crash_after: Option<u64>,
}

impl WebRelease {
    /// A release that is well: `{"status":"UP"}`.
    pub fn healthy(version: &str) -> Self {
        let health = serde_json::json!({"status": "UP"});
        Self {
            version: version.to_owned(),
            health,
            behaviour: Behaviour::default(),
        }
    }

    /// A release that answers 200 and says that it is down.
    pub fn down(version: &str) -> Self {
        let health = serde_json::json!({"status": "DOWN", "components": {"db": "timeout"}});
        Self {
            health,
            ..Self::healthy(version)
        }
    }

    /// A release that misbehaves.
    pub fn behaving(version: &str, behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            ..Self::healthy(version)
        }
    }

    /// The files of the release, as path and text: for [`crate::scratch::Scratch::write`].
    pub fn files(&self) -> [(&'static str, String); 3] {
        let behaviour = serde_json::to_string_pretty(&self.behaviour).expect("plain fields are JSON");
        [
            ("VERSION", format!("{}\n", self.version)),
            ("health.json", format!("{:#}\n", self.health)),
            ("behaviour.json", behaviour + "\n"),
        ]
    }

    /// Writes the files into `folder`, which is made if it is missing.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("the release's folder can be made");
        for (name, text) in self.files() {
            fs::write(folder.join(name), text).expect("the release's folder can be written");
        }
    }
}

/// What `http://127.0.0.1:<port><path>` answers: status and body; `None` when nothing answers within 5 s.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    get_at("127.0.0.1", port, path)
}

/// What `http://<address>:<port><path>` answers, as [`get`].
pub fn get_at(address: &str, port: u16, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect((address, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// One of the programs of this workspace, beside the test that runs.
///
/// # Panics
/// When it has not been built, saying how to.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let found = test
        .ancestors()
        .skip(1)
        .take(3)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    let package = if name.starts_with("deploy-test-") {
        "deploy-tests"
    } else {
        "deploy-cli"
    };
    found.unwrap_or_else(|| {
        panic!("{name} is not built: run `cargo build -p {package} --bin {name}` first, or tests/run")
    })
}

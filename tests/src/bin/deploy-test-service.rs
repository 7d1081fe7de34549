//! A stand-in for `systemctl`, for hosts of the tests: starts and stops units as daemons.
//!
//! `start`, `stop`, `restart`, `reload-or-restart`, `is-active`, `status`, `daemon-reload`, `enable`,
//! `disable`, with `--user` and `--now` passed over. A restart returns when the old process is gone and, with
//! `X-ReadyPort`, when the new one listens; it fails, with the end of the log, when the new one ends first.
//! The daemon holds nothing of its caller's: no stdin or output, no session, no environment but PATH and HOME.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use deploy_tests::{procs, service, sshd, wait};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

/// How long a service may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long a service may take until it listens.
const START: Duration = Duration::from_secs(20);

/// Keys that mean something to systemd and change nothing that a test looks at.
const NOT_PLAYED: [&str; 8] = [
    "After",
    "Description",
    "KillMode",
    "Restart",
    "RestartSec",
    "Type",
    "WantedBy",
    "Wants",
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    match act(&words) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("systemctl (stand-in): {message}");
            ExitCode::FAILURE
        }
    }
}

fn act(words: &[String]) -> Result<ExitCode, String> {
    let Some((verb, names)) = words.split_first() else {
        return Err("which verb?".to_owned());
    };
    if verb == "daemon-reload" {
        return Ok(ExitCode::SUCCESS);
    }
    if names.is_empty() {
        return Err(format!("{verb} which unit?"));
    }
    let units = std::env::var_os(service::UNITS).ok_or_else(|| format!("{} is not set", service::UNITS))?;
    for name in names {
        let unit = Loaded::read(Path::new(&units), name.trim_end_matches(".service"))?;
        match verb.as_str() {
            "start" => unit.locked(|| {
                if unit.pid().is_some() {
                    Ok(())
                } else {
                    unit.start()
                }
            })?,
            "stop" => unit.locked(|| unit.stop())?,
            "restart" | "reload-or-restart" => unit.locked(|| unit.stop().and_then(|()| unit.start()))?,
            "enable" | "disable" => {}
            "is-active" | "status" => {
                let active = unit.pid().is_some();
                println!("{}", if active { "active" } else { "inactive" });
                if !active {
                    return Ok(ExitCode::from(3));
                }
            }
            _ => return Err(format!("{verb} is not known to the stand-in")),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A unit with its instance filled in.
struct Loaded {
    name: String,
    run: PathBuf,
    directory: String,
    command: String,
    environment: Vec<(String, String)>,
    ready_port: Option<u16>,
}

impl Loaded {
    fn read(units: &Path, name: &str) -> Result<Self, String> {
        let (template, instance) = match name.split_once('@') {
            Some((template, instance)) => (format!("{template}@"), instance),
            None => (name.to_owned(), ""),
        };
        let file = units.join(format!("{template}.service"));
        let text = fs::read_to_string(&file).map_err(|error| format!("Unit {name} not found: {error}"))?;
        let run = units.join("run");
        fs::create_dir_all(&run).map_err(|error| format!("{}: {error}", run.display()))?;
        let mut unit = Self {
            name: name.to_owned(),
            run,
            directory: String::new(),
            command: String::new(),
            environment: Vec::new(),
            ready_port: None,
        };
        for line in text.lines().map(|line| line.trim().replace("%i", instance)) {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            match key {
                "WorkingDirectory" => value.clone_into(&mut unit.directory),
                "ExecStart" => value.clone_into(&mut unit.command),
                "Environment" => unit.environment.extend(pair(value)),
                "EnvironmentFile" => unit.environment.extend(from_file(value)?),
                "X-ReadyPort" => {
                    let port = value
                        .parse()
                        .map_err(|error| format!("{name}: X-ReadyPort: {error}"))?;
                    unit.ready_port = Some(port);
                }
                _ if key.starts_with('#') || NOT_PLAYED.contains(&key) => {}
                _ => return Err(format!("{name}: {key} is not known to the stand-in")),
            }
        }
        Ok(unit)
    }

    fn file(&self, end: &str) -> PathBuf {
        self.run.join(format!("{}.{end}", self.name))
    }

    fn pid(&self) -> Option<u32> {
        service::running(&self.file("pid"))
    }

    /// One at a time for each unit, as with the real one.
    fn locked(&self, act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let lock = File::create(self.file("lock")).map_err(|error| error.to_string())?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
        act()
    }

    fn stop(&self) -> Result<(), String> {
        let Some(pid) = self.pid() else { return Ok(()) };
        procs::signal_group(pid, Signal::TERM);
        let gone = || (!procs::runs(pid)).then_some(());
        if wait::find_within(GRACE, gone).is_none() {
            procs::signal_group(pid, Signal::KILL);
            wait::find_within(GRACE, gone).ok_or_else(|| format!("{} does not end", self.name))?;
        }
        Ok(())
    }

    fn start(&self) -> Result<(), String> {
        let failed = |what: &str, error: std::io::Error| format!("{}: {what}: {error}", self.name);
        let log = File::create(self.file("log")).map_err(|error| failed("log", error))?;
        let also = log.try_clone().map_err(|error| failed("log", error))?;
        // Followed here, so that the process stays in the release it was started from.
        let directory = fs::canonicalize(&self.directory).map_err(|error| failed(&self.directory, error))?;
        let mut command = Command::new("setsid");
        command
            .args(["sh", "-c", &format!("exec {}", self.command)])
            .current_dir(directory)
            .env_clear();
        for name in ["PATH", "HOME", sshd::MARK] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log).stderr(also);
        let mut child = command.spawn().map_err(|error| failed("setsid", error))?;
        if let Some(started) = procs::started(child.id()) {
            fs::write(self.file("pid"), format!("{} {started}", child.id()))
                .map_err(|error| failed("pid", error))?;
        }
        self.wait_ready(&mut child)
    }

    fn wait_ready(&self, child: &mut Child) -> Result<(), String> {
        let Some(port) = self.ready_port else {
            return Ok(());
        };
        let found = wait::find_within(START, || {
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                return Some(false);
            }
            TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true)
        });
        if found == Some(true) {
            return Ok(());
        }
        let log = fs::read_to_string(self.file("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(10).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        let what = if found.is_some() {
            "has ended"
        } else {
            "does not listen"
        };
        Err(format!(
            "Job for {} failed: it {what}\n{}",
            self.name,
            tail.join("\n")
        ))
    }
}

fn pair(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().split_once('=')?;
    let value = value.trim();
    let quoted = |mark| {
        value
            .strip_prefix(mark)
            .and_then(|value: &str| value.strip_suffix(mark))
    };
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    Some((name.to_owned(), value.to_owned()))
}

/// A leading `-` means that the file may be missing.
fn from_file(path: &str) -> Result<Vec<(String, String)>, String> {
    let (path, optional) = path.strip_prefix('-').map_or((path, false), |path| (path, true));
    match fs::read_to_string(path) {
        Ok(text) => Ok(text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(pair)
            .collect()),
        Err(_) if optional => Ok(Vec::new()),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

//! The demo's stand-in for what starts services on a server (systemd with its socket activation): it holds the listening
//! sockets, starts a release's service on them, lets the one before finish what it accepted, and ends everything when the
//! demo is gone, however that ended. It knows folders and sockets, and nothing of deployments.

use super::service::READY;
use super::sweep;
use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Where it hears, in the demo's folder.
pub(super) const SOCKET: &str = "machine/socket";
/// The folder of the "hosts", one per environment, in the demo's folder.
pub(super) const HOSTS: &str = "hosts";
/// What the demo writes to its stdin so that it stays when the demo ends.
pub(super) const KEEP: &[u8] = b"keep\n";
/// How long a service may take to answer for the first time, or to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What it is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Let the service run what `<path>/current` says, in this environment; nothing, if that is not there.
    Restart {
        /// The service's folder.
        path: PathBuf,
        /// Its variables.
        variables: BTreeMap<String, String>,
    },
    /// End every service and itself, and remove the folder.
    Stop,
}

/// What it answers.
pub(super) type Answer = Result<String, String>;

/// Where each service listens: `development/web` to its port. The first line it prints.
pub(super) type Ports = BTreeMap<String, u16>;

/// One place for a service: its socket for good, and what serves on it now.
struct Place {
    listener: TcpListener,
    log: PathBuf,
    serves: Option<Serving>,
}

/// A running service and the line whose closing tells it to finish.
struct Serving {
    child: Child,
    line: UnixStream,
}

struct Machine {
    folder: PathBuf,
    places: BTreeMap<PathBuf, Place>,
}

/// Runs until it is told to stop, or the demo is gone. Its words are the places: `development/web`.
///
/// # Errors
/// If a socket cannot be had: for people.
pub(super) fn run(folder: &Path, places: &[String]) -> Result<ExitCode, String> {
    // Neither a Ctrl-C meant for the demo nor the end of its terminal is meant for the machine.
    let _already_leading = rustix::process::setsid();
    let (machine, ports) = Machine::new(folder, places).map_err(|error| error.to_string())?;
    // A relative name: the whole path of a socket has to be short, and a temporary folder's need not be.
    std::env::set_current_dir(folder).map_err(|error| error.to_string())?;
    let control = UnixListener::bind(SOCKET).map_err(|error| format!("{SOCKET}: {error}"))?;
    println!(
        "{}",
        serde_json::to_string(&ports).map_err(|error| error.to_string())?
    );
    machine.hear(&control).map_err(|error| error.to_string())
}

impl Machine {
    fn new(folder: &Path, names: &[String]) -> std::io::Result<(Self, Ports)> {
        let mut places = BTreeMap::new();
        let mut ports = Ports::new();
        std::fs::create_dir_all(folder.join("machine"))?;
        for name in names {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            ports.insert(name.clone(), listener.local_addr()?.port());
            let log = folder
                .join("machine")
                .join(format!("{}.log", name.replace('/', "-")));
            places.insert(
                folder.join(HOSTS).join(name),
                Place {
                    listener,
                    log,
                    serves: None,
                },
            );
        }
        Ok((
            Self {
                folder: folder.to_owned(),
                places,
            },
            ports,
        ))
    }

    fn hear(mut self, control: &UnixListener) -> std::io::Result<ExitCode> {
        let mut demo = Some(std::io::stdin().as_fd().try_clone_to_owned().map(File::from)?);
        loop {
            let stdin = demo.as_ref().map_or(control.as_fd(), |demo| demo.as_fd());
            let mut waited = [
                PollFd::new(&control, PollFlags::IN),
                PollFd::new(&stdin, PollFlags::IN),
            ];
            match poll(&mut waited, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let (asked, demo_spoke) = (!waited[0].revents().is_empty(), !waited[1].revents().is_empty());
            if let Some(line) = demo.as_mut().filter(|_| demo_spoke) {
                let mut word = [0; 16];
                match line.read(&mut word) {
                    Ok(length) if length > 0 && word[..length].starts_with(KEEP) => demo = None,
                    _ => {
                        self.stop();
                        return Ok(ExitCode::SUCCESS);
                    }
                }
            } else if asked {
                let (stream, _) = control.accept()?;
                if self.serve(stream).is_break() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }

    /// Answers one request; whoever asks and goes away gets no answer, and what was asked is done.
    fn serve(&mut self, stream: UnixStream) -> std::ops::ControlFlow<()> {
        let mut text = String::new();
        let mut reader = BufReader::new(stream);
        let _gone = reader.get_ref().set_read_timeout(Some(PATIENCE));
        let _gone = reader.read_line(&mut text);
        let (answer, stopped): (Answer, _) = match serde_json::from_str(&text) {
            Ok(Request::Restart { path, variables }) => (self.restart(&path, &variables), false),
            Ok(Request::Stop) => {
                self.stop();
                (Ok("stopped, and removed its folder".to_owned()), true)
            }
            Err(error) => (Err(format!("not understood: {error}")), false),
        };
        let line = serde_json::to_string(&answer).unwrap_or_default();
        let _gone = writeln!(reader.into_inner(), "{line}");
        if stopped {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    }

    /// The new one answers before the old one is told to finish: no connection is refused or lost.
    fn restart(&mut self, path: &Path, variables: &BTreeMap<String, String>) -> Answer {
        let place = self
            .places
            .get_mut(path)
            .ok_or_else(|| format!("{} is none of mine", path.display()))?;
        let Ok(release) = std::fs::canonicalize(path.join("current")) else {
            if let Some(old) = place.serves.take() {
                old.finish();
            }
            return Ok("nothing is deployed there: stopped".to_owned());
        };
        let new = place.start(&release, variables, &self.folder).map_err(|error| {
            let log = std::fs::read_to_string(&place.log).unwrap_or_default();
            format!("{error}; {}", log.lines().last().unwrap_or("it said nothing"))
        })?;
        let answer = format!("serves {}", release.display());
        if let Some(old) = place.serves.replace(new) {
            old.finish();
        }
        Ok(answer)
    }

    fn stop(&mut self) {
        for place in self.places.values_mut() {
            if let Some(serving) = place.serves.take() {
                serving.finish();
            }
        }
        sweep::sweep(&self.folder);
    }
}

impl Place {
    fn start(
        &self,
        release: &Path,
        variables: &BTreeMap<String, String>,
        folder: &Path,
    ) -> std::io::Result<Serving> {
        let (mut line, theirs) = UnixStream::pair()?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["demo-service", "serve"])
            .current_dir(release)
            .env_clear()
            .envs(variables)
            .env(sweep::MARK, folder)
            .stdin(OwnedFd::from(self.listener.try_clone()?))
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::from(log))
            .spawn()?;
        line.set_read_timeout(Some(PATIENCE))?;
        let mut word = [0; READY.len()];
        match line.read_exact(&mut word) {
            Ok(()) if word == READY => Ok(Serving { child, line }),
            _ => {
                let _ended = child.kill();
                child.wait()?;
                Err(std::io::Error::other("the service did not start"))
            }
        }
    }
}

impl Serving {
    /// Lets it answer what it accepted; one that does not end is ended.
    fn finish(self) {
        let Self { mut child, line } = self;
        drop(line);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}

/// Asks the machine of a demo's folder.
pub(super) fn ask(folder: &Path, request: &Request) -> Answer {
    let no_machine = |error: std::io::Error| {
        format!(
            "the demo's machine in {} does not answer: {error}",
            folder.display()
        )
    };
    std::env::set_current_dir(folder).map_err(no_machine)?;
    let mut stream = UnixStream::connect(SOCKET).map_err(no_machine)?;
    stream.set_read_timeout(Some(3 * PATIENCE)).map_err(no_machine)?;
    let line = serde_json::to_string(request).map_err(|error| error.to_string())?;
    writeln!(stream, "{line}").map_err(no_machine)?;
    let mut text = String::new();
    BufReader::new(stream).read_line(&mut text).map_err(no_machine)?;
    serde_json::from_str(&text).map_err(|error| error.to_string())?
}

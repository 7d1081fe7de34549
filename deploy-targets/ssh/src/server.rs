//! One host as people use it by hand, over the same connections as deployments: a command, and what a service writes. Under no
//! claim and without the lock. What a command prints comes line by line, without the secrets that the host knows.
//!
//! Nothing is left running: a command reads nothing, and its step's stdin stays open for as long as somebody waits for it. Where
//! that ends, however it came about (told to stop, killed, the link gone), the host ends the command and its process group.

use crate::config::{self, Address, HostBinding};
use crate::connections::Connections;
use crate::error::Nature;
use crate::host::{Host, Request, Step};
use crate::logs;
use crate::transport::{Input, Reply, Shell, seconds};
use crate::words;
use deploy_core::command::Command;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, ServiceName};
use deploy_core::port::target::{Cause, ProgressSink, TargetError};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// For what only looks.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a host may take to end a command that nobody waits for any more.
const STOPPING: Duration = Duration::from_secs(15);
/// What the step around a command may take beside it.
const AROUND: Duration = Duration::from_secs(15);

/// A step of somebody's own: no failpoint is around it.
macro_rules! by_hand {
    ($name:ident $text:literal $nature:ident [$($part:literal)*]) => {
        pub(crate) const $name: Step = Step::by_hand(
            $text,
            Nature::$nature,
            &[include_str!("script/frame.sh"), $(include_str!(concat!("script/", $part, ".sh"))),*],
        );
    };
}
pub(crate) use by_hand;
by_hand!(HIDDEN "secrets" Look ["scrub" "known" "encode" "hidden"]);
by_hand!(ORDER "run" Write ["scrub" "run" "known" "attend" "order"]);
by_hand!(LOGS "logs" Write ["scrub" "run" "known" "attend" "logs"]);

/// One host.
pub struct Server {
    name: HostName,
    pub(crate) address: Address,
    shell: Arc<dyn Shell>,
    // What the services there were given is hidden in every output.
    services: Vec<String>,
}

/// Which of its two streams a command wrote a line to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A command to run by hand.
#[derive(Debug, Clone)]
pub struct Order {
    /// What.
    pub command: Command,
    /// The path of the service in whose `current`, and with whose variables, it runs; `None`: as the login has it.
    pub path: Option<String>,
    /// The host ends it by then.
    pub limit: Duration,
}

/// Where a service writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// These units' entries in the system's journal.
    Journal(Vec<String>),
    /// In the user's own.
    UserJournal(Vec<String>),
    /// Files, by a glob that is relative to the service's path.
    Files(String),
}

impl LogSource {
    /// Where a service writes: as `logs` says it, else as `restart` shows it, on a host and with a service of these names.
    pub fn of(
        logs: Option<&str>,
        restart: Option<&Command>,
        host: &HostName,
        service: &ServiceName,
    ) -> Option<Self> {
        let facts = [
            ("DEPLOY_HOST", host.as_str()),
            ("DEPLOY_SERVICE", service.as_str()),
            // Whichever of two serves.
            ("DEPLOY_PORT", "*"),
        ];
        match logs {
            Some(text) => Some(logs::said(text)),
            None => logs::shown(restart?, &facts),
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// It took longer than its limit.
    TimedOut,
    /// Whoever waited for it did not any more.
    Stopped,
}

/// Takes lines as they come.
pub type Listener = Arc<dyn Fn(Said, &str) + Send + Sync>;

/// A step's output, sorted by the stream that each line is marked with. What has no mark is not the command's.
struct Lines(Listener);

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl ProgressSink for Lines {
    fn step(&self, _: u64, _: u64, _: &str) {}

    fn line(&self, text: &str) {
        if let Some((said, line)) = marked(text) {
            (self.0)(said, line);
        }
    }
}

fn marked(text: &str) -> Option<(Said, &str)> {
    let (_, rest) = text.strip_prefix('@')?.split_once(' ')?;
    // The space after the mark of an empty line is cut with other blanks at the end.
    let (stream, line) = rest.split_once(' ').unwrap_or((rest, ""));
    match stream {
        "1" => Some((Said::Out, line)),
        "2" => Some((Said::Err, line)),
        _ => None,
    }
}

impl Connections {
    /// A host to use by hand. `services`: the paths of all services on it, whose secrets no output shows.
    pub fn server(&self, name: &HostName, address: &Address, services: Vec<String>) -> Server {
        Server {
            name: name.clone(),
            address: address.clone(),
            shell: self.shell(address),
            services,
        }
    }
}

impl Server {
    pub(crate) fn host(&self, path: Option<&str>) -> Host {
        let path = path.unwrap_or_default();
        // As a deployment spells it: names on the host are made of it.
        let path = config::one_spelling(path).unwrap_or_else(|_| path.to_owned());
        let binding = HostBinding {
            name: self.name.clone(),
            address: self.address.clone(),
            path: path.clone(),
            variables: BTreeMap::new(),
        };
        Host::new(binding, path, Arc::clone(&self.shell), None)
    }

    /// Which of the secrets on the host stand in a text.
    ///
    /// # Errors
    /// It cannot be reached, or asked.
    pub async fn secrets_in(&self, text: &str) -> Result<BTreeSet<String>, Box<Failure>> {
        let request = Request::new(LIMIT).arg(words::list(&self.services)).arg(text);
        let reply = self.host(None).run(HIDDEN, request).await;
        let reply = reply.map_err(|error| error.failure)?;
        let hidden = reply.all("hidden").filter_map(|words| {
            let bytes = words::unword(words.first()?)?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        });
        Ok(hidden.collect())
    }

    /// Runs a command, until it ends, its limit is over, or `stop` says so (or is dropped). Dropping the future ends it, too.
    ///
    /// # Errors
    /// It cannot be reached, or nothing runs in the path: not done. The connection breaks: unknown.
    pub async fn run(
        &self,
        order: &Order,
        stop: watch::Receiver<bool>,
        lines: Listener,
    ) -> Result<Ended, TargetError> {
        let request = Request::new(order.limit.saturating_add(AROUND))
            .arg(seconds(order.limit).to_string())
            .arg(words::list(&self.services))
            .arg(words::command(&order.command));
        let host = self.host(order.path.as_deref());
        attend(&host, ORDER, request, stop, lines).await
    }

    /// What a service writes: the last so many lines, those since so long ago, and, with `follow`, those to come until `stop` says so.
    ///
    /// # Errors
    /// It cannot be reached, or there is no such file: not done. The connection breaks: unknown.
    pub async fn logs(
        &self,
        path: &str,
        source: &LogSource,
        tail: &Tail,
        stop: watch::Receiver<bool>,
        lines: Listener,
    ) -> Result<Ended, TargetError> {
        let (kind, what) = match source {
            LogSource::Journal(units) => ("journal", words::list(units)),
            LogSource::UserJournal(units) => ("user-journal", words::list(units)),
            LogSource::Files(glob) => ("files", glob.clone()),
        };
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let request = Request::new(tail.limit.saturating_add(AROUND))
            .arg(seconds(tail.limit).to_string())
            .arg(words::list(&self.services))
            .arg(number(tail.lines))
            .arg(number(tail.since.map(seconds)))
            .arg(if tail.follow { "follow" } else { "" })
            .arg(kind)
            .arg(what);
        attend(&self.host(Some(path)), LOGS, request, stop, lines).await
    }
}

/// How much of what a service wrote.
#[derive(Debug, Clone)]
pub struct Tail {
    /// So many lines of each host; `None`: all.
    pub lines: Option<u64>,
    /// Not older than this; only a journal knows.
    pub since: Option<Duration>,
    /// And what comes.
    pub follow: bool,
    /// The host ends it by then.
    pub limit: Duration,
}

async fn attend(
    host: &Host,
    step: Step,
    request: Request,
    mut enough: watch::Receiver<bool>,
    lines: Listener,
) -> Result<Ended, TargetError> {
    let (listens, stdin) = mpsc::channel(1);
    let request = request
        .input(Input::Stream(stdin))
        .output_to(Arc::new(Lines(lines)));
    let running = host.run(step, request);
    tokio::pin!(running);
    let reply = tokio::select! {
        reply = &mut running => reply,
        () = said(&mut enough) => {
            drop(listens);
            match tokio::time::timeout(STOPPING, &mut running).await {
                Ok(reply) => reply,
                Err(_) => return Err(not_ended(host, step)),
            }
        }
    };
    reply.map(|reply| ended(&reply))
}

/// Until it is said that it is enough. That nobody can say it any more is as good as said.
async fn said(stop: &mut watch::Receiver<bool>) {
    let _nobody = stop.wait_for(|stop| *stop).await.is_err();
}

fn not_ended(host: &Host, step: Step) -> TargetError {
    let message = format!("{} does not say that `{}` has ended", host.name(), step.name);
    let next = "look at its processes; the host ends it at its time limit";
    TargetError::unknown(Cause::Transient, Failure::new(Code::TimedOut, message, next))
}

fn ended(reply: &Reply) -> Ended {
    let status = reply.word("status").and_then(|status| status.parse().ok());
    match (reply.get("gone"), status) {
        (Some(_), _) => Ended::Stopped,
        (None, Some(124 | 137)) => Ended::TimedOut,
        (None, status) => Ended::Status(status.unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_commands_by_its_mark() {
        for (text, line) in [
            ("@0af 1 hello world", Some((Said::Out, "hello world"))),
            ("@0af 2  indented", Some((Said::Err, " indented"))),
            ("@0af 1", Some((Said::Out, ""))),
            ("@0af 3 x", None),
            ("Welcome to web-1", None),
            ("@", None),
        ] {
            assert_eq!(marked(text), line, "{text}");
        }
    }
}

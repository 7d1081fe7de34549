//! What people ask of the hosts of an environment by hand: a command, a service's logs, a host's key, preparing a bare host.

use deploy_core::command::Command;
use deploy_core::exit::Exit;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{EnvName, HostName, ServiceName};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Which hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnHosts {
    /// Of this environment.
    pub environment: EnvName,
    /// Those of this service; `None`: all.
    pub service: Option<ServiceName>,
    /// Only these; empty: all.
    pub hosts: Vec<HostName>,
}

/// A command to run on hosts.
#[derive(Debug, Clone)]
pub struct RunAsk {
    /// Where; with a service, in its folder and with its variables.
    pub on: OnHosts,
    /// What.
    pub command: Command,
    /// Each host ends it by then.
    pub limit: Duration,
    /// Whether the asker named the environment to confirm it.
    pub confirmed: bool,
}

/// What of a service's logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsAsk {
    /// The environment.
    pub environment: EnvName,
    /// The service.
    pub service: ServiceName,
    /// Only these hosts; empty: all of the service.
    pub hosts: Vec<HostName>,
    /// So many lines of each host; `None`: all.
    pub lines: Option<u64>,
    /// Not older than this; only a journal knows.
    pub since: Option<Duration>,
    /// And what comes.
    pub follow: bool,
}

/// Whoever looks on: takes lines as they come, and says when it is enough.
#[derive(Clone)]
pub struct Onlooker {
    /// `true`, or dropped: enough. The hosts end what runs.
    pub stop: watch::Receiver<bool>,
    /// Called with each line, and with how each host ended. It may block: then what prints waits.
    pub tell: Arc<dyn Fn(ByHand) + Send + Sync>,
}

impl std::fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Onlooker")
    }
}

/// What is told on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ByHand {
    /// A line was printed. Without the secrets that the host knows.
    Output {
        /// Where.
        host: HostName,
        /// To which stream.
        stream: OutputStream,
        /// What.
        line: String,
    },
    /// It ended on a host.
    Ended(HostEnd),
}

/// A stream of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How something by hand ended on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEnd {
    /// Where.
    pub host: HostName,
    /// How.
    #[serde(flatten)]
    pub how: HostEnded,
}

/// How.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum HostEnded {
    /// By itself.
    Exited {
        /// With this status.
        status: i32,
    },
    /// It took longer than its limit, and was ended.
    TimedOut,
    /// It was ended, because whoever asked had enough.
    Stopped,
    /// It was not started: the host cannot be reached.
    Unreachable {
        /// Why.
        failure: Failure,
    },
    /// It could not be started, or the connection broke and it is not known how it ended.
    Failed {
        /// Why.
        failure: Failure,
    },
}

impl HostEnded {
    /// From why it gave no status.
    pub fn of(failure: Failure, began: bool) -> Self {
        match failure.code {
            Code::Unreachable | Code::HostKey if !began => Self::Unreachable { failure },
            _ => Self::Failed { failure },
        }
    }

    /// Whether it did what it should.
    pub const fn is_well(&self) -> bool {
        matches!(self, Self::Exited { status: 0 })
    }

    /// Why there is no status, where there is none.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Unreachable { failure } | Self::Failed { failure } => Some(failure),
            Self::Exited { .. } | Self::TimedOut | Self::Stopped => None,
        }
    }
}

impl std::fmt::Display for HostEnded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited { status } => write!(f, "status {status}"),
            Self::TimedOut => f.write_str("took longer than its time limit, and was ended"),
            Self::Stopped => f.write_str("was ended, as asked"),
            Self::Unreachable { failure } | Self::Failed { failure } => f.write_str(&failure.message),
        }
    }
}

/// How a process exits that asked several hosts. `stopped`: whether being stopped is a way to end well.
pub fn exit_of(ends: &[HostEnd], stopped: bool) -> Exit {
    let unreachable = |end: &HostEnd| matches!(end.how, HostEnded::Unreachable { .. });
    let well = |end: &HostEnd| end.how.is_well() || stopped && end.how == HostEnded::Stopped;
    Exit::of_hosts(
        ends.iter().any(|end| !well(end) && !unreachable(end)),
        ends.iter().any(unreachable),
    )
}

/// The keys of a host, and what is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostKeysSeen {
    /// Which host.
    pub host: HostName,
    /// In which environment.
    pub environment: EnvName,
    /// The name that its key is known by.
    pub name: String,
    /// Where it is pinned.
    pub file: PathBuf,
    /// The keys that it offers.
    pub keys: Vec<KeySeen>,
    /// What is pinned.
    #[serde(flatten)]
    pub standing: KeyStanding,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeySeen {
    /// `SHA256:…`.
    pub fingerprint: String,
    /// `ED25519`.
    pub kind: String,
}

/// What is pinned, against what the host offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum KeyStanding {
    /// Nothing.
    Unknown,
    /// One of its keys.
    Trusted,
    /// Others.
    Differs {
        /// Their fingerprints.
        pinned: Vec<String>,
    },
    /// One of its keys, as revoked.
    Revoked,
}

/// How hosts are to be prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupAsk {
    /// Where.
    pub environment: EnvName,
    /// Nothing is done, all is said.
    pub dry_run: bool,
    /// Packages that are missing are installed.
    pub install: bool,
    /// Whether the asker named the environment to confirm it.
    pub confirmed: bool,
}

/// One host, prepared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostSetup {
    /// Which.
    pub host: HostName,
    /// What was missing; empty: nothing was to do.
    pub steps: Vec<SetupDone>,
    /// Why the rest is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One thing that was missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetupDone {
    /// What.
    pub what: String,
    /// How it is now.
    #[serde(flatten)]
    pub state: SetupState,
}

/// How it is with a thing that was missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SetupState {
    /// Done.
    Done,
    /// It would be done.
    Planned,
    /// It cannot be done from here.
    Cannot {
        /// What a person would do on the host.
        fix: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    fn end(how: HostEnded) -> HostEnd {
        HostEnd {
            host: "web-1".parse().expect("a name"),
            how,
        }
    }

    #[test]
    fn hosts_end_in_words_and_in_one_exit() {
        let failure = Failure::new(Code::Unreachable, "web-2 cannot be reached", "look");
        let well = end(HostEnded::Exited { status: 0 });
        let away = end(HostEnded::of(failure.clone(), false));
        let broke = end(HostEnded::of(failure, true));
        let stopped = end(HostEnded::Stopped);
        assert_eq!(exit_of(std::slice::from_ref(&well), false), Exit::Done);
        assert_eq!(exit_of(&[well.clone(), away.clone()], false), Exit::Unreachable);
        assert_eq!(exit_of(&[broke, away], false), Exit::Failed);
        assert_eq!(exit_of(std::slice::from_ref(&stopped), false), Exit::Failed);
        assert_eq!(exit_of(&[well, stopped], true), Exit::Done);
        let three = end(HostEnded::Exited { status: 3 });
        let wanted = json!({"host": "web-1", "ended": "exited", "status": 3});
        assert_eq!(to_value(&three).expect("it is JSON"), wanted);
        assert_eq!(three.how.to_string(), "status 3");
    }
}

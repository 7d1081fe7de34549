//! What health needs of the outside: one look at a service, and a host to look from.
//! No runtime appears here: a connection through a host is named by the local socket that leads to it.

use crate::command::Command;
use crate::health::{Look, ProbeSpec};
use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Looks at health.
#[cfg_attr(any(test, feature = "test-util"), mockall::automock)]
#[async_trait::async_trait]
pub trait Probe: Send + Sync {
    /// One look, which ends within `spec.timeout`; one that failed through a host may take as long again, to find out whether it was
    /// the host. Every way it can go is a verdict: there is no error beside it. Dropping the future ends the look and whatever it
    /// had started.
    async fn look(&self, spec: &ProbeSpec) -> Look;
}

/// A host that can be looked *from*: over its connection, or this machine itself.
#[cfg_attr(any(test, feature = "test-util"), mockall::automock)]
#[async_trait::async_trait]
pub trait HostExec: Send + Sync {
    /// Runs a command on the host and waits for its end. It runs in a process group of its own, which is ended with it, at the time
    /// limit, and when the future is dropped (over a connection: as far as the connection can still tell it to).
    ///
    /// # Errors
    /// A command that ran and failed is no error: see [`HostOutput::status`].
    async fn run(&self, command: &HostCommand, timeout: Duration) -> Result<HostOutput, HostExecError>;

    /// A way to `host:port` *as the host sees it* (`localhost` is the host itself), open for as long as the returned value lives. That
    /// nothing listens there need not be noticed before somebody connects.
    ///
    /// # Errors
    /// The host cannot be reached, or it does not allow forwarding.
    async fn forward(&self, host: &str, port: u16, timeout: Duration)
    -> Result<ForwardedPort, HostExecError>;
}

/// A command for a host. Its environment may hold secrets: they go over standard input or the protocol's own means, never on an
/// argument list, and `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct HostCommand {
    /// What to run.
    pub line: Command,
    /// Added to the environment that a command has there anyway.
    pub env: Vec<(String, String)>,
    /// The folder to run in; without one, the user's home (on this machine: the current folder).
    pub dir: Option<String>,
    /// Standard input; empty is end of file at once.
    pub stdin: Vec<u8>,
}

impl HostCommand {
    /// A command with nothing around it.
    pub const fn new(line: Command) -> Self {
        Self {
            line,
            env: Vec::new(),
            dir: None,
            stdin: Vec::new(),
        }
    }
}

impl fmt::Debug for HostCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("HostCommand")
            .field("line", &self.line)
            .field("env", &names)
            .field("dir", &self.dir)
            .field("stdin", &format_args!("{} bytes", self.stdin.len()))
            .finish()
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOutput {
    /// The exit status; 128 and the signal's number where a signal ended it.
    pub status: i32,
    /// Its first [`HostOutput::LIMIT`] bytes.
    pub stdout: Vec<u8>,
    /// Its first [`HostOutput::LIMIT`] bytes.
    pub stderr: Vec<u8>,
}

impl HostOutput {
    /// The most that is kept of each stream, in bytes. What comes after is read and dropped, so that the command does not block.
    pub const LIMIT: usize = 64 * 1024;
}

/// Why a host did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostExecError {
    /// The host could not be reached, or the connection broke: nothing is known about what runs there.
    #[error("the host cannot be reached: {0}")]
    Unreachable(String),
    /// The command ran out of time and was ended.
    #[error("no end within the time limit")]
    TimedOut,
    /// The host was reached and could not start it: no such program or folder, no right, forwarding not allowed.
    #[error("the host cannot do it: {0}")]
    Refused(String),
}

/// How to connect to what was forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The host is this machine: connect to the address itself.
    Direct,
    /// Through this Unix socket. Not a TCP port: every user of this machine could use that one, and a URL keeps its own host name and
    /// port this way, in the `Host` header and in TLS.
    Socket(PathBuf),
}

/// A way to an address as a host sees it. It closes when dropped.
pub struct ForwardedPort {
    reach: Reach,
    _guard: Box<dyn Any + Send + Sync>,
}

impl ForwardedPort {
    /// No forwarding needed.
    pub fn direct() -> Self {
        Self {
            reach: Reach::Direct,
            _guard: Box::new(()),
        }
    }

    /// Through a socket that `guard` closes when it is dropped.
    pub fn socket(path: impl AsRef<Path>, guard: impl Any + Send + Sync) -> Self {
        Self {
            reach: Reach::Socket(path.as_ref().to_owned()),
            _guard: Box::new(guard),
        }
    }

    /// How to connect.
    pub const fn reach(&self) -> &Reach {
        &self.reach
    }
}

impl fmt::Debug for ForwardedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForwardedPort").field(&self.reach).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value_of_the_environment() {
        let mut command = HostCommand::new(Command::Shell("check".to_owned()));
        command.env.push(("TOKEN".to_owned(), "hunter2".to_owned()));
        command.stdin = b"hunter2".to_vec();
        let shown = format!("{command:?}");
        assert!(shown.contains("TOKEN"));
        assert!(!shown.contains("hunter2"));
    }
}

//! Steps over one multiplexed connection to a host, by the user's own `ssh`: its configuration, agent, jump hosts and known
//! hosts hold. The connection is made at the first step, and made anew after it broke.

use super::jump::refused_on_the_way;
use super::refusal::{refused, runs_nothing};
use super::{Broken, Call, Reply, Shell, argv, converse};
use crate::config::SshAddress;
use crate::error::missing_tool;
use async_trait::async_trait;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::Cause;
use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder, Stdio};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// How long a connection may take to come up, name lookup and jump hosts included.
const CONNECT: Duration = Duration::from_secs(15);
/// A dead link is noticed after three of these.
const ALIVE: Duration = Duration::from_secs(5);
/// A killed deployer's connection goes after this many seconds.
const IDLE: NonZeroUsize = NonZeroUsize::new(60).expect("60 is not 0");
/// Steps at once over one connection: sshd's own default is 10.
const CHANNELS: usize = 8;

/// A host over ssh.
pub(crate) struct Ssh {
    address: SshAddress,
    // Held while connecting, so that steps which start together share one connection.
    session: Mutex<Option<Connection>>,
    /// The last attempt that failed, and which it was.
    failed: std::sync::Mutex<(u64, Option<Broken>)>,
    channels: Semaphore,
}

/// A connection, and the folder that holds its socket.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) session: Arc<Session>,
    _master: Option<Arc<Master>>,
    // Last: the socket is needed to close the connection.
    pub(crate) folder: Arc<tempfile::TempDir>,
}

/// A connection that we began ourselves, and so have to end ourselves. Its drop takes a few milliseconds.
struct Master(PathBuf);

impl Drop for Master {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ssh")
            .arg("-S")
            .arg(&self.0)
            .args(["-O", "exit", "none"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
    }
}

impl Ssh {
    pub(crate) fn new(address: SshAddress) -> Self {
        Self {
            address,
            session: Mutex::new(None),
            failed: std::sync::Mutex::default(),
            channels: Semaphore::new(CHANNELS),
        }
    }

    /// The connection, made if there is none. Whoever waited while an attempt failed gets that answer: a host that does not answer
    /// is waited for once, not once by each.
    pub(crate) async fn connection(&self) -> Result<Connection, Broken> {
        let (before, _) = self.last_failure();
        let mut held = self.session.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        if let (attempt, Some(broken)) = self.last_failure()
            && attempt != before
        {
            return Err(broken);
        }
        let connecting = connect(&self.address);
        let connection = tokio::time::timeout(CONNECT + ALIVE, connecting)
            .await
            .unwrap_or_else(|_| Err(refused(&self.address, "no answer in time")));
        match connection {
            Ok(connection) => {
                *held = Some(connection.clone());
                Ok(connection)
            }
            Err(broken) => {
                // Nothing panics while it is held, so what a poisoned one holds is whole.
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                *failed = (failed.0 + 1, Some(broken.clone()));
                Err(broken)
            }
        }
    }

    fn last_failure(&self) -> (u64, Option<Broken>) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets a connection that broke, unless another step has replaced it already.
    pub(crate) async fn forget(&self, broken: &Connection) {
        let mut held = self.session.lock().await;
        if held
            .as_ref()
            .is_some_and(|connection| Arc::ptr_eq(&connection.session, &broken.session))
        {
            *held = None;
        }
    }
}

async fn connect(address: &SshAddress) -> Result<Connection, Broken> {
    // Short: a socket's path has little room. Only its owner may look inside.
    let folder = tempfile::Builder::new()
        .prefix("dpl")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in("/tmp")
        .map_err(|error| {
            let next = "make /tmp writable: the connection's socket is there";
            let failure = Failure::new(
                Code::PermissionDenied,
                "no folder for the connection's socket",
                next,
            );
            Broken::NotSent(Cause::Final, Box::new(failure.caused_by(&error)))
        })?;
    let mut master = None;
    let session = if let Some(password) = &address.password {
        master = Some(Arc::new(Master(folder.path().join("master"))));
        with_password(address, password.expose(), folder.path()).await?
    } else {
        let mut builder = SessionBuilder::default();
        builder
            .known_hosts_check(KnownHosts::Strict)
            .connect_timeout(CONNECT)
            .server_alive_interval(ALIVE)
            .control_persist(ControlPersist::IdleFor(IDLE))
            .control_directory(folder.path());
        if let Some(file) = &address.config_file {
            builder.config_file(file);
        }
        match builder.connect(&address.destination).await {
            Ok(session) => session,
            Err(error) => return Err(refused_on_the_way(address, &chain(&error)).await),
        }
    };
    Ok(Connection {
        session: Arc::new(session),
        _master: master,
        folder: Arc::new(folder),
    })
}

/// The same connection where the host wants a password: `ssh` asks a helper for it, which finds it in its environment, so that
/// it is on no argument list and in no file.
async fn with_password(address: &SshAddress, password: &str, folder: &Path) -> Result<Session, Broken> {
    let broken = |error: std::io::Error| refused(address, &error.to_string());
    let helper = folder.join("ask");
    tokio::fs::write(&helper, "#!/bin/sh\nprintf '%s\\n' \"$DEPLOY_SSH_PASSWORD\"\n")
        .await
        .map_err(broken)?;
    tokio::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o700))
        .await
        .map_err(broken)?;
    let (socket, log) = (folder.join("master"), folder.join("log"));
    let mut command = tokio::process::Command::new("ssh");
    command
        .arg("-E")
        .arg(&log)
        .arg("-S")
        .arg(&socket)
        .args(["-M", "-f", "-N"]);
    for option in [
        format!("ControlPersist={IDLE}"),
        "StrictHostKeyChecking=yes".to_owned(),
        "NumberOfPasswordPrompts=1".to_owned(),
        format!("ConnectTimeout={}", CONNECT.as_secs()),
        format!("ServerAliveInterval={}", ALIVE.as_secs()),
    ] {
        command.arg("-o").arg(option);
    }
    if let Some(file) = &address.config_file {
        command.arg("-F").arg(file);
    }
    let status = command
        .arg("--")
        .arg(&address.destination)
        .env("SSH_ASKPASS", &helper)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("DEPLOY_SSH_PASSWORD", password)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(broken)?;
    if !status.success() {
        let said = tokio::fs::read_to_string(&log).await.unwrap_or_default();
        return Err(refused_on_the_way(address, &said).await);
    }
    Ok(Session::resume(
        socket.into_boxed_path(),
        Some(log.into_boxed_path()),
    ))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push('\n');
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The command line as the login shell reads it.
fn quoted(argv: &[String]) -> String {
    let words: Vec<_> = argv.iter().map(|word| format!("'{word}'")).collect();
    words.join(" ")
}

#[async_trait]
impl Shell for Ssh {
    async fn run(&self, call: Call) -> Result<Reply, Broken> {
        let _channel = self.channels.acquire().await.expect("it is never closed");
        let connection = self.connection().await?;
        let mut command = connection.session.raw_command(quoted(&argv(&call)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = match command.spawn().await {
            Ok(child) => child,
            Err(error) => {
                self.forget(&connection).await;
                return Err(refused(&self.address, &chain(&error)));
            }
        };
        let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            unreachable!("both were asked for");
        };
        let reply = converse(call, stdin, stdout, stderr).await;
        match reply {
            Ok(reply) => Ok(reply),
            Err(broken) => {
                let lives = connection.session.check().await.is_ok();
                if !lives {
                    self.forget(&connection).await;
                }
                Err(match broken {
                    // The server takes no more channels for now: nothing was started.
                    Broken::Lost { began: false, output } if output.contains("Session open refused") => {
                        let message = format!("{} takes no more sessions just now", self.address.destination);
                        let failure = Failure::new(Code::Unreachable, message, "try again a little later");
                        Broken::NotSent(Cause::Transient, Box::new(failure.with_log(&output)))
                    }
                    // The multiplexer was gone before it took the command.
                    Broken::Lost { began: false, output }
                        if output.contains("Control socket connect") || output.contains("port 9") =>
                    {
                        let message = format!("the connection to {} was gone", self.address.destination);
                        let failure = Failure::new(Code::Unreachable, message, "try again");
                        Broken::NotSent(Cause::Transient, Box::new(failure.with_log(&output)))
                    }
                    // The host ended it before its first word: whoever runs commands there does not run ours.
                    Broken::Lost { began: false, output } if lives && missing_tool(&output).is_none() => {
                        runs_nothing(&self.address, &output)
                    }
                    other => other,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Input;

    /// `sh`, `fish` and `csh` read such a line alike: between the quotes there is nothing that one of them takes for more.
    #[test]
    fn any_login_shell_reads_the_command_line() {
        let call = Call {
            script: crate::host::script_of(crate::host::ACTIVATE),
            args: vec![(1..=255).collect(), b"it's !1 $(id) `id` \\'\n".to_vec()],
            nonce: String::new(),
            input: Input::Empty,
            limit: CONNECT,
            sink: None,
        };
        let line = quoted(&argv(&call));
        assert!(
            line.is_ascii() && !line.contains(['!', '\n']) && !line.contains("\\\\") && !line.contains("\\'")
        );
        let inside: usize = line
            .split("' '")
            .map(|part| part.trim_matches('\'').matches('\'').count())
            .sum();
        assert_eq!(inside, 0);
        assert!(line.len() < 100_000, "{}", line.len());
    }
}

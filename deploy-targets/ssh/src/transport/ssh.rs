//! Steps over one multiplexed connection to a host, by the user's own `ssh`: its configuration, agent, jump hosts and known
//! hosts hold. The connection is made at the first step, and made anew after it broke.

use super::crowd::{Crowd, Pauses};
use super::jump::refused_on_the_way;
use super::refusal::{refused, runs_nothing};
use super::standing::{self, Standing};
use super::{Broken, Call, Input, Reply, Shell, argv, borrowed, converse};
use crate::config::SshAddress;
use crate::error::missing_tool;
use async_trait::async_trait;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::Cause;
use openssh::{Child, Session, Stdio};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, Semaphore};

/// How long a connection may take to come up, name lookup and jump hosts included.
const CONNECT: Duration = Duration::from_secs(15);
/// A dead link is noticed after three of these.
const ALIVE: Duration = Duration::from_secs(5);
/// A killed deployer's connection goes after this many seconds.
const IDLE: NonZeroUsize = NonZeroUsize::new(60).expect("60 is not 0");
/// Steps at once over one connection: sshd's own default is 10.
const CHANNELS: usize = 8;
/// Shells that wait for their next step, so that with all channels in use it is as many as that.
const IDLE_SHELLS: usize = 2;
/// How long a server that takes nobody just now is asked again.
const BACK_OFF: Duration = Duration::from_secs(15);

/// A host over ssh.
pub(crate) struct Ssh {
    address: SshAddress,
    // Held while connecting, so that steps which start together share one connection.
    session: Mutex<Option<Connection>>,
    /// The last attempt that failed, and which it was.
    failed: std::sync::Mutex<(u64, Option<Broken>)>,
    channels: Semaphore,
    crowd: Arc<Crowd>,
    /// Shells that wait for their next step.
    idle: std::sync::Mutex<Vec<Standing>>,
    /// Held while the first of them is begun ahead of its use; whether that was tried.
    ahead: Mutex<bool>,
    /// A connection that was borrowed did not answer: the next one is our own.
    on_our_own: AtomicBool,
}

/// A connection, and the folder that holds its socket.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) session: Arc<Session>,
    /// Ended with the last clone; `None` for one that the user's own `ssh` holds.
    master: Option<Arc<Master>>,
    // Last: the socket is needed to close the connection.
    pub(crate) folder: Arc<tempfile::TempDir>,
}

/// The process that holds a connection: ended when nobody uses it any more. Its drop asks for that and waits for no answer.
struct Master(PathBuf);

impl Drop for Master {
    fn drop(&mut self) {
        // One that is gone already needs no end.
        let _ = openssh_mux_client::shutdown_mux_master(&self.0);
    }
}

impl Ssh {
    pub(crate) fn new(address: SshAddress, crowd: Arc<Crowd>) -> Self {
        crowd.hosts.fetch_add(1, Ordering::Relaxed);
        Self {
            address,
            session: Mutex::new(None),
            failed: std::sync::Mutex::default(),
            channels: Semaphore::new(CHANNELS),
            crowd,
            idle: std::sync::Mutex::default(),
            ahead: Mutex::default(),
            on_our_own: AtomicBool::new(false),
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
        match self.connect().await {
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

    /// Connects; again for a while, where so many come at once that the server drops some.
    async fn connect(&self) -> Result<Connection, Broken> {
        let mut pauses = Pauses::within(BACK_OFF);
        let borrow = !self.on_our_own.load(Ordering::Relaxed);
        loop {
            let connected = {
                let _one = self.crowd.connecting.acquire().await.expect("it is never closed");
                tokio::time::timeout(CONNECT + ALIVE, connect(&self.address, borrow)).await
            };
            match connected.unwrap_or_else(|_| Err(refused(&self.address, "no answer in time"))) {
                Err(Broken::NotSent(Cause::Transient, _))
                    if self.crowd.hosts.load(Ordering::Relaxed) > 1 && pauses.pause().await => {}
                ended => return ended,
            }
        }
    }

    fn last_failure(&self) -> (u64, Option<Broken>) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets a connection that broke, unless another step has replaced it already.
    pub(crate) async fn forget(&self, broken: &Connection) {
        self.let_go();
        let mut held = self.session.lock().await;
        if held
            .as_ref()
            .is_some_and(|connection| Arc::ptr_eq(&connection.session, &broken.session))
        {
            *held = None;
        }
    }
}

async fn connect(address: &SshAddress, borrow: bool) -> Result<Connection, Broken> {
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
    let borrowed = if borrow {
        borrowed::socket(address).await
    } else {
        None
    };
    let (socket, master) = match borrowed {
        Some(socket) => (socket, None),
        None => {
            let socket = folder.path().join("master");
            begin_master(address, &socket, folder.path()).await?;
            (socket.clone(), Some(Arc::new(Master(socket))))
        }
    };
    Ok(Connection {
        session: Arc::new(Session::resume_mux(socket.into_boxed_path(), None)),
        master,
        folder: Arc::new(folder),
    })
}

/// Starts the process that holds the connection. It is ended if this is dropped before it has gone into the background.
///
/// Where the host wants a password, `ssh` asks a helper for it, which finds it in its environment, so that it is on no argument list
/// and in no file.
async fn begin_master(address: &SshAddress, socket: &Path, folder: &Path) -> Result<(), Broken> {
    let broken = |error: std::io::Error| refused(address, &error.to_string());
    let log = folder.join("log");
    let mut command = tokio::process::Command::new("ssh");
    command
        .arg("-E")
        .arg(&log)
        .arg("-S")
        .arg(socket)
        .args(["-M", "-f", "-N"]);
    for option in [
        format!("ControlPersist={IDLE}"),
        "StrictHostKeyChecking=yes".to_owned(),
        format!("ConnectTimeout={}", CONNECT.as_secs()),
        format!("ServerAliveInterval={}", ALIVE.as_secs()),
    ] {
        command.arg("-o").arg(option);
    }
    if let Some(password) = &address.password {
        let helper = folder.join("ask");
        tokio::fs::write(&helper, "#!/bin/sh\nprintf '%s\\n' \"$DEPLOY_SSH_PASSWORD\"\n")
            .await
            .map_err(broken)?;
        tokio::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o700))
            .await
            .map_err(broken)?;
        command
            .args(["-o", "NumberOfPasswordPrompts=1"])
            .env("SSH_ASKPASS", &helper)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("DEPLOY_SSH_PASSWORD", password.expose());
    } else {
        command.args(["-o", "BatchMode=yes"]);
    }
    if let Some(file) = &address.config_file {
        command.arg("-F").arg(file);
    }
    let status = command
        .arg("--")
        .arg(&address.destination)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(broken)?;
    if status.success() {
        return Ok(());
    }
    let said = tokio::fs::read_to_string(&log).await.unwrap_or_default();
    Err(refused_on_the_way(address, &said).await)
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

impl Ssh {
    /// Begins a command over the connection, once the server takes it.
    async fn begin(&self, connection: &Connection, line: &str) -> Result<Child<Arc<Session>>, Broken> {
        let mut pauses = Pauses::within(BACK_OFF);
        loop {
            // The multiplexer was gone before it took the command.
            if let Err(error) = UnixStream::connect(connection.session.control_socket()).await {
                self.forget(connection).await;
                let message = format!("the connection to {} was gone", self.address.destination);
                let failure = Failure::new(Code::Unreachable, message, "try again");
                let failure = failure.caused_by(&error);
                return Err(Broken::NotSent(Cause::Transient, Box::new(failure)));
            }
            let mut command = Arc::clone(&connection.session).arc_raw_command(line);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let said = match command.spawn().await {
                Ok(child) => return Ok(child),
                Err(error) => chain(&error),
            };
            if !said.contains("Server refused the request") {
                self.forget(connection).await;
                let (began, output) = (false, said);
                return Err(Broken::Lost { began, output });
            }
            // The server takes no more channels for now: nothing was started. What only waits makes room.
            self.let_go();
            if !pauses.pause().await {
                let message = format!("{} takes no more sessions just now", self.address.destination);
                let failure = Failure::new(Code::Unreachable, message, "try again a little later");
                return Err(Broken::NotSent(
                    Cause::Transient,
                    Box::new(failure.with_log(&said)),
                ));
            }
        }
    }

    /// Ends the shells that wait.
    pub(crate) fn let_go(&self) {
        // Nothing panics while it is held, so what a poisoned one holds is whole.
        let waiting = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(waiting);
    }

    /// A shell of this connection that waits.
    fn waiting(&self, connection: &Connection) -> Option<Standing> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|shell| Arc::ptr_eq(&shell.connection.session, &connection.session));
        idle.pop()
    }

    /// A new one, unless there are as many as may be.
    async fn standing(&self, connection: &Connection) -> Result<Option<Standing>, Broken> {
        let Ok(one) = Arc::clone(&self.crowd.standing).try_acquire_owned() else {
            return Ok(None);
        };
        let child = self.begin(connection, standing::LINE).await?;
        Ok(Standing::new(child, connection.clone(), one))
    }

    /// Connects, and has a shell wait for the first step.
    pub(crate) async fn ready(&self) -> Result<(), Broken> {
        let mut tried = self.ahead.lock().await;
        let connection = self.connection().await?;
        if std::mem::replace(&mut *tried, true) {
            return Ok(());
        }
        let _channel = self.channels.acquire().await.expect("it is never closed");
        if let Some(shell) = self.standing(&connection).await? {
            self.keep(shell);
        }
        Ok(())
    }

    fn keep(&self, shell: Standing) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_SHELLS {
            idle.push(shell);
        }
    }

    /// Has a shell that stays run a step; it waits for the next one where it can.
    async fn tell(&self, shell: Standing, call: &Call) -> Result<Reply, Broken> {
        let (reply, shell) = shell.run(call).await;
        if let Some(shell) = shell {
            self.keep(shell);
        }
        reply
    }

    /// What became of a step that did not answer.
    async fn explained(&self, connection: &Connection, broken: Broken) -> Broken {
        let borrowed = connection.master.is_none();
        let lives = connection.session.check().await.is_ok();
        // Whose link is dead lives on for as long as its owner's settings say.
        if !lives || (borrowed && matches!(broken, Broken::TimedOut)) {
            self.on_our_own.fetch_or(borrowed, Ordering::Relaxed);
            self.forget(connection).await;
        }
        match broken {
            // The host ended it before its first word: whoever runs commands there does not run ours.
            Broken::Lost { began: false, output } if lives && missing_tool(&output).is_none() => {
                runs_nothing(&self.address, &output)
            }
            other => other,
        }
    }
}

#[async_trait]
impl Shell for Ssh {
    async fn run(&self, call: Call) -> Result<Reply, Broken> {
        let _channel = self.channels.acquire().await.expect("it is never closed");
        let _step = self.crowd.steps.acquire().await.expect("it is never closed");
        let connection = self.connection().await?;
        // One that is being begun is waited for.
        drop(self.ahead.lock().await);
        let reply = if matches!(call.input, Input::Empty) {
            match self.by_a_shell_that_stays(&connection, &call).await? {
                Some(reply) => reply,
                None => self.by_its_own(&connection, call).await?,
            }
        } else {
            self.by_its_own(&connection, call).await?
        };
        match reply {
            Ok(reply) => Ok(reply),
            Err(broken) => Err(self.explained(&connection, broken).await),
        }
    }
}

/// What a step answered, or why it did not; the outer error is that it was never begun.
type Answered = Result<Result<Reply, Broken>, Broken>;

impl Ssh {
    /// Over a channel of its own.
    async fn by_its_own(&self, connection: &Connection, call: Call) -> Answered {
        let mut child = self.begin(connection, &quoted(&argv(&call))).await?;
        let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            unreachable!("both were asked for");
        };
        Ok(converse(call, stdin, stdout, stderr).await)
    }

    /// By a shell that waits, or a new one; `None` where there may be no more of them.
    async fn by_a_shell_that_stays(
        &self,
        connection: &Connection,
        call: &Call,
    ) -> Result<Option<Result<Reply, Broken>>, Broken> {
        if let Some(shell) = self.waiting(connection) {
            let reply = self.tell(shell, call).await;
            // It ended while it waited: over a connection that lives, a step that did not say that it began has not begun.
            let ended = matches!(reply, Err(Broken::Lost { began: false, .. }));
            if !ended || connection.session.check().await.is_err() {
                return Ok(Some(reply));
            }
        }
        match self.standing(connection).await? {
            Some(shell) => Ok(Some(self.tell(shell, call).await)),
            None => Ok(None),
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

//! A host as health looks at it: one command there, and a way to an address as the host sees it. Over the same connections
//! as the steps; under no claim, for it changes nothing of ours.

use crate::config::{Address, SshAddress};
use crate::connections::Connections;
use crate::host::nonce;
use crate::transport::ssh::{Connection, Ssh};
use crate::transport::{Broken, Call, Input, Shell, seconds};
use crate::words;
use async_trait::async_trait;
use deploy_core::command::Command;
use deploy_core::port::probe::{ForwardedPort, HostCommand, HostExec, HostExecError, HostOutput};
use openssh::{ForwardType, Socket};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const SCRIPT: &str = concat!(include_str!("script/frame.sh"), include_str!("script/exec.sh"));

/// A host to look from.
pub(crate) struct Exec {
    shell: Arc<dyn Shell>,
    ssh: Option<Arc<Ssh>>,
}

impl Connections {
    /// A host to look from, over the connection that its steps use.
    pub fn host_exec(&self, address: &Address) -> Arc<dyn HostExec> {
        let ssh = match address {
            Address::Local => None,
            Address::Ssh(address @ SshAddress { .. }) => Some(self.ssh(address)),
        };
        let shell = self.shell(address);
        Arc::new(Exec { shell, ssh })
    }
}

#[async_trait]
impl HostExec for Exec {
    async fn run(&self, command: &HostCommand, timeout: Duration) -> Result<HostOutput, HostExecError> {
        if matches!(&command.line, Command::Argv(argv) if argv.is_empty()) {
            return Err(HostExecError::Refused("no program is named".to_owned()));
        }
        let mut input = String::new();
        for (name, value) in &command.env {
            writeln!(input, "{name} {}", words::word(value)).expect("a String takes all");
        }
        input.push_str(".\n");
        let mut input = input.into_bytes();
        input.extend_from_slice(&command.stdin);
        let nonce = nonce();
        let args = [
            nonce.clone(),
            String::new(),
            seconds(timeout).to_string(),
            command.dir.clone().unwrap_or_default(),
            words::command(&command.line),
            HostOutput::LIMIT.to_string(),
        ];
        let call = Call {
            script: SCRIPT.to_owned(),
            args: args.into_iter().map(String::into_bytes).collect(),
            nonce,
            input: Input::Bytes(input),
            // The command's own limit ends first, and says so.
            limit: timeout + Duration::from_secs(3),
            sink: None,
            // Its output is the caller's, as it is.
        };
        let mut reply = match tokio::time::timeout(timeout, self.shell.run(call)).await {
            Err(_) | Ok(Err(Broken::TimedOut)) => return Err(HostExecError::TimedOut),
            Ok(Err(Broken::NotSent(_, failure))) => return Err(HostExecError::Unreachable(failure.message)),
            Ok(Err(Broken::Lost { .. })) => {
                return Err(HostExecError::Unreachable("the connection broke".to_owned()));
            }
            Ok(Ok(reply)) => reply,
        };
        let status: Option<i32> = reply.word("status").and_then(|status| status.parse().ok());
        let Some(status) = status.filter(|_| reply.status == 0) else {
            let why = reply
                .get("fail")
                .map_or_else(|| reply.output.clone(), |words| words.join(" "));
            return Err(HostExecError::Refused(why));
        };
        let mut take = |name: &str| reply.files.remove(name).unwrap_or_default();
        let (stdout, stderr) = (take("out"), take("err"));
        match status {
            124 => Err(HostExecError::TimedOut),
            // What `timeout` says where there is no such program, or it may not be run.
            126 | 127 if matches!(command.line, Command::Argv(_)) => Err(HostExecError::Refused(
                String::from_utf8_lossy(&stderr).trim().to_owned(),
            )),
            _ => Ok(HostOutput {
                status,
                stdout,
                stderr,
            }),
        }
    }

    async fn forward(
        &self,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<ForwardedPort, HostExecError> {
        let Some(ssh) = &self.ssh else {
            return Ok(ForwardedPort::direct());
        };
        let opening = open(ssh, host, port);
        tokio::time::timeout(timeout, opening)
            .await
            .map_err(|_| HostExecError::TimedOut)?
    }
}

async fn open(ssh: &Ssh, host: &str, port: u16) -> Result<ForwardedPort, HostExecError> {
    let connection = ssh.connection().await.map_err(|broken| match broken {
        Broken::NotSent(_, failure) => HostExecError::Unreachable(failure.message),
        Broken::Lost { .. } | Broken::TimedOut => {
            HostExecError::Unreachable("the connection broke".to_owned())
        }
    })?;
    let listen = connection.folder.path().join(nonce());
    let forward = Forward {
        connection: connection.clone(),
        listen: listen.clone(),
        // ssh reads colons as separators.
        to: if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        },
    };
    let made = connection
        .session
        .request_port_forward(
            ForwardType::Local,
            Socket::UnixSocket {
                path: listen.as_path().into(),
            },
            Socket::TcpSocket {
                host: forward.host().into(),
                port,
            },
        )
        .await;
    if let Err(error) = made {
        if connection.session.check().await.is_err() {
            ssh.forget(&connection).await;
            return Err(HostExecError::Unreachable("the connection broke".to_owned()));
        }
        return Err(HostExecError::Refused(format!("no forwarding: {error}")));
    }
    Ok(ForwardedPort::socket(&listen, forward))
}

/// An open forward. Its drop takes a few milliseconds: the multiplexer is asked to close it.
struct Forward {
    connection: Connection,
    listen: PathBuf,
    to: String,
}

impl Forward {
    fn host(&self) -> &str {
        self.to
            .rsplit_once(':')
            .map_or(self.to.as_str(), |(host, _)| host)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let mut forwarding = self.listen.clone().into_os_string();
        forwarding.push(":");
        forwarding.push(&self.to);
        let socket: &Path = self.connection.session.control_socket();
        // If the connection is gone, so is the forward.
        let _ = std::process::Command::new("ssh")
            .arg("-S")
            .arg(socket)
            .args(["-o", "BatchMode=yes", "-O", "cancel", "-L"])
            .arg(forwarding)
            .arg("none")
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        let _ = std::fs::remove_file(&self.listen);
    }
}

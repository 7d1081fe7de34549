//! Why a connection through jump hosts did not come about. `ssh` runs another `ssh` for the way there, whose words reach no log, and
//! itself says only that it was hung up on. So the way is tried once more by itself, as `ssh` goes it, and what that says is read.

use super::Broken;
use super::refusal::{blamed, refused};
use crate::config::SshAddress;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::Cause;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a jump host may take to be reached when it is tried by itself.
const REACH: Duration = Duration::from_secs(3);
/// How long trying it may take in all. What tries a connection has this much left when `ssh` gave up on it.
const TRY: Duration = Duration::from_secs(4);

/// What a connection through a proxy of any kind is called when it ends early: it has no port of its own.
const THROUGH: &str = "UNKNOWN port 65535";

/// The way to a host over another one.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    /// Jump hosts before the last, in order.
    before: Option<String>,
    /// The last jump host: `bastion`, `ssh://ops@bastion:2222`.
    jump: String,
    /// The host behind it and its port, as the jump host is asked for it.
    inner: String,
}

/// Why there is no connection: as [`refused`], and where the host is behind jump hosts, why these do not get there.
pub(crate) async fn refused_on_the_way(address: &SshAddress, said: &str) -> Broken {
    let tried = async {
        let way = Way::read(&ask(address).await?)?;
        let heard = attempt(address, &way).await?;
        Some((way, heard))
    };
    if !said.contains(THROUGH) {
        return refused(address, said);
    }
    // One that takes no connection just now and one behind a jump host that is well sound alike.
    let Ok(Some((way, Some(heard)))) = tokio::time::timeout(TRY, tried).await else {
        return refused(address, said);
    };
    of_the_way(address, &way, &heard)
}

/// The configuration that holds for the destination, one setting a line.
pub(super) async fn ask(address: &SshAddress) -> Option<String> {
    let output = ssh(address)
        .args(["-G", "--", &address.destination])
        .stderr(Stdio::null())
        .output()
        .await
        .ok()?;
    String::from_utf8(output.stdout).ok()
}

fn ssh(address: &SshAddress) -> Command {
    let mut command = Command::new("ssh");
    if let Some(file) = &address.config_file {
        command.arg("-F").arg(file);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What the jump host's own `ssh` said; `None` inside: it got to the host behind.
async fn attempt(address: &SshAddress, way: &Way) -> Option<Option<String>> {
    let mut command = ssh(address);
    for option in [
        "BatchMode=yes".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
        format!("ConnectTimeout={}", REACH.as_secs()),
    ] {
        command.arg("-o").arg(option);
    }
    if let Some(before) = &way.before {
        command.args(["-J", before]);
    }
    let output = command
        .args(["-W", &way.inner, "--", &way.jump])
        .output()
        .await
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((!output.status.success()).then_some(said))
}

impl Way {
    /// From the settings that `ssh -G` prints; `None` where there is no jump host.
    fn read(settings: &str) -> Option<Self> {
        let value = |name: &str| {
            settings.lines().find_map(|line| {
                let (key, value) = line.trim().split_once(' ')?;
                (key == name).then(|| value.trim())
            })
        };
        let jumps = value("proxyjump").filter(|jumps| *jumps != "none")?;
        let (host, port) = (value("hostname")?, value("port")?);
        let (before, last) = match jumps.rsplit_once(',') {
            Some((before, last)) => (Some(before.to_owned()), last),
            None => (None, jumps),
        };
        let port_given = last.rsplit_once(':').is_some_and(|(name, port)| {
            port.parse::<u16>().is_ok() && (!name.contains(':') || name.ends_with(']'))
        });
        let jump = if port_given && !last.starts_with("ssh://") {
            format!("ssh://{last}")
        } else {
            last.to_owned()
        };
        Some(Self {
            before,
            jump,
            inner: format!("[{host}]:{port}"),
        })
    }
}

fn of_the_way(address: &SshAddress, way: &Way, heard: &str) -> Broken {
    let jump = SshAddress {
        destination: way.jump.clone(),
        config_file: address.config_file.clone(),
        password: None,
    };
    let (destination, over) = (&address.destination, &way.jump);
    if heard.contains("administratively prohibited") {
        let message = format!("the jump host {over} passes no connection on to {destination}");
        let next = format!(
            "allow it there (AllowTcpForwarding, PermitOpen in its sshd_config), or take another jump host for {destination}"
        );
        let failure = Failure::new(Code::PermissionDenied, message, next).with_log(heard);
        return Broken::NotSent(Cause::Final, Box::new(failure));
    }
    // The jump host let us in, and it is the host behind that it does not reach.
    let (who, on_the_way) = if heard.contains("stdio forwarding failed") {
        (address, format!("seen from the jump host {over}: "))
    } else {
        (&jump, format!("on the way to {destination}, the jump host: "))
    };
    blamed(who, heard, &on_the_way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_read_from_the_settings() {
        let read = |jumps: &str| Way::read(&format!("hostname 10.0.0.2\nport 22\nproxyjump {jumps}\n"));
        let way = |before: Option<&str>, jump: &str| {
            Some(Way {
                before: before.map(str::to_owned),
                jump: jump.to_owned(),
                inner: "[10.0.0.2]:22".to_owned(),
            })
        };
        assert_eq!(read("bastion"), way(None, "bastion"));
        assert_eq!(read("ops@bastion:2222"), way(None, "ssh://ops@bastion:2222"));
        assert_eq!(read("ssh://bastion:2222"), way(None, "ssh://bastion:2222"));
        assert_eq!(read("[::1]:2222"), way(None, "ssh://[::1]:2222"));
        assert_eq!(read("fe80::1:2"), way(None, "fe80::1:2"));
        assert_eq!(read("a,b,c"), way(Some("a,b"), "c"));
        assert_eq!(read("none"), None);
        assert_eq!(Way::read("hostname web\nport 22\n"), None);
    }
}

//! Connections that open, and those that do not.

use super::*;
use crate::testing::{After, Server, closed_port, say, tcp};
use deploy_core::port::probe::{ForwardedPort, HostOutput};
use std::net::SocketAddr;
use std::time::Duration;

async fn verdict(addr: impl ToString, host: Option<&dyn HostExec>) -> String {
    let addr = addr.to_string();
    say(&look(&tcp(addr.as_str()), &addr, host, &OnceLock::new())
        .await
        .verdict)
}

/// A host whose commands run here, but whose ports would need forwarding.
struct Far {
    run: Result<(), HostExecError>,
    path: Option<&'static str>,
}

#[async_trait::async_trait]
impl HostExec for Far {
    async fn run(&self, command: &HostCommand, timeout: Duration) -> Result<HostOutput, HostExecError> {
        self.run.clone()?;
        let mut command = command.clone();
        if let Command::Argv(argv) = &mut command.line {
            argv[0] = "/bin/sh".to_owned();
        }
        command
            .env
            .extend(self.path.map(|path| ("PATH".to_owned(), path.to_owned())));
        crate::LocalExec.run(&command, timeout).await
    }

    async fn forward(&self, _: &str, _: u16, _: Duration) -> Result<ForwardedPort, HostExecError> {
        Ok(ForwardedPort::socket("/nonexistent", ()))
    }
}

#[tokio::test]
async fn open_refused_and_nowhere() {
    let server = Server::raw("", After::Hang).await;
    let gone: SocketAddr = closed_port().await;
    let refused = "unhealthy DPL0601: connection refused";
    assert_eq!(verdict(server.addr, None).await, "healthy");
    assert_eq!(verdict(gone, None).await, refused);
    assert_eq!(verdict(gone, Some(&crate::LocalExec)).await, refused);
    let nowhere = verdict("no-such-name.invalid:80", None).await;
    assert!(
        nowhere.starts_with("unreachable DPL0603: no connection: "),
        "{nowhere}"
    );
    assert!(verdict("nonsense", None).await.starts_with("unreachable"));
}

#[tokio::test]
async fn from_a_host_the_host_itself_dials() {
    let server = Server::raw("", After::Hang).await;
    let gone = closed_port().await;
    let far = Far {
        run: Ok(()),
        path: None,
    };
    assert_eq!(verdict(server.addr, Some(&far)).await, "healthy");
    assert_eq!(
        verdict(gone, Some(&far)).await,
        "unhealthy DPL0601: connection refused"
    );
    let nowhere = verdict("no-such-name.invalid:80", Some(&far)).await;
    assert!(
        nowhere.starts_with("unreachable DPL0603: no connection from the host: "),
        "{nowhere}"
    );

    let bare = Far {
        run: Ok(()),
        path: Some("/nonexistent"),
    };
    let cannot = verdict(server.addr, Some(&bare)).await;
    assert!(cannot.contains("none of bash, python3 and nc"), "{cannot}");
    let lost = Far {
        run: Err(HostExecError::Unreachable("connection lost".to_owned())),
        path: None,
    };
    assert_eq!(
        verdict(server.addr, Some(&lost)).await,
        "unreachable DPL0603: the host cannot be reached: connection lost"
    );
}

#[test]
fn kinds_of_failure() {
    for (kind, said) in [
        (
            io::ErrorKind::ConnectionRefused,
            "unhealthy DPL0601: connection refused",
        ),
        (
            io::ErrorKind::ConnectionReset,
            "unhealthy DPL0601: connection reset",
        ),
        (
            io::ErrorKind::HostUnreachable,
            "unreachable DPL0603: no route to it",
        ),
        (
            io::ErrorKind::TimedOut,
            "unreachable DPL0603: no connection: timed out",
        ),
    ] {
        assert_eq!(say(&failed_connection(&kind.into())), said);
    }
}

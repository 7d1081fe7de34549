//! Tcp probes: a connection that opens is healthy. Also how failed connections are told apart, for every probe.

use crate::check::split_addr;
use crate::expect::too_slow;
use crate::prober::{cannot_look, host_fault, unhealthy};
use deploy_core::command::Command;
use deploy_core::health::{Look, ProbeSpec, Verdict};
use deploy_core::port::probe::{HostCommand, HostExec, HostExecError, Reach};
use deploy_core::time::format_duration;
use std::io;
use std::sync::OnceLock;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Opens one connection from a host. A forwarded socket cannot be used for that: it accepts before anybody knows whether something
/// listens at the other end. No single tool is on every host, so the first there is; 69 says that none is.
const DIAL: &str = r#"LC_ALL=C; export LC_ALL
if command -v bash >/dev/null 2>&1; then
  said=$(bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>&1) && exit 0
  case $said in *"No such file or directory"*) ;; *) printf '%s\n' "$said" >&2; exit 1 ;; esac
fi
if command -v python3 >/dev/null 2>&1; then
  exec python3 -c 'import socket, sys
try: socket.create_connection((sys.argv[1], int(sys.argv[2])))
except OSError as error: sys.exit(str(error))' "$1" "$2"
fi
if command -v nc >/dev/null 2>&1; then nc -z "$1" "$2" || { echo "connection refused" >&2; exit 1; }; exit 0; fi
exit 69
"#;

/// What [`DIAL`] answers when the host has no tool for it.
const NO_TOOL: i32 = 69;

/// One look from a host, which may be this machine; `direct` remembers whether it is.
pub(crate) async fn look(
    spec: &ProbeSpec,
    addr: &str,
    host: Option<&dyn HostExec>,
    direct: &OnceLock<bool>,
) -> Look {
    let began = Instant::now();
    let verdict = match split_addr(addr) {
        Err(error) => cannot_look(error),
        Ok((name, port)) => match host {
            None => dial_here(spec, &name, port).await,
            Some(host) => match is_direct(spec, &name, port, host, direct).await {
                Ok(true) => dial_here(spec, &name, port).await,
                Ok(false) => dial_there(spec, &name, port, host).await.unwrap_or_else(|| {
                    cannot_look(
                        "the host has none of bash, python3 and nc to open a connection with".to_owned(),
                    )
                }),
                Err(error) => cannot_look(error.to_string()),
            },
        },
    };
    let latency = began.elapsed();
    match (verdict, too_slow(spec, latency)) {
        (Verdict::Healthy, Some(slow)) => Look::new(unhealthy(slow), latency),
        (verdict, _) => Look::new(verdict, latency),
    }
}

/// Whether what the host sees is what this machine sees. A host never changes in that, so it is asked once.
async fn is_direct(
    spec: &ProbeSpec,
    name: &str,
    port: u16,
    host: &dyn HostExec,
    known: &OnceLock<bool>,
) -> Result<bool, HostExecError> {
    if let Some(direct) = known.get() {
        return Ok(*direct);
    }
    let direct = match host.forward(name, port, spec.timeout).await {
        Ok(forwarded) => *forwarded.reach() == Reach::Direct,
        // That it does not forward does not matter: it dials by a command.
        Err(HostExecError::Refused(_)) => false,
        Err(error) => return Err(error),
    };
    Ok(*known.get_or_init(|| direct))
}

async fn dial_here(spec: &ProbeSpec, name: &str, port: u16) -> Verdict {
    match tokio::time::timeout(spec.timeout, TcpStream::connect((name, port))).await {
        Ok(Ok(_)) => Verdict::Healthy,
        Ok(Err(error)) => failed_connection(&error),
        Err(_) => cannot_look(format!("no connection within {}", format_duration(spec.timeout))),
    }
}

/// Lets the host open a connection. None where it has no tool to do it with.
pub(crate) async fn dial_there(
    spec: &ProbeSpec,
    name: &str,
    port: u16,
    host: &dyn HostExec,
) -> Option<Verdict> {
    let argv = ["sh", "-c", DIAL, "deploy-dial", name, &port.to_string()];
    let command = HostCommand::new(Command::Argv(argv.map(str::to_owned).to_vec()));
    Some(match host.run(&command, spec.timeout).await {
        Ok(output) if output.status == 0 => Verdict::Healthy,
        Ok(output) if output.status == NO_TOOL => return None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let lower = said.to_ascii_lowercase();
            if lower.contains("refused") || lower.contains("reset") {
                unhealthy("connection refused".to_owned())
            } else {
                // Of what bash says the first line is the cause, after its own name and line.
                let first = said.lines().next().unwrap_or("no reason given");
                let cause = first.split_once("line 1: ").map_or(first, |(_, cause)| cause);
                cannot_look(format!("no connection from the host: {cause}"))
            }
        }
        Err(HostExecError::TimedOut) => match host_fault(host, spec.timeout).await {
            Some(fault) => fault,
            None => cannot_look(format!(
                "no connection from the host within {}",
                format_duration(spec.timeout)
            )),
        },
        Err(error) => cannot_look(error.to_string()),
    })
}

/// What a connection that does not open says: a machine that refuses was reached, and nothing listens there; all else is about the way.
pub(crate) fn failed_connection(error: &io::Error) -> Verdict {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => unhealthy("connection refused".to_owned()),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            unhealthy("connection reset".to_owned())
        }
        io::ErrorKind::TimedOut => cannot_look("no connection: timed out".to_owned()),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            cannot_look("no route to it".to_owned())
        }
        _ => cannot_look(format!("no connection: {error}")),
    }
}

#[cfg(test)]
mod tests;

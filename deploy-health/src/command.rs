//! Command probes: the exit status is judged, and standard output as a body.

use crate::expect::{Answer, Body, Status, judge};
use crate::prober::{cannot_look, host_fault, unhealthy};
use deploy_core::command::Command;
use deploy_core::health::{Look, ProbeSpec, Verdict};
use deploy_core::port::probe::{HostCommand, HostExec, HostExecError, HostOutput};
use deploy_core::time::format_duration;
use tokio::time::Instant;

/// One look by a command on a host, which may be this machine.
pub(crate) async fn look(
    spec: &ProbeSpec,
    line: &Command,
    dir: Option<&String>,
    env: &[(String, String)],
    host: &dyn HostExec,
) -> Look {
    let began = Instant::now();
    let command = HostCommand {
        line: line.clone(),
        env: env.to_vec(),
        dir: dir.cloned(),
        stdin: Vec::new(),
    };
    let output = host.run(&command, spec.timeout).await;
    let latency = began.elapsed();
    let output = match output {
        Ok(output) => output,
        Err(HostExecError::TimedOut) => {
            // A connection that hangs looks the same as a command that does.
            let verdict = match host_fault(host, spec.timeout).await {
                Some(fault) => fault,
                None => unhealthy(format!("no end within {}", format_duration(spec.timeout))),
            };
            return Look::new(verdict, latency);
        }
        Err(HostExecError::Unreachable(why)) => {
            return Look::new(cannot_look(format!("no connection to the host: {why}")), latency);
        }
        Err(HostExecError::Refused(why)) => return Look::new(cannot_look(why), latency),
    };
    let HostOutput {
        status,
        stdout,
        stderr,
    } = output;
    let stderr = String::from_utf8_lossy(&stderr);
    let asked_for = spec
        .expect
        .status
        .iter()
        .any(|wanted| i32::from(*wanted) == status);
    if matches!(status, 126 | 127) && !asked_for {
        // What a shell answers when it cannot run the command: nobody has looked at anything.
        let mut verdict = cannot_look(format!("exit {status}, the command cannot be run"));
        if let Verdict::Unreachable(reason) = verdict {
            verdict = Verdict::Unreachable(reason.with_body(&stderr));
        }
        return Look::new(verdict, latency);
    }
    let answer = Answer {
        status: Status::Exit(status),
        version_header: None,
        body: Body {
            cut: stdout.len() >= HostOutput::LIMIT,
            bytes: stdout,
        },
        latency,
    };
    let mut look = judge(spec, &answer);
    if let Verdict::Unhealthy(reason) = &mut look.verdict
        && reason.body.is_none()
    {
        *reason = reason.clone().with_body(&stderr);
    }
    look
}

#[cfg(test)]
mod tests;

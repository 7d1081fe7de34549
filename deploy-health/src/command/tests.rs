//! Commands, their ends and their limits.

use super::*;
use crate::local::LocalExec;
use crate::testing::{command, say};
use deploy_core::health::ProbeKind;
use deploy_core::port::probe::ForwardedPort;
use std::time::Duration;

async fn run(spec: &ProbeSpec, host: &dyn HostExec) -> Look {
    let ProbeKind::Command { line, dir } = &spec.kind else {
        panic!("a command spec")
    };
    let env = [("DEPLOY_RELEASE".to_owned(), "v42".to_owned())];
    look(spec, line, dir.as_ref(), &env, host).await
}

#[tokio::test]
async fn exit_statuses_and_output() {
    for (text, verdict) in [
        ("true", "healthy"),
        ("exit 3", "unhealthy DPL0601: exit 3"),
        (r#"test "$DEPLOY_RELEASE" = v42"#, "healthy"),
        (
            r#"echo '{"status":"DOWN"}'"#,
            r#"unhealthy DPL0601: exit 0 with status "DOWN""#,
        ),
        (
            "no-such-program-at-all",
            "unreachable DPL0603: exit 127, the command cannot be run",
        ),
    ] {
        assert_eq!(
            say(&run(&command(text), &LocalExec).await.verdict),
            verdict,
            "{text}"
        );
    }
    let look = run(&command("echo why not >&2; exit 1"), &LocalExec).await;
    assert_eq!(
        look.verdict.reason().and_then(|reason| reason.body.as_deref()),
        Some("why not")
    );
    let mut wants_three = command("exit 3");
    wants_three.expect.status = vec![3];
    assert_eq!(run(&wants_three, &LocalExec).await.verdict, Verdict::Healthy);
    let mut wants_text = command("echo ready");
    wants_text.expect.body = Some("^ready$".to_owned());
    let said = say(&run(&wants_text, &LocalExec).await.verdict);
    assert_eq!(
        said, r#"unhealthy DPL0601: exit 0, but the body does not match "^ready$""#,
        "the line end is part of it"
    );
}

#[tokio::test]
async fn a_command_has_a_time_limit() {
    let spec = ProbeSpec {
        timeout: Duration::from_millis(200),
        ..command("sleep 600")
    };
    assert_eq!(
        say(&run(&spec, &LocalExec).await.verdict),
        "unhealthy DPL0601: no end within 200ms"
    );
}

/// A host whose connection hangs: no command ends.
struct Hanging;

#[async_trait::async_trait]
impl HostExec for Hanging {
    async fn run(&self, _: &HostCommand, _: Duration) -> Result<HostOutput, HostExecError> {
        Err(HostExecError::TimedOut)
    }
    async fn forward(&self, _: &str, _: u16, _: Duration) -> Result<ForwardedPort, HostExecError> {
        Err(HostExecError::TimedOut)
    }
}

#[tokio::test]
async fn a_host_that_hangs_is_not_an_unhealthy_service() {
    assert_eq!(
        say(&run(&command("true"), &Hanging).await.verdict),
        "unreachable DPL0603: the host does not answer"
    );
}

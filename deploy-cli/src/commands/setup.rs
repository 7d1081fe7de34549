//! `deploy setup`: bare hosts, prepared.

use super::confirm;
use crate::args::servers::Setup;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::render::Paint;
use deploy_core::failure::{Code, printable};
use deploy_core::id::EnvName;
use deploy_engine::api::Access;
use deploy_engine::api::by_hand::{HostSetup, SetupAsk, SetupState};
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    code: u8,
    environment: &'a EnvName,
    dry_run: bool,
    changed: bool,
    hosts: &'a [HostSetup],
}

pub(crate) async fn run(context: &mut Context<'_>, args: Setup) -> Result<Exit, CliError> {
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let engine = context.open(access).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    let confirmed = args.dry_run || confirm::by_hand(context, &engine, &environment).await?;
    let ask = SetupAsk {
        environment,
        dry_run: args.dry_run,
        install: args.install,
        confirmed,
    };
    let hosts = engine.set_up(&ask).await?;
    let exit = exit(&hosts);
    let (paint, dry_run) = (context.console.paint(), ask.dry_run);
    let answer = Answer {
        schema: "deploy.setup/1",
        code: exit.code(),
        environment: &ask.environment,
        dry_run,
        changed: count(&hosts, &SetupState::Done) > 0,
        hosts: &hosts,
    };
    context
        .console
        .answer(&answer, || text(&hosts, &ask.environment, paint));
    Ok(exit)
}

fn exit(hosts: &[HostSetup]) -> Exit {
    let away = |host: &HostSetup| {
        let failure = host.failure.as_ref();
        failure.is_some_and(|failure| matches!(failure.code, Code::Unreachable | Code::HostKey))
    };
    let left = |host: &HostSetup| {
        let cannot = |state: &SetupState| matches!(state, SetupState::Cannot { .. });
        host.failure.is_some() && !away(host) || host.steps.iter().any(|step| cannot(&step.state))
    };
    Exit::of_hosts(hosts.iter().any(left), hosts.iter().any(away))
}

fn count(hosts: &[HostSetup], state: &SetupState) -> usize {
    let steps = hosts.iter().flat_map(|host| &host.steps);
    steps.filter(|step| step.state == *state).count()
}

fn text(hosts: &[HostSetup], environment: &EnvName, paint: Paint) -> String {
    let width = hosts
        .iter()
        .map(|host| host.host.as_str().len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    let mut line = |mark: String, host: &str, what: &str, fix: Option<&str>| {
        let _ = writeln!(text, "  {mark} {host:<width$}  {}", printable(what, 400));
        if let Some(fix) = fix.filter(|fix| !fix.is_empty()) {
            let _ = writeln!(
                text,
                "    {:<width$}  {}  {}",
                "",
                paint.dim("fix"),
                printable(fix, 400)
            );
        }
    };
    let mut left = 0;
    for host in hosts {
        let name = host.host.as_str();
        for step in &host.steps {
            match &step.state {
                SetupState::Done => line(paint.good("✓"), name, &step.what, None),
                SetupState::Planned => line(paint.warn("…"), name, &format!("would: {}", step.what), None),
                SetupState::Cannot { fix } => {
                    left += 1;
                    line(paint.bad("✗"), name, &step.what, Some(fix));
                }
            }
        }
        match &host.failure {
            Some(failure) => {
                left += 1;
                line(paint.bad("✗"), name, &failure.message, Some(&failure.next));
            }
            None if host.steps.is_empty() => line(paint.good("✓"), name, "nothing to do", None),
            None => {}
        }
    }
    let (done, planned) = (
        count(hosts, &SetupState::Done),
        count(hosts, &SetupState::Planned),
    );
    let things = |count: usize| {
        if count == 1 {
            "1 thing".to_owned()
        } else {
            format!("{count} things")
        }
    };
    let end = match (left, done, planned) {
        (0, 0, 0) => format!("{} nothing was to do in {environment}", paint.good("✓")),
        (0, 0, planned) => format!(
            "{} {} would be done in {environment}",
            paint.warn("…"),
            things(planned)
        ),
        (0, done, _) => format!("{} {} done in {environment}", paint.good("✓"), things(done)),
        (left, ..) => format!(
            "{} {} left to do by hand in {environment}",
            paint.bad("✗"),
            things(left)
        ),
    };
    text.push_str(&end);
    text
}

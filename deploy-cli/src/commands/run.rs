//! `deploy run`: a command on every host.

use super::by_hand::{HostObject, Printer, look_on};
use super::confirm;
use crate::args::servers::Run;
use crate::console::Loudness;
use crate::context::{Context, Signals};
use crate::error::{CliError, Exit};
use deploy_core::command::Command;
use deploy_core::id::{EnvName, ServiceName};
use deploy_engine::api::Access;
use deploy_engine::api::by_hand::{HostEnd, OnHosts, RunAsk, exit_of};
use serde::Serialize;
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(5);

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    code: u8,
    environment: &'a EnvName,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a ServiceName>,
    hosts: Vec<HostObject<'a>>,
}

/// One word is a text for a shell, as everywhere; several are a program and its arguments.
fn command(mut words: Vec<String>) -> Command {
    if words.len() == 1 {
        Command::Shell(words.remove(0))
    } else {
        Command::Argv(words)
    }
}

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Run,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let asking = async {
        let engine = context.open_anyway(Access::Write).await?;
        let environment = context.environment(&engine.environments(), args.environment)?;
        let configured = engine.environment(&environment).await?;
        let confirmed = confirm::by_hand(context, &engine, &environment).await?;
        Ok::<_, CliError>((engine, environment, configured, confirmed))
    };
    let (engine, environment, configured, confirmed) = tokio::select! {
        biased;
        _ = signals.next() => return Err(CliError::interrupted()),
        asked = asking => asked?,
    };
    let ask = RunAsk {
        on: OnHosts {
            environment,
            service: args.service,
            hosts: args.hosts,
        },
        command: command(args.command),
        limit: args.timeout.unwrap_or(LIMIT),
        confirmed,
    };
    let printer = Printer::new(context.console, configured.hosts.keys());
    let engine = &engine;
    let ends = look_on(context, signals, &printer, |onlooker| {
        let ask = &ask;
        async move { engine.run(ask, &onlooker).await }
    })
    .await?;
    let exit = exit_of(&ends, false);
    if context.console.is_machine() {
        context.console.last(&Answer {
            schema: "deploy.run/1",
            code: exit.code(),
            environment: &ask.on.environment,
            service: ask.on.service.as_ref(),
            hosts: printer.objects(&ends),
        });
    } else if context.console.loudness() > Loudness::Quiet {
        let text = summary(&ends, context);
        context.console.message(&text);
    }
    Ok(exit)
}

fn summary(ends: &[HostEnd], context: &Context<'_>) -> String {
    let paint = context.console.paint_err();
    let (all, well) = (ends.len(), ends.iter().filter(|end| end.how.is_well()).count());
    let hosts = if all == 1 { "host" } else { "hosts" };
    if all == well {
        format!("{} status 0 on {all} {hosts}", paint.good("✓"))
    } else {
        format!("{} status 0 on {well} of {all} {hosts}", paint.bad("✗"))
    }
}

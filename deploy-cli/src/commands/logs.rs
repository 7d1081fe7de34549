//! `deploy logs`: what a service writes, from all of its hosts.

use super::by_hand::{HostObject, Printer, look_on};
use crate::args::servers::Logs;
use crate::context::{Context, Signals};
use crate::error::{CliError, Exit};
use deploy_core::id::{EnvName, ServiceName};
use deploy_engine::api::Access;
use deploy_engine::api::by_hand::{LogsAsk, exit_of};
use serde::Serialize;

const LINES: u64 = 100;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    code: u8,
    environment: &'a EnvName,
    service: &'a ServiceName,
    hosts: Vec<HostObject<'a>>,
}

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Logs,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let asking = async {
        let engine = context.open_anyway(Access::Read).await?;
        let environment = context.environment(&engine.environments(), args.environment)?;
        let configured = engine.environment(&environment).await?;
        Ok::<_, CliError>((engine, environment, configured))
    };
    let (engine, environment, configured) = tokio::select! {
        biased;
        _ = signals.next() => return Err(CliError::interrupted()),
        asked = asking => asked?,
    };
    let all = args.since.is_none().then_some(LINES);
    let ask = LogsAsk {
        environment,
        service: args.service,
        hosts: args.hosts,
        lines: args.lines.or(all),
        since: args.since,
        follow: args.follow,
    };
    let printer = Printer::new(context.console, configured.hosts.keys());
    let engine = &engine;
    let ends = look_on(context, signals, &printer, |onlooker| {
        let ask = &ask;
        async move { engine.logs(ask, &onlooker).await }
    })
    .await?;
    // To be stopped is how following ends.
    let exit = exit_of(&ends, ask.follow);
    if context.console.is_machine() {
        context.console.last(&Answer {
            schema: "deploy.logs/1",
            code: exit.code(),
            environment: &ask.environment,
            service: &ask.service,
            hosts: printer.objects(&ends),
        });
    }
    Ok(exit)
}

//! `deploy retire`: removes a service from an environment.

use super::follow::follow;
use crate::args::people::Retire;
use crate::context::{Context, Signals};
use crate::error::{CliError, Exit};
use deploy_core::failure::Code;
use deploy_engine::api::Access;

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Retire,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let engine = context.open(Access::Write).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    let environment = &environment;
    match &context.global.confirm {
        Some(named) if named == environment => {}
        Some(named) => {
            let message = format!("--confirm names {named}, and this is for {environment}");
            return Err(CliError::usage(message, format!("--confirm {environment}")));
        }
        // Removing is what no rollback undoes by itself: it is always confirmed.
        None if context.console.asks() => context.typed(environment)?,
        None => {
            let message = format!("removing {} from {environment} has to be confirmed", args.service);
            return Err(CliError::new(
                Code::ConfirmationMissing,
                message,
                format!("--confirm {environment}"),
            ));
        }
    }
    context.forewarn(&engine, environment).await?;
    follow(context, &engine, signals, &[], |wires| {
        engine.retire(&args.service, environment, true, wires)
    })
    .await
}

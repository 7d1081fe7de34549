//! `deploy retire`: removes a service from an environment.

use super::confirm;
use super::follow::{Part, follow};
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
    // A service that nobody knows is nothing to confirm.
    engine.knows(&args.service, &environment).await?;
    let confirmed = confirm::given(context, &environment)?;
    // Removing is what no rollback undoes by itself: it is always confirmed.
    if !confirmed && !context.console.asks() {
        let message = format!("removing {} from {environment} has to be confirmed", args.service);
        let next = format!("--confirm {environment}");
        return Err(CliError::new(Code::ConfirmationMissing, message, next));
    }
    context.forewarn(&engine, &environment).await?;
    let mut ask = engine.retiring(&args.service, &environment).await?;
    if confirmed {
        ask.confirmed = true;
    } else {
        ask = confirm::seen(context, &engine, signals, ask).await?;
    }
    follow(context, &engine, signals, (Part::Drives, &[]), |wires| {
        engine.deploy(ask, wires)
    })
    .await
}

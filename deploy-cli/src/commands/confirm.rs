//! Confirming: somebody at a terminal sees the plan, then types the environment's name, and gets just this plan or nothing. Whether
//! it is asked for is the engine's to say, and so is what happens where nobody can be asked.

use super::plan;
use crate::context::{Context, Signals};
use crate::error::CliError;
use deploy_core::failure::Code;
use deploy_core::id::EnvName;
use deploy_engine::Engine;
use deploy_engine::api::DeployAsk;

/// Whether the caller named the environment beforehand, with `--confirm`.
pub(crate) fn given(context: &Context<'_>, name: &EnvName) -> Result<bool, CliError> {
    match &context.global.confirm {
        None => Ok(false),
        Some(given) if given == name => Ok(true),
        Some(given) => {
            let message = format!("--confirm names {given}, and this is for {name}");
            Err(CliError::usage(message, format!("--confirm {name}")))
        }
    }
}

/// Shows what would be done and has it confirmed, where the rules of the environment ask for that and somebody can.
pub(crate) async fn where_wanted(
    context: &mut Context<'_>,
    engine: &Engine,
    signals: &mut Signals,
    ask: DeployAsk,
) -> Result<DeployAsk, CliError> {
    if ask.confirmed
        || !context.console.asks()
        || !engine.wants_confirmation(&ask.environment, ask.kind).await?
    {
        return Ok(ask);
    }
    seen(context, engine, signals, ask).await
}

/// Shows what would be done and has it confirmed.
pub(crate) async fn seen(
    context: &mut Context<'_>,
    engine: &Engine,
    signals: &mut Signals,
    ask: DeployAsk,
) -> Result<DeployAsk, CliError> {
    let preview = tokio::select! {
        biased;
        _ = signals.next() => return Err(CliError::interrupted()),
        preview = engine.preview(&ask) => preview?,
    };
    let digest = preview.plan.digest();
    if ask.only.is_some_and(|only| only != digest) {
        // It is not what would be done, and the engine says so.
        return Ok(ask);
    }
    let text = plan::text(&preview, context.console.paint_err());
    context.console.message(text.trim_end());
    let name = &ask.environment;
    let question = format!("This changes {name}. Type its name to go on: ");
    let answer = context.asked(signals, &question).await?;
    if answer.as_deref() != Some(name.as_str()) {
        let message = format!("{name} was not confirmed: nothing was begun");
        let next = format!("type {name} when asked, or give --confirm {name}");
        return Err(CliError::new(Code::ConfirmationMissing, message, next));
    }
    Ok(DeployAsk {
        confirmed: true,
        only: Some(digest),
        ..ask
    })
}

//! Confirming: somebody at a terminal sees the plan, then types the environment's name, and gets just this plan or nothing. Whether
//! it is asked for is the engine's to say, and so is what happens where nobody can be asked.

use super::plan;
use crate::context::{Context, Signals};
use crate::error::CliError;
use deploy_core::failure::Code;
use deploy_core::id::EnvName;
use deploy_core::plan::Kind;
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
        preview = plan::preview(context, engine, &ask) => preview?,
    };
    let digest = preview.plan.digest();
    if ask.only.is_some_and(|only| only != digest) {
        // It is not what would be done, and the engine says so.
        return Ok(ask);
    }
    let text = plan::text(&preview, context.console.paint_err());
    context.console.message(text.trim_end());
    let answer = context.asked(signals, &question(&ask.environment)).await?;
    judged(answer.as_deref(), &ask.environment)?;
    Ok(DeployAsk {
        confirmed: true,
        only: Some(digest),
        ..ask
    })
}

/// Whether what is done by hand on hosts is confirmed: beforehand, or now, where deploying has to be and somebody can be asked. Whoever
/// calls it hears the signals.
pub(crate) async fn by_hand(
    context: &mut Context<'_>,
    engine: &Engine,
    name: &EnvName,
) -> Result<bool, CliError> {
    if given(context, name)? {
        return Ok(true);
    }
    if !context.console.asks() || !engine.wants_confirmation(name, Kind::Deploy).await? {
        return Ok(false);
    }
    let answer = context.console.ask(&question(name)).await;
    judged(answer.as_deref(), name).map(|()| true)
}

fn question(name: &EnvName) -> String {
    format!("This changes {name}. Type its name to go on: ")
}

fn judged(answer: Option<&str>, name: &EnvName) -> Result<(), CliError> {
    if answer == Some(name.as_str()) {
        return Ok(());
    }
    let message = format!("{name} was not confirmed: nothing was begun");
    let next = format!("type {name} when asked, or give --confirm {name}");
    Err(CliError::new(Code::ConfirmationMissing, message, next))
}

//! `deploy approve` and `deploy reject`: what people say to a deployment that waits.

use super::answers::done;
use crate::args::people::Decide;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_engine::Engine;
use deploy_engine::api::Access;

pub(crate) async fn approve(context: &mut Context<'_>, args: Decide) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    let id = meant(context, &engine, args.id).await?;
    let id = engine.approve(&id, args.reason).await?;
    done(
        context,
        &format!("{} approved", id.short()),
        Some(&format!("deploy resume {}", id.short())),
    );
    Ok(Exit::Done)
}

pub(crate) async fn reject(context: &mut Context<'_>, args: Decide) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    let id = meant(context, &engine, args.id).await?;
    let id = engine.reject(&id, args.reason).await?;
    done(
        context,
        &format!("{} rejected", id.short()),
        Some(&format!("deploy show {}", id.short())),
    );
    Ok(Exit::Done)
}

/// The deployment named, or the only one that waits: then it is said which.
async fn meant(
    context: &mut Context<'_>,
    engine: &Engine,
    named: Option<String>,
) -> Result<String, CliError> {
    if let Some(named) = named {
        return Ok(named);
    }
    let (environment, only) = engine.only_waiting().await?;
    context.taken(&format!(
        "deployment {} of {environment}: the only one that waits",
        only.short()
    ));
    Ok(only.to_string())
}

//! `deploy approve` and `deploy reject`: what people say to a deployment that waits.

use super::answers::done;
use crate::args::people::Decide;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_engine::api::Access;

pub(crate) async fn approve(context: &mut Context<'_>, args: Decide) -> Result<Exit, CliError> {
    let engine = context.open(Access::Write).await?;
    let id = engine.approve(&args.id, args.reason).await?;
    done(
        context,
        &format!("{} approved", id.short()),
        Some(&format!("deploy resume {}", id.short())),
    );
    Ok(Exit::Done)
}

pub(crate) async fn reject(context: &mut Context<'_>, args: Decide) -> Result<Exit, CliError> {
    let engine = context.open(Access::Write).await?;
    let id = engine.reject(&args.id, args.reason).await?;
    done(
        context,
        &format!("{} rejected", id.short()),
        Some(&format!("deploy show {}", id.short())),
    );
    Ok(Exit::Done)
}

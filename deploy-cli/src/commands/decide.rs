//! `deploy approve` and `deploy reject`: what people say to a deployment that waits.

use super::answers::done;
use crate::args::people::Decide;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_engine::api::Access;

pub(crate) async fn approve(context: &mut Context<'_>, args: Decide) -> Result<Exit, CliError> {
    let engine = context.open(Access::Write).await?;
    engine.approve(&args.id, args.reason).await?;
    done(context, &format!("{} approved", args.id), Some(&format!("deploy resume {}", args.id)));
    Ok(Exit::Done)
}

pub(crate) async fn reject(context: &mut Context<'_>, args: Decide) -> Result<Exit, CliError> {
    let engine = context.open(Access::Write).await?;
    engine.reject(&args.id, args.reason).await?;
    done(context, &format!("{} rejected", args.id), Some(&format!("deploy show {}", args.id)));
    Ok(Exit::Done)
}

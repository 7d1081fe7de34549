//! `deploy yank`: bars a release, or lifts that.

use super::answers::done;
use crate::args::people::Yank;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_engine::api::Access;

pub(crate) async fn run(context: &mut Context<'_>, args: Yank) -> Result<Exit, CliError> {
    let engine = context.open(Access::Write).await?;
    match args.reason {
        // clap wants a reason unless it is undone.
        None => {
            engine.unyank(&args.release).await?;
            done(context, &format!("{} may be deployed again", args.release), None);
        }
        Some(reason) => {
            engine.yank(&args.release, reason).await?;
            let next = format!("deploy yank {} --undo", args.release);
            done(context, &format!("{} is barred from every environment", args.release), Some(&next));
        }
    }
    Ok(Exit::Done)
}

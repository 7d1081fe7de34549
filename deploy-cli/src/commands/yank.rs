//! `deploy yank`: bars a release, or lifts that.

use super::answers::done;
use crate::args::people::Yank;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_engine::api::Access;

pub(crate) async fn run(context: &mut Context<'_>, args: Yank) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    if args.undo {
        let release = engine.unyank(&args.release).await?.number;
        done(context, &format!("{release} may be deployed again"), None);
    } else {
        let reason = args.reason.unwrap_or_else(|| "by hand".to_owned());
        let release = engine.yank(&args.release, reason).await?.number;
        let next = format!("deploy yank {release} --undo");
        done(
            context,
            &format!("{release} is barred from every environment"),
            Some(&next),
        );
    }
    Ok(Exit::Done)
}

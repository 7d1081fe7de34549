//! `deploy yank`: bars a release, or lifts that.

use super::answers::done;
use crate::args::people::Yank;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_core::id::EnvName;
use deploy_engine::api::Access;

pub(crate) async fn run(context: &mut Context<'_>, args: Yank) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    if args.undo {
        let release = engine.unyank(&args.release).await?.number;
        done(context, &format!("{release} may be deployed again"), None);
    } else {
        let reason = args.reason.unwrap_or_else(|| "by hand".to_owned());
        let (release, runs) = engine.yank(&args.release, reason).await?;
        let release = release.number;
        let names: Vec<&str> = runs.iter().map(EnvName::as_str).collect();
        let (still, next) = match names.first() {
            None => (String::new(), format!("deploy yank {release} --undo")),
            Some(first) => (
                format!("; it still runs in {}", names.join(", ")),
                format!("deploy rollback -e {first}"),
            ),
        };
        done(
            context,
            &format!("{release} is barred from every environment{still}"),
            Some(&next),
        );
    }
    Ok(Exit::Done)
}

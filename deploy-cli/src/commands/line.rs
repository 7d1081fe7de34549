//! `deploy freeze` and `deploy unfreeze`: the line of an environment.

use super::answers::done;
use crate::args::people::{Freeze, Unfreeze};
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_engine::api::Access;

pub(crate) async fn freeze(context: &mut Context<'_>, args: Freeze) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    engine.freeze(&environment, args.reason).await?;
    let next = format!("deploy unfreeze -e {environment}");
    done(
        context,
        &format!("{environment} is frozen: nothing goes forward there"),
        Some(&next),
    );
    Ok(Exit::Done)
}

pub(crate) async fn unfreeze(context: &mut Context<'_>, args: Unfreeze) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    engine.unfreeze(&environment).await?;
    done(context, &format!("{environment} is open again"), None);
    Ok(Exit::Done)
}

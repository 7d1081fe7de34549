//! `deploy resume`: goes on with what was paused, interrupted, or waited.

use super::follow::{Part, follow};
use crate::args::deploying::Resume;
use crate::context::{Context, Signals, known};
use crate::error::{CliError, Exit};
use deploy_engine::api::Access;

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Resume,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    if let Some(environment) = &args.environment {
        known(&engine.environments(), environment)?;
    }
    let (id, environment, wait) = (
        args.id.as_deref(),
        args.environment.as_ref(),
        args.wait.lock_wait(),
    );
    follow(
        context,
        &engine,
        signals,
        (Part::Drives, &args.wait.accept),
        |wires| engine.resume(id, environment, wait, wires),
    )
    .await
}

//! `deploy resume`: goes on with what was paused, interrupted, or waited.

use super::follow::{Part, follow};
use crate::args::deploying::Resume;
use crate::context::{Context, Signals, known};
use crate::error::{CliError, Exit};
use deploy_core::failure::Code;
use deploy_core::id::EnvName;
use deploy_engine::Engine;
use deploy_engine::api::{Access, EngineError};

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Resume,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let engine = to_go_on(context, args.id.as_deref(), args.environment.as_ref()).await?;
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

/// Opens the project to go on with a deployment. Where the state's disk is full, which deployment is left open is still told.
pub(super) async fn to_go_on(
    context: &mut Context<'_>,
    id: Option<&str>,
    environment: Option<&EnvName>,
) -> Result<Engine, CliError> {
    match context.open_anyway(Access::Write).await {
        Err(error) if error.failure.code == Code::StateFull => {
            match context.open_anyway(Access::Read).await {
                Ok(engine) => {
                    let full = EngineError::Failed(error.failure);
                    Err(engine.left_without_room(id, environment, full).await.into())
                }
                Err(_) => Err(error),
            }
        }
        opened => opened,
    }
}

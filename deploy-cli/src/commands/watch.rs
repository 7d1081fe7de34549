//! `deploy watch`: looks on until it ends. To stop looking stops nothing.

use super::follow::{Part, follow};
use crate::args::deploying::Watch;
use crate::context::{Context, Signals};
use crate::error::{CliError, Exit};
use deploy_core::id::Seq;
use deploy_engine::api::Access;

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Watch,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Read).await?;
    let id = args.id.as_deref();
    follow(
        context,
        &engine,
        signals,
        (Part::LooksOn, &args.accept),
        |wires| engine.watch(id, Seq(0), wires),
    )
    .await
}

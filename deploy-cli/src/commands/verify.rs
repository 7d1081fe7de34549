//! `deploy verify`: the health of every slice, now.

use crate::args::reading::Verify;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::render::table::Table;
use crate::render::word;
use deploy_core::port::target::HealthSeen;
use deploy_core::view::status::Drift;
use deploy_engine::api::{Access, SliceHealth};
use serde::Serialize;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    /// Healthy, and as it was put there: what the exit says.
    well: bool,
    healthy: bool,
    drift: Drift,
    slices: &'a [SliceHealth],
}

pub(crate) async fn run(context: &mut Context<'_>, args: Verify) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Look).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    let slices = engine.verify(&environment, &args.services).await?;
    let healthy = slices.iter().all(|slice| slice.counts_as == HealthSeen::Healthy);
    let is = |drift| slices.iter().any(|slice| slice.drift == drift);
    let drift = [Drift::Drifted, Drift::Unknown]
        .into_iter()
        .find(|drift| is(*drift));
    let drift = drift.unwrap_or(Drift::None);
    let well = slices.iter().all(SliceHealth::is_well);
    let answer = Answer {
        schema: "deploy.verify/1",
        well,
        healthy,
        drift,
        slices: &slices,
    };
    let (paint, width) = (context.console.paint(), context.console.width());
    context.console.answer(&answer, || {
        let mut table = Table::new(["", "service", "slice", "health", "seen"]);
        for slice in &slices {
            let mark = if slice.is_well() { "✓" } else { "✗" };
            let (service, name) = (slice.service.to_string(), slice.slice.to_string());
            table.row([
                mark.to_owned(),
                service,
                name,
                word(&slice.health),
                slice.note.clone(),
            ]);
        }
        table.text(paint, width)
    });
    Ok(if well { Exit::Done } else { Exit::Failed })
}

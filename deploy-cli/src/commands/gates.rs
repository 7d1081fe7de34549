//! `deploy gates`: every gate, met or not.

use super::answers;
use crate::args::reading::Gates;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::render::{Paint, word};
use deploy_core::failure::printable;
use deploy_engine::api::{Access, GateReport};
use std::fmt::Write as _;

pub(crate) async fn run(context: &mut Context<'_>, args: Gates) -> Result<Exit, CliError> {
    let engine = context.open(Access::Look).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    let report = engine
        .gates(&environment, args.release.as_deref(), args.at)
        .await?;
    let paint = context.console.paint();
    context.console.answer(&report, || text(&report, paint));
    Ok(Exit::of_gates(&report.unmet))
}

/// The report for people.
pub(crate) fn text(report: &GateReport, paint: Paint) -> String {
    let mut text = format!(
        "{} → {}, at {}\n",
        report.release,
        report.environment,
        report.at.to_the_second()
    );
    for met in &report.met {
        let _ = writeln!(
            text,
            "  {} {}: {}",
            paint.good("✓"),
            word(&met.gate),
            printable(&met.reason, 300)
        );
    }
    for asked in &report.asked {
        let (mark, gate, by) = (paint.warn("?"), word(&asked.gate), &asked.by);
        let _ = writeln!(text, "  {mark} {gate}: asked when it is done: {by}");
    }
    text.push_str(&answers::unmet(&report.unmet, paint));
    let verdict = match (report.unmet.is_empty(), report.asked.is_empty()) {
        (true, true) => paint.good("✓ every gate holds"),
        (true, false) => paint.good("✓ every other gate holds"),
        (false, _) => paint.bad("✗ not every gate holds"),
    };
    let _ = writeln!(text, "{verdict}");
    text
}

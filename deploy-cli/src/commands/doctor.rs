//! `deploy doctor`: what an environment needs, tried; and how to mend what is not well.

use crate::args::setup::Doctor;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_core::failure::printable;
use deploy_engine::api::{Access, Diagnosis, DiagnosisState};
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    well: bool,
    checks: &'a [Diagnosis],
}

pub(crate) async fn run(context: &mut Context<'_>, args: Doctor) -> Result<Exit, CliError> {
    let engine = context.open(Access::Read).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    let checks = engine.doctor(&environment).await?;
    let well = checks.iter().all(|check| check.state.is_well());
    let paint = context.console.paint();
    context.console.answer(
        &Answer {
            schema: "deploy.doctor/1",
            well,
            checks: &checks,
        },
        || {
            let width = checks.iter().map(|check| check.subject.len()).max().unwrap_or(0);
            let mut text = String::new();
            for check in &checks {
                let mark = match check.state {
                    DiagnosisState::Ok => paint.good("✓"),
                    DiagnosisState::Warning { .. } => paint.warn("!"),
                    DiagnosisState::Failed { .. } => paint.bad("✗"),
                };
                let found = printable(&check.found, 300);
                let _ = writeln!(
                    text,
                    "  {mark} {:<width$}  {:<7}  {found}",
                    check.subject, check.check
                );
                if let Some(fix) = check.state.fix() {
                    let _ = writeln!(
                        text,
                        "    {:<width$}  {:<7}  {}",
                        "",
                        paint.dim("fix"),
                        printable(fix, 300)
                    );
                }
            }
            let end = if well {
                paint.good("✓ all well")
            } else {
                paint.bad("✗ not all is well")
            };
            let _ = writeln!(text, "{end}");
            text
        },
    );
    Ok(if well { Exit::Done } else { Exit::Failed })
}

//! The small answers that many commands share.

use crate::context::Context;
use crate::error::Exit;
use crate::render::Paint;
use crate::render::closing::unmet as unmet_lines;
use crate::render::line::Columns;
use deploy_core::gate::Unmet;
use deploy_engine::api::Driven;
use serde::Serialize;

/// Something was done: one sentence, or one object.
#[derive(Debug, Serialize)]
pub(crate) struct Done<'a> {
    schema: &'static str,
    #[serde(rename = "done")]
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Says that something was done, and what comes next.
pub(crate) fn done(context: &mut Context<'_>, done: &str, next: Option<&str>) {
    let object = Done {
        schema: "deploy.done/1",
        what: done,
        next,
    };
    let paint = context.console.paint();
    context.console.answer(&object, || {
        let next = next
            .map(|next| format!("\n  next       {next}"))
            .unwrap_or_default();
        format!("{} {done}{next}", paint.good("✓"))
    });
}

/// The final JSON of a deployment, for programs; its code is the one that the process exits with.
pub(crate) fn ended(context: &mut Context<'_>, mut driven: Driven, exit: Exit) {
    driven.result.ending.code = exit.code();
    if context.console.is_machine() {
        context.console.last(&driven.result);
    }
}

/// Gates that do not hold, each with what to do.
pub(crate) fn unmet(unmet: &[Unmet], paint: Paint) -> String {
    let lines = unmet
        .iter()
        .flat_map(unmet_lines)
        .map(|line| line.text(Columns::default(), paint));
    lines.map(|line| line + "\n").collect()
}

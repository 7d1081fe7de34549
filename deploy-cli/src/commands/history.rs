//! `deploy history`: what happened, newest first, in pages.

use crate::args::reading::History;
use crate::context::{Context, known, now};
use crate::error::{CliError, Exit};
use crate::render::table::Table;
use crate::render::{ago, span, word};
use deploy_core::plan::names;
use deploy_core::view::history::{HistoryPage, Summary};
use deploy_engine::api::Access;
use std::fmt::Write as _;

pub(crate) async fn run(context: &mut Context<'_>, args: History) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Read).await?;
    if let Some(environment) = &args.environment {
        known(&engine.environments(), environment)?;
    }
    let page = engine
        .history(args.environment.as_ref(), args.cursor.as_deref(), args.limit)
        .await?;
    let (paint, width) = (context.console.paint(), context.console.width());
    context.console.answer(&page, || text(&page, paint, width));
    Ok(Exit::Done)
}

fn text(page: &HistoryPage, paint: crate::render::Paint, width: Option<usize>) -> String {
    if page.deployments.is_empty() {
        return "nothing was deployed yet\n  next  deploy up\n".to_owned();
    }
    let mut table = Table::new([
        "deployment",
        "when",
        "environment",
        "kind",
        "release",
        "from",
        "outcome",
        "took",
        "by",
    ]);
    let name = |name: Option<String>| name.unwrap_or_else(|| "-".to_owned());
    for row in &page.deployments {
        let took = row.finished_at.map(|end| span(end.since(row.started_at)));
        table.row([
            row.deployment.short().to_owned(),
            ago(row.started_at, now()),
            name(row.environment.as_ref().map(ToString::to_string)),
            name(row.kind.as_ref().map(word)),
            name(row.release.map(|release| release.to_string())),
            name(row.previous.map(|release| release.to_string())),
            outcome(row),
            name(took),
            name(row.actor.as_ref().map(ToString::to_string)),
        ]);
    }
    let mut text = table.text(paint, width);
    if let Some(cursor) = &page.next_cursor {
        let _ = writeln!(text, "more: deploy history --cursor {cursor}");
    }
    text
}

fn outcome(row: &Summary) -> String {
    if row.excluded.is_empty() {
        return word(&row.phase);
    }
    format!("{}, not on {}", word(&row.phase), names(&row.excluded))
}

//! `deploy releases`: what there is to deploy, newest first.

use crate::args::reading::Releases;
use crate::context::{Context, now};
use crate::error::{CliError, Exit};
use crate::render::ago;
use crate::render::table::Table;
use deploy_core::time::Timestamp;
use deploy_engine::api::Access;
use serde::Serialize;

#[derive(Serialize)]
struct Answer {
    schema: &'static str,
    releases: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    release: String,
    digest: String,
    version: Option<String>,
    commits: Vec<String>,
    branch: Option<String>,
    subject: Option<String>,
    made_at: Timestamp,
    yanked: Option<String>,
}

pub(crate) async fn run(context: &mut Context<'_>, args: Releases) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Read).await?;
    let project = engine.project_view().await?;
    let releases = project.newest_first().take(args.limit).map(|known| {
        let source = known.release.sources.first();
        Row {
            release: known.release.number.to_string(),
            digest: known.release.digest().to_string(),
            version: known.release.version.clone(),
            commits: known
                .release
                .sources
                .iter()
                .map(|source| source.commit.to_string())
                .collect(),
            branch: source.and_then(|source| source.branch.clone()),
            subject: source.map(|source| source.subject.clone()),
            made_at: known.made_at,
            yanked: known.yanked.as_ref().map(|yank| yank.reason.clone()),
        }
    });
    let answer = Answer {
        schema: "deploy.releases/1",
        releases: releases.collect(),
    };
    let (paint, width) = (context.console.paint(), context.console.width());
    context.console.answer(&answer, || {
        if answer.releases.is_empty() {
            return "no release was made yet\n  next  deploy up\n".to_owned();
        }
        let mut table = Table::new(["release", "commit", "version", "made", "subject", ""]);
        for row in &answer.releases {
            let commit = row
                .commits
                .first()
                .map(|commit| commit[..7].to_owned())
                .unwrap_or_default();
            let yanked = row
                .yanked
                .as_ref()
                .map(|why| format!("yanked: {why}"))
                .unwrap_or_default();
            let (version, subject) = (
                row.version.clone().unwrap_or_default(),
                row.subject.clone().unwrap_or_default(),
            );
            table.row([
                row.release.clone(),
                commit,
                version,
                ago(row.made_at, now()),
                subject,
                yanked,
            ]);
        }
        table.text(paint, width)
    });
    Ok(Exit::Done)
}

//! `deploy audit`: the journal, or the proof that nobody changed it.

use super::answers::done;
use crate::args::reading::{Audit, AuditDo};
use crate::console::Mode;
use crate::context::{Context, known};
use crate::error::{CliError, Exit};
use crate::render::word;
use deploy_core::digest::Digest;
use deploy_core::event::Event;
use deploy_engine::api::Access;
use serde::Serialize;

/// An event with its place in the chain.
#[derive(Debug, Serialize)]
struct Link<'a> {
    #[serde(flatten)]
    event: &'a Event,
    hash: Digest,
}

#[derive(Serialize)]
struct Export<'a> {
    schema: &'static str,
    events: Vec<Link<'a>>,
}

#[derive(Serialize)]
struct Exported {
    schema: &'static str,
    count: usize,
}

pub(crate) async fn run(context: &mut Context<'_>, args: Audit) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Read).await?;
    if let Some(environment) = &args.environment {
        known(&engine.environments(), environment)?;
    }
    if args.what == AuditDo::Verify {
        let (rows, heads) = engine.audit_verify().await?;
        let heads: Vec<String> = heads
            .iter()
            .map(|(stream, last)| format!("{stream} up to {last}"))
            .collect();
        let said = if heads.is_empty() {
            "it is empty".to_owned()
        } else {
            heads.join(", ")
        };
        done(
            context,
            &format!("the journal is whole: {rows} events, {said}"),
            None,
        );
        return Ok(Exit::Done);
    }
    let events = engine.audit(args.environment.as_ref()).await?;
    let links: Vec<Link<'_>> = events
        .iter()
        .map(|(event, hash)| Link { event, hash: *hash })
        .collect();
    match context.console.mode() {
        Mode::Json => context.console.last(&Export {
            schema: "deploy.audit/1",
            events: links,
        }),
        Mode::Events => {
            for link in &links {
                context.console.object(link);
            }
            context.console.last(&Exported {
                schema: "deploy.audit/1",
                count: links.len(),
            });
        }
        Mode::Text => links.iter().for_each(|link| context.console.data(&line(link))),
    }
    Ok(Exit::Done)
}

fn line(link: &Link<'_>) -> String {
    let event = link.event;
    let stream = event.environment.as_ref().map_or("project", |name| name.as_str());
    // The tag that an event has in JSON, so that both can be searched for the same word.
    let value = serde_json::to_value(&event.kind).unwrap_or_default();
    let kind = value.get("type").map(word).unwrap_or_default();
    let id = event
        .deployment
        .as_ref()
        .map(|id| format!("  {}", id.short()))
        .unwrap_or_default();
    format!(
        "{:>6}  {}  {stream}  {kind}  {}{id}  {}",
        event.seq,
        event.at.to_the_second(),
        event.actor,
        link.hash.short()
    )
}

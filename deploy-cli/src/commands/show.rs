//! `deploy show`: one deployment, through the same renderer as when it was live.

use super::screen::Screen;
use crate::args::reading::Show;
use crate::console::Mode;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_core::event::Event;
use deploy_core::model::Release;
use deploy_core::view::DeploymentView;
use deploy_core::view::result::{Ending, ending};
use deploy_engine::api::Access;
use serde::Serialize;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    #[serde(flatten)]
    ending: Ending,
    #[serde(flatten)]
    view: &'a DeploymentView,
    made: Option<&'a Release>,
    events: &'a [Event],
}

pub(crate) async fn run(context: &mut Context<'_>, args: Show) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Read).await?;
    let id = match args.id {
        Some(id) => id,
        None => {
            let last = engine.newest().await?;
            context.taken(&format!("deployment {}: the last one", last.short()));
            last.to_string()
        }
    };
    let shown = engine.show(&id).await?;
    let ending = ending(&shown.view);
    let mode = context.console.mode();
    if mode != Mode::Json {
        let mut screen = Screen::stored(context.console);
        screen.about(shown.release.clone());
        shown.events.iter().for_each(|event| screen.event(event));
        screen.close(ending.code, None);
    }
    if mode != Mode::Text {
        // With `--events` they were told already.
        let events: &[Event] = if mode == Mode::Json { &shown.events } else { &[] };
        let answer = Answer {
            schema: "deploy.deployment/1",
            ending,
            view: &shown.view,
            made: shown.release.as_ref(),
            events,
        };
        context.console.last(&answer);
    }
    Ok(Exit::Done)
}

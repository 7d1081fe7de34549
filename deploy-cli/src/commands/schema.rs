//! `deploy schema`: the manifest's JSON schema. It is JSON in every mode.

use crate::console::Mode;
use crate::context::Context;
use crate::error::Exit;

pub(crate) fn run(context: &mut Context<'_>) -> Exit {
    let schema = deploy_core::manifest::schema();
    match context.console.mode() {
        Mode::Text => context
            .console
            .data(&serde_json::to_string_pretty(&schema).unwrap_or_default()),
        Mode::Json | Mode::Events => context.console.last(&schema),
    }
    Exit::Done
}

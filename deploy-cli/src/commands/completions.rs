//! `deploy completions`: a completion script, made from the same arguments that are parsed.

use crate::args::Cli;
use crate::args::setup::Completions;
use crate::console::Stdout;
use crate::context::Context;
use crate::error::Exit;
use clap::CommandFactory as _;
use serde::Serialize;

#[derive(Serialize)]
struct Answer {
    schema: &'static str,
    text: String,
}

pub(crate) fn run(context: &mut Context<'_>, args: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "deploy", &mut script);
    if context.console.is_machine() {
        let text = String::from_utf8_lossy(&script).into_owned();
        context.console.last(&Answer {
            schema: "deploy.text/1",
            text,
        });
    } else {
        use std::io::Write as _;
        let _gone = Stdout.write_all(&script);
    }
    Exit::Done
}

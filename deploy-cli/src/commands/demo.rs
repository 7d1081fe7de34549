//! `deploy demo`: the guided real thing on this machine. A program gets the story on stderr and its end on stdout.

use crate::args::setup::Demo;
use crate::console::Stdout;
use crate::context::Context;
use crate::demo::{self, Outcome};
use crate::error::Exit;

pub(crate) fn run(context: &mut Context<'_>, args: &Demo) -> Exit {
    let report = if context.console.is_machine() {
        let report = demo::run(args.keep, &mut std::io::stderr());
        context.console.last(&report);
        report
    } else {
        demo::run(args.keep, &mut Stdout)
    };
    match report.outcome {
        Outcome::AsAnnounced => Exit::Done,
        Outcome::Failed => Exit::Failed,
        Outcome::Interrupted => Exit::Interrupted,
    }
}

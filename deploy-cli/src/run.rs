//! From the process's arguments to its exit code. Arguments are parsed before anything is built, so that `--version` costs
//! nothing; whatever panics ends in one line and exit 70.

use crate::args::{Cli, Global, command};
use crate::commands;
use crate::console::{self, Console};
use crate::error::{CliError, Exit};
use clap::FromArgMatches as _;
use clap::error::ErrorKind;
use deploy_core::failure::Code;
use serde::Serialize;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

/// All of it.
pub(crate) fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map(|at| format!(" ({}:{})", at.file(), at.line()))
            .unwrap_or_default();
        tell(&format!(
            "defect: {}{place} [DPL0901]; please report this",
            said(info.payload())
        ));
    }));
    let exit = match command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches))
    {
        Ok(cli) => run(cli),
        Err(error) => not_understood(&error),
    };
    ExitCode::from(told(exit).code())
}

/// The exit, unless the answer could not be written: then nobody may take it for given. What failed besides says more.
fn told(exit: Exit) -> Exit {
    use std::io::Write as _;
    // What is left in the buffer.
    console::written(std::io::stdout().lock().flush());
    let Some(why) = console::unwritten() else {
        return exit;
    };
    tell(&format!("error: could not write the answer: {why}"));
    if exit == Exit::Done { Exit::Failed } else { exit }
}

fn run(cli: Cli) -> Exit {
    let global = cli.global.clone();
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut console = Console::new(&global);
        commands::run(cli, &mut console).unwrap_or_else(|error| {
            error.print(&mut console);
            error.exit
        })
    }));
    outcome.unwrap_or_else(|_panic| {
        if global.json || global.events {
            let next = "please report this with the command line and `deploy show ID --json`";
            CliError::new(Code::Defect, "a defect of deploy; stderr says where", next)
                .print(&mut Console::new(&global));
        }
        Exit::Defect
    })
}

/// Help, the version, or a command line that cannot be understood. A program is answered in JSON even then.
fn not_understood(error: &clap::Error) -> Exit {
    #[derive(Serialize)]
    struct Text {
        schema: &'static str,
        text: String,
    }
    let asked = |name: &str| {
        std::env::args_os()
            .skip(1)
            .take_while(|arg| arg != "--")
            .any(|arg| arg == name)
    };
    let (json, events) = (asked("--json"), asked("--events"));
    let mut console = Console::new(&Global {
        json,
        events: events && !json,
        ..Global::default()
    });
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !console.is_machine() {
        console::written(error.print());
    } else if is_help {
        console.last(&Text {
            schema: "deploy.text/1",
            text: error.render().to_string(),
        });
    } else {
        let text = error.render().to_string();
        // The first paragraph; a list below it belongs to it.
        let said: Vec<&str> = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect();
        let message = said.join(" ").trim_start_matches("error: ").to_owned();
        let hint = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
        let next = hint.map_or_else(|| "deploy --help".to_owned(), str::to_owned);
        CliError::usage(message, next).print(&mut console);
    }
    if is_help { Exit::Done } else { Exit::Usage }
}

fn said(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("something impossible happened")
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// `eprintln!` panics where stderr is closed; in a panic's hook that would abort.
fn tell(line: &str) {
    use std::io::Write as _;
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}

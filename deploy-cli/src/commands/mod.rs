//! One file a command: flags → a call → an answer. Which command needs the engine, and that an interruption before anything
//! began exits 130, is decided here.

mod answers;
mod apply;
mod attest;
mod audit;
mod by_hand;
mod cancel;
mod check;
mod completions;
mod config;
mod confirm;
mod decide;
pub(crate) mod demo;
mod doctor;
mod explain;
mod follow;
mod gates;
mod history;
mod import;
mod init;
mod line;
mod logs;
mod man;
mod pause;
mod plan;
mod promote;
mod releases;
mod resume;
mod retire;
mod rollback;
mod run;
mod schema;
mod screen;
mod setup;
mod show;
mod status;
mod teller;
mod trust;
mod up;
mod verify;
mod watch;
mod yank;

use crate::args::{Cli, Command};
use crate::console::Console;
use crate::context::{Context, MANIFEST, Signals, manifest_file};
use crate::error::{CliError, Exit};
use deploy_core::failure::{Code, Failure};

/// Does what was asked.
pub(crate) fn run(cli: Cli, console: &mut Console) -> Result<Exit, CliError> {
    // What writes a manifest writes it here, whatever there is above.
    let named = match &cli.command {
        Command::Init(_) | Command::Import(_) => cli.global.file.clone().or_else(|| Some(MANIFEST.into())),
        _ => cli.global.file.clone(),
    };
    let mut context = Context {
        file: manifest_file(named.as_deref()),
        global: cli.global,
        console,
    };
    let context = &mut context;
    match cli.command {
        Command::Init(args) => init::run(context, &args),
        Command::Explain(args) => explain::run(context, &args),
        Command::Schema => Ok(schema::run(context)),
        Command::Import(args) => import::run(context, &args),
        Command::Completions(args) => Ok(completions::run(context, &args)),
        Command::Man(args) => man::run(context, &args),
        Command::Demo(args) => Ok(demo::run(context, &args)),
        command => with_engine(context, command),
    }
}

fn with_engine(context: &mut Context<'_>, command: Command) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| defect(&error))?;
    let result = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(|error| defect(&error))?;
        match command {
            // These hear signals themselves: something may have begun.
            Command::Up(args) => up::run(context, args, &mut signals).await,
            Command::Promote(args) => promote::run(context, args, &mut signals).await,
            Command::Rollback(args) => rollback::run(context, args, &mut signals).await,
            Command::Apply(args) => apply::run(context, args, &mut signals).await,
            Command::Resume(args) => resume::run(context, args, &mut signals).await,
            Command::Watch(args) => watch::run(context, args, &mut signals).await,
            Command::Retire(args) => retire::run(context, args, &mut signals).await,
            Command::Cancel(args) => cancel::run(context, args, &mut signals).await,
            Command::Run(args) => run::run(context, args, &mut signals).await,
            Command::Logs(args) => logs::run(context, args, &mut signals).await,
            command => tokio::select! {
                biased;
                _ = signals.next() => Err(CliError::interrupted()),
                result = looking(context, command) => result,
            },
        }
    });
    // A thread may still wait for a line of stdin that nobody will type.
    runtime.shutdown_background();
    result
}

async fn looking(context: &mut Context<'_>, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Check(args) => check::run(context, args).await,
        Command::Config(args) => config::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Setup(args) => setup::run(context, args).await,
        Command::Trust(args) => trust::run(context, args).await,
        Command::Plan(args) => plan::run(context, args).await,
        Command::Gates(args) => gates::run(context, args).await,
        Command::Approve(args) => decide::approve(context, args).await,
        Command::Reject(args) => decide::reject(context, args).await,
        Command::Attest(args) => attest::run(context, args).await,
        Command::Pause(args) => pause::run(context, args).await,
        Command::Freeze(args) => line::freeze(context, args).await,
        Command::Unfreeze(args) => line::unfreeze(context, args).await,
        Command::Yank(args) => yank::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Verify(args) => verify::run(context, args).await,
        Command::Releases(args) => releases::run(context, args).await,
        Command::History(args) => history::run(context, args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Audit(args) => audit::run(context, args).await,
        other => unreachable!("{other:?} is answered before"),
    }
}

fn defect(error: &dyn std::error::Error) -> CliError {
    Failure::new(
        Code::Defect,
        "the process could not be set up",
        "please report it",
    )
    .caused_by(error)
    .into()
}

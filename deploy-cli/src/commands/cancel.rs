//! `deploy cancel`: ends a deployment before it changed anything, or takes it back; `--force` gives it up as it stands.

use super::answers::done;
use super::screen::Screen;
use super::teller::Teller;
use crate::args::deploying::Cancel;
use crate::context::{Context, Signals};
use crate::error::{CliError, Exit};
use deploy_core::failure::Code;
use deploy_core::machine::Ask;
use deploy_core::view::result::OutcomeWord;
use deploy_engine::Wires;
use deploy_engine::api::{Access, AskOutcome};
use std::pin::pin;
use tokio::sync::{mpsc, watch};

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Cancel,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let engine = context.open(Access::Write).await?;
    if args.force {
        sure(context)?;
    }
    let ask = if args.force { Ask::Abandon } else { Ask::Cancel };
    let (tell, mut told) = mpsc::channel(1024);
    let (stop, stopped) = watch::channel(false);
    let mut teller = Teller::new(&engine, Screen::new(context.console));
    let outcome = {
        let mut work = pin!(engine.ask(args.id.as_deref(), ask, Wires { tell, stop: stopped }));
        loop {
            tokio::select! {
                biased;
                _ = signals.next() => {
                    let _over = stop.send(true);
                }
                Some(told) = told.recv() => teller.take(told).await,
                result = &mut work => break result?,
            }
        }
    };
    while let Ok(told) = told.try_recv() {
        teller.take(told).await;
    }
    let mut screen = teller.screen;
    screen.clear();
    match outcome {
        AskOutcome::Left { holder } => {
            let next = args
                .id
                .map_or_else(|| "deploy watch".to_owned(), |id| format!("deploy watch {id}"));
            done(context, &format!("{holder} was told"), Some(&next));
            Ok(Exit::Done)
        }
        AskOutcome::Rejected(why) => {
            Err(CliError::new(Code::Cancelled, why, "deploy status")).map_err(|error| CliError {
                exit: Exit::Failed,
                ..error
            })
        }
        AskOutcome::Done => {
            let Some(view) = screen.view() else {
                done(context, "cancelled", Some("deploy status"));
                return Ok(Exit::Done);
            };
            let ending = deploy_core::view::result::ending(view);
            // That it went back is what was asked for.
            let exit = match ending.outcome {
                OutcomeWord::RolledBack | OutcomeWord::Cancelled => Exit::Done,
                outcome => Exit::of_result(outcome, ending.code, &args.accept),
            };
            let id = view.id.clone();
            screen.close(exit.code());
            if context.console.is_machine() {
                context.console.last(&engine.show(id.as_str()).await?.view);
            }
            Ok(exit)
        }
    }
}

/// Giving up leaves an environment that nobody knows: it has to be meant.
fn sure(context: &mut Context<'_>) -> Result<(), CliError> {
    if context.console.says_yes() {
        return Ok(());
    }
    match context
        .console
        .ask("This leaves the environment as it stands, perhaps mixed. Go on? [y/N] ")
    {
        Some(answer) if answer.to_lowercase().starts_with('y') => Ok(()),
        Some(_) => Err(CliError::new(
            Code::ConfirmationMissing,
            "not given up",
            "deploy resume goes on",
        )),
        None => Err(CliError::new(
            Code::ConfirmationMissing,
            "giving up has to be meant",
            "deploy cancel --force --yes",
        )),
    }
}

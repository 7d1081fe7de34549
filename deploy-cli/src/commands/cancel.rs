//! `deploy cancel`: ends a deployment before it changed anything, or takes it back; `--force` gives it up as it stands.

use super::answers::{done, ended};
use super::resume::to_go_on;
use super::screen::Screen;
use super::teller::Teller;
use crate::args::deploying::{Accept, Cancel};
use crate::context::{Context, Signals, now};
use crate::error::{CliError, Exit, exit_of_result};
use deploy_core::failure::Code;
use deploy_core::machine::Ask;
use deploy_core::port::journal::LeaseHolder;
use deploy_core::view::result::{Ending, OutcomeWord};
use deploy_engine::Wires;
use deploy_engine::api::AskOutcome;
use deploy_engine::store::TERM;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Cancel,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let engine = to_go_on(context, args.id.as_deref(), None).await?;
    if args.force {
        sure(context, signals).await?;
    }
    let ask = if args.force { Ask::Abandon } else { Ask::Cancel };
    let (tell, mut told) = mpsc::channel(1024);
    let (stop, stopped) = watch::channel(false);
    let (id, holder) = engine.driven_by(args.id.as_deref()).await?;
    let mut silence = Silence::new(holder);
    let mut teller = Teller::new(&engine, Screen::new(context.console));
    let outcome = {
        let wires = Wires { tell, stop: stopped };
        let mut work = pin!(engine.ask(Some(id.as_str()), ask, wires));
        loop {
            tokio::select! {
                biased;
                _ = signals.next() => {
                    let _over = stop.send(true);
                }
                Some(told) = told.recv() => {
                    silence.broken();
                    teller.take(told).await;
                }
                line = silence.line() => context.console.message(&line),
                result = &mut work => break result?,
            }
        }
    };
    while let Ok(told) = told.try_recv() {
        teller.take(told).await;
    }
    match outcome {
        AskOutcome::Left { holder } => {
            teller.screen.clear();
            let driven = engine.driven(&id).await?;
            let exit = exit_of_cancel(driven.result.ending, &args.accept);
            if !context.console.is_machine() {
                let told = format!("{holder} was told; what comes of it is not known yet");
                done(context, &told, Some(&format!("deploy watch {}", id.short())));
            }
            ended(context, driven, exit);
            Ok(exit)
        }
        AskOutcome::Rejected(why) => {
            teller.screen.clear();
            Err(CliError {
                exit: Exit::Failed,
                ..CliError::new(Code::Cancelled, why, "deploy status")
            })
        }
        AskOutcome::Done => {
            // What needed no driving was told by nobody.
            if teller.screen.deployment().is_none() {
                teller.catch_up(&id).await;
            }
            let driven = engine.driven(&id).await?;
            let exit = exit_of_cancel(driven.result.ending, &args.accept);
            teller.screen.close(exit.code(), Some(now()));
            ended(context, driven, exit);
            Ok(exit)
        }
    }
}

/// Cancelled, or gone back, is what was asked for; all else is what it is for everybody who waits for a deployment.
fn exit_of_cancel(ending: Ending, accept: &[Accept]) -> Exit {
    match ending.outcome {
        OutcomeWord::RolledBack | OutcomeWord::Cancelled => Exit::Done,
        outcome => exit_of_result(outcome, ending.code, accept),
    }
}

/// Giving up leaves an environment that nobody knows: it has to be meant.
async fn sure(context: &mut Context<'_>, signals: &mut Signals) -> Result<(), CliError> {
    if context.console.says_yes() {
        return Ok(());
    }
    let question = "This leaves the environment as it stands, perhaps mixed. Go on? [y/N] ";
    match context.asked(signals, question).await? {
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

/// What is said while a holder does not answer: it may be stopped, or on a machine that sleeps. Nothing, once something is told.
struct Silence {
    holder: Option<LeaseHolder>,
    next: Instant,
    said: bool,
}

/// A holder that is alive answers sooner.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// How often it is said that the waiting goes on.
const AGAIN: Duration = Duration::from_secs(5);

impl Silence {
    fn new(holder: Option<LeaseHolder>) -> Self {
        Self {
            holder,
            next: Instant::now() + ANSWERS_WITHIN,
            said: false,
        }
    }

    fn broken(&mut self) {
        self.holder = None;
    }

    /// The next line, when it is due. May be dropped while it waits.
    async fn line(&mut self) -> String {
        let Some(holder) = &self.holder else {
            return std::future::pending().await;
        };
        sleep_until(self.next).await;
        self.next = Instant::now() + AGAIN;
        if std::mem::replace(&mut self.said, true) {
            return format!("… {} is still silent", holder.who);
        }
        format!(
            "… {} has held the lease since {}, at: {}; it does not answer\n  \
             what you asked is left for it; if it stays silent for {}s this process takes over",
            holder.who,
            holder.since,
            holder.step,
            TERM.as_secs()
        )
    }
}

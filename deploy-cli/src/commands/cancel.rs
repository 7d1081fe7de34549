//! `deploy cancel`: ends a deployment before it changed anything, or takes it back; `--force` gives it up as it stands.

use super::answers::done;
use super::screen::Screen;
use super::teller::Teller;
use crate::args::deploying::Cancel;
use crate::context::{Context, Signals, now};
use crate::error::{CliError, Exit, exit_of_result};
use deploy_core::failure::Code;
use deploy_core::machine::Ask;
use deploy_core::port::journal::LeaseHolder;
use deploy_core::view::result::OutcomeWord;
use deploy_engine::Wires;
use deploy_engine::api::{Access, AskOutcome};
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
    let engine = context.open(Access::Write).await?;
    if args.force {
        sure(context)?;
    }
    let ask = if args.force { Ask::Abandon } else { Ask::Cancel };
    let (tell, mut told) = mpsc::channel(1024);
    let (stop, stopped) = watch::channel(false);
    let (id, holder) = engine.driven_by(args.id.as_deref()).await?;
    let id = id.to_string();
    let mut silence = Silence::new(holder);
    let mut teller = Teller::new(&engine, Screen::new(context.console));
    let outcome = {
        let mut work = pin!(engine.ask(Some(&id), ask, Wires { tell, stop: stopped }));
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
    let mut screen = teller.screen;
    screen.clear();
    match outcome {
        AskOutcome::Left { holder } => {
            let next = format!("deploy watch {}", id.get(..10).unwrap_or(&id));
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
                outcome => exit_of_result(outcome, ending.code, &args.accept),
            };
            let id = view.id.clone();
            screen.close(exit.code(), Some(now()));
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

//! Drives, or looks on at, a deployment until the call returns, and shows what it tells meanwhile. What an interruption means is
//! decided here: somebody at a terminal is asked; otherwise no further step is started, and the process is gone within five
//! seconds.

use super::answers::ended;
use super::screen::Screen;
use super::teller::Teller;
use crate::args::deploying::Accept;
use crate::console::read_line;
use crate::context::{Context, Interruption, Signals, now};
use crate::error::{CliError, Exit, exit_of_result};
use crate::render::closing::by_itself;
use deploy_core::failure::Code;
use deploy_core::id::DeploymentId;
use deploy_core::machine::{Ask, Rejected};
use deploy_engine::api::{AskOutcome, Driven, EngineError};
use deploy_engine::drive::Told;
use deploy_engine::{Engine, Wires};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep_until, timeout};

/// Told and not yet shown: enough that showing never holds a deployment up.
const TOLD: usize = 4096;
/// After a request to stop, the process is gone by then.
const STOPS_WITHIN: Duration = Duration::from_millis(4500);

/// The longest that the state is asked before a question is put.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// How often it is looked whether a sign of life is due.
const PULSE: Duration = Duration::from_secs(1);

/// What this process has to do with what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It drives it: who stops it leaves a deployment.
    Drives,
    /// Somebody else drives it, and goes on when this process does not look any more.
    LooksOn,
}

/// Runs `start` and shows what it tells.
pub(crate) async fn follow<F>(
    context: &mut Context<'_>,
    engine: &Engine,
    signals: &mut Signals,
    (part, accept): (Part, &[Accept]),
    start: impl FnOnce(Wires) -> F,
) -> Result<Exit, CliError>
where
    F: Future<Output = Result<Driven, EngineError>>,
{
    let (tell, told) = mpsc::channel(TOLD);
    let (stop, stopped) = watch::channel(false);
    let mut following = Following {
        engine,
        part,
        teller: Teller::new(engine, Screen::new(context.console)),
        told,
        stop,
        leave_by: None,
        question: None,
        asks: context.console.asks(),
    };
    let result = following
        .until(Box::pin(start(Wires { tell, stop: stopped })), signals, context)
        .await;
    match result {
        Ok(driven) => {
            let exit = exit_of_result(driven.result.ending.outcome, driven.result.ending.code, accept);
            following.teller.screen.close(exit.code(), Some(now()));
            ended(context, driven, exit);
            Ok(exit)
        }
        Err(error) => {
            following.teller.screen.clear();
            Err(if error.exit == Exit::Interrupted && part == Part::Drives {
                interrupted(engine).await
            } else {
                error
            })
        }
    }
}

/// Interrupted before a deployment was heard of: it may have been stored just then, and then it is one to resume.
async fn interrupted(engine: &Engine) -> CliError {
    match engine.begun_here().await {
        Ok(Some(id)) => {
            let message = format!("interrupted just after deployment {} began", id.short());
            let next = format!("deploy resume {0} goes on, deploy cancel {0} ends it", id.short());
            CliError {
                deployment: Some(id),
                ..CliError::new(Code::Open, message, next)
            }
        }
        Ok(None) => CliError::interrupted(),
        Err(error) => error.into(),
    }
}

struct Following<'e> {
    engine: &'e Engine,
    part: Part,
    teller: Teller<'e>,
    told: mpsc::Receiver<Told>,
    stop: watch::Sender<bool>,
    leave_by: Option<Instant>,
    question: Option<JoinHandle<Option<String>>>,
    asks: bool,
}

impl Following<'_> {
    async fn until(
        &mut self,
        mut work: Pin<Box<impl Future<Output = Result<Driven, EngineError>>>>,
        signals: &mut Signals,
        context: &mut Context<'_>,
    ) -> Result<Driven, CliError> {
        let mut pulse = interval(PULSE);
        let result = loop {
            let leave_by = self.leave_by;
            tokio::select! {
                biased;
                signal = signals.next() => self.interrupted(signal, context).await?,
                Some(told) = self.told.recv() => self.teller.take(told).await,
                answer = answered(&mut self.question) => self.take_answer(answer, context).await,
                _ = pulse.tick() => self.teller.screen.alive(now()),
                () = sleep_until(leave_by.unwrap_or_else(Instant::now)), if leave_by.is_some() => return Err(self.left()),
                result = &mut work => break result,
            }
        };
        while let Ok(told) = self.told.try_recv() {
            self.teller.take(told).await;
        }
        self.teller.screen.asking(false);
        Ok(result?)
    }

    /// A second Ctrl-C, like SIGTERM, leaves it.
    async fn interrupted(&mut self, signal: Interruption, context: &mut Context<'_>) -> Result<(), CliError> {
        let Some(id) = self.teller.screen.deployment() else {
            return Err(CliError::interrupted());
        };
        if self.part == Part::LooksOn {
            return Err(looks_away(&id));
        }
        if signal == Interruption::Interrupt
            && self.asks
            && self.question.is_none()
            && self.leave_by.is_none()
        {
            self.teller.screen.asking(true);
            let back = self.stays(&id).await.is_none();
            let narrow = context.console.width().is_some_and(|width| width < WIDE);
            context.console.message(&question(back, narrow));
            self.question = Some(tokio::task::spawn_blocking(read_line));
        } else {
            self.leave(&id, context);
        }
        Ok(())
    }

    fn leave(&mut self, id: &DeploymentId, context: &mut Context<'_>) {
        if self.leave_by.is_none() {
            self.teller.screen.clear();
            context
                .console
                .message(&format!("stopping: `deploy resume {}` goes on", id.short()));
            self.leave_by = Some(Instant::now() + STOPS_WITHIN);
            // Nobody hears it only where the work is over.
            let _over = self.stop.send(true);
        }
    }

    async fn take_answer(&mut self, answer: Option<String>, context: &mut Context<'_>) {
        self.question = None;
        self.teller.screen.asking(false);
        let Some(id) = self.teller.screen.deployment() else {
            return;
        };
        match answer.as_deref().map(|answer| answer.trim().to_lowercase()) {
            Some(answer) if answer.starts_with('b') => {
                if let Some(why) = self.stays(&id).await {
                    context.console.message(&why.to_string());
                    return;
                }
                let (tell, _told) = mpsc::channel(1);
                let asked = self
                    .engine
                    .ask(
                        Some(id.as_str()),
                        Ask::Cancel,
                        Wires {
                            tell,
                            stop: self.stop.subscribe(),
                        },
                    )
                    .await;
                match asked {
                    Ok(AskOutcome::Rejected(why)) => context.console.message(&why),
                    Ok(AskOutcome::Left { .. } | AskOutcome::Done) => {}
                    Err(error) => context.console.message(&error.failure().message),
                }
            }
            Some(answer) if answer.starts_with('l') => self.leave(&id, context),
            // No answer, or any other, changes nothing.
            _ => {}
        }
    }

    /// Why it cannot be taken back; `None`: it can, or that could not be told in time, and asking will tell.
    async fn stays(&self, id: &DeploymentId) -> Option<Rejected> {
        let refused = timeout(ANSWERS_WITHIN, self.engine.refuses(id, Ask::Cancel)).await;
        refused.ok()?.ok()?
    }

    /// It did not stop in time: it is left as its journal says.
    fn left(&mut self) -> CliError {
        let Some(id) = self.teller.screen.deployment() else {
            return CliError::interrupted();
        };
        let view = self.teller.screen.view();
        let phase = view
            .map(|view| crate::render::word(&view.phase()))
            .unwrap_or_default();
        let mut message = format!("left {phase}: a step is still under way");
        if let Some(back) = view.and_then(|view| by_itself(view, now())) {
            message = format!("{message}; {back}");
        }
        let next = format!("deploy resume {}", id.short());
        CliError {
            deployment: Some(id),
            ..CliError::new(Code::Open, message, next)
        }
    }
}

/// To stop looking stops nothing.
fn looks_away(id: &DeploymentId) -> CliError {
    let message = format!("stopped looking: deployment {} is as it was", id.short());
    let next = format!("deploy watch {}  looks on again", id.short());
    CliError {
        deployment: Some(id.clone()),
        ..CliError::new(Code::Interrupted, message, next)
    }
}

/// A terminal of fewer columns gets one answer a line.
const WIDE: usize = 80;

/// What may be done about a deployment that goes on; going back only where it does not do so already.
fn question(back: bool, narrow: bool) -> String {
    let mut answers = vec!["[l] leave it", "[c] go on"];
    if back {
        answers.insert(0, "[b] go back");
    }
    let (before, between) = if narrow { ("\n  ", "\n  ") } else { (" ", ", ") };
    format!(
        "\nThe deployment goes on while you decide:{before}{}",
        answers.join(between)
    )
}

async fn answered(question: &mut Option<JoinHandle<Option<String>>>) -> Option<String> {
    match question {
        Some(question) => question.await.ok().flatten(),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn the_question_fits_a_narrow_terminal_and_offers_what_makes_a_difference() {
        insta::assert_snapshot!(question(true, false), @"The deployment goes on while you decide: [b] go back, [l] leave it, [c] go on");
        insta::assert_snapshot!(question(true, true), @r"
        The deployment goes on while you decide:
          [b] go back
          [l] leave it
          [c] go on
        ");
        insta::assert_snapshot!(question(false, false), @"The deployment goes on while you decide: [l] leave it, [c] go on");
        assert!(question(true, true).lines().all(|line| line.len() <= 40));
    }
}

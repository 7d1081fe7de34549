//! Driving one deployment: the loop of the core's contract, and nothing that decides.
//!
//! One task owns the machine. Effects run in a `JoinSet` and answer through it; requests of others come from the inbox; whatever
//! comes in is decided, appended under the lease, applied, published, and only then acted upon. A driver that stops, for whatever
//! reason, leaves nothing that the next one does not find in the journal and on the targets.

mod armed;
mod back;
mod bake;
mod calls;
mod facts;
mod gone;
mod health;
mod lease;
mod look;
mod masks;
mod points;
mod ports;
mod record;
mod retry;
mod runner;
mod spellings;
mod stop;
mod verify;
mod wiring;

pub use armed::longest_wait;
pub use facts::Facts;
pub(crate) use health::look;
pub use lease::LeaseKeeper;
pub(crate) use masks::{ASK, Masks};
pub use points::POINTS;
use points::{after, before};
pub use ports::Ports;
pub use wiring::{Bound, Epochs, Eyes, Fate, Needs, Untold, Wiring};

use crate::api::{Before, WaitsFor};
use crate::clock::Clock;
use crate::failpoint;
use crate::store::Store;
use deploy_core::event::{Driver as Who, Event, Recorded};
use deploy_core::failure::Failure;
use deploy_core::gate::Verdict;
use deploy_core::id::{Actor, DeploymentId, EnvName, Seq, SliceIx};
use deploy_core::machine::{
    Answer, CorruptJournal, Decision, Effect, Guard, Input, Machine, Outcome, Work, state::Stage,
};
use deploy_core::plan::Plan;
use deploy_core::port::journal::{JournalError, LeaseError, LeaseToken, Stream};
use runner::Runner;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

/// How often the inbox is looked into while nothing else happens.
const INBOX_EVERY: Duration = Duration::from_millis(250);

/// Why a driver stopped before the end.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The state failed, or the lease is another's.
    #[error("the state could not be used")]
    Journal(#[from] JournalError),
    /// The lease is another's.
    #[error("the lease was lost")]
    Lease(#[from] LeaseError),
    /// The journal holds what no machine can have written.
    #[error("the journal cannot be followed")]
    Corrupt(#[from] CorruptJournal),
    /// The environment of the deployment cannot be wired up.
    #[error("the deployment cannot be wired up: {0}")]
    Wiring(Box<Failure>),
}

/// Where a driver left a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It has ended.
    Ended(Outcome),
    /// It waits for people or for time.
    Waiting,
    /// It is paused.
    Paused,
    /// The driver was told to stop.
    Stopped,
}

/// What the gates say, and what was read to say so.
#[derive(Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Before anything was claimed: the plan as it would be made now, where it differs.
    pub replanned: Option<Box<Plan>>,
    /// The streams that were read, with their last events: the decision holds only while they have not moved.
    pub read: Vec<(Stream, Seq)>,
}

/// When the gates are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is claimed, and the plan was made just now, by whoever made the deployment.
    JustPlanned,
    /// Nothing is claimed: it is observed and planned again first.
    Open,
    /// Everything is claimed and prepared: the plan stands.
    Claimed,
}

/// Judges the gates; what it needs of evidence, clock and sources it has itself.
#[async_trait::async_trait]
pub trait Judge: Send + Sync {
    /// Judges the gates for the plan.
    ///
    /// # Errors
    /// If it could not be judged at all: the state or the configuration cannot be read, a target cannot be asked.
    async fn judge(&self, plan: &Plan, moment: Moment) -> Result<Judgement, Box<Failure>>;
}

/// A line of progress: lossy, never stored, never needed to understand an outcome.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The effect.
    pub effect: Effect,
    /// What it says.
    pub note: String,
    /// How far it is, and of how much; 0 if unknown.
    pub done: u64,
    /// See `done`.
    pub total: u64,
}

/// What a frontend is told while a deployment is driven.
#[derive(Debug, Clone)]
pub enum Told {
    /// It happened, and is stored.
    Event(Box<Event>),
    /// How far something is.
    Progress(Progress),
    /// Nothing is driven yet: somebody else holds the environment. Told at once, and again when the holder or its step changes.
    Waits(Box<WaitsFor>),
    /// Nothing is driven yet: something else has to be done first.
    Before(Before),
}

/// Everything a driver needs.
pub struct Drive {
    /// The state.
    pub journal: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The environment.
    pub environment: EnvName,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Who drives.
    pub actor: Actor,
    /// Who drives, for the journal.
    pub who: Who,
    /// Makes targets and probes for a plan.
    pub wiring: Arc<dyn Wiring>,
    /// Judges gates.
    pub judge: Arc<dyn Judge>,
    /// Whether the plan was made just now, by whoever made the deployment: it holds until something has happened since.
    pub just_planned: bool,
    /// Told to stop starting steps.
    pub stop: watch::Receiver<bool>,
    /// Tells a frontend. Bounded; progress is dropped when it is full, events wait.
    pub tell: mpsc::Sender<Told>,
}

struct Running {
    drive: Drive,
    lease: LeaseToken,
    keeper: LeaseKeeper,
    machine: Machine,
    facts: Facts,
    head: Seq,
    /// Whether nothing has happened since the plan was made.
    just_planned: bool,
    runner: Runner,
    tasks: JoinSet<(Effect, Answered)>,
    handles: BTreeMap<Effect, AbortHandle>,
    /// What the effects that cover several slices were started for: they are started again when that changes.
    covered: BTreeMap<Effect, Coverage>,
}

/// An effect's answer, with what the transaction that stores what follows must have seen.
struct Answered {
    answer: Answer,
    read: Vec<(Stream, Seq)>,
}

/// Drives a deployment until it ends, waits, is paused or is told to stop. The caller holds the lease.
///
/// # Cancellation
/// Dropping the future is like a crash: every effect is dropped with it, and the next driver goes on.
///
/// # Errors
/// [`DriveError`]; the deployment is then left as the journal says.
pub async fn drive(drive: Drive, lease: LeaseToken) -> Result<Left, DriveError> {
    let stream = Stream::Environment(drive.environment.clone());
    let recorded = drive.journal.deployment(&drive.deployment).await?;
    let machine = Machine::load(recorded.iter().filter(|recorded| recorded.event().kind.drives()))?;
    let facts = Facts::fold(recorded.iter().map(Recorded::event));
    let head = drive.journal.head(&stream).await?;
    let runner = Runner::new(&drive, &machine).await?;
    let keeper = LeaseKeeper::start(Arc::clone(&drive.journal) as _, lease.clone());
    // What a frontend is told is the whole deployment, also what was stored before this driver: it knows nothing else of it.
    for recorded in &recorded {
        let _gone = drive
            .tell
            .send(Told::Event(Box::new(recorded.event().clone())))
            .await;
    }
    let mut running = Running {
        just_planned: drive.just_planned,
        drive,
        lease,
        keeper,
        machine,
        facts,
        head,
        runner,
        tasks: JoinSet::new(),
        handles: BTreeMap::new(),
        covered: BTreeMap::new(),
    };
    let result = running.run().await;
    running.tasks.shutdown().await;
    running.keeper.stop().await;
    result
}

impl Running {
    async fn run(&mut self) -> Result<Left, DriveError> {
        let taken = Input::Taken {
            driver: self.drive.who.clone(),
        };
        self.settle(vec![taken], Vec::new()).await?;
        loop {
            self.hear().await?;
            if let Some(left) = self.left() {
                return Ok(left);
            }
            self.start_effects();
            let wake = self.machine.wake_at();
            let until_wake = wake.map_or(INBOX_EVERY, |at| {
                at.since(self.drive.clock.now()).min(INBOX_EVERY)
            });
            let next = tokio::select! {
                biased;
                // A frontend that went away says nothing any more.
                Ok(_) = self.drive.stop.wait_for(|stop| *stop) => Next::Stop,
                lost = self.keeper.lost() => Next::Lost(lost),
                Some(joined) = self.tasks.join_next() => Next::Answered(joined),
                () = tokio::time::sleep(until_wake) => Next::Look,
            };
            match next {
                Next::Stop => return Ok(Left::Stopped),
                Next::Lost(why) => return Err(why.into()),
                Next::Answered(joined) => self.take_answers(joined).await?,
                Next::Look if wake.is_some_and(|at| at <= self.drive.clock.now()) => {
                    self.settle(vec![Input::Elapsed], Vec::new()).await?;
                }
                Next::Look => {}
            }
        }
    }

    /// Where this leaves the deployment, if there is nothing to run for now.
    fn left(&self) -> Option<Left> {
        match self.machine.state().stage {
            Stage::Ended(outcome) => Some(Left::Ended(outcome)),
            Stage::Waiting => Some(Left::Waiting),
            _ if self.machine.outstanding().is_empty() && self.tasks.is_empty() => Some(Left::Paused),
            _ => None,
        }
    }

    /// When gates would be judged now.
    fn moment(&self) -> Moment {
        match self.machine.state().stage {
            Stage::Open if self.just_planned => Moment::JustPlanned,
            Stage::Open => Moment::Open,
            _ => Moment::Claimed,
        }
    }

    fn start_effects(&mut self) {
        let outstanding = self.machine.outstanding();
        let machine = &self.machine;
        let covered = &mut self.covered;
        self.handles.retain(|effect, handle| {
            let same = covered
                .get(effect)
                .is_none_or(|started| *started == Coverage::of(effect.work, machine));
            let wanted = same && outstanding.contains(effect);
            if !wanted {
                covered.remove(effect);
                handle.abort();
            }
            wanted
        });
        self.keeper
            .says(&self.facts.step_word(self.machine.plan(), &outstanding));
        for effect in outstanding {
            if self.handles.contains_key(&effect) {
                continue;
            }
            let moment = self.moment();
            let work = self.runner.run(effect, moment, &self.machine, &self.facts);
            let handle = self.tasks.spawn(async move { (effect, work.await) });
            self.handles.insert(effect, handle);
            let covered = Coverage::of(effect.work, &self.machine);
            if !covered.slices.is_empty() {
                self.covered.insert(effect, covered);
            }
        }
    }

    /// Takes one answer and all others that are there already: one batch, one transaction.
    async fn take_answers(
        &mut self,
        first: Result<(Effect, Answered), tokio::task::JoinError>,
    ) -> Result<(), DriveError> {
        let mut joined = vec![first];
        while let Some(next) = self.tasks.try_join_next() {
            joined.push(next);
        }
        let (mut inputs, mut read) = (Vec::new(), Vec::new());
        for result in joined {
            match result {
                Ok((effect, answered)) => {
                    self.handles.remove(&effect);
                    failpoint::hit(after(effect.work));
                    read.extend(answered.read);
                    inputs.push(Input::Answered {
                        effect,
                        answer: answered.answer,
                    });
                }
                // Stopped because it is not outstanding any more. A panic is a defect of ours, and ends this driver like a crash.
                Err(error) if error.is_cancelled() => {}
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        if inputs.is_empty() {
            Ok(())
        } else {
            self.settle(inputs, read).await
        }
    }

    /// Hears what others ask.
    async fn hear(&mut self) -> Result<(), DriveError> {
        let messages = self.drive.journal.inbox(&self.drive.environment).await?;
        for message in messages {
            if message.deployment != self.drive.deployment {
                self.answer_for_another(&message).await?;
                continue;
            }
            let asked = Input::Asked {
                ask: message.ask,
                by: None,
            };
            let decision = match self.machine.decide(self.drive.clock.now(), &[asked]) {
                Ok(decision) => decision,
                Err(_) => Decision {
                    events: Vec::new(),
                    guard: Guard::Nothing,
                },
            };
            self.store(decision, &[], vec![message.seq], &message.actor)
                .await?;
        }
        Ok(())
    }
}

/// What a driver waited for.
enum Next {
    Stop,
    Lost(LeaseError),
    Answered(Result<(Effect, Answered), tokio::task::JoinError>),
    Look,
}

/// What an effect about several slices is about, and whether the machine hears of all that it finds.
#[derive(Debug, PartialEq, Eq)]
struct Coverage {
    slices: Vec<SliceIx>,
    heard: bool,
}

impl Coverage {
    fn of(work: Work, machine: &Machine) -> Self {
        Self {
            slices: covers(work, machine),
            heard: machine.hears_of_reverts(),
        }
    }
}

/// The slices that an effect about several is about now.
pub(crate) fn covers(work: Work, machine: &Machine) -> Vec<SliceIx> {
    let all = machine.plan().slice_indices();
    match work {
        Work::Watch => all
            .filter(|slice| machine.state().slice(*slice).is_verified())
            .collect(),
        Work::KeepArmed => all.filter(|slice| machine.to_disarm(*slice)).collect(),
        _ => Vec::new(),
    }
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drive")
            .field("environment", &self.environment)
            .field("deployment", &self.deployment)
            .finish_non_exhaustive()
    }
}

//! The final JSON of a deployment, `deploy.result/1`, and what its outcome means for whoever waited for it.

use super::deployment::DeploymentView;
use super::phase::Phase;
use super::project::ProjectView;
use super::slice::{Progress, Running, SliceView, Stray};
use super::status::uniform;
use crate::digest::Digest;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::gate::{GateKind, Opens, Unmet};
use crate::id::{Actor, CommitId, DeploymentId, EnvName, ReleaseNumber, ServiceName, SliceName};
use crate::machine::Outcome;
use crate::plan::{Change, Kind};
use crate::port::target::HealthSeen;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The name and version of the form.
pub const SCHEMA: &str = "deploy.result/1";

/// The word for an outcome; `Waiting` and `Open` are not ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeWord {
    /// The new release everywhere.
    Succeeded,
    /// The old one everywhere, verified.
    RolledBack,
    /// Named slices are not where they should be.
    NeedsHuman,
    /// A gate does not hold, and waiting does not open it.
    Refused,
    /// It waits for people or time.
    Waiting,
    /// Failed before anything that serves changed.
    Failed,
    /// Cancelled before anything that serves changed.
    Cancelled,
    /// A newer one took its place.
    Superseded,
    /// Under way, or left to resume.
    Open,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same command may work later.
    Same,
    /// `deploy resume` goes on.
    Resume,
    /// Not with this release or this request.
    Never,
    /// A person has to do something first.
    Human,
}

/// What an outcome means for whoever waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The word.
    pub outcome: OutcomeWord,
    /// The exit code: [`Exit::code`].
    pub code: u8,
    /// What to do about it.
    pub retry: Retry,
}

/// The final JSON of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployResult {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its id.
    pub deployment: DeploymentId,
    /// Which way.
    pub kind: Option<Kind>,
    /// Where.
    pub environment: Option<EnvName>,
    /// What it brings.
    pub release: Option<ReleaseNumber>,
    /// The release's digest.
    pub digest: Option<Digest>,
    /// What ran before.
    pub previous: Option<ReleaseNumber>,
    /// The commit that the release was first made from.
    pub commit: Option<CommitId>,
    /// The branch that was given or found.
    pub branch: Option<String>,
    /// Who asked.
    pub actor: Option<Actor>,
    /// The plan's digest.
    pub plan: Option<Digest>,
    /// Outcome, code and what to do about it.
    #[serde(flatten)]
    pub ending: Ending,
    /// The phase, in the words that people read.
    pub phase: Phase,
    /// Whether anything that serves may have been changed.
    pub changed: bool,
    /// What went wrong first.
    pub failure: Option<Failure>,
    /// Gates that did not hold when they were last judged.
    pub unmet: Vec<Unmet>,
    /// Slices that are not where they should be.
    pub strays: Vec<Stray>,
    /// What could not be cleaned up.
    pub warnings: Vec<Failure>,
    /// In the plan's order.
    pub services: Vec<ServiceResult>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// From the request to the end, or to the last event. Milliseconds.
    pub duration_ms: u64,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceResult {
    /// Its name.
    pub service: ServiceName,
    /// Its target's kind.
    pub target: String,
    /// What became of it.
    pub outcome: ServiceOutcome,
    /// The release that all its slices run.
    pub release: Option<ReleaseNumber>,
    /// In the plan's order.
    pub slices: Vec<SliceResult>,
}

/// What became of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceOutcome {
    /// It was not touched.
    Untouched,
    /// It runs the release.
    Succeeded,
    /// It runs what it did before, verified.
    RolledBack,
    /// It was removed.
    Removed,
    /// A slice is not where it should be.
    NeedsHuman,
    /// Under way.
    Open,
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceResult {
    /// Its name.
    pub slice: SliceName,
    /// The release it runs.
    pub release: Option<ReleaseNumber>,
    /// What runs, relative to this deployment.
    pub running: Running,
    /// Its health.
    pub health: HealthSeen,
    /// What the last look said.
    pub note: Option<String>,
}

/// What the outcome of a deployment means for whoever waited for it.
pub fn ending(view: &DeploymentView) -> Ending {
    let (outcome, exit, retry) = match view.outcome {
        // Claims are still being released: an end that is not written is not one.
        _ if !view.ended && view.is_waiting() => {
            (OutcomeWord::Waiting, Exit::Waiting, waits_for(&view.unmet))
        }
        Some(outcome) if view.ended => {
            let code = view.failure.as_ref().map(|failure| failure.code);
            let exit = Exit::of_outcome(outcome, &view.unmet, code, view.claim_refused);
            let (word, retry) = match outcome {
                Outcome::Succeeded => (OutcomeWord::Succeeded, Retry::Never),
                Outcome::RolledBack => (OutcomeWord::RolledBack, Retry::Never),
                Outcome::NeedsHuman => (OutcomeWord::NeedsHuman, Retry::Human),
                Outcome::Refused => (OutcomeWord::Refused, refused_retry(&view.unmet)),
                Outcome::Failed => (OutcomeWord::Failed, Retry::Same),
                Outcome::Cancelled => (OutcomeWord::Cancelled, Retry::Same),
                Outcome::Superseded => (OutcomeWord::Superseded, Retry::Never),
            };
            (word, exit, retry)
        }
        _ => (OutcomeWord::Open, Exit::Open, Retry::Resume),
    };
    Ending {
        outcome,
        code: exit.code(),
        retry,
    }
}

fn waits_for(unmet: &[Unmet]) -> Retry {
    if unmet.iter().any(|rule| rule.opens == Opens::ByPeople) {
        Retry::Human
    } else {
        Retry::Resume
    }
}

fn refused_retry(unmet: &[Unmet]) -> Retry {
    let mut never = unmet.iter().filter(|rule| rule.opens == Opens::Never);
    if never.all(|rule| rule.gate == GateKind::Confirmation) {
        Retry::Human
    } else {
        Retry::Never
    }
}

/// The failure that a refusal shows: the gravest of what is not met.
fn refusal(unmet: &[Unmet]) -> Option<Failure> {
    let first = unmet
        .iter()
        .find(|rule| rule.opens == Opens::Never)
        .or_else(|| unmet.first())?;
    let code = match first.gate {
        GateKind::Authorization => Code::NotAllowed,
        GateKind::Yank => Code::Yanked,
        GateKind::Order => Code::Older,
        GateKind::Confirmation => Code::ConfirmationMissing,
        GateKind::NotYetActing => Code::NotYetActing,
        _ => Code::GateUnmet,
    };
    Some(Failure::new(code, first.reason.clone(), first.next.clone()))
}

/// The final JSON of a deployment.
pub fn result(view: &DeploymentView, project: &ProjectView) -> DeployResult {
    let release = view.release();
    let ending = ending(view);
    let failure = match ending.outcome {
        OutcomeWord::Refused => view.failure.clone().or_else(|| refusal(&view.unmet)),
        _ => view.failure.clone(),
    };
    let request = view.request.as_ref();
    DeployResult {
        schema: SCHEMA.to_owned(),
        deployment: view.id.clone(),
        kind: view.kind(),
        environment: view.environment.clone(),
        release: release.map(|release| release.number),
        digest: release.map(|release| release.digest),
        previous: view.previous().map(|release| release.number),
        commit: release
            .and_then(|release| project.release(release.number))
            .and_then(|release| release.commit().cloned()),
        branch: request.and_then(|request| request.branch.clone()),
        actor: request.map(|request| request.actor.clone()),
        plan: view.plan_digest,
        ending,
        phase: view.phase(),
        changed: view.changed(),
        failure,
        unmet: view.unmet.clone(),
        strays: view.strays.clone(),
        warnings: view.warnings.clone(),
        services: services(view),
        started_at: view.started_at,
        finished_at: view.finished_at,
        duration_ms: u64::try_from(
            view.finished_at
                .unwrap_or(view.latest)
                .since(view.started_at)
                .as_millis(),
        )
        .unwrap_or(u64::MAX),
    }
}

fn services(view: &DeploymentView) -> Vec<ServiceResult> {
    let Some(plan) = view.plan.as_deref() else {
        return Vec::new();
    };
    plan.services
        .iter()
        .map(|service| {
            let slices: Vec<&SliceView> = view
                .slices
                .iter()
                .filter(|slice| slice.service == service.name)
                .collect();
            ServiceResult {
                service: service.name.clone(),
                target: service.target.clone(),
                outcome: service_outcome(view, service.change, &slices),
                release: uniform(slices.iter().map(|slice| slice.release)).map(|release| release.number),
                slices: slices
                    .iter()
                    .map(|slice| SliceResult {
                        slice: slice.slice.clone(),
                        release: slice.release.map(|release| release.number),
                        running: slice.running,
                        health: slice.health,
                        note: slice.note.clone(),
                    })
                    .collect(),
            }
        })
        .collect()
}

fn service_outcome(view: &DeploymentView, change: Change, slices: &[&SliceView]) -> ServiceOutcome {
    let astray = |slice: &&SliceView| {
        view.strays
            .iter()
            .any(|stray| stray.service == slice.service && stray.slice == slice.slice)
    };
    let touched = slices.iter().any(|slice| slice.touched);
    // One that nobody touched is a matter for a human only where somebody else did, or it was found unwell.
    let matters = |slice: &&SliceView| {
        astray(slice)
            && (touched
                || matches!(
                    slice.progress,
                    Progress::Overtaken | Progress::Failed | Progress::Unknown
                ))
    };
    match view.phase() {
        _ if !view.ended && (touched || view.is_active()) => ServiceOutcome::Open,
        Phase::Succeeded if change == Change::Remove => ServiceOutcome::Removed,
        Phase::Succeeded => ServiceOutcome::Succeeded,
        Phase::NeedsHuman if slices.iter().any(matters) => ServiceOutcome::NeedsHuman,
        _ if !touched => ServiceOutcome::Untouched,
        _ if slices.iter().all(|slice| slice.is_settled()) => ServiceOutcome::Succeeded,
        _ => ServiceOutcome::RolledBack,
    }
}

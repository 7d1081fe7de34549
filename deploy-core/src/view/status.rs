//! `deploy status --json`: environments × services from the last observation, with its time.

use super::environment::{Current, EnvState, EnvironmentView};
use super::observed::Observed;
use super::project::ProjectView;
use crate::failure::Failure;
use crate::id::{CommitId, DeploymentId, EnvName, ReleaseNumber, ServiceName, SliceName};
use crate::port::journal::LeaseHolder;
use crate::port::target::{HealthSeen, Runs};
use crate::time::Timestamp;
use crate::view::Phase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// In the order given.
    pub environments: Vec<EnvStatus>,
}

/// One environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvStatus {
    /// Its name.
    pub name: EnvName,
    /// Whether the manifest has it. One that it has no more is shown while a deployment of it is open.
    #[serde(default = "in_manifest", skip_serializing_if = "is_in_manifest")]
    pub in_manifest: bool,
    /// The release it runs; `None`: nothing, or not known (see `state`).
    pub release: Option<ReleaseNumber>,
    /// The commit of that release.
    pub commit: Option<CommitId>,
    /// In a word.
    pub state: EnvState,
    /// The deployment that is under way or waits.
    pub deployment: Option<DeploymentId>,
    /// Its phase.
    pub phase: Option<Phase>,
    /// Who drives the environment now. `None` while a deployment is under way: it was interrupted, and nobody does.
    #[serde(default)]
    pub driver: Option<String>,
    /// The oldest of the last looks at its slices.
    pub observed_at: Option<Timestamp>,
    /// Why the line is stopped, if it is.
    pub frozen: Option<String>,
    /// Why automatic promotion is stopped, if it is.
    pub automatic_promotion_frozen: Option<String>,
    /// The next command, where one is due.
    pub next: Option<String>,
    /// By name.
    pub services: Vec<ServiceStatus>,
    /// What was to be looked at just now and could not be, each with its slice and the reason. Looking is asked for; from the last
    /// look alone this is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_looked_at: Vec<Failure>,
}

const fn in_manifest() -> bool {
    true
}

/// It is said of those alone that are not.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_in_manifest(is: &bool) -> bool {
    *is
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub service: ServiceName,
    /// Its target's kind.
    pub target: String,
    /// The release that all its slices run.
    pub release: Option<ReleaseNumber>,
    /// The worst of its slices.
    pub health: HealthSeen,
    /// Whether it runs what the journal says.
    pub drift: Drift,
    /// By name.
    pub slices: Vec<SliceStatus>,
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceStatus {
    /// Its name.
    pub slice: SliceName,
    /// The release it runs.
    pub release: Option<ReleaseNumber>,
    /// What it runs, in words: `v41`, `nothing`, `something that deploy did not put there`.
    #[serde(default)]
    pub runs: String,
    /// Its health.
    pub health: HealthSeen,
    /// Whether it runs what the journal says.
    pub drift: Drift,
    /// What of the release is not as it was put there: `app.py: other content`. That is drift.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<String>,
    /// Where it answers, where that is not always the same: `port 8081 (blue)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// When it was looked at.
    pub observed_at: Timestamp,
}

/// Whether something runs what the journal says it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// Yes.
    None,
    /// It could not be told.
    Unknown,
    /// No.
    Drifted,
}

/// The status of some environments. `held` names who drives which of them now: a journal alone does not tell a deployment that
/// somebody drives from one that was left.
pub fn status<'a>(
    environments: impl IntoIterator<Item = &'a EnvironmentView>,
    project: &ProjectView,
    held: &BTreeMap<EnvName, LeaseHolder>,
) -> Status {
    Status {
        environments: environments
            .into_iter()
            .map(|view| environment(view, project, held.get(&view.name)))
            .collect(),
    }
}

fn environment(view: &EnvironmentView, project: &ProjectView, holder: Option<&LeaseHolder>) -> EnvStatus {
    let current = view.current.release();
    let release = current.map(|release| release.number);
    let under_way = view.active().or_else(|| view.waiting().next());
    let moving = view.active().is_some_and(|active| !active.attempts.is_empty());
    let services = view
        .observed
        .iter()
        .map(|(name, slices)| {
            let slices: Vec<_> = slices
                .iter()
                .map(|(name, seen)| SliceStatus {
                    slice: name.clone(),
                    release: seen.release.map(|release| release.number),
                    runs: seen.in_words(),
                    health: seen.health,
                    drift: drift(seen, view.current, moving),
                    edited: seen.edited.clone(),
                    answers: seen.answers.clone(),
                    observed_at: seen.at,
                })
                .collect();
            ServiceStatus {
                service: name.clone(),
                target: view.observed[name]
                    .values()
                    .next()
                    .map(|seen| seen.target.clone())
                    .unwrap_or_default(),
                release: uniform(slices.iter().map(|slice| slice.release)),
                health: worst(slices.iter().map(|slice| slice.health)),
                drift: slices
                    .iter()
                    .map(|slice| slice.drift)
                    .max()
                    .unwrap_or(Drift::Unknown),
                slices,
            }
        })
        .collect();
    let state = view.state();
    EnvStatus {
        name: view.name.clone(),
        in_manifest: true,
        release,
        commit: release
            .and_then(|number| project.release(number))
            .and_then(|release| release.commit().cloned()),
        state,
        deployment: under_way.map(|deployment| deployment.id.clone()),
        phase: under_way.map(super::DeploymentView::phase),
        driver: holder.map(|holder| holder.who.clone()),
        observed_at: view
            .observed
            .values()
            .flat_map(|slices| slices.values().map(|seen| seen.at))
            .min(),
        frozen: view.frozen.as_ref().map(|stopped| stopped.reason.clone()),
        automatic_promotion_frozen: view
            .automatic_frozen
            .as_ref()
            .map(|stopped| stopped.reason.clone()),
        next: next(view, project, state, holder),
        services,
        not_looked_at: Vec::new(),
    }
}

fn next(
    view: &EnvironmentView,
    project: &ProjectView,
    state: EnvState,
    holder: Option<&LeaseHolder>,
) -> Option<String> {
    match state {
        EnvState::NeedsHuman => {
            let stray = view.last_moved.as_ref().and_then(|last| last.strays.first());
            Some(stray.map_or_else(|| view.way_out(project), |stray| stray.next.clone()))
        }
        EnvState::Paused | EnvState::Deploying | EnvState::GoingBack => view.active().map(|active| {
            let verb = if holder.is_some() { "watch" } else { "resume" };
            format!("deploy {verb} {}", active.id.short())
        }),
        EnvState::Waiting => {
            let waiting = view.waiting().next()?;
            waiting.unmet.first().map(|unmet| unmet.next.clone())
        }
        EnvState::Empty | EnvState::Steady => left_out(view).or_else(|| view.unfreeze()),
    }
}

/// The command that brings the release to a slice that was left out, while one is.
fn left_out(view: &EnvironmentView) -> Option<String> {
    let mut seen = view.observed.values().flat_map(BTreeMap::values);
    seen.any(|seen| seen.running == super::Running::Excluded)
        .then(|| view.last_moved.as_ref()?.strays.first())?
        .map(|stray| stray.next.clone())
}

fn drift(seen: &Observed, current: Current, moving: bool) -> Drift {
    use super::Running;
    match (seen.running, current, seen.release) {
        (Running::Other | Running::Excluded, ..) => Drift::Drifted,
        _ if !seen.edited.is_empty() => Drift::Drifted,
        (Running::Unknown, ..) | (_, Current::Unknown, _) => Drift::Unknown,
        _ if moving => Drift::None,
        (_, Current::Release(current), Some(release)) => {
            if current == release {
                Drift::None
            } else {
                Drift::Drifted
            }
        }
        (_, Current::Nothing, None) if seen.runs == Some(Runs::Nothing) => Drift::None,
        (_, Current::Release(_), None) if seen.runs == Some(Runs::Nothing) => Drift::Drifted,
        _ => Drift::Unknown,
    }
}

/// The worst of several: not well before not known before well.
pub(super) fn worst(healths: impl IntoIterator<Item = HealthSeen>) -> HealthSeen {
    let rank = |health: &HealthSeen| match health {
        HealthSeen::Healthy => 0,
        HealthSeen::Unknown => 1,
        HealthSeen::Stopped => 2,
        HealthSeen::Unhealthy => 3,
    };
    healths
        .into_iter()
        .max_by_key(rank)
        .unwrap_or(HealthSeen::Unknown)
}

/// The one value that all have, if they do.
pub(super) fn uniform<T: PartialEq>(values: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    let mut values = values.into_iter();
    let first = values.next()??;
    values
        .all(|value| value.as_ref() == Some(&first))
        .then_some(first)
}

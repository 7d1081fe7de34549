//! What happened in an environment: ended and running deployments, the newest first, in pages. The form is that of
//! `deploy history --json`.

use super::deployment::DeploymentView;
use super::environment::EnvironmentView;
use super::phase::Phase;
use super::result::{OutcomeWord, ending};
use crate::id::{Actor, CommitId, DeploymentId, EnvName, ReleaseNumber};
use crate::plan::Kind;
use crate::time::Timestamp;
use crate::view::ProjectView;
use serde::{Deserialize, Serialize};

/// A deployment in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its id.
    pub deployment: DeploymentId,
    /// Where.
    pub environment: Option<EnvName>,
    /// Which way.
    pub kind: Option<Kind>,
    /// What it brings.
    pub release: Option<ReleaseNumber>,
    /// What ran before.
    pub previous: Option<ReleaseNumber>,
    /// The commit that the release was first made from.
    #[serde(default)]
    pub commit: Option<CommitId>,
    /// Who asked.
    pub actor: Option<Actor>,
    /// Why, in the asker's words.
    pub reason: Option<String>,
    /// Its phase, or its end.
    pub phase: Phase,
    /// The word that its final JSON has.
    pub outcome: OutcomeWord,
    /// What went wrong.
    pub failure: Option<String>,
    /// What it succeeded without, within a failure budget: `web web-3`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// Whether anything that serves may have been changed.
    pub changed: bool,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Summary {
    /// Of a deployment. The commit is filled in when a page is made.
    pub fn of(view: &DeploymentView) -> Self {
        Self {
            deployment: view.id.clone(),
            environment: view.environment.clone(),
            kind: view.kind(),
            release: view.release().map(|release| release.number),
            previous: view.previous().map(|release| release.number),
            commit: None,
            actor: view.request.as_ref().map(|request| request.actor.clone()),
            reason: view.request.as_ref().and_then(|request| request.reason.clone()),
            phase: view.phase(),
            outcome: ending(view).outcome,
            failure: view.failure.as_ref().map(|failure| failure.message.clone()),
            excluded: view
                .excluded()
                .map(|slice| format!("{} {}", slice.service, slice.slice))
                .collect(),
            changed: view.changed(),
            started_at: view.started_at,
            finished_at: view.finished_at,
        }
    }
}

/// One page of `deploy history --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The newest first.
    pub deployments: Vec<Summary>,
    /// Where the next page begins: pass it as the cursor. `None` on the last page.
    pub next_cursor: Option<DeploymentId>,
}

/// A page of the history of some environments, the newest first, of deployments older than the cursor.
pub fn page<'a>(
    environments: impl IntoIterator<Item = &'a EnvironmentView>,
    project: &ProjectView,
    cursor: Option<&DeploymentId>,
    limit: usize,
) -> HistoryPage {
    let mut all: Vec<Summary> = Vec::new();
    for environment in environments {
        all.extend(environment.unended.values().map(Summary::of));
        all.extend(environment.ended.iter().cloned());
    }
    all.retain(|summary| cursor.is_none_or(|cursor| summary.deployment < *cursor));
    all.sort_unstable_by(|a, b| b.deployment.cmp(&a.deployment));
    let more = all.len() > limit;
    all.truncate(limit);
    for summary in &mut all {
        let release = summary.release.and_then(|number| project.release(number));
        summary.commit = release.and_then(|release| release.commit().cloned());
    }
    HistoryPage {
        next_cursor: all.last().filter(|_| more).map(|last| last.deployment.clone()),
        deployments: all,
    }
}

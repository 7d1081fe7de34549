//! What gates are judged by: everything known, borrowed, and the time. Whoever fills this in adds no rule of his own.

use super::rules::{Act, Rules};
use crate::digest::Digest;
use crate::id::{Actor, CommitId, DeploymentId, EnvName};
use crate::model::Release;
use crate::plan::{Kind, Plan};
use crate::time::Timestamp;
use crate::view::{DeploymentView, EnvironmentView, ProjectView};
use std::collections::BTreeMap;
use std::time::Duration;

/// Who set a request off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A person or a CI job, by a command.
    Command,
    /// Automatic promotion.
    Automatic,
}

/// What gates need to know of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanFacts {
    /// What approvals bind to.
    pub digest: Digest,
    /// The longest that the deployment may take; it has to fit before a freeze begins.
    pub longest: Duration,
}

impl PlanFacts {
    /// Of a plan: activation, the longest bake with its extension, and going back.
    pub fn of(plan: &Plan) -> Self {
        let bake = plan
            .services
            .iter()
            .map(|service| service.bake)
            .max()
            .unwrap_or_default();
        let unclear = if bake.is_zero() {
            Duration::ZERO
        } else {
            plan.limits.bake
        };
        Self {
            digest: plan.digest(),
            longest: plan.limits.activation + bake + unclear + plan.limits.going_back,
        }
    }
}

/// Whether an allowed branch contains a commit of the release: a fact from git. A branch that is not in the map is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Containment {
    /// It does.
    Contains {
        /// The branch that the pattern found.
        branch: String,
        /// The commit.
        commit: CommitId,
    },
    /// It does not.
    Not,
    /// There is no such branch.
    NoBranch,
    /// It could not be told (a shallow checkout): not met.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Everything that gates look at.
#[derive(Debug, Clone, Copy)]
pub struct GateInput<'a> {
    /// The time to judge for.
    pub now: Timestamp,
    /// The environment it goes to.
    pub environment: &'a EnvName,
    /// The deployment, once there is one.
    pub deployment: Option<&'a DeploymentId>,
    /// Which way.
    pub kind: Kind,
    /// Who asks.
    pub actor: &'a Actor,
    /// What set it off.
    pub trigger: Trigger,
    /// The environment's name, where it was typed or given as a confirmation.
    pub confirmed: Option<&'a EnvName>,
    /// The plan, once there is one.
    pub plan: Option<PlanFacts>,
    /// The release.
    pub release: &'a Release,
    /// What is known of the project.
    pub project: &'a ProjectView,
    /// What is known of the environments: at least the target and those that its rules name.
    pub environments: &'a BTreeMap<EnvName, EnvironmentView>,
    /// The rules in force in the target environment.
    pub rules: &'a Rules,
    /// For each entry of [`Rules::branches`]: whether it contains a commit of the release.
    pub contained_in: &'a BTreeMap<String, Containment>,
    /// Environments of `after` that could not be looked at now, and why. All others that run the release were looked at for this
    /// judgement, and what was found is in their views: the soak gate counts on it.
    pub unseen: &'a BTreeMap<EnvName, String>,
    /// Keys of the manifest that do not act yet and would weaken a gate: `environments.production.smoke`.
    pub not_acting: &'a [String],
}

impl<'a> GateInput<'a> {
    /// The target environment, if its stream is known.
    pub fn target(&self) -> Option<&'a EnvironmentView> {
        self.environments.get(self.environment)
    }

    /// What is known of the deployment.
    pub fn view(&self) -> Option<&'a DeploymentView> {
        self.target()?.unended.get(self.deployment?)
    }

    /// The time that gates use: never before what the environment's own events say, so that a clock that jumps back reopens nothing,
    /// for a new deployment no more than for the one that waits.
    pub fn clock(&self) -> Timestamp {
        self.target()
            .map_or(self.now, |environment| self.now.max(environment.latest))
    }

    /// Whether it goes back.
    pub fn is_rollback(&self) -> bool {
        self.kind == Kind::Rollback
    }

    pub(super) fn act(&self) -> Act {
        Act::of(self.kind)
    }

    /// How the release is called in sentences: `v42 (3f9ac1e)`.
    pub(super) fn called(&self) -> String {
        match self.release.commit() {
            Some(commit) => format!("{} ({})", self.release.number, commit.short()),
            None => self.release.number.to_string(),
        }
    }

    /// The command that makes this request.
    pub(super) fn command(&self) -> String {
        let (environment, release) = (self.environment, self.release.number);
        match self.kind {
            Kind::Deploy => format!("deploy up -e {environment}"),
            Kind::Promote => format!("deploy promote -e {environment} --release {release}"),
            Kind::Rollback => format!("deploy rollback -e {environment} --to {release}"),
        }
    }
}

/// Group names as a list for people.
pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

/// Alternatives as a list for people: `master or release/*`.
pub(super) fn any_of<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(" or ")
}

/// A time for people, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_the_second()
}

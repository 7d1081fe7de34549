//! The plan of a deployment: everything that has to be decided before it starts, so that no meaningful choice is left to its
//! execution. Immutable; the whole of it is in the journal.
//!
//! Here are the types. [`build()`] makes a plan, [`lint()`] checks one without knowing how it was made, [`render_text`] shows one.

mod base;
mod build;
mod choose;
mod configured;
mod elsewhere;
mod input;
mod limits;
mod lint;
mod notice;
mod problem;
mod render;
mod steps;
mod strategy;
#[cfg(test)]
mod tests;
mod waves;

pub use build::build;
pub use input::{
    BaseFacts, Batch, CanaryStep, InvalidBatch, Percent, PlanInput, ServiceInput, SliceInput, StrategyInput,
};
pub use limits::Limits;
pub use lint::{LintFinding, Rule, Severity, lint};
pub use notice::names;
pub use problem::{MOST_SLICES, PlanProblem};
pub use render::{header, render_text};
pub use steps::Step;

use crate::digest::Digest;
use crate::id::{EnvName, PlaceId, PlaceIx, ServiceIx, ServiceName, SliceIx, SliceName, UnitId, UnitIx};
use crate::model::ReleaseRef;
use crate::port::target::{Abilities, Difference, Runs};
use crate::time::human;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which way a deployment is meant to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A release made here, into an environment without `after`.
    Deploy,
    /// A release that upstream verified.
    Promote,
    /// Back to an earlier one: needs authorization and nothing else, never turns back.
    Rollback,
}

/// What the environment ran before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "base")]
pub enum Base {
    /// Nothing of ours anywhere: the way back is to remove what this deployment creates.
    Nothing,
    /// One verified release, everywhere.
    Release(ReleaseRef),
    /// The same thing everywhere, but not a release verified here: the way back is its checkpoint.
    Uniform,
    /// Different things. The way back of each slice is its checkpoint: it is then as mixed as before.
    Mixed,
}

/// What a failure of this service does to the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The deployment turns back.
    Rollback,
    /// The deployment stops as it is, disarmed, in `needs_human`.
    Hold,
}

/// What happens to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It moves to the release.
    Move,
    /// It runs what it should: it is only looked at.
    Keep,
    /// It was dropped from the manifest or retired: removed in `finish`.
    Remove,
}

/// How a slice comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayBack {
    /// To its checkpoint.
    Checkpoint,
    /// By removing what this deployment created.
    Absent,
    /// Not: a failure ends in `needs_human` for this slice. Said in the plan.
    None,
}

/// One service of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedService {
    /// Its name.
    pub name: ServiceName,
    /// `ssh`, `k8s` …, for readers.
    pub target: String,
    /// What happens to it.
    pub change: Change,
    /// The services that must be verified before it starts, as indices into [`Plan::services`].
    pub needs: Vec<ServiceIx>,
    /// Its slices in the order in which they move: all of one batch at the same time.
    pub batches: Vec<Vec<SliceIx>>,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// How many of its slices may fail without turning the deployment back: each is stopped, and left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_failures: u16,
    /// How long it is watched after the commit point.
    #[serde(with = "human")]
    pub bake: Duration,
    /// What its target can do.
    pub abilities: Abilities,
    /// Whether its last healthy slice is out for a moment (one slice, `recreate`, `all-at-once`): said in the plan.
    pub interrupts: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's `skip_serializing_if` hands out references"
)]
const fn is_zero(count: &u16) -> bool {
    *count == 0
}

/// One slice of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedSlice {
    /// Its name within the service.
    pub name: SliceName,
    /// Its service.
    pub service: ServiceIx,
    /// Where it writes.
    pub place: PlaceIx,
    /// What goes back with it.
    pub unit: UnitIx,
    /// What ran there when the plan was made.
    pub now: Runs,
    /// How it comes back.
    pub way_back: WayBack,
    /// How long it must be well without a break before what follows may start, where that is longer than its health asks for: a step
    /// of a canary that is watched.
    #[serde(default, skip_serializing_if = "Duration::is_zero", with = "human")]
    pub hold: Duration,
}

/// What brings one environment to one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Which way.
    pub kind: Kind,
    /// The environment.
    pub environment: EnvName,
    /// The release it brings.
    pub release: ReleaseRef,
    /// What it starts from.
    pub base: Base,
    /// Version of the environment's configuration.
    pub config: Digest,
    /// The places it writes to; claimed in this order.
    pub places: Vec<PlaceId>,
    /// The restore units, each in one place.
    pub units: Vec<UnitId>,
    /// Its services, those that are needed before those that need them.
    pub services: Vec<PlannedService>,
    /// Its slices.
    pub slices: Vec<PlannedSlice>,
    /// Limits.
    pub limits: Limits,
    /// What a person should know before saying yes: interruptions, `needs` on a disabled service, a target without a fence.
    pub notices: Vec<String>,
    /// What would change, for people; not part of the digest.
    #[serde(default)]
    pub differences: Vec<Difference>,
}

impl Plan {
    /// What approvals bind to: steps, release, configuration and base; not diffs, notices or health.
    pub fn digest(&self) -> Digest {
        Digest::of_json(&(
            "deploy.plan/1",
            self.kind,
            &self.environment,
            self.release,
            &self.base,
            self.config,
            &self.places,
            &self.units,
            &self.services,
            &self.slices,
            &self.limits,
        ))
    }

    /// A service.
    pub fn service(&self, ix: ServiceIx) -> &PlannedService {
        &self.services[ix.at()]
    }

    /// A slice.
    pub fn slice(&self, ix: SliceIx) -> &PlannedSlice {
        &self.slices[ix.at()]
    }

    /// All slices with their indices.
    ///
    /// # Panics
    /// If there are more than an index can count, which neither the planner nor the linter lets through.
    pub fn slice_indices(&self) -> impl Iterator<Item = SliceIx> + use<> {
        (0..self.slices.len()).map(|at| SliceIx(u16::try_from(at).expect("the planner bounds the slices")))
    }

    /// All services with their indices.
    ///
    /// # Panics
    /// As [`Self::slice_indices`].
    pub fn service_indices(&self) -> impl Iterator<Item = ServiceIx> + use<> {
        (0..self.services.len())
            .map(|at| ServiceIx(u16::try_from(at).expect("the planner bounds the services")))
    }

    /// Whether nothing at all would change: the environment is on the release already, and so is every slice. Targets are asked what
    /// would change for `deploy plan` alone ([`Self::differences`]); a deployment moves such a slice to what it runs, and verifies it.
    pub fn changes_nothing(&self) -> bool {
        let kept = self.services.iter().all(|service| service.change == Change::Keep);
        let is_there = self.base == Base::Release(self.release);
        kept || (is_there && self.service_indices().all(|ix| self.leaves(ix)))
    }

    /// The services that it removes.
    pub fn removed(&self) -> Vec<&ServiceName> {
        let removed = self
            .services
            .iter()
            .filter(|service| service.change == Change::Remove);
        removed.map(|service| &service.name).collect()
    }

    /// Whether a service stays as it is: kept, or its target was asked and names no change of any of its slices.
    pub fn leaves(&self, ix: ServiceIx) -> bool {
        let service = self.service(ix);
        let asked = |slice: &PlannedSlice| {
            self.differences
                .iter()
                .find(|of| of.service.as_ref() == Some(&service.name) && of.slice == slice.name)
        };
        match service.change {
            Change::Keep => true,
            Change::Remove => false,
            Change::Move => self
                .slices
                .iter()
                .filter(|slice| slice.service == ix)
                .all(|slice| asked(slice).is_some_and(|of| of.lines.is_empty())),
        }
    }
}

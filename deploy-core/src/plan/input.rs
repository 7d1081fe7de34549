//! What the planner is given: everything it decides from, and nothing it would have to look up. No rule lives here.

use super::{Kind, Limits, OnFailure};
use crate::digest::Digest;
use crate::id::{EnvName, Fingerprint, PlaceId, ReleaseNumber, ServiceName, SliceName};
use crate::model::{Release, ReleaseRef};
use crate::port::target::{Abilities, Difference, Runs, SliceSeen, SliceSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::time::Duration;

/// All that a plan follows from. The same input is the same plan; the order of `services` does not matter.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// Which way.
    pub kind: Kind,
    /// The environment.
    pub environment: EnvName,
    /// The release to bring: what each service is in it.
    pub release: &'a Release,
    /// The same release, named; given so that its digest is computed once.
    pub reference: ReleaseRef,
    /// Version of the environment's configuration.
    pub config: Digest,
    /// Limits of the deployment.
    pub limits: Limits,
    /// The services of the environment, and those that were dropped and still run there.
    pub services: Vec<ServiceInput>,
    /// Services with `enabled = false` here. One that is also in `services` is passed over.
    pub disabled: BTreeSet<ServiceName>,
    /// What the journal knows of this environment.
    pub facts: BaseFacts,
    /// The rollback floor: a rollback below it is refused. `None` until a point of no return was passed.
    pub floor: Option<ReleaseNumber>,
}

/// What the journal knows of what ran in an environment.
#[derive(Debug, Clone, Default)]
pub struct BaseFacts {
    /// The release last verified here.
    pub current: Option<ReleaseRef>,
    /// Fingerprints that were verified as these releases here. Several releases may share one: a service that a release does not
    /// change goes on saying the release that last moved it.
    pub fingerprints: BTreeMap<ReleaseRef, BTreeMap<ServiceName, BTreeSet<Fingerprint>>>,
    /// Where each slice was when a deployment moved here last, but for those that ran nothing when they were looked at last.
    pub places: BTreeMap<ServiceName, BTreeMap<SliceName, PlaceId>>,
}

/// One service, as configured in the environment and as seen there.
#[derive(Debug, Clone)]
pub struct ServiceInput {
    /// Its name.
    pub name: ServiceName,
    /// The kind of its target, for readers: `ssh`.
    pub target: String,
    /// The services that must be verified before it starts.
    pub needs: Vec<ServiceName>,
    /// How its slices are grouped.
    pub strategy: StrategyInput,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// How long it is watched after the commit point.
    pub bake: Duration,
    /// What its target can do.
    pub abilities: Abilities,
    /// Its slices, in the order in which its target lists them; batches keep that order.
    pub slices: Vec<SliceInput>,
    /// It is not in the manifest any more, or was retired: it is removed at the end.
    pub dropped: bool,
}

/// One slice.
#[derive(Debug, Clone)]
pub struct SliceInput {
    /// Its name, place and unit.
    pub spec: SliceSpec,
    /// What one look found.
    pub seen: SliceSeen,
    /// What the journal says ran there last; used only where a rollback cannot look.
    pub last_known: Option<Runs>,
    /// What it would run once moved, if the target can tell beforehand. `None`: only preparing will tell.
    pub wanted: Option<Runs>,
    /// What moving it would change, for people.
    pub difference: Option<Difference>,
}

/// How the slices of a service are grouped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StrategyInput {
    /// Batch after batch, each verified before the next.
    Rolling {
        /// How many slices move at once.
        batch: Batch,
        /// How many may fail without turning the deployment back, of all slices of the service; a share is rounded down. None: the
        /// first failure turns back.
        max_failures: Option<Batch>,
    },
    /// Stop everything, then start everything.
    Recreate,
    /// All slices at the same time.
    AllAtOnce,
    /// A few first, then more, then the rest.
    Canary {
        /// How far each step goes, counted from the beginning.
        steps: Vec<CanaryStep>,
        /// How many slices of one step move at once. None: all of them.
        batch: Option<Batch>,
    },
}

impl StrategyInput {
    /// How long it waits in all, whoever moves how fast.
    pub fn waits(&self) -> Duration {
        match self {
            Self::Canary { steps, .. } => steps.iter().map(|step| step.hold).sum(),
            Self::Rolling { .. } | Self::Recreate | Self::AllAtOnce => Duration::ZERO,
        }
    }
}

impl Default for StrategyInput {
    /// One slice after the other.
    fn default() -> Self {
        Self::Rolling {
            batch: Batch::Count(NonZeroU16::MIN),
            max_failures: None,
        }
    }
}

/// One step of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CanaryStep {
    /// How many slices run the release once this step is done.
    pub to: Batch,
    /// How long to watch before the next step.
    pub hold: Duration,
}

/// A number of slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Batch {
    /// So many.
    Count(NonZeroU16),
    /// A share of all, rounded up.
    Percent(Percent),
}

/// 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(100);

    /// `None` unless it is 1 to 100.
    pub fn new(percent: u8) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Why a text is not a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch is a number of slices, as in `2`, or a share of them from `1%` to `100%`")]
pub struct InvalidBatch;

impl std::str::FromStr for Batch {
    type Err = InvalidBatch;
    fn from_str(text: &str) -> Result<Self, InvalidBatch> {
        let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        match text.strip_suffix('%') {
            Some(share) if number(share) => share
                .parse()
                .ok()
                .and_then(Percent::new)
                .map(Self::Percent)
                .ok_or(InvalidBatch),
            None if number(text) => text.parse().map(Self::Count).map_err(|_| InvalidBatch),
            _ => Err(InvalidBatch),
        }
    }
}

impl std::fmt::Display for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(percent) => write!(f, "{}%", percent.get()),
        }
    }
}

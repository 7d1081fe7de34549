//! The port to a platform: what every target can be asked. Types and the trait only; no rule of any one platform.
//!
//! Every verb is idempotent, takes an operation key and the claim, may be repeated after an unknown outcome, and reports what it
//! observed. Order inside every target: write aside → flush → check what was written → arm → switch → verify → confirm → prune.
//!
//! A `Target` is one service in one environment, bound to its configuration when it is made; it may have several slices in
//! several places. Verbs for different slices run at the same time.

use crate::digest::Digest;
use crate::failure::Failure;
use crate::id::{Attempt, DeploymentId, Epoch, Fingerprint, PlaceId, SliceName, StoreId, UnitId};
use crate::model::{Entry, ReleaseRef};
use crate::time::Timestamp;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a target keeps a stale deployer from writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// The claim is part of the transaction or the conditional write.
    Write,
    /// The writer and all its children inherit a lock that the next claim needs.
    Lock,
    /// The place ends an old holder's writes after a time, and `claim` waits that out.
    Term,
    /// Not at all: said in the plan; after a takeover its open intents end in `needs_human`.
    None,
}

/// What a target can do. Declared, not discovered: the planner and `deploy check` ask without touching the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one ability, and none follows from another"
)]
pub struct Abilities {
    /// How it fences.
    pub fence: Fence,
    /// Whether a touched slice goes back by itself unless confirmed in time.
    pub arms: bool,
    /// Whether it can remove what a deployment created.
    pub removes: bool,
    /// Whether it can prove since when health is unbroken.
    pub unbroken_since: bool,
    /// Whether it can take one slice out of service while the others serve: [`Target::stop`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops: bool,
}

/// One slice as a target lists it: names that the planner groups by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SliceSpec {
    /// Unique within the service and environment.
    pub name: SliceName,
    /// Where it writes; slices of one place share its claim.
    pub place: PlaceId,
    /// What goes back together with it.
    pub unit: UnitId,
}

/// The claim that a write must equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The state whose deployment this is.
    pub store: StoreId,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Rises with every change of holder, direction or attempt.
    pub epoch: Epoch,
}

/// What a place says about who may write to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The state that deployed here last. Releasing clears the deployment, never the store or the epoch.
    pub store: StoreId,
    /// The deployment that holds the claim, if one does.
    pub deployment: Option<DeploymentId>,
    /// The last epoch given.
    pub epoch: Epoch,
    /// Who holds it, since when and at which step, for whoever is refused. Written by the holder.
    pub note: HolderNote,
}

/// For whoever meets a claim: who holds it and what it is doing. Text for people only; no rule reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HolderNote {
    /// `alice@laptop (pid 4711)`.
    pub who: String,
    /// When it was claimed, by the claimer's clock.
    pub since: Option<Timestamp>,
    /// What it was about to do: `activating v42`.
    pub step: String,
}

/// A request for a claim.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Our state.
    pub store: StoreId,
    /// Our deployment.
    pub deployment: DeploymentId,
    /// The last epoch our journal knows for the place: the new one is one above the greater of both.
    pub known: Epoch,
    /// Deployments of our own store that have ended, or that we took over: their claims may be taken.
    pub may_take: Vec<DeploymentId>,
    /// Whether another store's place may be taken (`--adopt`, which is in the journal).
    pub adopt: Adopt,
    /// Left in the place for others to read.
    pub note: HolderNote,
}

/// What to do about another store's claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adopt {
    /// Refuse.
    Refuse,
    /// Take it over; recorded.
    Take,
}

/// What one write is done under.
#[derive(Debug, Clone)]
pub struct Op {
    /// The same for every repetition of this step: derived from deployment, attempt, verb and slice.
    pub key: Digest,
    /// Compared by the target side in the same step as the write.
    pub claim: Claim,
    /// The attempt it belongs to.
    pub attempt: Attempt,
    /// The longest it may take. The target ends what it started by then and answers `unknown` if it cannot tell the outcome.
    pub limit: Duration,
    /// Where progress and output go; lossy, never needed.
    pub progress: Arc<dyn ProgressSink>,
}

/// Takes lossy progress.
pub trait ProgressSink: Send + Sync + std::fmt::Debug {
    /// How far a step is; `total` is 0 if unknown.
    fn step(&self, done: u64, total: u64, note: &str);
    /// A line of output of a hook or a command.
    fn line(&self, text: &str);
}

/// Drops all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl ProgressSink for NoProgress {
    fn step(&self, _: u64, _: u64, _: &str) {}
    fn line(&self, _: &str) {}
}

/// A release as one service in one environment gets it.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Which release.
    pub release: ReleaseRef,
    /// What the service is in it.
    pub entry: Entry,
    /// Version of the environment's configuration that goes with it.
    pub config: Digest,
    /// Where the artifact's bytes are on this machine, if they are: a tree's folder, an image's archive. `prepare` may need it;
    /// nothing after `prepare` does.
    pub local: Option<PathBuf>,
    /// Facts as commands get them: `DEPLOY_COMMIT`, `DEPLOY_VERSION`, …
    pub facts: BTreeMap<String, String>,
    /// The service's variables and the secrets it names, resolved as late as can be. Never logged.
    pub variables: BTreeMap<String, Secret>,
    /// Which of the variables are secrets, by name, also where their values are left out. Values of the others may be shown.
    pub secrets: BTreeSet<String>,
}

/// A value that does not print itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The value, for the one place that hands it to the target.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What a slice was before this deployment touched it: a reference to a body that is on the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where the target finds it.
    pub reference: String,
    /// Of its body, so that a damaged one is noticed.
    pub digest: Digest,
    /// What ran then.
    pub was: Runs,
    /// Health then: going back need not be better than it was.
    pub health: HealthSeen,
}

/// What runs in a slice, as the platform tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Runs {
    /// Nothing is there.
    Nothing,
    /// Something that has a fingerprint.
    Release {
        /// Compared by `activate` and `restore`.
        fingerprint: Fingerprint,
        /// The release it is, if the target can tell.
        release: Option<ReleaseRef>,
    },
}

impl Runs {
    /// Whether it is the same thing: by fingerprint; which release it is may be known to one of them only.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => true,
            (
                Self::Release { fingerprint, .. },
                Self::Release {
                    fingerprint: other, ..
                },
            ) => fingerprint == other,
            _ => false,
        }
    }
}

/// Health as a target or a probe told it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthSeen {
    /// Looked at and well.
    Healthy,
    /// Looked at and not well.
    Unhealthy,
    /// Not running.
    Stopped,
    /// Not looked at, or could not be.
    #[default]
    Unknown,
}

/// What one look at a slice found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceSeen {
    /// The slice.
    pub slice: SliceName,
    /// What runs, or why that cannot be told.
    pub runs: Result<Runs, Failure>,
    /// Who holds the place; `None` if nobody ever claimed it (or it could not be read).
    pub held: Option<Held>,
    /// How long until an armed revert fires; `None` if none is armed.
    pub armed: Option<Duration>,
    /// Since when health is unbroken, if the platform can prove it.
    pub unbroken_since: Option<Timestamp>,
    /// Releases kept there, newest first: what can be gone back to without sending anything.
    pub kept: Vec<ReleaseRef>,
    /// What a look inside found, where the platform lets people in.
    #[serde(default)]
    pub inside: Inside,
}

/// What is inside a slice besides its fingerprint. A fingerprint says which release was put there; people and services can write
/// into it since. All of it is text for people, a few lines each, made printable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inside {
    /// What of the release is not as it was put there: `app.py: other content`. It is drift, and no foreign change: a deployment
    /// goes over it, and going back puts it back as it was found.
    pub edited: Vec<String>,
    /// Files that are there besides, as a service's own logs and caches. Nobody holds them against it.
    pub besides: Vec<String>,
    /// Processes that still run from another release: `pid 4711 (python3) still runs from releases/0123456789abcdef`. They may be
    /// about to end, or somebody's shell: no proof of anything.
    pub left: Vec<String>,
    /// Where it answers, where that is not always the same: `port 8081 (blue)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Why the last move there has not ended, where one has not: what an observer after a crash goes by.
    pub unfinished: Option<String>,
}

impl Inside {
    /// The first of such lines, and how many more there are: for one sentence.
    pub fn few(lines: &[String]) -> String {
        const SHOWN: usize = 3;
        let shown = lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        match lines.len().saturating_sub(SHOWN) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }
}

/// A change, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The service; filled in by the planner, a target leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<crate::id::ServiceName>,
    /// The slice.
    pub slice: SliceName,
    /// One line a change: `+ 3 files, ~ 1 file, - 0 files`, `restart: systemctl restart shop-web`. None: activating changes nothing.
    pub lines: Vec<String>,
    /// Bytes to send, where known.
    pub bytes: Option<u64>,
}

/// What preparing gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The unit's checkpoint: made now, or the one made earlier by this deployment.
    pub checkpoint: Checkpoint,
    /// What the slice will run when activated; equal to the checkpoint's where nothing changes.
    pub will_be: Runs,
}

/// What to prepare or to move to.
#[derive(Debug, Clone)]
pub struct Move {
    /// The slice.
    pub slice: SliceName,
    /// Where to.
    pub to: Arc<Desired>,
    /// What must run there now; anything else is somebody's change.
    pub expect: Runs,
    /// Arm a revert for this long before switching, where the target can.
    pub arm: Option<Duration>,
    /// The unit's checkpoint as the journal has it. `prepare` takes one only where there is none (one that was taken but never
    /// recorded counts as none: nothing was touched since), and else proves this one readable.
    pub checkpoint: Option<Checkpoint>,
}

/// Where a release stands before anything is led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stood {
    /// Nowhere: it moves in place, or is there already.
    InPlace,
    /// Beside what serves, where it can be looked at.
    Beside {
        /// The port that it answers at.
        port: u16,
    },
}

/// Where to put a slice back to.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The slice.
    pub slice: SliceName,
    /// What to put back.
    pub checkpoint: Checkpoint,
    /// What this deployment may have put there. The slice may run one of these, or already the checkpoint's; anything else is
    /// somebody's change.
    pub ours: Vec<Runs>,
}

/// Which slice to take out of service.
#[derive(Debug, Clone)]
pub struct Stop {
    /// The slice.
    pub slice: SliceName,
    /// What it may run: what this deployment put there, what ran before, or nothing where it was stopped already. Anything else is
    /// somebody's change.
    pub may_run: Vec<Runs>,
}

/// What to clean up at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cleanup {
    /// Only release the claim, and leave what later steps need where it is: the deployment waits for its gates.
    Wait,
    /// Only release the claim: every end that is not a success.
    ReleaseOnly,
    /// Prune, then release the claim. Never removes what runs, what ran before, or what is in use.
    Prune {
        /// Releases kept.
        keep: usize,
    },
    /// Remove the service from the place, then release the claim: it was dropped or retired.
    Remove,
}

/// Whether an effect that failed may have happened. An adapter must say; there is no default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// It did not happen, and will not.
    NotDone,
    /// It may have happened, or may still.
    Unknown,
}

/// Why, as far as a retry is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Worth another try a little later: a refused connection, a busy server. Does not use up the deployment's patience at once.
    Transient,
    /// The target cannot be reached at all.
    Unreachable,
    /// Somebody else holds the place (only `claim` says this).
    Held,
    /// A newer claim is in force: this process must stop writing.
    Fenced,
    /// What runs there is not what was expected.
    Overtaken,
    /// The checkpoint is gone or damaged.
    CheckpointLost,
    /// Anything that another try will not mend.
    Final,
}

/// What a verb answers when it did not do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{failure}")]
pub struct TargetError {
    /// Whether it may have happened.
    pub certainty: Certainty,
    /// Why.
    pub cause: Cause,
    /// For people.
    pub failure: Box<Failure>,
    /// Who holds the place, where that is why.
    pub held: Option<Box<Held>>,
}

impl TargetError {
    /// It did not happen.
    pub fn not_done(cause: Cause, failure: Failure) -> Self {
        Self {
            certainty: Certainty::NotDone,
            cause,
            failure: Box::new(failure),
            held: None,
        }
    }
    /// It may have happened.
    pub fn unknown(cause: Cause, failure: Failure) -> Self {
        Self {
            certainty: Certainty::Unknown,
            cause,
            failure: Box::new(failure),
            held: None,
        }
    }
    /// Says who holds the place.
    #[must_use]
    pub fn held_by(mut self, held: Held) -> Self {
        self.held = Some(Box::new(held));
        self
    }
}

/// A platform, bound to one service in one environment.
///
/// # Cancellation
/// A future may be dropped at any await. What it had started on the target then counts as `unknown`, and what it had started on
/// this machine (a child process) must end with it.
///
/// # Retry
/// The engine repeats a verb only where the answer was `NotDone` with [`Cause::Transient`], within the operation's limit. After
/// `Unknown` it claims again, observes, and decides from what it saw.
#[async_trait]
pub trait Target: Send + Sync {
    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// Its slices, in the manifest's order.
    async fn slices(&self) -> Result<Vec<SliceSpec>, TargetError>;

    /// Takes the claim of a place by compare-and-set in the place, one above the greater of the place's and the journal's epoch.
    ///
    /// Never succeeds over another store's claim without adoption, or while a write under an older claim can still take effect.
    ///
    /// # Errors
    /// [`Cause::Held`] with [`TargetError::held`] where somebody else holds it.
    async fn claim(&self, place: &PlaceId, request: &ClaimRequest) -> Result<Claim, TargetError>;

    /// What runs now. Changes nothing. A slice that cannot be reached is an `Err` in its own [`SliceSeen::runs`] and does not
    /// fail the others.
    async fn observe(&self, slices: &[SliceName]) -> Result<Vec<SliceSeen>, TargetError>;

    /// What activating this release would change. Changes nothing.
    async fn plan(&self, slice: &SliceName, to: &Desired) -> Result<Difference, TargetError>;

    /// Uploads, runs `prepare` hooks, takes the checkpoint once and proves it readable. Never touches what serves.
    async fn prepare(&self, op: &Op, step: &Move) -> Result<Prepared, TargetError>;

    /// The first part of `activate` where a release stands up beside what serves: starts it there, and nothing that serves changes.
    /// Whoever asked looks at its health there before it goes on with `activate`. May be repeated; what `activate` finds no longer
    /// standing it stands up itself.
    async fn stand(&self, _op: &Op, _step: &Move) -> Result<Stood, TargetError> {
        Ok(Stood::InPlace)
    }

    /// Moves the slice to the release, from the expected fingerprint; arms the revert first. Never past the slice, or over a
    /// change that somebody else made ([`Cause::Overtaken`]). A slice that runs it already is left as it is, and nothing is armed
    /// anew: a request that arrives twice must not arm what was confirmed in between.
    async fn activate(&self, op: &Op, step: &Move) -> Result<Runs, TargetError>;

    /// Asks the platform whether the slice really runs this; trusts nothing that `activate` returned.
    async fn verify(&self, op: &Op, slice: &SliceName, wanted: &Runs) -> Result<SliceSeen, TargetError>;

    /// Renews an armed revert. An answer `NotDone` says that it has fired.
    async fn renew(&self, op: &Op, slice: &SliceName, arm: Duration) -> Result<(), TargetError>;

    /// Disarms the revert. Never before the commit point. The place decides against a revert at the same instant.
    async fn confirm(&self, op: &Op, slice: &SliceName) -> Result<(), TargetError>;

    /// Puts back what was there before; needs nothing but the journal and the target. Disarms.
    async fn restore(&self, op: &Op, step: &Restore) -> Result<Runs, TargetError>;

    /// Takes the slice out of service: nothing of it serves when this answers `done`, neither the release nor what ran before, and
    /// nothing brings it back by itself, also not a start of its machine. Disarms in the same step. What is kept there stays, so that
    /// `restore` can put it back and a later `activate` can move it; `observe` tells [`Runs::Nothing`]. Only where
    /// [`Abilities::stops`] says so, and only before the commit point, for a slice that failed within its service's failure budget.
    ///
    /// # Errors
    /// `NotDone` where it may still serve, whatever else was done.
    async fn stop(&self, op: &Op, step: &Stop) -> Result<Runs, TargetError> {
        let _ = op;
        let message = format!("a slice of this kind cannot be stopped by itself: {}", step.slice);
        let next = "deploy explain strategy.max_failures";
        Err(TargetError::not_done(
            Cause::Final,
            Failure::new(crate::failure::Code::RemoteFailed, message, next),
        ))
    }

    /// Cleans up in a place and releases its claim. The last write of a deployment there.
    async fn finish(&self, op: &Op, place: &PlaceId, cleanup: &Cleanup) -> Result<(), TargetError>;
}

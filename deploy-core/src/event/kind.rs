//! The kinds of events, in the order in which a deployment emits them; then the facts of environments and of the project.

use super::{AttemptReason, Driver, Request};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::gate::{Approval, Evidence, Unmet};
use crate::id::{
    Actor, Attempt, DeploymentId, EnvName, Epoch, EvidenceName, HostName, PlaceIx, ReleaseNumber,
    ServiceName, SliceIx, StoreId,
};
use crate::machine::{Ask, Outcome, Refusal, SliceSight, TurnReason};
use crate::model::{Release, ReleaseRef};
use crate::plan::Plan;
use crate::port::journal::Stream;
use crate::port::target::{Checkpoint, HealthSeen, Runs};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happened. A deployment's first two, `Requested` and `Planned`, are written by whoever makes it; all others that move it are
/// emitted by [`crate::machine::Machine::decide`] alone, in the order given here. Facts of environments and of the project are the
/// engine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    // --- a deployment: from request to start
    /// Initial event of a deployment.
    Requested {
        /// By whom and for what.
        request: Request,
    },
    /// A plan was made; a second one before activation voids approvals of the first.
    Planned {
        /// All of it.
        plan: Box<Plan>,
        /// Its digest.
        digest: Digest,
    },
    /// Gates that people or time can open do not hold. Claims are released; a waiting deployment holds neither them nor a lease.
    Waiting {
        /// All of them.
        unmet: Vec<Unmet>,
    },
    /// All gates hold for this plan.
    Gated {
        /// The plan's digest.
        plan: Digest,
    },
    // --- attempts
    /// A driver began to move it: everything is claimed anew, at a higher epoch, and observed.
    AttemptBegun {
        /// From 1.
        attempt: Attempt,
        /// Why.
        reason: AttemptReason,
        /// By whom; `None`: by the same as before.
        driver: Option<Driver>,
        /// What went wrong before it, naming its slice where it was about one: what this attempt looks into. If the deployment turns
        /// back for it, this is the reason that people read, and not what was found when it was looked at again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<Failure>,
    },
    /// A place was claimed.
    Claimed {
        /// Which.
        place: PlaceIx,
        /// The fencing token.
        epoch: Epoch,
        /// Another store's claim was taken over, as asked.
        adopted: Option<StoreId>,
    },
    /// A place could not be claimed.
    ClaimFailed {
        /// Which.
        place: PlaceIx,
        /// Why, in kind.
        refusal: Refusal,
        /// Why, for people.
        failure: Failure,
    },
    /// All slices were looked at under our claims.
    Surveyed {
        /// What was seen, for the machine.
        seen: Vec<SliceSight>,
        /// What runs, by slice.
        runs: Vec<Option<Runs>>,
    },
    /// Under our claims, something other than what the plan says runs: the claims are given back, and it is planned again.
    PlanOutdated,
    // --- preparing
    /// A slice is prepared; its unit has its checkpoint.
    SlicePrepared {
        /// Which.
        slice: SliceIx,
        /// The unit's checkpoint, as first taken.
        checkpoint: Checkpoint,
        /// What it will run.
        will_be: Runs,
        /// Whether activating it would change anything.
        changes: bool,
        /// What people should know of how it was done: its artifact was gone and made again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Everything is prepared: from here no effect needs the sources, the artifacts or a secret that is not on the target.
    AllPrepared,
    // --- activating
    /// All gates held again, in this very transaction; from here only forward to the commit point, or back.
    ActivationBegun {
        /// When it must have committed.
        due: Timestamp,
    },
    /// These slices are about to be moved: the intent, before any of the effects.
    BatchIntended {
        /// Which.
        slices: Vec<SliceIx>,
    },
    /// The target says it moved a slice. Not yet believed.
    SliceActivated {
        /// Which.
        slice: SliceIx,
        /// What it runs now.
        runs: Runs,
        /// Whether a revert is armed.
        armed: bool,
    },
    /// The platform says the slice runs the release, and it was healthy for its window.
    SliceVerified {
        /// Which.
        slice: SliceIx,
        /// Health, as far as anybody looked: unknown where only the platform was asked.
        #[serde(default)]
        health: HealthSeen,
        /// What was seen: `healthy 10s`.
        note: String,
    },
    /// A step on a slice failed.
    SliceFailed {
        /// Which.
        slice: SliceIx,
        /// At which step.
        step: crate::machine::Verb,
        /// How, in kind.
        how: crate::machine::Failed,
        /// Why, for people.
        failure: Failure,
    },
    /// A slice that failed is about to be stopped and left out: its service's failure budget allows it.
    ExclusionIntended {
        /// Which.
        slice: SliceIx,
    },
    /// A slice was stopped, disarmed, and seen not to serve: the deployment goes on without it.
    SliceExcluded {
        /// Which.
        slice: SliceIx,
        /// What was seen: `stopped: nothing answers`.
        note: String,
    },
    /// The commit point: every slice is verified, or excluded, and a last look under our claim found all of it so.
    Committed,
    /// A slice's revert is disarmed.
    SliceConfirmed {
        /// Which.
        slice: SliceIx,
    },
    /// Watching goes on for a while.
    BakeBegun {
        /// Until when at the earliest.
        until: Timestamp,
    },
    /// Nothing broke while baking.
    Baked,
    /// Pruning, removing and releasing begin: nothing turns back any more.
    FinishBegun,
    /// A place is cleaned up and its claim released.
    PlaceFinished {
        /// Which.
        place: PlaceIx,
        /// What could not be cleaned up; the deployment does not fail for it.
        warning: Option<Failure>,
    },
    // --- back
    /// Final: from here nothing goes forward.
    TurnedBack {
        /// Why, in kind.
        reason: TurnReason,
        /// Why, for people.
        failure: Option<Failure>,
        /// When going back gives up waiting for what cannot be reached.
        due: Timestamp,
    },
    /// Everything stays as it is, disarmed, for a human: a service with `on_failure = "hold"` failed, somebody else changed a slice
    /// after the commit point, or going back cannot go on (what it would put back next is needed by what cannot be observed).
    HeldBack {
        /// Why.
        failure: Failure,
    },
    /// These slices are about to be put back.
    RestoreIntended {
        /// Which.
        slices: Vec<SliceIx>,
    },
    /// The target says a slice is back.
    SliceRestored {
        /// Which.
        slice: SliceIx,
        /// What it runs now.
        runs: Runs,
    },
    /// The slice runs what it did before, no less healthy than then.
    SliceBack {
        /// Which.
        slice: SliceIx,
        /// Health, as far as anybody looked: unknown where only the platform was asked.
        #[serde(default)]
        health: HealthSeen,
        /// What was seen.
        note: String,
    },
    /// Every slice is where going back wants it, one by one: the last look at all of them begins.
    AllBack {
        /// When it must have ended.
        due: Timestamp,
    },
    /// What a slice runs could not be learned in time.
    SliceUnknown {
        /// Which.
        slice: SliceIx,
        /// Why, for people.
        failure: Failure,
    },
    /// Somebody else changed what a slice runs: neither overwritten nor adopted.
    SliceOvertaken {
        /// Which.
        slice: SliceIx,
    },
    // --- asks
    /// Somebody asked something of a running deployment, and it was accepted.
    AskAccepted {
        /// What.
        ask: Ask,
    },
    /// The time to the commit point counts anew: a pause has ended.
    DeadlineMoved {
        /// When it must have committed.
        due: Timestamp,
    },
    /// The claims are being released before this end.
    Closing {
        /// The end to come.
        outcome: Outcome,
        /// Why, for people.
        failure: Option<Failure>,
        /// Gates that do not hold, where that is why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unmet: Vec<Unmet>,
    },
    /// A claim was released (or could not be: then the next deployment takes it from this ended one).
    PlaceReleased {
        /// Which.
        place: PlaceIx,
        /// Why not, where it was not.
        warning: Option<Failure>,
    },
    /// Terminal: no event of this deployment follows.
    Ended {
        /// How.
        outcome: Outcome,
        /// Slices that are not where they should be; what they run and why is in the events before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        strays: Vec<SliceIx>,
        /// The deployment that superseded it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<DeploymentId>,
    },

    // --- facts of an environment
    /// A person said yes to a plan.
    ApprovalGiven {
        /// What and who.
        approval: Approval,
    },
    /// A person said no: vetoes the deployment.
    ApprovalRejected {
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// The line was stopped.
    FrozenByHand {
        /// Why.
        reason: String,
    },
    /// The line was opened again.
    Unfrozen,
    /// Automatic promotion was stopped after a failed verdict or a rollback.
    AutomaticPromotionFrozen {
        /// Why.
        reason: String,
    },
    /// The rules in force changed.
    RulesChanged {
        /// The digest of the rules now in force.
        rules: Digest,
        /// The rules themselves: the next change is compared with them.
        in_force: Box<crate::gate::Rules>,
        /// Whether any of them is looser.
        loosened: bool,
        /// What changed, one line each.
        lines: Vec<String>,
    },
    /// A version of the environment's configuration, as it was when a deployment was planned with it: whoever takes that deployment
    /// up works with this one, whatever lies in the checkout by then. References to secrets, never their values.
    ConfigurationKept {
        /// Its digest, as in the plan.
        config: Digest,
        /// All of it: [`crate::manifest::Environment`] as JSON.
        configuration: serde_json::Value,
    },
    /// Somebody looked at the release that runs: at every slice, with every probe. A stay counts between two of these that found it
    /// healthy. Not every look is written down, only one that a stay turns on: health changed, or a soak is still short.
    LookedAt {
        /// Which release runs.
        release: ReleaseRef,
        /// What was found, the worst of all slices.
        health: HealthSeen,
        /// What was seen, where it is not well: `web host-1: ready: 503`.
        note: String,
        /// Since when all of it has been healthy without a break, where every platform proves that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unbroken_since: Option<Timestamp>,
    },
    /// A host key was pinned.
    HostTrusted {
        /// Which host.
        host: HostName,
        /// The key's fingerprint.
        fingerprint: String,
        /// The fingerprints of the keys that were pinned before and are not any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaced: Vec<String>,
    },
    /// Hosts were prepared for deployments.
    HostsPrepared {
        /// What was done on each: not what was there already.
        done: BTreeMap<HostName, Vec<String>>,
    },
    /// Somebody runs a command by hand. Written before it begins anywhere.
    CommandBegun {
        /// As typed, without what its hosts know as a secret.
        command: String,
        /// In whose folder and with whose variables.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<ServiceName>,
        /// Where.
        hosts: Vec<HostName>,
    },
    /// It ended.
    CommandEnded {
        /// When it began: as its first event says.
        began: Timestamp,
        /// How, on each host: `status 0`, `took too long`, or why it is not known.
        ended: BTreeMap<HostName, String>,
    },

    // --- facts of the project
    /// The state was made.
    StateCreated {
        /// Its id.
        store: StoreId,
        /// The project.
        project: crate::id::ProjectName,
    },
    /// A release was made.
    ReleaseMade {
        /// All of it.
        release: Box<Release>,
    },
    /// The same content came from another commit: a further provenance.
    SourceAdded {
        /// Which release.
        release: ReleaseNumber,
        /// The commit.
        source: crate::model::Source,
        /// The version, where the commit has a tag.
        version: Option<String>,
    },
    /// A release is barred.
    Yanked {
        /// Which.
        release: ReleaseRef,
        /// Why.
        reason: String,
    },
    /// It is not barred any more.
    Unyanked {
        /// Which.
        release: ReleaseRef,
    },
    /// Evidence came in. In an environment's stream where it holds there, else in the project's.
    EvidenceGiven {
        /// What was found.
        evidence: Evidence,
    },
    /// Evidence does not count any more.
    EvidenceRevoked {
        /// Of which kind.
        name: EvidenceName,
        /// About which release.
        release: ReleaseRef,
        /// Why.
        reason: String,
    },
    /// An event of a newer version. Readers show it as such; the folds that decide refuse it.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// Whether it is one of a deployment's own, which [`crate::machine::Machine::decide`] emits, and not a fact that somebody added.
    /// One of a newer version is taken for its deployment's, so that the fold which decides refuses it.
    pub fn drives(&self) -> bool {
        match self {
            Self::Requested { .. }
            | Self::Planned { .. }
            | Self::Waiting { .. }
            | Self::Gated { .. }
            | Self::AttemptBegun { .. }
            | Self::Claimed { .. }
            | Self::ClaimFailed { .. }
            | Self::Surveyed { .. }
            | Self::PlanOutdated
            | Self::SlicePrepared { .. }
            | Self::AllPrepared
            | Self::ActivationBegun { .. }
            | Self::BatchIntended { .. }
            | Self::SliceActivated { .. }
            | Self::SliceVerified { .. }
            | Self::SliceFailed { .. }
            | Self::ExclusionIntended { .. }
            | Self::SliceExcluded { .. }
            | Self::Committed
            | Self::SliceConfirmed { .. }
            | Self::BakeBegun { .. }
            | Self::Baked
            | Self::FinishBegun
            | Self::PlaceFinished { .. }
            | Self::TurnedBack { .. }
            | Self::HeldBack { .. }
            | Self::RestoreIntended { .. }
            | Self::SliceRestored { .. }
            | Self::SliceBack { .. }
            | Self::AllBack { .. }
            | Self::SliceUnknown { .. }
            | Self::SliceOvertaken { .. }
            | Self::AskAccepted { .. }
            | Self::DeadlineMoved { .. }
            | Self::Closing { .. }
            | Self::PlaceReleased { .. }
            | Self::Ended { .. }
            | Self::Unknown => true,
            Self::ApprovalGiven { .. }
            | Self::ApprovalRejected { .. }
            | Self::FrozenByHand { .. }
            | Self::Unfrozen
            | Self::AutomaticPromotionFrozen { .. }
            | Self::RulesChanged { .. }
            | Self::ConfigurationKept { .. }
            | Self::LookedAt { .. }
            | Self::HostTrusted { .. }
            | Self::HostsPrepared { .. }
            | Self::CommandBegun { .. }
            | Self::CommandEnded { .. }
            | Self::StateCreated { .. }
            | Self::ReleaseMade { .. }
            | Self::SourceAdded { .. }
            | Self::Yanked { .. }
            | Self::Unyanked { .. }
            | Self::EvidenceGiven { .. }
            | Self::EvidenceRevoked { .. } => false,
        }
    }

    /// Whether it belongs into the project's stream; else into its environment's. Evidence does where it holds everywhere, what
    /// revokes evidence where that was given, which it does not say. One of a newer version is taken for an environment's.
    pub fn belongs_to_project(&self) -> bool {
        match self {
            Self::StateCreated { .. }
            | Self::ReleaseMade { .. }
            | Self::SourceAdded { .. }
            | Self::Yanked { .. }
            | Self::Unyanked { .. } => true,
            Self::EvidenceGiven { evidence } => evidence.environment.is_none(),
            Self::Requested { .. }
            | Self::Planned { .. }
            | Self::Waiting { .. }
            | Self::Gated { .. }
            | Self::AttemptBegun { .. }
            | Self::Claimed { .. }
            | Self::ClaimFailed { .. }
            | Self::Surveyed { .. }
            | Self::PlanOutdated
            | Self::SlicePrepared { .. }
            | Self::AllPrepared
            | Self::ActivationBegun { .. }
            | Self::BatchIntended { .. }
            | Self::SliceActivated { .. }
            | Self::SliceVerified { .. }
            | Self::SliceFailed { .. }
            | Self::Committed
            | Self::SliceConfirmed { .. }
            | Self::BakeBegun { .. }
            | Self::Baked
            | Self::FinishBegun
            | Self::PlaceFinished { .. }
            | Self::TurnedBack { .. }
            | Self::HeldBack { .. }
            | Self::RestoreIntended { .. }
            | Self::SliceRestored { .. }
            | Self::ExclusionIntended { .. }
            | Self::SliceExcluded { .. }
            | Self::SliceBack { .. }
            | Self::AllBack { .. }
            | Self::SliceUnknown { .. }
            | Self::SliceOvertaken { .. }
            | Self::AskAccepted { .. }
            | Self::DeadlineMoved { .. }
            | Self::Closing { .. }
            | Self::PlaceReleased { .. }
            | Self::Ended { .. }
            | Self::ApprovalGiven { .. }
            | Self::ApprovalRejected { .. }
            | Self::FrozenByHand { .. }
            | Self::Unfrozen
            | Self::AutomaticPromotionFrozen { .. }
            | Self::RulesChanged { .. }
            | Self::ConfigurationKept { .. }
            | Self::LookedAt { .. }
            | Self::HostTrusted { .. }
            | Self::HostsPrepared { .. }
            | Self::CommandBegun { .. }
            | Self::CommandEnded { .. }
            | Self::EvidenceRevoked { .. }
            | Self::Unknown => false,
        }
    }

    /// The environment of its stream.
    pub fn environment_of(stream: &Stream) -> Option<EnvName> {
        match stream {
            Stream::Project => None,
            Stream::Environment(name) => Some(name.clone()),
        }
    }
}

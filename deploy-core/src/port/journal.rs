//! The port to the state: streams of events, leases and the inbox. One transaction writes what must be true together.
//!
//! A stream is an environment's, or the project's (releases, evidence that holds everywhere, barred releases). Sequence numbers
//! rise by one within a stream; each event carries the hash of the one before it.

use crate::event::{Draft, Recorded};
use crate::id::{Actor, DeploymentId, EnvName, InboxSeq, Seq, StoreId};
use crate::time::Timestamp;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Which stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Facts about the whole project.
    Project,
    /// One environment's.
    Environment(EnvName),
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project => f.write_str("project"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// Proof of holding the lease of an environment; checked in the append's transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseToken {
    /// Whose.
    pub environment: EnvName,
    /// Rises with every change of holder.
    pub term: u64,
}

/// What else must still be so when the events are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// These streams have no event after these.
    pub unchanged: Vec<(Stream, Seq)>,
    /// The environment's inbox has no unanswered message after this.
    pub inbox_read: Option<InboxSeq>,
}

/// An append.
#[derive(Debug, Clone)]
pub struct Append {
    /// Where.
    pub stream: Stream,
    /// The last event that the caller has seen; 0 for an empty stream.
    pub expected: Seq,
    /// Needed for events that drive a deployment; facts (approvals, evidence) need none.
    pub lease: Option<LeaseToken>,
    /// What else must hold.
    pub condition: Condition,
    /// What to write.
    pub events: Vec<Draft>,
    /// Messages that these events answer; removed in the same transaction.
    pub answers: Vec<InboxSeq>,
}

/// A message from somebody who does not hold the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its place.
    pub seq: InboxSeq,
    /// When it was left.
    pub at: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// About which deployment.
    pub deployment: DeploymentId,
    /// What.
    pub ask: crate::machine::Ask,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Somebody else has written: load and decide again.
    #[error("{stream} has moved on: its last event is {last}")]
    Moved {
        /// Which stream.
        stream: Stream,
        /// Its last event.
        last: Seq,
    },
    /// A message has come in: read it and decide again.
    #[error("a request came in")]
    InboxNotEmpty,
    /// The lease is another's.
    #[error("the lease on {0} was taken over")]
    LeaseLost(EnvName),
    /// The disk is full or failing, or the state is read-only.
    #[error("could not write the state")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It could not be read.
    #[error("could not read the state")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored row is not what was written.
    #[error("{stream}: event {seq} is damaged: {what}")]
    Corrupt {
        /// Which stream.
        stream: Stream,
        /// The first bad row.
        seq: Seq,
        /// What does not fit.
        what: String,
    },
}

/// Who holds the lease of an environment, for whoever is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHolder {
    /// `alice@laptop (pid 4711)`.
    pub who: String,
    /// Since when, by its clock.
    pub since: Timestamp,
    /// The deployment it drives.
    pub deployment: Option<DeploymentId>,
    /// What it is doing.
    pub step: String,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else holds it.
    #[error("{} holds {environment}", .holder.who)]
    Held {
        /// The environment.
        environment: EnvName,
        /// Who.
        holder: Box<LeaseHolder>,
    },
    /// The state failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// How long somebody who wants a lease waits for one that another holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Not at all, unless its process is known to be gone.
    None,
    /// As long as the holder is silent and not known to run: refused at its first sign of life, taken after a whole silent term.
    WhileSilent,
    /// So long, also for a live holder to finish; a holder that is silent for a whole term is taken from within it.
    For(Duration),
}

/// The state.
///
/// # Cancellation
/// Dropping a future leaves the transaction either whole or not begun; which of both the caller does not learn, so it loads again.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Made when the state was.
    fn store(&self) -> &StoreId;

    /// Writes all or nothing, flushed to the disk when this returns.
    async fn append(&self, append: Append) -> Result<Vec<Recorded>, JournalError>;

    /// All events of a stream after `after`, checked against the hash chain.
    async fn load(&self, stream: &Stream, after: Seq) -> Result<Vec<Recorded>, JournalError>;

    /// The events of one deployment, in order.
    async fn deployment(&self, id: &DeploymentId) -> Result<Vec<Recorded>, JournalError>;

    /// The streams that exist.
    async fn streams(&self) -> Result<Vec<Stream>, JournalError>;

    /// Takes the lease of an environment. A live holder's is refused at once; one that looks dead is watched for a whole term on
    /// this process's monotonic clock before it is taken. A holder on this machine whose process is gone is taken at once.
    async fn take_lease(
        &self,
        environment: &EnvName,
        holder: &LeaseHolder,
    ) -> Result<LeaseToken, LeaseError> {
        self.take_lease_waiting(environment, holder, Patience::WhileSilent)
            .await
    }

    /// Takes the lease of an environment, and waits for it as `patience` says. May be dropped while it waits.
    async fn take_lease_waiting(
        &self,
        environment: &EnvName,
        holder: &LeaseHolder,
        patience: Patience,
    ) -> Result<LeaseToken, LeaseError>;

    /// Says that the holder is alive, and at which step.
    async fn renew_lease(&self, token: &LeaseToken, step: &str) -> Result<(), LeaseError>;

    /// Gives it back.
    async fn release_lease(&self, token: &LeaseToken) -> Result<(), JournalError>;

    /// Who holds it now: nobody where it was given back, or where its process is known to be gone.
    async fn lease_holder(&self, environment: &EnvName) -> Result<Option<LeaseHolder>, JournalError>;

    /// Leaves a message for whoever drives a deployment.
    async fn send(
        &self,
        environment: &EnvName,
        actor: &Actor,
        deployment: &DeploymentId,
        ask: crate::machine::Ask,
    ) -> Result<InboxSeq, JournalError>;

    /// Unanswered messages of an environment, oldest first.
    async fn inbox(&self, environment: &EnvName) -> Result<Vec<Message>, JournalError>;
}

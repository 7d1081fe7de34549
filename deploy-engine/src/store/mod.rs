//! The state: events in hash-chained streams, leases, the inbox. [`SqliteJournal`] keeps it in a file, [`MemoryJournal`] in memory
//! for tests; both answer the core's port [`Journal`] and the engine's own wishes, [`Store`]. Nothing here knows what an event
//! means.

mod chain;
mod error;
mod feed;
mod holder;
mod lease;
mod memory;
mod open;
mod process;
mod sql;
mod sqlite;
mod worker;

#[cfg(test)]
mod tests;

pub use chain::{Row, Unstorable};
pub use error::{StoreError, journal_failure, lease_failure};
pub use feed::{Scope, Subscription, subscribe};
pub use holder::Holder;
pub use lease::{RENEW, TERM};
pub use memory::MemoryJournal;
pub use open::{Create, FORM};
pub use sqlite::{OpenOptions, SqliteJournal};

use async_trait::async_trait;
use deploy_core::event::Recorded;
use deploy_core::id::{DeploymentId, Seq};
use deploy_core::port::journal::{Journal, JournalError, Stream};

/// The failpoints of the store, for sweeps: each is hit by a run that makes a state, takes, renews and gives back a lease, sends
/// a message and appends.
pub const FAILPOINTS: &[&str] = &[
    "store.create.before",
    "store.create.file",
    "store.create.commit",
    "store.create.after",
    "store.append.before",
    "store.append.commit",
    "store.append.after",
    "store.lease.take.before",
    "store.lease.take.after",
    "store.lease.renew.before",
    "store.lease.renew.after",
    "store.lease.release.before",
    "store.lease.release.after",
    "store.inbox.before",
    "store.inbox.after",
];

/// A moment in the life of a store, for [`Store::changed`]. Means something to the store that gave it, and only until it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// Before everything.
    pub const START: Self = Self(0);
}

/// What the engine and its frontends need of a store beyond the core's port.
#[async_trait]
pub trait Store: Journal {
    /// Returns once something was written after `since`, by whatever process; at once for [`Mark::START`]. May return when nothing
    /// that concerns the caller has changed.
    async fn changed(&self, since: Mark) -> Result<Mark, JournalError>;

    /// The last event of a stream; 0 where there is none.
    async fn head(&self, stream: &Stream) -> Result<Seq, JournalError>;

    /// The events of a stream that belong to no deployment, in order. Each is checked by itself, not against its neighbours.
    async fn facts(&self, stream: &Stream) -> Result<Vec<Recorded>, JournalError>;

    /// Deployments that began in a stream, newest first, those older than `before`. Costs by `limit`, not by the journal's length.
    async fn deployments(
        &self,
        stream: &Stream,
        before: Option<&DeploymentId>,
        limit: usize,
    ) -> Result<Vec<DeploymentId>, JournalError>;

    /// Checks every row of every stream; answers how many there are.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] with the first bad row.
    async fn verify_chain(&self) -> Result<u64, JournalError>;

    /// Rows as they are stored, unchecked, at most `limit`: for `audit export`.
    async fn export(&self, stream: &Stream, after: Seq, limit: usize) -> Result<Vec<Row>, JournalError>;
}

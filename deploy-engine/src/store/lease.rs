//! Taking a lease: when it may be taken from another, and the watching that comes before. The rows are the stores'.
//!
//! A lease is taken from a holder that gave it back, whose process is known to be gone, or that was silent: its beat stood
//! still for a whole term while we watched, on our own clock. That clock is the runtime's, which stands while this machine is
//! suspended, and a stretch in which we did not look counts no longer than a look: a watcher that slept has watched nothing.
//! Taking raises the term, and every append compares it, so a holder that was only asleep can write nothing any more.

use super::process::{Life, Process};
use async_trait::async_trait;
use deploy_core::id::EnvName;
use deploy_core::port::journal::{JournalError, LeaseError, LeaseHolder, LeaseToken, Patience};
use std::time::Duration;
use tokio::time::Instant;

/// How long a holder must have been silent before its lease is taken.
pub const TERM: Duration = Duration::from_secs(15);
/// How often a holder should renew.
pub const RENEW: Duration = Duration::from_secs(2);

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) holder: LeaseHolder,
    pub(super) process: Process,
}

/// The lease of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LeaseRow {
    /// Rises with every change of holder; 0 before the first.
    pub(super) term: u64,
    /// Rises with every sign of life.
    pub(super) beat: u64,
    /// `None` once it was given back.
    pub(super) held: Option<Held>,
}

impl LeaseRow {
    /// Whether it is free, its holder gone, or this very beat the one that was watched for a term.
    pub(super) fn may_be_taken(&self, me: &Process, silent: Option<(u64, u64)>) -> bool {
        silent == Some((self.term, self.beat)) || self.life(me) == Life::Gone
    }

    fn life(&self, me: &Process) -> Life {
        self.held
            .as_ref()
            .map_or(Life::Gone, |held| held.process.life(me))
    }

    /// Who holds it, unless its process is known to be gone.
    pub(super) fn holder(self, me: &Process) -> Option<LeaseHolder> {
        let gone = self.life(me) == Life::Gone;
        self.held.filter(|_| !gone).map(|held| held.holder)
    }

    fn refusal(self, environment: &EnvName) -> Option<LeaseError> {
        self.held.map(|held| LeaseError::Held {
            environment: environment.clone(),
            holder: Box::new(held.holder),
        })
    }
}

/// What came of one attempt.
pub(super) enum Attempt {
    Taken(LeaseToken),
    Held(LeaseRow),
}

/// What watching needs of a store.
#[async_trait]
pub(super) trait Leases: Send + Sync {
    /// Reads the row.
    async fn look(&self, environment: &EnvName) -> Result<LeaseRow, JournalError>;
    /// Takes it if [`LeaseRow::may_be_taken`], in one transaction.
    async fn attempt(
        &self,
        environment: &EnvName,
        holder: &LeaseHolder,
        silent: Option<(u64, u64)>,
    ) -> Result<Attempt, JournalError>;
    /// Who we are.
    fn me(&self) -> &Process;
    /// How long silence must last.
    fn term(&self) -> Duration;
}

/// Takes the lease as [`Patience`] says.
pub(super) async fn take(
    leases: &impl Leases,
    environment: &EnvName,
    holder: &LeaseHolder,
    patience: Patience,
) -> Result<LeaseToken, LeaseError> {
    let mut row = match leases.attempt(environment, holder, None).await? {
        Attempt::Taken(token) => return Ok(token),
        Attempt::Held(row) => row,
    };
    let wait = match patience {
        Patience::None => Some(Duration::ZERO),
        Patience::WhileSilent if row.life(leases.me()) == Life::Runs => Some(Duration::ZERO),
        Patience::WhileSilent => None,
        Patience::For(wait) => Some(wait),
    };
    let look = (leases.term() / 50).clamp(Duration::from_millis(2), Duration::from_millis(100));
    let begun = Instant::now();
    let mut looked = begun;
    let mut silence = Duration::ZERO;
    loop {
        let left = wait.map_or(look, |wait| wait.saturating_sub(begun.elapsed()));
        if left.is_zero()
            && let Some(refusal) = row.clone().refusal(environment)
        {
            return Err(refusal);
        }
        tokio::time::sleep(look.min(left)).await;
        let now = leases.look(environment).await?;
        if (now.term, now.beat) == (row.term, row.beat) {
            silence += looked.elapsed().min(2 * look);
        } else {
            silence = Duration::ZERO;
            if patience == Patience::WhileSilent
                && let Some(refusal) = now.clone().refusal(environment)
            {
                return Err(refusal);
            }
        }
        looked = Instant::now();
        row = now;
        let silent = (silence >= leases.term()).then_some((row.term, row.beat));
        if row.may_be_taken(leases.me(), silent) {
            match leases.attempt(environment, holder, silent).await? {
                Attempt::Taken(token) => return Ok(token),
                Attempt::Held(now) => {
                    silence = Duration::ZERO;
                    row = now;
                }
            }
        }
    }
}

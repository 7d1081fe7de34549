//! Many hosts at once, within bounds: how many connections are being made, how many steps run, and how long to leave a server alone
//! that takes nobody just now.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Connections being made at once. Each is a process here and most of its time is arithmetic; a server that stands before many
/// others drops some of those that are not through with it yet, from 10 at once on.
const CONNECTING: usize = 32;
/// Steps at once over all connections. Each holds four open files, and the usual limit is 1024.
const STEPS: usize = 128;
/// Shells that stay between steps. Each holds four open files for as long as it is there.
const STANDING: usize = 64;

/// What all hosts of a process share.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) connecting: Semaphore,
    pub(crate) steps: Semaphore,
    pub(crate) standing: Arc<Semaphore>,
    /// How many hosts there are: one alone is no crowd, and is not asked again by itself.
    pub(crate) hosts: AtomicUsize,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            connecting: Semaphore::new(CONNECTING),
            steps: Semaphore::new(STEPS),
            standing: Arc::new(Semaphore::new(STANDING)),
            hosts: AtomicUsize::new(0),
        }
    }
}

/// Longer and longer pauses up to an end, no two callers' alike: those that were dropped together do not come back together.
pub(crate) struct Pauses {
    next: Duration,
    end: Instant,
}

impl Pauses {
    pub(crate) fn within(limit: Duration) -> Self {
        Self {
            next: Duration::from_millis(50),
            end: Instant::now() + limit,
        }
    }

    /// Waits; `false` at once if there is no time left for it.
    pub(crate) async fn pause(&mut self) -> bool {
        let chance = RandomState::new().hash_one(()) % 1000;
        let pause = self.next
            + self
                .next
                .mul_f64(f64::from(u32::try_from(chance).unwrap_or(0)) / 1000.0);
        if Instant::now() + pause > self.end {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.next = (self.next * 2).min(Duration::from_secs(2));
        true
    }
}

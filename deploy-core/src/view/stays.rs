//! Which releases were verified in an environment, since when each has been healthy there, and the order to go back in.

use crate::digest::Digest;
use crate::model::ReleaseRef;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many steps back are remembered; more than any target keeps releases for.
const DEPTH: usize = 256;

/// The releases that were verified here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stays {
    verified: BTreeMap<Digest, Stay>,
    /// What ran here in turn, each verified; the last is what runs or ran last. A rollback takes off what it goes back behind.
    stack: Vec<ReleaseRef>,
}

/// A release that was verified here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// When it was last verified.
    pub verified_at: Timestamp,
    /// Since when it has been healthy and verified without a break, as long as that lasts.
    pub since: Option<Timestamp>,
    /// The longest of the stays that are over. Nothing, once evidence was revoked.
    pub longest: Duration,
    /// Why it does not count any more, and since when.
    pub revoked: Option<(Timestamp, String)>,
}

impl Stay {
    /// How long it has been healthy here, at its best.
    pub fn length(&self, now: Timestamp) -> Duration {
        let current = self.since.map_or(Duration::ZERO, |since| now.since(since));
        self.longest.max(current)
    }

    fn break_off(&mut self, at: Timestamp) {
        if let Some(since) = self.since.take() {
            self.longest = self.longest.max(at.since(since));
        }
    }
}

impl Stays {
    /// The release was verified: its stay begins, unless it is going on.
    pub(super) fn verified(&mut self, release: Digest, at: Timestamp) {
        match self.verified.get_mut(&release) {
            Some(stay) => {
                if stay.revoked.take().is_some() {
                    stay.since = None;
                    stay.longest = Duration::ZERO;
                }
                stay.verified_at = stay.verified_at.max(at);
                stay.since.get_or_insert(at);
            }
            None => {
                self.verified.insert(
                    release,
                    Stay {
                        verified_at: at,
                        since: Some(at),
                        longest: Duration::ZERO,
                        revoked: None,
                    },
                );
            }
        }
    }

    /// It does not count any more, nor does how long it was healthy.
    pub(super) fn revoke(&mut self, release: Digest, at: Timestamp, reason: &str) {
        if let Some(stay) = self.verified.get_mut(&release) {
            stay.since = None;
            stay.longest = Duration::ZERO;
            stay.revoked = Some((at, reason.to_owned()));
        }
    }

    /// What runs is being changed: every stay that goes on is over.
    pub(super) fn disturbed(&mut self, at: Timestamp) {
        for stay in self.verified.values_mut() {
            stay.break_off(at);
        }
    }

    /// What ran before runs again, verified: its stay begins anew, if it still counts.
    pub(super) fn resumed(&mut self, release: Digest, at: Timestamp) {
        if let Some(stay) = self
            .verified
            .get_mut(&release)
            .filter(|stay| stay.revoked.is_none())
        {
            stay.since = Some(at);
        }
    }

    /// The environment has moved forward to a release.
    pub(super) fn push(&mut self, release: ReleaseRef) {
        if self.stack.last() != Some(&release) {
            self.stack.push(release);
            if self.stack.len() > DEPTH {
                self.stack.remove(0);
            }
        }
    }

    /// The environment goes back to a release: what came after it is no place to go back to.
    pub(super) fn pop_to(&mut self, release: ReleaseRef) {
        // What runs now is on top; a release that ran more than once is met nearest the top, below it.
        let below = self.stack.len().saturating_sub(1);
        let found = self.stack[..below].iter().rposition(|past| *past == release);
        match found {
            Some(at) => self.stack.truncate(at + 1),
            None if self.stack.last() == Some(&release) => {}
            None => self.stack.push(release),
        }
    }

    /// A release that was verified here, whether or not that still counts.
    pub fn get(&self, release: Digest) -> Option<&Stay> {
        self.verified.get(&release)
    }

    /// The release's stay, if it counts.
    pub fn counting(&self, release: Digest) -> Option<&Stay> {
        self.get(release).filter(|stay| stay.revoked.is_none())
    }

    /// What ran here in turn; the last is what runs or ran last.
    pub fn in_turn(&self) -> &[ReleaseRef] {
        &self.stack
    }

    /// All that were verified here.
    pub fn all(&self) -> &BTreeMap<Digest, Stay> {
        &self.verified
    }
}

//! Which releases were verified in an environment, since when each has been healthy there, and the order to go back in.
//!
//! A stay counts between two looks that found the release healthy; being verified is the first. A look that found it unwell starts it
//! again. What nobody looked at after the last healthy look does not count.

use super::look::Look;
use crate::digest::Digest;
use crate::model::ReleaseRef;
use crate::port::target::HealthSeen;
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
    /// Since when it has been healthy and verified, as long as no look found otherwise and it runs.
    pub since: Option<Timestamp>,
    /// The last look that found it healthy, of the stay that goes on.
    #[serde(default)]
    pub seen: Option<Timestamp>,
    /// Whether the platform proved at the last look that nothing broke in between; else nobody knows what was between two looks.
    #[serde(default)]
    pub proven: bool,
    /// When it was found unwell, and what was seen: until it is found healthy again, or replaced.
    #[serde(default)]
    pub unwell: Option<(Timestamp, String)>,
    /// The longest of the stays that are over. Nothing, once evidence was revoked.
    pub longest: Duration,
    /// Why it does not count any more, and since when.
    pub revoked: Option<(Timestamp, String)>,
}

impl Stay {
    /// How long it was healthy here by the looks that were written down, at its best.
    pub fn looked_at_for(&self) -> Duration {
        self.seen
            .map_or(self.longest, |seen| self.longest.max(self.length(seen)))
    }

    /// How long it has been healthy here, at its best, if a look at that time found or finds it healthy. Whoever asks for the present
    /// looks first.
    pub fn length(&self, now: Timestamp) -> Duration {
        let current = self.since.map_or(Duration::ZERO, |since| now.since(since));
        self.longest.max(current)
    }

    /// It runs there no more, or may not: what was seen of it counts.
    fn break_off(&mut self) {
        self.longest = self.looked_at_for();
        self.since = None;
        self.seen = None;
        self.unwell = None;
    }

    /// It is healthy and verified from now on, unless it was already.
    fn begin(&mut self, at: Timestamp) {
        self.since.get_or_insert(at);
        self.seen = self.seen.max(Some(at));
        self.unwell = None;
    }

    fn start_again(&mut self) {
        self.since = None;
        self.seen = None;
        self.proven = false;
        self.longest = Duration::ZERO;
    }

    /// Whether a look changes what is known: how it is found, what the platform proves, or how long it was healthy, as long as that
    /// is shorter than what is wanted.
    fn turns_on(&self, look: &Look<'_>, wanted: Duration) -> bool {
        match look.health {
            HealthSeen::Healthy => {
                self.since.is_none()
                    || self.looked_at_for() < wanted
                    || self.proven != look.unbroken_since.is_some()
                    || look.unbroken_since > self.since
            }
            HealthSeen::Unhealthy | HealthSeen::Stopped => self.unwell.is_none(),
            HealthSeen::Unknown => false,
        }
    }

    fn looked_at(&mut self, look: &Look<'_>) {
        match look.health {
            HealthSeen::Healthy => {
                self.begin(look.at);
                self.proven = look.unbroken_since.is_some();
                let unbroken = look.unbroken_since.map(|from| from.min(look.at));
                if unbroken > self.since {
                    // It broke after the last look, and the platform saw it.
                    self.longest = Duration::ZERO;
                    self.since = unbroken;
                }
            }
            HealthSeen::Unhealthy | HealthSeen::Stopped => {
                self.start_again();
                self.unwell = Some((look.at, look.note.to_owned()));
            }
            // Nothing was learned: what was seen before still stands.
            HealthSeen::Unknown => {}
        }
    }
}

impl Stays {
    /// The release was verified: its stay begins, unless it is going on.
    pub(super) fn verified(&mut self, release: Digest, at: Timestamp) {
        match self.verified.get_mut(&release) {
            Some(stay) => {
                if stay.revoked.take().is_some() {
                    stay.start_again();
                }
                stay.verified_at = stay.verified_at.max(at);
                stay.begin(at);
            }
            None => {
                self.verified.insert(
                    release,
                    Stay {
                        verified_at: at,
                        since: Some(at),
                        seen: Some(at),
                        proven: false,
                        unwell: None,
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
            stay.start_again();
            stay.unwell = None;
            stay.revoked = Some((at, reason.to_owned()));
        }
    }

    /// What runs is being changed: every stay that goes on is over.
    pub(super) fn disturbed(&mut self) {
        for stay in self.verified.values_mut() {
            stay.break_off();
        }
    }

    /// Somebody looked at the release that runs.
    pub(super) fn looked_at(&mut self, release: Digest, look: &Look<'_>) {
        let counting = self.verified.get_mut(&release);
        if let Some(stay) = counting.filter(|stay| stay.revoked.is_none()) {
            stay.looked_at(look);
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
            stay.seen = stay.seen.max(Some(at));
            stay.unwell = None;
        }
    }

    /// Whether a look changes what is known of a stay that counts.
    pub(super) fn turns_on(&self, release: Digest, look: &Look<'_>, wanted: Duration) -> bool {
        self.counting(release)
            .is_some_and(|stay| stay.turns_on(look, wanted))
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

//! A look at the release that runs in an environment, as its stay there takes it.

use super::environment::{Current, EnvironmentView};
use crate::digest::Digest;
use crate::event::{Event, EventKind};
use crate::port::target::HealthSeen;
use crate::time::Timestamp;
use std::time::Duration;

/// What a look at the release that runs found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look<'a> {
    /// When.
    pub(super) at: Timestamp,
    /// The worst of all slices.
    pub(super) health: HealthSeen,
    /// What was seen, where it is not well.
    pub(super) note: &'a str,
    /// Since when health is unbroken, where every platform proves that.
    pub(super) unbroken_since: Option<Timestamp>,
}

impl EnvironmentView {
    /// A look at what runs here, if that is what it is. One that ended when something else had come says nothing of that.
    pub(super) fn look<'a>(&self, event: &'a Event) -> Option<(Digest, Look<'a>)> {
        let EventKind::LookedAt {
            release,
            health,
            note,
            unbroken_since,
        } = &event.kind
        else {
            return None;
        };
        let look = Look {
            at: event.at.max(self.latest),
            health: *health,
            note,
            unbroken_since: *unbroken_since,
        };
        let runs = self.current == Current::Release(*release) && !self.is_moving();
        runs.then_some((release.digest, look))
    }

    /// Whether a look ([`EventKind::LookedAt`]) changes what is known, so that it has to be written down. `wanted`: the soak that is
    /// asked of what runs here.
    pub fn turns_on(&self, event: &Event, wanted: Duration) -> bool {
        self.look(event)
            .is_some_and(|(release, look)| self.stays.turns_on(release, &look, wanted))
    }
}

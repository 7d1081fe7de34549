//! Reverts that a deployment keeps armed: how long each host waits, in which order they are renewed, and when.
//!
//! A revert that fires must not leave what needs the slice on the release: deadlines run out in reverse order of need. So what others
//! need waits longer than they do, by more than its renewal can be late, and is renewed before them.

use super::calls::{how, limited};
use super::retry::{Patience, retry};
use super::wiring::Bound;
use deploy_core::id::{SliceIx, SliceName};
use deploy_core::machine::Answer;
use deploy_core::plan::{Change, Plan};
use deploy_core::port::target::{Op, TargetError};
use deploy_core::time::parse_duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Variable that says how long a host waits to be confirmed; for slow lines, and for tests that wait for it.
pub(super) const VARIABLE: &str = "DEPLOY_REVERT_AFTER";
/// How long a host waits without renewal where nobody says otherwise.
const USUAL: Duration = Duration::from_secs(60);
/// Less leaves no time to renew.
const SHORTEST: Duration = Duration::from_secs(4);

/// How long hosts wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spans {
    base: Duration,
}

impl Spans {
    /// As the caller's environment says. What is no duration there counts as not said.
    pub(super) fn new() -> Self {
        Self::of(std::env::var(VARIABLE).ok().as_deref())
    }

    fn of(said: Option<&str>) -> Self {
        let said = said.and_then(|text| parse_duration(text).ok());
        Self {
            base: said.unwrap_or(USUAL).max(SHORTEST),
        }
    }

    /// How often each is renewed, and how long that may take.
    fn every(self) -> Duration {
        self.base / 4
    }

    /// What has to be left of a deadline for a slice to count as armed.
    pub(super) fn to_spare(self) -> Duration {
        self.base / 6
    }

    /// How long the slices of each service wait.
    fn by_service(self, plan: &Plan) -> Vec<Duration> {
        let over = above(plan).into_iter();
        // A renewal may be late by as long as it may take.
        over.map(|over| self.base + over * 2 * self.every()).collect()
    }
}

/// The longest that an armed host of this plan waits after its last renewal, as far as this process's environment says, until it goes
/// back by itself.
pub fn longest_wait(plan: &Plan) -> Duration {
    let spans = Spans::new();
    spans.by_service(plan).into_iter().max().unwrap_or(spans.base)
}

/// How many armed services stand on each, one upon the other.
fn above(plan: &Plan) -> Vec<u32> {
    let mut above = vec![0; plan.services.len()];
    // What a service needs comes before it.
    for at in (0..plan.services.len()).rev() {
        let service = &plan.services[at];
        let own = u32::from(service.abilities.arms && service.change == Change::Move);
        for need in &service.needs {
            above[need.at()] = above[need.at()].max(above[at] + own);
        }
    }
    above
}

/// What is known of the armed slices of one deployment, shared by the effects that touch them.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    spans: Spans,
    by_service: Arc<Vec<Duration>>,
    slices: Arc<Mutex<Slices>>,
}

#[derive(Debug, Default)]
struct Slices {
    /// When the deadline of each was set last, by this process.
    set: BTreeMap<SliceIx, Instant>,
    /// Those that are being disarmed, or were: a renewal that comes late for them means nothing.
    settling: BTreeSet<SliceIx>,
}

/// While this lives its slice is being disarmed.
pub(super) struct Settling {
    kept: Kept,
    slice: SliceIx,
    done: bool,
}

impl Settling {
    /// It is disarmed.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if !self.done {
            self.kept.with(|slices| slices.settling.remove(&self.slice));
        }
    }
}

/// One armed slice, and through what it is renewed.
pub(super) struct Armed {
    pub(super) slice: SliceIx,
    pub(super) bound: Bound,
    pub(super) op: Op,
    pub(super) name: SliceName,
    pub(super) span: Duration,
}

impl Kept {
    pub(super) fn new(plan: &Plan) -> Self {
        let spans = Spans::new();
        Self {
            spans,
            by_service: Arc::new(spans.by_service(plan)),
            slices: Arc::default(),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Slices) -> T) -> T {
        change(&mut self.slices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long a slice waits; `None` where its service is not armed in this plan.
    pub(super) fn span(&self, plan: &Plan, slice: SliceIx) -> Option<Duration> {
        let service = plan.slice(slice).service;
        let arms = plan.service(service).abilities.arms;
        arms.then(|| self.by_service[service.at()])
    }

    /// What has to be left of a deadline for a slice to count as armed.
    pub(super) fn to_spare(&self) -> Duration {
        self.spans.to_spare()
    }

    /// A deadline was set just now.
    pub(super) fn is_set(&self, slice: SliceIx) {
        self.with(|slices| {
            slices.settling.remove(&slice);
            slices.set.insert(slice, Instant::now());
        });
    }

    /// A slice is about to be disarmed.
    pub(super) fn settle(&self, slice: SliceIx) -> Settling {
        self.with(|slices| slices.settling.insert(slice));
        Settling {
            kept: self.clone(),
            slice,
            done: false,
        }
    }

    fn settles(&self, slice: SliceIx) -> bool {
        self.with(|slices| slices.settling.contains(&slice))
    }

    /// When the next renewal is due: at once for what another process armed.
    fn next(&self, armed: &[Armed]) -> Instant {
        let now = Instant::now();
        let set = |of: &Armed| self.with(|slices| slices.set.get(&of.slice).copied());
        let next = armed
            .iter()
            .filter(|of| !self.settles(of.slice))
            .map(|of| set(of).map_or(now, |set| set + self.spans.every()))
            .min();
        next.unwrap_or(now + self.spans.every())
    }

    /// Renews until one is lost.
    pub(super) async fn keep(self, armed: Vec<Armed>) -> Answer {
        let armed = Arc::new(armed);
        loop {
            tokio::time::sleep_until(self.next(&armed)).await;
            // What waits longest first: it is needed by the others.
            let spans: BTreeSet<_> = armed.iter().map(|of| of.span).collect();
            for span in spans.into_iter().rev() {
                if let Some((slice, error)) = self.renew(&armed, span).await {
                    return Answer::Failed {
                        slice: Some(slice),
                        how: how(&error),
                        failure: *error.failure,
                    };
                }
            }
        }
    }

    /// Renews those with the same span at once; answers with the first that is lost.
    async fn renew(&self, armed: &Arc<Vec<Armed>>, span: Duration) -> Option<(SliceIx, TargetError)> {
        let mut tasks = JoinSet::new();
        let wanted = |at: &usize| armed[*at].span == span && !self.settles(armed[*at].slice);
        for at in (0..armed.len()).filter(wanted) {
            let (kept, armed) = (self.clone(), Arc::clone(armed));
            tasks.spawn(async move {
                let of = &armed[at];
                let limit = kept.spans.every();
                // From when it was asked for: the host counts from later.
                let began = Instant::now();
                let verb = retry(Patience::Transient(limit), || {
                    of.bound.target.renew(&of.op, &of.name, of.span)
                });
                let renewed = limited(limit, verb).await;
                if renewed.is_ok() {
                    kept.with(|slices| slices.set.insert(of.slice, began));
                }
                (of.slice, renewed)
            });
        }
        let mut lost = None;
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok((slice, Err(error))) if !self.settles(slice) => {
                    lost.get_or_insert((slice, error));
                }
                Ok(_) => {}
                Err(error) if error.is_cancelled() => {}
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_duration_counts_as_not_said() {
        for (said, base) in [
            (None, USUAL),
            (Some("soon"), USUAL),
            (Some("8s"), Duration::from_secs(8)),
            (Some("0"), SHORTEST),
        ] {
            assert_eq!(Spans::of(said).base, base, "{said:?}");
        }
    }

    /// Whatever moment a deployer dies at: what others need goes back after them.
    #[test]
    fn what_is_needed_waits_longer_than_its_renewal_can_be_late() {
        let spans = Spans::of(None);
        let (needed, needs) = (spans.base + 2 * spans.every(), spans.base);
        // Renewed as late as can be, just before the other one is armed.
        assert!(needed >= needs + 2 * spans.every());
        assert!(
            spans.base > 2 * spans.every() + spans.to_spare(),
            "a late renewal is in time"
        );
    }
}

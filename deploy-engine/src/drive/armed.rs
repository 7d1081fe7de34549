//! Reverts that a deployment keeps armed: how long each host waits, in which order they are renewed, and when.
//!
//! A revert that fires must not leave what needs the slice on the release: deadlines run out in reverse order of need. So what others
//! need waits longer than they do, by more than its renewal can be late, and is renewed before them. Where a needed one cannot be
//! renewed, those that need it are not either, and go back first.

use super::calls::{how, limited};
use super::wiring::Bound;
use deploy_core::id::{SliceIx, SliceName};
use deploy_core::machine::Answer;
use deploy_core::plan::{Change, Plan};
use deploy_core::port::target::{Cause, Certainty, Op, TargetError};
use deploy_core::time::parse_duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
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

/// The services that each needs, directly or not.
fn below(plan: &Plan) -> Vec<BTreeSet<usize>> {
    let mut below: Vec<BTreeSet<usize>> = Vec::with_capacity(plan.services.len());
    // What a service needs comes before it.
    for service in &plan.services {
        let direct = service.needs.iter().map(|need| need.at());
        let all = direct.flat_map(|need| below[need].iter().copied().chain([need]));
        let all = all.collect();
        below.push(all);
    }
    below
}

/// The armed slices among these that a slice needs.
pub(super) fn needed_by(plan: &Plan, slice: SliceIx, armed: &[SliceIx]) -> Vec<SliceIx> {
    let needs = &below(plan)[plan.slice(slice).service.at()];
    let is_needed = |other: &&SliceIx| needs.contains(&plan.slice(**other).service.at());
    armed.iter().filter(is_needed).copied().collect()
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
    /// Told when a deadline was set, or is being given up.
    changed: Arc<Notify>,
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
    /// What it needs that is armed too, and has to wait longer.
    pub(super) needs: Vec<SliceIx>,
}

/// What becomes of the news that a revert is not armed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The machine hears of it.
    Told,
    /// The survey that follows finds it out.
    Unheard,
}

impl Kept {
    pub(super) fn new(plan: &Plan) -> Self {
        let spans = Spans::new();
        Self {
            spans,
            by_service: Arc::new(spans.by_service(plan)),
            slices: Arc::default(),
            changed: Arc::default(),
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
        self.changed.notify_waiters();
    }

    /// A slice is about to be disarmed.
    pub(super) fn settle(&self, slice: SliceIx) -> Settling {
        self.with(|slices| slices.settling.insert(slice));
        self.changed.notify_waiters();
        Settling {
            kept: self.clone(),
            slice,
            done: false,
        }
    }

    fn settles(&self, slice: SliceIx) -> bool {
        self.with(|slices| slices.settling.contains(&slice))
    }

    /// When a slice is to be renewed next: at once where another process armed it.
    fn next(&self, slice: SliceIx) -> Instant {
        let set = self.with(|slices| slices.set.get(&slice).copied());
        set.map_or_else(Instant::now, |set| set + self.spans.every())
    }

    /// Renews each for itself, so that one host that does not answer holds up no other. Answers with the first that is lost; where
    /// nobody would hear of it, all the others are kept on, and this never answers.
    pub(super) async fn keep(self, armed: Vec<Armed>, loss: Loss) -> Answer {
        let mut tasks = JoinSet::new();
        for of in armed {
            let kept = self.clone();
            tasks.spawn(async move { (of.slice, kept.keep_one(of).await) });
        }
        while let Some(joined) = tasks.join_next().await {
            match (joined, loss) {
                (Ok((slice, error)), Loss::Told) => {
                    return Answer::Failed {
                        slice: Some(slice),
                        how: how(&error),
                        failure: *error.failure,
                    };
                }
                (Ok((slice, error)), Loss::Unheard) => tracing::debug!(?slice, %error, "not armed any more"),
                (Err(error), _) if error.is_cancelled() => {}
                (Err(error), _) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        std::future::pending().await
    }

    /// Renews one until it is lost.
    async fn keep_one(&self, of: Armed) -> TargetError {
        loop {
            tokio::time::sleep_until(self.next(of.slice)).await;
            // While it is being disarmed, what a renewal says means nothing.
            if self.settles(of.slice) {
                tokio::time::sleep(self.spans.every()).await;
                continue;
            }
            self.until_needs_are_set(&of).await;
            match self.renew(&of).await {
                Ok(began) => {
                    self.with(|slices| slices.set.insert(of.slice, began));
                    self.changed.notify_waiters();
                }
                Err(_) if self.settles(of.slice) => {}
                Err(error) => return error,
            }
        }
    }

    /// Waits until what a slice needs was renewed a short while ago. Where that cannot be, the slice goes back before what it needs.
    async fn until_needs_are_set(&self, of: &Armed) {
        loop {
            let changed = self.changed.notified();
            let late = self.with(|slices| {
                let is_set = |need: &SliceIx| {
                    let recent = |set: &Instant| set.elapsed() <= self.spans.every();
                    slices.settling.contains(need) || slices.set.get(need).is_some_and(recent)
                };
                !of.needs.iter().all(is_set)
            });
            if !late {
                return;
            }
            changed.await;
        }
    }

    /// Renews one, again and again until only a spare is left of its deadline: a renewal that happened twice is one that happened
    /// later. Answers with when it was asked for: the host counts from later.
    async fn renew(&self, of: &Armed) -> Result<Instant, TargetError> {
        let limit = self.spans.every();
        let set = self.with(|slices| slices.set.get(&of.slice).copied());
        let until = set.map_or_else(
            || Instant::now() + limit,
            |set| set + of.span.saturating_sub(self.to_spare()),
        );
        let mut pause = Duration::from_millis(200);
        loop {
            let began = Instant::now();
            let left = until.saturating_duration_since(began).max(self.to_spare());
            let verb = of.bound.target.renew(&of.op, &of.name, of.span);
            match limited(limit.min(left), verb).await {
                Ok(()) => return Ok(began),
                Err(error) if !may_pass(&error) || Instant::now() + pause >= until => return Err(error),
                Err(error) => tracing::debug!(%error, slice = %of.name, "renewing again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(limit);
        }
    }
}

/// Whether a renewal may go better a little later.
fn may_pass(error: &TargetError) -> bool {
    error.certainty == Certainty::Unknown || matches!(error.cause, Cause::Transient | Cause::Unreachable)
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

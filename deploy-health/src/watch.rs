//! The watch: looks repeated over real time until every window is full at the same moment, or a deadline has come.
//! All rules are in [`deploy_core::health::Window`]; here are only clock, sleep and time limits.

use crate::clock::Clock;
use crate::prober::cannot_look;
use deploy_core::failure::Failure;
use deploy_core::health::{Look, ProbeSpec, State, Window};
use deploy_core::port::probe::Probe;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// One look, as it happens.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The probe's name.
    pub name: &'a str,
    /// When the look ended, since the watch began.
    pub at: Duration,
    /// What it saw.
    pub look: &'a Look,
    /// Where that leaves the window.
    pub state: &'a State,
}

/// How the watch over one probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Healthy or late; pending where another probe of the same watch was late first.
    pub state: State,
    /// The last look.
    pub last: Option<Look>,
    /// How many looks there were.
    pub looks: u32,
    /// What was worth saying, each once, in the order seen.
    pub notes: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Settled {
    /// Whether it is healthy.
    pub const fn is_healthy(&self) -> bool {
        matches!(self.state, State::Healthy { .. })
    }

    /// The failure, where it was late.
    pub fn failure(&self, spec: &ProbeSpec) -> Option<Failure> {
        match &self.state {
            State::Late(late) => Some(late.failure(spec)),
            State::Healthy { .. } | State::Pending { .. } => None,
        }
    }
}

/// Looks until the window is full or the deadline has come. Ends at the deadline at the latest, whatever a look does. Dropping the
/// future ends the look that is under way.
///
/// `switched` is how long before now the slice was switched to what is expected to answer, if it was: what says that it has been up
/// for longer is noted.
#[expect(
    clippy::missing_panics_doc,
    reason = "it cannot: as many answers come back as specs go in"
)]
pub async fn until_healthy(
    probe: &dyn Probe,
    spec: &ProbeSpec,
    clock: &dyn Clock,
    switched: Option<Duration>,
    on_look: &mut (dyn FnMut(&Progress<'_>) + Send),
) -> Settled {
    let one = std::slice::from_ref(spec);
    let settled = until_all_healthy(probe, one, clock, switched, on_look).await;
    settled
        .into_iter()
        .next()
        .expect("invariant: one spec in, one answer out")
}

/// The same over several probes, which are looked at side by side until all are healthy *at the same moment*: one that was healthy
/// early is looked at until the last one is. Ends as soon as one is late. The answers are in the order of `specs`.
pub async fn until_all_healthy(
    probe: &dyn Probe,
    specs: &[ProbeSpec],
    clock: &dyn Clock,
    switched: Option<Duration>,
    on_look: &mut (dyn FnMut(&Progress<'_>) + Send),
) -> Vec<Settled> {
    let start = clock.now();
    let since_start = || clock.now().saturating_sub(start);
    let mut watched: Vec<Watched<'_>> = specs.iter().map(Watched::new).collect();
    let mut running: Vec<Running<'_>> = specs
        .iter()
        .map(|spec| turn(probe, spec, clock, start, Duration::ZERO, spec.deadline))
        .collect();
    loop {
        let now = since_start();
        let states: Vec<State> = watched.iter().map(|one| one.window.state(now)).collect();
        let all = states.iter().all(|state| matches!(state, State::Healthy { .. }));
        if all || states.iter().any(|state| matches!(state, State::Late(_))) {
            return watched
                .into_iter()
                .zip(states)
                .map(|(one, state)| one.settle(state, now))
                .collect();
        }
        let (index, turn_taken) = any(&mut running).await;
        let (one, spec) = (&mut watched[index], &specs[index]);
        let ended = since_start();
        if let Some(look) = turn_taken.look {
            one.take(ended, look, switched.map(|ago| ago + ended), on_look);
        }
        // Healthy in time: it is looked at for as long as the others need, so its own deadline ends no look any more.
        let limit = match one.window.state(ended) {
            State::Healthy { .. } => Duration::MAX,
            _ => spec.deadline,
        };
        let next = one.window.next_look(turn_taken.began);
        running[index] = turn(probe, spec, clock, start, next, limit);
    }
}

/// One probe of a watch.
struct Watched<'a> {
    spec: &'a ProbeSpec,
    window: Window,
    last: Option<Look>,
    notes: Vec<String>,
}

impl<'a> Watched<'a> {
    fn new(spec: &'a ProbeSpec) -> Self {
        Self {
            spec,
            window: Window::new(spec.pace()),
            last: None,
            notes: Vec::new(),
        }
    }

    fn take(
        &mut self,
        at: Duration,
        mut look: Look,
        since_switch: Option<Duration>,
        on_look: &mut (dyn FnMut(&Progress<'_>) + Send),
    ) {
        // Each once, though the numbers in it grow from look to look.
        let told = self
            .last
            .as_ref()
            .is_some_and(|last| last.notes.iter().any(|note| note.starts_with(OLD_PROCESS)));
        if let Some(note) = since_switch.and_then(|ago| look.older_than_switch(ago)) {
            look.notes.push(format!("{OLD_PROCESS}{note}"));
        }
        for note in &look.notes {
            let repeated = self.notes.contains(note) || (told && note.starts_with(OLD_PROCESS));
            if !repeated && self.notes.len() < MOST_NOTES {
                self.notes.push(note.clone());
            }
        }
        let state = self.window.take(at, &look);
        on_look(&Progress {
            name: &self.spec.name,
            at,
            look: &look,
            state: &state,
        });
        self.last = Some(look);
    }

    fn settle(self, state: State, now: Duration) -> Settled {
        Settled {
            state,
            looks: self.window.looks(),
            last: self.last,
            notes: self.notes,
            took: now,
        }
    }
}

/// What the finding about uptime begins with.
const OLD_PROCESS: &str = "uptime: ";

/// A service may say something else each time; more than this helps nobody.
const MOST_NOTES: usize = 20;

/// One turn of one probe: when its look began, and what it saw. No look where the limit cut it off.
struct Turn {
    began: Duration,
    look: Option<Look>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Turn> + Send + 'a>>;

/// Waits for `at`, then looks; ends at `limit` at the latest.
fn turn<'a>(
    probe: &'a dyn Probe,
    spec: &'a ProbeSpec,
    clock: &'a dyn Clock,
    start: Duration,
    at: Duration,
    limit: Duration,
) -> Running<'a> {
    Box::pin(async move {
        let now = || clock.now().saturating_sub(start);
        let wake = at.min(limit);
        // Again, because the two clocks need not agree to the millisecond.
        while let Some(left) = wake.checked_sub(now()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left).await;
        }
        let began = now();
        let left = limit.saturating_sub(began);
        if left.is_zero() {
            return Turn { began, look: None };
        }
        // A look keeps its own time limit; this holds even if it does not.
        let patience = spec.timeout.saturating_mul(4);
        let look = match tokio::time::timeout(left.min(patience), probe.look(spec)).await {
            Ok(look) => Some(look),
            Err(_) if patience < left => Some(Look::new(
                cannot_look("the look did not end".to_owned()),
                patience,
            )),
            Err(_) => None,
        };
        Turn { began, look }
    })
}

/// The first of several that is ready.
async fn any(running: &mut [Running<'_>]) -> (usize, Turn) {
    poll_fn(|cx| {
        for (index, future) in running.iter_mut().enumerate() {
            if let Poll::Ready(turn) = future.as_mut().poll(cx) {
                return Poll::Ready((index, turn));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests;

//! The window: a pure fold of looks into "healthy for long enough", "not yet" or "too late, and this is why".
//! Times are durations since the watch began, on a clock that counts suspension; nothing here reads one.

use super::{Look, ProbeSpec, Reason, Verdict};
use crate::failure::{Code, Failure};
use crate::time::format_duration;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The times that a window goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long it must be healthy without a break.
    pub healthy_for: Duration,
    /// From the start of one look to the start of the next.
    pub interval: Duration,
    /// Time limit of one look.
    pub timeout: Duration,
    /// Time limit of it all.
    pub deadline: Duration,
}

impl Pace {
    /// The longest time between the ends of two looks that still counts as looking: three intervals and one time limit. After a longer
    /// one (a machine was suspended, a network was down) nobody can say what was in between.
    pub fn longest_gap(&self) -> Duration {
        self.interval.saturating_mul(3).saturating_add(self.timeout)
    }
}

/// A fold of looks. It never settles for good: a look after [`State::Healthy`] can break the window again.
#[derive(Debug, Clone)]
pub struct Window {
    pace: Pace,
    /// The end of the first pass of the unbroken run.
    since: Option<Duration>,
    /// The end of the last look of any kind.
    last: Option<Duration>,
    /// The end of the last look that reached the service.
    reached: Option<Duration>,
    passes: u32,
    unhealthy: u32,
    unreachable: u32,
    gaps: u32,
    /// The last reason, and how many looks gave the same.
    reason: Option<(Reason, u32)>,
}

/// What a window says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not yet.
    Pending {
        /// How long it has been healthy without a break up to the last look.
        healthy: Duration,
    },
    /// Healthy for long enough, up to the last look.
    Healthy {
        /// The first pass of the unbroken run.
        since: Duration,
    },
    /// The deadline has passed.
    Late(Late),
}

/// Why a window was not healthy in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Whether that is the service's fault, or nobody knows.
    pub fault: Fault,
    /// The last reason seen; none where every look passed, but too late or with gaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Looks with just that reason.
    pub same: u32,
    /// Looks that passed.
    pub passes: u32,
    /// Looks that reached the service and failed.
    pub unhealthy: u32,
    /// Looks that did not reach it.
    pub unreachable: u32,
    /// Times that nobody looked for too long.
    pub gaps: u32,
    /// How long it had been healthy when the deadline came.
    #[serde(with = "crate::time::human")]
    pub healthy: Duration,
    /// How long it should have been.
    #[serde(with = "crate::time::human")]
    pub wanted: Duration,
    /// The deadline.
    #[serde(with = "crate::time::human")]
    pub deadline: Duration,
}

/// What a missed deadline says about the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It was seen unhealthy, and there was no time since in which it could have become healthy unseen.
    Unhealthy,
    /// It was not seen for long enough to say: it never failed a look that reached it, or has been out of reach for as long as it
    /// needs to become healthy. This is no ground to condemn a release.
    Unreachable,
}

impl Window {
    /// Before the first look.
    pub const fn new(pace: Pace) -> Self {
        Self {
            pace,
            since: None,
            last: None,
            reached: None,
            passes: 0,
            unhealthy: 0,
            unreachable: 0,
            gaps: 0,
            reason: None,
        }
    }

    /// Takes a look that ended at `at`, and says where that leaves the window. A look that ended after the deadline proves nothing in
    /// time, except to a window that was full in time and is still being looked at: that one it can keep, or break for good. A pass that
    /// ended before another look (an answer that came late) proves nothing either; a failure always breaks.
    pub fn take(&mut self, at: Duration, look: &Look) -> State {
        let in_order = self.last.is_none_or(|last| last <= at);
        let too_late = at > self.pace.deadline && !matches!(self.state(at), State::Healthy { .. });
        if too_late || (!in_order && look.verdict == Verdict::Healthy) {
            return self.state(at);
        }
        let at = self.last.map_or(at, |last| last.max(at));
        if self
            .last
            .is_some_and(|last| at.saturating_sub(last) > self.pace.longest_gap())
        {
            self.gaps += 1;
            self.since = None;
        }
        self.last = Some(at);
        match &look.verdict {
            Verdict::Healthy => {
                self.passes += 1;
                self.reached = Some(at);
                self.since.get_or_insert(at);
            }
            Verdict::Unhealthy(reason) => {
                self.unhealthy += 1;
                self.reached = Some(at);
                self.broken_by(reason);
            }
            Verdict::Unreachable(reason) => {
                self.unreachable += 1;
                self.broken_by(reason);
            }
        }
        self.state(at)
    }

    fn broken_by(&mut self, reason: &Reason) {
        self.since = None;
        let same = match &self.reason {
            Some((last, count)) if last.what == reason.what => count + 1,
            _ => 1,
        };
        self.reason = Some((reason.clone(), same));
    }

    /// Where the window is at `now`. Health is what the looks proved up to the last of them; only the deadline goes by `now`.
    pub fn state(&self, now: Duration) -> State {
        let healthy = self.healthy();
        match self.since {
            // A look is fresh evidence only for so long: an old run is not health now.
            Some(since) if healthy >= self.pace.healthy_for && self.is_fresh(now) => State::Healthy { since },
            _ if now >= self.pace.deadline => State::Late(self.late(now)),
            _ => State::Pending { healthy },
        }
    }

    fn healthy(&self) -> Duration {
        match (self.since, self.last) {
            (Some(since), Some(last)) => last.saturating_sub(since),
            _ => Duration::ZERO,
        }
    }

    fn is_fresh(&self, now: Duration) -> bool {
        self.last
            .is_some_and(|last| now.saturating_sub(last) <= self.pace.longest_gap())
    }

    /// When the next look should begin, if the last one began at `began`: after an interval, or sooner where a pass would complete the
    /// window.
    pub fn next_look(&self, began: Duration) -> Duration {
        let next = began.saturating_add(self.pace.interval);
        match self
            .since
            .map(|since| since.saturating_add(self.pace.healthy_for))
        {
            Some(complete) if complete > began && self.healthy() < self.pace.healthy_for => {
                next.min(complete)
            }
            _ => next,
        }
    }

    /// All looks taken.
    pub const fn looks(&self) -> u32 {
        self.passes + self.unhealthy + self.unreachable
    }

    fn late(&self, now: Duration) -> Late {
        let unseen = now.saturating_sub(self.reached.unwrap_or_default());
        let could_be_healthy_unseen = unseen > self.pace.healthy_for.max(self.pace.longest_gap());
        let (reason, same) = self
            .reason
            .clone()
            .map_or((None, 0), |(reason, same)| (Some(reason), same));
        Late {
            fault: if self.unhealthy > 0 && !could_be_healthy_unseen {
                Fault::Unhealthy
            } else {
                Fault::Unreachable
            },
            reason,
            same,
            passes: self.passes,
            unhealthy: self.unhealthy,
            unreachable: self.unreachable,
            gaps: self.gaps,
            healthy: self.healthy(),
            wanted: self.pace.healthy_for,
            deadline: self.pace.deadline,
        }
    }
}

impl Late {
    /// The failure of this probe, for every frontend: `ready: 503 in 12 of 12 probes, wanted 30s healthy`.
    pub fn failure(&self, spec: &ProbeSpec) -> Failure {
        let code = match (self.fault, &self.reason) {
            (Fault::Unhealthy, Some(reason)) if reason.code == Code::WrongVersion => Code::WrongVersion,
            (Fault::Unhealthy, _) => Code::Unhealthy,
            (Fault::Unreachable, _) => Code::ProbeUnreachable,
        };
        let next = match self.fault {
            Fault::Unhealthy => "look at the service's log, then deploy again".to_owned(),
            Fault::Unreachable => "`deploy doctor` tries each step on the way there".to_owned(),
        };
        let mut failure = Failure::new(code, format!("{}: {self}", spec.name), next);
        if let Some(body) = self.reason.as_ref().and_then(|reason| reason.body.as_ref()) {
            failure.causes.push(format!("answered {body}"));
        }
        failure
    }
}

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let looks = self.passes + self.unhealthy + self.unreachable;
        let failed = self.unhealthy + self.unreachable;
        match &self.reason {
            None if looks == 0 => write!(f, "no look ended within {}", format_duration(self.deadline))?,
            None => {
                let times = if self.gaps == 0 { "late" } else { "with gaps" };
                write!(f, "healthy in {looks} of {looks} probes, but {times}")?;
            }
            // Passing when the deadline came: the older reason alone would read as if it still were the state.
            Some(reason) if self.passes > 0 && !self.healthy.is_zero() => write!(
                f,
                "healthy for only {} when the deadline came, before that {} in {} of {looks} probes",
                format_duration(self.healthy.max(Duration::from_millis(1))),
                reason.what,
                self.same
            )?,
            Some(reason) if self.same == failed => {
                write!(f, "{} in {} of {looks} probes", reason.what, self.same)?;
            }
            Some(reason) => write!(f, "{} at last, {failed} of {looks} probes failed", reason.what)?,
        }
        if self.wanted.is_zero() {
            write!(
                f,
                ", wanted one healthy within {}",
                format_duration(self.deadline)
            )
        } else {
            write!(f, ", wanted {} healthy", format_duration(self.wanted))
        }
    }
}

#[cfg(test)]
mod tests;

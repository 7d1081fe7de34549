//! Where time comes into the engine. Two clocks: wall time for what people and rules read ([`Timestamp`]), and a steady one
//! that never jumps and counts while the machine is suspended, for deadlines. Nothing else here asks the system for the time,
//! except the watching of leases (see `store::lease`), which must *not* count suspension.

use async_trait::async_trait;
use deploy_core::time::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Time since some fixed point of this boot, suspension included. Comparable within one machine and boot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Steady(pub Duration);

impl Steady {
    /// This much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// How long from `earlier` to this; zero where it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A source of time.
///
/// # Cancellation
/// Both sleeps may be dropped at any time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall time. May jump; gates and events use it.
    fn now(&self) -> Timestamp;

    /// Steady time, for deadlines.
    fn steady(&self) -> Steady;

    /// Returns once wall time is at or after `at`, also if it got there by a jump or by suspension (then within a second).
    async fn sleep_until(&self, at: Timestamp);

    /// Returns once this much steady time has passed (after suspension: within a second).
    async fn sleep(&self, span: Duration);
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The runtime's timers stand still while the machine is suspended and know nothing of wall time: look at least this often.
const LOOK: Duration = Duration::from_secs(1);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(match since {
            Ok(span) => i64::try_from(span.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        })
    }

    fn steady(&self) -> Steady {
        #[cfg(target_os = "linux")]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        // Elsewhere (macOS) the monotonic clock is the one that counts suspension.
        #[cfg(not(target_os = "linux"))]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(CLOCK);
        Steady(Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        ))
    }

    async fn sleep_until(&self, at: Timestamp) {
        while self.now() < at {
            tokio::time::sleep(at.since(self.now()).clamp(Duration::from_millis(1), LOOK)).await;
        }
    }

    async fn sleep(&self, span: Duration) {
        let end = self.steady().after(span);
        while self.steady() < end {
            tokio::time::sleep(end.since(self.steady()).clamp(Duration::from_millis(1), LOOK)).await;
        }
    }
}

/// A clock that stands until it is moved. For tests.
#[derive(Debug)]
pub struct ManualClock(watch::Sender<(Timestamp, Steady)>);

impl ManualClock {
    /// Stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(watch::Sender::new((now, Steady(Duration::ZERO))))
    }

    /// Moves both times on and wakes who has waited for it.
    pub fn advance(&self, span: Duration) {
        self.0
            .send_modify(|(now, steady)| (*now, *steady) = (now.after(span), steady.after(span)));
    }

    /// Sets wall time, as somebody who corrects the machine's clock; steady time stands.
    pub fn set(&self, now: Timestamp) {
        self.0.send_modify(|time| time.0 = now);
    }

    async fn wait(&self, reached: impl Fn(&(Timestamp, Steady)) -> bool + Send) {
        // The sender is `self`: it cannot close while this borrows it.
        let _ = self.0.subscribe().wait_for(|time| reached(time)).await;
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.borrow().0
    }

    fn steady(&self) -> Steady {
        self.0.borrow().1
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.wait(move |time| time.0 >= at).await;
    }

    async fn sleep(&self, span: Duration) {
        let end = self.steady().after(span);
        self.wait(move |time| time.1 >= end).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_manual_clock_wakes_who_waited() {
        let clock = Arc::new(ManualClock::new(Timestamp(1_000)));
        let (wall, steady) = (Arc::clone(&clock), Arc::clone(&clock));
        let wall = tokio::spawn(async move { wall.sleep_until(Timestamp(2_000)).await });
        let steady = tokio::spawn(async move { steady.sleep(Duration::from_secs(5)).await });
        tokio::task::yield_now().await;
        clock.set(Timestamp(3_000));
        wall.await.unwrap();
        assert!(!steady.is_finished());
        clock.advance(Duration::from_secs(5));
        steady.await.unwrap();
        assert_eq!(clock.now(), Timestamp(8_000));
    }

    #[tokio::test]
    async fn the_system_clock_sleeps_as_long_as_asked() {
        let (clock, span) = (SystemClock, Duration::from_millis(20));
        let (now, steady) = (clock.now(), clock.steady());
        clock.sleep(span).await;
        assert!(clock.steady().since(steady) >= span);
        clock.sleep_until(now.after(span * 2)).await;
        assert!(clock.now() >= now.after(span * 2));
        clock.sleep_until(Timestamp(0)).await;
    }
}

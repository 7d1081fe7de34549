//! The clock of a watch: how much time has passed, also while the machine was suspended.

use std::time::Duration;

/// Tells time as a duration since some fixed moment. It never goes back.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Duration;
}

/// The machine's monotonic clock that counts suspension, so that a laptop which slept shows a gap between two looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        // Elsewhere (macOS) the monotonic clock goes on during sleep by itself.
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(id);
        Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let before = SystemClock.now();
        assert!(before > Duration::ZERO);
        assert!(SystemClock.now() >= before);
    }
}

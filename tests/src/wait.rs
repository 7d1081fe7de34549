//! Waiting for a condition, bounded: the only place in the tests where a thread sleeps.
//!
//! A test that needs time to pass says which condition it waits for. Whoever waits on a level (a file is
//! there, a count is at least n) is safe; waiting on an edge is not, so nothing here offers it.

use std::thread;
use std::time::{Duration, Instant};

/// The pause between two looks. Short, for most conditions hold within a few milliseconds.
const STEP: Duration = Duration::from_millis(5);

/// How long a fixture waits for what takes a moment on an idle machine: generous, for a busy one.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not hold within `limit`, naming `what` was waited for.
#[track_caller]
pub fn until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    until_some(limit, what, || condition().then_some(()));
}

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// When it finds nothing within `limit`, naming `what` was waited for.
#[track_caller]
pub fn until_some<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    match find_within(limit, &mut look) {
        Some(found) => found,
        None => panic!("waited {limit:?} in vain for: {what}"),
    }
}

/// Like [`until_some`], for callers to whom "not in time" is an answer: `None`.
pub fn find_within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(STEP);
    }
}

/// Holds up the answer of a stand-in service that plays a slow one. Not for tests: they wait for conditions.
pub fn play_slow(delay: Duration) {
    thread::sleep(delay);
}

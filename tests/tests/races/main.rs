//! Two at once: two processes on one environment, one of them stopped past its lease, and two state files on one
//! host. One acts; the other is told who holds it, and writes nothing.
//!
//! 100 rounds of each with `DEPLOY_SWEEP=full`; by default 20, 10 of two states in turn, and 5 of a stop past the
//! lease, which takes 15 s of watching.

mod claim;
mod places;
mod processes;
mod states;

use std::time::Duration;

/// How long one run may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// How many rounds: the default's, or all.
fn rounds(default: u32, full: u32) -> u32 {
    if std::env::var("DEPLOY_SWEEP").is_ok_and(|value| value == "full") {
        full
    } else {
        default
    }
}

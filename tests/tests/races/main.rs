//! Two at once: two processes on one environment, one of them stopped past its lease, and two state files on one
//! host. One acts; the other is told who holds it, and writes nothing.
//!
//! 20 rounds of each by default, 100 with `DEPLOY_SWEEP=full`; a stop past the lease takes 15 s of watching, so
//! there is one by default and five then.

mod claim;
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

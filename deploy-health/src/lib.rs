//! Looks at health: http, tcp and command probes from here or from a host, and the watch that repeats them until a window of
//! unbroken passes is full or the deadline has come.
//!
//! What health *is* (specs, looks, the window) is in [`deploy_core::health`], without I/O. Here is the looking. A look that cannot be
//! judged is never healthy, and whoever cannot be reached is not called unhealthy.

mod check;
mod clock;
mod command;
mod expect;
mod http;
mod local;
mod prober;
mod report;
mod tcp;
#[cfg(test)]
mod testing;
mod watch;

pub use check::check_spec;
pub use clock::{Clock, SystemClock};
pub use local::LocalExec;
pub use prober::Prober;
pub use watch::{Progress, Settled, until_all_healthy, until_healthy};

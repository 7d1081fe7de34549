//! Drives the core: journal store, leases, inbox, effects, recovery.

pub mod clock;
pub mod failpoint;
pub mod store;

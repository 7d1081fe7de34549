//! The pure core of `deploy`: what there is, which rules hold, what must happen next. No I/O, no clock, no
//! threads, no randomness, no async runtime (async appears only in the traits of [`port`]).
//!
//! # The contract with a driver
//!
//! 1. Load the stored events of the deployment and [`machine::Machine::apply`] each: that is the state, whether the process is
//!    new or five minutes old.
//! 2. Wait for one [`machine::Input`] (an answer, a request from the inbox, a timer).
//! 3. [`machine::Machine::decide`] answers with events or a rejection. It changes nothing.
//! 4. Append the events in one transaction, under the lease, at the expected sequence number. If that fails, nothing has happened.
//! 5. `apply` what was stored: [`event::Recorded`], which only a journal makes.
//! 6. Start what [`machine::Machine::outstanding`] lists and is not running yet, set a timer for `wake_at`, go to 2.
//!
//! An effect is visible only through state, and state moves only by recorded events: an effect cannot start before the event
//! that records it, and recovery is the same six steps.

pub mod command;
pub mod digest;
#[cfg(test)]
mod edge_cases;
pub mod event;
pub mod exit;
pub mod failure;
#[cfg(test)]
mod fixture;
pub mod gate;
pub mod health;
pub mod id;
pub mod machine;
pub mod manifest;
pub mod model;
pub mod plan;
pub mod port;
pub mod problem;
pub mod time;
pub mod tree;
pub mod view;

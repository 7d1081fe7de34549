//! What crosses crates: fixtures for tests on real parts.
//!
//! Here live the parts that tests are run against (hosts with sshd, services, project folders) and the
//! helpers that make such tests bounded and readable. No rule of `deploy` lives here, and nothing here
//! reaches into a crate's insides: the tests see what a user sees.
//!
//! A fixture that misses a program on the machine panics and says how to get it; it never lets a test
//! pass without having run.

#![expect(
    clippy::missing_panics_doc,
    reason = "every fixture panics when it cannot do its part: a test never goes on"
)]

pub mod contract;
pub mod dice;
pub mod machines;
pub mod pages;
pub mod points;
pub mod process;
pub mod procs;
pub mod proxies;
pub mod redact;
pub mod running;
pub mod scratch;
pub mod service;
pub mod shop;
pub mod sshd;
pub mod terminal;
pub mod wait;

//! The ports: what the core asks of the outside, as traits and their data. The only place in the core where `async` appears.

pub mod journal;
pub mod probe;
pub mod target;

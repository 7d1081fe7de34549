//! The planner by example and by law. Inputs are written as short texts; [`world`] makes them.

mod drive;
mod examples;
mod laws;
pub(super) mod world;

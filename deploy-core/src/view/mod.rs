//! Views: what readers know, as folds over stored events. Every frontend and the gates read these; nobody else has an idea of
//! status of his own.
//!
//! Pure, incremental (`apply` takes one more event) and serializable, so that a store may keep a fold instead of making it again.
//! Kinds of events that this version does not know are passed over here; the machine refuses them. No rule lives here: what may
//! happen is for [`crate::gate`] and [`crate::machine`].

mod base;
pub mod deployment;
pub mod environment;
pub mod evidence;
pub mod history;
mod look;
pub mod observed;
pub mod phase;
pub mod project;
pub mod result;
pub mod slice;
mod slices;
mod started;
pub mod status;
pub mod stays;
#[cfg(test)]
mod tests;
pub mod way_back;

pub use deployment::DeploymentView;
pub use environment::{Current, EnvironmentView};
pub use evidence::Ledger;
pub use phase::Phase;
pub use project::{NoSuchRelease, ProjectView};
pub use slice::{Running, SliceView, Stray};
pub use started::StartedAs;
pub use stays::Stay;
pub use way_back::NoWayBack;

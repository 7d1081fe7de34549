//! Drives the core: the state, the leases, the effects, and everything a frontend asks for.
//!
//! [`Engine`] is the front: open a project, ask it. Behind it [`drive`] is the loop of the core's contract, [`store`] the state,
//! [`source`] where releases come from, [`configure`] how a manifest becomes targets and probes. No rule of deployment lives here:
//! what may happen is `deploy-core`'s.

pub mod api;
pub mod clock;
pub mod configure;
pub mod drive;
mod engine;
pub mod failpoint;
pub mod source;
pub mod store;

pub use engine::{Engine, JunitCount, SeenHost, StandIn, Wires, junit};

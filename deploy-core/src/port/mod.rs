//! The ports: what the core asks of the outside, as async traits. Adapters implement them, the engine wires them, tests mock them.
//! No implementation lives here.

pub mod probe;

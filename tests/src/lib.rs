//! What crosses crates: fixtures and tests on real parts.

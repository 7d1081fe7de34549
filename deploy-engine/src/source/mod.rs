//! Where releases come from: a git checkout, the artifacts built from a commit, and the store that keeps them.

pub mod artifacts;
mod dirty;
pub mod git;
mod ignored;
mod incremental;
pub mod process;
pub mod tree;

#[cfg(test)]
mod tests;

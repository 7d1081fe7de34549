//! What exists, independent of how a manifest writes it: releases and what they consist of, people and their evidence.

pub mod release;

pub use release::{ArtifactRef, Entry, Release, ReleaseRef, Source};

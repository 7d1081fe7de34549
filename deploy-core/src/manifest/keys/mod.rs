//! The keys of the manifest, one file a concept: each table is one type, which is its reader, its schema and, after the
//! layers are merged and `${…}` is expanded, what the rest of the program works with.

pub mod artifact;
pub mod environment;
pub mod gates;
pub mod health;
pub mod later;
pub mod project;
pub mod service;
pub mod strategy;
pub mod target;

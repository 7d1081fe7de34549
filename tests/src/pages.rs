//! A project whose services `api` and `web` are one page each, below `live/` on this machine: a release is another page of both.

use std::fs;

use crate::scratch::Scratch;

/// Commits another page of both services, and returns the commit's full name.
#[track_caller]
pub fn next(shop: &Scratch, page: &str, message: &str) -> String {
    shop.write("api/page", page);
    shop.write("web/page", page);
    shop.commit(message)
}

/// The page that a service serves; empty where it serves none.
pub fn serves(shop: &Scratch, service: &str) -> String {
    fs::read_to_string(shop.path(format!("live/{service}/current/page"))).unwrap_or_default()
}

//! What a host says about who may write to it, and what a journal says was written.

use std::collections::BTreeMap;
use std::fs;

use deploy_tests::shop::{SERVICES, Shop};

/// Everything that a write would change in the shop's paths on the hosts: claims, and where `current` points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hosts(BTreeMap<String, (String, String)>);

impl Hosts {
    /// Reads it.
    pub(crate) fn of(shop: &Shop) -> Self {
        let mut all = BTreeMap::new();
        for host in shop.hosts() {
            for service in SERVICES {
                let path = shop.path_of(service, host);
                let claim = fs::read_to_string(path.join(".deploy/claim")).unwrap_or_default();
                let current = fs::read_link(path.join("current"))
                    .map(|link| link.display().to_string())
                    .unwrap_or_default();
                all.insert(format!("{service} on {host}"), (claim, current));
            }
        }
        Self(all)
    }

    /// Whether every claim names this text: a store or a deployment.
    pub(crate) fn all_claimed_by(&self, text: &str) -> bool {
        self.0.values().all(|(claim, _)| claim.contains(text))
    }
}

/// The rows of the project's journal, one JSON object each.
pub(crate) fn journal(shop: &Shop, state: &[&str]) -> Vec<serde_json::Value> {
    let arguments = [&["audit", "export", "--events"], state].concat();
    shop.scratch.deploy(&arguments).expect_code(0).events()
}

/// The id of a state, as its own journal tells it.
pub(crate) fn store(shop: &Shop, state: &str) -> String {
    let rows = journal(shop, &["--state", state]);
    let id = rows.iter().find_map(|row| row["store"].as_str());
    id.expect("a journal begins with its state's id").to_owned()
}

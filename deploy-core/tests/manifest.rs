//! The manifests of real systems: each is read, checked, and resolved for each of its environments.

use deploy_core::manifest::{self, VarName};
use std::collections::BTreeMap;

const MANIFESTS: [(&str, &str); 7] = [
    ("aiagent.toml", include_str!("manifests/aiagent.toml")),
    ("aider-service.toml", include_str!("manifests/aider-service.toml")),
    ("aureus.toml", include_str!("manifests/aureus.toml")),
    ("gaia.toml", include_str!("manifests/gaia.toml")),
    ("minimal.toml", include_str!("manifests/minimal.toml")),
    ("polydev.toml", include_str!("manifests/polydev.toml")),
    ("reference.toml", include_str!("manifests/reference.toml")),
];

/// What the aiagent team keeps in its env files.
fn env_file(name: &str) -> BTreeMap<VarName, String> {
    let text = "NODE_ENV=production\nAPI_URL=https://${APP_HOST:-localhost}/api\nFIREBASE_AUTH_DOMAIN=f.example\n\
                FIREBASE_PROJECT_ID=aiagent\nLOGGING_LEVEL=\"info\" \n";
    manifest::parse_env_file(name, text).expect("an env file")
}

#[test]
fn the_manifests_of_real_systems_are_read_and_resolved() {
    for (file, text) in MANIFESTS {
        let manifest = manifest::parse(file, text).unwrap_or_else(|problems| panic!("{problems}"));
        manifest
            .project(&|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"));
        for name in manifest.environments() {
            let resolved = manifest.resolve(name, &env_file("e.env"), &|_| None);
            let environment = resolved.unwrap_or_else(|problems| panic!("{file} {name}:\n{problems}"));
            let stored = serde_json::to_string(&environment).expect("an environment is JSON");
            let back: manifest::Environment = serde_json::from_str(&stored).expect("and is read back");
            assert_eq!(
                manifest::config_version(&back),
                manifest::config_version(&environment)
            );
        }
    }
}

//! The manifests of the real systems that this project stands for, checked by the command itself: where what they name is there they are
//! valid, and where it is not, each missing thing is named.

mod common;

use common::Home;

/// A manifest, its environments as `deploy check` tells them, and what it names that has to be there: folders end in `/`.
struct System {
    name: &'static str,
    text: &'static str,
    environments: &'static str,
    named: &'static [&'static str],
}

macro_rules! system {
    ($name:literal, $environments:literal, $named:expr) => {
        System {
            name: $name,
            text: include_str!(concat!("../../deploy-core/tests/manifests/", $name, ".toml")),
            environments: $environments,
            named: $named,
        }
    };
}

const SYSTEMS: [System; 7] = [
    system!(
        "aiagent",
        "development → staging → production",
        &[
            "environments/development.env",
            "environments/staging.env",
            "environments/production.env"
        ]
    ),
    system!(
        "aider-service",
        "development → local → staging → production",
        &["apps/aider-service/"]
    ),
    system!("aureus", "staging → production", &[]),
    system!(
        "gaia",
        "dev → local → staging → production",
        &["app/gateway/", "app/auth/", "app/asset/", "app/chat/"]
    ),
    system!("minimal", "production", &[]),
    system!(
        "polydev",
        "development → production",
        &["frontend/", "master-controller/", "vm-agent/"]
    ),
    system!(
        "reference",
        "development → staging → production",
        &["app/", "environments/production.env", "ops/ssh_config"]
    ),
];

/// The table has every manifest that the parser is tested with.
#[test]
fn none_is_left_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy-core/tests/manifests");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| {
            entry
                .expect("it can be read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    there.sort();
    let table = SYSTEMS.map(|system| format!("{}.toml", system.name));
    assert_eq!(there, table);
}

#[test]
fn each_is_valid_where_what_it_names_is_there() {
    for system in &SYSTEMS {
        let home = Home::with(&[("deploy.toml", system.text)]);
        for named in system.named {
            if named.ends_with('/') {
                std::fs::create_dir_all(home.project().join(named)).expect("a folder");
            } else {
                home.write(named, b"");
            }
        }
        let said = home.run(&["check"]);
        let valid = format!("({})", system.environments);
        let first = said.lines().nth(2).unwrap_or_default();
        assert!(
            said.starts_with("exit 0\n--- stdout\n✓ deploy.toml: ")
                && first.contains(" is valid ")
                && first.ends_with(&valid),
            "{}: {said}",
            system.name
        );
    }
}

#[test]
fn each_missing_thing_is_named() {
    for system in SYSTEMS.iter().filter(|system| !system.named.is_empty()) {
        let said = Home::with(&[("deploy.toml", system.text)]).run(&["check"]);
        assert!(said.starts_with("exit 2\n"), "{}: {said}", system.name);
        for named in system.named {
            let (what, path) = match named.strip_suffix('/') {
                Some(folder) => ("folder", folder),
                None => ("file", *named),
            };
            assert!(
                said.contains(&format!("there is no {what} `{path}")),
                "{} and {named}: {said}",
                system.name
            );
        }
    }
}

/// The example stands in a checkout of its own kind: nothing is made for it.
#[test]
fn the_examples_are_valid_as_they_lie_there() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples");
    let manifests = || {
        let examples = std::fs::read_dir(folder).expect("the folder is there").flatten();
        let files =
            examples.flat_map(|example| std::fs::read_dir(example.path()).into_iter().flatten().flatten());
        files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
    };
    assert!(manifests().count() >= 2, "{:?}", manifests().collect::<Vec<_>>());
    for path in manifests() {
        let said = Home::new().run(&["check", "-f", path.to_str().expect("text")]);
        assert!(
            said.starts_with("exit 0\n") && said.contains(" is valid "),
            "{}: {said}",
            path.display()
        );
    }
}

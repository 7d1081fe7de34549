//! What README and ARCHITECTURE say is so: the manifest is valid, the commands exist, the files and tests named are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder
        .parent()
        .expect("the crate is in the workspace")
        .to_owned()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect("the document is there")
}

/// The documents that name things, by their paths.
const DOCUMENTS: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "docs/README.md",
    "docs/protocol.md",
    "docs/journal.md",
    "docs/servers.md",
];

/// What stands between single backticks, outside of blocks of code.
fn quoted(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

#[test]
fn the_readmes_manifest_is_valid() {
    let readme = text("README.md");
    let block = readme
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a block of TOML");
    assert_eq!(block.lines().count(), 12, "it says twelve lines");
    let manifest = deploy_core::manifest::parse("deploy.toml", block).unwrap();
    let names: Vec<_> = manifest.environments().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["development", "staging", "production"]);
    for name in manifest.environments() {
        let environment = manifest.resolve(name, &BTreeMap::new(), &|_| None).unwrap();
        assert_eq!(environment.services.len(), 2, "{name}");
    }
}

#[test]
fn every_command_named_is_there() {
    let mut named = BTreeSet::new();
    for document in DOCUMENTS {
        for words in quoted(&text(document)) {
            let mut words = words.split(' ');
            if words.next() == Some("deploy")
                && let Some(command) = words
                    .next()
                    .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            {
                named.insert(command.to_owned());
            }
        }
    }
    // `deploy journal` is what the hash chain begins with, no command.
    named.remove("journal");
    assert!(named.len() > 30, "the README has a table of commands: {named:?}");
    for command in named {
        let output = Command::new(env!("CARGO_BIN_EXE_deploy"))
            .args([&command, "--help"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "deploy {command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn every_file_and_test_named_is_there() {
    let mut looked_at = 0;
    for name in quoted(&text("ARCHITECTURE.md")) {
        let (path, test) = name
            .split_once("::")
            .map_or((name.as_str(), None), |(path, test)| (path, Some(test)));
        let is_path = path.contains('/') && !path.contains([' ', '*', '<']);
        if !is_path {
            continue;
        }
        looked_at += 1;
        let path = root().join(path);
        assert!(path.exists(), "{name} is not there");
        if let Some(test) = test {
            let source = std::fs::read_to_string(&path).unwrap();
            assert!(
                source.contains(&format!("fn {test}(")),
                "{name}: there is no such test"
            );
        }
    }
    assert!(looked_at > 25, "ARCHITECTURE.md names files: {looked_at}");
}

#[test]
fn every_link_leads_somewhere() {
    for document in DOCUMENTS.into_iter().chain(["CHANGELOG.md"]) {
        let here = root().join(document);
        let folder = here.parent().expect("a document is in a folder");
        for link in text(document)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if !link.starts_with("https://") {
                assert!(folder.join(link).exists(), "{document}: {link}");
            }
        }
    }
}

#[test]
fn every_exit_is_in_the_readme_and_in_the_first_help() {
    use deploy_core::exit::Exit;
    let readme = text("README.md");
    let table = readme.split("## Exit codes").nth(1).expect("the table");
    let numbers: BTreeSet<u8> = table
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('/'))
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    assert_eq!(numbers, Exit::ALL.map(Exit::code).into_iter().collect());

    let help = Command::new(env!("CARGO_BIN_EXE_deploy"))
        .arg("--help")
        .output()
        .expect("the command runs");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let exits = help.split("Exit:").nth(1).expect("the exits");
    let told: BTreeSet<u8> = exits
        .split([' ', ',', '\n'])
        .filter_map(|word| word.parse().ok())
        .collect();
    // The last two are nobody's business but a script's, which reads the table.
    let wanted = Exit::ALL.map(Exit::code).into_iter().filter(|code| *code < 70);
    assert_eq!(told, wanted.collect());
}

//! What README and ARCHITECTURE say is so: the manifest is valid, the commands exist, the files and tests named are there.

mod common;

use common::Home;
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
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "ARCHITECTURE.md",
    "docs/README.md",
    "docs/manifest.md",
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
    checked(block).unwrap_or_else(|problems| panic!("{problems}"));
}

/// The steps of the first deployment, as they stand there, up to where a server is needed; from there on each gets as far as that.
#[test]
fn the_readmes_first_deployment_works_as_it_stands() {
    let readme = text("README.md");
    let section = readme.split("## First deployment on a server").nth(1);
    let steps: Vec<&str> = section
        .and_then(|rest| rest.split("```sh\n").nth(1)?.split("```").next())
        .expect("the steps")
        .lines()
        .collect();
    assert!(steps.len() >= 6, "{steps:?}");
    let home = Home::with(&[("index.html", "<h1>shop</h1>\n")]);
    home.git(&["init", "-q"]);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "Begin"]);
    // There is no such server here: whatever goes there is told so at once.
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    let ssh = "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = -E ] && exec 2>>\"$2\"; shift; done\necho 'ssh: connect to host 10.0.0.1 port 22: Connection refused' >&2\nexit 255\n";
    for (name, text) in [
        ("ssh", ssh.to_owned()),
        (
            "deploy",
            format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_deploy")),
        ),
    ] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(bin.join(name), text).expect("a file");
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let path = std::env::var("PATH").expect("a PATH");
    for step in steps {
        let output = Command::new("sh")
            .args(["-c", step])
            .current_dir(home.project())
            .env_clear()
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("HOME", home.path())
            .envs([
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_AUTHOR_NAME", "Alice"),
                ("GIT_COMMITTER_NAME", "Alice"),
            ])
            .envs([
                ("GIT_AUTHOR_EMAIL", "alice@shop.example"),
                ("GIT_COMMITTER_EMAIL", "alice@shop.example"),
            ])
            .output()
            .expect("a shell");
        let needs_it = ["doctor", "plan", "up"]
            .iter()
            .any(|word| step.starts_with(&format!("deploy {word}")));
        let all = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let wanted = if needs_it { [1, 8].as_slice() } else { &[0] };
        assert!(
            output.status.code().is_some_and(|code| wanted.contains(&code)),
            "{step}: {all}"
        );
        assert_eq!(needs_it, all.contains("refused"), "{step}: {all}");
    }
}

/// The blocks of TOML in a document.
fn blocks(markdown: &str) -> Vec<&str> {
    let blocks = markdown.split("```toml\n").skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

/// What `deploy check` says of a manifest, without the files that it names.
fn checked(manifest: &str) -> Result<(), deploy_core::problem::Problems> {
    let manifest = deploy_core::manifest::parse("deploy.toml", manifest)?;
    let mut all = Vec::new();
    for name in manifest.environments() {
        all.push(manifest.check(name, &BTreeMap::new(), &|_| None)?);
    }
    manifest.apart(&all, manifest.environments())
}

fn merged(mut base: toml::Table, more: toml::Table) -> toml::Table {
    for (key, value) in more {
        let both = match (base.remove(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => toml::Value::Table(merged(old, new)),
            (_, value) => value,
        };
        base.insert(key, both);
    }
    base
}

#[test]
fn every_block_of_the_manifests_page_is_right() {
    let page = text("docs/manifest.md");
    assert!(page.lines().count() < 400, "it is to be read in one go");
    let blocks = blocks(&page);
    let (whole, more) = blocks.split_first().expect("a whole manifest");
    checked(whole).unwrap_or_else(|problems| panic!("{whole}{problems}"));
    let base: toml::Table = whole.parse().expect("TOML");
    for block in more {
        let more: toml::Table = block.parse().unwrap_or_else(|error| panic!("{block}{error}"));
        let manifest = merged(base.clone(), more).to_string();
        checked(&manifest).unwrap_or_else(|problems| panic!("{block}{problems}"));
    }
    assert!(more.len() >= 10, "{} blocks", more.len());
}

#[test]
fn every_key_that_acts_is_on_the_manifests_page() {
    use deploy_core::manifest::{Fact, explain};
    let page = text("docs/manifest.md");
    let named: BTreeSet<String> = page
        .split(|c: char| !c.is_alphanumeric() && !"_-".contains(c))
        .map(str::to_owned)
        .collect();
    let tables = [
        "project",
        "artifacts.a",
        "checks.c",
        "services.s",
        "services.s.ssh",
        "services.s.strategy",
        "services.s.hooks.h",
        "services.s.health.p",
        "services.s.health.p.expect",
        "environments.e",
        "environments.e.hosts.h",
        "environments.e.approvals.a",
        "environments.e.freeze.f",
        "environments.e.allow",
    ];
    for table in tables {
        let page = explain(table).unwrap_or_else(|| panic!("{table} is a table"));
        assert!(!page.keys.is_empty(), "{table}");
        for (key, _) in &page.keys {
            assert!(named.contains(key.as_str()), "{table}.{key}");
        }
    }
    for fact in Fact::ALL {
        let fact = fact.as_str();
        assert!(page.contains(&format!("`${{{fact}}}`")), "{fact}");
        assert!(
            named.contains(&format!("DEPLOY_{}", fact.to_uppercase())),
            "{fact}"
        );
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

/// How a heading is linked to.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.replace(' ', "-")
        .replace(|c: char| !c.is_alphanumeric() && c != '-', "")
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
            if let Some(heading) = link.strip_prefix('#') {
                let text = text(document);
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(headings.any(|one| one == heading), "{document}: {link}");
            } else if !link.starts_with("https://") {
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

//! The borders and habits of this code base, held by tests: which crate may know which, what a file looks
//! like, and what tests may not do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use deploy_tests::process;
use serde_json::Value;

/// How long cargo may take to say what is where; it waits for a build that holds its lock.
const CARGO: Duration = Duration::from_mins(5);
/// Lines that a file of the product may have, its own tests not counted.
const LONGEST: usize = 600;

/// What deploy-core may use, and nothing else: no runtime, no clock, no randomness, no I/O.
const CORE_MAY_USE: [&str; 11] = [
    "async-trait",
    "globset",
    "hex",
    "indexmap",
    "jiff",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "toml",
];

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ is in the workspace").to_owned()
}

/// Each package of the workspace with its folder and its normal dependencies.
fn packages() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root());
    let metadata = process::run(&mut command, CARGO).expect_code(0).json();
    let text = |value: &Value| value.as_str().expect("cargo metadata's own format").to_owned();
    let mut packages = BTreeMap::new();
    for package in metadata["packages"]
        .as_array()
        .expect("cargo metadata's own format")
    {
        let dependencies = package["dependencies"]
            .as_array()
            .expect("cargo metadata's own format");
        let normal = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null());
        // A dependency behind `dep:` alone, for a feature that only tests turn on, is not the product's.
        let normal =
            normal.filter(|dependency| dependency["name"] != "mockall" || dependency["optional"] != true);
        let names = normal.map(|dependency| text(&dependency["name"])).collect();
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder = manifest.parent().expect("a manifest is in a folder").to_owned();
        packages.insert(text(&package["name"]), (folder, names));
    }
    packages
}

fn ours(names: &BTreeSet<String>) -> BTreeSet<&str> {
    names
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("deploy-"))
        .collect()
}

#[test]
fn the_core_depends_on_its_list_alone() {
    let packages = packages();
    let core = &packages["deploy-core"].1;
    let strangers: Vec<&String> = core
        .iter()
        .filter(|name| !CORE_MAY_USE.contains(&name.as_str()))
        .collect();
    assert!(
        strangers.is_empty(),
        "deploy-core may not depend on {strangers:?}: it is pure"
    );
}

#[test]
fn arrows_point_down() {
    let packages = packages();
    assert!(packages.len() >= 6, "cargo metadata knows the workspace");
    for (name, (folder, dependencies)) in &packages {
        let is_target = folder
            .parent()
            .is_some_and(|parent| parent.ends_with("deploy-targets"));
        let may: Vec<&str> = match name.as_str() {
            "deploy-core" => vec![],
            "deploy-health" => vec!["deploy-core"],
            "deploy-engine" => {
                let targets = packages
                    .keys()
                    .filter(|other| other.starts_with("deploy-target-"));
                targets
                    .map(String::as_str)
                    .chain(["deploy-core", "deploy-health"])
                    .collect()
            }
            "deploy-server" | "deploy-ffi" => vec!["deploy-core", "deploy-engine"],
            // The one arrow that goes across, for `deploy serve`.
            "deploy-cli" => vec!["deploy-core", "deploy-engine", "deploy-server"],
            "deploy-tests" => continue,
            _ if is_target => vec!["deploy-core"],
            _ => panic!("{name} has no place in the map of crates: give it one here"),
        };
        for used in ours(dependencies) {
            assert!(
                may.contains(&used),
                "{name} may depend on {may:?} of ours, not on {used}"
            );
        }
    }
}

#[test]
fn the_core_builds_where_there_is_no_system() {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .current_dir(root())
        .output();
    let targets = installed
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let there = targets.is_empty() || targets.contains("wasm32-unknown-unknown");
    // `tests/run` brings it, and says so where it cannot.
    if !there && std::env::var_os("DEPLOY_TEST_WITHOUT_WASM").is_some() {
        return;
    }
    // A toolchain that rustup did not bring may have it, and cargo says so if not.
    assert!(
        there,
        "this toolchain lacks the target, so nothing can be said of the core: rustup target add wasm32-unknown-unknown"
    );
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["check", "-p", "deploy-core", "--target", "wasm32-unknown-unknown"])
        .current_dir(root());
    process::run(&mut command, CARGO).expect_code(0);
}

/// A source file, split where its own tests begin.
struct Source {
    path: PathBuf,
    product: String,
    tests: String,
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for (folder, _) in packages().into_values() {
        for part in ["src", "tests", "benches", "examples"] {
            walk(&folder.join(part), &mut |path| {
                if path.extension().is_some_and(|end| end == "rs") {
                    sources.push(Source::read(path));
                }
            });
        }
    }
    assert!(sources.len() > 20, "the sources are where they are looked for");
    sources
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a source file is UTF-8");
        let inside = path.strip_prefix(root()).unwrap_or(path);
        // The crate tests/ is fixtures; the tests in it, as in every crate, are in its folder `tests`.
        let in_tests = inside.parent().is_some_and(|folder| {
            let mut parts: Vec<_> = folder.iter().collect();
            if parts.first().is_some_and(|first| *first == "tests") {
                parts.remove(0);
            }
            parts.iter().any(|part| *part == "tests")
        });
        let name = inside
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let (product, tests) = if in_tests || name == "tests.rs" || name.ends_with("_tests.rs") {
            (String::new(), text)
        } else if let Some(at) = text.find("#[cfg(test)]\nmod ") {
            (text[..at].to_owned(), text[at..].to_owned())
        } else {
            (text, String::new())
        };
        Self {
            path: inside.to_owned(),
            product,
            tests,
        }
    }

    fn whole(&self) -> impl Iterator<Item = (usize, &str)> {
        self.product
            .lines()
            .chain(self.tests.lines())
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("an entry of a folder has a type");
        if kind.is_dir() {
            walk(&path, visit);
        } else if kind.is_file() {
            visit(&path);
        }
    }
}

/// Fails with all finds at once, each on a line that an editor can jump to.
fn none(finds: &[String], what: &str) {
    assert!(finds.is_empty(), "{what}:\n{}", finds.join("\n"));
}

#[test]
fn every_file_begins_with_what_it_is() {
    let bare = sources().into_iter().filter(|source| {
        source
            .whole()
            .next()
            .is_none_or(|(_, line)| !line.starts_with("//!"))
    });
    none(
        &bare
            .map(|source| source.path.display().to_string())
            .collect::<Vec<_>>(),
        "files without a `//!` header",
    );
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut long = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !source.product.starts_with("// @generated"))
    {
        let lines = source.product.lines().count();
        if lines > LONGEST {
            long.push(format!("{}: {lines} lines", source.path.display()));
        }
    }
    none(&long, "files of more than one concept, by their length");
}

#[test]
fn nothing_is_left_out_or_put_off() {
    // Put together here, so that this file does not find itself.
    let marks = ["#[ignore", "todo!(", "unimplemented!(", "dbg!("].map(str::to_owned);
    let mut finds = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !source.path.ends_with("tests/tests/tidy.rs"))
    {
        for (number, line) in source.whole() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(mark.as_str())) {
                finds.push(format!("{}:{number}: {mark}", source.path.display()));
            }
        }
    }
    none(&finds, "unfinished work");
}

/// Files whose tests are about time itself: a clock, a process's age, a kill at a random moment, a stand-in that answers slowly. With
/// how many lines each has: one more is found like anywhere else.
const ABOUT_TIME: [(&str, usize); 4] = [
    ("deploy-engine/src/clock.rs", 2),
    ("deploy-engine/src/store/process.rs", 1),
    ("deploy-engine/src/store/tests/children.rs", 1),
    ("deploy-health/src/watch/tests.rs", 1),
];

#[test]
fn tests_wait_for_conditions() {
    let mut finds = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !source.path.ends_with("tests/tests/tidy.rs"))
    {
        // Fixtures are tests too; the one place that sleeps is where waiting is defined.
        let fixture = source.path.starts_with("tests/src") && !source.path.ends_with("src/wait.rs");
        let looked_at = if fixture {
            source.whole().map(|(_, line)| line).collect()
        } else {
            source.tests.lines().collect::<Vec<_>>()
        };
        let known = ABOUT_TIME
            .iter()
            .find(|(name, _)| source.path.ends_with(name))
            .map_or(0, |(_, lines)| *lines);
        let sleeps = |line: &&&str| line.contains("sleep(") && !line.trim_start().starts_with("//");
        let all = looked_at.iter().filter(sleeps).count();
        for line in looked_at
            .iter()
            .filter(sleeps)
            .take(if all > known { all } else { 0 })
        {
            finds.push(format!("{}: {}", source.path.display(), line.trim()));
        }
        if source.path.starts_with("tests/tests") && source.tests.contains("play_slow(") {
            finds.push(format!("{}: play_slow is for stand-ins", source.path.display()));
        }
    }
    none(
        &finds,
        "tests that sleep (deploy_tests::wait::until waits for a condition)",
    );
}

/// Every file that is in the repository.
fn tracked() -> Vec<String> {
    let listed = process::run(
        Command::new("git")
            .args(["-c", "safe.directory=*", "ls-files", "-z"])
            .current_dir(root()),
        CARGO,
    )
    .expect_code(0);
    let files = listed.stdout.split('\0').filter(|file| !file.is_empty());
    files.map(str::to_owned).collect()
}

#[test]
fn no_pending_snapshot_is_in_the_tree() {
    let pending = |file: &String| file.ends_with(".snap.new") || file.ends_with(".pending-snap");
    let finds: Vec<_> = tracked().into_iter().filter(pending).collect();
    none(&finds, "snapshots that nobody has looked at yet");
}

#[test]
fn no_path_of_somebodys_machine_is_in_the_tree() {
    let homes = [
        concat!("/wo", "rk/"),
        concat!("/home/", "user/"),
        concat!("/Us", "ers/"),
    ];
    let mut finds = Vec::new();
    for file in tracked() {
        // Files that are listed and removed, and those that are no text, hold no such path.
        let Ok(text) = fs::read_to_string(root().join(&file)) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            if homes.iter().any(|home| line.contains(home)) {
                finds.push(format!("{file}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    none(&finds, "paths that are on one machine only");
}

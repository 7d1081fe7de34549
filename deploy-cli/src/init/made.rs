//! How what runs is made, from the files that each language's tools read. Nothing is run.

use super::look::text;
use super::name_of;
use std::path::Path;

/// How what runs is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    /// The files as they are, with what they need installed on the server.
    Source { install: Option<Install> },
    /// A command, which leaves a folder. What it is made from is the whole commit: a file left out would be a change that
    /// is never built.
    Built { command: String, output: String },
}

/// What is installed beside the files, on the server, before anything is switched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Install {
    pub(crate) command: String,
    pub(crate) if_changed: Vec<String>,
    pub(crate) produces: Vec<String>,
}

pub(super) fn made(folder: &Path, name: &str, found: &mut Vec<String>, missing: &mut Vec<String>) -> Made {
    let kinds = [node, rust, go, python];
    kinds
        .iter()
        .find_map(|kind| kind(folder, name, found, missing))
        .unwrap_or(Made::Source { install: None })
}

fn node(folder: &Path, _: &str, found: &mut Vec<String>, _: &mut Vec<String>) -> Option<Made> {
    let package = text(&folder.join("package.json"))?;
    let package: serde_json::Value = serde_json::from_str(&package).unwrap_or_default();
    let (tool, lock, all, lean) = [
        (
            "pnpm",
            "pnpm-lock.yaml",
            "pnpm install --frozen-lockfile",
            "pnpm install --frozen-lockfile --prod",
        ),
        (
            "yarn",
            "yarn.lock",
            "yarn install --frozen-lockfile",
            "yarn install --frozen-lockfile --production",
        ),
        ("npm", "package-lock.json", "npm ci", "npm ci --omit=dev"),
    ]
    .into_iter()
    .find(|(_, lock, ..)| folder.join(lock).is_file())
    .unwrap_or(("npm", "package.json", "npm install", "npm install --omit=dev"));
    let install = |command: String, produces: &[&str]| Made::Source {
        install: Some(Install {
            command,
            // A build needs to run for each release; only what is installed stays the same.
            if_changed: if produces.len() == 1 {
                vec![lock.to_owned()]
            } else {
                Vec::new()
            },
            produces: produces.iter().map(|name| (*name).to_owned()).collect(),
        }),
    };
    if package.pointer("/scripts/build").is_none() {
        if package.pointer("/dependencies").is_none() {
            found.push("package.json has no `build` script: its files are taken as they are".to_owned());
            return Some(Made::Source { install: None });
        }
        found.push(format!(
            "package.json has dependencies and no `build` script: its files are taken as they are, and `{lean}` runs on the server"
        ));
        return Some(install(lean.to_owned(), &["node_modules"]));
    }
    if package.pointer("/dependencies/next").is_some() {
        found.push(format!(
            "package.json builds with next, which needs its packages to run: `{tool} run build` runs on the server"
        ));
        return Some(install(
            format!("{all} && {tool} run build"),
            &["node_modules", ".next"],
        ));
    }
    let output = ["dist", "build", "out"]
        .into_iter()
        .find(|out| folder.join(out).is_dir())
        .unwrap_or("dist");
    found.push(format!(
        "package.json has a `build` script: `{tool} run build` makes {output}/"
    ));
    Some(Made::Built {
        command: format!("{all} && {tool} run build"),
        output: output.to_owned(),
    })
}

fn rust(folder: &Path, name: &str, found: &mut Vec<String>, missing: &mut Vec<String>) -> Option<Made> {
    let cargo = text(&folder.join("Cargo.toml"))?;
    let program = program(&cargo, folder).or_else(|| {
        let members = ["", "crates", "apps", "bins"].map(|place| folder.join(place));
        let mut members: Vec<_> = members
            .iter()
            .filter_map(|place| std::fs::read_dir(place).ok())
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .collect();
        members.sort();
        members
            .iter()
            .find_map(|member| program(&text(&member.join("Cargo.toml"))?, member))
    });
    let program = program.unwrap_or_else(|| {
        missing.push(format!(
            "the program in `build`: no Cargo.toml names one, now {name}"
        ));
        name.to_owned()
    });
    found.push(format!("Cargo.toml makes the program {program}"));
    Some(Made::Built {
        command: format!(
            "cargo build --release --locked && mkdir -p dist && cp target/release/{program} dist/"
        ),
        output: "dist".to_owned(),
    })
}

/// The program that a package makes: its `[[bin]]`, or its own name where it has a `main.rs`.
fn program(cargo: &str, folder: &Path) -> Option<String> {
    let named = |table: &str| {
        let mut here = false;
        cargo.lines().map(str::trim).find_map(|line| {
            if line.starts_with('[') {
                here = line == table;
            }
            let (key, value) = line.split_once('=').filter(|_| here)?;
            (key.trim() == "name").then(|| name_of(value.trim().trim_matches(['"', '\''])))?
        })
    };
    named("[[bin]]").or_else(|| named("[package]").filter(|_| folder.join("src/main.rs").is_file()))
}

fn go(folder: &Path, name: &str, found: &mut Vec<String>, missing: &mut Vec<String>) -> Option<Made> {
    let module = text(&folder.join("go.mod"))?;
    let own = module
        .lines()
        .find_map(|line| name_of(line.strip_prefix("module ")?.trim()))
        .unwrap_or_else(|| name.to_owned());
    let (program, package) = if folder.join("main.go").is_file() {
        (own, ".".to_owned())
    } else {
        let mut commands: Vec<String> = std::fs::read_dir(folder.join("cmd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| {
                entry
                    .file_name()
                    .into_string()
                    .ok()
                    .filter(|name| name_of(name).as_ref() == Some(name))
            })
            .collect();
        commands.sort();
        match commands.into_iter().next() {
            Some(command) => (command.clone(), format!("./cmd/{command}")),
            None => {
                missing.push("the package in `build`: there is neither main.go nor cmd/, now .".to_owned());
                (own, ".".to_owned())
            }
        }
    };
    found.push(format!("go.mod makes the program {program}"));
    Some(Made::Built {
        command: format!("CGO_ENABLED=0 go build -o dist/{program} {package}"),
        output: "dist".to_owned(),
    })
}

fn python(folder: &Path, _: &str, found: &mut Vec<String>, missing: &mut Vec<String>) -> Option<Made> {
    let (file, what) = [
        ("requirements.txt", "-r requirements.txt"),
        ("pyproject.toml", "."),
    ]
    .into_iter()
    .find(|(file, _)| folder.join(file).is_file())?;
    // Not a virtual environment: that holds the path it was made at, and each release has another.
    let command = format!("python3 -m pip install --target packages {what}");
    found.push(format!(
        "{file} names Python packages: `{command}` runs on the server"
    ));
    missing.push("the unit's PYTHONPATH: `packages` below the service's folder".to_owned());
    Some(Made::Source {
        install: Some(Install {
            command,
            if_changed: vec![file.to_owned()],
            produces: vec!["packages".to_owned()],
        }),
    })
}

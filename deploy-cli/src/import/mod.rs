//! `.deploy.yaml` (version 1.0) → a manifest. What the old file cannot say (where the servers are, how health is seen) is
//! reported, not made up.

use crate::init::{Draft, name_of, quoted};
use deploy_core::manifest::RelPath;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The address of the server, where nothing tells it.
const SERVER: &str = "deploy@server.example";

/// Why a file cannot be imported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotImported {
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) next: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Old {
    version: Option<Version>,
    #[serde(default, alias = "project")]
    name: Option<String>,
    targets: BTreeMap<String, Target>,
}

/// `version: 1.0` is a number to YAML, `version: "1.0"` a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Version {
    Number(f64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    path: Option<String>,
    source: Option<String>,
    restart: Option<String>,
    health_check: Option<String>,
    post_deploy: Option<Commands>,
    build_command: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Commands {
    One(String),
    Many(Vec<String>),
}

/// The manifest, and what is missing in it. `server`: `user@host`, where the caller's environment tells one.
pub(crate) fn draft(project: &str, text: &str, server: Option<&str>) -> Result<Draft, NotImported> {
    let old: Old = serde_saphyr::from_str(text).map_err(|error| NotImported {
        // The parser's own excerpt spans lines.
        message: error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
        next: "targets have path, source, restart, health_check, post_deploy and build_command".to_owned(),
    })?;
    if let Some(version) = old
        .version
        .as_ref()
        .map(Version::text)
        .filter(|version| version != "1.0" && version != "1")
    {
        let next = "only version 1.0 is known; write the manifest with deploy init".to_owned();
        return Err(NotImported {
            message: format!("version {version} is not known"),
            next,
        });
    }
    if old.targets.is_empty() {
        let next = "name what is deployed below `targets`".to_owned();
        return Err(NotImported {
            message: "there are no targets".to_owned(),
            next,
        });
    }
    let name = old
        .name
        .as_deref()
        .and_then(name_of)
        .unwrap_or_else(|| project.to_owned());
    let mut draft = Draft {
        text: format!("[project]\nname = {}\n", quoted(&name)),
        found: Vec::new(),
        missing: Vec::new(),
    };
    let mut services = BTreeMap::new();
    for (old_name, target) in &old.targets {
        let Some(service) = name_of(old_name) else {
            let next = "names have letters, digits, `.`, `_` and `-`".to_owned();
            return Err(NotImported {
                message: format!("`{old_name}` cannot be a service's name"),
                next,
            });
        };
        if let Some(other) = services.insert(service.clone(), old_name) {
            let message = format!("`{old_name}` and `{other}` would both be the service {service}");
            return Err(NotImported {
                message,
                next: "rename one of them".to_owned(),
            });
        }
        of_target(&mut draft, &service, target);
    }
    let address = server.unwrap_or(SERVER);
    if server.is_none() {
        draft.missing.push(format!(
            "the server, now {address}: .deploy.yaml names none; DEPLOY_SERVER and DEPLOY_USER do"
        ));
    } else {
        draft
            .found
            .push(format!("DEPLOY_SERVER says that production is {address}"));
    }
    let _ = writeln!(
        draft.text,
        "\n[environments.production.hosts]\nserver = {{ ssh = {} }}",
        quoted(address)
    );
    Ok(draft)
}

impl Version {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => format!("{number:?}"),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

impl Commands {
    fn joined(&self) -> Option<String> {
        let commands = match self {
            Self::One(one) => vec![one.trim()],
            Self::Many(many) => many.iter().map(|one| one.trim()).collect(),
        };
        let commands: Vec<&str> = commands.into_iter().filter(|one| !one.is_empty()).collect();
        (!commands.is_empty()).then(|| commands.join(" && "))
    }
}

fn of_target(draft: &mut Draft, service: &str, target: &Target) {
    let source = source_of(draft, service, target);
    let path = path_of(draft, service, target);
    let text = &mut draft.text;
    if let Some(build) = &target.build_command {
        let _ = writeln!(text, "\n[artifacts.{service}]\nbuild = {}", quoted(build));
        if source != "." {
            let _ = writeln!(text, "dir = {}", quoted(&source));
        }
        let _ = writeln!(text, "output = {}", quoted(&source));
        draft.missing.push(format!(
            "`output` of artifact {service}: what `{build}` leaves, now {source}"
        ));
    }
    let _ = writeln!(text, "\n[services.{service}]");
    if target.build_command.is_some() {
        let _ = writeln!(text, "artifact = {}", quoted(service));
    }
    let _ = writeln!(text, "[services.{service}.ssh]");
    if target.build_command.is_none() {
        let _ = writeln!(text, "source = {}", quoted(&source));
    }
    let _ = writeln!(text, "path = {}", quoted(&path));
    match &target.restart {
        Some(restart) => {
            let _ = writeln!(text, "restart = {}", quoted(restart));
        }
        None => draft.missing.push(format!(
            "{service} has no restart: what runs keeps running the old files"
        )),
    }
    if let Some(command) = target.post_deploy.as_ref().and_then(Commands::joined) {
        let _ = writeln!(
            text,
            "[services.{service}.hooks.post-deploy]\nat = \"after\"\ncommand = {}",
            quoted(&command)
        );
    }
    match &target.health_check {
        Some(check) => {
            let (kind, check) = probe(check);
            let _ = writeln!(
                text,
                "[services.{service}.health.ready]\n{kind} = {}\nhealthy_for = \"10s\"",
                quoted(&check)
            );
        }
        None => draft.missing.push(format!(
            "{service} has no health check: only that the files are there is seen"
        )),
    }
}

/// The folder of the project that is deployed; one outside cannot be part of a release.
fn source_of(draft: &mut Draft, service: &str, target: &Target) -> String {
    let named = target.source.as_deref().unwrap_or(".");
    let inside = named.trim_start_matches("./");
    let inside = if inside.is_empty() { "." } else { inside };
    if RelPath::new(inside).is_ok() {
        return inside.to_owned();
    }
    draft.missing.push(format!(
        "the source of {service}, now all of the project: {named} is outside of it"
    ));
    ".".to_owned()
}

/// The folder on the server: absolute, because nothing else says where it begins.
fn path_of(draft: &mut Draft, service: &str, target: &Target) -> String {
    let made_up = format!("/opt/{service}");
    match &target.path {
        Some(path) if path.starts_with('/') => path.clone(),
        Some(path) => {
            let reason = format!("the path of {service}, now {made_up}: {path} is not absolute");
            draft.missing.push(reason);
            made_up
        }
        None => {
            draft
                .missing
                .push(format!("{service} has no path: now {made_up}"));
            made_up
        }
    }
}

/// A health check is a URL, also without its scheme, or a command.
fn probe(check: &str) -> (&'static str, String) {
    let check = check.trim();
    if check.starts_with("http://") || check.starts_with("https://") {
        return ("http", check.to_owned());
    }
    let authority = check.split('/').next().unwrap_or_default();
    let port = authority
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_some() && !check.contains(char::is_whitespace) {
        return ("http", format!("http://{check}"));
    }
    ("command", check.to_owned())
}

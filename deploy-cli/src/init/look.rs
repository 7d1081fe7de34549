//! What a folder is: read from a few well-known files, never by running anything.

use super::made::{Made, made};
use super::name_of;
use super::unit::{self, Unit};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where many programs listen, if nothing says otherwise.
const PORT: u16 = 3000;

/// Files larger than this are not looked into.
const LARGEST: u64 = 512 * 1024;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    /// A name for the project.
    pub(crate) name: String,
    /// What it runs on.
    pub(crate) platform: Platform,
    /// How it is made.
    pub(crate) made: Made,
    /// What starts it on a server.
    pub(crate) unit: Option<Unit>,
    /// A path that answers about health.
    pub(crate) health: String,
    /// The port it listens on.
    pub(crate) port: u16,
    /// Branches that exist.
    pub(crate) branches: BTreeSet<String>,
    /// One sentence each: what was seen, and what follows.
    pub(crate) found: Vec<String>,
    /// What only a person knows.
    pub(crate) missing: Vec<String>,
}

/// What it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Servers.
    Ssh,
    /// Fly.io.
    Fly { app: String },
    /// Docker Compose.
    Compose { file: String, service: String },
    /// Kubernetes.
    K8s { folder: String, workload: String },
}

/// Looks.
pub(crate) fn look(folder: &Path) -> Looked {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let name = name(folder, &mut found);
    let made = made(folder, &name, &mut found, &mut missing);
    let platform = platform(folder, &mut found);
    let unit = match platform {
        Platform::Ssh => unit::unit(folder, &name, &mut found),
        _ => None,
    };
    if platform == Platform::Ssh
        && let Some(command) = unit::procfile(folder)
    {
        found.push(format!("Procfile starts `{command}` as web"));
        if unit.is_none() {
            missing.push(format!(
                "a unit on the server that runs `{command}` in <path>/current"
            ));
        }
    }
    if folder.join(".deploy.yaml").is_file() {
        missing.push(
            "what .deploy.yaml says: remove this manifest, and `deploy import` takes it over".to_owned(),
        );
    }
    let port = unit::port(folder, &mut found)
        .or_else(|| port(folder, &mut found))
        .unwrap_or_else(|| {
            if platform == Platform::Ssh {
                missing.push(format!("the port it listens on, now {PORT}: no source says one"));
            }
            PORT
        });
    let health = health(folder, &mut found);
    let branches = branches(folder);
    if !branches.is_empty() {
        let names: Vec<&str> = branches.iter().map(String::as_str).collect();
        found.push(format!("git has the branches {}", names.join(", ")));
    }
    Looked {
        name,
        platform,
        made,
        unit,
        health,
        port,
        branches,
        found,
        missing,
    }
}

pub(super) fn text(path: &Path) -> Option<String> {
    let size = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    if size > LARGEST {
        None
    } else {
        std::fs::read_to_string(path).ok()
    }
}

fn name(folder: &Path, found: &mut Vec<String>) -> String {
    let remote = text(&git_folder(folder).join("config")).and_then(|config| {
        let url = config
            .lines()
            .find_map(|line| line.trim().strip_prefix("url = ").map(str::to_owned))?;
        name_of(&url)
    });
    if let Some(name) = remote {
        found.push(format!("the git remote is called {name}: the project's name"));
        return name;
    }
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let own = absolute
        .file_name()
        .and_then(|name| name_of(&name.to_string_lossy()));
    own.unwrap_or_else(|| "app".to_owned())
}

/// `.git`, also where it is a file that names another folder (a worktree).
fn git_folder(folder: &Path) -> PathBuf {
    let git = folder.join(".git");
    let named = text(&git).and_then(|text| Some(PathBuf::from(text.strip_prefix("gitdir: ")?.trim())));
    named.map_or(git, |named| folder.join(named))
}

fn branches(folder: &Path) -> BTreeSet<String> {
    let git = git_folder(folder);
    let mut branches = BTreeSet::new();
    let packed = text(&git.join("packed-refs")).unwrap_or_default();
    for line in packed.lines() {
        let name = line.split_whitespace().nth(1).unwrap_or_default();
        let local = name
            .strip_prefix("refs/heads/")
            .or_else(|| name.strip_prefix("refs/remotes/origin/"));
        branches.extend(local.filter(|name| *name != "HEAD").map(str::to_owned));
    }
    for place in ["refs/heads", "refs/remotes/origin"] {
        for entry in std::fs::read_dir(git.join(place)).into_iter().flatten().flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_file && name != "HEAD" {
                branches.insert(name);
            }
        }
    }
    let head = text(&git.join("HEAD")).unwrap_or_default();
    branches.extend(head.trim().strip_prefix("ref: refs/heads/").map(str::to_owned));
    branches
}

fn platform(folder: &Path, found: &mut Vec<String>) -> Platform {
    if let Some(config) = text(&folder.join("fly.toml")) {
        let app = config.lines().find_map(|line| {
            let value = line.trim().strip_prefix("app")?.trim_start().strip_prefix('=')?;
            name_of(value.trim().trim_matches(['"', '\'']))
        });
        if let Some(app) = app {
            found.push(format!("fly.toml names the app {app}: it runs on Fly.io"));
            return Platform::Fly { app };
        }
    }
    for place in ["k8s", "kubernetes", "deploy/k8s", "manifests"] {
        if let Some(workload) = workload(&folder.join(place)) {
            found.push(format!("{place}/ has {workload}: it runs on Kubernetes"));
            return Platform::K8s {
                folder: place.to_owned(),
                workload,
            };
        }
    }
    for file in [
        "compose.yaml",
        "compose.yml",
        "docker-compose.yml",
        "docker-compose.yaml",
    ] {
        if let Some(service) = text(&folder.join(file)).and_then(|text| first_service(&text)) {
            found.push(format!(
                "{file} has the service {service}: it runs with Docker Compose"
            ));
            return Platform::Compose {
                file: file.to_owned(),
                service,
            };
        }
    }
    if folder.join("Dockerfile").is_file() {
        found.push(
            "there is a Dockerfile, and nothing says where its image runs: taken as files on a server"
                .to_owned(),
        );
    } else {
        found.push("nothing names a platform: taken as files on a server, by ssh".to_owned());
    }
    Platform::Ssh
}

/// `deployment/web`, from the first manifest that has one.
fn workload(folder: &Path) -> Option<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"))
        .find_map(|path| {
            let text = text(path)?;
            text.split("\n---").find_map(|document| {
                let kind = document
                    .lines()
                    .find_map(|line| line.strip_prefix("kind:"))?
                    .trim()
                    .to_lowercase();
                // The name stands as deep as the first key; what is deeper is a label's.
                let meta = document.split("\nmetadata:").nth(1)?;
                let depth = |line: &str| line.len() - line.trim_start().len();
                let mut below = meta.lines().filter(|line| !line.trim().is_empty());
                let first = depth(below.clone().next()?);
                let name = below
                    .find_map(|line| line.trim().strip_prefix("name:").filter(|_| depth(line) == first))?;
                let name = name_of(name.trim().trim_matches('"'))?;
                matches!(kind.as_str(), "deployment" | "statefulset" | "daemonset")
                    .then(|| format!("{kind}/{name}"))
            })
        })
}

/// The first service that is built here, else the first.
fn first_service(compose: &str) -> Option<String> {
    let below = compose
        .lines()
        .skip_while(|line| line.trim_end() != "services:")
        .skip(1)
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .take_while(|line| line.starts_with(' '));
    let depth = |line: &str| line.len() - line.trim_start().len();
    let first = depth(below.clone().next()?);
    let mut services: Vec<(String, bool)> = Vec::new();
    for line in below {
        if depth(line) == first {
            services.extend(name_of(line.trim().trim_end_matches(':')).map(|name| (name, false)));
        } else if let Some((_, built)) = services.last_mut() {
            *built |= line.trim_start().starts_with("build:");
        }
    }
    let chosen = services.iter().position(|(_, built)| *built).unwrap_or(0);
    services.into_iter().nth(chosen).map(|(name, _)| name)
}

/// Source files beside the manifest and one folder down, where a port or a path may stand.
fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for place in [
        folder.to_owned(),
        folder.join("src"),
        folder.join("app"),
        folder.join("lib"),
    ] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(place)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        files.sort();
        let known = |path: &&PathBuf| {
            let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
            matches!(end, "js" | "ts" | "mjs" | "rs" | "go" | "py" | "rb")
                || path.file_name().is_some_and(|name| name == "Dockerfile")
        };
        texts.extend(files.iter().filter(known).take(40).filter_map(|path| text(path)));
    }
    texts
}

fn port(folder: &Path, found: &mut Vec<String>) -> Option<u16> {
    for text in sources(folder) {
        for mark in [
            "EXPOSE ",
            ".listen(",
            "PORT || ",
            "PORT ?? ",
            "0.0.0.0:",
            "127.0.0.1:",
            "\":",
            "port=",
            "--port ",
        ] {
            let number = text.split(mark).skip(1).find_map(|rest| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<u16>().ok().filter(|port| *port > 0)
            });
            if let Some(port) = number {
                found.push(format!(
                    "the sources say `{}{port}`: it listens there",
                    mark.trim_start()
                ));
                return Some(port);
            }
        }
    }
    None
}

fn health(folder: &Path, found: &mut Vec<String>) -> String {
    for text in sources(folder) {
        for path in ["/healthz", "/health", "/api/health", "/readyz", "/status"] {
            if text.contains(&format!("\"{path}\"")) || text.contains(&format!("'{path}'")) {
                found.push(format!("the sources answer {path}: looked at after every switch"));
                return path.to_owned();
            }
        }
    }
    "/".to_owned()
}

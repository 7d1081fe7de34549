//! How a service is started on its server, as far as files of the project tell: a unit of systemd, a Procfile.

use super::look::text;
use super::name_of;
use std::path::{Path, PathBuf};

/// Where projects keep their units.
const PLACES: &[&str] = &[
    ".",
    "deploy",
    "deploy/systemd",
    "deployment",
    "etc",
    "infra",
    "infra/systemd",
    "ops",
    "ops/systemd",
    "packaging",
    "scripts",
    "systemd",
];

/// A unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its name, without `.service`.
    pub(crate) name: String,
    /// Whether it is one of a user's own manager.
    pub(crate) of_a_user: bool,
    /// The service's folder, where it runs in `<folder>/current`.
    pub(crate) path: Option<String>,
}

impl Unit {
    /// What makes it run what `current` says.
    pub(crate) fn restart(&self) -> String {
        let user = if self.of_a_user { "--user " } else { "" };
        format!("systemctl {user}restart {}", self.name)
    }

    fn read(name: String, text: &str) -> Self {
        let value = |key: &str| {
            text.lines().find_map(|line| {
                let (found, value) = line.trim().split_once('=')?;
                (found.trim() == key).then(|| value.trim().to_owned())
            })
        };
        let path = value("WorkingDirectory").and_then(|folder| {
            let folder = folder.trim_end_matches('/').strip_suffix("/current")?;
            (folder.starts_with('/') && !folder.contains(['%', '$'])).then(|| folder.to_owned())
        });
        Self {
            name,
            of_a_user: value("WantedBy").is_some_and(|target| target == "default.target"),
            path,
        }
    }
}

/// The unit of the project; where there are several, the one that is called like it, else the first by name. Templates (`name@`) are
/// passed over: which instance is meant, nothing tells.
pub(crate) fn unit(folder: &Path, project: &str, found: &mut Vec<String>) -> Option<Unit> {
    let mut units: Vec<(PathBuf, Unit)> = Vec::new();
    for place in PLACES {
        let entries = std::fs::read_dir(folder.join(place))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.and_then(|name| name.strip_suffix(".service")) else {
                continue;
            };
            if name.ends_with('@') || name_of(name).as_deref() != Some(name) {
                continue;
            }
            let shown = Path::new(place).join(path.file_name().unwrap_or_default());
            units.extend(text(&path).map(|text| (shown, Unit::read(name.to_owned(), &text))));
        }
    }
    units.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    let at = units
        .iter()
        .position(|(_, unit)| unit.name == project)
        .unwrap_or(0);
    let (path, unit) = units.into_iter().nth(at)?;
    let shown = path.strip_prefix(".").unwrap_or(&path).display().to_string();
    found.push(format!(
        "{shown} is a unit of systemd: `{}` restarts it",
        unit.restart()
    ));
    if let Some(path) = &unit.path {
        found.push(format!(
            "{shown} runs in {path}/current: {path} is the service's folder"
        ));
    }
    Some(unit)
}

/// What a Procfile starts as `web`.
pub(crate) fn procfile(folder: &Path) -> Option<String> {
    let text = text(&folder.join("Procfile"))?;
    text.lines().find_map(|line| {
        let command = line.strip_prefix("web:")?.trim();
        (!command.is_empty()).then(|| command.to_owned())
    })
}

/// The port that a file of variables or a Procfile names.
pub(crate) fn port(folder: &Path, found: &mut Vec<String>) -> Option<u16> {
    for file in [".env", ".env.production", ".env.example", ".env.sample"] {
        let number = text(&folder.join(file)).and_then(|text| {
            text.lines().find_map(|line| {
                let line = line.trim().trim_start_matches("export ");
                let value = line.strip_prefix("PORT=")?.trim_matches(['"', '\'']);
                value.parse::<u16>().ok().filter(|port| *port > 0)
            })
        });
        if let Some(port) = number {
            found.push(format!("{file} says PORT={port}: it listens there"));
            return Some(port);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_tells_how_it_is_restarted_and_where_it_runs() {
        let read = |text| Unit::read("shop".to_owned(), text);
        let system =
            read("[Service]\nWorkingDirectory = /srv/shop/current/\n[Install]\nWantedBy=multi-user.target\n");
        assert_eq!(system.restart(), "systemctl restart shop");
        assert_eq!(system.path.as_deref(), Some("/srv/shop"));
        let of_a_user =
            read("[Service]\nWorkingDirectory=%h/shop/current\n[Install]\nWantedBy=default.target\n");
        assert_eq!(of_a_user.restart(), "systemctl --user restart shop");
        assert_eq!(of_a_user.path, None);
        assert_eq!(read("[Service]\nWorkingDirectory=/srv/shop\n").path, None);
    }
}

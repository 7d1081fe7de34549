//! What a manifest names outside itself: files and folders of the project, and servers that only stand for one. The form of
//! these is right; whether they are there is for who can look.

use super::SshAddress;
use super::node::{Node, Span};
use super::parse::Manifest;
use super::read::Cx;
use crate::problem::{Problem, Problems, position};
use serde::{Deserialize, Serialize};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Found {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// Nothing, or nothing that can be looked at.
    Nothing,
}

/// A key that stands for what only a person knows, as `deploy init` writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unfilled {
    /// The line it stands on, from 1.
    pub line: u32,
    /// The key: `environments.production.hosts.web-1.ssh`.
    pub key: String,
    /// What to do, for people.
    pub reason: String,
}

impl std::fmt::Display for Unfilled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "line {}: `{}` is to be filled in: {}",
            self.line, self.key, self.reason
        )
    }
}

/// Whether a server's address only stands for one: names below `example` belong to nobody (RFC 2606).
pub fn stands_for_a_server(address: &SshAddress) -> bool {
    address.host.ends_with(".example")
}

impl Manifest {
    /// Each file and folder of the project that the manifest names and that is not there. `look` is given paths below the
    /// manifest's folder. A path that depends on variables is not judged, and neither are those of kinds that bring checks of
    /// their own.
    pub fn not_there(&self, look: &dyn Fn(&str) -> Found) -> Problems {
        let mut cx = Cx::new(&self.file, &self.text);
        let mut judge = |path: &str, node: Option<&Node>, wanted: Found, help: &str| {
            let Some((node, text)) = node.and_then(|node| Some((node, node.as_str()?))) else {
                return;
            };
            // What has no right form has been reported as that.
            if text.contains("${") || super::RelPath::new(text).is_err() {
                return;
            }
            let found = look(text);
            let message = match (found, wanted) {
                (Found::Nothing, Found::Folder) => format!("there is no folder `{text}`"),
                (Found::Nothing, _) => format!("there is no file `{text}`"),
                (Found::File, Found::Folder) => format!("`{text}` is a file, and a folder is wanted"),
                (Found::Folder, Found::File) => format!("`{text}` is a folder, and a file is wanted"),
                _ => return,
            };
            cx.within(path, |cx| cx.problem(node.span, message, help));
        };
        let root = &self.root;
        let source = |layer: &Node, path: &str, judge: &mut dyn FnMut(&str, Option<&Node>, Found, &str)| {
            let node = layer.at(&["ssh", "source"]);
            judge(
                &format!("{path}.ssh.source"),
                node,
                Found::Folder,
                "name a folder of the project; `.` is all of it",
            );
        };
        if let Some(defaults) = root.at(&["defaults"]) {
            source(defaults, "defaults", &mut judge);
        }
        for (name, entry) in root.entries(&["services"]) {
            source(&entry.node, &format!("services.{name}"), &mut judge);
        }
        for (table, key) in [("artifacts", "dir"), ("artifacts", "docker"), ("checks", "dir")] {
            for (name, entry) in root.entries(&[table]) {
                let help = "name a folder of the project";
                judge(
                    &format!("{table}.{name}.{key}"),
                    entry.node.at(&[key]),
                    Found::Folder,
                    help,
                );
            }
        }
        for (name, entry) in root.entries(&["environments"]) {
            let path = format!("environments.{name}");
            for (key, help) in [
                (
                    "env_file",
                    "write it, with `NAME=value` lines, or remove `env_file`",
                ),
                (
                    "ssh_config",
                    "write it, or remove `ssh_config`: ~/.ssh/config holds too",
                ),
            ] {
                judge(&format!("{path}.{key}"), entry.node.at(&[key]), Found::File, help);
            }
            if let Some(defaults) = entry.node.at(&["defaults"]) {
                source(defaults, &format!("{path}.defaults"), &mut judge);
            }
            for (service, layer) in entry.node.entries(&["services"]) {
                source(&layer.node, &format!("{path}.services.{service}"), &mut judge);
            }
        }
        let problems: Vec<Problem> = cx.into_problems();
        problems.into()
    }

    /// What `deploy init` wrote for a person to fill in, and that still stands, in the order of the file.
    pub fn unfilled(&self) -> Vec<Unfilled> {
        let line = |span: Span| position(&self.text, span.start).0;
        let mut unfilled: Vec<Unfilled> = self
            .root
            .entries(&["environments"])
            .flat_map(|(name, entry)| {
                let hosts = entry.node.entries(&["hosts"]);
                hosts.map(move |(host, entry)| (name, host, entry.node.at(&["ssh"])))
            })
            .filter_map(|(name, host, node)| {
                let node = node?;
                let text = node.as_str()?;
                let address = SshAddress::new(text).ok()?;
                stands_for_a_server(&address).then(|| Unfilled {
                    line: line(node.span),
                    key: format!("environments.{name}.hosts.{host}.ssh"),
                    reason: format!("{text} stands for a server of yours; write its address"),
                })
            })
            .collect();
        unfilled.sort();
        unfilled
    }
}

//! What a manifest names outside itself: files and folders of the project, and servers that only stand for one. The form of
//! these is right; whether they are there is for who can look.

use super::SshAddress;
use super::node::{Node, Span};
use super::parse::Manifest;
use super::read::Cx;
use crate::problem::{Problems, position};
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

/// A key below a table, what it names, and what to do where that is not there.
type Key = (&'static [&'static str], Found, &'static str);

const FOLDER: &str = "name a folder of the project; `.` is all of it";
const ARTIFACT: &[Key] = &[
    (&["dir"], Found::Folder, FOLDER),
    (&["docker"], Found::Folder, FOLDER),
];
const CHECK: &[Key] = &[(&["dir"], Found::Folder, FOLDER)];
const SERVICE: &[Key] = &[(&["ssh", "source"], Found::Folder, FOLDER)];
const ENVIRONMENT: &[Key] = &[
    (
        &["env_file"],
        Found::File,
        "write it, with `NAME=value` lines, or remove `env_file`",
    ),
    (
        &["ssh_config"],
        Found::File,
        "write it, or remove `ssh_config`: ~/.ssh/config holds too",
    ),
];

/// A path that stands in the manifest.
struct Named<'m> {
    key: String,
    node: &'m Node,
    wanted: Found,
    help: &'static str,
}

impl Manifest {
    /// Each file and folder of the project that the manifest names and that is not there. `look` is given paths below the
    /// manifest's folder. A path that depends on variables is not judged, and neither are those of kinds that bring checks of
    /// their own.
    pub fn not_there(&self, look: &dyn Fn(&str) -> Found) -> Problems {
        let mut cx = Cx::new(&self.file, &self.text);
        for named in self.named() {
            let Some(text) = named.node.as_str() else {
                continue;
            };
            // What has no right form has been reported as that.
            if text.contains("${") || super::RelPath::new(text).is_err() {
                continue;
            }
            let message = match (look(text), named.wanted) {
                (Found::Nothing, Found::Folder) => format!("there is no folder `{text}`"),
                (Found::Nothing, _) => format!("there is no file `{text}`"),
                (Found::File, Found::Folder) => format!("`{text}` is a file, and a folder is wanted"),
                (Found::Folder, Found::File) => format!("`{text}` is a folder, and a file is wanted"),
                _ => continue,
            };
            cx.within(named.key, |cx| cx.problem(named.node.span, message, named.help));
        }
        cx.into_problems().into()
    }

    /// Every path below the manifest's folder that must be there before a deployment.
    fn named(&self) -> Vec<Named<'_>> {
        let root = &self.root;
        // Tables, each with its path, and the keys of interest in it.
        let mut tables: Vec<(String, &Node, &'static [Key])> = Vec::new();
        for (table, keys) in [("artifacts", ARTIFACT), ("checks", CHECK), ("services", SERVICE)] {
            tables.extend(
                root.entries(&[table])
                    .map(|(name, entry)| (format!("{table}.{name}"), &entry.node, keys)),
            );
        }
        tables.extend(
            root.at(&["defaults"])
                .map(|node| ("defaults".to_owned(), node, SERVICE)),
        );
        for (name, entry) in root.entries(&["environments"]) {
            let path = format!("environments.{name}");
            tables.extend(
                entry
                    .node
                    .at(&["defaults"])
                    .map(|node| (format!("{path}.defaults"), node, SERVICE)),
            );
            let services = entry.node.entries(&["services"]);
            tables.extend(
                services.map(|(service, entry)| (format!("{path}.services.{service}"), &entry.node, SERVICE)),
            );
            tables.push((path, &entry.node, ENVIRONMENT));
        }
        let mut found = Vec::new();
        for (path, table, keys) in tables {
            for (key, wanted, help) in keys {
                found.extend(table.at(key).map(|node| Named {
                    key: format!("{path}.{}", key.join(".")),
                    node,
                    wanted: *wanted,
                    help,
                }));
            }
        }
        found
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

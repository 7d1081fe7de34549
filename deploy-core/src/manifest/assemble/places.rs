//! Where services are put on hosts: each place belongs to one service of one environment, lies in nobody else's, and is none of
//! the system's.

use super::super::keys::environment::HostKeys;
use super::super::keys::target::TargetKind;
use super::super::model::{Environment, HostAddress, Service};
use super::super::node::{Node, Span};
use super::super::parse::Draft;
use super::super::read::{Cx, FromNode};
use super::super::template::{Fact, Facts, Part, Template};
use super::super::{HostSelection, TargetConfig};
use super::service::{self, Assembled};
use crate::id::{EnvName, ServiceName};
use crate::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// A host as it is written, with its name's place.
struct Written<'n> {
    name: &'n str,
    at: Span,
    keys: HostKeys,
}

impl Written<'_> {
    fn takes(&self, selection: Option<&HostSelection>) -> bool {
        match selection {
            Some(HostSelection::Group(group)) => {
                self.keys.groups.is_empty() || self.keys.groups.contains(group)
            }
            Some(HostSelection::Host(name)) => self.name == name.as_str(),
            Some(HostSelection::All) | None => true,
        }
    }

    /// What makes it the same machine as another; `None` for this machine.
    fn machine(&self) -> Option<(&str, Option<u16>)> {
        self.keys.ssh.as_ref().map(|ssh| (ssh.host.as_str(), ssh.port))
    }
}

fn written<'n>(node: &'n Node, cx: &mut Cx<'_>) -> Vec<Written<'n>> {
    node.entries(&["hosts"])
        .filter_map(|(name, entry)| {
            let keys = cx.quietly(|cx| HostKeys::from_node(&entry.node, cx))?;
            Some(Written {
                name,
                at: entry.key,
                keys,
            })
        })
        .collect()
}

/// Each service's folder on the environment's hosts: absolute where it is reached by ssh (on this machine it may be relative to the
/// manifest), and of one host alone.
pub(super) fn folders(node: &Node, assembled: &BTreeMap<ServiceName, Assembled>, cx: &mut Cx<'_>) {
    let hosts = written(node, cx);
    for (name, one) in assembled {
        let Some(service) = &one.service else { continue };
        let TargetConfig::Ssh(ssh) = &service.target else {
            continue;
        };
        let mut here: Vec<&Written<'_>> = hosts
            .iter()
            .filter(|host| host.takes(service.hosts.as_ref()))
            .collect();
        here.sort_by_key(|host| host.at);
        let first = ssh.path.parts().first();
        let relative =
            matches!(first, Some(Part::Text(text)) if !text.starts_with('/') && !text.starts_with("${"));
        if relative && here.iter().any(|host| !host.keys.local) {
            let message = format!("`{}` is relative, and a folder on a host is absolute", ssh.path);
            cx.within(format!("services.{name}.ssh.path"), |cx| {
                cx.problem(one.path_span, message, "write `/opt/…`");
            });
        }
        if ssh.path.facts().any(|fact| fact == Fact::Host) {
            continue;
        }
        for (index, host) in here.iter().enumerate() {
            let same = here[..index].iter().find(|other| {
                other.machine() == host.machine()
                    && folder_on(service, other.name) == folder_on(service, host.name)
            });
            if let Some(same) = same {
                let message = format!(
                    "`{}` and `{}` are one machine, and {name} would run twice in {}",
                    same.name, host.name, ssh.path
                );
                let help = "remove one, or put `${host}` into the service's `path`";
                cx.within(format!("hosts.{}", host.name), |cx| {
                    cx.problem(host.at, message, help);
                });
            }
        }
    }
}

/// Folders that are the system's as a whole; what lies in them may be a service's.
const OF_THE_SYSTEM: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
    "/var",
    "/var/lib",
    "/var/log",
];

/// What a service's folder holds of ours.
const OURS: &[&str] = &["current", "releases", "shared", ".deploy"];

/// A folder on a host, without what makes no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folder {
    absolute: bool,
    parts: Vec<String>,
}

impl Folder {
    /// A path with everything known; `None` where it holds a secret.
    fn of(path: &Template, host: &str) -> Option<Self> {
        let text = path.expand(&Facts::from([(Fact::Host, host.to_owned())])).ok()?;
        let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
        Some(Self {
            absolute: text.starts_with('/'),
            parts: parts.map(str::to_owned).collect(),
        })
    }

    /// The way from another folder down to this one; empty where they are one.
    fn below<'f>(&'f self, other: &Self) -> Option<&'f [String]> {
        let down = self.parts.strip_prefix(other.parts.as_slice());
        down.filter(|_| self.absolute == other.absolute)
    }

    /// Where everything of ours is kept for a folder that was live before.
    fn store(&self) -> Option<Self> {
        let (last, above) = self.parts.split_last()?;
        let parts = above.iter().cloned().chain([format!("{last}.deploy")]);
        Some(Self {
            parts: parts.collect(),
            ..self.clone()
        })
    }
}

/// Where a service is on a host; `None` where that holds a secret.
fn folder_on(service: &Service, host: &str) -> Option<Folder> {
    match service.on(host).target {
        TargetConfig::Ssh(ssh) => Folder::of(&ssh.path, host),
        _ => None,
    }
}

impl std::fmt::Display for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let root = if self.absolute { "/" } else { "" };
        write!(f, "{root}{}", self.parts.join("/"))
    }
}

/// A service on one host.
#[derive(Debug, Clone)]
struct Place<'m> {
    environment: &'m EnvName,
    service: &'m ServiceName,
    host: &'m str,
    /// What makes it the same machine as another; `None` for this machine.
    machine: Option<(&'m str, Option<u16>)>,
    folder: Folder,
    /// Where its `path` stands.
    span: Span,
}

/// How two places on one machine get into each other's way: what is said of them, the inner one first.
enum Clash<'p, 'm> {
    /// They are one.
    Same,
    /// The first is in the second, with what it goes through of ours.
    Inside(&'p Place<'m>, &'p Place<'m>, Option<String>),
}

impl<'m> Place<'m> {
    fn clash<'p>(&'p self, other: &'p Self) -> Option<Clash<'p, 'm>> {
        if self.machine != other.machine {
            return None;
        }
        if self.folder == other.folder {
            return Some(Clash::Same);
        }
        [(self, other), (other, self)]
            .into_iter()
            .find_map(|(inner, outer)| {
                let ours = match inner.folder.below(&outer.folder) {
                    Some(down) => {
                        let first = down.first().filter(|first| OURS.contains(&first.as_str()));
                        first.map(|first| format!("{}/{first}", outer.folder))
                    }
                    None => {
                        let store = outer.folder.store()?;
                        inner.folder.below(&store)?;
                        Some(store.to_string())
                    }
                };
                Some(Clash::Inside(inner, outer, ours))
            })
    }
}

/// Two services of one environment in one folder of one host, or one in the other's: each would take apart what the other serves. And
/// a service in a folder of the system's.
pub(super) fn one_service_a_folder(
    environment: &EnvName,
    node: &Node,
    assembled: &BTreeMap<ServiceName, Assembled>,
    cx: &mut Cx<'_>,
) {
    let hosts = written(node, cx);
    let mut places = Vec::new();
    for (service, one) in assembled {
        let Some(whole) = one
            .service
            .as_ref()
            .filter(|service| service.kind() == TargetKind::Ssh)
        else {
            continue;
        };
        let selection = whole.hosts.as_ref();
        for host in hosts.iter().filter(|host| host.takes(selection)) {
            places.extend(folder_on(whole, host.name).map(|folder| Place {
                environment,
                service,
                host: host.name,
                machine: host.machine(),
                folder,
                span: one.path_span,
            }));
        }
    }
    let mut said = BTreeSet::new();
    for place in &places {
        let folder = place.folder.to_string();
        if OF_THE_SYSTEM.contains(&folder.as_str()) && said.insert((place.service, place.service)) {
            let (service, span) = (place.service, place.span);
            cx.within(format!("services.{service}.ssh.path"), |cx| {
                let message = format!("{folder} is the system's, and {service} would take its place");
                cx.problem(
                    span,
                    message,
                    "write a folder of the service's own, as in `/opt/shop`",
                );
            });
        }
    }
    for (index, place) in places.iter().enumerate() {
        for other in places[..index]
            .iter()
            .filter(|other| other.service != place.service)
        {
            let Some(clash) = place.clash(other) else { continue };
            if !said.insert((other.service, place.service)) {
                continue;
            }
            let (of, message) = match clash {
                Clash::Same => {
                    let (one, two) = (other.service, place.service);
                    (
                        place,
                        format!("{one} and {two} are both in {} on {}", place.folder, place.host),
                    )
                }
                Clash::Inside(inner, outer, ours) => {
                    let (service, folder, host) = (inner.service, &inner.folder, inner.host);
                    let theirs = match ours {
                        Some(ours) => format!("{ours} belongs to {}", outer.service),
                        None => format!("{} is in {}", outer.service, outer.folder),
                    };
                    (inner, format!("{service} is in {folder} on {host}, and {theirs}"))
                }
            };
            cx.within(format!("services.{}.ssh.path", of.service), |cx| {
                let help = "give each service a folder of its own, beside the other's";
                cx.problem(of.span, message, help);
            });
        }
    }
}

/// Services of different environments in one folder of one machine, or one in the other's: what changes one environment changes the
/// other, past its gates. Only what one of `asked` is part of.
pub(in super::super) fn apart(
    manifest: Draft<'_>,
    environments: &[Environment],
    asked: &[EnvName],
) -> Vec<Problem> {
    let mut places: Vec<Place<'_>> = Vec::new();
    for environment in environments {
        for service in environment.services.values() {
            if service.kind() != TargetKind::Ssh {
                continue;
            }
            let span = path_span(manifest, &environment.name, &service.name);
            for host in environment.hosts_of(service) {
                let folder = folder_on(service, host.name.as_str());
                places.extend(folder.map(|folder| Place {
                    environment: &environment.name,
                    service: &service.name,
                    host: host.name.as_str(),
                    machine: match &host.address {
                        HostAddress::Local => None,
                        HostAddress::Ssh(ssh) => Some((ssh.host.as_str(), ssh.port)),
                    },
                    folder,
                    span,
                }));
            }
        }
    }
    let mut cx = Cx::new(manifest.file, manifest.text);
    let mut said = BTreeSet::new();
    let mut on: BTreeMap<_, Vec<&Place<'_>>> = BTreeMap::new();
    for place in &places {
        let machine = on.entry(place.machine).or_default();
        // Of several environments in one place each is told with the first.
        let clash = machine
            .iter()
            .filter(|other| other.environment != place.environment)
            .filter(|other| asked.contains(other.environment) || asked.contains(place.environment))
            .filter_map(|other| Some((*other, place.clash(other)?)))
            .min_by_key(|(_, clash)| !matches!(clash, Clash::Same));
        if let Some((other, clash)) = clash
            && said.insert((place.environment, place.service))
        {
            let whose = |place: &Place<'_>| format!("{} of {}", place.service, place.environment);
            let message = match clash {
                Clash::Same => format!(
                    "{} and {} are both in {} on {}",
                    whose(other),
                    whose(place),
                    place.folder,
                    place.host
                ),
                Clash::Inside(inner, outer, _) => format!(
                    "{} is in {} on {}, and {} is in {}",
                    whose(inner),
                    inner.folder,
                    inner.host,
                    whose(outer),
                    outer.folder
                ),
            };
            let key = format!(
                "environments.{}.services.{}.ssh.path",
                place.environment, place.service
            );
            cx.within(key, |cx| {
                let message =
                    format!("{message}: what changes one environment changes the other, past its gates");
                cx.problem(place.span, message, apart_by(&place.folder));
            });
        }
        machine.push(place);
    }
    cx.into_problems()
}

/// The same folder with the environment's name in it.
fn apart_by(folder: &Folder) -> String {
    let named = match folder.parts.split_last() {
        Some((last, above)) => Folder {
            parts: [above, &["${environment}".to_owned(), last.clone()]].concat(),
            ..folder.clone()
        },
        None => folder.clone(),
    };
    format!(
        "put the environment into the path, as in `path = \"{named}\"`, or give each environment a host of its own"
    )
}

/// Where the path of a service in an environment stands.
fn path_span(manifest: Draft<'_>, environment: &EnvName, name: &ServiceName) -> Span {
    let layers = service::layers(manifest, environment.as_str(), name.as_str());
    let over = layers.own.iter().rev().chain(layers.defaults.iter().rev());
    over.flatten()
        .find_map(|layer| layer.at(&["ssh", "path"]))
        .map_or(Span::default(), |node| node.span)
}

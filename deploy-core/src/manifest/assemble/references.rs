//! What an environment's keys refer to: groups, tests, services, hosts that must be there.

use super::super::graph::{self, Graph};
use super::super::keys::environment::HostKeys;
use super::super::node::{Node, Span};
use super::super::parse::Draft;
use super::super::read::{Cx, FromNode};
use super::super::template::{Fact, Part, Template};
use super::super::{HostSelection, TargetConfig};
use super::service::Assembled;
use crate::id::{EnvName, ServiceName};
use std::collections::BTreeMap;

/// The names that an environment's keys refer to.
pub(super) fn names_exist(manifest: Draft<'_>, node: &Node, cx: &mut Cx<'_>) {
    let known = |key: &str| {
        let table = manifest.root.at(&[key]).and_then(Node::as_table);
        table
            .map(|table| table.0.keys().map(String::as_str).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    let mut refer = |path: &str, names: Vec<(String, Span)>, what: &str, known: &[&str]| {
        for (name, span) in names {
            if !name.contains("${") && !known.contains(&name.as_str()) {
                cx.within(path, |cx| {
                    graph::unknown(cx, span, what, &name, known.iter().copied());
                });
            }
        }
    };
    let groups = known("groups");
    for (rule, entry) in node.entries(&["approvals"]) {
        refer(
            &format!("approvals.{rule}.from"),
            graph::names(entry.node.at(&["from"])),
            "group",
            &groups,
        );
    }
    for action in ["deploy", "rollback"] {
        refer(
            &format!("allow.{action}"),
            graph::names(node.at(&["allow", action])),
            "group",
            &groups,
        );
    }
    refer(
        "smoke",
        graph::names(node.at(&["smoke"])),
        "smoke test",
        &known("smoke"),
    );
    let smoke = graph::names(node.at(&["smoke"]));
    let smoke: Vec<&str> = smoke.iter().map(|(name, _)| name.as_str()).collect();
    refer(
        "may_fail",
        graph::names(node.at(&["may_fail"])),
        "smoke test of this environment called",
        &smoke,
    );
    // A check may come from elsewhere by `deploy attest`; only a near miss of a defined one is surely a slip.
    let checks = known("checks");
    for (name, span) in graph::names(node.at(&["checks"])) {
        if let Some(near) = super::super::suggest::nearest(&name, checks.iter().copied())
            && !checks.contains(&name.as_str())
        {
            cx.within("checks", |cx| {
                cx.problem(
                    span,
                    format!("there is no check `{name}`"),
                    format!("did you mean `{near}`?"),
                );
            });
        }
    }
    let services = known("services");
    for (name, entry) in node.entries(&["services"]) {
        if !services.contains(&name.as_str()) {
            cx.within("services", |cx| {
                graph::unknown(cx, entry.key, "service", name, services.iter().copied());
            });
        }
    }
}

/// `needs`: every name exists, and there is no circle among what is enabled.
pub(super) fn needs(assembled: &BTreeMap<ServiceName, Assembled>, cx: &mut Cx<'_>) {
    let graph: Graph = assembled
        .iter()
        .filter(|(_, one)| one.enabled)
        .map(|(name, one)| (name.to_string(), one.needs.clone()))
        .collect();
    for (name, edges) in &graph {
        for (target, span) in edges {
            if !target.contains("${") && !assembled.contains_key(target.as_str()) {
                cx.within(format!("services.{name}.needs"), |cx| {
                    graph::unknown(
                        cx,
                        *span,
                        "service",
                        target,
                        assembled.keys().map(ServiceName::as_str),
                    );
                });
            }
        }
    }
    if let Err(circle) = graph::order(&graph) {
        cx.within("services", |cx| graph::circle(cx, &graph, "needs", &circle));
    }
}

/// An environment without hosts has no service that runs on them.
pub(super) fn hosts_there(
    manifest: Draft<'_>,
    name: &EnvName,
    assembled: &BTreeMap<ServiceName, Assembled>,
    cx: &mut Cx<'_>,
) {
    let wanting: Vec<&str> = assembled
        .iter()
        .filter(|(_, one)| one.wants_hosts)
        .map(|(name, _)| name.as_str())
        .collect();
    if wanting.is_empty() {
        return;
    }
    let entry = manifest.root.at(&["environments"]).and_then(Node::as_table);
    let span = entry.and_then(|table| Some(table.0.get(name.as_str())?.key));
    let runs = if wanting.len() == 1 { "runs" } else { "run" };
    cx.problem(
        span.unwrap_or_default(),
        format!(
            "environment `{name}` has no hosts, and {} {runs} on hosts",
            wanting.join(", ")
        ),
        format!("add `[environments.{name}.hosts]`, or `enabled = false` for such a service there"),
    );
}

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
            _ => true,
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

/// Two services in one folder of one host: each would put its release where the other's is.
pub(super) fn one_service_a_folder(
    node: &Node,
    assembled: &BTreeMap<ServiceName, Assembled>,
    cx: &mut Cx<'_>,
) {
    let hosts = written(node, cx);
    let on_hosts: Vec<_> = assembled
        .iter()
        .filter_map(|(name, one)| match &one.service.as_ref()?.target {
            TargetConfig::Ssh(ssh) => {
                let selection = one.service.as_ref()?.hosts.as_ref();
                let here: Vec<_> = hosts.iter().filter(|host| host.takes(selection)).collect();
                Some((name, one.path_span, folder(&ssh.path), here))
            }
            _ => None,
        })
        .collect();
    for (index, (name, span, path, here)) in on_hosts.iter().enumerate() {
        for (other, _, _, there) in on_hosts[..index].iter().filter(|(_, _, there, _)| there == path) {
            let shared = here
                .iter()
                .find(|host| there.iter().any(|one| one.machine() == host.machine()));
            if let Some(host) = shared {
                let message = format!("{other} and {name} are both in {path} on {}", host.name);
                cx.within(format!("services.{name}.ssh.path"), |cx| {
                    cx.problem(*span, message, "give each service a folder of its own");
                });
            }
        }
    }
}

/// A path with what makes no difference left out.
fn folder(path: &Template) -> String {
    let text = path.to_string();
    let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
    let root = if text.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.collect::<Vec<_>>().join("/"))
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
            let same = here[..index]
                .iter()
                .find(|other| other.machine() == host.machine());
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

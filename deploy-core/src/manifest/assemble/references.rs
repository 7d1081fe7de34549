//! What an environment's keys refer to: groups, tests, services, hosts that must be there.

use super::super::graph::{self, Graph};
use super::super::node::{Node, Span};
use super::super::parse::Draft;
use super::super::read::Cx;
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

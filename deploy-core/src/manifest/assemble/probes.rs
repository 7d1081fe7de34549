//! The probes of one service: exactly one thing asked in each, and what is expected fits what is asked.

use super::super::keys::health::{Probe, ProbeFrom, ProbeKind};
use super::super::keys::target::TargetKind;
use super::super::model::HealthProbe;
use super::super::node::{Node, Value};
use super::super::read::{Cx, FromNode};
use super::super::template::Part;
use crate::id::EvidenceName;
use std::collections::BTreeMap;

/// `enabled = false` takes a probe out before its other keys are judged.
pub(super) fn without_removed(merged: &mut Node, cx: &mut Cx<'_>) {
    let Value::Table(table) = &mut merged.value else {
        return;
    };
    if let Some(Value::Table(health)) = table.0.get_mut("health").map(|entry| &mut entry.node.value) {
        health.0.retain(|name, entry| match entry.node.at(&["enabled"]) {
            Some(node) => cx
                .within(format!("health.{name}.enabled"), |cx| bool::from_node(node, cx))
                .unwrap_or(true),
            None => true,
        });
    }
}

/// Exactly one of http, tcp, command in each probe; judged by the keys, so that it holds without variables too.
pub(super) fn read(
    kind: TargetKind,
    node: &Node,
    cx: &mut Cx<'_>,
) -> Option<BTreeMap<EvidenceName, HealthProbe>> {
    let Some(table) = node.at(&["health"]).and_then(Node::as_table) else {
        return Some(BTreeMap::new());
    };
    let usual = if kind.on_hosts() {
        ProbeFrom::Host
    } else {
        ProbeFrom::Here
    };
    let mut probes = Some(BTreeMap::new());
    for (name, entry) in &table.0 {
        if entry.node.as_table().is_none() {
            // Told where it is read by its form.
            probes = None;
            continue;
        }
        let probe = cx.within(format!("health.{name}"), |cx| {
            let kinds: Vec<&str> = ["http", "tcp", "command"]
                .into_iter()
                .filter(|kind| entry.node.at(&[kind]).is_some())
                .collect();
            match kinds.as_slice() {
                [_] => probe(&entry.node, usual, cx),
                [] => {
                    cx.problem(
                        entry.node.span,
                        format!("the probe `{name}` asks nothing"),
                        "add one of `http`, `tcp`, `command`",
                    );
                    None
                }
                several => {
                    let message = format!("the probe `{name}` has {}", several.join(" and "));
                    cx.problem(
                        entry.node.span,
                        message,
                        "a probe has one of them: make two probes",
                    );
                    None
                }
            }
        });
        match (EvidenceName::new(name), probe, &mut probes) {
            (Ok(name), Some(probe), Some(probes)) => {
                probes.insert(name, probe);
            }
            _ => probes = None,
        }
    }
    probes
}

fn probe(node: &Node, usual: ProbeFrom, cx: &mut Cx<'_>) -> Option<HealthProbe> {
    // Its problems have been reported with the service's.
    let keys = cx.quietly(|cx| Probe::from_node(node, cx))?;
    let kind = match (keys.http, keys.tcp, keys.command) {
        (Some(url), ..) => ProbeKind::Http(url),
        (_, Some(address), _) => ProbeKind::Tcp(address),
        (.., command) => ProbeKind::Command(command?),
    };
    if !matches!(kind, ProbeKind::Http(_)) {
        for key in ["expect", "version"] {
            if let Some(node) = node.at(&[key]) {
                cx.problem(
                    node.span,
                    format!("`{key}` is about the answer to `http`"),
                    "remove it",
                );
            }
        }
    }
    address_rules(&kind, node, cx);
    Some(HealthProbe {
        kind,
        from: keys.from.unwrap_or(usual),
        expect: keys.expect,
        version: keys.version,
        healthy_for: keys.healthy_for.get(),
        timeout: keys.timeout.get(),
        interval: keys.interval.get(),
        deadline: keys.deadline.get(),
    })
}

/// What is asked has a scheme and a port that a machine can have, as far as they are known.
fn address_rules(kind: &ProbeKind, node: &Node, cx: &mut Cx<'_>) {
    let (key, template) = match kind {
        ProbeKind::Http(url) => ("http", url),
        ProbeKind::Tcp(address) => ("tcp", address),
        ProbeKind::Command(_) => return,
    };
    let span = node.at(&[key]).map_or(node.span, |node| node.span);
    let Some(Part::Text(begin)) = template.parts().first() else {
        return;
    };
    let rest = match kind {
        ProbeKind::Http(_) => {
            let schemes = ["http://", "https://"];
            let rest = schemes.iter().find_map(|scheme| begin.strip_prefix(scheme));
            if rest.is_none() && !begin.starts_with("${") {
                cx.problem(
                    span,
                    "a URL begins with `http://` or `https://`",
                    "write `http://localhost:4000/health`",
                );
                return;
            }
            rest.unwrap_or_default()
        }
        _ => begin,
    };
    let end = rest.find(['/', '?', '#']);
    if end.is_none() && template.literal().is_none() {
        // The port comes later.
        return;
    }
    let authority = &rest[..end.unwrap_or(rest.len())];
    let after = authority.rsplit(['@', ']']).next().unwrap_or_default();
    match after.rsplit_once(':').map(|(_, port)| port) {
        None if key == "tcp" => cx.problem(
            span,
            "a `tcp` probe needs a port",
            "write `host:port`, as in `localhost:5432`",
        ),
        Some(port) if !port.contains("${") && !port.parse::<u16>().is_ok_and(|port| port > 0) => {
            let port = crate::failure::printable(port, 20);
            cx.problem(
                span,
                format!("`{port}` is not a port"),
                "a port is a number from 1 to 65535",
            );
        }
        _ => {}
    }
}

//! Facts that a service on servers can never have: what uses one of them would fail when a deployment has begun.

use super::super::ProbeKind;
use super::super::model::HealthProbe;
use super::super::node::{Node, Span};
use super::super::read::Cx;
use super::super::scope::{Given, VarOrigin};
use super::super::template::{Fact, Template, VarName};
use crate::id::EvidenceName;
use std::collections::BTreeMap;

/// Reports each probe and variable of a service on servers that waits for such a fact. `ports`: it has `strategy.ports`.
pub(super) fn never_known(
    ports: bool,
    health: &BTreeMap<EvidenceName, HealthProbe>,
    vars: &BTreeMap<VarName, Template>,
    node: &Node,
    cx: &mut Cx<'_>,
) {
    for (name, probe) in health {
        let (key, template) = match &probe.kind {
            ProbeKind::Http(url) => ("http", url),
            ProbeKind::Tcp(address) => ("tcp", address),
            ProbeKind::Command(_) => continue,
        };
        let span = node
            .at(&["health", name.as_str(), key])
            .map_or(node.span, |node| node.span);
        cx.within(format!("health.{name}.{key}"), |cx| {
            judge(template, ports, span, cx);
        });
    }
    for (name, template) in vars {
        let given = cx.scope.and_then(|scope| scope.given.get(name));
        let Some(Given::Text(_, VarOrigin::Manifest(span))) = given else {
            continue;
        };
        let span = *span;
        cx.within(format!("vars.{name}"), |cx| judge(template, ports, span, cx));
    }
}

fn judge(template: &Template, ports: bool, span: Span, cx: &mut Cx<'_>) {
    for fact in template.facts() {
        let help = match fact {
            Fact::Port if !ports => "write the port, or add `strategy.ports = [4000, 4001]` to the service",
            Fact::Image | Fact::Vm => {
                "a service on servers runs files: use `${release}`, `${version}` or `${tag}`"
            }
            _ => continue,
        };
        let message = format!("nothing says what `${{{}}}` is here", fact.as_str());
        cx.problem(span, message, help);
    }
}

//! Which kind of target a service has in an environment, and which defaults that kind cannot use.

use super::super::keys::strategy::StrategyKind;
use super::super::keys::target::TargetKind;
use super::super::node::{Node, Value};
use super::super::read::{Cx, FromNode};

/// A service's layers in one environment, lowest first, and what they are for.
pub(super) struct Layers<'m> {
    /// `[defaults]`, `[environments.E.defaults]`.
    pub(super) defaults: [Option<&'m Node>; 2],
    /// `[services.S]`, `[environments.E.services.S]`.
    pub(super) own: [Option<&'m Node>; 2],
}

impl<'m> Layers<'m> {
    /// The layers that belong to the environment alone.
    pub(super) fn of_environment(&self) -> Vec<&'m Node> {
        [self.defaults[1], self.own[1]].into_iter().flatten().collect()
    }

    /// A key of the service itself, from its highest layer.
    pub(super) fn own(&self, path: &[&str]) -> Option<&'m Node> {
        self.own.iter().rev().flatten().find_map(|layer| layer.at(path))
    }

    fn default(&self, path: &[&str]) -> Option<&'m Node> {
        self.defaults
            .iter()
            .rev()
            .flatten()
            .find_map(|layer| layer.at(path))
    }

    /// The kind: said by the service, shown by its one table, said by the defaults, shown by their one table.
    pub(super) fn kind(&self, whole: &Node, cx: &mut Cx<'_>) -> Option<TargetKind> {
        if let Some(node) = self.own(&["target"]) {
            return cx.within("target", |cx| TargetKind::from_node(node, cx));
        }
        let tables = |layers: &[Option<&Node>; 2]| {
            let has = |kind: &TargetKind| {
                layers
                    .iter()
                    .flatten()
                    .any(|layer| layer.at(&[kind.as_str()]).is_some())
            };
            TargetKind::ALL.iter().copied().filter(has).collect::<Vec<_>>()
        };
        let said = self.default(&["target"]);
        let own = tables(&self.own);
        let shown = if own.is_empty() && said.is_none() {
            tables(&self.defaults)
        } else {
            own
        };
        match (shown.as_slice(), said) {
            ([kind], _) => Some(*kind),
            (_, Some(node)) => cx.within("target", |cx| TargetKind::from_node(node, cx)),
            ([], None) => {
                let kinds = TargetKind::ALL
                    .iter()
                    .map(|kind| kind.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                cx.problem(
                    whole.span,
                    format!("[{}] does not say what it runs on", cx.path()),
                    format!("add `target = …` or the table of one of {kinds}"),
                );
                None
            }
            (several, None) => {
                let kinds = several
                    .iter()
                    .map(|kind| kind.as_str())
                    .collect::<Vec<_>>()
                    .join(" and ");
                cx.problem(
                    whole.span,
                    format!("[{}] has tables for {kinds}", cx.path()),
                    "say which one is in use with `target = …`",
                );
                None
            }
        }
    }
}

/// Takes out of the merged defaults what this kind cannot use, so that it is passed over.
pub(super) fn usable_defaults(
    mut defaults: Node,
    kind: TargetKind,
    layers: &Layers<'_>,
    cx: &Cx<'_>,
) -> Node {
    let Value::Table(table) = &mut defaults.value else {
        return defaults;
    };
    table.0.remove("target");
    let by_source = layers.own(&["ssh", "source"]).is_some() && kind == TargetKind::Ssh;
    if !kind.takes_artifact() || by_source {
        table.0.remove("artifact");
    }
    if !kind.takes_health() {
        table.0.remove("health");
    }
    if let Some(Value::Table(strategy)) = table.0.get_mut("strategy").map(|entry| &mut entry.node.value) {
        let usable = strategy.0.get("kind").is_none_or(|entry| {
            let word = match (entry.node.as_str(), cx.scope) {
                (Some(text), Some(scope)) => super::literal(scope, text),
                (text, _) => text.map(str::to_owned),
            };
            // What is no strategy at all is reported where it is read.
            word.and_then(|word| StrategyKind::named(&word))
                .is_none_or(|chosen| {
                    // On servers blue-green takes two ports; a service that has none cannot follow such a default.
                    let has_ports =
                        strategy.0.contains_key("ports") || layers.own(&["strategy", "ports"]).is_some();
                    let by_ports = chosen == StrategyKind::BlueGreen && kind == TargetKind::Ssh;
                    StrategyKind::of(kind).contains(&chosen) && (has_ports || !by_ports)
                })
        });
        if !usable {
            strategy.0.remove("kind");
        }
    }
    // Settings without a probe wait for a service that adds one.
    if let Some(Value::Table(health)) = table.0.get_mut("health").map(|entry| &mut entry.node.value) {
        health.0.retain(|name, entry| {
            let has_kind = ["http", "tcp", "command"]
                .iter()
                .any(|kind| entry.node.at(&[kind]).is_some());
            has_kind || layers.own(&["health", name]).is_some()
        });
    }
    defaults
}

/// Reports what the service itself says and its kind cannot use.
pub(super) fn unusable(kind: TargetKind, layers: &Layers<'_>, cx: &mut Cx<'_>) {
    if let Some(node) = layers.own(&["artifact"])
        && !kind.takes_artifact()
    {
        cx.within("artifact", |cx| {
            cx.problem(
                node.span,
                format!("a {kind} service runs no artifact"),
                "remove `artifact`",
            );
        });
    }
    if let Some(node) = layers.own(&["health"])
        && !kind.takes_health()
        && node.as_table().is_some_and(|table| {
            table
                .0
                .values()
                .any(|probe| probe.node.at(&["enabled"]).is_none())
        })
    {
        let help = "what was applied is asked of the database itself: remove `health`";
        cx.within("health", |cx| {
            cx.problem(node.span, format!("a {kind} service has no probes"), help);
        });
    }
}

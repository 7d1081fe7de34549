//! What a service's keys decide together: its strategy, its target's table, what it runs.

use super::super::keys::service::ServiceKeys;
use super::super::keys::strategy::StrategyKind;
use super::super::keys::target::{TargetConfig, TargetKind};
use super::super::model::{Content, ServiceStrategy};
use super::super::node::Node;
use super::super::read::Cx;

pub(super) fn strategy(
    kind: TargetKind,
    keys: &ServiceKeys,
    node: &Node,
    cx: &mut Cx<'_>,
) -> Option<ServiceStrategy> {
    let strategy = keys.strategy.clone();
    let chosen = strategy.kind.unwrap_or(StrategyKind::usual(kind));
    let able = StrategyKind::of(kind);
    if !able.contains(&chosen) {
        let span = node.at(&["strategy", "kind"]).map_or(node.span, |node| node.span);
        let words = able
            .iter()
            .map(|able| able.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        cx.within("strategy.kind", |cx| {
            cx.problem(
                span,
                format!("{kind} cannot do {chosen}"),
                format!("it can do {words}"),
            );
        });
        return None;
    }
    if chosen == StrategyKind::BlueGreen {
        let missing = match kind {
            TargetKind::Ssh if strategy.ports.is_none() => Some("`ports = [4000, 4001]`"),
            TargetKind::Ssh if strategy.proxy.is_none() => Some("`proxy = { nginx = \"…\" }`"),
            TargetKind::Ssh if keys.ssh.as_ref().is_some_and(|ssh| ssh.restart.is_none()) => {
                Some("`restart = 'systemctl restart shop@$DEPLOY_PORT'` to its ssh table")
            }
            TargetKind::K8s if strategy.blue.is_none() || strategy.green.is_none() => {
                Some("`blue` and `green`")
            }
            TargetKind::K8s if strategy.service.is_none() || strategy.label.is_none() => {
                Some("`service` and `label`")
            }
            _ => None,
        };
        if let Some(missing) = missing {
            let span = node.at(&["strategy"]).map_or(node.span, |node| node.span);
            let message = format!(
                "blue-green on {kind} without {}",
                missing.split(" =").next().unwrap_or(missing).trim_matches('`')
            );
            cx.within("strategy", |cx| {
                cx.problem(span, message, format!("add {missing}"));
            });
            return None;
        }
    }
    if chosen == StrategyKind::Rolling && !strategy.max_failures.is_zero() {
        can_leave_out(kind, keys, node, cx)?;
    }
    Some(ServiceStrategy {
        kind: chosen,
        batch: strategy.batch,
        max_failures: strategy.max_failures,
        within_steps: (chosen == StrategyKind::Canary && node.at(&["strategy", "batch"]).is_some())
            .then_some(strategy.batch),
        steps: strategy.steps,
        ports: strategy.ports,
        proxy: strategy.proxy,
        drain: strategy.drain,
        blue: strategy.blue,
        green: strategy.green,
        service: strategy.service,
        label: strategy.label,
    })
}

/// What fails within a budget is stopped, and seen to be: the kind has to be able to, and somebody to look.
fn can_leave_out(kind: TargetKind, keys: &ServiceKeys, node: &Node, cx: &mut Cx<'_>) -> Option<()> {
    let (message, help) = match &keys.ssh {
        _ if kind != TargetKind::Ssh => (
            format!(
                "{kind} cannot stop one slice while the others serve, and what fails must not serve beside the release"
            ),
            "leave `max_failures` out: the first failure turns back",
        ),
        Some(ssh) if ssh.stop.is_none() => (
            "a host that fails has to be stopped, and nothing says how".to_owned(),
            "add `stop = \"systemctl stop …\"` to the service's ssh table",
        ),
        _ if keys.health.is_empty() => (
            "a host that fails has to be seen stopped, and no probe looks".to_owned(),
            "add a probe to the service's `health`",
        ),
        _ => return Some(()),
    };
    let span = node
        .at(&["strategy", "max_failures"])
        .map_or(node.span, |node| node.span);
    cx.within("strategy.max_failures", |cx| cx.problem(span, message, help));
    None
}

pub(super) fn target(
    kind: TargetKind,
    keys: &ServiceKeys,
    node: &Node,
    cx: &mut Cx<'_>,
) -> Option<TargetConfig> {
    let config = match kind {
        TargetKind::Ssh => keys.ssh.clone().map(TargetConfig::Ssh),
        TargetKind::K8s => keys.k8s.clone().map(TargetConfig::K8s),
        TargetKind::Fly => keys.fly.clone().map(TargetConfig::Fly),
        TargetKind::GoldenImage => keys.golden_image.clone().map(TargetConfig::GoldenImage),
        TargetKind::Compose => keys.compose.clone().map(TargetConfig::Compose),
        TargetKind::Migrations => keys.migrations.clone().map(TargetConfig::Migrations),
        TargetKind::Exec => keys.exec.clone().map(TargetConfig::Exec),
    };
    if config.is_none() && node.at(&[kind.as_str()]).is_none() {
        let message = format!("[{}] is of kind `{kind}` and has no `{kind}` table", cx.path());
        cx.problem(node.span, message, format!("add `[{}.{kind}]`", cx.path()));
    }
    config
}

pub(super) fn content(kind: TargetKind, keys: &ServiceKeys, node: &Node, cx: &mut Cx<'_>) -> Option<Content> {
    let source = keys
        .ssh
        .as_ref()
        .filter(|_| kind == TargetKind::Ssh)
        .and_then(|ssh| ssh.source.clone());
    match (keys.artifact.clone().filter(|_| kind.takes_artifact()), source) {
        (Some(_), Some(_)) => {
            let span = node.at(&["ssh", "source"]).map_or(node.span, |node| node.span);
            cx.problem(span, "both an `artifact` and a `source`", "keep one of them");
            None
        }
        (Some(artifact), None) => Some(Content::Artifact(artifact)),
        (None, Some(source)) => Some(Content::Source(source)),
        (None, None) if kind.on_hosts() => {
            let message = format!("[{}] does not say what it runs", cx.path());
            let help = if kind == TargetKind::Ssh {
                "add `artifact = …`, or `source = \".\"` to its ssh table"
            } else {
                "add `artifact = …`"
            };
            cx.problem(node.span, message, help);
            None
        }
        (None, None) => Some(Content::Own),
    }
}

//! One service in one environment.

use super::super::graph;
use super::super::keys::health::{Probe, ProbeFrom, ProbeKind};
use super::super::keys::service::ServiceKeys;
use super::super::keys::strategy::{HostSelection, StrategyKind};
use super::super::keys::target::{TargetConfig, TargetKind};
use super::super::merge;
use super::super::model::{Content, HealthProbe, NamedHook, Service, ServiceStrategy, Setting};
use super::super::node::{Node, Span, Table};
use super::super::parse::Manifest;
use super::super::read::{Cx, FromNode};
use super::super::scope::{Given, Scope};
use super::super::template::{Fact, VarName};
use super::kind::{Layers, unusable, usable_defaults};
use super::variables::{self, Variables};
use super::{Inputs, settings};
use crate::id::{EvidenceName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// What the services of one environment have in common.
pub(super) struct Around<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) environment: &'a str,
    pub(super) facts: BTreeMap<Fact, String>,
    pub(super) variables: Variables,
    pub(super) secrets: BTreeMap<VarName, super::super::SecretRef>,
    /// The groups that have hosts here; `None`: a host without groups makes every name good.
    pub(super) groups: Option<BTreeSet<String>>,
    pub(super) no_hosts: bool,
}

/// The services of the manifest, by name.
pub(super) fn names(manifest: &Manifest) -> Vec<&str> {
    manifest
        .root
        .at(&["services"])
        .and_then(Node::as_table)
        .map(|table| table.0.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

pub(super) fn layers<'m>(manifest: &'m Manifest, environment: &str, service: &str) -> Layers<'m> {
    let root = &manifest.root;
    Layers {
        defaults: [
            root.at(&["defaults"]),
            root.at(&["environments", environment, "defaults"]),
        ],
        own: [
            root.at(&["services", service]),
            root.at(&["environments", environment, "services", service]),
        ],
    }
}

fn over(layers: [Option<&Node>; 2]) -> Node {
    let empty = Node::table(Span::default(), Table::default());
    layers
        .into_iter()
        .flatten()
        .fold(empty, |below, above| merge::service(&below, above))
}

/// What a service runs in an environment as the manifest says it, with the service's name filled in, and where the
/// environment itself says so; `None` where it is left out or not known without variables.
pub(super) fn raw_content(
    manifest: &Manifest,
    environment: &str,
    service: &str,
) -> Option<(String, Option<Span>)> {
    let layers = layers(manifest, environment, service);
    if layers
        .own(&["enabled"])
        .is_some_and(|node| node.value == super::super::node::Value::Bool(false))
    {
        return None;
    }
    let mut quiet = Cx::new("", "");
    let kind = layers.kind(&manifest.root, &mut quiet)?;
    let merged = merge::service(&over(layers.defaults), &over(layers.own));
    let source = merged.at(&["ssh", "source"]).filter(|_| kind == TargetKind::Ssh);
    let artifact = merged.at(&["artifact"]).filter(|_| kind.takes_artifact());
    let node = source.or(artifact)?;
    let text = node.as_str()?.replace("${service}", service);
    let here = [layers.defaults[1], layers.own[1]]
        .into_iter()
        .flatten()
        .any(|layer| {
            [layer.at(&["artifact"]), layer.at(&["ssh", "source"])]
                .into_iter()
                .flatten()
                .any(|own| own.span == node.span)
        });
    (!text.contains("${")).then_some((text, here.then_some(node.span)))
}

/// Whether it is left out, its settings, and the service where it could be read whole.
pub(super) struct Assembled {
    pub(super) enabled: bool,
    pub(super) service: Option<Service>,
    pub(super) settings: Vec<Setting>,
    pub(super) taken: BTreeMap<VarName, String>,
    /// `needs` as written, with places.
    pub(super) needs: Vec<(String, Span)>,
    /// Where `ssh.path` stands.
    pub(super) path_span: Span,
}

pub(super) fn assemble(around: &Around<'_>, name: &ServiceName, cx: &mut Cx<'_>) -> Assembled {
    let layers = layers(around.manifest, around.environment, name.as_str());
    let own = over(layers.own);
    let defaults = over(layers.defaults);
    let unjudged = merge::service(&defaults, &own);
    let own_layers = layers.of_environment();
    let of_environment_secrets = |secret: &VarName| {
        let path = ["environments", around.environment, "secrets", secret.as_str()];
        around.manifest.root.at(&path).is_some()
    };
    let mut facts = around.facts.clone();
    facts.insert(Fact::Service, name.to_string());
    let scope = Scope {
        realm: super::super::scope::Realm::Environment,
        facts,
        given: variables::of_service(&around.variables, &unjudged, &own_layers, of_environment_secrets),
        caller: around.inputs.caller,
        taken: Default::default(),
        home: format!("environments.{}.vars", around.environment),
        lenient: around.inputs.lenient,
    };
    let mut inner = cx.deeper(&scope, format!("services.{name}"));
    let enabled = match unjudged.at(&["enabled"]) {
        Some(node) => inner
            .within("enabled", |cx| bool::from_node(node, cx))
            .unwrap_or(true),
        None => true,
    };
    let path_span = unjudged.at(&["ssh", "path"]).map_or(own.span, |node| node.span);
    let needs = graph::names(unjudged.at(&["needs"]));
    let (service, settings) = if enabled {
        let whole = layers.own[0].unwrap_or(&own);
        let kind = layers.kind(whole, &mut inner);
        kind.map_or((None, Vec::new()), |kind| {
            unusable(kind, &layers, &mut inner);
            let defaults = usable_defaults(defaults, kind, &layers, &inner);
            let mut merged = merge::service(&defaults, &own);
            merged.span = whole.span;
            without_removed_probes(&mut merged, &mut inner);
            read(around, name, kind, &merged, &scope, &mut inner)
        })
    } else {
        (None, Vec::new())
    };
    let problems = inner.take_problems();
    drop(inner);
    cx.extend(problems);
    Assembled {
        enabled,
        service,
        settings,
        taken: scope.taken.into_inner(),
        needs,
        path_span,
    }
}

/// `enabled = false` takes a probe out before its other keys are judged.
fn without_removed_probes(merged: &mut Node, cx: &mut Cx<'_>) {
    let super::super::node::Value::Table(table) = &mut merged.value else {
        return;
    };
    if let Some(super::super::node::Value::Table(health)) =
        table.0.get_mut("health").map(|entry| &mut entry.node.value)
    {
        health.0.retain(|name, entry| match entry.node.at(&["enabled"]) {
            Some(node) => cx
                .within(format!("health.{name}.enabled"), |cx| bool::from_node(node, cx))
                .unwrap_or(true),
            None => true,
        });
    }
}

fn read(
    around: &Around<'_>,
    name: &ServiceName,
    kind: TargetKind,
    merged: &Node,
    scope: &Scope<'_>,
    cx: &mut Cx<'_>,
) -> (Option<Service>, Vec<Setting>) {
    // The tables of other kinds may stand beside; they were checked as they stand and mean nothing here.
    let mut node = merged.clone();
    if let super::super::node::Value::Table(table) = &mut node.value {
        table
            .0
            .retain(|key, _| TargetKind::named(key).is_none_or(|other| other == kind));
    }
    let keys = ServiceKeys::from_node(&node, cx);
    let health = probes(kind, &node, cx);
    artifact_exists(around.manifest, &node, scope, cx);
    hosts_exist(around, kind, &node, cx);
    let vars = own_variables(scope, cx);
    let secrets = named_secrets(around, &node, scope, cx);
    let strategy = keys.as_ref().and_then(|keys| strategy(kind, keys, &node, cx));
    let target = keys.as_ref().and_then(|keys| target(kind, keys, &node, cx));
    let content = keys.as_ref().and_then(|keys| content(kind, keys, &node, cx));
    let (Some(keys), Some(health), Some(strategy), Some(target), Some(content), Some(vars), Some(secrets)) =
        (keys, health, strategy, target, content, vars, secrets)
    else {
        return (None, Vec::new());
    };
    let mut keys = keys;
    (keys.target, keys.strategy.kind) = (Some(kind), Some(strategy.kind));
    let settings = settings::of_service(around, name, &keys, &node, &vars, scope);
    let hosts = kind.on_hosts().then(|| match &target {
        TargetConfig::Ssh(ssh) => ssh.hosts.clone(),
        TargetConfig::GoldenImage(image) => image.hosts.clone(),
        _ => None,
    });
    let mut hooks: Vec<(Span, NamedHook)> = keys
        .hooks
        .into_iter()
        .map(|(hook, keys)| {
            let span = node
                .at(&["hooks", hook.as_str()])
                .map_or(node.span, |node| node.span);
            let named = NamedHook {
                name: hook,
                at: keys.at,
                if_changed: keys.if_changed,
                produces: keys.produces,
                command: keys.command,
                timeout: keys.timeout.get(),
            };
            (span, named)
        })
        .collect();
    hooks.sort_by_key(|(span, _)| *span);
    let service = Service {
        name: name.clone(),
        target,
        content,
        needs: keys.needs,
        dropped_needs: Vec::new(),
        hosts: hosts.map(|group| group.map_or(HostSelection::All, HostSelection::Group)),
        strategy,
        hooks: hooks.into_iter().map(|(_, hook)| hook).collect(),
        health,
        analysis: keys.analysis,
        on_failure: keys.on_failure,
        bake: keys.bake.get(),
        vars,
        secrets,
    };
    (Some(service), settings)
}

/// Exactly one of http, tcp, command in each probe; judged by the keys, so that it holds without variables too.
fn probes(kind: TargetKind, node: &Node, cx: &mut Cx<'_>) -> Option<BTreeMap<EvidenceName, HealthProbe>> {
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
    if let ProbeKind::Http(url) = &kind
        && let Some(super::super::template::Part::Text(text)) = url.parts().first()
        && !["http://", "https://", "${"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
    {
        let span = node.at(&["http"]).map_or(node.span, |node| node.span);
        cx.problem(
            span,
            "a URL begins with `http://` or `https://`",
            "write `http://localhost:4000/health`",
        );
    }
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

fn strategy(kind: TargetKind, keys: &ServiceKeys, node: &Node, cx: &mut Cx<'_>) -> Option<ServiceStrategy> {
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
                cx.problem(span, message, format!("add {missing}"))
            });
            return None;
        }
    }
    Some(ServiceStrategy {
        kind: chosen,
        batch: strategy.batch,
        max_failures: strategy.max_failures,
        steps: strategy.steps,
        ports: strategy.ports,
        proxy: strategy.proxy,
        blue: strategy.blue,
        green: strategy.green,
        service: strategy.service,
        label: strategy.label,
    })
}

fn target(kind: TargetKind, keys: &ServiceKeys, node: &Node, cx: &mut Cx<'_>) -> Option<TargetConfig> {
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

fn content(kind: TargetKind, keys: &ServiceKeys, node: &Node, cx: &mut Cx<'_>) -> Option<Content> {
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

fn artifact_exists(manifest: &Manifest, node: &Node, scope: &Scope<'_>, cx: &mut Cx<'_>) {
    let Some((node, text)) = node
        .at(&["artifact"])
        .and_then(|node| Some((node, node.as_str()?)))
    else {
        return;
    };
    let known = manifest
        .root
        .at(&["artifacts"])
        .and_then(Node::as_table)
        .map(|table| &table.0);
    let known = || known.into_iter().flat_map(BTreeMap::keys).map(String::as_str);
    if let Some(name) = super::literal(scope, text)
        && !known().any(|known| known == name)
    {
        let names: Vec<&str> = known().collect();
        cx.within("artifact", |cx| {
            graph::unknown(cx, node.span, "artifact", &name, names.iter().copied())
        });
    }
}

fn hosts_exist(around: &Around<'_>, kind: TargetKind, node: &Node, cx: &mut Cx<'_>) {
    let path: &[&str] = if kind == TargetKind::Migrations {
        &["migrations", "via"]
    } else {
        &[kind.as_str(), "hosts"]
    };
    let named = node.at(path).and_then(|node| Some((node, node.as_str()?)));
    if (kind.on_hosts() || named.is_some()) && around.no_hosts {
        let message = format!(
            "[{}] runs on hosts, and environment `{}` has none",
            cx.path(),
            around.environment
        );
        let help = format!(
            "add `[environments.{}.hosts]`, or `enabled = false` for it there",
            around.environment
        );
        cx.problem(node.span, message, help);
        return;
    }
    if let (Some((node, text)), Some(groups), Some(scope)) = (named, &around.groups, cx.scope)
        && let Some(name) = super::literal(scope, text)
        && !groups.contains(&name)
    {
        let message = format!("environment `{}` has no host group `{name}`", around.environment);
        let help = match super::super::suggest::nearest(&name, groups.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "its groups are {}",
                groups.iter().cloned().collect::<Vec<_>>().join(", ")
            ),
        };
        cx.within(path.join("."), |cx| cx.problem(node.span, message, help));
    }
}

/// Every variable the service gets, expanded; a secret in one would reach every service in the clear.
fn own_variables(scope: &Scope<'_>, cx: &mut Cx<'_>) -> Option<BTreeMap<VarName, super::super::Template>> {
    super::environment::expanded(scope, cx)
}

fn named_secrets(
    around: &Around<'_>,
    node: &Node,
    scope: &Scope<'_>,
    cx: &mut Cx<'_>,
) -> Option<BTreeMap<VarName, super::super::SecretRef>> {
    let mut secrets = Some(BTreeMap::new());
    for (text, span) in graph::names(node.at(&["secrets"])) {
        let Some(name) = super::literal(scope, &text).and_then(|text| VarName::new(&text).ok()) else {
            continue;
        };
        let reference = match scope.given.get(&name) {
            Some(Given::Secret) => around.secrets.get(&name).cloned(),
            Some(Given::Text(..)) => continue,
            None if (scope.caller)(name.as_str()).is_some() => {
                Some(super::super::SecretRef::Env(name.to_string()))
            }
            None if scope.lenient => continue,
            None => {
                let help = format!(
                    "add it to [secrets] or [environments.{}.secrets]",
                    around.environment
                );
                cx.within("secrets", |cx| {
                    cx.problem(
                        span,
                        format!("nothing says where the secret `{name}` comes from"),
                        help,
                    )
                });
                None
            }
        };
        match (reference, &mut secrets) {
            (Some(reference), Some(secrets)) => {
                secrets.insert(name, reference);
            }
            _ => secrets = None,
        }
    }
    secrets
}

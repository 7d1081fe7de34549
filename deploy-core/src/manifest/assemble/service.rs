//! One service in one environment.

use super::super::graph;
use super::super::keys::environment::HostKeys;
use super::super::keys::service::ServiceKeys;
use super::super::keys::strategy::HostSelection;
use super::super::keys::target::{TargetConfig, TargetKind};
use super::super::merge::{self, Place};
use super::super::model::{NamedHook, Service, Setting};
use super::super::node::{Node, Span, Table};
use super::super::parse::Draft;
use super::super::read::{Cx, FromNode};
use super::super::scope::{Given, Scope};
use super::super::template::{Fact, VarName};
use super::by_host::{self, HostVariables};
use super::kind::{Layers, unusable, usable_defaults};
use super::probes;
use super::variables::{self, Variables};
use super::{Inputs, settings};
use super::{decide, facts};
use crate::id::{GroupName, HostName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// What the services of one environment have in common.
pub(super) struct Around<'a> {
    pub(super) manifest: Draft<'a>,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) environment: &'a str,
    pub(super) facts: BTreeMap<Fact, String>,
    pub(super) variables: Variables,
    pub(super) secrets: BTreeMap<VarName, super::super::SecretRef>,
    /// The groups that have hosts here: those that hosts name, and of a host without groups all that any environment knows.
    pub(super) groups: BTreeSet<String>,
    /// The hosts, by name: each is a group of one.
    pub(super) hosts: BTreeSet<String>,
    /// The hosts' own variables, in the manifest's order.
    pub(super) of_hosts: Vec<HostVariables>,
    /// The hosts as the manifest says them, by name.
    pub(super) host_keys: BTreeMap<HostName, HostKeys>,
}

impl Around<'_> {
    /// What a name in `hosts` selects. A group of that name comes before a host.
    fn selection(&self, named: Option<GroupName>) -> HostSelection {
        let Some(group) = named else {
            return HostSelection::All;
        };
        let is_host = !self.groups.contains(group.as_str()) && self.hosts.contains(group.as_str());
        match HostName::new(group.as_str()) {
            Ok(host) if is_host => HostSelection::Host(host),
            _ => HostSelection::Group(group),
        }
    }
}

/// The services of the manifest, by name.
pub(super) fn names(manifest: Draft<'_>) -> Vec<&str> {
    manifest
        .root
        .at(&["services"])
        .and_then(Node::as_table)
        .map(|table| table.0.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

pub(super) fn layers<'m>(manifest: Draft<'m>, environment: &str, service: &str) -> Layers<'m> {
    let root = manifest.root;
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
    match layers {
        [Some(below), Some(above)] => merge::service(below, above, Place::Below),
        [Some(layer), None] | [None, Some(layer)] => layer.clone(),
        [None, None] => Node::table(Span::default(), Table::default()),
    }
}

/// What a service runs in an environment as the manifest says it, with the service's name filled in, and where the
/// environment itself says so; `None` where it is left out or not known without variables.
pub(super) fn raw_content(
    manifest: Draft<'_>,
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
    let kind = layers.kind(manifest.root, &mut quiet)?;
    let merged = merge::service(&over(layers.defaults), &over(layers.own), Place::Above);
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
    /// Whether it runs on hosts, or goes through one.
    pub(super) wants_hosts: bool,
}

pub(super) fn assemble(around: &Around<'_>, name: &ServiceName, cx: &mut Cx<'_>) -> Assembled {
    let layers = layers(around.manifest, around.environment, name.as_str());
    let own = over(layers.own);
    let defaults = over(layers.defaults);
    let unjudged = merge::service(&defaults, &own, Place::Above);
    let own_layers = layers.of_environment();
    let of_environment_secrets = |secret: &VarName| {
        let path = ["environments", around.environment, "secrets", secret.as_str()];
        around.manifest.root.at(&path).is_some()
    };
    let mut facts = around.facts.clone();
    facts.insert(Fact::Service, name.to_string());
    let given = variables::of_service(&around.variables, &unjudged, &own_layers, of_environment_secrets);
    let only_here = by_host::only_here(&around.of_hosts, &given);
    let scope = Scope {
        realm: super::super::scope::Realm::Environment,
        facts,
        given: by_host::with_any(&around.of_hosts, &given),
        caller: around.inputs.caller,
        taken: std::cell::RefCell::default(),
        home: format!("environments.{}.vars", around.environment),
        judging: around.inputs.judging,
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
    let whole = layers.own[0].unwrap_or(&own);
    let kind = enabled.then(|| layers.kind(whole, &mut inner)).flatten();
    let wants_hosts = kind.is_some_and(|kind| kind.on_hosts() || unjudged.at(hosts_key(kind)).is_some());
    let (service, settings) = if enabled {
        kind.map_or((None, Vec::new()), |kind| {
            unusable(kind, &layers, &mut inner);
            let defaults = usable_defaults(defaults, kind, &layers, &inner);
            let mut merged = merge::service(&defaults, &own, Place::Above);
            merged.span = whole.span;
            probes::without_removed(&mut merged, &mut inner);
            let (mut service, mut settings) = read(around, name, kind, &merged, &scope, &mut inner);
            if let Some(service) = &mut service {
                let reading = Reading {
                    name,
                    kind,
                    merged: &merged,
                    scope: &scope,
                };
                own_to_hosts(around, &reading, &given, &only_here, service, &mut inner);
                let of_hosts: BTreeSet<String> = only_here
                    .iter()
                    .map(|var| format!("services.{name}.vars.{var}"))
                    .collect();
                settings.retain(|setting| !of_hosts.contains(&setting.key));
            }
            (service, settings)
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
        wants_hosts,
    }
}

/// How a service is read.
struct Reading<'r, 'a> {
    name: &'r ServiceName,
    kind: TargetKind,
    merged: &'r Node,
    scope: &'r Scope<'a>,
}

/// Reads a service again for each of its hosts that has variables of its own.
fn own_to_hosts(
    around: &Around<'_>,
    reading: &Reading<'_, '_>,
    given: &Variables,
    only_here: &BTreeSet<VarName>,
    service: &mut Service,
    cx: &mut Cx<'_>,
) {
    let runs_on = |host: &HostName| match &service.hosts {
        None => false,
        Some(HostSelection::All) => true,
        Some(HostSelection::Host(named)) => named == host,
        Some(HostSelection::Group(group)) => around
            .host_keys
            .get(host)
            .is_some_and(|keys| keys.groups.is_empty() || keys.groups.contains(group)),
    };
    let mut by_host = BTreeMap::new();
    let hosts = around.of_hosts.iter().filter(|own| runs_on(&own.host));
    for own in hosts.filter(|own| by_host::differs(own, only_here)) {
        let home = format!("environments.{}.hosts.{}.vars", around.environment, own.host);
        let theirs = by_host::with_its_own(own, given, cx);
        let scope = by_host::scope(reading.scope, theirs, home);
        let mut there = cx.deeper(&scope, format!("services.{} on {}", reading.name, own.host));
        let (here, _) = read(
            around,
            reading.name,
            reading.kind,
            reading.merged,
            &scope,
            &mut there,
        );
        let problems = there.take_problems();
        drop(there);
        cx.extend(problems);
        reading.scope.taken.borrow_mut().extend(scope.taken.into_inner());
        if let Some(here) = here {
            by_host.insert(own.host.clone(), by_host::on_host(here));
        }
    }
    by_host::without(only_here, service);
    service.by_host = by_host;
}

/// The key that names a host group.
fn hosts_key(kind: TargetKind) -> &'static [&'static str] {
    match kind {
        TargetKind::Ssh => &["ssh", "hosts"],
        TargetKind::GoldenImage => &["golden-image", "hosts"],
        TargetKind::Migrations => &["migrations", "via"],
        TargetKind::K8s | TargetKind::Fly | TargetKind::Compose | TargetKind::Exec => &["hosts"],
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
    let health = probes::read(kind, &node, cx);
    artifact_exists(around.manifest, &node, scope, cx);
    hosts_exist(around, kind, &node, cx);
    let vars = own_variables(scope, cx);
    let secrets = named_secrets(around, &node, scope, cx);
    let strategy = keys
        .as_ref()
        .and_then(|keys| decide::strategy(kind, keys, &node, cx));
    let ports = keys.as_ref().is_some_and(|keys| keys.strategy.ports.is_some());
    if let (TargetKind::Ssh, Some(health), Some(vars)) = (kind, &health, &vars) {
        facts::never_known(ports, health, vars, &node, cx);
    }
    let target = keys
        .as_ref()
        .and_then(|keys| decide::target(kind, keys, &node, cx));
    let content = keys
        .as_ref()
        .and_then(|keys| decide::content(kind, keys, &node, cx));
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
        hosts: hosts.map(|group| around.selection(group)),
        strategy,
        hooks: hooks.into_iter().map(|(_, hook)| hook).collect(),
        health,
        analysis: keys.analysis,
        on_failure: keys.on_failure,
        bake: keys.bake.get(),
        vars,
        secrets,
        by_host: BTreeMap::new(),
    };
    (Some(service), settings)
}

fn artifact_exists(manifest: Draft<'_>, node: &Node, scope: &Scope<'_>, cx: &mut Cx<'_>) {
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
            graph::unknown(cx, node.span, "artifact", &name, names.iter().copied());
        });
    }
}

fn hosts_exist(around: &Around<'_>, kind: TargetKind, node: &Node, cx: &mut Cx<'_>) {
    let path = hosts_key(kind);
    let named = node.at(path).and_then(|node| Some((node, node.as_str()?)));
    if around.hosts.is_empty() {
        // One problem for all services: the environment's.
        return;
    }
    if let (Some((node, text)), Some(scope)) = (named, cx.scope)
        && let Some(name) = super::literal(scope, text)
        && !around.groups.contains(&name)
        && !around.hosts.contains(&name)
    {
        // A name that is wrong everywhere is one slip, not one for each environment.
        let message = if graph::host_groups(around.manifest.root).contains(&name.as_str()) {
            format!("environment `{}` has no host group `{name}`", around.environment)
        } else {
            format!("there is no host group `{name}`")
        };
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let known = || around.groups.iter().chain(&around.hosts).map(String::as_str);
        let help = match super::super::suggest::nearest(&name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if around.groups.is_empty() => format!(
                "leave `hosts` out for all, or name a host: {}",
                list(&around.hosts)
            ),
            None => format!("its groups are {}", list(&around.groups)),
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
            None if scope.judging.is_lenient() => continue,
            None => {
                let place = format!(
                    "add it to [secrets] or [environments.{}.secrets]",
                    around.environment
                );
                let help = scope.did_you_mean(&name, &place);
                cx.within("secrets", |cx| {
                    cx.problem(
                        span,
                        format!("nothing says where the secret `{name}` comes from"),
                        help,
                    );
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

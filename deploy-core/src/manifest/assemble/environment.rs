//! One environment: its own keys, its services, and the rules between them.

use super::super::graph;
use super::super::keys::environment::{EnvironmentKeys, SecretRef};
use super::super::model::{Environment, Host, HostAddress};
use super::super::node::{Node, Span, Table};
use super::super::parse::Draft;
use super::super::read::{Cx, FromNode};
use super::super::scope::{Expanded, Given, Judging, Realm, Scope, VarOrigin};
use super::super::template::{Fact, Template, VarName};
use super::by_host;
use super::service::{self, Around, Assembled};
use super::{Inputs, places, references, settings, variables};
use crate::id::{EnvName, ServiceName};
use crate::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// The meaning of `${…}` in an environment's own keys. `url` may use the variables, and not itself.
pub(super) fn scope<'a>(manifest: Draft<'_>, name: &EnvName, inputs: &Inputs<'a>) -> Scope<'a> {
    let mut scope = Scope {
        realm: Realm::Environment,
        facts: BTreeMap::from([(Fact::Environment, name.to_string())]),
        given: variables::of_environment(manifest, name, inputs.env_file),
        caller: inputs.caller,
        taken: std::cell::RefCell::default(),
        home: format!("environments.{name}.vars"),
        judging: inputs.judging,
    };
    let url = manifest
        .root
        .at(&["environments", name.as_str(), "url"])
        .and_then(Node::as_str);
    if let Some(url) = url {
        if let Some(url) = super::literal(&scope, url) {
            scope.facts.insert(Fact::Url, url);
        } else if inputs.judging.is_lenient() {
            scope.facts.insert(Fact::Url, "http://unset".to_owned());
        }
    }
    scope
}

/// See [`Manifest::resolve`]: the environment where it is whole, and every problem.
pub(in super::super) fn environment(
    manifest: Draft<'_>,
    name: &EnvName,
    inputs: &Inputs<'_>,
) -> (Option<Environment>, Vec<Problem>) {
    let scope = scope(manifest, name, inputs);
    let mut cx = Cx::with_scope(manifest.file, manifest.text, &scope);
    let empty = Node::table(manifest.root.span, Table::default());
    let node = manifest
        .root
        .at(&["environments", name.as_str()])
        .unwrap_or(&empty);
    let place = format!("environments.{name}");
    let keys = cx.within(&place, |cx| EnvironmentKeys::from_node(node, cx));
    let secrets = secret_references(manifest, node, &mut cx);
    let vars = expanded(&scope, &mut cx);
    let groups = host_groups(manifest, node, &scope);
    let around = Around {
        manifest,
        inputs,
        environment: name.as_str(),
        facts: scope.facts.clone(),
        variables: scope.given.clone(),
        secrets: secrets.clone().unwrap_or_default(),
        groups,
        hosts: node.entries(&["hosts"]).map(|(name, _)| name.clone()).collect(),
        of_hosts: by_host::written(node),
        host_keys: keys.as_ref().map(|keys| keys.hosts.clone()).unwrap_or_default(),
    };
    let mut assembled: BTreeMap<ServiceName, Assembled> = BTreeMap::new();
    for service in service::names(manifest) {
        if let Ok(service) = ServiceName::new(service) {
            let one = service::assemble(&around, &service, &mut cx);
            assembled.insert(service, one);
        }
    }
    cx.within(&place, |cx| references::names_exist(manifest, node, cx));
    references::needs(&assembled, &mut cx);
    if around.hosts.is_empty() {
        cx.within(&place, |cx| {
            references::hosts_there(manifest, name, &assembled, cx);
        });
    }
    places::folders(node, &assembled, &mut cx);
    if inputs.judging == Judging::Check {
        places::one_service_a_folder(name, node, &assembled, &mut cx);
    }
    let whole = (|| {
        let read = Read {
            keys: keys?,
            vars: vars?,
            secrets: secrets?,
            assembled,
        };
        whole(&around, name, read, &scope, node)
    })();
    let whole = whole.filter(|_| !cx.failed());
    (whole, cx.into_problems())
}

/// What could be read of an environment.
struct Read {
    keys: EnvironmentKeys,
    vars: BTreeMap<VarName, Template>,
    secrets: BTreeMap<VarName, SecretRef>,
    assembled: BTreeMap<ServiceName, Assembled>,
}

fn whole(
    around: &Around<'_>,
    name: &EnvName,
    read: Read,
    scope: &Scope<'_>,
    node: &Node,
) -> Option<Environment> {
    let Read {
        keys,
        mut vars,
        secrets,
        assembled,
    } = read;
    let manifest = around.manifest;
    // What the manifest mentions and no layer sets is a variable too, from the caller.
    let mut taken = scope.taken.borrow().clone();
    for one in assembled.values() {
        taken.extend(
            one.taken
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    taken.retain(|name, _| !scope.given.contains_key(name));
    for (name, value) in &taken {
        vars.insert(name.clone(), Template::text(value));
    }
    let disabled: BTreeSet<_> = assembled
        .iter()
        .filter(|(_, one)| !one.enabled)
        .map(|(name, _)| name.clone())
        .collect();
    let place = format!("environments.{name}");
    let mut lines: Vec<_> = settings::flatten(manifest, &place, &keys, node);
    lines.retain(|line| {
        let below = |key: &str| line.key.starts_with(&format!("{place}.{key}"));
        !below("vars.") && !below("services") && !below("defaults")
    });
    let env_file = keys.env_file.as_ref().map(super::super::RelPath::as_str);
    lines.extend(settings::variables(
        manifest,
        &format!("{place}.vars"),
        &vars,
        scope,
        env_file,
    ));
    let mut services = BTreeMap::new();
    for (name, one) in assembled {
        if !one.enabled {
            continue;
        }
        let mut service = match one.service {
            Some(service) => service,
            // What depends on variables is not known when the manifest is only checked.
            None if around.inputs.judging.is_lenient() => continue,
            None => return None,
        };
        let (dropped, needs) = service
            .needs
            .into_iter()
            .partition(|need| disabled.contains(need));
        (service.dropped_needs, service.needs) = (dropped, needs);
        for (name, value) in &taken {
            service
                .vars
                .entry(name.clone())
                .or_insert_with(|| Template::text(value));
        }
        lines.extend(one.settings);
        services.insert(name, service);
    }
    let mut freezes = BTreeMap::new();
    for (name, keys) in keys.freeze {
        freezes.insert(name, keys.freeze().ok()?);
    }
    let mut hosts = BTreeMap::new();
    for (name, keys) in keys.hosts {
        let address = if keys.local {
            HostAddress::Local
        } else {
            HostAddress::Ssh(keys.ssh?)
        };
        let groups = keys.groups.into_iter().collect();
        hosts.insert(
            name.clone(),
            Host {
                name,
                address,
                groups,
                password: keys.password,
            },
        );
    }
    Some(Environment {
        name: name.clone(),
        inherited_checklist: inherited(manifest, &keys.after, around.inputs)?,
        after: keys.after,
        branches: keys.branches,
        url: keys.url,
        soak: keys.soak.get(),
        checks: keys.checks,
        checklist: keys.checklist,
        approvals: keys.approvals,
        freezes,
        allow: keys.allow,
        confirm: keys.confirm,
        hosts,
        vars,
        secrets,
        env_file: keys.env_file,
        ssh_config: keys.ssh_config,
        services,
        disabled,
        smoke: keys.smoke,
        may_fail: keys.may_fail,
        prometheus: keys.prometheus,
        flags: keys.flags,
        settings: lines,
    })
}

type Items = BTreeMap<crate::id::EvidenceName, super::super::ChecklistItem>;

/// The items that the environments before this one leave for it.
fn inherited(
    manifest: Draft<'_>,
    after: &[EnvName],
    inputs: &Inputs<'_>,
) -> Option<BTreeMap<EnvName, Items>> {
    let mut inherited = BTreeMap::new();
    for upstream in after {
        let Some(node) = manifest
            .root
            .at(&["environments", upstream.as_str(), "checklist"])
        else {
            continue;
        };
        let scope = scope(manifest, upstream, inputs);
        let mut cx = Cx::with_scope(manifest.file, manifest.text, &scope);
        let list = super::super::Checklist::from_node(node, &mut cx)?;
        if !list.after.is_empty() {
            inherited.insert(upstream.clone(), list.after);
        }
    }
    Some(inherited)
}

/// Every variable of a scope, expanded. A secret in one would reach every service in the clear.
pub(super) fn expanded(scope: &Scope<'_>, cx: &mut Cx<'_>) -> Option<BTreeMap<VarName, Template>> {
    let mut vars = Some(BTreeMap::new());
    for (name, given) in &scope.given {
        let Given::Text(text, origin) = given else {
            continue;
        };
        let span = match origin {
            VarOrigin::Manifest(span) => *span,
            VarOrigin::EnvFile => Span::default(),
        };
        let value = match scope.variable(name)? {
            Ok(value) => value,
            Err(refused) if refused.unset && scope.judging.is_lenient() => Template::text(text),
            Err(refused) => {
                let message = format!("the variable `{name}`: {}", refused.message);
                cx.within(format!("vars.{name}"), |cx| {
                    cx.discreet_problem(span, message, refused.help);
                });
                vars = None;
                continue;
            }
        };
        if let Some(secret) = value.secrets().next() {
            let message = format!(
                "the variable `{name}` holds the secret `{secret}`, and variables are shown and stored"
            );
            let help = format!("name `{secret}` in the service's `secrets`, or make `{name}` a secret");
            cx.within(format!("vars.{name}"), |cx| cx.problem(span, message, help));
            vars = None;
        } else if let Some(vars) = &mut vars {
            vars.insert(name.clone(), value);
        }
    }
    vars
}

/// The references in force: the project's, and the environment's over them.
fn secret_references(
    manifest: Draft<'_>,
    node: &Node,
    cx: &mut Cx<'_>,
) -> Option<BTreeMap<VarName, SecretRef>> {
    let mut references = BTreeMap::new();
    for (node, place) in [
        (manifest.root.at(&["secrets"]), "secrets"),
        (node.at(&["secrets"]), "secrets"),
    ] {
        if let Some(node) = node {
            references.extend(cx.within(place, |cx| BTreeMap::<VarName, SecretRef>::from_node(node, cx))?);
        }
    }
    // An environment's own plain variable hides a reference that is for all.
    let plain = |name: &VarName| {
        matches!(
            cx.scope.and_then(|scope| scope.given.get(name)),
            Some(Given::Text(..))
        )
    };
    references.retain(|name, _| !plain(name));
    Some(references)
}

/// The groups that have hosts in an environment.
fn host_groups(manifest: Draft<'_>, node: &Node, scope: &Scope<'_>) -> BTreeSet<String> {
    let mut groups = BTreeSet::new();
    for (_, host) in node.entries(&["hosts"]) {
        let named = graph::names(host.node.at(&["groups"]));
        if named.is_empty() {
            let all = graph::host_groups(manifest.root);
            groups.extend(all.into_iter().filter_map(|name| super::literal(scope, name)));
        }
        groups.extend(named.iter().filter_map(|(name, _)| super::literal(scope, name)));
    }
    groups
}

/// A text as far as it is known now.
pub(super) fn literal(scope: &Scope<'_>, text: &str) -> Option<String> {
    match scope.expand(text) {
        Ok(Expanded::Known(template)) => template.literal().map(str::to_owned),
        _ => None,
    }
}

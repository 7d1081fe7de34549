//! A service on hosts that have variables of their own: these win over all others, in what the service gets there, and in its paths and
//! probes. What of it differs on a host is read again with them; the rest is the same everywhere.

use super::super::model::{OnHost, Service};
use super::super::node::{Node, Span};
use super::super::read::Cx;
use super::super::scope::{Given, Scope, VarOrigin, VarText};
use super::super::template::VarName;
use super::variables::Variables;
use crate::id::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// The variables of one host, as written.
#[derive(Debug)]
pub(super) struct HostVariables {
    pub(super) host: HostName,
    /// Where the host is named.
    at: Span,
    vars: Vec<(VarName, String, Span)>,
}

/// Those of an environment's hosts, in the manifest's order; hosts without any too.
pub(super) fn written(environment: &Node) -> Vec<HostVariables> {
    let mut hosts: Vec<_> = environment
        .entries(&["hosts"])
        .filter_map(|(name, entry)| {
            let vars = entry.node.entries(&["vars"]);
            Some(HostVariables {
                host: HostName::new(name).ok()?,
                at: entry.key,
                vars: vars
                    .filter_map(|(name, entry)| {
                        Some((
                            VarName::new(name).ok()?,
                            VarText::of(&entry.node)?,
                            entry.node.span,
                        ))
                    })
                    .collect(),
            })
        })
        .collect();
    hosts.sort_by_key(|host| host.at);
    hosts
}

/// Names that only hosts set.
pub(super) fn only_here(hosts: &[HostVariables], given: &Variables) -> BTreeSet<VarName> {
    let all = hosts.iter().flat_map(|host| &host.vars);
    all.map(|(name, ..)| name)
        .filter(|name| !given.contains_key(*name))
        .cloned()
        .collect()
}

/// What a service is read with before its hosts are known: what only hosts set is there too, as the first of them has it.
pub(super) fn with_any(hosts: &[HostVariables], given: &Variables) -> Variables {
    let mut all = given.clone();
    for (name, text, span) in hosts.iter().flat_map(|host| &host.vars) {
        all.entry(name.clone())
            .or_insert_with(|| Given::Text(text.clone(), VarOrigin::Manifest(*span)));
    }
    all
}

/// The service's variables on one host.
pub(super) fn with_its_own(host: &HostVariables, given: &Variables, cx: &mut Cx<'_>) -> Variables {
    let mut all = given.clone();
    for (name, text, span) in &host.vars {
        let own = Given::Text(text.clone(), VarOrigin::Manifest(*span));
        if all.insert(name.clone(), own) == Some(Given::Secret) {
            let message = format!("`{name}` is a secret, and a variable of one host cannot take its place");
            cx.problem(*span, message, "give one of the two another name");
        }
    }
    all
}

/// Whether a service is another on this host than elsewhere.
pub(super) fn differs(host: &HostVariables, only_here: &BTreeSet<VarName>) -> bool {
    !host.vars.is_empty() || !only_here.is_empty()
}

/// What of a service, read with one host's variables, is that host's own.
pub(super) fn on_host(here: Service) -> OnHost {
    OnHost {
        target: here.target,
        health: here.health,
        vars: here.vars,
    }
}

/// A scope like another, with other variables.
pub(super) fn scope<'a>(like: &Scope<'a>, given: Variables, home: String) -> Scope<'a> {
    Scope {
        realm: like.realm,
        facts: like.facts.clone(),
        given,
        caller: like.caller,
        taken: std::cell::RefCell::default(),
        home,
        judging: like.judging,
    }
}

/// What of the base read is no variable of the service everywhere.
pub(super) fn without(only_here: &BTreeSet<VarName>, service: &mut Service) {
    let vars: &mut BTreeMap<VarName, _> = &mut service.vars;
    vars.retain(|name, _| !only_here.contains(name));
}

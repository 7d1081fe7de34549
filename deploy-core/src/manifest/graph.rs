//! Orders and circles: `after` between environments, `needs` between services.

use super::node::{Node, Span, Value};
use super::read::Cx;
use super::suggest::nearest;
use crate::id::EnvName;
use std::collections::{BTreeMap, BTreeSet};

/// Who names whom, with the place where each name stands.
pub(crate) type Graph = BTreeMap<String, Vec<(String, Span)>>;

/// The names of an array of strings.
pub(crate) fn names(node: Option<&Node>) -> Vec<(String, Span)> {
    match node.map(|node| &node.value) {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| Some((item.as_str()?.to_owned(), item.span)))
            .collect(),
        _ => Vec::new(),
    }
}

/// An order in which each name comes after those it points to, or the first circle found, as the names along it.
pub(crate) fn order(graph: &Graph) -> Result<Vec<String>, Vec<String>> {
    let mut order: Vec<String> = Vec::new();
    let mut done: BTreeMap<&str, bool> = BTreeMap::new();
    for start in graph.keys() {
        // An explicit stack: a manifest can name thousands of services in one chain.
        let mut stack = vec![(start.as_str(), 0usize)];
        while let Some((name, next)) = stack.pop() {
            if next == 0 {
                if done.contains_key(name) {
                    continue;
                }
                done.insert(name, false);
            }
            let Some((target, _)) = graph.get(name).and_then(|edges| edges.get(next)) else {
                done.insert(name, true);
                order.push(name.to_owned());
                continue;
            };
            stack.push((name, next + 1));
            match done.get(target.as_str()) {
                Some(false) => {
                    let from = stack.iter().position(|(name, _)| name == target).unwrap_or(0);
                    let mut circle: Vec<String> =
                        stack[from..].iter().map(|(name, _)| (*name).to_owned()).collect();
                    circle.push(target.clone());
                    return Err(circle);
                }
                None if graph.contains_key(target) => stack.push((target, 0)),
                Some(true) | None => {}
            }
        }
    }
    Ok(order)
}

/// Reports a name that does not exist.
pub(crate) fn unknown<'a>(
    cx: &mut Cx<'_>,
    span: Span,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) {
    let help = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match known.collect::<Vec<_>>() {
            none if none.is_empty() => format!("there is no {what} yet"),
            names => format!("known: {}", names.join(", ")),
        },
    };
    cx.problem(
        span,
        format!("there is no {what} `{}`", crate::failure::printable(name, 64)),
        help,
    );
}

/// Reports a circle at the place of its last step.
pub(crate) fn circle(cx: &mut Cx<'_>, graph: &Graph, key: &str, circle: &[String]) {
    let span = match circle {
        [.., last, first] => graph
            .get(last)
            .and_then(|edges| edges.iter().find(|(to, _)| to == first))
            .map(|(_, span)| *span),
        _ => None,
    };
    let message = format!("`{key}` goes round in a circle: {}", circle.join(" → "));
    cx.problem(span.unwrap_or_default(), message, "remove one of these");
}

/// Checks `after` of all environments; their order, or `None` where there is none.
pub(crate) fn environments(root: &Node, cx: &mut Cx<'_>) -> Option<Vec<EnvName>> {
    let table = root.at(&["environments"])?.as_table()?;
    let graph: Graph = table
        .0
        .iter()
        .map(|(name, entry)| (name.clone(), names(entry.node.at(&["after"]))))
        .collect();
    for (name, edges) in &graph {
        for (target, span) in edges {
            if !graph.contains_key(target) && !target.contains("${") {
                cx.within(format!("environments.{name}.after"), |cx| {
                    unknown(cx, *span, "environment", target, graph.keys().map(String::as_str));
                });
            }
        }
    }
    match order(&graph) {
        Ok(order) => order.iter().map(|name| EnvName::new(name).ok()).collect(),
        Err(names) => {
            cx.within("environments", |cx| circle(cx, &graph, "after", &names));
            None
        }
    }
}

/// Every host group of any environment.
pub(crate) fn host_groups(root: &Node) -> BTreeSet<&str> {
    root.entries(&["environments"])
        .flat_map(|(_, environment)| environment.node.entries(&["hosts"]))
        .filter_map(|(_, host)| match &host.node.at(&["groups"])?.value {
            Value::Array(groups) => Some(groups.iter().filter_map(Node::as_str)),
            _ => None,
        })
        .flatten()
        .collect()
}

/// The environments that `after` joins to one, itself included.
pub(crate) fn joined(root: &Node, name: &str) -> Vec<String> {
    let Some(table) = root.at(&["environments"]).and_then(Node::as_table) else {
        return Vec::new();
    };
    let edges: Vec<(String, String)> = table
        .0
        .iter()
        .flat_map(|(from, entry)| {
            names(entry.node.at(&["after"]))
                .into_iter()
                .map(move |(to, _)| (from.clone(), to))
        })
        .collect();
    let mut joined = vec![name.to_owned()];
    let mut at = 0;
    while let Some(name) = joined.get(at).cloned() {
        for (from, to) in &edges {
            for (one, other) in [(from, to), (to, from)] {
                if *one == name && !joined.contains(other) && table.0.contains_key(other) {
                    joined.push(other.clone());
                }
            }
        }
        at += 1;
    }
    joined
}

//! Layers: tables merge, scalars and arrays replace; a probe of another type replaces the one below it.

use super::node::{Entry, Node, Table, Value};

/// Where a table that both layers have stands, for messages about what is missing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the lower layer has it: the definition, not what differs from it somewhere.
    Below,
    /// Where the upper layer has it: what is defined, not what holds for many.
    Above,
}

const PROBE_KINDS: [&str; 3] = ["http", "tcp", "command"];

/// Puts one layer of a service over another. Each value keeps the place it came from.
pub(crate) fn service(below: &Node, above: &Node, place: Place) -> Node {
    let mut below = below.clone();
    if let (Some(probes), Some(over)) = (
        entry_table(&mut below, "health"),
        above.at(&["health"]).and_then(Node::as_table),
    ) {
        for (name, entry) in &over.0 {
            if let (
                Some(Entry {
                    node:
                        Node {
                            value: Value::Table(old),
                            ..
                        },
                    ..
                }),
                Some(new),
            ) = (probes.0.get_mut(name), entry.node.as_table())
            {
                replace_kind(old, new);
            }
        }
    }
    merge(&below, above, place)
}

/// A probe that asks something else expects something else: only its times stay.
fn replace_kind(old: &mut Table, new: &Table) {
    let Some(kind) = PROBE_KINDS.iter().find(|kind| new.0.contains_key(**kind)) else {
        return;
    };
    if !old.0.contains_key(*kind) && PROBE_KINDS.iter().any(|kind| old.0.contains_key(*kind)) {
        old.0
            .retain(|key, _| !PROBE_KINDS.contains(&key.as_str()) && key != "expect" && key != "version");
    }
}

fn entry_table<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Table> {
    let Value::Table(table) = &mut node.value else {
        return None;
    };
    match &mut table.0.get_mut(key)?.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// One value over another.
pub(crate) fn merge(below: &Node, above: &Node, place: Place) -> Node {
    let (Value::Table(old), Value::Table(new)) = (&below.value, &above.value) else {
        return above.clone();
    };
    let mut merged = old.clone();
    for (key, entry) in &new.0 {
        let node = match old.0.get(key) {
            Some(old) => merge(&old.node, &entry.node, place),
            None => entry.node.clone(),
        };
        merged.0.insert(key.clone(), Entry { key: entry.key, node });
    }
    let span = match place {
        Place::Below => below.span,
        Place::Above => above.span,
    };
    Node::table(span, merged)
}

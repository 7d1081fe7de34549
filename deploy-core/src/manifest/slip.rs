//! Reading on after a slip of the pen, as if it had not been made: a key that nobody knows is taken for the one that was
//! meant, a table whose name is almost another's is taken for a part of that. So one slip is one problem, and what is wrong
//! besides is found in the same run.

use super::merge::{Place, merge};
use super::node::{Entry, Node, Span, Table, Value};
use super::read::Slip;
use super::suggest::nearest;
use std::collections::BTreeMap;

/// More pairs of names that are alike are no slips any more.
const PAIRS: usize = 8;

/// The tree with each unknown key renamed to what was meant, or left out.
pub(super) fn mended(root: &Node, slips: &[Slip]) -> Node {
    let slips = slips
        .iter()
        .map(|slip| (slip.key, slip.meant.as_deref()))
        .collect();
    renamed(root, &slips)
}

fn renamed(node: &Node, slips: &BTreeMap<Span, Option<&str>>) -> Node {
    let value = match &node.value {
        Value::Table(table) => {
            let (wrong, right): (Vec<_>, Vec<_>) = table
                .0
                .iter()
                .partition(|(_, entry)| slips.contains_key(&entry.key));
            let below = |entry: &Entry| Entry {
                key: entry.key,
                node: renamed(&entry.node, slips),
            };
            let mut keys: BTreeMap<String, Entry> = right
                .into_iter()
                .map(|(key, entry)| (key.clone(), below(entry)))
                .collect();
            for (_, entry) in wrong {
                let Some(meant) = slips.get(&entry.key).copied().flatten() else {
                    continue;
                };
                let entry = below(entry);
                let entry = match keys.get(meant) {
                    Some(there) => Entry {
                        key: there.key,
                        node: merge(&entry.node, &there.node, Place::Above),
                    },
                    None => entry,
                };
                keys.insert(meant.to_owned(), entry);
            }
            Value::Table(Table(keys))
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| renamed(item, slips)).collect()),
        other => other.clone(),
    };
    Node {
        span: node.span,
        value,
    }
}

/// A table whose name is almost that of another, and that says nothing the other says.
pub(super) struct Stray {
    /// The keys down to it.
    pub(super) path: [String; 2],
    /// Where its name stands.
    pub(super) key: Span,
    /// The name that was meant.
    pub(super) meant: String,
    /// The tree in which the two are one.
    pub(super) joined: Node,
}

/// The strays among services and among environments.
pub(super) fn strays(root: &Node) -> Vec<Stray> {
    let mut strays = Vec::new();
    for place in ["services", "environments"] {
        let Some(table) = root.at(&[place]).and_then(Node::as_table) else {
            continue;
        };
        for (name, entry) in &table.0 {
            for (other, whole) in table.0.range::<str, _>((
                std::ops::Bound::Excluded(name.as_str()),
                std::ops::Bound::Unbounded,
            )) {
                if strays.len() >= PAIRS {
                    return strays;
                }
                if nearest(name, [other.as_str()]).is_some() && apart(&entry.node, &whole.node) {
                    let pair = [(name, entry), (other, whole)];
                    strays.extend(either_way(root, place, pair));
                }
            }
        }
    }
    strays
}

/// Whether no value stands in both.
fn apart(one: &Node, other: &Node) -> bool {
    let (Some(one), Some(other)) = (one.as_table(), other.as_table()) else {
        return false;
    };
    one.0.iter().all(|(key, entry)| {
        other
            .0
            .get(key)
            .is_none_or(|there| apart(&entry.node, &there.node))
    })
}

/// Either name may be the slip: first the one that says less; of two equals, the later.
fn either_way(root: &Node, place: &str, mut pair: [(&String, &Entry); 2]) -> [Stray; 2] {
    let weight = |(_, entry): &(&String, &Entry)| {
        let keys = entry.node.as_table().map_or(0, |table| table.0.len());
        (keys, std::cmp::Reverse(entry.key))
    };
    pair.sort_by_key(weight);
    let stray = |wrong: (&String, &Entry), right: &String| {
        let slip = BTreeMap::from([(wrong.1.key, Some(right.as_str()))]);
        Stray {
            path: [place.to_owned(), wrong.0.clone()],
            key: wrong.1.key,
            meant: right.clone(),
            joined: renamed(root, &slip),
        }
    };
    let [less, more] = pair;
    [stray(less, more.0), stray(more, less.0)]
}

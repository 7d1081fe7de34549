//! The order of need: services sorted so that what is needed comes first, and the waves that readers see.

use super::{Kind, Plan};
use crate::id::{ServiceIx, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// One service to sort.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// Its name; among services that may both come next, the first by name does.
    pub(super) name: &'a ServiceName,
    /// Comes after all that are not last. Nothing needs it.
    pub(super) last: bool,
    /// Positions of the services that it needs.
    pub(super) needs: BTreeSet<usize>,
}

/// Positions in the order of need.
///
/// # Errors
/// One circle, as positions, the first repeated at the end.
pub(super) fn sort(nodes: &[Node<'_>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut open: Vec<usize> = nodes.iter().map(|node| node.needs.len()).collect();
    let mut needed_by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        for need in &node.needs {
            needed_by.entry(*need).or_default().push(at);
        }
    }
    let key = |at: usize| (nodes[at].last, nodes[at].name, at);
    let mut ready: BTreeSet<_> = (0..nodes.len()).filter(|at| open[*at] == 0).map(key).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some((_, _, at)) = ready.pop_first() {
        order.push(at);
        for dependent in needed_by.get(&at).into_iter().flatten() {
            open[*dependent] -= 1;
            if open[*dependent] == 0 {
                ready.insert(key(*dependent));
            }
        }
    }
    if order.len() == nodes.len() {
        Ok(order)
    } else {
        Err(circle(nodes, &open))
    }
}

/// Every service that is still open needs another that is: following them leads round.
fn circle(nodes: &[Node<'_>], open: &[usize]) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    let mut next = (0..nodes.len())
        .filter(|at| open[*at] > 0)
        .min_by_key(|at| nodes[*at].name);
    while let Some(at) = next {
        if let Some(begin) = path.iter().position(|seen| *seen == at) {
            path.drain(..begin);
            path.push(at);
            break;
        }
        path.push(at);
        next = nodes[at].needs.iter().copied().find(|need| open[*need] > 0);
    }
    path
}

impl Plan {
    /// The services by wave, in the order in which they move: each needs only services of earlier waves. A rollback begins with
    /// what nothing needs. Indices that the plan does not have, or that come later, count as nothing.
    pub fn waves(&self) -> Vec<Vec<ServiceIx>> {
        let mut wave = vec![0_usize; self.services.len()];
        let needs = |at: usize| {
            self.services[at]
                .needs
                .iter()
                .map(|need| need.at())
                .filter(move |need| *need < at)
        };
        if self.kind == Kind::Rollback {
            for at in (0..wave.len()).rev() {
                for need in needs(at) {
                    wave[need] = wave[need].max(wave[at] + 1);
                }
            }
        } else {
            for at in 0..wave.len() {
                wave[at] = needs(at).map(|need| wave[need] + 1).max().unwrap_or(0);
            }
        }
        let mut waves = vec![Vec::new(); wave.iter().max().map_or(0, |last| last + 1)];
        for (service, at) in self.service_indices().zip(wave) {
            waves[at].push(service);
        }
        waves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(edges: &[(&str, &[&str])]) -> Result<String, String> {
        let names: Vec<ServiceName> = edges
            .iter()
            .map(|(name, _)| ServiceName::new(name).expect("a name"))
            .collect();
        let nodes: Vec<_> = names
            .iter()
            .zip(edges)
            .map(|(name, (_, needs))| Node {
                name,
                last: name.as_str().starts_with("old"),
                needs: needs
                    .iter()
                    .map(|need| {
                        edges
                            .iter()
                            .position(|(name, _)| name == need)
                            .expect("it is there")
                    })
                    .collect(),
            })
            .collect();
        let text = |order: Vec<usize>| {
            order
                .iter()
                .map(|at| names[*at].as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        sort(&nodes).map(text).map_err(text)
    }

    #[test]
    fn what_is_needed_comes_first_and_names_decide_the_rest() {
        assert_eq!(
            sorted(&[
                ("web", &["schema"]),
                ("api", &["schema"]),
                ("schema", &[]),
                ("old", &[])
            ]),
            Ok("schema api web old".to_owned())
        );
        assert_eq!(
            sorted(&[("c", &[]), ("a", &["c"]), ("b", &[])]),
            Ok("b c a".to_owned())
        );
    }

    #[test]
    fn a_circle_is_named_without_what_leads_to_it() {
        assert_eq!(
            sorted(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]),
            Err("b c b".to_owned())
        );
        assert_eq!(sorted(&[("a", &["a"])]), Err("a a".to_owned()));
    }
}

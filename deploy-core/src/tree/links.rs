//! Where symlinks of a tree lead, read from its listing as a host would follow them: through other symlinks too.

use super::{Listing, Node, TreePath};

/// So many symlinks on one way are a circle, as for the kernel.
const HOPS: usize = 40;

impl Listing {
    /// The first symlink that leads out of the tree, and what it says: an absolute one, or one that goes up further than the root.
    pub fn leading_out(&self) -> Option<(&TreePath, &[u8])> {
        self.nodes.iter().find_map(|(path, node)| match node {
            Node::Link { target } if self.leads_out(path.as_bytes(), target) => {
                Some((path, target.as_slice()))
            }
            _ => None,
        })
    }

    fn leads_out(&self, path: &[u8], target: &[u8]) -> bool {
        let mut at: Vec<&[u8]> = path.split(|byte| is_slash(*byte)).collect();
        at.pop();
        // What is still to go, the next last.
        let mut rest: Vec<&[u8]> = Vec::new();
        let mut says = Some(target);
        for _ in 0..HOPS {
            let Some(text) = says.take() else { return false };
            if text.first().copied().is_some_and(is_slash) {
                return true;
            }
            rest.extend(text.split(|byte| is_slash(*byte)).rev());
            while let Some(part) = rest.pop() {
                match part {
                    b"" | b"." => {}
                    b".." if at.pop().is_none() => return true,
                    b".." => {}
                    name => {
                        at.push(name);
                        if let Some(target) = self.link_at(&at) {
                            at.pop();
                            says = Some(target);
                            break;
                        }
                    }
                }
            }
        }
        false
    }

    fn link_at(&self, parts: &[&[u8]]) -> Option<&[u8]> {
        match self.nodes.get(&TreePath::new(parts.join(&b'/')).ok()?)? {
            Node::Link { target } => Some(target),
            _ => None,
        }
    }
}

fn is_slash(byte: u8) -> bool {
    byte == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(links: &[(&str, &str)]) -> Option<String> {
        let node = |(path, target): &(&str, &str)| {
            let target = target.as_bytes().to_vec();
            (TreePath::new(*path).expect("a path"), Node::Link { target })
        };
        let nodes = links.iter().map(node).collect();
        Listing { nodes }.leading_out().map(|(path, _)| path.to_string())
    }

    #[test]
    fn links_may_not_leave_the_tree() {
        for (path, target, leaves) in [
            ("a", "b", false),
            ("a", ".", false),
            ("a", "", false),
            ("a", "..", true),
            ("a", "../b", true),
            ("d/a", "../b", false),
            ("d/a", "..", false),
            ("d/a", "../../etc", true),
            ("a", "x/../../y", true),
            ("d/a", "x/../../../b", true),
            ("a", "/etc/passwd", true),
            ("a", "/", true),
        ] {
            let found = out(&[(path, target)]);
            assert_eq!(found.as_deref(), leaves.then_some(path), "{path} -> {target}");
        }
    }

    /// Word by word each of these stays inside.
    #[test]
    fn nor_by_way_of_another_link() {
        for (links, found) in [
            (&[("a/b/up", "../.."), ("out", "a/b/up/..")][..], Some("out")),
            (&[("a/b/up", "../.."), ("in", "a/b/up/a/b/up/c")], None),
            (&[("l", "m/../.."), ("m", "d/e")], None),
            (&[("l", "m/../../.."), ("m", "d/e")], Some("l")),
            (&[("circle", "other"), ("other", "circle")], None),
            (&[("me", "me/..")], None),
        ] {
            assert_eq!(out(links).as_deref(), found, "{links:?}");
        }
    }
}

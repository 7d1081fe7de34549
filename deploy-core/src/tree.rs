//! The listing of a tree of files: what a tree artifact is identified by, sent by, and checked by on a host. Pure; walking a
//! folder is the engine's.
//!
//! Its text is one line a file, sorted by path, so that a host can check it with `sha256sum` and a person can read it:
//! `<sha256> <mode> <size> <path>` for files, `link <target-escaped> <path>` for symlinks, `dir <mode> <path>` for folders.

mod links;

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A path inside a tree: relative, with `/`, no `.`/`..`/empty parts, no NUL. Any other byte is legal, as on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct TreePath(Vec<u8>);

/// Why some bytes are not a path inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path inside a tree", String::from_utf8_lossy(.0).escape_debug())]
pub struct NotATreePath(pub Vec<u8>);

impl TreePath {
    /// Parses one.
    ///
    /// # Errors
    /// If it is absolute, empty, leaves the tree, or names a folder by a trailing slash.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, NotATreePath> {
        let bytes = bytes.into();
        let legal = !bytes.is_empty()
            && !bytes.contains(&0)
            && bytes
                .split(|byte| *byte == b'/')
                .all(|part| !matches!(part, b"" | b"." | b".."));
        if legal {
            Ok(Self(bytes))
        } else {
            Err(NotATreePath(bytes))
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for TreePath {
    type Error = NotATreePath;
    fn try_from(bytes: Vec<u8>) -> Result<Self, NotATreePath> {
        Self::new(bytes)
    }
}

impl From<TreePath> for Vec<u8> {
    fn from(path: TreePath) -> Self {
        path.0
    }
}

impl std::fmt::Display for TreePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0).escape_debug().to_string())
    }
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// A regular file; only its permission bits below 0o1000 count (setuid, setgid and sticky are never carried over).
    File {
        /// Of its content.
        digest: Digest,
        /// In bytes.
        size: u64,
        /// `0o755` and the like.
        mode: u16,
    },
    /// A symlink, as it is; one that leads out of the tree is refused where the listing is made.
    Link {
        /// What it says.
        target: Vec<u8>,
    },
    /// A folder; listed so that empty ones are kept.
    Dir {
        /// Its permission bits.
        mode: u16,
    },
}

/// All that is in a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// By path, sorted by bytes.
    pub nodes: BTreeMap<TreePath, Node>,
}

impl Listing {
    /// The listing's text; its digest identifies the tree.
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.nodes.len() * 96);
        for (path, node) in &self.nodes {
            let head = match node {
                Node::File { digest, size, mode } => format!("{digest} {mode:04o} {size} "),
                Node::Link { target } => format!("link {} ", escape(target)),
                Node::Dir { mode } => format!("dir {mode:04o} "),
            };
            text.extend_from_slice(head.as_bytes());
            text.extend_from_slice(escape(path.as_bytes()).as_bytes());
            text.push(b'\n');
        }
        text
    }

    /// What identifies the tree.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_text())
    }

    /// Bytes in all files.
    pub fn size(&self) -> u64 {
        self.nodes
            .values()
            .map(|node| {
                if let Node::File { size, .. } = node {
                    *size
                } else {
                    0
                }
            })
            .sum()
    }

    /// Reads what [`Listing::to_text`] wrote; `None` if it is damaged.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut nodes = BTreeMap::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
            let (head, rest) = line.split_once(' ')?;
            let (node, path) = match head {
                "link" => {
                    let (target, path) = rest.split_once(' ')?;
                    (
                        Node::Link {
                            target: unescape(target)?,
                        },
                        path,
                    )
                }
                "dir" => {
                    let (mode, path) = rest.split_once(' ')?;
                    (
                        Node::Dir {
                            mode: u16::from_str_radix(mode, 8).ok()?,
                        },
                        path,
                    )
                }
                digest => {
                    let (mode, rest) = rest.split_once(' ')?;
                    let (size, path) = rest.split_once(' ')?;
                    let mode = u16::from_str_radix(mode, 8).ok()?;
                    (
                        Node::File {
                            digest: digest.parse().ok()?,
                            size: size.parse().ok()?,
                            mode,
                        },
                        path,
                    )
                }
            };
            nodes.insert(TreePath::new(unescape(path)?).ok()?, node);
        }
        Some(Self { nodes })
    }
}

/// Bytes as one word of printable ASCII: everything but graphic characters, and `\`, becomes `\xNN`.
fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'\\' {
            text.push(char::from(*byte));
        } else {
            write!(text, "\\x{byte:02x}").expect("a String takes all");
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'\\' {
            let hex = tail.strip_prefix(b"x")?.get(..2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_cannot_leave_the_tree() {
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", ".", "./a", "a\0b"] {
            assert!(TreePath::new(bad).is_err(), "{bad:?}");
        }
        assert!(TreePath::new("a/-b \n\u{fe}").is_ok());
    }

    proptest! {
        #[test]
        fn listings_round_trip(files in proptest::collection::btree_map(proptest::collection::vec(1u8.., 1..9), 0u64..9, 0..9)) {
            let mut listing = Listing::default();
            for (path, size) in files {
                let Ok(path) = TreePath::new(path) else { continue };
                let node = match size % 3 {
                    0 => Node::Dir { mode: 0o755 },
                    1 => Node::Link { target: path.as_bytes().to_vec() },
                    _ => Node::File { digest: Digest::of(path.as_bytes()), size, mode: 0o644 },
                };
                listing.nodes.insert(path, node);
            }
            prop_assert_eq!(Listing::parse(&listing.to_text()), Some(listing));
        }
    }
}

//! A tree of a commit beside the one made before: what git calls the same file is the same file, and is neither written nor read
//! again. Only what differs is checked out and hashed; the rest is a hard link to the tree before, and its digest is known.
//!
//! The store writes into no file once it has its name. Were one damaged all the same, a host finds that what it was sent is not what
//! the listing says, for every file is hashed there.

use super::artifacts::{ArtifactError, store_error};
use super::git::{Files, Git};
use super::tree;
use deploy_core::digest::Digest;
use deploy_core::id::CommitId;
use deploy_core::tree::{Listing, Node, TreePath};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// A tree in the store, and which files of git's it was made of.
pub(super) struct Before {
    tree: PathBuf,
    listing: Listing,
    files: Files,
}

/// The file beside a tree that says which files of git's it was made of.
pub(super) const MADE_OF: &str = "made-of";

impl Before {
    /// Reads one; `None` where it does not say what it was made of, or is damaged.
    pub(super) fn read(home: &Path) -> Option<Self> {
        Some(Self {
            tree: home.join("tree"),
            listing: Listing::parse(&fs::read(home.join("listing")).ok()?)?,
            files: Files::parse(&fs::read(home.join(MADE_OF)).ok()?)?,
        })
    }

    /// Makes the tree of these files in a folder that does not exist yet, with its listing; `None` where nothing of the tree before
    /// can be taken.
    pub(super) async fn make(
        &self,
        git: &Git,
        commit: &CommitId,
        (dir, files): (&str, &Files),
        (checkout, into): (&Path, &Path),
    ) -> Result<Option<Listing>, ArtifactError> {
        // What attributes say may change what any file is checked out as.
        if files.attributes() != self.files.attributes() || !files.are_plain() {
            return Ok(None);
        }
        let (same, new): (Vec<_>, Vec<_>) = files
            .iter()
            .partition(|(path, object)| self.files.get(path) == Some(*object) && self.has(path));
        if same.len() < new.len() {
            return Ok(None);
        }
        let new: Vec<_> = new.into_iter().map(|(path, _)| path.as_slice()).collect();
        git.export_some(commit, checkout, dir, &new).await?;
        let same: Vec<_> = same.into_iter().map(|(path, _)| path.clone()).collect();
        let (tree, listing) = (self.tree.clone(), self.listing.clone());
        let (made, into) = (checkout.join(dir), into.to_owned());
        let folder = into.clone();
        tokio::task::spawn_blocking(move || put_together(&tree, listing, &same, &made, &into))
            .await
            .map_err(io::Error::other)
            .and_then(|result| result)
            .map(Some)
            .map_err(store_error(&folder))
    }

    fn has(&self, path: &[u8]) -> bool {
        TreePath::new(path).is_ok_and(|path| self.listing.nodes.contains_key(&path))
    }
}

fn put_together(
    before: &Path,
    old: Listing,
    same: &[Vec<u8>],
    made: &Path,
    into: &Path,
) -> io::Result<Listing> {
    if made.is_dir() {
        fs::rename(made, into)?;
    } else {
        fs::create_dir_all(into)?;
    }
    let mut listing = tree::list(into).map_err(io::Error::other)?;
    tree::flush(into, &listing)?;
    let at = |root: &Path, path: &TreePath| root.join(Path::new(OsStr::from_bytes(path.as_bytes())));
    let mut folders = BTreeSet::new();
    for path in same {
        let parts = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        folders.extend(parts.map(|(end, _)| path[..end].to_vec()));
    }
    for folder in &folders {
        let path = TreePath::new(folder.clone()).map_err(io::Error::other)?;
        if listing.nodes.contains_key(&path) {
            continue;
        }
        let Some(Node::Dir { mode }) = old.nodes.get(&path) else {
            return Err(io::Error::other(format!("{path} was no folder")));
        };
        fs::create_dir(at(into, &path))?;
        fs::set_permissions(at(into, &path), fs::Permissions::from_mode(u32::from(*mode)))?;
        listing.nodes.insert(path, Node::Dir { mode: *mode });
    }
    for path in same {
        let path = TreePath::new(path.clone()).map_err(io::Error::other)?;
        let node = old.nodes.get(&path).cloned();
        match &node {
            Some(Node::File { .. }) => fs::hard_link(at(before, &path), at(into, &path))?,
            Some(Node::Link { target }) => symlink(OsStr::from_bytes(target), at(into, &path))?,
            _ => return Err(io::Error::other(format!("{path} was no file"))),
        }
        listing.nodes.extend(node.map(|node| (path, node)));
    }
    for folder in &folders {
        fs::File::open(into.join(OsStr::from_bytes(folder)))?.sync_all()?;
    }
    fs::File::open(into)?.sync_all()?;
    Ok(listing)
}

/// Where the newest tree of a folder is named.
pub(super) fn newest(root: &Path, dir: &str) -> PathBuf {
    let key = Digest::of_json(&("newest", dir.trim_matches('/')));
    root.join("builds").join(format!("newest-{key}"))
}

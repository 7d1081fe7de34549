//! Listing a folder as a tree artifact, and copying one. What a tree may hold is decided here, once: regular files, folders, and
//! symlinks that stay inside.

use super::ignored::{Ignored, Names};
use deploy_core::digest::Digester;
use deploy_core::tree::{Listing, Node, TreePath};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Why a folder is not a tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// It cannot be read or written.
    #[error("could not read or write {}", .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A symlink that leads out of it.
    #[error("{} is a symlink to {}, which is outside the tree", .path.display(), .target.display())]
    LeadsOut {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// A line of what is to be left out that is no pattern.
    #[error("line {line} of .deployignore is no pattern: {why}")]
    Pattern {
        /// Which, from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// A socket, a pipe, a device.
    #[error("{} is neither a file, a folder nor a symlink", .0.display())]
    Special(PathBuf),
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> TreeError + use<'_> {
    move |source| TreeError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Lists a folder. Blocking: call it where blocking is allowed.
pub fn list(root: &Path) -> Result<Listing, TreeError> {
    list_but(root, &Ignored::default())
}

/// Lists a folder without what is left out of it, which may be anything. Blocking.
///
/// # Panics
/// Never: nine bits fit, and folder entries have legal names.
pub(super) fn list_but(root: &Path, ignored: &Ignored) -> Result<Listing, TreeError> {
    let mut listing = Listing::default();
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        let here = root.join(&dir);
        for entry in std::fs::read_dir(&here).map_err(io(&here))? {
            let entry = entry.map_err(io(&here))?;
            let below = dir.join(entry.file_name());
            let path = entry.path();
            let meta = path.symlink_metadata().map_err(io(&path))?;
            let names = if meta.is_dir() { Names::Folder } else { Names::File };
            if ignored.leaves_out(&below, names) {
                continue;
            }
            let mode = u16::try_from(meta.permissions().mode() & 0o777).expect("nine bits");
            let node = if meta.is_symlink() {
                let target = std::fs::read_link(&path).map_err(io(&path))?;
                Node::Link {
                    target: target.as_os_str().as_bytes().to_vec(),
                }
            } else if meta.is_dir() {
                open.push(below.clone());
                Node::Dir { mode }
            } else if meta.is_file() {
                let (digest, size) = digest(&path)?;
                Node::File { digest, size, mode }
            } else {
                return Err(TreeError::Special(path));
            };
            let name =
                TreePath::new(below.as_os_str().as_bytes()).expect("names of folder entries are legal parts");
            listing.nodes.insert(name, node);
        }
    }
    if let Some((path, target)) = listing.leading_out() {
        let (path, target) = (OsStr::from_bytes(path.as_bytes()), OsStr::from_bytes(target));
        return Err(TreeError::LeadsOut {
            path: root.join(path),
            target: target.into(),
        });
    }
    Ok(listing)
}

fn digest(path: &Path) -> Result<(deploy_core::digest::Digest, u64), TreeError> {
    let mut file = File::open(path).map_err(io(path))?;
    let mut digester = Digester::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).map_err(io(path))?;
        if read == 0 {
            return Ok((digester.finish(), size));
        }
        size += read as u64;
        digester.update(&buffer[..read]);
    }
}

/// As many files are flushed one by one; more of them, with all else that this file system has not written yet, at once.
const ONE_BY_ONE: usize = 16;

/// Flushes a tree that is all there. Blocking.
pub fn flush(root: &Path, listing: &Listing) -> std::io::Result<()> {
    let files = || {
        listing
            .nodes
            .iter()
            .filter(|(_, node)| matches!(node, Node::File { .. }))
    };
    if files().count() > ONE_BY_ONE {
        return Ok(rustix::fs::syncfs(File::open(root)?)?);
    }
    for (path, _) in files() {
        let below = Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
        File::open(root.join(below))?.sync_all()?;
    }
    File::open(root)?.sync_all()
}

/// Copies a tree into a folder that does not exist yet, flushed. Blocking.
pub fn copy(from: &Path, listing: &Listing, into: &Path) -> Result<(), TreeError> {
    std::fs::create_dir_all(into).map_err(io(into))?;
    for (path, node) in &listing.nodes {
        let below = Path::new(OsStr::from_bytes(path.as_bytes()));
        let (source, target) = (from.join(below), into.join(below));
        match node {
            Node::Dir { .. } => std::fs::create_dir_all(&target).map_err(io(&target))?,
            Node::Link { target: says } => {
                std::os::unix::fs::symlink(OsStr::from_bytes(says), &target).map_err(io(&target))?;
            }
            Node::File { mode, .. } => {
                std::fs::copy(&source, &target).map_err(io(&source))?;
                let permissions = std::fs::Permissions::from_mode(u32::from(*mode));
                std::fs::set_permissions(&target, permissions).map_err(io(&target))?;
            }
        }
    }
    flush(into, listing).map_err(io(into))?;
    // Last, and the deepest first: a folder that may not be written to is filled before it becomes one.
    for (path, node) in listing.nodes.iter().rev() {
        if let Node::Dir { mode } = node {
            let folder = into.join(Path::new(OsStr::from_bytes(path.as_bytes())));
            let permissions = std::fs::Permissions::from_mode(u32::from(*mode));
            std::fs::set_permissions(&folder, permissions).map_err(io(&folder))?;
        }
    }
    File::open(into).and_then(|dir| dir.sync_all()).map_err(io(into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_lists_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let from = dir.path().join("from");
        std::fs::create_dir_all(from.join("sub/empty")).expect("folders");
        std::fs::write(from.join("sub/-a b\nc"), "x").expect("a file");
        std::fs::write(from.join("run"), "#!/bin/sh").expect("a file");
        std::fs::set_permissions(from.join("run"), std::fs::Permissions::from_mode(0o4755)).expect("a mode");
        std::fs::set_permissions(from.join("sub"), std::fs::Permissions::from_mode(0o700)).expect("a mode");
        std::os::unix::fs::symlink("sub", from.join("link")).expect("a link");
        let listing = list(&from).expect("a tree");
        assert_eq!(listing.nodes.len(), 5);
        copy(&from, &listing, &dir.path().join("into")).expect("a copy");
        assert_eq!(list(&dir.path().join("into")).expect("a tree"), listing);
        std::os::unix::fs::symlink("../..", from.join("out")).expect("a link");
        assert!(matches!(list(&from), Err(TreeError::LeadsOut { .. })));
    }
}

//! A folder on this machine as a listing, and the stream that carries part of it to a host. The files' reading is
//! blocking; whoever calls this does so where that is allowed.

use deploy_core::digest::Digester;
use deploy_core::tree::{Listing, Node, TreePath};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Why a folder is no tree.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// Something cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A symlink leads out of the tree: on a host it would lead somewhere else.
    #[error("the symlink {path} leads out of the tree, to {target}")]
    LeadsOut {
        /// Which.
        path: PathBuf,
        /// Where to.
        target: PathBuf,
    },
    /// A device, socket or pipe.
    #[error("{path} is neither file, folder nor symlink")]
    Special {
        /// Which.
        path: PathBuf,
    },
}

/// Lists a folder: every file with its digest, every symlink and folder; permission bits without setuid, setgid and sticky.
/// Blocking.
///
/// # Errors
/// [`WalkError`] for the first thing that cannot be part of a tree.
pub fn walk(root: &Path) -> Result<Listing, WalkError> {
    let mut listing = Listing::default();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        let full = root.join(&folder);
        let unreadable = |source| WalkError::Unreadable {
            path: full.clone(),
            source,
        };
        for entry in fs::read_dir(&full).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = folder.join(entry.file_name());
            let node = node(&entry.path(), &path)?;
            if matches!(node, Node::Dir { .. }) {
                open.push(path.clone());
            }
            let bytes = path.into_os_string().into_vec();
            // Never: names from a folder have no `/`, `.` or NUL.
            let path = TreePath::new(bytes).map_err(|error| WalkError::Special {
                path: PathBuf::from(error.to_string()),
            })?;
            listing.nodes.insert(path, node);
        }
    }
    if let Some((path, target)) = listing.leading_out() {
        let name = |bytes| PathBuf::from(OsStr::from_bytes(bytes));
        return Err(WalkError::LeadsOut {
            path: name(path.as_bytes()),
            target: name(target),
        });
    }
    Ok(listing)
}

fn node(full: &Path, path: &Path) -> Result<Node, WalkError> {
    let unreadable = |source| WalkError::Unreadable {
        path: full.to_owned(),
        source,
    };
    let meta = fs::symlink_metadata(full).map_err(unreadable)?;
    let mode = u16::try_from(meta.permissions().mode() & 0o777).unwrap_or(0o777);
    if meta.is_dir() {
        return Ok(Node::Dir { mode });
    }
    if meta.is_symlink() {
        let target = fs::read_link(full).map_err(unreadable)?;
        let target = target.into_os_string().into_vec();
        return Ok(Node::Link { target });
    }
    if !meta.is_file() {
        return Err(WalkError::Special {
            path: path.to_owned(),
        });
    }
    let mut file = fs::File::open(full).map_err(unreadable)?;
    let mut digester = Digester::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        digester.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(Node::File {
        digest: digester.finish(),
        size,
        mode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn walks_names_of_any_bytes_and_drops_setuid() {
        let dir = tempfile::tempdir().unwrap();
        let odd = OsStr::from_bytes(b"-a \n\xff");
        fs::write(dir.path().join(odd), "x").unwrap();
        fs::set_permissions(dir.path().join(odd), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::create_dir_all(dir.path().join("d/empty")).unwrap();
        symlink("../-a", dir.path().join("d/link")).unwrap();
        let listing = walk(dir.path()).unwrap();
        let names: Vec<_> = listing
            .nodes
            .keys()
            .map(|path| path.as_bytes().to_vec())
            .collect();
        assert_eq!(names, [&b"-a \n\xff"[..], b"d", b"d/empty", b"d/link"]);
        let node = &listing.nodes[&TreePath::new(&b"-a \n\xff"[..]).unwrap()];
        assert!(matches!(
            node,
            Node::File {
                mode: 0o755,
                size: 1,
                ..
            }
        ));
    }

    #[test]
    fn symlinks_out_of_the_tree_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink("../b", dir.path().join("a")).unwrap();
        assert!(matches!(walk(dir.path()), Err(WalkError::LeadsOut { .. })));
    }
}

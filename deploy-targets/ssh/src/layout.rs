//! Names on a host: what a release's folder is called, and which of a tree's paths belong in it.
//!
//! `<path>/releases/<id>`, `<path>/current`, `<path>/shared`, and ours in `<path>/.deploy` (`lock`, `claim`, `checkpoints/`,
//! `environments/`, `services/`, `tmp/`, and `spare/`: room for going back on a disk that became full; for what goes back by itself `armed`,
//! `reverted`, `revert`, `watch.lock` and `unit`, see `arm.rs`; where two ports take turns `serves`, `turns/` and `stop`, and `ports/` beside
//! `releases/`, see `beside.rs`); for a live folder that was adopted, `<path>` is the symlink and all of
//! it is in `<path>.deploy`.
//! In each release `.deploy/` holds `listing`, `sums`, `odd`, `links`, `names`, `refs`, `hooks`, `env`, `run-env`, `sealed`, `targets`
//! and, last, `complete`; `restart` once it was switched to; `failed` once it was put back, until a deployment of it succeeds; `own` where commands of the manifest changed files of it (`script/whole.sh` says what for), and
//! `hooking` while they may be about it.

use crate::config::{HostBinding, SshBinding};
use deploy_core::digest::Digest;
use deploy_core::tree::{Listing, TreePath};

/// Ours in every release.
pub(crate) const OURS: &str = ".deploy";

/// The name of a release's folder: the same content and configuration have the same name.
pub(crate) fn release_id(tree: Digest, config: Digest, binding: &SshBinding, host: &HostBinding) -> String {
    let whole = Digest::of_json(&("deploy.ssh.release/1", tree, config, binding.content(host)));
    whole.to_string()[..16].to_owned()
}

/// Whether a path is `root` or below it.
pub(crate) fn is_at_or_below(path: &TreePath, root: &str) -> bool {
    path.as_bytes()
        .strip_prefix(root.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// What of a tree is put on a host: all but what a shared folder takes the place of.
pub(crate) fn wanted(listing: &Listing, shared: &[String]) -> Listing {
    let nodes = listing
        .nodes
        .iter()
        .filter(|(path, _)| !shared.iter().any(|folder| is_at_or_below(path, folder)))
        .map(|(path, node)| (path.clone(), node.clone()))
        .collect();
    Listing { nodes }
}

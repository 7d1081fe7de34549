//! A manifest that cannot be read, in the way of what needs it least: going on, going back, looking. What was committed last and can be
//! read stands in for it there; what brings something new is refused.

use super::configure_error;
use crate::api::{EngineError, Unreadable};
use crate::configure::{self, ConfigureError};
use crate::source::git::{Git, GitError};
use deploy_core::id::CommitId;
use deploy_core::manifest::Manifest;
use std::path::Path;

/// How many commits that changed the manifest are looked at.
const COMMITS: usize = 20;

/// A manifest that stands in for one that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    /// The commit it is of.
    pub commit: CommitId,
    /// Why the one that lies there cannot be read, in a few words.
    pub why: String,
}

/// The manifest as it lies there, or what stands in for it.
pub(super) async fn read(
    path: &Path,
    file: &str,
    git: &Result<Git, GitError>,
    unreadable: Unreadable,
) -> Result<(Manifest, Option<StandIn>), EngineError> {
    let error = match configure::read_manifest(path) {
        Ok(manifest) => return Ok((manifest, None)),
        Err(error) => error,
    };
    let missing = matches!(&error, ConfigureError::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
    if unreadable == Unreadable::AsCommitted
        && !missing
        && let Ok(git) = git
        && let Some((manifest, commit)) = committed(git, file).await
    {
        let why = match &error {
            ConfigureError::Manifest(problems) if problems.len() == 1 => "1 problem in it".to_owned(),
            ConfigureError::Manifest(problems) => format!("{} problems in it", problems.len()),
            error => error.to_string(),
        };
        return Ok((manifest, Some(StandIn { commit, why })));
    }
    Err(configure_error(error))
}

/// The newest committed manifest that can be read.
async fn committed(git: &Git, file: &str) -> Option<(Manifest, CommitId)> {
    for commit in git.commits_of(file, COMMITS).await.ok()? {
        if let Ok(manifest) = configure::manifest_of(git, &commit, file).await {
            return Some((manifest, commit));
        }
    }
    None
}

//! From a manifest to what a deployment works with: one environment's configuration as of a commit, its secrets, its targets and
//! probes. Everything here is made anew by whoever takes a deployment up; nothing of it is stored.

pub mod bind;
pub mod eyes;
pub mod facts;
pub mod registry;
pub mod secrets;
mod sight;

use crate::source::git::{Git, GitError};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{CommitId, EnvName};
use deploy_core::manifest::{self, Environment, Manifest, VarName, parse_env_file};
use deploy_core::problem::Problems;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// The caller's environment, taken once: nothing reads the process's own later.
pub type Caller = BTreeMap<String, String>;

/// The environment of this process. A variable that is not UTF-8 cannot be named in a manifest, and is left out.
pub fn caller() -> Caller {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// The manifest is wrong.
    #[error("{} problems in the manifest", .0.len())]
    Manifest(Problems),
    /// A file cannot be read.
    #[error("could not read {path}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The manifest is not UTF-8.
    #[error("{path} is not UTF-8: byte {at} cannot be read")]
    NotUtf8 {
        /// Which.
        path: String,
        /// Where.
        at: usize,
    },
    /// The manifest is longer than any is.
    #[error("{path} is larger than {} KiB", manifest::MAX_BYTES / 1024)]
    TooLarge {
        /// Which.
        path: String,
    },
    /// The commit has no such file.
    #[error("{path} is not in commit {commit}")]
    NotInCommit {
        /// Which.
        path: String,
        /// The commit.
        commit: CommitId,
    },
    /// The checkout.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl ConfigureError {
    /// For people and programs.
    pub fn failure(&self) -> Failure {
        let unreadable = |next: &str| Failure::new(Code::ManifestUnreadable, self.to_string(), next);
        match self {
            Self::Manifest(_) => Failure::new(
                Code::ManifestInvalid,
                self.to_string(),
                "mend them, then deploy check",
            ),
            Self::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                unreadable("deploy init writes a first one; -f FILE names another").caused_by(source)
            }
            Self::Unreadable { source, .. } => {
                unreadable("see who may read it; -f FILE names another").caused_by(source)
            }
            Self::NotUtf8 { .. } => unreadable("save it as UTF-8"),
            Self::TooLarge { .. } => unreadable("is it the right file? -f FILE names another"),
            Self::NotInCommit { path, .. } => unreadable(&format!(
                "git add {path} && git commit, then again: what is deployed is a commit"
            )),
            Self::Git(error) => error.failure(),
        }
    }
}

/// Reads a manifest from the disk.
pub fn read_manifest(path: &Path) -> Result<Manifest, ConfigureError> {
    let name = path.display().to_string();
    let unreadable = |source| ConfigureError::Unreadable {
        path: name.clone(),
        source,
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > manifest::MAX_BYTES as u64 {
        return Err(ConfigureError::TooLarge { path: name });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    parse_bytes(&name, &bytes)
}

/// The files and folders that a manifest names and that are not in its folder.
pub fn not_there(manifest: &Manifest, folder: &Path) -> Problems {
    manifest.not_there(&|path| match std::fs::metadata(folder.join(path)) {
        Ok(meta) if meta.is_dir() => manifest::Found::Folder,
        Ok(_) => manifest::Found::File,
        Err(_) => manifest::Found::Nothing,
    })
}

fn parse_bytes(name: &str, bytes: &[u8]) -> Result<Manifest, ConfigureError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ConfigureError::NotUtf8 {
        path: name.to_owned(),
        at: error.valid_up_to(),
    })?;
    manifest::parse(name, text).map_err(ConfigureError::Manifest)
}

/// Where configuration is read from.
#[derive(Debug, Clone)]
pub enum From<'a> {
    /// The files as they lie there.
    WorkTree(&'a Path),
    /// The files of a commit: what a release's deployment is bound to.
    Commit(&'a Git, &'a CommitId),
}

/// The manifest as of a commit.
pub async fn manifest_of(git: &Git, commit: &CommitId, file: &str) -> Result<Manifest, ConfigureError> {
    let bytes = git
        .file(commit, file)
        .await?
        .ok_or_else(|| ConfigureError::NotInCommit {
            path: file.to_owned(),
            commit: commit.clone(),
        })?;
    parse_bytes(file, &bytes)
}

/// One environment of a manifest, with its env file read from where the manifest is from.
pub async fn environment(
    manifest: &Manifest,
    name: &EnvName,
    from: &From<'_>,
    caller: &Caller,
) -> Result<Environment, ConfigureError> {
    let variables = variables(manifest, name, from, caller).await?;
    manifest
        .resolve(name, &variables, &|name| caller.get(name).cloned())
        .map_err(ConfigureError::Manifest)
}

/// These environments of the manifest in a folder, for somebody who asks whether they are right: all that is wrong at once, also the
/// files that are not there. Where there are several, each problem names those it is in.
pub async fn check(
    manifest: &Manifest,
    names: &[EnvName],
    folder: &Path,
    caller: &Caller,
) -> Result<Vec<Environment>, ConfigureError> {
    let missing = not_there(manifest, folder);
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for name in names {
        let variables = match variables(manifest, name, &From::WorkTree(folder), caller).await {
            Ok(variables) => variables,
            Err(ConfigureError::Manifest(problems)) => {
                wrong.push((name.clone(), problems));
                continue;
            }
            // It is among those that are not there.
            Err(ConfigureError::Unreadable { .. }) if !missing.is_empty() => continue,
            Err(error) => return Err(error),
        };
        match manifest.check(name, &variables, &|name| caller.get(name).cloned()) {
            Ok(environment) => right.push(environment),
            Err(problems) => wrong.push((name.clone(), problems)),
        }
    }
    let wrong = match <[_; 1]>::try_from(wrong) {
        Ok([(_, problems)]) if names.len() == 1 => problems,
        Ok(one) => Problems::of_environments(one),
        Err(several) => Problems::of_environments(several),
    };
    let together = apart(manifest, names, folder, caller)
        .await
        .err()
        .unwrap_or_default();
    let problems = Problems::from([missing.into_vec(), wrong.into_vec(), together.into_vec()].concat());
    if problems.is_empty() {
        Ok(right)
    } else {
        Err(ConfigureError::Manifest(problems))
    }
}

/// Whether these environments have no place with another one. What cannot be resolved is nobody's neighbour: that is told where it is
/// asked for.
pub async fn apart(
    manifest: &Manifest,
    names: &[EnvName],
    folder: &Path,
    caller: &Caller,
) -> Result<(), Problems> {
    let mut resolved = Vec::new();
    for name in manifest.environments() {
        resolved.extend(
            environment(manifest, name, &From::WorkTree(folder), caller)
                .await
                .ok(),
        );
    }
    manifest.apart(&resolved, names)
}

/// The variables of an environment's file.
async fn variables(
    manifest: &Manifest,
    name: &EnvName,
    from: &From<'_>,
    caller: &Caller,
) -> Result<BTreeMap<VarName, String>, ConfigureError> {
    let look_up = |name: &str| caller.get(name).cloned();
    let mut variables = BTreeMap::<VarName, String>::new();
    if let Some(file) = manifest
        .env_file(name, &look_up)
        .map_err(ConfigureError::Manifest)?
    {
        let path = file.as_str().to_owned();
        let bytes = match from {
            From::WorkTree(folder) => {
                std::fs::read(folder.join(&path)).map_err(|source| ConfigureError::Unreadable {
                    path: path.clone(),
                    source,
                })?
            }
            From::Commit(git, commit) => {
                git.file(commit, &path)
                    .await?
                    .ok_or_else(|| ConfigureError::NotInCommit {
                        path: path.clone(),
                        commit: (*commit).clone(),
                    })?
            }
        };
        let text = String::from_utf8(bytes).map_err(|error| ConfigureError::NotUtf8 {
            path: path.clone(),
            at: error.utf8_error().valid_up_to(),
        })?;
        variables = parse_env_file(&path, &text).map_err(ConfigureError::Manifest)?;
    }
    Ok(variables)
}

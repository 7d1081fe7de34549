//! The artifact store: trees by digest, made once from a commit and kept beside the state. Unchanged inputs: no build, the same
//! artifact. Everything is written aside, flushed and renamed, so that a kill leaves nothing that looks whole and is not.

use super::git::{Files, Git, GitError};
use super::ignored::{self, Ignored, Names};
use super::incremental::{self, Before, MADE_OF};
use super::process::{self, ProcessError, Program, plain_environment};
use super::tree::{self, TreeError};
use crate::failpoint;
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::CommitId;
use deploy_core::tree::Listing;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest a build may take.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);

/// What to make a tree from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// A folder of the commit, as it is.
    Source {
        /// Below the manifest's folder.
        dir: String,
    },
    /// What a command makes of the commit.
    Build {
        /// Its name, for people.
        name: String,
        /// As argv.
        argv: Vec<String>,
        /// Where it runs, below the manifest's folder.
        dir: String,
        /// What it is made from; empty: the whole commit.
        inputs: Vec<String>,
        /// The folder it makes, below the manifest's folder.
        output: String,
    },
}

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The checkout.
    #[error(transparent)]
    Git(#[from] GitError),
    /// What it is made of.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The command.
    #[error("could not build {name}")]
    Process {
        /// Which artifact.
        name: String,
        /// Why.
        #[source]
        source: ProcessError,
    },
    /// The command failed.
    #[error("the build of {name} ended with {status}")]
    Build {
        /// Which artifact.
        name: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last of its output.
        tail: String,
    },
    /// It did not make what it was to make, or the commit has no such folder.
    #[error("{what}: there is no folder `{path}`")]
    NoOutput {
        /// Which artifact or service.
        what: String,
        /// The folder.
        path: String,
    },
    /// No input matches.
    #[error("no file of the commit matches the inputs of {0}")]
    NoInputs(String),
    /// The store.
    #[error("could not use the artifact store at {}", .path.display())]
    Store {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ArtifactError {
    /// For people and programs.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Git(error) => error.failure(),
            Self::Build { tail, .. } => Failure::new(
                Code::BuildFailed,
                self.to_string(),
                "mend it, commit, and try again",
            )
            .with_log(tail),
            Self::NoOutput { .. } | Self::NoInputs(_) | Self::Tree(_) | Self::Process { .. } => {
                let failure = Failure::new(
                    Code::BuildFailed,
                    self.to_string(),
                    "mend it, commit, and try again",
                );
                std::error::Error::source(self).map_or(failure.clone(), |source| failure.caused_by(source))
            }
            Self::Store { source, .. } => Failure::new(
                Code::StateFull,
                self.to_string(),
                "free space, or see who owns the folder",
            )
            .caused_by(source),
        }
    }
}

/// The store.
#[derive(Debug, Clone)]
pub struct Artifacts {
    root: PathBuf,
}

/// A tree in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTree {
    /// Its digest.
    pub digest: Digest,
    /// Its folder.
    pub path: PathBuf,
    /// Whether it was made now.
    pub made: bool,
}

/// Whether all of a folder is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// Its `.deployignore` leaves something out.
    Some,
}

/// The files of a folder of a commit that a release has.
struct Wanted {
    files: Files,
    part: Part,
}

impl Wanted {
    /// Their paths below the folder; what is another repository has no files of its own.
    fn paths(&self) -> Vec<&[u8]> {
        let blobs = self.files.iter().filter(|(_, object)| object.contains(" blob "));
        blobs.map(|(path, _)| path.as_slice()).collect()
    }
}

async fn wanted(git: &Git, commit: &CommitId, dir: &str) -> Result<Wanted, ArtifactError> {
    let mut files = git.files(commit, dir).await?;
    let said = files.get(ignored::NAME.as_bytes());
    // A symlink says nothing.
    let Some(object) = said
        .filter(|object| object.starts_with("100"))
        .and_then(|object| object.split(' ').nth(2))
    else {
        return Ok(Wanted {
            files,
            part: Part::All,
        });
    };
    let ignored = Ignored::parse(&git.object(object).await?)?;
    files.retain(|path| !ignored.leaves_out(Path::new(OsStr::from_bytes(path)), Names::File));
    Ok(Wanted {
        files,
        part: Part::Some,
    })
}

pub(super) fn store_error(path: &Path) -> impl FnOnce(std::io::Error) -> ArtifactError + use<'_> {
    move |source| ArtifactError::Store {
        path: path.to_owned(),
        source,
    }
}

impl Artifacts {
    /// In this folder, which is made when it is needed.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of a tree, if it is here.
    pub fn tree(&self, digest: Digest) -> Option<PathBuf> {
        let path = self.root.join("trees").join(digest.to_string()).join("tree");
        path.is_dir().then_some(path)
    }

    /// Makes a tree of a commit, or finds the one that the same inputs made before.
    ///
    /// # Cancellation
    /// Dropping the future ends a build with its children; a half-made tree is under a temporary name only.
    pub async fn make(
        &self,
        git: &Git,
        commit: &CommitId,
        recipe: &Recipe,
        line: impl FnMut(&str) + Send,
    ) -> Result<StoredTree, ArtifactError> {
        let key = recipe.key(git, commit).await?;
        let record = self.root.join("builds").join(key.to_string());
        if let Some(digest) = std::fs::read_to_string(&record)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            && let Some(path) = self.tree(digest)
            // A program that left nothing out made it.
            && path.join(ignored::NAME).symlink_metadata().is_err()
        {
            return Ok(StoredTree {
                digest,
                path,
                made: false,
            });
        }
        for folder in ["trees", "builds", "tmp"] {
            let folder = self.root.join(folder);
            std::fs::create_dir_all(&folder).map_err(store_error(&folder))?;
        }
        let scratch = tempfile::Builder::new()
            .prefix("make-")
            .tempdir_in(self.root.join("tmp"))
            .map_err(store_error(&self.root))?;
        let checkout = scratch.path().join("commit");
        std::fs::create_dir_all(&checkout).map_err(store_error(&checkout))?;
        let aside = scratch.path().join("keep");
        std::fs::create_dir_all(&aside).map_err(store_error(&aside))?;
        let made_of = match recipe {
            Recipe::Source { dir } => Some((dir, wanted(git, commit, dir).await?)),
            Recipe::Build { .. } => None,
        };
        let mut listing = None;
        if let Some((dir, Wanted { files, .. })) = &made_of
            && let Some(before) = self.before(dir)
        {
            let (tree, checkout) = (aside.join("tree"), scratch.path().join("changed"));
            std::fs::create_dir_all(&checkout).map_err(store_error(&checkout))?;
            // Whatever stands in its way, the long way is open.
            listing = before
                .make(git, commit, (dir, files), (&checkout, &tree))
                .await
                .unwrap_or_default();
            if listing.is_none() {
                let _not_begun = std::fs::remove_dir_all(&tree);
            }
        }
        let listing = match listing {
            Some(listing) => {
                failpoint::hit("artifact.made");
                listing
            }
            None => {
                match &made_of {
                    Some((dir, wanted)) if wanted.part == Part::Some => {
                        git.export_some(commit, &checkout, dir, &wanted.paths()).await?;
                    }
                    _ => git.export(commit, &checkout).await?,
                }
                let output = recipe.run(&checkout, line).await?;
                failpoint::hit("artifact.made");
                self.take(&output, &aside, made_of.is_some()).await?
            }
        };
        let stored = self.keep(
            &listing,
            made_of.as_ref().map(|(_, wanted)| &wanted.files),
            &aside,
        )?;
        failpoint::hit("artifact.kept");
        if let Some((dir, _)) = &made_of {
            let newest = incremental::newest(&self.root, dir);
            write_whole(&newest, stored.digest.to_string().as_bytes(), scratch.path())
                .map_err(store_error(&newest))?;
        }
        write_whole(&record, stored.digest.to_string().as_bytes(), scratch.path())
            .map_err(store_error(&record))?;
        Ok(stored)
    }

    /// The newest tree of this folder of a commit.
    fn before(&self, dir: &str) -> Option<Before> {
        let digest = std::fs::read_to_string(incremental::newest(&self.root, dir)).ok()?;
        let digest: Digest = digest.trim().parse().ok()?;
        Before::read(&self.root.join("trees").join(digest.to_string()))
    }

    /// Brings a folder aside, flushed, and lists it: what is nobody else's moves, what a build made is copied, for the build may have
    /// other names for it.
    async fn take(&self, output: &Path, aside: &Path, moves: bool) -> Result<Listing, ArtifactError> {
        // By its name: what ends in `.` cannot be moved.
        let (output, tree) = (output.components().collect::<PathBuf>(), aside.join("tree"));
        let taking = tokio::task::spawn_blocking(move || -> Result<Listing, TreeError> {
            // Of a folder of a commit, what is left out was not checked out.
            let ignored = if moves {
                Ignored::default()
            } else {
                Ignored::of(&output)?
            };
            let listing = tree::list_but(&output, &ignored)?;
            if moves {
                let flushed = std::fs::rename(&output, &tree).and_then(|()| tree::flush(&tree, &listing));
                flushed.map_err(|source| TreeError::Io { path: tree, source })?;
            } else {
                tree::copy(&output, &listing, &tree)?;
            }
            Ok(listing)
        });
        let taken = taking.await.map_err(|error| ArtifactError::Store {
            path: self.root.clone(),
            source: std::io::Error::other(error),
        })?;
        Ok(taken?)
    }

    /// Takes what is aside into the store.
    fn keep(
        &self,
        listing: &Listing,
        made_of: Option<&Files>,
        aside: &Path,
    ) -> Result<StoredTree, ArtifactError> {
        let digest = listing.digest();
        let trees = self.root.join("trees");
        let home = trees.join(digest.to_string());
        if !home.is_dir() {
            write_flushed(&aside.join("listing"), &listing.to_text()).map_err(store_error(aside))?;
            if let Some(files) = made_of {
                write_flushed(&aside.join(MADE_OF), &files.to_bytes()).map_err(store_error(aside))?;
            }
            match std::fs::rename(aside, &home) {
                // Somebody else made the very same tree at the same moment.
                Err(_) if home.is_dir() => {}
                result => result.map_err(store_error(&home))?,
            }
            let flushed = std::fs::File::open(&trees).and_then(|folder| folder.sync_all());
            flushed.map_err(store_error(&trees))?;
        }
        Ok(StoredTree {
            digest,
            path: home.join("tree"),
            made: true,
        })
    }
}

impl Recipe {
    /// What decides what comes out.
    async fn key(&self, git: &Git, commit: &CommitId) -> Result<Digest, ArtifactError> {
        match self {
            Self::Source { dir } => {
                let all = matches!(dir.trim_matches('/'), "" | ".");
                let pattern = if all { "**".to_owned() } else { dir.clone() };
                let (digest, files) = git.digest_of(commit, std::slice::from_ref(&pattern)).await?;
                if files == 0 {
                    return Err(ArtifactError::NoOutput {
                        what: "the commit".to_owned(),
                        path: dir.clone(),
                    });
                }
                Ok(Digest::of_json(&("source", dir, digest)))
            }
            Self::Build {
                name,
                argv,
                dir,
                inputs,
                output,
            } => {
                let everything = ["**".to_owned()];
                let patterns = if inputs.is_empty() {
                    everything.as_slice()
                } else {
                    inputs.as_slice()
                };
                let (digest, files) = git.digest_of(commit, patterns).await?;
                if files == 0 {
                    return Err(ArtifactError::NoInputs(name.clone()));
                }
                Ok(Digest::of_json(&("build", argv, dir, output, digest)))
            }
        }
    }

    async fn run(&self, checkout: &Path, line: impl FnMut(&str) + Send) -> Result<PathBuf, ArtifactError> {
        let (what, path) = match self {
            Self::Source { dir } => ("the commit".to_owned(), dir.clone()),
            Self::Build {
                name,
                argv,
                dir,
                output,
                ..
            } => {
                let program = Program {
                    argv: argv.clone(),
                    dir: checkout.join(dir),
                    env: plain_environment(),
                    limit: BUILD_LIMIT,
                };
                let ended = process::run(&program, line)
                    .await
                    .map_err(|source| ArtifactError::Process {
                        name: name.clone(),
                        source,
                    })?;
                if !ended.status.success() {
                    return Err(ArtifactError::Build {
                        name: name.clone(),
                        status: ended.status,
                        tail: ended.tail,
                    });
                }
                (name.clone(), output.clone())
            }
        };
        let folder = checkout.join(&path);
        if folder.is_dir() {
            Ok(folder)
        } else {
            Err(ArtifactError::NoOutput { what, path })
        }
    }
}

fn write_flushed(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes a small file whole or not at all.
fn write_whole(path: &Path, bytes: &[u8], scratch: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut aside = tempfile::NamedTempFile::new_in(scratch)?;
    aside.write_all(bytes)?;
    aside.as_file().sync_all()?;
    aside.persist(path)?;
    path.parent()
        .map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

//! The git checkout, through the `git` program: facts about commits, and the files of one. Read only.

use super::process::plain_environment;
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::CommitId;
use deploy_core::model::Source;
use deploy_core::time::Timestamp;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::Command;

/// No git command of ours takes long; one that does waits for something (a network file system, a prompt).
const LIMIT: Duration = Duration::from_secs(60);

/// A checkout, and the folder of the manifest in it.
#[derive(Debug, Clone)]
pub struct Git {
    pub(super) root: PathBuf,
    /// The manifest's folder below the root, with a slash at its end; empty if it is the root.
    pub(super) prefix: String,
    /// What was answered about commits by their full names, which is so for good.
    answered: Arc<Mutex<Answers>>,
}

type Answers = BTreeMap<Vec<String>, Arc<Vec<u8>>>;

/// More than one command asks for.
const MOST_ANSWERS: usize = 64;

/// Files of a commit below one folder, by git's names of their content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Files {
    /// Mode, kind and object of each.
    objects: BTreeMap<Vec<u8>, String>,
    attributes: String,
}

impl Files {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &String)> {
        self.objects.iter()
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&String> {
        self.objects.get(path)
    }

    /// Takes out what is not wanted.
    pub(super) fn retain(&mut self, wanted: impl Fn(&[u8]) -> bool) {
        self.objects.retain(|path, _| wanted(path));
    }

    /// What stands for all files of attributes that were in the commit.
    pub(super) fn attributes(&self) -> &str {
        &self.attributes
    }

    /// Whether all are files and symlinks, and none another repository.
    pub(super) fn are_plain(&self) -> bool {
        self.objects.values().all(|object| object.contains(" blob "))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.attributes.clone().into_bytes();
        bytes.push(0);
        for (path, object) in &self.objects {
            bytes.extend_from_slice(object.as_bytes());
            bytes.push(b'\t');
            bytes.extend_from_slice(path);
            bytes.push(0);
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut entries = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        let attributes = String::from_utf8(entries.next()?.to_vec()).ok()?;
        let objects = entries.map(entry).collect::<Option<_>>()?;
        Some(Self { objects, attributes })
    }
}

/// One line of git's list: the path, and what it is.
fn entry(line: &[u8]) -> Option<(Vec<u8>, String)> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let object = std::str::from_utf8(&line[..tab]).ok()?;
    Some((line[tab + 1..].to_vec(), object.to_owned()))
}

/// A folder as paths below it begin; nothing for the root.
fn below(dir: &str) -> String {
    match dir.trim_start_matches("./").trim_matches('/') {
        "" | "." => String::new(),
        dir => format!("{dir}/"),
    }
}

/// Why git gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Not a checkout.
    #[error("{} is not inside a git checkout", .0.display())]
    NotARepository(PathBuf),
    /// The commit is not here.
    #[error("`{rev}` is not in this checkout{}", if *.shallow { ", which is shallow" } else { "" })]
    CommitMissing {
        /// What was asked for.
        rev: String,
        /// Whether the checkout holds only part of the history.
        shallow: bool,
    },
    /// There is no commit yet.
    #[error("the checkout has no commit yet")]
    NoCommit,
    /// There is no `git`.
    #[error("could not run git")]
    Start(#[source] std::io::Error),
    /// It took too long.
    #[error("git {0} took longer than a minute")]
    TimedOut(String),
    /// It failed.
    #[error("git {verb} failed: {message}")]
    Failed {
        /// The subcommand.
        verb: String,
        /// What it said.
        message: String,
    },
    /// A pattern of the manifest is not one.
    #[error("`{pattern}` is not a pattern")]
    Pattern {
        /// Which.
        pattern: String,
        /// Why.
        #[source]
        source: globset::Error,
    },
}

impl GitError {
    /// For people and programs.
    pub fn failure(&self) -> Failure {
        let (code, next) = match self {
            Self::NotARepository(_) => (
                Code::NotARepository,
                "git init && git add -A && git commit, then try again".to_owned(),
            ),
            Self::NoCommit => (
                Code::NotARepository,
                "git add -A && git commit, then try again".to_owned(),
            ),
            Self::CommitMissing { shallow: true, .. } => (
                Code::CommitMissing,
                "git fetch --unshallow (in CI: fetch-depth: 0)".to_owned(),
            ),
            Self::CommitMissing { rev, .. } => (
                Code::CommitMissing,
                format!("git fetch origin {rev}, or name another commit"),
            ),
            Self::Start(_) => (Code::ToolMissing, "install git".to_owned()),
            Self::TimedOut(_) | Self::Failed { .. } => (
                Code::NotARepository,
                "run the git command by hand to see more".to_owned(),
            ),
            Self::Pattern { .. } => (
                Code::ManifestInvalid,
                "write a pattern such as `app/**`".to_owned(),
            ),
        };
        let failure = Failure::new(code, self.to_string(), next);
        match std::error::Error::source(self) {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }
}

impl Git {
    /// Finds the checkout around a folder.
    pub async fn open(folder: &Path) -> Result<Self, GitError> {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let probe = Self {
            root: folder.clone(),
            prefix: String::new(),
            answered: Arc::default(),
        };
        let answer = probe
            .ask(&["rev-parse", "--show-toplevel", "--show-prefix"])
            .await
            .map_err(|error| match error {
                GitError::Failed { .. } => GitError::NotARepository(folder),
                error => error,
            })?;
        let mut lines = answer.lines();
        let root = PathBuf::from(lines.next().unwrap_or_default());
        let prefix = lines.next().unwrap_or_default().to_owned();
        Ok(Self {
            root,
            prefix,
            answered: Arc::default(),
        })
    }

    /// The folder of the manifest, in the checkout.
    pub fn folder(&self) -> PathBuf {
        self.root.join(&self.prefix)
    }

    /// Resolves a commit, a tag or a branch.
    pub async fn resolve(&self, rev: &str) -> Result<CommitId, GitError> {
        let wanted = format!("{rev}^{{commit}}");
        let command = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        let is_full = rev.len() >= 40 && rev.bytes().all(|byte| byte.is_ascii_hexdigit());
        let answer = if is_full {
            let answer = self.once(command).await;
            answer.map(|text| String::from_utf8_lossy(&text).into_owned())
        } else {
            self.ask(&command).await
        };
        match answer {
            Ok(text) => CommitId::new(text.trim()).map_err(|error| GitError::Failed {
                verb: "rev-parse".to_owned(),
                message: error.to_string(),
            }),
            Err(GitError::Failed { .. }) if rev == "HEAD" => Err(GitError::NoCommit),
            Err(GitError::Failed { .. }) => Err(GitError::CommitMissing {
                rev: rev.to_owned(),
                shallow: self.is_shallow().await?,
            }),
            Err(error) => Err(error),
        }
    }

    /// Whether only part of the history is here, as CI makes it.
    pub async fn is_shallow(&self) -> Result<bool, GitError> {
        Ok(self.ask(&["rev-parse", "--is-shallow-repository"]).await?.trim() == "true")
    }

    /// The branch checked out, if one is.
    pub async fn branch(&self) -> Result<Option<String>, GitError> {
        match self.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The branches that contain a commit, local ones and remote ones without their remote's name.
    pub async fn branches_containing(&self, commit: &CommitId) -> Result<Vec<String>, GitError> {
        self.branches_that(&["--contains", commit.as_str()]).await
    }

    /// All branches there are, as [`Self::branches_containing`] names them.
    pub async fn branches(&self) -> Result<Vec<String>, GitError> {
        self.branches_that(&[]).await
    }

    async fn branches_that(&self, which: &[&str]) -> Result<Vec<String>, GitError> {
        let mut command = vec!["for-each-ref", "--format=%(refname)"];
        command.extend(which);
        command.extend(["refs/heads", "refs/remotes"]);
        let text = self.ask(&command).await?;
        let mut names: Vec<_> = text
            .lines()
            .filter_map(|name| {
                name.strip_prefix("refs/heads/").or_else(|| {
                    name.strip_prefix("refs/remotes/")
                        .and_then(|name| Some(name.split_once('/')?.1))
                })
            })
            .filter(|name| *name != "HEAD")
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The tag on exactly this commit; the highest version where there are several.
    pub async fn version(&self, commit: &CommitId) -> Result<Option<String>, GitError> {
        let text = self
            .ask(&["tag", "--points-at", commit.as_str(), "--sort=-version:refname"])
            .await?;
        Ok(text.lines().next().map(str::to_owned))
    }

    /// Who, when and what.
    pub async fn source(&self, commit: &CommitId, branch: Option<String>) -> Result<Source, GitError> {
        let text = self
            .ask(&[
                "show",
                "--no-patch",
                "--format=%an <%ae>%n%cn <%ce>%n%ct%n%s",
                commit.as_str(),
            ])
            .await?;
        let mut lines = text.lines();
        let mut next = || deploy_core::failure::printable(lines.next().unwrap_or_default(), 256);
        let (author, committer) = (next(), next());
        let seconds: i64 = next().parse().unwrap_or_default();
        Ok(Source {
            commit: commit.clone(),
            branch,
            subject: next(),
            author: mail(&author),
            committer: mail(&committer),
            committed_at: Timestamp(seconds.saturating_mul(1000)),
        })
    }

    /// A file of a commit, by its path below the manifest's folder; `None` if it is not there.
    pub async fn file(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let object = format!("{commit}:{}{path}", self.prefix);
        match self.once(["cat-file", "blob", &object]).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What an object that git's list names holds.
    pub(super) async fn object(&self, object: &str) -> Result<Vec<u8>, GitError> {
        Ok(self.once(["cat-file", "blob", object]).await?.to_vec())
    }

    /// The commits that changed a file, by its path below the manifest's folder, newest first.
    pub async fn commits_of(&self, path: &str, most: usize) -> Result<Vec<CommitId>, GitError> {
        let (most, path) = (format!("--max-count={most}"), format!("{}{path}", self.prefix));
        let text = self
            .ask(&[
                "--literal-pathspecs",
                "log",
                "--format=%H",
                &most,
                "HEAD",
                "--",
                &path,
            ])
            .await?;
        Ok(text.lines().filter_map(|line| CommitId::new(line).ok()).collect())
    }

    /// A digest of all files of a commit that match, by what git knows of them; and how many there are.
    pub async fn digest_of(
        &self,
        commit: &CommitId,
        patterns: &[String],
    ) -> Result<(Digest, usize), GitError> {
        let set = glob_set(patterns)?;
        let scope = format!("{commit}:{}", self.prefix);
        let listing = self
            .once(["ls-tree", "-r", "-z", "--full-tree", scope.trim_end_matches('/')])
            .await?;
        let mut matching = Vec::new();
        for entry in listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
                continue;
            };
            let path = String::from_utf8_lossy(&entry[tab + 1..]);
            if set.is_match(&*path) {
                matching.push(String::from_utf8_lossy(entry).into_owned());
            }
        }
        matching.sort();
        Ok((Digest::of_json(&matching), matching.len()))
    }

    /// The files of a commit below a folder, which is below the manifest's.
    pub(super) async fn files(&self, commit: &CommitId, dir: &str) -> Result<Files, GitError> {
        let scope = format!("{commit}:{}", self.prefix);
        let listing = self
            .once(["ls-tree", "-r", "-z", "--full-tree", scope.trim_end_matches('/')])
            .await?;
        let (mut objects, mut attributes) = (BTreeMap::new(), Vec::new());
        for (path, object) in listing.split(|byte| *byte == 0).filter_map(entry) {
            if path.ends_with(b".gitattributes") {
                attributes.push((path.clone(), object.clone()));
            }
            if let Some(path) = path.strip_prefix(below(dir).as_bytes()) {
                objects.insert(path.to_vec(), object);
            }
        }
        let attributes = Digest::of_json(&attributes).to_string();
        Ok(Files { objects, attributes })
    }

    /// Writes the files of a commit, from the manifest's folder down, into an empty folder. Through a throw-away index, so that
    /// neither the checkout nor its index is touched.
    pub async fn export(&self, commit: &CommitId, into: &Path) -> Result<(), GitError> {
        self.export_all_or(commit, into, None).await
    }

    /// The same for these files alone, by their paths below `dir`.
    pub(super) async fn export_some(
        &self,
        commit: &CommitId,
        into: &Path,
        dir: &str,
        files: &[&[u8]],
    ) -> Result<(), GitError> {
        if files.is_empty() {
            return Ok(());
        }
        let list = into.with_extension("list");
        let mut text = Vec::new();
        for file in files {
            text.extend_from_slice(below(dir).as_bytes());
            text.extend_from_slice(file);
            text.push(0);
        }
        std::fs::write(&list, text).map_err(GitError::Start)?;
        self.export_all_or(commit, into, Some(&list)).await
    }

    async fn export_all_or(
        &self,
        commit: &CommitId,
        into: &Path,
        list: Option<&Path>,
    ) -> Result<(), GitError> {
        let index = into.with_extension("index");
        let tree = format!("{commit}:{}", self.prefix);
        let tree = tree.trim_end_matches(['/']).trim_end_matches(':').to_owned();
        let tree = if self.prefix.is_empty() {
            commit.to_string()
        } else {
            tree
        };
        let mut prefix = into.as_os_str().to_owned();
        prefix.push("/");
        let mut flag = std::ffi::OsString::from("--prefix=");
        flag.push(&prefix);
        self.call(["read-tree", &tree].map(OsStr::new), Some(&index))
            .await?;
        let which: &[&str] = if list.is_some() {
            &["-z", "--stdin"]
        } else {
            &["--all"]
        };
        let mut args = vec![OsStr::new("checkout-index"), OsStr::new("--force"), &*flag];
        args.extend(which.iter().map(OsStr::new));
        let result = self.call_with(args, Some(&index), list).await;
        // Only ours, in our own temporary folder; left behind it would be harmless.
        let _gone = std::fs::remove_file(&index);
        result.map(|_| ())
    }

    pub(super) async fn ask(&self, args: &[&str]) -> Result<String, GitError> {
        let bytes = self.call(args.iter().map(OsStr::new), None).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Asks once for what never changes; a failure is asked for again.
    async fn once<const N: usize>(&self, args: [&str; N]) -> Result<Arc<Vec<u8>>, GitError> {
        let key = args.map(str::to_owned).to_vec();
        let known = |answers: &mut Answers| answers.get(&key).cloned();
        if let Some(known) = known(&mut self.answered.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(known);
        }
        let answer = Arc::new(self.call(args.map(OsStr::new), None).await?);
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() >= MOST_ANSWERS {
            answered.clear();
        }
        answered.insert(key, Arc::clone(&answer));
        Ok(answer)
    }

    async fn call<'a>(
        &self,
        args: impl IntoIterator<Item = &'a OsStr>,
        index: Option<&Path>,
    ) -> Result<Vec<u8>, GitError> {
        self.call_with(args, index, None).await
    }

    async fn call_with<'a>(
        &self,
        args: impl IntoIterator<Item = &'a OsStr>,
        index: Option<&Path>,
        input: Option<&Path>,
    ) -> Result<Vec<u8>, GitError> {
        let args: Vec<_> = args.into_iter().collect();
        let verb = args
            .first()
            .map(|verb| verb.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.root)
            .args(["-c", "core.quotePath=false"])
            .args(&args);
        command.env_clear().envs(plain_environment());
        // A command of ours never asks and never takes a lock that the user's own git could meet.
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C");
        if let Some(index) = index {
            command.env("GIT_INDEX_FILE", index);
        }
        let stdin = match input {
            Some(file) => std::fs::File::open(file).map_err(GitError::Start)?.into(),
            None => Stdio::null(),
        };
        command.stdin(stdin).kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output())
            .await
            .map_err(|_| GitError::TimedOut(verb.clone()))?
            .map_err(GitError::Start)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let message = deploy_core::failure::printable(message.lines().next().unwrap_or("no message"), 300);
        Err(GitError::Failed { verb, message })
    }
}

/// The patterns of a manifest, as one set. `dir/` and `dir` stand for everything below.
pub fn glob_set(patterns: &[String]) -> Result<GlobSet, GitError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let trimmed = pattern.trim_start_matches("./").trim_end_matches('/');
        for text in [trimmed.to_owned(), format!("{trimmed}/**")] {
            let glob = GlobBuilder::new(&text)
                .literal_separator(true)
                .build()
                .map_err(|source| GitError::Pattern {
                    pattern: pattern.clone(),
                    source,
                })?;
            set.add(glob);
        }
    }
    set.build().map_err(|source| GitError::Pattern {
        pattern: patterns.join(", "),
        source,
    })
}

/// `Name <mail>` as the mail alone, which is what groups list; the whole text where there is none.
fn mail(person: &str) -> String {
    person
        .rsplit_once('<')
        .and_then(|(_, rest)| rest.strip_suffix('>'))
        .filter(|mail| !mail.is_empty())
        .unwrap_or(person)
        .to_owned()
}

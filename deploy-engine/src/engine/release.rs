//! Making releases: from a commit, its artifacts built once; the one with the same content taken where there is one.

use super::scene::Views;
use super::{Engine, configure_error, failed, git_error, usage};
use crate::api::{Before, EngineError, Hear};
use crate::configure;
use crate::source::artifacts::Recipe;
use crate::source::git::Git;
use deploy_core::digest::Digest;
use deploy_core::event::EventKind;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{CommitId, ServiceName};
use deploy_core::manifest::{Artifact, ArtifactKind, Content, Manifest, Project, TargetKind};
use deploy_core::model::{ArtifactRef, Entry, Release};
use deploy_core::port::journal::Stream;
use deploy_core::port::target::ProgressSink;
use deploy_core::view::NoSuchRelease;
use std::collections::{BTreeMap, BTreeSet};

/// What a release is made from, beside the commit.
pub(super) struct Making<'a> {
    /// Gives it this version where the commit has no tag.
    pub(super) version: Option<&'a str>,
    /// The branch, where it is not the one checked out.
    pub(super) branch: Option<&'a str>,
    /// Only these services are new; the rest is what this release has.
    pub(super) partial: Option<(&'a [ServiceName], &'a Release)>,
}

impl Engine {
    /// The release of a commit: made, or the one with the same content.
    pub(super) async fn make_release(
        &self,
        commit: &CommitId,
        making: &Making<'_>,
        views: &Views,
        hear: Hear<'_>,
    ) -> Result<Release, EngineError> {
        let git = self.git()?;
        let manifest = configure::manifest_of(git, commit, &self.file)
            .await
            .map_err(configure_error)?;
        let look_up = |name: &str| self.caller.get(name).cloned();
        let project = manifest.project(&look_up).map_err(EngineError::Manifest)?;
        let mut entries = BTreeMap::new();
        for (service, (content, kind)) in self.contents(&manifest) {
            let old = making
                .partial
                .filter(|(new, _)| !new.contains(&service))
                .map(|(_, base)| base);
            let entry = match old {
                Some(base) => base.entries.get(&service).cloned().unwrap_or(Entry::Absent),
                None => {
                    self.entry(git, commit, &project, &service, &content, kind, hear)
                        .await?
                }
            };
            entries.insert(service, entry);
        }
        let branch = match making.branch {
            Some(branch) => Some(branch.to_owned()),
            None => git.branch().await.map_err(git_error)?,
        };
        let source = git.source(commit, branch).await.map_err(git_error)?;
        let version = git
            .version(commit)
            .await
            .map_err(git_error)?
            .or_else(|| making.version.map(str::to_owned));
        let files = self.files_digest(git, commit, &manifest, &project).await?;
        let number = views.project.next_number();
        let release = Release {
            number,
            entries,
            files,
            sources: vec![source.clone()],
            version: version.clone(),
            development: false,
        };
        if let Some(known) = views.project.by_digest(release.digest()) {
            let known = known.clone();
            if !known.sources.iter().any(|old| old.commit == source.commit) {
                let added = EventKind::SourceAdded {
                    release: known.number,
                    source,
                    version,
                };
                self.append_facts(&Stream::Project, vec![self.draft(None, added)])
                    .await?;
            }
            return Ok(known);
        }
        self.record(release).await
    }

    /// Records a release under the next free number.
    async fn record(&self, mut release: Release) -> Result<Release, EngineError> {
        loop {
            let views = self.views().await?;
            if let Some(known) = views.project.by_digest(release.digest()) {
                return Ok(known.clone());
            }
            release.number = views.project.next_number();
            let made = EventKind::ReleaseMade {
                release: Box::new(release.clone()),
            };
            let append = deploy_core::port::journal::Append {
                stream: Stream::Project,
                expected: views.project.last,
                lease: None,
                condition: deploy_core::port::journal::Condition::default(),
                events: vec![self.draft(None, made)],
                answers: Vec::new(),
            };
            match self.store.append(append).await {
                Ok(_) => return Ok(release),
                // Somebody made a release at the same moment: the number is theirs.
                Err(deploy_core::port::journal::JournalError::Moved { .. }) => {}
                Err(error) => return Err(super::journal_error(error)),
            }
        }
    }

    /// Every service of the project with what it runs, over all environments.
    fn contents(&self, manifest: &Manifest) -> BTreeMap<ServiceName, (Content, TargetKind)> {
        let look_up = |name: &str| self.caller.get(name).cloned();
        let mut contents = BTreeMap::new();
        for name in manifest.environments() {
            for (service, content) in manifest.contents(name, &look_up) {
                contents.entry(service).or_insert(content);
            }
        }
        contents
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call, all of it named in the caller's loop"
    )]
    async fn entry(
        &self,
        git: &Git,
        commit: &CommitId,
        project: &Project,
        service: &ServiceName,
        content: &Content,
        kind: TargetKind,
        hear: Hear<'_>,
    ) -> Result<Entry, EngineError> {
        let recipe = match content {
            // Here an environment that enables such a kind is refused by name; a program that has it must not take this for absent.
            _ if !self.kit.acts().kinds.contains_key(&kind) => return Ok(Entry::NotMade),
            Content::Own => return Ok(Entry::Absent),
            Content::Source(dir) => Recipe::Source {
                dir: dir.as_str().to_owned(),
            },
            Content::Artifact(name) => match project.artifacts.get(name) {
                Some(artifact) => recipe(artifact)?,
                None => {
                    return Err(usage(
                        Code::ManifestInvalid,
                        format!("service {service} runs artifact {name}, which is not in the manifest"),
                        "deploy check",
                    ));
                }
            },
        };
        let mut say = |line: &str| {
            if let Recipe::Build { name, .. } = &recipe {
                hear(Before::Builds {
                    artifact: name.clone(),
                    line: line.to_owned(),
                });
            }
        };
        say("");
        let stored = self
            .artifacts
            .make(git, commit, &recipe, say)
            .await
            .map_err(|error| failed(error.failure().on(service, None)))?;
        Ok(Entry::Artifact(ArtifactRef::Tree {
            digest: stored.digest,
        }))
    }

    /// Makes the artifact of a service of a release again, which is gone: from a commit of the release, with that commit's manifest.
    ///
    /// # Errors
    /// No such commit is here, it cannot be built, or something else comes out than what the release has.
    pub(super) async fn make_artifact_again(
        &self,
        release: &Release,
        service: &ServiceName,
        tell: &dyn ProgressSink,
    ) -> Result<CommitId, Failure> {
        let failure = |error: EngineError| error.failure();
        let gone = || {
            let message = format!(
                "{} of {} has no artifact that could be made again",
                service, release.number
            );
            Failure::new(
                Code::ArtifactMissing,
                message,
                "deploy releases shows what there is",
            )
        };
        let Some(Entry::Artifact(wanted)) = release.entries.get(service) else {
            return Err(gone());
        };
        let git = self.git().map_err(failure)?;
        let commit = self.commit_of(git, release).await.map_err(failure)?;
        let manifest = configure::manifest_of(git, &commit, &self.file)
            .await
            .map_err(|error| failure(configure_error(error)))?;
        let look_up = |name: &str| self.caller.get(name).cloned();
        let project = manifest
            .project(&look_up)
            .map_err(|problems| failure(EngineError::Manifest(problems)))?;
        let Some((content, kind)) = self.contents(&manifest).remove(service) else {
            return Err(gone());
        };
        let mut hear = |before| {
            if let Before::Builds { line, .. } = before {
                tell.line(&line);
            }
        };
        let made = self
            .entry(git, &commit, &project, service, &content, kind, &mut hear)
            .await
            .map_err(failure)?;
        if let Entry::Artifact(made) = &made
            && made.digest() == wanted.digest()
        {
            return Ok(commit);
        }
        Err(Failure::new(
            Code::ArtifactMissing,
            format!(
                "the artifact of {service} in {} is gone, and its commit {} builds to something else than what was verified",
                release.number,
                commit.short()
            ),
            format!(
                "deploy up --commit {}, which makes a release of it that is verified anew",
                commit.short()
            ),
        ))
    }

    /// The project's own configuration files: the manifest, env files and scripts of all environments.
    async fn files_digest(
        &self,
        git: &Git,
        commit: &CommitId,
        manifest: &Manifest,
        project: &Project,
    ) -> Result<Digest, EngineError> {
        let look_up = |name: &str| self.caller.get(name).cloned();
        let mut patterns = BTreeSet::from([self.file.clone()]);
        patterns.extend(project.scripts.iter().map(|glob| glob.as_str().to_owned()));
        for name in manifest.environments() {
            if let Ok(Some(file)) = manifest.env_file(name, &look_up) {
                patterns.insert(file.as_str().to_owned());
            }
        }
        let patterns: Vec<_> = patterns.into_iter().collect();
        git.digest_of(commit, &patterns)
            .await
            .map(|(digest, _)| digest)
            .map_err(git_error)
    }

    /// The commit that is asked for; refuses a dirty tree where it is the one checked out.
    pub(super) async fn commit(&self, rev: Option<&str>, allow_dirty: bool) -> Result<CommitId, EngineError> {
        let git = self.git()?;
        let commit = git.resolve(rev.unwrap_or("HEAD")).await.map_err(git_error)?;
        if rev.is_none() && !allow_dirty {
            let dirty = git
                .dirty(self.records_here().as_deref())
                .await
                .map_err(git_error)?;
            if let Some(first) = dirty.first() {
                let has = match dirty.len() {
                    1 => "has".to_owned(),
                    2 => format!("and {} have", dirty[1]),
                    count => format!("and {} others have", count - 1),
                };
                return Err(failed(Failure::new(
                    Code::DirtyTree,
                    format!("{first} {has} changes that are not committed"),
                    "commit or stash them; --allow-dirty deploys the commit without them",
                )));
            }
        }
        Ok(commit)
    }

    /// Names a release of the state; also by what git calls its commit (`HEAD~1`, a branch), where there is a checkout.
    pub(super) async fn known_release(&self, views: &Views, text: &str) -> Result<Release, EngineError> {
        let unknown = |message| usage(Code::UnknownName, message, "deploy releases shows what there is");
        let error = match views.project.resolve(text) {
            Ok(release) => return Ok(release.clone()),
            Err(error @ NoSuchRelease::Ambiguous { .. }) => return Err(unknown(error.to_string())),
            Err(error) => error,
        };
        let commit = match &*self.git {
            Ok(git) => git.resolve(text).await.ok(),
            Err(_) => None,
        };
        match commit.map(|commit| (views.project.by_commit(&commit).cloned(), commit)) {
            Some((Some(release), _)) => Ok(release),
            Some((None, commit)) => Err(unknown(format!(
                "{} is commit {}, and no release was made of it",
                text.escape_debug(),
                commit.short()
            ))),
            None => Err(unknown(error.to_string())),
        }
    }
}

fn recipe(artifact: &Artifact) -> Result<Recipe, EngineError> {
    let name = artifact.name.to_string();
    match &artifact.kind {
        ArtifactKind::Tree { build, output } => Ok(Recipe::Build {
            name,
            argv: build.argv(),
            dir: artifact
                .dir
                .as_ref()
                .map_or_else(|| ".".to_owned(), |dir| dir.as_str().to_owned()),
            inputs: artifact
                .inputs
                .iter()
                .map(|glob| glob.as_str().to_owned())
                .collect(),
            output: output.as_str().to_owned(),
        }),
        ArtifactKind::Image { .. } | ArtifactKind::Disk { .. } => Err(usage(
            Code::NotYetActing,
            format!("artifact {name} is an image, and the service that runs it is on plain servers"),
            "give the service a tree: an artifact with `output`, or `source`",
        )),
    }
}

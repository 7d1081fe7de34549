//! The scene of a deployment: the views of the project and its environments, and the configurations of the release it brings and of
//! the one that runs. Read at one moment, with the positions of the streams it was read from.

use super::{Engine, configure_error, git_error, journal_error};
use crate::api::EngineError;
use crate::configure::bind::{Binder, Started, StartedAs};
use crate::configure::{self, ConfigureError, From};
use crate::source::git::Git;
use deploy_core::id::{CommitId, DeploymentId, EnvName, Seq};
use deploy_core::manifest::Environment;
use deploy_core::model::Release;
use deploy_core::plan::Kind;
use deploy_core::port::journal::Stream;
use deploy_core::view::{EnvironmentView, ProjectView};
use std::collections::BTreeMap;

/// What the journal knows.
pub(super) struct Views {
    /// The project.
    pub(super) project: ProjectView,
    /// Its environments, those of the manifest and those that were.
    pub(super) environments: BTreeMap<EnvName, EnvironmentView>,
    /// The streams read, with their last events.
    pub(super) read: Vec<(Stream, Seq)>,
}

impl Views {
    /// An environment; an empty view where nothing was deployed there yet.
    pub(super) fn environment(&self, name: &EnvName) -> EnvironmentView {
        self.environments
            .get(name)
            .cloned()
            .unwrap_or_else(|| EnvironmentView::new(name.clone()))
    }
}

/// A release with the configuration that goes with it, in one environment.
pub(super) struct Configured {
    pub(super) release: Release,
    pub(super) environment: Environment,
}

/// A deployment's scene.
pub(super) struct Scene {
    /// What it brings.
    pub(super) to: Configured,
    /// What runs, where that is a known release whose configuration can still be had.
    pub(super) before: Option<Configured>,
    /// As what each slice may have been started that runs, as far as the journal knows.
    pub(super) started: Started,
}

/// Whose slices: as they were before a deployment moved any, or as they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    /// Before this one.
    Before(&'a DeploymentId),
    /// Now.
    Now,
}

/// As what each slice may have been started.
pub(super) fn started_of(view: &EnvironmentView, project: &ProjectView, of: Of<'_>) -> Started {
    let before = match of {
        Of::Before(deployment) => Some(deployment),
        Of::Now => None,
    };
    let started = view.started(before).into_iter();
    let known = started.map(|((service, slice), started)| {
        let known = started.into_iter().filter_map(|started| {
            Some(StartedAs {
                release: Release {
                    version: started.version.clone(),
                    ..project.by_digest(started.release.digest)?.clone()
                },
                runs: started.runs.clone(),
            })
        });
        ((service.clone(), slice.clone()), known.collect())
    });
    known.collect()
}

impl Engine {
    /// Reads all views.
    pub(super) async fn views(&self) -> Result<Views, EngineError> {
        let mut read = Vec::new();
        let project = self.project_view().await?;
        read.push((Stream::Project, project.last));
        let mut environments = BTreeMap::new();
        for stream in self.store.streams().await.map_err(journal_error)? {
            let Stream::Environment(name) = &stream else {
                continue;
            };
            let view = self.environment_view(name).await?;
            read.push((stream.clone(), view.last));
            environments.insert(name.clone(), view);
        }
        // A stream that does not exist yet has not moved either.
        for name in self.manifest.environments() {
            let stream = Stream::Environment(name.clone());
            if !read.iter().any(|(of, _)| *of == stream) {
                read.push((stream, Seq(0)));
            }
        }
        Ok(Views {
            project,
            environments,
            read,
        })
    }

    /// The configuration of an environment that goes with a release: from a commit of it that is here.
    pub(super) async fn configured(
        &self,
        release: Release,
        name: &EnvName,
    ) -> Result<Configured, EngineError> {
        let git = self.git()?;
        let commit = self.commit_of(git, &release).await?;
        let manifest = configure::manifest_of(git, &commit, &self.file)
            .await
            .map_err(configure_error)?;
        let environment = configure::environment(&manifest, name, &From::Commit(git, &commit), &self.caller)
            .await
            .map_err(configure_error)?;
        Ok(Configured { release, environment })
    }

    /// A commit of a release that is in this checkout.
    pub(super) async fn commit_of(&self, git: &Git, release: &Release) -> Result<CommitId, EngineError> {
        let mut last = None;
        for source in &release.sources {
            match git.resolve(source.commit.as_str()).await {
                Ok(commit) => return Ok(commit),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(
            || {
                super::usage(
                    deploy_core::failure::Code::CommitMissing,
                    format!("release {} names no commit", release.number),
                    "deploy releases shows what there is",
                )
            },
            git_error,
        ))
    }

    /// Refuses to bring anything forward into a place that another environment has as well, as `check` does. Going back is held up by
    /// no such thing.
    pub(super) async fn keeps_apart(&self, kind: Kind, name: &EnvName) -> Result<(), EngineError> {
        if kind == Kind::Rollback {
            return Ok(());
        }
        let names = std::slice::from_ref(name);
        let apart = configure::apart(&self.manifest, names, &self.folder, &self.caller).await;
        apart.map_err(|problems| configure_error(ConfigureError::Manifest(problems)))
    }

    /// The scene of bringing a release to an environment.
    pub(super) async fn scene(
        &self,
        release: Release,
        name: &EnvName,
        views: &Views,
        of: Of<'_>,
    ) -> Result<Scene, EngineError> {
        let to = self.configured(release, name).await?;
        Ok(self.scene_of(to, views, of).await)
    }

    /// The scene around what is to be brought.
    pub(super) async fn scene_of(&self, to: Configured, views: &Views, of: Of<'_>) -> Scene {
        let name = to.environment.name.clone();
        let current = views
            .environments
            .get(&name)
            .and_then(|view| view.current.release());
        let before = match current.and_then(|current| views.project.by_digest(current.digest)) {
            // The old release's configuration only says how the way back is looked at; without it that is done as for the new one.
            Some(release) => self.configured(release.clone(), &name).await.ok(),
            None => None,
        };
        let started = started_of(&views.environment(&name), &views.project, of);
        Scene { to, before, started }
    }

    /// What makes targets and probes in a scene.
    pub(super) fn binder<'a>(&'a self, scene: &'a Scene) -> Binder<'a> {
        Binder {
            project: &self.project,
            environment: &scene.to.environment,
            release: &scene.to.release,
            before: scene
                .before
                .as_ref()
                .map(|before| (&before.release, &before.environment)),
            started: &scene.started,
            folder: &self.folder,
            artifacts: &self.artifacts,
            caller: &self.caller,
            kit: &self.kit,
        }
    }
}

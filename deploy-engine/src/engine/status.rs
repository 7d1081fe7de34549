//! What runs where: from the journal's last observation, or by looking now. Reads no more of the journal than it takes.

use super::scene::{Configured, Of, Scene, started_of};
use super::{Engine, journal_error, usage};
use crate::api::EngineError;
use crate::configure::bind::Started;
use deploy_core::digest::Digest;
use deploy_core::event::Recorded;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{EnvName, ReleaseNumber, Seq};
use deploy_core::manifest::Environment;
use deploy_core::model::{Release, ReleaseRef};
use deploy_core::port::journal::Stream;
use deploy_core::port::target::{HealthSeen, Runs, SliceSeen};
use deploy_core::time::Timestamp;
use deploy_core::view::observed::Observed;
use deploy_core::view::status::{Status, status};
use deploy_core::view::{Current, EnvironmentView, ProjectView, Running};
use std::collections::BTreeMap;

/// Deployments that a status looks at, newest first, before it reads the whole stream.
const RECENT: usize = 20;
/// Events of the project that a status looks at, before it looks further back for a release that it has to name.
const RECENT_FACTS: u64 = 128;

impl Engine {
    /// Environments × services from the last observation, with its age; those of the manifest, and those that it has no more while
    /// a deployment of theirs is open.
    ///
    /// # Errors
    /// No such environment, or the state cannot be read.
    pub async fn status(&self, only: Option<&EnvName>, refresh: bool) -> Result<Status, EngineError> {
        let mut views = Vec::new();
        for name in self
            .manifest
            .environments()
            .iter()
            .filter(|name| only.is_none_or(|only| only == *name))
        {
            views.push(self.recent(name).await?);
        }
        let known = views.len();
        let mut ways_out = BTreeMap::new();
        for (view, way_out) in self.dropped().await? {
            if only.is_none_or(|only| *only == view.name) {
                ways_out.insert(view.name.clone(), way_out);
                views.push(view);
            }
        }
        if views.is_empty() {
            let wanted = only.map(ToString::to_string).unwrap_or_default();
            return Err(usage(
                Code::UnknownName,
                format!("there is no environment {wanted}"),
                "deploy status shows all",
            ));
        }
        let current: Vec<_> = views.iter().filter_map(|view| view.current.release()).collect();
        let project = self.project_back_to(&current).await?;
        let mut unseen = BTreeMap::new();
        if refresh {
            for view in &mut views[..known] {
                let failures = self.refresh(view, &project).await?;
                unseen.insert(view.name.clone(), failures);
            }
        }
        let mut held = BTreeMap::new();
        for view in &views {
            let holder = self.store.lease_holder(&view.name).await.map_err(journal_error)?;
            held.extend(holder.map(|holder| (view.name.clone(), holder)));
        }
        let mut status = status(&views, &project, &held);
        for environment in &mut status.environments {
            environment.not_looked_at = unseen.remove(&environment.name).unwrap_or_default();
            if let Some(way_out) = ways_out.remove(&environment.name) {
                environment.in_manifest = false;
                environment.next = Some(way_out);
            }
        }
        Ok(status)
    }

    /// The project's view as far back as it takes to know these releases: what is known of them is all there is, since everything
    /// about a release comes after it was made.
    async fn project_back_to(&self, releases: &[ReleaseRef]) -> Result<ProjectView, EngineError> {
        let head = self.store.head(&Stream::Project).await.map_err(journal_error)?;
        let mut span = RECENT_FACTS;
        loop {
            let after = Seq(head.0.saturating_sub(span));
            let events = self
                .store
                .load(&Stream::Project, after)
                .await
                .map_err(journal_error)?;
            let view = ProjectView::fold(events.iter().map(Recorded::event));
            let known = |release: &ReleaseRef| view.by_digest(release.digest).is_some();
            if after == Seq(0) || releases.iter().all(known) {
                return Ok(view);
            }
            span = span.saturating_mul(8);
        }
    }

    /// An environment from its facts and its last deployments: enough for its status, whatever the journal's length. Where the last
    /// ones do not say what runs, all are read.
    pub(super) async fn recent(&self, name: &EnvName) -> Result<EnvironmentView, EngineError> {
        let stream = Stream::Environment(name.clone());
        let ids = self
            .store
            .deployments(&stream, None, RECENT)
            .await
            .map_err(journal_error)?;
        let mut events = self.store.facts(&stream).await.map_err(journal_error)?;
        let all = ids.len() < RECENT;
        for id in &ids {
            events.extend(self.store.deployment(id).await.map_err(journal_error)?);
        }
        events.sort_by_key(|recorded| recorded.event().seq);
        events.dedup_by_key(|recorded| recorded.event().seq);
        let view = EnvironmentView::fold(name, events.iter().map(Recorded::event));
        if all || view.current != Current::Nothing {
            return Ok(view);
        }
        let events = self.store.load(&stream, Seq(0)).await.map_err(journal_error)?;
        Ok(EnvironmentView::fold(name, events.iter().map(Recorded::event)))
    }

    /// Looks at what runs now, and at its health, into the view: as configured with the release that runs, or, where none is known to,
    /// as the manifest lies there. All services are looked at together, so that a host which does not answer is waited for once. The
    /// answer is what could not be looked at.
    async fn refresh(
        &self,
        view: &mut EnvironmentView,
        project: &ProjectView,
    ) -> Result<Vec<Failure>, EngineError> {
        let current = view
            .current
            .release()
            .and_then(|current| project.by_digest(current.digest))
            .cloned();
        let runs = current.is_some();
        let scene = match current {
            Some(release) => {
                self.scene(release, &view.name, &self.views().await?, Of::Now)
                    .await?
            }
            None => {
                // All of both streams: what was started long ago is not in the newest part of them.
                let views = self.views().await?;
                let scene = as_it_lies_there(self.environment(&view.name).await?, &views.project);
                Scene {
                    started: started_of(&views.environment(&view.name), &views.project, Of::Now),
                    ..scene
                }
            }
        };
        let known = view.clone();
        let mut all = Vec::new();
        let binder = self.binder(&scene);
        let at = self.clock.now();
        let mut unseen = Vec::new();
        let services: Vec<_> = scene.to.environment.services.values().collect();
        for (service, looked) in self.look_at_services(&binder, &services, &known).await? {
            let looked = match looked {
                Ok(looked) => looked,
                Err(failure) => {
                    unseen.push(failure.on(&service.name, None));
                    continue;
                }
            };
            for (found, seen) in looked {
                let Some(seen) = seen else { continue };
                if let Err(failure) = &seen.runs {
                    unseen.push(failure.clone().on(&service.name, Some(&seen.slice)));
                }
                let (health, name) = (found.health.health, seen.slice.clone());
                all.push(found);
                let slices = view.observed.entry(service.name.clone()).or_default();
                let before = slices.remove(&name);
                slices.insert(
                    name,
                    looked_at(before, seen, service.kind().to_string(), health, at),
                );
            }
        }
        if runs {
            self.note_look(&known, &scene.to.release, &all).await;
        }
        Ok(unseen)
    }
}

/// An environment as the manifest has it, where no release is known to run there: with the newest release, or an empty one.
pub(super) fn as_it_lies_there(environment: Environment, project: &ProjectView) -> Scene {
    let release = project.newest_first().next().map_or_else(
        || Release {
            number: ReleaseNumber(1),
            entries: BTreeMap::new(),
            files: Digest::of(""),
            sources: Vec::new(),
            version: None,
            development: false,
        },
        |known| known.release.clone(),
    );
    Scene {
        to: Configured { release, environment },
        before: None,
        started: Started::new(),
    }
}

fn looked_at(
    before: Option<Observed>,
    seen: SliceSeen,
    target: String,
    health: HealthSeen,
    at: Timestamp,
) -> Observed {
    let release = match (&seen.runs, &before) {
        // The host names the release that brought the content first; the journal knows as which one it serves now.
        (Ok(is), Some(before)) if before.runs.as_ref().is_some_and(|was| was.is_same(is)) => before.release,
        (Ok(Runs::Release { release, .. }), _) => *release,
        _ => None,
    };
    let running = match (&before, &seen.runs) {
        (_, Err(_)) => Running::Unknown,
        // Nothing was known before that it could differ from.
        (None, Ok(_)) => Running::Old,
        (Some(before), Ok(is)) => match &before.runs {
            Some(was) if was.is_same(is) => match before.running {
                // What it was before anything of ours came, or what somebody else put there, has no better name now.
                is @ (Running::Other | Running::Excluded) => is,
                is @ Running::Old if before.release.is_none() => is,
                _ => Running::New,
            },
            None => Running::Old,
            // Another release of ours: whether that is the right one is for the fold to say.
            Some(_) if release.is_some() && release != before.release => Running::Old,
            Some(_) => Running::Other,
        },
    };
    Observed {
        target,
        running,
        runs: seen.runs.ok(),
        release,
        edited: seen.inside.edited,
        answers: seen.inside.at,
        health,
        at,
        deployment: before.and_then(|before| before.deployment),
    }
}

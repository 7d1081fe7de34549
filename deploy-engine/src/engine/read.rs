//! Reading: history, releases, gates, health now, the audit. Everything is a fold of the core's; nothing here knows a rule.

use super::judge::{Case, without_asked};
use super::looks::Looks;
use super::{Engine, failed, journal_error, usage};
use crate::api::{EngineError, GateReport, Met, Shown, SliceHealth};
use crate::source::git::GitError;
use deploy_core::digest::Digest;
use deploy_core::event::{Event, Recorded};
use deploy_core::failure::Code;
use deploy_core::gate::{self, rules::Act};
use deploy_core::id::{DeploymentId, EnvName, Seq, ServiceName};
use deploy_core::model::Release;
use deploy_core::plan::Kind;
use deploy_core::port::journal::Stream;
use deploy_core::time::Timestamp;
use deploy_core::view::history::{HistoryPage, page};
use deploy_core::view::project::Known;
use std::collections::BTreeMap;

impl Engine {
    /// Health of what runs, now. Where all of it was looked at, and a soak turns on what was seen, it is written down, if the state
    /// can be written to.
    ///
    /// # Errors
    /// No such environment or service, or a target that cannot be asked.
    pub async fn verify(
        &self,
        name: &EnvName,
        services: &[ServiceName],
    ) -> Result<Vec<SliceHealth>, EngineError> {
        let views = self.views().await?;
        let current = views
            .environment(name)
            .current
            .release()
            .and_then(|release| views.project.by_digest(release.digest).cloned());
        let Some(release) = current else {
            return Err(failed(deploy_core::failure::Failure::new(
                Code::NotAdopted,
                format!("{name} runs no release that is known"),
                format!("deploy up -e {name}, or deploy status -e {name}"),
            )));
        };
        let seen = self
            .look_at_release(&views, name, release.clone(), services)
            .await?;
        if services.is_empty() {
            self.note_look(&views.environment(name), &release, &seen).await;
        }
        Ok(seen.into_iter().map(|seen| seen.health).collect())
    }

    /// Every gate of an environment for a release, as of now or another time.
    pub async fn gates(
        &self,
        name: &EnvName,
        release: Option<&str>,
        at: Option<Timestamp>,
    ) -> Result<GateReport, EngineError> {
        let views = self.views().await?;
        let environment = self.environment(name).await?;
        let release = match release {
            Some(text) => self.known_release(&views, text).await?,
            None => self.candidate(&environment, &views)?,
        };
        let kind = if environment.after.is_empty() {
            Kind::Deploy
        } else {
            Kind::Promote
        };
        let view = views.environment(name);
        let waiting = view
            .waiting()
            .find(|view| view.release().map(|release| release.digest) == Some(release.digest()));
        let case = Case {
            kind,
            environment: name,
            deployment: waiting.map(|view| &view.id),
            actor: &self.identity.actor,
            confirmed: true,
            branch: None,
            plan: waiting
                .and_then(|view| view.plan.as_deref())
                .map(gate::PlanFacts::of),
            release: &release,
            at: at.unwrap_or_else(|| self.clock.now()),
        };
        // What will be seen at another time nobody can know: then it counts as found healthy.
        let looks = match at {
            Some(_) => Looks::new(),
            None => {
                let rules = self.rules_in_force(&environment, &view);
                self.look_upstream(kind, &rules, &release, &views).await
            }
        };
        self.report(&case, &views, &looks).await
    }

    /// Whether the environment's name must be typed for this: by the rules in force, of which the manifest's are a part.
    pub async fn wants_confirmation(&self, name: &EnvName, kind: Kind) -> Result<bool, EngineError> {
        let environment = self.environment(name).await?;
        let rules = self.rules_in_force(&environment, &self.views().await?.environment(name));
        Ok(rules.confirm.contains(&Act::of(kind)))
    }

    /// What a branch would need to get into an environment: for a work tree that was not released yet.
    pub async fn wanted_for(
        &self,
        branch: &str,
        name: &EnvName,
        services: &[ServiceName],
    ) -> Result<GateReport, EngineError> {
        let environment = self.environment(name).await?;
        if let Some(unknown) = services
            .iter()
            .find(|service| !environment.services.contains_key(*service))
        {
            return Err(usage(
                Code::UnknownName,
                format!("there is no service {unknown} in {name}"),
                "deploy config shows what is",
            ));
        }
        let git = self.git()?;
        let commit = match git.resolve(branch).await {
            Ok(commit) => commit,
            // It is the call that is wrong, and nothing that was looked at.
            Err(error @ GitError::CommitMissing { .. }) => {
                return Err(EngineError::Usage(Box::new(error.failure())));
            }
            Err(error) => return Err(super::git_error(error)),
        };
        let views = self.views().await?;
        let release = match views.project.by_commit(&commit) {
            Some(release) => release.clone(),
            None => Release {
                number: views.project.next_number(),
                entries: BTreeMap::new(),
                files: Digest::of(commit.as_str()),
                sources: vec![
                    git.source(&commit, Some(branch.to_owned()))
                        .await
                        .map_err(super::git_error)?,
                ],
                version: None,
                development: false,
            },
        };
        let case = Case {
            kind: if environment.after.is_empty() {
                Kind::Deploy
            } else {
                Kind::Promote
            },
            environment: name,
            deployment: None,
            actor: &self.identity.actor,
            confirmed: true,
            branch: Some(branch),
            plan: None,
            release: &release,
            at: self.clock.now(),
        };
        self.report(&case, &views, &Looks::new()).await
    }

    async fn report(
        &self,
        case: &Case<'_>,
        views: &super::scene::Views,
        looks: &Looks,
    ) -> Result<GateReport, EngineError> {
        let judged = self.judge_case(case, views, looks).await?;
        let (judged, asked) = without_asked(judged, case.environment);
        let (mut unmet, mut met) = (Vec::new(), Vec::new());
        for judged in judged {
            match judged {
                gate::Judged::Unmet(rule) => unmet.push(rule),
                gate::Judged::Met { gate, by } => met.push(Met { gate, reason: by }),
            }
        }
        let release = deploy_core::view::project::label(case.release);
        Ok(GateReport {
            environment: case.environment.clone(),
            release,
            at: case.at,
            unmet,
            met,
            asked,
        })
    }

    /// The release that would be asked for next: what would be promoted, or the newest.
    fn candidate(
        &self,
        environment: &deploy_core::manifest::Environment,
        views: &super::scene::Views,
    ) -> Result<Release, EngineError> {
        if !environment.after.is_empty()
            && let Ok(release) = self.upstream(environment, views)
        {
            return Ok(release);
        }
        let newest = views
            .project
            .newest_first()
            .next()
            .map(|known| known.release.clone());
        newest.ok_or_else(|| {
            usage(
                Code::UnknownName,
                "there is no release yet",
                "deploy up makes one",
            )
        })
    }

    /// All releases, the newest first.
    pub async fn releases(&self) -> Result<Vec<Known>, EngineError> {
        Ok(self.project_view().await?.newest_first().cloned().collect())
    }

    /// What happened, the newest first.
    pub async fn history(
        &self,
        only: Option<&EnvName>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<HistoryPage, EngineError> {
        let views = self.views().await?;
        let cursor = match cursor {
            None => None,
            Some(text) => Some(DeploymentId::new(text).map_err(|error| {
                usage(
                    Code::Usage,
                    error.to_string(),
                    "use next_cursor of the page before",
                )
            })?),
        };
        let environments = views
            .environments
            .values()
            .filter(|view| only.is_none_or(|name| *name == view.name));
        Ok(page(environments, &views.project, cursor.as_ref(), limit))
    }

    /// One deployment in full.
    pub async fn show(&self, id: &str) -> Result<Shown, EngineError> {
        let (_, deployment) = self.find(id).await?;
        let view = self.deployment_view(&deployment).await?;
        let events = self.events_of(&deployment).await?;
        let project = self.project_view().await?;
        let release = view
            .release()
            .and_then(|release| project.by_digest(release.digest).cloned());
        Ok(Shown {
            view,
            release,
            events,
        })
    }

    pub(super) async fn events_of(&self, deployment: &DeploymentId) -> Result<Vec<Event>, EngineError> {
        let recorded = self.store.deployment(deployment).await.map_err(journal_error)?;
        Ok(recorded.into_iter().map(Recorded::into_event).collect())
    }

    /// The journal of an environment, or all of it, with each event's hash.
    pub async fn audit(&self, only: Option<&EnvName>) -> Result<Vec<(Event, Digest)>, EngineError> {
        let mut found = Vec::new();
        for stream in self.store.streams().await.map_err(journal_error)? {
            let wanted = match (&stream, only) {
                (_, None) => true,
                (Stream::Environment(name), Some(only)) => name == only,
                (Stream::Project, Some(_)) => false,
            };
            if wanted {
                let recorded = self.store.load(&stream, Seq(0)).await.map_err(journal_error)?;
                found.extend(recorded.into_iter().map(|recorded| {
                    let hash = recorded.hash();
                    (recorded.into_event(), hash)
                }));
            }
        }
        Ok(found)
    }

    /// Checks every row of the journal against its hash chain; the number of rows, and the head of each stream.
    ///
    /// # Errors
    /// The first bad row.
    pub async fn audit_verify(&self) -> Result<(u64, Vec<(String, Seq)>), EngineError> {
        let rows = self.store.verify_chain().await.map_err(journal_error)?;
        let mut heads = Vec::new();
        for stream in self.store.streams().await.map_err(journal_error)? {
            let head = self.store.head(&stream).await.map_err(journal_error)?;
            heads.push((stream.to_string(), head));
        }
        Ok((rows, heads))
    }
}

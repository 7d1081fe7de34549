//! From what is asked for to what is meant: the release, and the request as the journal keeps it.

use super::plan::Shape;
use super::release::Making;
use super::scene::Views;
use super::{Engine, failed, git_error, usage};
use crate::api::{DeployAsk, EngineError, Hear, What};
use deploy_core::event::{Request, RequestOptions};
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::Unmet;
use deploy_core::id::{DeploymentId, EnvName, ServiceName};
use deploy_core::manifest::{Environment, nearest};
use deploy_core::model::{Entry, Release};
use deploy_core::plan::Kind;
use deploy_core::view::EnvironmentView;

impl Engine {
    /// The release that is asked for.
    pub(super) async fn release_for(&self, ask: &DeployAsk, hear: Hear<'_>) -> Result<Release, EngineError> {
        let environment = self.environment(&ask.environment).await?;
        let known = environment.services.keys().chain(&environment.disabled);
        known_services(&ask.services, known)?;
        if ask.kind == Kind::Rollback && !ask.services.is_empty() {
            return Err(no_part_of_a_rollback(ask));
        }
        let views = self.views().await?;
        let view = views.environment(&ask.environment);
        match &ask.what {
            What::Release(text) if ask.kind == Kind::Rollback => {
                let named = self.known_release(&views, text).await?;
                let to = view
                    .destination(Some(named.to_ref()), &views.project)
                    .map_err(no_way_back)?;
                self.by_ref(&views, to)
            }
            What::Release(text) => {
                let named = self.known_release(&views, text).await?;
                self.taken(ask, named, &environment, &views).await
            }
            What::Previous => {
                let to = view.destination(None, &views.project).map_err(no_way_back)?;
                self.by_ref(&views, to)
            }
            What::Upstream => {
                let verified = match self.upstream(&environment, &views) {
                    Err(EngineError::Refused { unmet, mut failure }) => {
                        if let Some(way) = self.rest_of_the_way_to(&environment.name, &views).await {
                            failure.next = way;
                        }
                        return Err(EngineError::Refused { unmet, failure });
                    }
                    verified => verified?,
                };
                self.taken(ask, verified, &environment, &views).await
            }
            What::Commit {
                rev,
                version,
                allow_dirty,
            } => {
                let commit = self.commit(rev.as_deref(), *allow_dirty).await?;
                if !environment.after.is_empty() {
                    // It never builds here: what upstream verified moves on, or nothing.
                    let known = views.project.by_commit(&commit).cloned();
                    let Some(release) = known else {
                        return Err(self.never_made(&environment, &commit).await);
                    };
                    return self.taken(ask, release, &environment, &views).await;
                }
                let partial = match ask.services.as_slice() {
                    [] => None,
                    named => Some((named, base(&view, &views)?)),
                };
                let making = Making {
                    version: version.as_deref(),
                    branch: ask.branch.as_deref(),
                    partial,
                };
                self.make_release(&commit, &making, &views, hear).await
            }
        }
    }

    /// A release that was made already, if it can go there as it is.
    async fn taken(
        &self,
        ask: &DeployAsk,
        release: Release,
        environment: &Environment,
        views: &Views,
    ) -> Result<Release, EngineError> {
        if let Err(older) = self.refuse_older_than(&environment.name, &release).await {
            // What is wrong with the manifest that lies there would meet the next release as well.
            self.keeps_apart(ask.kind, &environment.name).await?;
            return Err(older);
        }
        only_named(ask, release, environment, views)
    }

    async fn never_made(&self, environment: &Environment, commit: &deploy_core::id::CommitId) -> EngineError {
        let upstream: Vec<_> = environment.after.iter().map(ToString::to_string).collect();
        let failure = Failure::new(
            Code::GateUnmet,
            format!(
                "no release was made from {}: {} comes after {}",
                commit.short(),
                environment.name,
                upstream.join(", ")
            ),
            self.way_to(&environment.name).await,
        );
        EngineError::Refused {
            unmet: vec![Unmet {
                gate: deploy_core::gate::GateKind::Upstream,
                reason: failure.message.clone(),
                earliest: None,
                opens: deploy_core::gate::Opens::Never,
                next: failure.next.clone(),
            }],
            failure: Box::new(failure),
        }
    }

    pub(super) fn by_ref(
        &self,
        views: &Views,
        to: deploy_core::model::ReleaseRef,
    ) -> Result<Release, EngineError> {
        views.project.by_digest(to.digest).cloned().ok_or_else(|| {
            usage(
                Code::UnknownName,
                format!("release {} is not in this state", to.number),
                "deploy releases",
            )
        })
    }

    /// What upstream verified last: the one release that every environment of `after` runs now, verified.
    pub(super) fn upstream(&self, environment: &Environment, views: &Views) -> Result<Release, EngineError> {
        if environment.after.is_empty() {
            return Err(usage(
                Code::Usage,
                format!(
                    "{} comes after no environment, so there is nothing to promote",
                    environment.name
                ),
                format!("deploy up -e {}", environment.name),
            ));
        }
        let mut candidates = environment.after.iter().map(|name| {
            let view = views.environment(name);
            view.current
                .release()
                .filter(|release| view.stays.get(release.digest).is_some())
        });
        let first = candidates.next().flatten();
        match first {
            Some(release) if candidates.all(|other| other == Some(release)) => self.by_ref(views, release),
            _ => {
                let names: Vec<_> = environment.after.iter().map(ToString::to_string).collect();
                let failure = Failure::new(
                    Code::GateUnmet,
                    format!(
                        "{} has no verified release that could be promoted",
                        names.join(" and ")
                    ),
                    format!("deploy status -e {}", names.first().cloned().unwrap_or_default()),
                );
                Err(EngineError::Refused {
                    unmet: Vec::new(),
                    failure: Box::new(failure),
                })
            }
        }
    }

    /// A deployment that was asked for with the same key.
    pub(super) async fn known_request(&self, ask: &DeployAsk) -> Result<Option<DeploymentId>, EngineError> {
        let Some(key) = &ask.key else { return Ok(None) };
        Ok(self
            .views()
            .await?
            .environment(&ask.environment)
            .by_key(key)
            .cloned())
    }

    /// What does not act yet and would weaken a gate is refused before anything is built.
    pub(super) async fn refuse_not_acting(&self, name: &EnvName, kind: Kind) -> Result<(), EngineError> {
        let environment = self.environment(name).await?;
        let keys = self.not_acting(&environment);
        if keys.is_empty() || kind == Kind::Rollback {
            return Ok(());
        }
        let unmet = deploy_core::gate::not_acting(&keys);
        let failure = Failure::new(
            Code::NotYetActing,
            format!(
                "{} of {name} does not act in this version: {}",
                plural(keys.len()),
                keys.join(", ")
            ),
            "deploy check says what each would do",
        );
        Err(EngineError::Refused {
            unmet,
            failure: Box::new(failure),
        })
    }

    /// The request, as the journal keeps it.
    pub(super) async fn request(
        &self,
        ask: &DeployAsk,
        release: &Release,
        shape: &Shape,
        deployment: &DeploymentId,
    ) -> Result<Request, EngineError> {
        let branch = match (&ask.branch, &*self.git) {
            (Some(branch), _) => Some(branch.clone()),
            (None, Ok(git)) => git.branch().await.map_err(git_error)?,
            (None, Err(_)) => None,
        };
        let allow_dirty = matches!(
            ask.what,
            What::Commit {
                allow_dirty: true,
                ..
            }
        );
        let options = RequestOptions {
            strategy: shape.strategy,
            timeout: shape.timeout,
            confirmed: ask.confirmed,
            retire: shape.retire.clone(),
            allow_dirty,
            version: release.version.clone(),
        };
        Ok(Request {
            key: ask.key.clone().unwrap_or_else(|| deployment.to_string()),
            kind: ask.kind,
            release: release.to_ref(),
            actor: self.identity.actor.clone(),
            established: self.identity.established.clone(),
            branch,
            reason: ask.reason.clone(),
            services: ask.services.clone(),
            adopt: ask.adopt,
            options,
        })
    }
}

fn plural(keys: usize) -> String {
    if keys == 1 {
        "a key".to_owned()
    } else {
        format!("{keys} keys")
    }
}

fn no_way_back(error: impl std::error::Error) -> EngineError {
    failed(Failure::new(
        Code::NothingToGoBackTo,
        error.to_string(),
        "deploy releases shows what there is; name one with --to",
    ))
}

/// A service that is named and is not there would be left out in silence.
fn known_services<'a>(
    asked: &[ServiceName],
    known: impl Iterator<Item = &'a ServiceName> + Clone,
) -> Result<(), EngineError> {
    let Some(unknown) = asked.iter().find(|name| !known.clone().any(|one| one == *name)) else {
        return Ok(());
    };
    let all: Vec<_> = known.map(ServiceName::as_str).collect();
    let next = match nearest(unknown.as_str(), all.iter().copied()) {
        Some(near) => format!("did you mean -s {near}?"),
        None => "deploy check".to_owned(),
    };
    Err(usage(
        Code::UnknownName,
        format!("there is no service {unknown}; there are {}", all.join(", ")),
        next,
    ))
}

/// The release that an environment runs, from which services that are not named are taken.
fn base<'a>(view: &EnvironmentView, views: &'a Views) -> Result<&'a Release, EngineError> {
    let current = view.current.release();
    current
        .and_then(|current| views.project.by_digest(current.digest))
        .ok_or_else(|| {
            usage(
                Code::NotAdopted,
                format!(
                    "{} runs no known release, so the other services are not known",
                    view.name
                ),
                "deploy it whole first: without -s",
            )
        })
}

/// A release that is taken as it is goes to some services alone only where the others are the same in it already.
fn only_named(
    ask: &DeployAsk,
    release: Release,
    environment: &Environment,
    views: &Views,
) -> Result<Release, EngineError> {
    if ask.services.is_empty() {
        return Ok(release);
    }
    let view = views.environment(&environment.name);
    let base = base(&view, views)?;
    let differs = |(service, entry): &(&ServiceName, &Entry)| {
        environment.services.contains_key(*service)
            && !ask.services.contains(service)
            && base.entries.get(*service).unwrap_or(&Entry::Absent) != *entry
    };
    let Some((other, _)) = release.entries.iter().find(differs) else {
        return Ok(release);
    };
    Err(usage(
        Code::Usage,
        format!(
            "{} brings another {other} too, and -s does not name it: a release is taken as it was verified",
            release.number
        ),
        format!("leave out -s, or add -s {other}"),
    ))
}

/// A release is verified, and gone back to, as one: afterwards no release that was ever verified would run.
fn no_part_of_a_rollback(ask: &DeployAsk) -> EngineError {
    let names: Vec<_> = ask.services.iter().map(|name| format!("-s {name}")).collect();
    usage(
        Code::Usage,
        format!(
            "a rollback brings back a whole release, never {} alone: {}",
            names.join(" "),
            "with the rest as it is, nothing that was verified together would run"
        ),
        format!(
            "deploy rollback -e {0} takes all of it back; to change one service, revert its commit and \
             deploy up -e {0} {1}",
            ask.environment,
            names.join(" ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_not_there_is_named_with_those_that_are() {
        let name = |text: &str| ServiceName::new(text).expect("a name");
        let known = [name("api"), name("web")];
        let told = |named: &str| match known_services(&[name("api"), name(named)], known.iter()) {
            Ok(()) => "known".to_owned(),
            Err(EngineError::Usage(failure)) => format!("{}. {}", failure.message, failure.next),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(told("web"), "known");
        assert_eq!(
            told("wbe"),
            "there is no service wbe; there are api, web. did you mean -s web?"
        );
        assert_eq!(
            told("mailer"),
            "there is no service mailer; there are api, web. deploy check"
        );
    }
}

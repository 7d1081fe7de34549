//! Evidence that comes from outside: recorded about a commit or a release, by whom and when.

use super::{Engine, git_error, usage};
use crate::api::{AttestAsk, EngineError};
use deploy_core::event::EventKind;
use deploy_core::failure::Code;
use deploy_core::gate::{About, Evidence};
use deploy_core::manifest::Period;
use deploy_core::port::journal::Stream;
use deploy_core::time::Timestamp;

impl Engine {
    /// Records evidence.
    ///
    /// # Errors
    /// A name that no check or checklist of the manifest has; nothing that it is about.
    pub async fn attest(&self, ask: AttestAsk) -> Result<Evidence, EngineError> {
        let names = self.evidence_names().await;
        if !names.iter().any(|name| *name == ask.name.as_str()) {
            return Err(usage(
                Code::UnknownName,
                format!("no check and no checklist of the manifest asks for {}", ask.name),
                format!(
                    "there {}",
                    if names.is_empty() {
                        "are none".to_owned()
                    } else {
                        format!("are {}", names.join(", "))
                    }
                ),
            ));
        }
        let views = self.views().await?;
        let (about, environment) = match (&ask.deployment, &ask.about) {
            (Some(id), _) => {
                let (environment, deployment) = self.find(id).await?;
                let release = self
                    .deployment_view(&deployment)
                    .await?
                    .release()
                    .ok_or_else(|| {
                        usage(Code::UnknownName, "the deployment has no release", "deploy show")
                    })?;
                (
                    About::Digest(release.digest),
                    ask.environment.clone().or(Some(environment)),
                )
            }
            (None, Some(text)) => match views.project.resolve(text) {
                // A commit is more than one release of it: what is built from it later inherits.
                Ok(release) if text.starts_with('v') || text.len() > 40 => {
                    (About::Digest(release.digest()), ask.environment.clone())
                }
                _ => {
                    let commit = self.git()?.resolve(text).await.map_err(git_error)?;
                    (About::Commit(commit), ask.environment.clone())
                }
            },
            (None, None) => {
                let commit = self.git()?.resolve("HEAD").await.map_err(git_error)?;
                (About::Commit(commit), ask.environment.clone())
            }
        };
        let at = self.clock.now();
        let valid_for = ask
            .valid_for
            .or_else(|| self.project.checks.get(&ask.name)?.valid_for.map(Period::get));
        let evidence = Evidence {
            name: ask.name,
            about,
            environment: environment.clone(),
            finding: ask.finding,
            by: self.identity.actor.clone(),
            at,
            valid_until: valid_for.map(|span| Timestamp::after(at, span)),
            run: ask.run,
            note: ask.note,
        };
        let stream = environment.map_or(Stream::Project, Stream::Environment);
        let draft = self.draft(
            None,
            EventKind::EvidenceGiven {
                evidence: evidence.clone(),
            },
        );
        self.append_facts(&stream, vec![draft]).await?;
        Ok(evidence)
    }

    /// Everything that a gate of the manifest could ask for.
    async fn evidence_names(&self) -> Vec<String> {
        let mut names: std::collections::BTreeSet<_> =
            self.project.checks.keys().map(ToString::to_string).collect();
        for name in self.manifest.environments() {
            let Ok(environment) = self.environment(name).await else {
                continue;
            };
            names.extend(environment.checks.iter().map(ToString::to_string));
            let list = &environment.checklist;
            for (name, item) in list.before.iter().chain(&list.during).chain(&list.after) {
                names.insert(name.to_string());
                names.extend(item.evidence.iter().map(ToString::to_string));
            }
        }
        names.into_iter().collect()
    }
}

//! Configurations kept in the journal: a deployment is driven with the one it was planned with, on whatever machine and whatever lies
//! in the checkout by then.

use super::{Engine, defect, journal_error};
use crate::api::EngineError;
use deploy_core::digest::Digest;
use deploy_core::event::EventKind;
use deploy_core::id::EnvName;
use deploy_core::manifest::{Environment, config_version};
use deploy_core::port::journal::Stream;

impl Engine {
    /// The configuration of an environment with this digest, if it was kept.
    pub(super) async fn kept(
        &self,
        name: &EnvName,
        config: Digest,
    ) -> Result<Option<Environment>, EngineError> {
        let facts = self
            .store
            .facts(&Stream::Environment(name.clone()))
            .await
            .map_err(journal_error)?;
        let found = facts
            .into_iter()
            .rev()
            .find_map(|recorded| match recorded.into_event().kind {
                EventKind::ConfigurationKept {
                    config: kept,
                    configuration,
                } if kept == config => Some(configuration),
                _ => None,
            });
        found
            .map(|value| serde_json::from_value(value).map_err(|error| defect(&error)))
            .transpose()
    }

    /// Keeps a configuration, unless it is kept already.
    pub(super) async fn keep(&self, environment: &Environment) -> Result<(), EngineError> {
        let config = config_version(environment);
        if self.kept(&environment.name, config).await?.is_some() {
            return Ok(());
        }
        let value = serde_json::to_value(environment).map_err(|error| defect(&error))?;
        let kept = EventKind::ConfigurationKept {
            config,
            configuration: value,
        };
        let stream = Stream::Environment(environment.name.clone());
        self.append_facts(&stream, vec![self.draft(None, kept)]).await
    }
}

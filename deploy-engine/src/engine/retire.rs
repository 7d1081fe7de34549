//! Retiring a service: a deployment of what runs, in which one service is removed.

use super::deploy::Wires;
use super::{Engine, usage};
use crate::api::{DeployAsk, Driven, EngineError, What};
use deploy_core::failure::Code;
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::plan::Kind;
use deploy_core::port::target::Adopt;
use std::time::Duration;

impl Engine {
    /// Removes a service from an environment, as a deployment: it can be watched, resumed and audited like any other.
    ///
    /// # Errors
    /// The service does not run there, or another one there needs it.
    pub async fn retire(
        &self,
        service: &ServiceName,
        name: &EnvName,
        confirmed: bool,
        wires: Wires,
    ) -> Result<Driven, EngineError> {
        let views = self.views().await?;
        let view = views.environment(name);
        let current = view.current.release().and_then(|release| views.project.by_digest(release.digest));
        let Some(release) = current.filter(|_| view.observed.contains_key(service)) else {
            return Err(usage(
                Code::UnknownName,
                format!("{service} does not run in {name}, as far as is known"),
                format!("deploy status -e {name}"),
            ));
        };
        let ask = DeployAsk {
            kind: if self.environment(name).await?.after.is_empty() { Kind::Deploy } else { Kind::Promote },
            environment: name.clone(),
            what: What::Release(release.number.to_string()),
            services: Vec::new(),
            branch: None,
            strategy: None,
            reason: Some(format!("retire {service}")),
            adopt: Adopt::Refuse,
            confirmed,
            lock_wait: Duration::ZERO,
            timeout: None,
            key: None,
            only: None,
            retire: Some(service.clone()),
        };
        self.deploy(ask, wires).await
    }
}

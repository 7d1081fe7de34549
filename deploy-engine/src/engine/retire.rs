//! Retiring a service: a deployment of what runs, in which one service is removed.

use super::deploy::Wires;
use super::{Engine, usage};
use crate::api::{DeployAsk, Driven, EngineError, What};
use deploy_core::failure::Code;
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::plan::Kind;

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
        let current = view
            .current
            .release()
            .and_then(|release| views.project.by_digest(release.digest));
        let Some(release) = current.filter(|_| view.observed.contains_key(service)) else {
            return Err(usage(
                Code::UnknownName,
                format!("{service} does not run in {name}, as far as is known"),
                format!("deploy status -e {name}"),
            ));
        };
        let kind = if self.environment(name).await?.after.is_empty() {
            Kind::Deploy
        } else {
            Kind::Promote
        };
        let what = What::Release(release.number.to_string());
        let ask = DeployAsk {
            reason: Some(format!("retire {service}")),
            confirmed,
            retire: Some(service.clone()),
            ..DeployAsk::new(kind, name.clone(), what)
        };
        self.deploy(ask, wires).await
    }
}

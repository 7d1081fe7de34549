//! Retiring a service: a deployment of what runs, in which one service is removed.

use super::{Engine, usage};
use crate::api::{DeployAsk, EngineError, What};
use deploy_core::failure::Code;
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::manifest::nearest;
use deploy_core::plan::Kind;
use std::collections::BTreeSet;

impl Engine {
    /// Whether a service is one of an environment: runs there, or would by the manifest.
    ///
    /// # Errors
    /// It is neither: which one was probably meant.
    pub async fn knows(&self, service: &ServiceName, name: &EnvName) -> Result<(), EngineError> {
        let view = self.views().await?.environment(name);
        let environment = self.environment(name).await?;
        let known: BTreeSet<&ServiceName> = view
            .observed
            .keys()
            .chain(environment.services.keys())
            .chain(&environment.disabled)
            .collect();
        if known.contains(service) {
            return Ok(());
        }
        let next = match nearest(service.as_str(), known.iter().map(|known| known.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("deploy status -e {name} shows what runs"),
        };
        Err(usage(
            Code::UnknownName,
            format!("there is no service `{service}` in {name}"),
            next,
        ))
    }

    /// What to ask for to remove a service from an environment: a deployment that can be looked at before, watched, resumed and
    /// audited like any other.
    ///
    /// # Errors
    /// The service does not run there, as far as is known.
    pub async fn retiring(&self, service: &ServiceName, name: &EnvName) -> Result<DeployAsk, EngineError> {
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
        Ok(DeployAsk {
            reason: Some(format!("retire {service}")),
            retire: Some(service.clone()),
            ..DeployAsk::new(kind, name.clone(), what)
        })
    }
}

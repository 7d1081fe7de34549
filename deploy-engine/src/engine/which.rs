//! Which deployment is meant: named by its id or the beginning of one, or the only one that is open; and a deployment as it is read.

use super::{Engine, journal_error, usage};
use crate::api::{Driven, EngineError};
use deploy_core::event::Recorded;
use deploy_core::failure::Code;
use deploy_core::id::{DeploymentId, EnvName};
use deploy_core::view::DeploymentView;
use deploy_core::view::result::result;

impl Engine {
    /// The deployment that is meant: named, or the only one that has not ended, in one environment or in all.
    pub(super) async fn open_one(
        &self,
        id: Option<&str>,
        environment: Option<&EnvName>,
    ) -> Result<(EnvName, DeploymentId), EngineError> {
        if let Some(id) = id {
            return self.find(id).await;
        }
        let views = self.views().await?;
        let open: Vec<_> = views
            .environments
            .values()
            .filter(|view| environment.is_none_or(|name| *name == view.name))
            .flat_map(|view| view.unended.keys().map(|id| (view.name.clone(), id.clone())))
            .collect();
        only(open, "is open", "deploy history shows what happened")
    }

    /// The only deployment that waits for people or time.
    ///
    /// # Errors
    /// None does, or several do: they are named.
    pub async fn only_waiting(&self) -> Result<(EnvName, DeploymentId), EngineError> {
        let views = self.views().await?;
        let waiting: Vec<_> = views
            .environments
            .values()
            .flat_map(|view| view.waiting().map(|waits| (view.name.clone(), waits.id.clone())))
            .collect();
        only(waiting, "waits", "deploy status shows where each environment is")
    }

    /// A deployment by its id or the beginning of one.
    pub(super) async fn find(&self, text: &str) -> Result<(EnvName, DeploymentId), EngineError> {
        let wanted = text.trim().to_uppercase();
        let views = self.views().await?;
        let mut fits = Vec::new();
        for view in views.environments.values() {
            let ended = view.ended.iter().map(|summary| &summary.deployment);
            fits.extend(
                view.unended
                    .keys()
                    .chain(ended)
                    .filter(|id| id.as_str().starts_with(&wanted))
                    .map(|id| (view.name.clone(), id.clone())),
            );
        }
        match fits.as_slice() {
            [one] if wanted.len() >= 4 => Ok(one.clone()),
            [] => Err(usage(
                Code::UnknownName,
                format!("there is no deployment {}", text.escape_debug()),
                "deploy history",
            )),
            _ => Err(usage(
                Code::UnknownName,
                format!("{} fits several deployments", text.escape_debug()),
                "type more of it",
            )),
        }
    }

    /// A deployment, folded.
    pub(super) async fn deployment_view(&self, id: &DeploymentId) -> Result<DeploymentView, EngineError> {
        let recorded = self.store.deployment(id).await.map_err(journal_error)?;
        DeploymentView::fold(id, recorded.iter().map(Recorded::event)).ok_or_else(|| {
            usage(
                Code::UnknownName,
                format!("there is no deployment {id}"),
                "deploy history",
            )
        })
    }

    /// A deployment as far as it was driven: its final JSON.
    ///
    /// # Errors
    /// No such deployment, or the state cannot be read.
    pub async fn driven(&self, id: &DeploymentId) -> Result<Driven, EngineError> {
        let view = self.deployment_view(id).await?;
        let project = self.project_view().await?;
        Ok(Driven {
            deployment: id.clone(),
            result: result(&view, &project),
        })
    }
}

/// The only one, or which there are.
fn only(
    found: Vec<(EnvName, DeploymentId)>,
    what: &str,
    look: &str,
) -> Result<(EnvName, DeploymentId), EngineError> {
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(usage(Code::UnknownName, format!("no deployment {what}"), look)),
        several => {
            let names: Vec<_> = several
                .iter()
                .map(|(environment, id)| format!("{} ({environment})", id.short()))
                .collect();
            Err(usage(
                Code::Usage,
                format!("which deployment? there are {}", names.join(", ")),
                "name one of them",
            ))
        }
    }
}

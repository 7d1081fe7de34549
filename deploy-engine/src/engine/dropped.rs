//! Environments that the manifest does not have any more, or by another name, while a deployment of theirs has not ended: nothing new
//! begins before that one is finished, and they are shown as long.

use super::scene::Views;
use super::{Engine, journal_error};
use crate::api::EngineError;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::EnvName;
use deploy_core::plan::Kind;
use deploy_core::port::journal::Stream;
use deploy_core::view::{DeploymentView, EnvironmentView};

/// What to do about a deployment whose environment is not in the manifest any more.
fn way_out(view: &EnvironmentView, open: &DeploymentView) -> String {
    let id = open.id.short();
    format!(
        "put [environments.{}] back, then: deploy resume {id}, or: deploy cancel {id}",
        view.name
    )
}

impl Engine {
    /// Refuses to begin anything while a deployment is open that the manifest knows no environment of. Going back is not held up.
    pub(super) fn refuse_dropped(&self, kind: Kind, views: &Views) -> Result<(), EngineError> {
        if kind == Kind::Rollback {
            return Ok(());
        }
        let dropped = views
            .environments
            .values()
            .filter(|view| self.is_dropped(&view.name));
        let mut open = dropped.filter_map(|view| Some((view, view.unended.values().next()?)));
        let Some((view, open)) = open.next() else {
            return Ok(());
        };
        let failure = Failure::new(
            Code::Open,
            format!(
                "deployment {} of {} is not finished, and the manifest has no environment {1} any more",
                open.id.short(),
                view.name
            ),
            way_out(view, open),
        );
        Err(EngineError::Open {
            deployment: open.id.clone(),
            failure: Box::new(failure),
        })
    }

    /// Environments with a deployment that has not ended, and that the manifest does not have any more; with what to do about it.
    pub(super) async fn dropped(&self) -> Result<Vec<(EnvironmentView, String)>, EngineError> {
        let mut found = Vec::new();
        for stream in self.store.streams().await.map_err(journal_error)? {
            let Stream::Environment(name) = stream else {
                continue;
            };
            if !self.is_dropped(&name) {
                continue;
            }
            let view = self.recent(&name).await?;
            if let Some(next) = view.unended.values().next().map(|open| way_out(&view, open)) {
                found.push((view, next));
            }
        }
        Ok(found)
    }

    fn is_dropped(&self, name: &EnvName) -> bool {
        !self.manifest.environments().contains(name)
    }
}

//! Watching: the stored events of a deployment, then those that come, until it ends.

use super::deploy::Wires;
use super::{Engine, journal_error};
use crate::api::{Driven, EngineError};
use crate::drive::Told;
use crate::store::{Scope, subscribe};
use deploy_core::event::EventKind;
use deploy_core::id::Seq;
use std::sync::Arc;

impl Engine {
    /// Tells the events of a deployment after `from`, stored ones and then live ones with no gap, until it ends or `stop` is said.
    ///
    /// # Errors
    /// No such deployment, or the state cannot be read.
    pub async fn watch(&self, id: Option<&str>, from: Seq, mut wires: Wires) -> Result<Driven, EngineError> {
        let deployment = match id {
            Some(id) => self.find(id).await?.1,
            None => self.newest().await?,
        };
        let mut events = subscribe(
            Arc::clone(&self.store),
            Scope::Deployment(deployment.clone()),
            from,
        );
        loop {
            let recorded = tokio::select! {
                biased;
                Ok(_) = wires.stop.wait_for(|stop| *stop) => return self.driven(&deployment).await,
                recorded = events.next() => recorded.map_err(journal_error)?,
            };
            let event = recorded.into_event();
            let over = matches!(event.kind, EventKind::Ended { .. });
            let gone = wires.tell.send(Told::Event(Box::new(event))).await.is_err();
            if over || gone {
                return self.driven(&deployment).await;
            }
        }
    }

    /// The deployment that began last.
    ///
    /// # Errors
    /// There is none, or the state cannot be read.
    pub async fn newest(&self) -> Result<deploy_core::id::DeploymentId, EngineError> {
        let views = self.views().await?;
        let all = views.environments.values().flat_map(|view| {
            let ended = view.ended.iter().map(|summary| &summary.deployment);
            view.unended.keys().chain(ended).cloned()
        });
        all.max().ok_or_else(|| {
            super::usage(
                deploy_core::failure::Code::UnknownName,
                "nothing was deployed yet",
                "deploy up",
            )
        })
    }
}

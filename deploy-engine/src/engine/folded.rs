//! What was read of the journal and folded once: a stream is read from where this process has read it to, however long it is.

use super::{Engine, journal_error};
use crate::api::EngineError;
use deploy_core::event::Recorded;
use deploy_core::id::EnvName;
use deploy_core::port::journal::Stream;
use deploy_core::view::{EnvironmentView, ProjectView};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The newest folds of this process. Streams only grow, so that each is right up to the event it has seen last.
#[derive(Debug, Clone, Default)]
pub(super) struct Folded(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    project: ProjectView,
    environments: BTreeMap<EnvName, EnvironmentView>,
}

impl Folded {
    fn with<T>(&self, take: impl FnOnce(&mut Known) -> T) -> T {
        // Nothing panics while it is held, so what a poisoned one holds is whole.
        take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Engine {
    /// The project's view.
    pub async fn project_view(&self) -> Result<ProjectView, EngineError> {
        let mut view = self.folded.with(|known| known.project.clone());
        let events = self.store.load(&Stream::Project, view.last).await;
        let events = events.map_err(journal_error)?;
        events
            .iter()
            .map(Recorded::event)
            .for_each(|event| view.apply(event));
        self.folded.with(|known| {
            if known.project.last < view.last {
                known.project = view.clone();
            }
        });
        Ok(view)
    }

    /// The view of an environment; an empty one where nothing happened yet.
    pub(super) async fn environment_view(&self, name: &EnvName) -> Result<EnvironmentView, EngineError> {
        let known = self.folded.with(|known| known.environments.get(name).cloned());
        let mut view = known.unwrap_or_else(|| EnvironmentView::new(name.clone()));
        let stream = Stream::Environment(name.clone());
        let events = self.store.load(&stream, view.last).await.map_err(journal_error)?;
        events
            .iter()
            .map(Recorded::event)
            .for_each(|event| view.apply(event));
        self.folded.with(|known| {
            let before = known.environments.get(name);
            if before.is_none_or(|before| before.last < view.last) {
                known.environments.insert(name.clone(), view.clone());
            }
        });
        Ok(view)
    }
}

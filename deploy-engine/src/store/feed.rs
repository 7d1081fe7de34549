//! Reading along: what is stored, then what comes, with no gap and in order. Frontends live on this and on nothing else.

use super::{Mark, Store};
use deploy_core::event::Recorded;
use deploy_core::id::{DeploymentId, Seq};
use deploy_core::port::journal::{JournalError, Stream};
use std::collections::VecDeque;
use std::sync::Arc;

/// What to read along with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of a stream.
    Stream(Stream),
    /// One deployment's events in its environment. It need not exist yet.
    Deployment(DeploymentId),
}

/// A reader's place. Dropping it ends it; nothing runs between two calls of [`Subscription::next`].
pub struct Subscription {
    store: Arc<dyn Store>,
    scope: Scope,
    /// The stream to read, once it is known.
    stream: Option<Stream>,
    after: Seq,
    mark: Mark,
    ready: VecDeque<Recorded>,
}

/// Reads along from the first event after `after`.
pub fn subscribe(store: Arc<dyn Store>, scope: Scope, after: Seq) -> Subscription {
    Subscription {
        store,
        scope,
        stream: None,
        after,
        mark: Mark::START,
        ready: VecDeque::new(),
    }
}

impl Subscription {
    /// The next event, as soon as it is stored.
    ///
    /// # Errors
    /// The state cannot be read, or is damaged from here on. Calling again tries again at the same place.
    ///
    /// # Cancellation
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<Recorded, JournalError> {
        loop {
            if let Some(recorded) = self.ready.pop_front() {
                return Ok(recorded);
            }
            // The mark first: what is written while we read is then seen at the next turn.
            let mark = self.store.changed(self.mark).await?;
            self.fill().await?;
            self.mark = mark;
        }
    }

    /// What is stored and not yet given out, without waiting for more.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn ready(&mut self) -> Result<Vec<Recorded>, JournalError> {
        self.fill().await?;
        Ok(self.ready.drain(..).collect())
    }

    async fn fill(&mut self) -> Result<(), JournalError> {
        let stream = match (&self.stream, &self.scope) {
            (Some(stream), _) | (None, Scope::Stream(stream)) => stream.clone(),
            (None, Scope::Deployment(id)) => {
                let known = self.store.deployment(id).await?;
                let begun = known
                    .iter()
                    .map(Recorded::event)
                    .find_map(|event| Some((event.environment.clone()?, event.seq)));
                let Some((environment, first)) = begun else {
                    return Ok(());
                };
                self.after = self.after.max(Seq(first.0 - 1));
                Stream::Environment(environment)
            }
        };
        let fresh = self.store.load(&stream, self.after).await?;
        // No await from here on: place and events move together.
        self.stream = Some(stream);
        for recorded in fresh {
            self.after = recorded.event().seq;
            let wanted = match &self.scope {
                Scope::Stream(_) => true,
                Scope::Deployment(id) => recorded.event().deployment.as_ref() == Some(id),
            };
            if wanted {
                self.ready.push_back(recorded);
            }
        }
        Ok(())
    }
}

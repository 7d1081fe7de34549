//! From what a driver tells to a screen, without a gap: a driver tells what happens from now on, the journal has what happened
//! before. Whoever resumes, cancels or watches reads the whole story, and `deploy show` tells the same.

use super::screen::Screen;
use crate::context::now;
use deploy_core::event::Event;
use deploy_core::id::{DeploymentId, Seq};
use deploy_engine::Engine;
use deploy_engine::drive::Told;

/// One deployment, told to one screen.
pub(crate) struct Teller<'e> {
    engine: &'e Engine,
    pub(crate) screen: Screen,
    /// The last event shown of the environment's stream, and of the project's.
    shown: (Seq, Seq),
}

impl<'e> Teller<'e> {
    /// Nothing is told yet.
    pub(crate) fn new(engine: &'e Engine, screen: Screen) -> Self {
        Self {
            engine,
            screen,
            shown: (Seq(0), Seq(0)),
        }
    }

    /// Shows what was told.
    pub(crate) async fn take(&mut self, told: Told) {
        match told {
            Told::Event(event) => {
                if let (None, Some(id)) = (self.screen.deployment(), &event.deployment) {
                    self.catch_up(id).await;
                }
                self.show(&event);
            }
            Told::Progress(progress) => self.screen.progress(&progress),
            Told::Waits(waits) => self.screen.waits(*waits, now()),
            Told::Before(before) => self.screen.before(before, now()),
        }
    }

    /// What is stored of it. Where that cannot be read, what is told has to do.
    pub(crate) async fn catch_up(&mut self, id: &DeploymentId) {
        if let Ok(stored) = self.engine.show(id.as_str()).await {
            self.screen.about(stored.release);
            stored.events.iter().for_each(|event| self.show(event));
        }
    }

    fn show(&mut self, event: &Event) {
        let last = if event.environment.is_some() {
            &mut self.shown.0
        } else {
            &mut self.shown.1
        };
        if event.seq > *last {
            *last = event.seq;
            self.screen.event(event);
        }
    }
}

//! Signs of life for whoever reads lines: a step of which nothing was told for a while says that it is still under way, and what
//! was seen last. Time comes in with every call, so that it is tested without waiting.

use super::activity::{Activity, Doing, Subject};
use deploy_core::event::Event;
use deploy_core::machine::Effect;
use deploy_core::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// A step is silent for no longer than this, and says something no more often.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);

/// When each step was last heard of.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    activity: Activity,
    heard: BTreeMap<Subject, (&'static str, Timestamp)>,
}

impl Pulse {
    /// Takes an event: what it began or changed was heard of just now.
    pub(crate) fn on(&mut self, event: &Event) {
        self.activity.on(event);
        self.keep(event.at);
    }

    /// Takes a line of progress. It prints nothing, so it breaks no silence.
    pub(crate) fn progress(&mut self, effect: Effect, note: &str, done: u64, total: u64) {
        self.activity.progress(effect, note, done, total);
    }

    /// The steps that have been silent for too long by now.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<(Subject, Doing)> {
        self.keep(now);
        let mut due = Vec::new();
        for (subject, doing) in self.activity.doing() {
            if let Some((_, heard)) = self.heard.get_mut(subject)
                && now.since(*heard) >= SILENCE
            {
                *heard = now;
                due.push((*subject, doing.clone()));
            }
        }
        due
    }

    /// Forgets what is over, and begins to count for what is new.
    fn keep(&mut self, now: Timestamp) {
        let doing = self.activity.doing();
        self.heard
            .retain(|subject, (verb, _)| doing.get(subject).is_some_and(|doing| doing.verb == *verb));
        for (subject, doing) in doing {
            self.heard.entry(*subject).or_insert((doing.verb, now));
        }
    }
}

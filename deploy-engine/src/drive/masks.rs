//! Secrets that services were given, so that no answer quotes them.

use super::spellings::spellings;
use super::wiring::{Bound, Wiring};
use deploy_core::failure::{self, SHORTEST_SECRET};
use deploy_core::machine::Answer;
use deploy_core::plan::Plan;
use deploy_core::port::target::Desired;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a process that takes a deployment up asks for the secrets that another one gave.
pub(crate) const ASK: Duration = Duration::from_secs(10);

/// Values that may not leave this process in a failure or a note.
#[derive(Clone, Default)]
pub(crate) struct Masks(Arc<Mutex<BTreeSet<String>>>);

impl Masks {
    /// Remembers the secrets that a service was given.
    pub(crate) fn learn(&self, desired: &Desired) {
        let named = desired
            .variables
            .iter()
            .filter(|(name, _)| desired.secrets.contains(*name));
        let values = named
            .map(|(_, value)| value.expose())
            .filter(|value| value.len() >= SHORTEST_SECRET)
            .flat_map(spellings);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(values);
    }

    /// Asks for the secrets that services were given by a process that is gone. One that cannot be had here holds up nothing.
    pub(super) async fn learn_again(&self, wiring: &dyn Wiring, plan: &Plan, bound: &[Bound]) {
        let asking = async {
            for bound in bound.iter().filter(|bound| !bound.desired.secrets.is_empty()) {
                if let Ok(desired) = wiring.with_secrets(plan, &bound.name).await {
                    self.learn(&desired);
                }
            }
        };
        let _all_or_what_came_in_time = tokio::time::timeout(ASK, asking).await;
    }

    /// A text without them.
    pub(crate) fn text(&self, text: &str) -> String {
        failure::without(text, &self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An answer without the secrets that what answered may have quoted.
    pub(super) fn answer(&self, answer: Answer) -> Answer {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Answer::Failed { how, slice, failure } => Answer::Failed {
                how,
                slice,
                failure: failure.without(&secrets),
            },
            Answer::ClaimRefused { refusal, failure } => Answer::ClaimRefused {
                refusal,
                failure: failure.without(&secrets),
            },
            Answer::Seen {
                seen,
                runs,
                outdated,
                fresh,
                failure,
            } => Answer::Seen {
                seen,
                runs,
                outdated,
                fresh,
                failure: failure.map(|failure| failure.without(&secrets)),
            },
            answer => answer,
        }
    }
}

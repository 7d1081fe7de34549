//! Secrets that services were given, so that no answer quotes them.

use deploy_core::failure::SHORTEST_SECRET;
use deploy_core::machine::Answer;
use deploy_core::port::target::Desired;
use std::sync::Arc;

/// Values that may not leave this process in a failure or a note.
pub(super) type Secrets = Arc<std::sync::Mutex<std::collections::BTreeSet<String>>>;

/// Remembers the secrets that a service was given.
pub(super) fn remember(secrets: &Secrets, desired: &Desired) {
    let Ok(mut known) = secrets.lock() else { return };
    let named = desired
        .variables
        .iter()
        .filter(|(name, _)| desired.secrets.contains(*name));
    known.extend(
        named
            .map(|(_, value)| value.expose().to_owned())
            .filter(|value| value.len() >= SHORTEST_SECRET),
    );
}

/// An answer without the secrets that what answered may have quoted.
pub(super) fn scrubbed(answer: Answer, secrets: &Secrets) -> Answer {
    let Ok(secrets) = secrets.lock() else {
        return answer;
    };
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

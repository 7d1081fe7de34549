//! Bounded retries, by what the adapter said of its outcome: only what certainly did not happen and may go better a little later.

use deploy_core::port::target::{Cause, Certainty, TargetError};
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// How long to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Retry what is transient.
    Transient(Duration),
    /// Retry also what cannot be reached: going back has no better plan than to wait for it.
    Unreachable(Duration),
}

impl Patience {
    fn limit(self) -> Duration {
        match self {
            Self::Transient(limit) | Self::Unreachable(limit) => limit,
        }
    }

    /// How long to wait for what cannot be reached.
    pub(super) fn for_unreachable(self) -> Duration {
        match self {
            Self::Transient(_) => Duration::ZERO,
            Self::Unreachable(limit) => limit,
        }
    }

    fn covers(self, error: &TargetError) -> bool {
        error.certainty == Certainty::NotDone
            && match error.cause {
                Cause::Transient => true,
                Cause::Unreachable => matches!(self, Self::Unreachable(_)),
                _ => false,
            }
    }
}

/// Repeats a verb while its answer says that this is safe and may help; the pauses double from 200 ms to 5 s.
pub(super) async fn retry<T, F, Fut>(patience: Patience, mut verb: F) -> Result<T, TargetError>
where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = Result<T, TargetError>> + Send,
{
    let end = Instant::now() + patience.limit();
    let mut pause = Duration::from_millis(200);
    loop {
        match verb().await {
            Err(error) if patience.covers(&error) && Instant::now() + pause < end => {
                tracing::debug!(%error, ?pause, "trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deploy_core::failure::{Code, Failure};

    fn error(certainty: Certainty, cause: Cause) -> TargetError {
        let failure = Failure::new(Code::RemoteFailed, "no", "look");
        TargetError {
            certainty,
            cause,
            failure: Box::new(failure),
            held: None,
        }
    }

    async fn tries(patience: Patience, certainty: Certainty, cause: Cause) -> u32 {
        let mut tries = 0;
        let result: Result<(), _> = retry(patience, || {
            tries += 1;
            std::future::ready(Err(error(certainty, cause)))
        })
        .await;
        assert!(result.is_err());
        tries
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_certainly_did_not_happen_and_may_pass_is_repeated() {
        let second = Duration::from_secs(1);
        for (patience, certainty, cause, repeated) in [
            (
                Patience::Transient(second),
                Certainty::NotDone,
                Cause::Transient,
                true,
            ),
            (
                Patience::Transient(second),
                Certainty::Unknown,
                Cause::Transient,
                false,
            ),
            (
                Patience::Transient(second),
                Certainty::NotDone,
                Cause::Unreachable,
                false,
            ),
            (
                Patience::Unreachable(second),
                Certainty::NotDone,
                Cause::Unreachable,
                true,
            ),
            (
                Patience::Unreachable(second),
                Certainty::Unknown,
                Cause::Unreachable,
                false,
            ),
            (
                Patience::Unreachable(second),
                Certainty::NotDone,
                Cause::Fenced,
                false,
            ),
            (
                Patience::Unreachable(second),
                Certainty::NotDone,
                Cause::Final,
                false,
            ),
        ] {
            assert_eq!(
                tries(patience, certainty, cause).await > 1,
                repeated,
                "{patience:?} {certainty:?} {cause:?}"
            );
        }
        assert_eq!(
            tries(Patience::Transient(second), Certainty::NotDone, Cause::Transient).await,
            3
        );
    }
}

//! Calls on a target that take more than one question, and their answers in the machine's words.

use super::retry::{Patience, retry};
use super::wiring::{Fate, Wiring};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{DeploymentId, PlaceId, StoreId};
use deploy_core::machine::{Answer, Failed, Taking};
use deploy_core::port::target::{Adopt, Cause, Certainty, Claim, ClaimRequest, Runs, Target, TargetError};
use std::future::Future;
use std::time::Duration;

/// The longest a short call may take: a claim, a look.
pub(super) const SHORT_LIMIT: Duration = Duration::from_secs(60);
/// How long going back waits for what cannot be reached before it is called unknown.
pub(super) const PATIENCE_GOING_BACK: Duration = Duration::from_secs(30);

/// Claims a place. Where somebody holds it, what the core allows is tried: taken from a deployment of this state that has ended, or
/// adopted from another state, as was asked. A deployment of this state that the journal does not know is another state's in all but
/// name, and is treated like one. With the state that it was adopted from.
pub(super) async fn claim(
    target: &dyn Target,
    place: &PlaceId,
    request: ClaimRequest,
    wiring: &dyn Wiring,
    patience: Patience,
) -> Result<(Claim, Option<StoreId>), TargetError> {
    let once = |request: ClaimRequest| async move {
        let verb = retry(patience, || target.claim(place, &request));
        limited(SHORT_LIMIT + PATIENCE_GOING_BACK, verb).await
    };
    // A place of our own is claimed as ever, also where others' may be adopted.
    let mut now = ClaimRequest {
        adopt: Adopt::Refuse,
        ..request.clone()
    };
    let mut adopted = None;
    // Each turn takes it from somebody else, so that it ends: an ended deployment of ours, another state, and one of ours again.
    for _ in 0..3 {
        let error = match once(now.clone()).await {
            Ok(claim) => return Ok((claim, adopted)),
            Err(error) if error.cause == Cause::Held => error,
            Err(error) => return Err(error),
        };
        let allowed = ClaimRequest {
            adopt: request.adopt,
            ..now.clone()
        };
        match Taking::of(&allowed, error.held.as_deref()) {
            Taking::OnceEnded(holder) => match (wiring.fate(&holder).await, request.adopt) {
                (Fate::Ended, _) => now.may_take.push(holder),
                (Fate::Unknown, Adopt::Take) => {
                    now.may_take.push(holder);
                    adopted = Some(request.store.clone());
                }
                (Fate::Unknown, Adopt::Refuse) => return Err(of_a_later_journal(place, &holder, error)),
                (Fate::Open, _) => return Err(error),
            },
            Taking::Adopt(store) if now.adopt == Adopt::Refuse => {
                now.adopt = Adopt::Take;
                adopted = store;
            }
            Taking::Refused | Taking::Adopt(_) => return Err(error),
        }
    }
    once(now).await.map(|claim| (claim, adopted))
}

/// A place is held by a deployment of this very state, and the journal knows nothing of it.
fn of_a_later_journal(place: &PlaceId, holder: &DeploymentId, error: TargetError) -> TargetError {
    let message = format!(
        "{place} is held by this state's own deployment {}, which this journal does not know: the state was put back from a \
         backup, or copied",
        holder.short()
    );
    let next = "if the state it was copied from is gone, take it over: --adopt";
    TargetError {
        failure: Box::new(Failure::new(Code::ClaimForeign, message, next)),
        ..error
    }
}

pub(super) fn told(runs: &Runs) -> String {
    match runs {
        Runs::Nothing => "nothing".to_owned(),
        Runs::Release { fingerprint, release } => release.map_or_else(
            || fingerprint.to_string(),
            |release| format!("{} ({fingerprint})", release.number),
        ),
    }
}

pub(super) async fn limited<T>(
    limit: Duration,
    verb: impl Future<Output = Result<T, TargetError>>,
) -> Result<T, TargetError> {
    match tokio::time::timeout(limit, verb).await {
        Ok(result) => result,
        Err(_) => Err(TargetError::unknown(
            Cause::Transient,
            Failure::new(
                Code::TimedOut,
                "no answer within the time limit",
                "the next step looks at what came of it",
            ),
        )),
    }
}

pub(super) fn done(result: Result<(), TargetError>) -> Answer {
    match result {
        Ok(()) => Answer::Done { warning: None },
        Err(error) => failed(error),
    }
}

pub(super) fn failed(error: TargetError) -> Answer {
    Answer::Failed {
        how: how(&error),
        slice: None,
        failure: *error.failure,
    }
}

pub(super) fn how(error: &TargetError) -> Failed {
    match (error.cause, error.certainty) {
        (Cause::Fenced | Cause::Held, _) => Failed::Fenced,
        (Cause::Overtaken, Certainty::NotDone) => Failed::Overtaken,
        (Cause::CheckpointLost, Certainty::NotDone) => Failed::CheckpointLost,
        (_, Certainty::Unknown) => Failed::Unknown,
        (Cause::Unreachable, Certainty::NotDone) => Failed::Unreachable,
        (Cause::Transient | Cause::Final, Certainty::NotDone) => Failed::NotDone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_answers_is_unknown_when_its_time_is_over() {
        let began = tokio::time::Instant::now();
        let verb = limited(SHORT_LIMIT, std::future::pending::<Result<(), TargetError>>());
        // Nothing else is left to wait for: without a limit of its own it would wait this long.
        let answer = tokio::time::timeout(SHORT_LIMIT * 10, verb).await;
        let error = answer.expect("it has a limit").expect_err("nobody answered");
        assert_eq!(began.elapsed(), SHORT_LIMIT);
        assert_eq!(error.failure.code, Code::TimedOut);
        assert_eq!(how(&error), Failed::Unknown, "it may have been done");
    }
}

//! Calls on a target that take more than one question, and their answers in the machine's words.

use super::health;
use super::look::same;
use super::retry::{Patience, retry};
use super::wiring::{Eyes, Fate, Wiring};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::StoreId;
use deploy_core::machine::{Answer, Failed};
use deploy_core::port::target::{
    Adopt, Cause, Certainty, Checkpoint, Claim, ClaimRequest, HealthSeen, Inside, Op, Runs, Target,
    TargetError,
};
use std::future::Future;
use std::time::Duration;

/// The longest a short call may take: a claim, a look.
pub(super) const SHORT_LIMIT: Duration = Duration::from_secs(60);
/// How long going back waits for what cannot be reached before it is called unknown.
pub(super) const PATIENCE_GOING_BACK: Duration = Duration::from_secs(30);

/// Claims a place; where a deployment of this state that has ended still holds it, from that one. One that the journal does not
/// know is another state's in all but name: it is taken from only where that was asked for, and named as adopted.
pub(super) async fn claim_from_ended(
    target: &dyn Target,
    place: &deploy_core::id::PlaceId,
    mut request: ClaimRequest,
    wiring: &dyn Wiring,
    patience: Patience,
) -> Result<(Claim, Option<StoreId>), TargetError> {
    let claim = |request: ClaimRequest| async move {
        let verb = retry(patience, || target.claim(place, &request));
        limited(SHORT_LIMIT + PATIENCE_GOING_BACK, verb).await
    };
    let first = claim(request.clone()).await;
    let Err(error) = first else {
        return first.map(|claim| (claim, None));
    };
    let Some(held) = error.held.clone().filter(|_| error.cause == Cause::Held) else {
        return Err(error);
    };
    let (Some(holder), true) = (held.deployment, held.store == request.store) else {
        return Err(error);
    };
    let adopted = match (wiring.fate(&holder).await, request.adopt) {
        (Fate::Open, _) => return Err(error),
        (Fate::Ended, _) => None,
        (Fate::Unknown, Adopt::Take) => Some(held.store),
        (Fate::Unknown, Adopt::Refuse) => {
            let failure = Failure::new(
                Code::ClaimForeign,
                format!(
                    "{place} is held by this state's own deployment {}, which this journal does not know: the state was put back \
                     from a backup, or copied",
                    holder.short()
                ),
                "if the state it was copied from is gone, take it over: --adopt",
            );
            return Err(TargetError {
                failure: Box::new(failure),
                ..error
            });
        }
    };
    request.may_take.push(holder);
    claim(request).await.map(|claim| (claim, adopted))
}

/// Takes another state's place over, as was asked; a place of our own is claimed as ever.
pub(super) async fn claim_adopting(
    target: &dyn Target,
    place: &deploy_core::id::PlaceId,
    request: ClaimRequest,
    wiring: &dyn Wiring,
    patience: Patience,
) -> Result<(Claim, Option<StoreId>), TargetError> {
    let refusing = ClaimRequest {
        adopt: Adopt::Refuse,
        ..request.clone()
    };
    match claim_from_ended(target, place, refusing, wiring, patience).await {
        Err(error) if error.cause == Cause::Held && request.adopt == Adopt::Take => {
            let other = error
                .held
                .map(|held| held.store)
                .filter(|store| *store != request.store);
            let (claim, own) = claim_from_ended(target, place, request, wiring, patience).await?;
            Ok((claim, other.or(own)))
        }
        result => result,
    }
}

/// What the platform says runs: what is inside it, or an answer where it is not what is wanted.
pub(super) async fn platform_says(
    target: &dyn Target,
    op: &Op,
    slice: &deploy_core::id::SliceName,
    wanted: &Runs,
) -> Result<Inside, Answer> {
    let verb = retry(Patience::Transient(op.limit), || target.verify(op, slice, wanted));
    let seen = limited(op.limit, verb).await.map_err(failed)?;
    match seen.runs {
        Ok(runs) if same(&runs, wanted) => Ok(seen.inside),
        Ok(runs) => Err(Answer::Failed {
            how: Failed::Overtaken,
            slice: None,
            failure: Failure::new(
                Code::Overtaken,
                format!("slice {slice} runs {} and not {}", told(&runs), told(wanted)),
                "find out who changed it: deploy status --refresh",
            ),
        }),
        Err(failure) => Err(Answer::Failed {
            how: Failed::Unreachable,
            slice: None,
            failure,
        }),
    }
}

/// A note of what was verified, with what is not as it was put there: no failure, and nothing to keep quiet about.
pub(super) fn with_edits(note: String, inside: &Inside) -> String {
    if inside.edited.is_empty() {
        return note;
    }
    format!(
        "{note}; changed since it was put there: {}",
        inside.edited.join(", ")
    )
}

/// The same with what still runs from another release, where no probe proves which version answers.
pub(super) fn with_left(note: String, inside: &Inside) -> String {
    if inside.left.is_empty() {
        return note;
    }
    format!(
        "{note}; but {}: no probe here has `version`",
        inside.left.join(", ")
    )
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

/// Health before anything is touched, recorded once with the checkpoint.
pub(super) async fn health_before(
    eyes: Option<&Eyes>,
    known: Option<&Checkpoint>,
    taken: &Checkpoint,
) -> HealthSeen {
    match (known, eyes, &taken.was) {
        (Some(known), _, _) => known.health,
        (None, _, Runs::Nothing) => HealthSeen::Stopped,
        (None, Some(eyes), _) => health::word(eyes, &eyes.old).await,
        (None, None, _) => HealthSeen::Unknown,
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
        Ok(()) => Answer::Done {
            note: String::new(),
            warning: None,
        },
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

//! `claim`: compare-and-set in the place, under its lock.

use crate::bases::Bases;
use crate::host::{CLAIM, Host, Request};
use crate::seen::{self, look};
use crate::words;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::Epoch;
use deploy_core::port::target::{Adopt, Cause, Claim, ClaimRequest, TargetError};
use std::time::Duration;

/// How long a claim may take; most of it is waiting for a step of an older claim to end.
const CLAIM_LIMIT: Duration = Duration::from_secs(90);
const LOCK_WAIT: &str = "60";

/// Takes the claim of a host's path.
pub(crate) async fn claim(host: &Host, request: &ClaimRequest, bases: &Bases) -> Result<Claim, TargetError> {
    let since = request
        .note
        .since
        .map(|since| since.to_string())
        .unwrap_or_default();
    let note = words::list([&request.note.who, &since, &request.note.step]);
    let takeable: Vec<_> = request.may_take.iter().map(AsRef::as_ref).collect();
    let call = Request::new(CLAIM_LIMIT)
        .arg(LOCK_WAIT)
        .arg(request.store.as_str())
        .arg(request.deployment.as_str())
        .arg(request.known.to_string())
        .arg(match request.adopt {
            Adopt::Refuse => "refuse",
            Adopt::Take => "take",
        })
        .arg(note)
        .arg(takeable.join(" "))
        .arg(bases.wanted())
        .arg("quick");
    let reply = host.run(CLAIM, call).await?;
    let epoch = reply.word("epoch").and_then(|epoch| epoch.parse().ok());
    let Some(epoch) = epoch.map(Epoch) else {
        let message = format!("{} answered a claim with no epoch", host.name());
        let failure = Failure::new(Code::Defect, message, "report this").with_log(&reply.output);
        return Err(TargetError::unknown(Cause::Final, failure));
    };
    if let Some(seen) = seen::answered(&reply) {
        bases.learn(&seen);
        host.claimed_with(seen);
    }
    Ok(Claim {
        store: request.store.clone(),
        deployment: request.deployment.clone(),
        epoch,
    })
}

/// Looks whether a claim is still in force.
pub(crate) async fn still_ours(host: &Host, claim: &Claim) -> Result<(), TargetError> {
    let held = look(host, "").await?.held;
    let ours = held.as_ref().is_some_and(|held| {
        held.store == claim.store
            && held.deployment.as_ref() == Some(&claim.deployment)
            && held.epoch == claim.epoch
    });
    if ours {
        return Ok(());
    }
    let message = format!("another claim is in force in {} on {}", host.path, host.name());
    let failure = Failure::new(Code::Fenced, message, "deploy status --refresh");
    let error = TargetError::not_done(Cause::Fenced, failure);
    Err(match held {
        Some(held) => error.held_by(held),
        None => error,
    })
}

//! `claim`: compare-and-set in the place, under its lock. A revert that is due goes first, and one that nobody waits for any more is
//! waited for again.

use crate::bases::Bases;
use crate::host::{CLAIM, Host, Request};
use crate::seen;
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
        .arg("quick")
        .arg(words::word(host.place()));
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

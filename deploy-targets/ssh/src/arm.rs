//! Confirm or revert: a host that nobody confirms in time goes back by itself, whatever became of its deployer.
//!
//! **What is armed** is `<store>/armed`, on disk before the switch, written in the step that compares the claim: whose it is, at which
//! start of the host, until when, the release, the checkpoint it goes back to, and the restart command for where that brings none. Times
//! are seconds since the host began (`/proc/uptime`, which counts on while it sleeps), never a clock that somebody can set. It is due when
//! they are over, or when the host has started anew since: nobody watched what serves then. A container starts anew under the kernel it
//! had, so that the beginning of its first process is part of which start it is.
//!
//! **What acts** is one script, `<store>/revert`, put there before anything is armed ([`ready`]), of the same parts as `restore`. While
//! something is armed it holds `<store>/watch.lock`. When that is due it takes the host's lock, reads anew what is armed (it may have
//! been renewed or confirmed), raises the epoch of the claim, puts back, restarts and disarms. It runs nothing that the new release
//! brought. A restart that fails is tried again a few times; then the place is left as a failed `restore` leaves it. Where nothing was
//! switched yet, it disarms and raises the epoch: a slow deployer must not switch with nothing armed. What somebody else changed
//! meanwhile is left alone. `<store>/reverted` says what it did, to looks under that deployment's claim, until something moves again.
//!
//! **Who runs it**: where systemd runs and the user is root, or one whose own manager lingers, a `.path` unit that waits for
//! `<store>/armed`. It is enabled, so that it acts also when the host starts. Elsewhere `activate` begins a process of its own, in a session
//! of its own, which ends when nothing is armed; where it was killed, or the host started anew, the next `claim` begins it again, and
//! waits for what is due. `activate` looks whether somebody holds `watch.lock` before it switches, and does not switch where nobody does.
//!
//! **Confirming and reverting** at the same instant is decided by the host's lock: whoever has it first. A confirmation that comes later
//! finds a higher epoch, and is fenced. A step that holds the lock holds up the revert too: `activate` sets the deadline anew at its
//! end, so that a slow restart takes nothing from the time to confirm.

use crate::error;
use crate::host::{CONFIRM, GUARD, Host, RENEW, Request};
use crate::transport::{Input, seconds};
use crate::words;
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::{Cause, Move, Op, TargetError};
use std::time::Duration;

/// The parts of what acts, in their order; the first line, which gives it its arguments, comes before them.
const PARTS: &[&str] = &[
    include_str!("script/frame.sh"),
    include_str!("script/place.sh"),
    include_str!("script/armed.sh"),
    include_str!("script/scrub.sh"),
    include_str!("script/run.sh"),
    include_str!("script/ports.sh"),
    include_str!("script/sums.sh"),
    include_str!("script/whole.sh"),
    include_str!("script/encode.sh"),
    include_str!("script/back.sh"),
    include_str!("script/revert.sh"),
];

/// The whole script that reverts what is in a path.
fn script(path: &str) -> String {
    let first = format!(
        "# Puts back what ran before, where a deployment is not confirmed in time.\nset -- =watch '{}'\n",
        words::word(path)
    );
    [first.as_str()]
        .iter()
        .chain(PARTS)
        .flat_map(|part| [*part, "\n"])
        .collect()
}

/// What a path's units are called: other paths' are called otherwise.
fn unit(path: &str) -> String {
    format!("deploy-revert-{}", &Digest::of(path).to_string()[..16])
}

/// Adds what `activate` arms with, or that it arms nothing.
pub(crate) fn armed(request: Request, host: &Host, step: &Move) -> Result<Request, TargetError> {
    let Some(span) = step.arm else {
        return Ok(request.arg("").arg("").arg("").arg(""));
    };
    let Some(checkpoint) = &step.checkpoint else {
        let message = format!("{} cannot be armed without a checkpoint", step.slice);
        let failure = Failure::new(Code::Defect, message, "report this");
        return Err(TargetError::not_done(Cause::Final, failure));
    };
    Ok(request
        .arg(seconds(span).to_string())
        .arg(&checkpoint.reference)
        .arg(checkpoint.digest.to_string())
        .arg(Digest::of(script(&host.path)).to_string()))
}

/// Adds what acts on a host: the script's digest, what its units are called, and the script to be read.
pub(crate) fn acting(request: Request, host: &Host) -> Request {
    let script = script(&host.path);
    request
        .arg(Digest::of(&script).to_string())
        .arg(unit(&host.path))
        .input(Input::Bytes(script.into_bytes()))
}

/// Puts there what acts, and has the service manager begin it where that can be.
pub(crate) async fn ready(host: &Host, op: &Op) -> Result<(), TargetError> {
    let request = acting(Request::write(op), host);
    let reply = host.run_as(GUARD, "readying the revert", request).await?;
    error::notes(&reply, &*op.progress);
    Ok(())
}

/// Sets the deadline anew.
pub(crate) async fn renew(host: &Host, op: &Op, span: Duration) -> Result<(), TargetError> {
    let request = Request::write(op).arg(seconds(span).to_string());
    host.run_as(RENEW, "renewing the revert", request).await?;
    Ok(())
}

/// Disarms: what runs stays.
pub(crate) async fn confirm(host: &Host, op: &Op) -> Result<(), TargetError> {
    host.run_as(CONFIRM, "confirming", Request::write(op)).await?;
    Ok(())
}

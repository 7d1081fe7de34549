//! `stop`: a host that failed is taken out of service, so that the others may go on without it.
//!
//! In one step under the lock: the symlink goes, what was armed there is disarmed, and the service's `stop` command runs. Without a
//! symlink nothing of it starts again by itself, also not when the host does: neither the release that failed nor the one before,
//! which would serve beside the new one unseen. Releases and the checkpoint stay, so that the host goes back with all others if they
//! do, and a later deployment moves it as it moves one where nothing runs.
//!
//! Disarmed comes after the symlink: a revert that fires in between finds nothing of its deployment there, and leaves it alone.

use crate::SshTarget;
use crate::activate::limited;
use crate::host::{Host, Request, STOP};
use crate::seen::{self, look};
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::{Cause, Certainty, Op, Runs, Stop, TargetError};

/// Stops a host.
pub(crate) async fn stop(target: &SshTarget, host: &Host, op: &Op, step: &Stop) -> Result<Runs, TargetError> {
    let Some(script) = &target.binding.stop else {
        let message = format!("nothing says how the service is stopped on {}", host.name());
        let next = "write `stop = \"systemctl stop …\"` into the service's ssh table";
        let failure = Failure::new(Code::ManifestInvalid, message, next);
        return Err(TargetError::not_done(Cause::Final, failure));
    };
    let may_run: Vec<_> = step.may_run.iter().map(seen::fingerprint).collect();
    let request = Request::write(op).arg(may_run.join(" "));
    let request = limited(request, Some(script), op);
    host.run_as(STOP, "stop", request)
        .await
        .map_err(|error| match error {
            // It has ended, and not well: that it was stopped is not so, and nothing more comes of it.
            TargetError {
                cause: Cause::Final, ..
            } => TargetError {
                certainty: Certainty::NotDone,
                ..error
            },
            error => error,
        })?;
    Ok(look(host, "").await?.runs)
}

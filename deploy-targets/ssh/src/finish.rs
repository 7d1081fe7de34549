//! `finish`: prune or remove, then release the claim; the last write of a deployment on a host.

use crate::SshTarget;
use crate::activate::limited;
use crate::error;
use crate::host::{FINISH, Host, Request};
use deploy_core::port::target::{Cleanup, Op, TargetError};

/// Cleans up and releases the claim. What cannot be removed is a note, not a failure.
pub(crate) async fn finish(
    target: &SshTarget,
    host: &Host,
    op: &Op,
    cleanup: &Cleanup,
) -> Result<(), TargetError> {
    let (mode, keep) = match cleanup {
        Cleanup::Wait => ("wait", 0),
        Cleanup::ReleaseOnly => ("release", 0),
        Cleanup::Prune { keep } => ("prune", *keep),
        Cleanup::Remove => ("remove", 0),
    };
    let request = Request::write(op).arg(mode).arg(keep.to_string());
    let request = limited(request, target.binding.restart.as_ref(), op);
    let reply = host.run_as(FINISH, "cleaning up", request).await?;
    error::notes(&reply, &*op.progress);
    Ok(())
}

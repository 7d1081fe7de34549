//! `restore`: back to what the checkpoint says, from what is on the host alone.
//!
//! What was there comes back as it is there now. Files that somebody changed in it since are told, and hold nothing up: leaving what
//! failed in place because of an edited file would be worse. A file that is gone since the checkpoint is another matter: what was
//! there cannot be put back, so nothing is switched and the checkpoint counts as lost, naming the file.
//!
//! The same puts it back where nobody confirms in time (`arm.rs`), but for the hooks.
//!
//! A release is restarted by the command that it was last switched to with: the command is configuration and may have changed with
//! the release that failed, or be what failed.
//!
//! For a checkpoint of nothing the symlink goes and the restart command runs once more, with nothing to start: a service manager
//! then leaves the service stopped. That this command fails is expected and only noted.

use crate::SshTarget;
use crate::activate::limited;
use crate::config::HookPoint;
use crate::error;
use crate::host::{Host, RESTORE, Request};
use crate::inside;
use crate::seen::{self, look};
use deploy_core::port::target::{Inside, Op, Restore, Runs, TargetError};

/// Puts a host back.
pub(crate) async fn restore(
    target: &SshTarget,
    host: &Host,
    op: &Op,
    step: &Restore,
) -> Result<Runs, TargetError> {
    let ours: Vec<_> = step.ours.iter().map(seen::fingerprint).collect();
    let mut request = Request::write(op)
        .arg(&step.checkpoint.reference)
        .arg(step.checkpoint.digest.to_string())
        .arg(ours.join(" "));
    request = limited(request, target.binding.restart.as_ref(), op);
    for hook in target.binding.hooks_at(HookPoint::Failed) {
        request = limited(request, Some(&hook.script), op);
    }
    let reply = host.run_as(RESTORE, "going back", request).await?;
    let edited = inside::edited(&reply);
    if !edited.is_empty() {
        let files = Inside::few(&edited);
        op.progress.line(&format!(
            "{}: put back as it is there, though changed: {files}",
            host.name()
        ));
    }
    error::notes(&reply, &*op.progress);
    Ok(look(host, "").await?.runs)
}

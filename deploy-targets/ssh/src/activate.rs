//! `activate`: hooks before, the revert armed, one atomic switch, restart, hooks after, all in one step under the lock.
//!
//! A restart or a hook after the switch that fails leaves the outcome `unknown`, which is the truth: the link says the new
//! release, the processes may run either. The place remembers (`moving`) until a later step has ended it, and `verify` refuses
//! until then, so that a half-done switch is never taken for a whole one.

use crate::SshTarget;
use crate::arm;
use crate::config::{HookPoint, HostScript, SshBinding};
use crate::host::{ACTIVATE, Host, Request};
use crate::layout;
use crate::prepare::tree;
use crate::seen::{self, look};
use crate::transport::seconds;
use crate::words;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::{Cause, Certainty, Move, Op, Runs, TargetError};

/// A command's time limit and words, as steps take them; `0` and nothing if there is none.
pub(crate) fn limited(request: Request, script: Option<&HostScript>, op: &Op) -> Request {
    match script {
        Some(script) => request
            .arg(seconds(script.limit.min(op.limit)).to_string())
            .arg(words::command(&script.command)),
        None => request.arg("0").arg(""),
    }
}

/// What messages call the step.
pub(crate) const SWITCH: &str = "the switch";

/// A hook that failed is named, with its moment: around the switch they run in one step with it. Of several the host does not say
/// which.
fn by_a_hook(mut error: TargetError, binding: &SshBinding) -> TargetError {
    if error.failure.code != Code::HookFailed {
        return error;
    }
    let (at, moment) = match error.certainty {
        Certainty::NotDone => (HookPoint::Before, "before"),
        Certainty::Unknown => (HookPoint::After, "after"),
    };
    let names: Vec<_> = binding.hooks_at(at).map(|hook| hook.name.as_str()).collect();
    let hook = match names.as_slice() {
        [one] => format!("the hook {one} at `{moment}`"),
        several => format!("a hook at `{moment}` ({})", several.join(", ")),
    };
    error.failure.message = error.failure.message.replacen(SWITCH, &hook, 1);
    error
}

/// Moves a host to a prepared release.
pub(crate) async fn activate(
    target: &SshTarget,
    host: &Host,
    op: &Op,
    step: &Move,
) -> Result<Runs, TargetError> {
    let binding = &target.binding;
    let digest = tree(&step.to.entry, &step.slice)?;
    let id = layout::release_id(digest, step.to.config, binding, &host.binding);
    let request = || {
        let mut request = Request::write(op)
            .arg(seen::fingerprint(&step.expect))
            .arg(&id)
            .arg(words::list(&binding.shared));
        request = arm::armed(request, host, step)?;
        request = limited(request, binding.restart.as_ref(), op);
        for point in [HookPoint::Before, HookPoint::After] {
            request = request.arg(binding.hooks_at(point).count().to_string());
            for hook in binding.hooks_at(point) {
                request = limited(request, Some(&hook.script), op);
            }
        }
        Ok::<_, TargetError>(request)
    };
    let named = |error| by_a_hook(error, binding);
    let mut reply = host.run_as(ACTIVATE, SWITCH, request()?).await.map_err(named)?;
    if reply.get("unguarded").is_some() {
        // The first time on a host, and after an update of this program: nothing was done yet.
        arm::ready(host, op).await?;
        reply = host.run_as(ACTIVATE, SWITCH, request()?).await.map_err(named)?;
    }
    if reply.get("unguarded").is_some() {
        let message = format!("what was put on {} to revert it is not there", host.name());
        let next = "look at who else writes in the path's `.deploy`";
        return Err(TargetError::not_done(
            Cause::Final,
            Failure::new(Code::RemoteFailed, message, next),
        ));
    }
    match seen::answered(&reply) {
        Some(seen) => Ok(seen.runs),
        None => Ok(look(host, "").await?.runs),
    }
}

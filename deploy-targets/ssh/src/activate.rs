//! `activate`: hooks before, the revert armed, one atomic switch, restart, hooks after, all in one step under the lock.
//!
//! A restart or a hook after the switch that fails leaves the outcome `unknown`, which is the truth: the link says the new
//! release, the processes may run either. The place remembers (`moving`) until a later step has ended it, and `verify` refuses
//! until then, so that a half-done switch is never taken for a whole one.

use crate::SshTarget;
use crate::arm;
use crate::beside;
use crate::config::{HookPoint, HostScript, SshBinding};
use crate::host::{ACTIVATE, Host, PASS, Request};
use crate::layout;
use crate::prepare::tree;
use crate::seen::{self, look};
use crate::transport::seconds;
use crate::words;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::{Cause, Certainty, Move, Op, Runs, TargetError};
use std::time::Duration;

/// A command's time limit and words, as steps take them; `0` and nothing if there is none.
pub(crate) fn limited(request: Request, script: Option<&HostScript>, op: &Op) -> Request {
    limited_to(request, script, op.limit)
}

/// The same, by a limit alone.
pub(crate) fn limited_to(request: Request, script: Option<&HostScript>, limit: Duration) -> Request {
    match script {
        Some(script) => request
            .arg(seconds(script.limit.min(limit)).to_string())
            .arg(words::command(&script.command)),
        None => request.arg("0").arg(""),
    }
}

/// Adds the hooks of one moment: how many, then limit and command of each.
pub(crate) fn hooks(mut request: Request, binding: &SshBinding, point: HookPoint, op: &Op) -> Request {
    request = request.arg(binding.hooks_at(point).count().to_string());
    for hook in binding.hooks_at(point) {
        request = limited(request, Some(&hook.script), op);
    }
    request
}

/// What messages call the step.
pub(crate) const SWITCH: &str = "the switch";

/// A hook that failed is named instead of the step, with its moment: around the switch they run in one step with it. Of several the
/// host does not say which.
pub(crate) fn by_a_hook(mut error: TargetError, step: &str, binding: &SshBinding) -> TargetError {
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
    error.failure.message = error.failure.message.replacen(step, &hook, 1);
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
    let beside = binding.beside.as_ref();
    let digest = tree(&step.to.entry, &step.slice)?;
    let id = layout::release_id(digest, step.to.config, binding, &host.binding);
    let request = || {
        let mut request = Request::write(op)
            .arg(seen::fingerprint(&step.expect))
            .arg(&id)
            .arg(words::list(&binding.shared));
        request = arm::armed(request, host, step)?;
        request = limited(request, binding.restart.as_ref(), op);
        if beside.is_none() {
            request = hooks(request, binding, HookPoint::Before, op);
        }
        Ok::<_, TargetError>(hooks(request, binding, HookPoint::After, op))
    };
    let named = |error| by_a_hook(error, SWITCH, binding);
    let by = if beside.is_some() { PASS } else { ACTIVATE };
    let mut reply = host.run_as(by, SWITCH, request()?).await.map_err(named)?;
    if reply.get("unguarded").is_some() {
        // The first time on a host, and after an update of this program: nothing was done yet.
        arm::ready(host, op).await?;
        reply = host.run_as(by, SWITCH, request()?).await.map_err(named)?;
    }
    if let (Some(beside), Some(_)) = (beside, reply.get("unstood")) {
        // It ended meanwhile. Nobody has looked at it then; whoever verifies does.
        beside::stand(target, beside, host, op, step).await?;
        reply = host.run_as(by, SWITCH, request()?).await.map_err(named)?;
    }
    if reply.get("unstood").is_some() {
        let message = format!(
            "what was started beside what serves on {} does not stay up",
            host.name()
        );
        let next = "its own log says why it ended";
        return Err(TargetError::not_done(
            Cause::Final,
            Failure::new(Code::Unhealthy, message, next),
        ));
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

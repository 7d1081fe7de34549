//! `prepare`: what is sent, built and kept on a host before anything that serves changes; and the checkpoint.

use crate::SshTarget;
use crate::config::{HookPoint, SshBinding};
use crate::doctor;
use crate::environment;
use crate::hooks;
use crate::host::{Host, Request, SEAL};
use crate::inside;
use crate::layout;
use crate::seen::{self, Seen, look};
use crate::transport::{Input, Reply};
use crate::upload::{self, Content};
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::SliceName;
use deploy_core::model::{ArtifactRef, Entry, ReleaseRef};
use deploy_core::port::target::{
    Cause, Checkpoint, Desired, HealthSeen, Inside, Move, Op, Prepared, Runs, TargetError,
};

/// The digest of the tree that a service is in a release.
pub(crate) fn tree(entry: &Entry, slice: &SliceName) -> Result<Digest, TargetError> {
    let message = match entry {
        Entry::Artifact(ArtifactRef::Tree { digest } | ArtifactRef::Set { digest }) => return Ok(*digest),
        Entry::Artifact(_) => format!("{slice}: a server takes a tree of files, not an image"),
        Entry::Absent | Entry::NotMade => format!("{slice}: the release has no artifact for this service"),
    };
    let failure = Failure::new(Code::ArtifactMissing, message, "deploy releases");
    Err(TargetError::not_done(Cause::Final, failure))
}

/// Uploads what is missing, runs the `prepare` hooks, takes or proves the checkpoint.
pub(crate) async fn prepare(
    target: &SshTarget,
    host: &Host,
    op: &Op,
    step: &Move,
) -> Result<Prepared, TargetError> {
    match bring(target, host, op, step).await {
        Err(error) if error.failure.code == Code::TargetFull => Err(no_room(host, error).await),
        other => other,
    }
}

/// Adds how much room there is, and what takes it.
async fn no_room(host: &Host, mut error: TargetError) -> TargetError {
    if let Some(room) = doctor::room(host).await {
        error.failure.message = format!("{}: {room}", error.failure.message);
    }
    let releases = format!("{}/releases", host.path);
    error.failure.next = format!(
        "free space or inodes there, or lower `keep`, which bounds how many releases stay; what takes it: du -sh {releases}/*"
    );
    error
}

async fn bring(target: &SshTarget, host: &Host, op: &Op, step: &Move) -> Result<Prepared, TargetError> {
    let binding = &target.binding;
    let to = &*step.to;
    let digest = tree(&to.entry, &step.slice)?;
    let id = layout::release_id(digest, to.config, binding, &host.binding);
    let seen = look(host, "current").await?;
    if !seen.has(&id) {
        send(target, host, op, to, digest, &id, &seen).await?;
    }
    let reply = match seal(host, op, step, &id, binding).await {
        // Somebody changed a kept release: it was marked as not whole, and is sent anew.
        Err(error)
            if error.failure.code == Code::ContentMismatch
                && error.cause == Cause::Transient
                && seen.has(&id) =>
        {
            op.progress
                .line(&format!("{}: sent again: {}", host.name(), error.failure.message));
            send(target, host, op, to, digest, &id, &seen).await?;
            seal(host, op, step, &id, binding)
                .await
                .map_err(|error| by_a_hook(error, binding))?
        }
        other => other.map_err(|error| by_a_hook(error, binding))?,
    };
    let edited = inside::edited(&reply);
    if !edited.is_empty() {
        let files = Inside::few(&edited);
        op.progress.line(&format!(
            "{}: what serves was changed since it was deployed ({files}); going back puts it back as it is now",
            host.name()
        ));
    }
    let checkpoint = checkpoint(host, step, &reply)?;
    let will_be = if seen::fingerprint(&checkpoint.was) == id {
        checkpoint.was.clone()
    } else {
        seen::runs(Some(&id), reply.get("will-ref").and_then(seen::reference))
    };
    Ok(Prepared { checkpoint, will_be })
}

/// Between sending and sealing nothing but hooks wrote there: sending it again would end the same way.
fn by_a_hook(mut error: TargetError, binding: &SshBinding) -> TargetError {
    let names: Vec<_> = binding
        .hooks_at(HookPoint::Prepare)
        .map(|hook| hook.name.as_str())
        .collect();
    if error.cause == Cause::Transient && error.failure.code == Code::ContentMismatch && !names.is_empty() {
        error.cause = Cause::Final;
        error.failure.code = Code::HookFailed;
        error.failure.message = format!(
            "a hook ({}) changed what was sent: {}",
            names.join(", "),
            error.failure.message
        );
        "use a command that changes no file of the release, as `npm ci`, or commit what it makes of it"
            .clone_into(&mut error.failure.next);
    }
    error
}

async fn send(
    target: &SshTarget,
    host: &Host,
    op: &Op,
    to: &Desired,
    digest: Digest,
    id: &str,
    seen: &Seen,
) -> Result<(), TargetError> {
    let Some(content) = upload::content(to, digest, &target.binding).await? else {
        let message = format!("the artifact is neither on {} nor on this machine", host.name());
        let failure = Failure::new(
            Code::ArtifactMissing,
            message,
            "deploy up --commit, which builds it again",
        );
        return Err(TargetError::not_done(Cause::Final, failure));
    };
    // A file of the base that somebody changed is noticed by its sum; then everything is sent.
    let base = seen.base.as_ref().filter(|base| base.id != id);
    match upload::upload(target, host, op, to, id, &content, base).await {
        Err(error) if base.is_some() && error.failure.code == Code::ContentMismatch => {
            upload::upload(target, host, op, to, id, &content, None).await?;
        }
        other => other?,
    }
    hooks_of(target, host, op, to, id, seen, &content).await
}

async fn hooks_of(
    target: &SshTarget,
    host: &Host,
    op: &Op,
    to: &Desired,
    id: &str,
    seen: &Seen,
    content: &Content,
) -> Result<(), TargetError> {
    for hook in target.binding.hooks_at(HookPoint::Prepare) {
        let from = hooks::previous(hook, seen.base.as_ref(), &content.listing, &target.binding, host)?;
        hooks::prepare(target, host, op, to, id, hook, from).await?;
    }
    Ok(())
}

/// Makes the release complete, and takes or proves the checkpoint.
async fn seal(
    host: &Host,
    op: &Op,
    step: &Move,
    id: &str,
    binding: &SshBinding,
) -> Result<Reply, TargetError> {
    let ReleaseRef { digest, number } = step.to.release;
    let known = step.checkpoint.as_ref();
    let environment = environment::for_commands(&step.to, binding, &host.binding);
    let request = Request::write(op)
        .arg(seen::fingerprint(&step.expect))
        .arg(id)
        .arg(format!("{digest} {number}"))
        .arg(
            known
                .map(|checkpoint| checkpoint.digest.to_string())
                .unwrap_or_default(),
        )
        .input(Input::Bytes(environment.into_bytes()));
    host.run(SEAL, request).await
}

fn checkpoint(host: &Host, step: &Move, reply: &Reply) -> Result<Checkpoint, TargetError> {
    if let Some(known) = &step.checkpoint {
        return Ok(known.clone());
    }
    let words = reply.get("checkpoint").unwrap_or_default();
    let body = words
        .first()
        .zip(words.get(1).and_then(|digest| digest.parse().ok()));
    let Some((reference, digest)) = body else {
        let message = format!("{} answered with no checkpoint", host.name());
        let failure = Failure::new(Code::Defect, message, "report this").with_log(&reply.output);
        return Err(TargetError::not_done(Cause::Final, failure));
    };
    let was = words.get(2).map(String::as_str).filter(|was| *was != "-");
    let was: Runs = seen::runs(was, reply.get("was-ref").and_then(seen::reference));
    Ok(Checkpoint {
        reference: reference.clone(),
        digest,
        was,
        // Health is looked at by whoever probes; a host alone cannot tell.
        health: HealthSeen::Unknown,
    })
}

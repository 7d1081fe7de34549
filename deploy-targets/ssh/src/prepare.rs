//! `prepare`: what is sent, built and kept on a host before anything that serves changes; and the checkpoint.

use crate::SshTarget;
use crate::config::{HookPoint, SshBinding};
use crate::doctor;
use crate::environment;
use crate::hooks;
use crate::host::{Host, Request, SEAL};
use crate::inside;
use crate::layout;
use crate::seen::{self, Base, Seen, look};
use crate::transport::{Input, Reply};
use crate::upload::{self, Sending};
use crate::words;
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::SliceName;
use deploy_core::model::{ArtifactRef, Entry, ReleaseRef};
use deploy_core::port::target::{
    Cause, Checkpoint, HealthSeen, Inside, Move, Op, Prepared, Runs, TargetError,
};
use std::sync::Arc;

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
    let digest = tree(&step.to.entry, &step.slice)?;
    let id = layout::release_id(digest, step.to.config, binding, &host.binding);
    let coming = Coming {
        target,
        host,
        op,
        step,
        id: &id,
        digest,
    };
    let reply = match coming.with(host.told()).await {
        // What is there is not what was there when it was last looked at.
        Err(error) if error.failure.code == Code::ArtifactMissing && error.cause == Cause::Transient => {
            coming.with(None).await
        }
        other => other,
    }?;
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

/// The reference line of a release that is prepared.
pub(crate) fn reference(step: &Move) -> String {
    let ReleaseRef { digest, number } = step.to.release;
    format!("{digest} {number}")
}

/// The digest of the checkpoint that the journal has; empty where it has none.
pub(crate) fn known(step: &Move) -> String {
    let known = step.checkpoint.as_ref();
    known
        .map(|checkpoint| checkpoint.digest.to_string())
        .unwrap_or_default()
}

/// A release that comes to a host.
struct Coming<'a> {
    target: &'a SshTarget,
    host: &'a Host,
    op: &'a Op,
    step: &'a Move,
    id: &'a str,
    digest: Digest,
}

impl Coming<'_> {
    /// Brings it, beginning with what the last look told, or with a look.
    async fn with(&self, told: Option<Seen>) -> Result<Reply, TargetError> {
        let (host, binding) = (self.host, &self.target.binding);
        let hinted = told.is_some();
        let seen = match told {
            Some(seen) => seen,
            None => look(host, "current").await?,
        };
        self.target.bases.learn(&seen);
        if !seen.has(self.id) {
            return self.send(&seen).await;
        }
        match self.seal().await {
            // Somebody changed a kept release: it was marked as not whole, and is sent anew.
            Err(error) if error.failure.code == Code::ContentMismatch && error.cause == Cause::Transient => {
                self.op
                    .progress
                    .line(&format!("{}: sent again: {}", host.name(), error.failure.message));
                self.send(&seen).await
            }
            Err(mut error) if hinted && error.failure.code == Code::ArtifactMissing => {
                error.cause = Cause::Transient;
                Err(error)
            }
            other => other.map_err(|error| by_a_hook(error, binding)),
        }
    }

    async fn send(&self, seen: &Seen) -> Result<Reply, TargetError> {
        let (host, target) = (self.host, self.target);
        let Some(content) = upload::content(&self.step.to, self.digest, target).await? else {
            let message = format!("the artifact is neither on {} nor on this machine", host.name());
            let failure = Failure::new(
                Code::ArtifactMissing,
                message,
                "deploy up --commit, which builds it again",
            );
            return Err(TargetError::not_done(Cause::Final, failure));
        };
        let base = self.base(seen).await?;
        let sending = |base| Sending {
            host,
            op: self.op,
            to: &self.step.to,
            id: self.id,
            content: &content,
            base,
        };
        let hooked = target.binding.hooks_at(HookPoint::Prepare).next().is_some();
        let once = async |base| {
            let sending: Sending<'_> = sending(base);
            if hooked {
                sending.upload(target).await
            } else {
                sending.bring(target, self.step).await
            }
        };
        // A file of the base that somebody changed is noticed by its sum; then everything is sent.
        let from = base.as_ref().filter(|base| base.id != self.id);
        let reply = match once(from).await {
            Err(error) if from.is_some() && error.failure.code == Code::ContentMismatch => once(None).await?,
            other => other?,
        };
        if !hooked {
            return Ok(reply);
        }
        for hook in target.binding.hooks_at(HookPoint::Prepare) {
            let from = hooks::previous(hook, base.as_deref(), &content.listing, &target.binding, host)?;
            hooks::prepare(target, host, self.op, &self.step.to, self.id, hook, from).await?;
        }
        self.seal()
            .await
            .map_err(|error| by_a_hook(error, &target.binding))
    }

    /// What the release that runs holds: as this host or another one told.
    async fn base(&self, seen: &Seen) -> Result<Option<Arc<Base>>, TargetError> {
        let Some(at) = &seen.at else { return Ok(None) };
        let whole = seen.base.clone().or_else(|| self.target.bases.get(at));
        if whole.is_some() || !seen.has(at) {
            return Ok(whole);
        }
        let seen = look(self.host, at).await?;
        self.target.bases.learn(&seen);
        Ok(seen.base)
    }

    /// Makes the release complete, and takes or proves the checkpoint.
    async fn seal(&self) -> Result<Reply, TargetError> {
        let Self {
            target, host, step, ..
        } = self;
        let environment = environment::for_commands(&step.to, &target.binding, &host.binding);
        let service = words::word(environment::env_file(&step.to, &host.binding));
        let environment = format!("{environment}{service}\n.\n");
        let request = Request::write(self.op)
            .arg(seen::fingerprint(&step.expect))
            .arg(self.id)
            .arg(reference(step))
            .arg(known(step))
            .input(Input::Bytes(environment.into_bytes()));
        host.run(SEAL, request).await
    }
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

//! Hooks at `prepare`: which run, and which only carry over what they made for the previous release.

use crate::SshTarget;
use crate::config::{Hook, SshBinding};
use crate::environment;
use crate::host::{HOOK, Host, Request};
use crate::seen::Base;
use crate::transport::{Input, seconds};
use crate::words;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::{Cause, Desired, Op, TargetError};
use deploy_core::tree::Listing;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The release that a hook's products are carried over from, if nothing it depends on differs from that one; `None`: it runs.
pub(crate) fn previous<'a>(
    hook: &Hook,
    base: Option<&'a Base>,
    new: &Listing,
    binding: &SshBinding,
    host: &Host,
) -> Result<Option<&'a str>, TargetError> {
    let Some(base) = base.filter(|_| !hook.if_changed.is_empty()) else {
        return Ok(None);
    };
    // Made by other commands, or among other shared folders.
    if base.hooks != binding.content(&host.binding).to_string().into_bytes() {
        return Ok(None);
    }
    let globs = globs(hook)?;
    Ok((!differs(&globs, &base.listing, new)).then_some(base.id.as_str()))
}

fn globs(hook: &Hook) -> Result<GlobSet, TargetError> {
    let mut globs = GlobSetBuilder::new();
    let invalid = |error: globset::Error| {
        let message = format!("`if_changed` of the hook {} is not a glob", hook.name);
        let failure = Failure::new(Code::ManifestInvalid, message, "write it as in `src/**/*.js`");
        TargetError::not_done(Cause::Final, failure.caused_by(&error))
    };
    for glob in &hook.if_changed {
        globs.add(
            GlobBuilder::new(glob)
                .literal_separator(true)
                .build()
                .map_err(invalid)?,
        );
    }
    globs.build().map_err(invalid)
}

/// Whether one of the files differs, is new or is gone.
fn differs(globs: &GlobSet, old: &Listing, new: &Listing) -> bool {
    let matches = |path: &[u8]| globs.is_match(String::from_utf8_lossy(path).as_ref());
    let one_way = |from: &Listing, to: &Listing| {
        from.nodes
            .iter()
            .any(|(path, node)| matches(path.as_bytes()) && to.nodes.get(path) != Some(node))
    };
    one_way(old, new) || one_way(new, old)
}

/// Runs one hook in a release that is not complete yet, or carries over.
pub(crate) async fn prepare(
    target: &SshTarget,
    host: &Host,
    op: &Op,
    to: &Desired,
    id: &str,
    hook: &Hook,
    from: Option<&str>,
) -> Result<(), TargetError> {
    let environment = environment::for_commands(to, &target.binding, &host.binding);
    let request = Request::write(op)
        .arg(id)
        .arg(from.unwrap_or_default())
        .arg(words::list(&hook.produces))
        .arg(seconds(hook.script.limit.min(op.limit)).to_string())
        .arg(words::command(&hook.script.command))
        .input(Input::Bytes(environment.into_bytes()));
    let what = format!("the hook {}", hook.name);
    let reply = host.run_as(HOOK, &what, request).await?;
    if reply.word("carried") == Some("yes") {
        op.progress.line(&format!(
            "{}: carried over, nothing it depends on changed",
            hook.name
        ));
    }
    Ok(())
}

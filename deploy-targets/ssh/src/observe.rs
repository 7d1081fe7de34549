//! `observe`, `plan` and `verify`: looks, which change nothing.

use crate::SshTarget;
use crate::bases::Bases;
use crate::host::Host;
use crate::layout;
use crate::seen::{self, Depth, Seen, look, look_into};
use crate::upload;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::SliceName;
use deploy_core::model::Entry;
use deploy_core::port::target::{Cause, Desired, Difference, Inside, Op, Runs, SliceSeen, TargetError};
use deploy_core::tree::{Listing, Node};

/// One look at one slice; what goes wrong is part of what was seen.
pub(crate) async fn observe(host: &Host, slice: &SliceName, bases: &Bases) -> SliceSeen {
    let looked = match host.seen_by_the_claim() {
        Some(seen) => Ok(seen),
        None => look(host, "").await,
    };
    match looked {
        Ok(seen) => {
            bases.learn(&seen);
            host.keep(seen.clone());
            let unfinished = seen.unfinished(host.name());
            let seen = of_slice(slice, seen);
            let inside = Inside {
                unfinished,
                ..seen.inside
            };
            SliceSeen { inside, ..seen }
        }
        Err(error) => SliceSeen {
            slice: slice.clone(),
            runs: Err(*error.failure),
            held: None,
            armed: None,
            unbroken_since: None,
            kept: Vec::new(),
            inside: Inside::default(),
        },
    }
}

fn of_slice(slice: &SliceName, seen: Seen) -> SliceSeen {
    SliceSeen {
        slice: slice.clone(),
        kept: seen.kept_refs(),
        runs: Ok(seen.runs),
        held: seen.held,
        armed: seen.armed,
        unbroken_since: None,
        inside: seen.inside,
    }
}

/// Whether the host's symlink names this release, whole, and the restart after the switch has ended. Every file of it was read when it
/// was sealed; what was written to since is read anew, and what differs is told in [`SliceSeen::inside`] and is no failure: commands
/// of the manifest and services write where they live, and health says whether what runs is well.
pub(crate) async fn verify(
    host: &Host,
    op: &Op,
    slice: &SliceName,
    wanted: &Runs,
) -> Result<SliceSeen, TargetError> {
    let seen = look_into(host, "", Depth::Close, op.limit).await?;
    let plain = |runs: &Runs| {
        seen::fingerprint(runs)
            .trim_end_matches("+interrupted")
            .to_owned()
    };
    if let Some(moving) = &seen.moving {
        let next = match moving.stopped {
            Some(_) => "run it by hand on the host",
            None => "deploy resume",
        };
        let failure = Failure::new(Code::RemoteFailed, moving.why(host.name()), next);
        return Err(TargetError::not_done(Cause::Final, failure));
    }
    if plain(&seen.runs) != plain(wanted) {
        let name = |runs: &Runs| match seen::fingerprint(runs) {
            "" => "nothing".to_owned(),
            other => other.to_owned(),
        };
        let (there, wanted) = (name(&seen.runs), name(wanted));
        let message = format!("{} on {} runs {there}, wanted {wanted}", host.path, host.name());
        let failure = Failure::new(Code::Overtaken, message, "look at it, then deploy again");
        return Err(TargetError::not_done(Cause::Overtaken, failure));
    }
    Ok(of_slice(slice, seen))
}

/// What activating would change on a host.
pub(crate) async fn plan(
    target: &SshTarget,
    host: &Host,
    slice: &SliceName,
    to: &Desired,
) -> Result<Difference, TargetError> {
    let difference = |lines, bytes| Difference {
        service: None,
        slice: slice.clone(),
        lines,
        bytes,
    };
    let seen = look(host, "current").await?;
    let Entry::Artifact(artifact) = &to.entry else {
        return Ok(difference(
            vec!["no artifact in this release".to_owned()],
            Some(0),
        ));
    };
    let id = layout::release_id(artifact.digest(), to.config, &target.binding, &host.binding);
    if seen.at.as_deref() == Some(&id) && seen.moving.is_none() {
        // It is not the release that its name says: preparing refuses to go on over it.
        let edited = &seen.inside.edited;
        let drift =
            (!edited.is_empty()).then(|| format!("changed since it was deployed: {}", Inside::few(edited)));
        return Ok(difference(drift.into_iter().collect(), Some(0)));
    }
    let mut lines = Vec::new();
    let mut bytes = Some(0);
    if seen.has(&id) {
        lines.push("the release is on the host already".to_owned());
    } else {
        match upload::content(to, artifact.digest(), target).await? {
            Some(content) => {
                let base = seen.base.as_ref().map(|base| &base.listing);
                let (change, send) = changes(base, &content.listing);
                lines.push(change);
                bytes = Some(send);
            }
            None => bytes = None,
        }
    }
    if seen.at.is_none() && seen.runs != Runs::Nothing {
        lines.push(format!("adopts what is live in {}", host.path));
    }
    if let Some(beside) = &target.binding.beside {
        lines.push(beside.said(seen.inside.at.as_deref()));
    }
    if let Some(restart) = &target.binding.restart {
        lines.push(format!("restart: {}", restart.command));
    }
    Ok(difference(lines, bytes))
}

/// Files that come, change and go, and how many bytes have to be sent.
fn changes(base: Option<&Listing>, new: &Listing) -> (String, u64) {
    let empty = Listing::default();
    let base = base.unwrap_or(&empty);
    let is_leaf = |node: &&Node| !matches!(node, Node::Dir { .. });
    let (mut added, mut changed, mut bytes) = (0, 0, 0);
    for (path, node) in new.nodes.iter().filter(|(_, node)| is_leaf(node)) {
        match base.nodes.get(path) {
            Some(old) if old == node => continue,
            Some(_) => changed += 1,
            None => added += 1,
        }
        if let Node::File { size, .. } = node {
            bytes += size;
        }
    }
    let removed = base
        .nodes
        .iter()
        .filter(|(path, node)| is_leaf(node) && !new.nodes.contains_key(*path))
        .count();
    let files = |count: usize| {
        if count == 1 {
            "1 file".to_owned()
        } else {
            format!("{count} files")
        }
    };
    let line = format!("+ {}, ~ {}, - {}", files(added), files(changed), files(removed));
    (line, bytes)
}

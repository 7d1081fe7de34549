//! From what a step answered, or did not, to the port's errors: which code, which cause, and whether it may have
//! happened. The one place that knows the names which steps give to failures.

use crate::inside;
use crate::transport::{Broken, Reply, named};
use crate::words;
use deploy_core::failure::{Code, Failure, printable};
use deploy_core::id::{DeploymentId, Epoch, StoreId};
use deploy_core::port::target::{Cause, Certainty, Held, HolderNote, Inside, ProgressSink, TargetError};

/// Whether a step whose answer was lost may have changed what the caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// It only looks.
    Look,
    /// It writes.
    Write,
}

/// No answer.
pub(crate) fn broken(host: &str, step: &str, nature: Nature, broken: Broken) -> TargetError {
    let (certainty, cause, failure) = match broken {
        Broken::NotSent(cause, mut failure) => {
            failure.next = named(&failure.next, host);
            (Certainty::NotDone, cause, *failure)
        }
        Broken::TimedOut => (
            Certainty::Unknown,
            Cause::Transient,
            Failure::new(
                Code::TimedOut,
                format!("`{step}` on {host} took too long"),
                "raise its time limit, or look at what it waits for",
            ),
        ),
        Broken::Lost { began: false, output } if missing_tool(&output).is_some() => {
            let tool = missing_tool(&output).unwrap_or("sh");
            (Certainty::NotDone, Cause::Final, no_tool(host, tool, "coreutils"))
        }
        Broken::Lost { began, output } => {
            let what = if began {
                "broke during"
            } else {
                "gave no answer to"
            };
            let message = format!("the connection to {host} {what} `{step}`");
            let failure = Failure::new(Code::Unreachable, message, "deploy doctor").with_log(&output);
            (Certainty::Unknown, Cause::Unreachable, failure)
        }
    };
    let certainty = if nature == Nature::Look {
        Certainty::NotDone
    } else {
        certainty
    };
    TargetError {
        certainty,
        cause,
        failure: Box::new(failure),
        held: None,
    }
}

/// The tool without which no step can begin, if that is what was said.
pub(crate) fn missing_tool(output: &str) -> Option<&'static str> {
    let complaint = ["not found", "Unknown command", "No such file"];
    ["timeout", "sh"].into_iter().find(|tool| {
        output
            .lines()
            .any(|line| line.contains(tool) && complaint.iter().any(|text| line.contains(text)))
    })
}

fn no_tool(host: &str, tool: &str, package: &str) -> Failure {
    let message = format!("{host} has no `{tool}`");
    let next = format!("install it there: apt-get install {package}");
    Failure::new(Code::ToolMissing, message, next)
}

/// An answer that is a failure.
pub(crate) fn failed(host: &str, step: &str, path: &str, reply: &Reply) -> TargetError {
    // A step may find that what it touched is as it was.
    let touched = reply.get("touched").is_some() && reply.get("untouched").is_none();
    let words = reply.get("fail").unwrap_or_default();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let new = |code, message: String, next: &str| Failure::new(code, message, next);
    let mut held = None;
    let (cause, failure) = match word(0) {
        "tool" => (Cause::Final, no_tool(host, word(1), word(2))),
        "busy" => (
            Cause::Transient,
            new(
                Code::ClaimHeld,
                format!("another step of a deployment still runs in {path} on {host}"),
                "wait for it to end, then try again",
            ),
        ),
        "fenced" => {
            held = holder(reply);
            let message = format!("another claim is in force in {path} on {host}");
            (
                Cause::Fenced,
                new(Code::Fenced, message, "deploy status --refresh"),
            )
        }
        "held" => {
            held = holder(reply);
            let message = format!("{path} on {host} is claimed by {}", who(held.as_ref()));
            (
                Cause::Held,
                new(
                    Code::ClaimHeld,
                    message,
                    "wait for it to end, then try again: deploy status says how far it is",
                ),
            )
        }
        "foreign" => {
            held = holder(reply);
            let message = format!(
                "{path} on {host} belongs to another state: {}",
                who(held.as_ref())
            );
            let next = "if you mean to take it over, say --adopt";
            (Cause::Held, new(Code::ClaimForeign, message, next))
        }
        "unclaimed" => {
            let message =
                format!("somebody removed the claim of {path} on {host} while this deployment held it");
            let next = "find out who else writes there: deploy status --refresh";
            (Cause::Held, new(Code::ClaimForeign, message, next))
        }
        "same-folder" => {
            let other = words::unword(word(1)).unwrap_or_default();
            let other = printable(&String::from_utf8_lossy(&other), 300);
            let message =
                format!("{path} on {host} is the same folder as {other}, which this deployment has claimed");
            let next = "name one of the hosts that share the folder, or give each service and host a path of its own";
            (Cause::Final, new(Code::ManifestInvalid, message, next))
        }
        "overtaken" => {
            let message = format!(
                "{path} on {host} runs {}, which is not what was expected",
                word(1)
            );
            (
                Cause::Overtaken,
                new(Code::Overtaken, message, "look at it, then deploy again"),
            )
        }
        "lost" => {
            let message = match words.get(1..).filter(|file| !file.is_empty()) {
                Some(file) => {
                    let file = file.join(" ");
                    let file = printable(file.strip_prefix("./").unwrap_or(&file), 200);
                    format!(
                        "what ran before in {path} on {host} is not whole any more: {file} is gone or cannot be read"
                    )
                }
                None => format!("the checkpoint in {path} on {host} is gone or damaged"),
            };
            let next = "deploy a known release forward";
            (Cause::CheckpointLost, new(Code::CheckpointLost, message, next))
        }
        "mismatch" => {
            let what = printable(&words[1..].join(" "), 300);
            let message = format!("what is in {path} on {host} is not what was sent: {what}");
            (
                Cause::Transient,
                new(Code::ContentMismatch, message, "it is sent again at the next try"),
            )
        }
        "edited" => {
            let files = Inside::few(&inside::edited(reply));
            let message =
                format!("what serves in {path} on {host} is not the release, somebody changed it: {files}");
            let next = "put it back as it was, or commit it, or list it in `shared` if the service writes it";
            (Cause::Final, new(Code::ContentMismatch, message, next))
        }
        "altered" => {
            let files = Inside::few(&inside::edited(reply));
            let message = format!(
                "the release in {path} on {host} was changed after it was sent, and was not switched to: {files}"
            );
            let next = "deploy up, which sends it anew";
            (Cause::Final, new(Code::ContentMismatch, message, next))
        }
        "armed" => {
            let message = format!("{path} on {host} may still go back by itself, for an older deployment");
            (
                Cause::Transient,
                new(Code::ClaimHeld, message, "wait until it has, then deploy again"),
            )
        }
        "unarmed" | "due" => {
            let message = format!("{path} on {host} goes back by itself, or has already: its time is over");
            (
                Cause::Final,
                new(Code::RemoteFailed, message, "deploy status --refresh"),
            )
        }
        "unswitched" => {
            let message = format!("{path} on {host} was armed, and was not switched");
            (
                Cause::Final,
                new(Code::RemoteFailed, message, "deploy status --refresh"),
            )
        }
        "unwatched" => {
            let message = format!("nothing could be begun on {host} that would revert {path}");
            let next = "deploy doctor looks at its tools; `setsid` must be able to start a process that outlives a login";
            (Cause::Final, new(Code::RemoteFailed, message, next))
        }
        "missing" => {
            let message = format!("the release {} is not in {path} on {host}", word(1));
            (
                Cause::Final,
                new(Code::ArtifactMissing, message, "deploy it anew from its commit"),
            )
        }
        // What is like it there cannot be taken from there: everything is sent.
        "base-gone" => {
            let message = format!("a file of the release that runs in {path} on {host} is gone");
            (
                Cause::Transient,
                new(Code::ContentMismatch, message, "it is sent again at the next try"),
            )
        }
        "full" => full(host, path),
        "cut" => {
            let message = format!("the upload to {host} was cut short");
            (
                Cause::Transient,
                new(Code::RemoteFailed, message, "it is sent again at the next try"),
            )
        }
        "hook" => {
            let message = format!("{step} on {host} {}", ended(word(1)));
            let next = if reply.output.trim().is_empty() {
                "run it by hand in the release's folder, for it printed nothing; then deploy again"
            } else {
                "mend what it does, its output is above; then deploy again"
            };
            (Cause::Final, new(Code::HookFailed, message, next))
        }
        "restart" => {
            let message = format!("the restart command on {host} {}", ended(word(1)));
            (
                Cause::Final,
                new(Code::RemoteFailed, message, "run it by hand on the host"),
            )
        }
        "stop" => {
            let message = format!("the stop command on {host} {}", ended(word(1)));
            (
                Cause::Final,
                new(Code::RemoteFailed, message, "run it by hand on the host"),
            )
        }
        "port-taken" => {
            let message = format!(
                "port {} on {host} is taken by something that no deployment of {path} started there",
                word(1)
            );
            let next = "stop it, or write other `ports`; on the host `ss -ltnp` says what listens";
            (Cause::Final, new(Code::RemoteFailed, message, next))
        }
        "not-listening" => {
            let (port, time) = (word(1), word(2));
            let message = format!(
                "nothing listens at port {port} on {host}, {time} s after the restart command had ended"
            );
            let next = "have the service listen at `$DEPLOY_PORT`; its own log says why it does not";
            (Cause::Final, new(Code::Unhealthy, message, next))
        }
        "proxy-folder" => {
            let message = format!("{} on {host} may not be written", word(1));
            let next = "give the deploying user a folder of its own that the proxy's configuration includes";
            (Cause::Final, new(Code::PermissionDenied, message, next))
        }
        "proxy-changed" => {
            let message = format!("somebody changed {} on {host}, which is ours to write", word(1));
            let next = "put it back as it was, then deploy again";
            (Cause::Final, new(Code::Overtaken, message, next))
        }
        "proxy-broken" => {
            let message = format!(
                "the proxy on {host} does not take its configuration as it is, before anything of it was changed: its test {}",
                ended(word(1))
            );
            let next = "mend the proxy's configuration: its test's output says what is wrong";
            (Cause::Final, new(Code::RemoteFailed, message, next))
        }
        "proxy-test" => {
            let message = format!(
                "the proxy on {host} does not take the new configuration: its test {}; it was put back, and nothing was reloaded",
                ended(word(1))
            );
            let next = "look at where the proxy's configuration includes the file";
            (Cause::Final, new(Code::RemoteFailed, message, next))
        }
        "proxy-reload" => {
            let message = match word(1) {
                "0" => format!("the proxy on {host} was told to reload, and did not"),
                status => format!("the proxy's reload on {host} {}", ended(status)),
            };
            let next = "run it by hand on the host; the proxy's own log says why";
            (Cause::Final, new(Code::RemoteFailed, message, next))
        }
        "no-product" => {
            let what = printable(word(1), 200);
            let message = format!("{step} on {host} did not make `{what}`, which it says it produces");
            (
                Cause::Final,
                new(Code::HookFailed, message, "correct `produces`, or the command"),
            )
        }
        "nothing" => {
            let message = format!(
                "nothing of ours runs in {path} on {host}: there is no {}",
                word(1)
            );
            let next = "deploy up brings a first release there";
            (Cause::Final, new(Code::NotAdopted, message, next))
        }
        "no-logs" => {
            let glob = printable(&words[1..].join(" "), 200);
            let message = format!("there is no file {glob} in {path} on {host}");
            let next = "correct `logs` in the manifest: a glob below the path, or `journal:UNIT`";
            (Cause::Final, new(Code::RemoteFailed, message, next))
        }
        "not-a-link" => {
            let message = format!("{} on {host} is a folder, and should be a symlink", word(1));
            (
                Cause::Final,
                new(Code::RemoteFailed, message, "move it away, then deploy again"),
            )
        }
        "not-switched" => {
            let message = format!("{} on {host} did not take the new target", word(1));
            (
                Cause::Overtaken,
                new(Code::Overtaken, message, "look at it, then deploy again"),
            )
        }
        "claim-damaged" => {
            let message = format!("the claim file {} on {host} cannot be read", word(1));
            let next = "look at it; it holds the state's id, the deployment and a number";
            (Cause::Final, new(Code::RemoteFailed, message, next))
        }
        "denied" => {
            let message = format!("{} on {host} may not be read", word(1));
            (
                Cause::Final,
                new(
                    Code::PermissionDenied,
                    message,
                    "give the deploying user rights on it",
                ),
            )
        }
        _ => said(host, step, path, &reply.output),
    };
    let certainty = if touched {
        Certainty::Unknown
    } else {
        Certainty::NotDone
    };
    TargetError {
        certainty,
        cause,
        failure: Box::new(failure.with_log(&reply.output)),
        held: held.map(Box::new),
    }
}

/// There is no room: by what the tools said, or as was asked before anything was written.
fn full(host: &str, path: &str) -> (Cause, Failure) {
    let next = "free space or inodes there; `keep` bounds how many releases stay";
    let message = format!("no room in {path} on {host}");
    (Cause::Final, Failure::new(Code::TargetFull, message, next))
}

/// A failure without a name, from what the tools said.
fn said(host: &str, step: &str, path: &str, output: &str) -> (Cause, Failure) {
    let has = |texts: &[&str]| texts.iter().any(|text| output.contains(text));
    let (code, message, next) = if has(&["No space left on device", "Disk quota exceeded", "Wrote only"]) {
        return full(host, path);
    } else if has(&["Input/output error"]) {
        let next = "look at the host's disk: `dmesg` says what it reported";
        (
            Code::RemoteFailed,
            format!("the disk of {path} on {host} does not take what is written"),
            next,
        )
    } else if has(&["Read-only file system"]) {
        let next = "mount it writable; if it was, `dmesg` on the host says why it is no more";
        (
            Code::PermissionDenied,
            format!("{path} on {host} is on a file system that is read-only"),
            next,
        )
    } else if has(&["Permission denied", "Operation not permitted"]) {
        let next = "give the deploying user rights on the path";
        (
            Code::PermissionDenied,
            format!("{path} on {host} may not be written"),
            next,
        )
    } else {
        let next = "deploy doctor looks at reach, rights and tools";
        (Code::RemoteFailed, format!("`{step}` failed on {host}"), next)
    };
    (Cause::Final, Failure::new(code, message, next))
}

/// How a command ended that did not end well.
pub(crate) fn ended(status: &str) -> String {
    match status {
        "124" | "137" => "was ended: it took longer than its time limit".to_owned(),
        "126" => "could not be run: its file may not be executed, or its file system is mounted noexec (status 126)".to_owned(),
        "127" => "was not found (status 127)".to_owned(),
        other => format!("ended with status {other}"),
    }
}

fn who(held: Option<&Held>) -> String {
    let Some(held) = held else {
        return "nobody known".to_owned();
    };
    let mut text = if held.note.who.is_empty() {
        "somebody".to_owned()
    } else {
        held.note.who.clone()
    };
    if let Some(since) = held.note.since {
        text = format!("{text}, since {since}");
    }
    if !held.note.step.is_empty() {
        text = format!("{text}, {}", held.note.step);
    }
    text
}

/// Passes on what a step noted besides.
pub(crate) fn notes(reply: &Reply, sink: &dyn ProgressSink) {
    for note in reply.all("note") {
        sink.line(&note.join(" "));
    }
}

/// Who holds the place, from the `claim` record.
pub(crate) fn holder(reply: &Reply) -> Option<Held> {
    let words = reply.get("claim")?;
    let note: Vec<_> = words
        .get(3..)?
        .iter()
        .filter_map(|word| words::unword(word))
        .collect();
    let text = |at: usize| {
        let bytes = note.get(at).map(Vec::as_slice).unwrap_or_default();
        printable(&String::from_utf8_lossy(bytes), 200)
    };
    Some(Held {
        store: StoreId::new(words.first()?).ok()?,
        deployment: DeploymentId::new(words.get(1)?).ok(),
        epoch: Epoch(words.get(2)?.parse().ok()?),
        note: HolderNote {
            who: text(0),
            since: text(1).parse().ok(),
            step: text(2),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What GNU's and busybox's tools say.
    #[test]
    fn what_tools_say_has_a_code() {
        for (output, code) in [
            ("tar: big: Wrote only 4096 of 10240 bytes", Code::TargetFull),
            ("tar: write: No space left on device", Code::TargetFull),
            ("cp: cannot create 'x': Disk quota exceeded", Code::TargetFull),
            (
                "mkdir: cannot create directory '/opt': Permission denied",
                Code::PermissionDenied,
            ),
            ("touch: x: Read-only file system", Code::PermissionDenied),
            ("anything else", Code::RemoteFailed),
        ] {
            assert_eq!(
                said("web-1", "upload", "/opt/app", output).1.code,
                code,
                "{output}"
            );
        }
        assert_eq!(missing_tool("sh: 1: timeout: not found"), Some("timeout"));
        assert_eq!(missing_tool("fish: Unknown command: timeout"), Some("timeout"));
        assert_eq!(missing_tool("Connection to web closed"), None);
    }
}

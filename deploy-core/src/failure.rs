//! `Failure`: the one serializable end of every error chain, the same in the journal, in JSON, over HTTP and over the C ABI.

use crate::id::{ServiceName, SliceName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// In bytes: shorter values stand in too many ordinary words to be masked.
pub const SHORTEST_SECRET: usize = 4;

/// What went wrong, in a form that every frontend can show and a program can act on. Secrets are scrubbed before one is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Failure {
    /// Stable, documented by `deploy explain CODE`: `DPL0123`.
    pub code: Code,
    /// One sentence fragment: what, where. Causes are not repeated in it.
    pub message: String,
    /// The causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The service concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The slice concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<SliceName>,
    /// The phase it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The last lines of a program's or a service's output, bounded, control characters removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    /// What to do next: a command where there is one.
    pub next: String,
}

/// A text with `***` in the place of each of these values, and of each of their lines.
pub fn without(text: &str, secrets: &std::collections::BTreeSet<String>) -> String {
    // Logs are lines: no value of several would be found in one.
    let lines = secrets.iter().flat_map(|secret| secret.lines().map(str::trim));
    let mut hidden: Vec<&str> = secrets
        .iter()
        .map(String::as_str)
        .filter(|secret| !secret.is_empty())
        .chain(lines.filter(|line| line.len() >= SHORTEST_SECRET))
        .collect();
    // The longest first: one value may be part of another.
    hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
    hidden
        .into_iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

impl Failure {
    /// A failure with what every failure must have.
    pub fn new(code: Code, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            causes: Vec::new(),
            service: None,
            slice: None,
            phase: None,
            log_tail: Vec::new(),
            next: next.into(),
        }
    }

    /// Adds the chain below an error, each link once.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut link = Some(error);
        while let Some(error) = link {
            let text = error.to_string();
            // Wrappers that add nothing say the same again.
            if text != self.message && !self.causes.contains(&text) {
                self.causes.push(text);
            }
            link = error.source();
        }
        self
    }

    /// Names the slice concerned.
    #[must_use]
    pub fn on(mut self, service: &ServiceName, slice: Option<&SliceName>) -> Self {
        self.service = Some(service.clone());
        self.slice = slice.cloned();
        self
    }

    /// Puts `***` in the place of each of these values: what a service answers may quote the secrets it was given.
    #[must_use]
    pub fn without(mut self, secrets: &std::collections::BTreeSet<String>) -> Self {
        let texts = [&mut self.message, &mut self.next].into_iter();
        for text in texts.chain(&mut self.causes).chain(&mut self.log_tail) {
            *text = without(text, secrets);
        }
        self
    }

    /// Adds the last lines of some output: at most 20 lines of at most 300 characters, without control characters.
    #[must_use]
    pub fn with_log(mut self, output: &str) -> Self {
        let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
        self.log_tail = lines[lines.len().saturating_sub(20)..]
            .iter()
            .map(|line| printable(line, 300))
            .collect();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A text from outside, safe to print: control characters removed (they could move the cursor or forge a line), cut at `limit`
/// characters.
pub fn printable(text: &str, limit: usize) -> String {
    text.chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| !c.is_control())
        .take(limit)
        .collect()
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $title:literal, $page:literal;)*) => {
        /// The codes of [`Failure`]. A number is never used for another thing; `deploy explain CODE` prints the page.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] #[serde(rename = $number)] $name,)*
        }

        impl Code {
            /// All of them, by number.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// As printed: `DPL0123`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $number,)* }
            }

            /// One line: what the code means.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// The page: why it happens and what to do.
            pub const fn page(self) -> &'static str {
                match self { $(Code::$name => $page,)* }
            }
        }
    };
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// 00xx manifest and usage, 01xx source and artifacts, 02xx state, 03xx gates and authorization, 04xx claims, 05xx targets,
// 06xx health, 07xx the deployment as a whole, 09xx defects of ours.
codes! {
    ManifestUnreadable = "DPL0001", "the manifest cannot be read", "The file is not there, is not UTF-8, is too large, or may not be read. `-f FILE` names another; `deploy init` writes a first one.";
    ManifestInvalid = "DPL0002", "the manifest is not valid", "Each problem is printed with file, line, rule and what to write instead. Nothing was started. `deploy explain KEY` documents a key, `deploy schema` prints the schema for an editor.";
    UnknownName = "DPL0003", "no such environment, service, release or deployment", "The name is not in the manifest or not in the state. The message lists what there is.";
    NotYetActing = "DPL0004", "a part of the manifest does not act in this version", "The key is understood and checked but nothing acts on it yet, and leaving it out silently would weaken a gate. Remove it, or wait for the version that brings it.";
    Usage = "DPL0005", "the command line is not complete", "The message says what is missing or contradictory; `deploy help COMMAND` shows an example.";
    VariableUnset = "DPL0006", "a variable or secret has no value", "Set it where the message says: in [vars], in the env file, or in the caller's environment; `${NAME:-default}` gives a default.";
    NotARepository = "DPL0101", "this is not a git checkout", "A release is made from a commit. Run `git init` and commit, or run the command inside the checkout.";
    DirtyTree = "DPL0102", "the work tree has uncommitted changes", "What is deployed must be what is committed. Commit or stash, or say `--allow-dirty`: the release is then made from the commit alone, without the changes.";
    CommitMissing = "DPL0103", "the commit is not in this checkout", "In CI the checkout is often shallow: fetch with full depth, or fetch the commit named in the message.";
    BuildFailed = "DPL0104", "a build command failed", "Nothing that serves was changed. The last lines of its output are shown; run the command by hand in the folder named.";
    ArtifactMissing = "DPL0105", "an artifact is not there any more", "The artifact of an older release is neither on the target nor in the local store. Build that commit again with `deploy up --commit`.";
    StateUnreadable = "DPL0201", "the state cannot be opened", "The file may belong to another user, be on a read-only or full disk, or be damaged. `--state URL` names another.";
    StateNewer = "DPL0202", "the state was written by a newer version", "It was left as it is. Use that version or a newer one.";
    StateForeign = "DPL0203", "the state belongs to another project", "A state holds one project. Name another file with --state, or run the command in the right folder.";
    StateCorrupt = "DPL0204", "the state is damaged", "A stored event does not match its hash chain: something other than deploy changed the file. The message names the first bad row. Restore a backup; `deploy audit verify` checks it.";
    StateEphemeral = "DPL0205", "a new state file in CI would be lost with the runner", "Point DEPLOY_STATE or project.state at a state that outlives the job, or say --allow-ephemeral-state if it may be lost.";
    StateFull = "DPL0206", "the state could not be written", "The disk is full or failing. What was not stored did not happen. Free space and run the command again; where a deployment was begun and left, the message names it, and `deploy resume` goes on.";
    StateLocked = "DPL0207", "another process is writing to the state", "The message names the process where the system tells it. One that is stopped in the middle of a write keeps the state locked until it goes on or ends.";
    LeaseHeld = "DPL0301", "somebody else drives this environment", "The message says who, since when and at which step. --lock-wait waits.";
    LeaseLost = "DPL0302", "the lease was taken over", "Another process took this deployment over because this one was silent for a whole term. Watch it with `deploy watch`.";
    GateUnmet = "DPL0310", "a gate does not hold", "All unmet gates are listed, each with its reason, its evidence, the earliest time and the next command.";
    NotAllowed = "DPL0311", "you are not allowed to do this", "The environment's `allow` table names the groups that may.";
    Yanked = "DPL0312", "the release is barred", "It was yanked: by hand, or because its health verdict failed. `deploy yank R --undo` lifts that.";
    ConfirmationMissing = "DPL0313", "this needs a confirmation", "Type the environment's name when asked, or give --confirm ENV.";
    ClaimHeld = "DPL0401", "the place is claimed by somebody else", "The claim is held in the place itself. The message says who, since when, and at which step.";
    ClaimForeign = "DPL0402", "the place belongs to another state", "Another state file deployed here. If that one is gone or you mean to take over, say --adopt: it is recorded.";
    Fenced = "DPL0403", "a newer claim is in force", "Somebody took over while this process was away. It changed nothing more; `deploy status --refresh` looks.";
    Unreachable = "DPL0501", "a target cannot be reached", "Check the network, the name and the key; `deploy doctor -e ENV` tries each step.";
    HostKey = "DPL0502", "the host key is unknown or has changed", "If the change is expected, update known_hosts; otherwise somebody may be in between. Nothing was sent.";
    PermissionDenied = "DPL0503", "the target refused", "The user may not do this there. The message names the path or the verb.";
    TargetFull = "DPL0504", "the target has no room", "Free space on it; nothing that serves was changed. `keep` bounds how many releases stay.";
    ToolMissing = "DPL0505", "the target lacks a program", "The message names it and how to install it; `deploy doctor -e ENV` lists all.";
    RemoteFailed = "DPL0506", "a step on the target failed", "The last lines of its output are shown.";
    HookFailed = "DPL0507", "a hook failed", "The last lines of its output are shown. A hook at `prepare` fails before anything that serves is changed.";
    Overtaken = "DPL0508", "somebody else changed what runs there", "The slice is neither what it was nor what was asked for. It was left alone; look at it, then deploy again.";
    CheckpointLost = "DPL0509", "the way back is not there any more", "The checkpoint on the target is missing or damaged. Deploy a known release forward.";
    ContentMismatch = "DPL0510", "what is on the target is not what was sent", "A file differs from its digest: a failing disk, or somebody edited it. It is sent again at the next try.";
    TimedOut = "DPL0511", "a step took too long", "Its outcome is unknown until the target is looked at, which the next step does.";
    Unhealthy = "DPL0601", "the service is not healthy", "The last look and the wanted one are shown.";
    WrongVersion = "DPL0602", "another version answers", "The probe reaches something that is not this release: an old process, a cache, another host.";
    ProbeUnreachable = "DPL0603", "the probe got no answer", "No route, no such name, no connection in time, or the host to look from is away. This is about reaching it, not about the release, and no ground to bar one. A refused connection is another matter: something was reached, and nothing listens there.";
    RolledBack = "DPL0701", "failed and rolled back", "The old release serves, verified. `deploy show ID` tells what happened.";
    NeedsHuman = "DPL0702", "needs a human", "The named slices are not where they should be. Each is listed with what it runs and the next command.";
    Open = "DPL0703", "a deployment is left to resume", "`deploy resume` goes on, `deploy cancel` goes back.";
    Cancelled = "DPL0704", "cancelled before anything changed", "Nothing that serves was changed.";
    Superseded = "DPL0705", "a newer deployment took its place", "`deploy history` shows which.";
    NothingToGoBackTo = "DPL0706", "there is nothing to go back to", "No earlier release was verified in this environment, or all are barred. Name one with --to.";
    Older = "DPL0707", "the release is older than what runs", "Going to an older release is `deploy rollback --to`, so that it is meant.";
    NotAdopted = "DPL0708", "what runs there is not known", "Something that deploy did not put there is in the place. The plan says how it would be adopted.";
    Interrupted = "DPL0709", "interrupted", "Nothing had begun.";
    Defect = "DPL0901", "a defect of deploy", "This should not happen. Please report it with the output of `deploy show ID --json`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_have_pages() {
        let numbers: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(
            Code::ALL
                .iter()
                .all(|code| code.title().len() > 10 && code.page().ends_with('.'))
        );
    }

    #[test]
    fn secrets_are_scrubbed_also_where_one_begins_another() {
        let secrets = ["hunter2".to_owned(), "hunter2-and-more".to_owned()].into();
        let failure =
            Failure::new(Code::Unhealthy, "got hunter2-and-more", "try").with_log("url://u:hunter2@db");
        let failure = failure.without(&secrets);
        assert_eq!(failure.message, "got ***");
        assert_eq!(failure.log_tail, ["url://u:***@db"]);
    }

    #[test]
    fn each_line_of_a_secret_of_several_lines_is_scrubbed() {
        let secrets = ["-----BEGIN\n  MIIEvQIB\r\nxy\n".to_owned()].into();
        let failure = Failure::new(Code::Unhealthy, "got MIIEvQIB", "try xy")
            .with_log("key:\n-----BEGIN\nMIIEvQIB\nxy")
            .without(&secrets);
        assert_eq!(failure.message, "got ***");
        assert_eq!(failure.next, "try xy");
        assert_eq!(failure.log_tail, ["key:", "***", "***", "xy"]);
    }

    #[test]
    fn logs_are_bounded_and_cannot_move_the_cursor() {
        let failure = Failure::new(Code::Defect, "x", "y")
            .with_log(&format!("{}\u{1b}[2Jend\n\n", "line\n".repeat(50)));
        assert_eq!(failure.log_tail.len(), 20);
        assert_eq!(failure.log_tail[19], "[2Jend");
    }
}

//! The one map from what went wrong, or how a deployment ended, to an exit code, and how an error is printed. No other file
//! knows a number.

use crate::args::deploying::Accept;
use crate::console::Console;
use deploy_core::failure::{Code, Failure, printable};
use deploy_core::gate::Unmet;
use deploy_core::id::DeploymentId;
use deploy_core::manifest::nearest;
use deploy_core::problem::Problems;
use deploy_core::view::result::OutcomeWord;
use serde::Serialize;

/// How the process ends; the table of `docs` and of `deploy --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Failed, and nothing that serves was changed; for what only reads: the answer is no.
    Failed = 1,
    /// Wrong usage or manifest.
    Usage = 2,
    /// Failed and rolled back.
    RolledBack = 3,
    /// Named slices are not where they should be.
    NeedsHuman = 4,
    /// Somebody else holds the environment or a place.
    Held = 5,
    /// Refused by a gate that waiting does not open.
    Refused = 6,
    /// Not allowed.
    NotAllowed = 7,
    /// A target could not be reached before anything changed.
    Unreachable = 8,
    /// A deployment is left to resume.
    Open = 9,
    /// `plan --detailed-exitcode`: there is something to change.
    Changes = 10,
    /// Waits for people or time.
    Waiting = 11,
    /// Superseded, or cancelled before anything changed.
    Superseded = 12,
    /// A defect of ours.
    Defect = 70,
    /// Interrupted before anything began.
    Interrupted = 130,
}

impl Exit {
    const ALL: [Self; 15] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::RolledBack,
        Self::NeedsHuman,
        Self::Held,
        Self::Refused,
        Self::NotAllowed,
        Self::Unreachable,
        Self::Open,
        Self::Changes,
        Self::Waiting,
        Self::Superseded,
        Self::Defect,
        Self::Interrupted,
    ];

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// How a deployment's final JSON says it ended, with what the caller accepts as done.
    pub(crate) fn of_result(outcome: OutcomeWord, code: u8, accept: &[Accept]) -> Self {
        match outcome {
            OutcomeWord::Waiting if accept.contains(&Accept::Waiting) => Self::Done,
            OutcomeWord::Superseded | OutcomeWord::Cancelled if accept.contains(&Accept::Superseded) => {
                Self::Done
            }
            // A code that this table does not have is one of a newer core.
            _ => Self::ALL
                .into_iter()
                .find(|exit| exit.code() == code)
                .unwrap_or(Self::Defect),
        }
    }

    /// Where only a failure's code is known.
    fn of_code(code: Code) -> Self {
        match code {
            Code::ManifestUnreadable
            | Code::ManifestInvalid
            | Code::UnknownName
            | Code::NotYetActing
            | Code::Usage
            | Code::VariableUnset
            | Code::NotARepository
            | Code::CommitMissing
            | Code::DirtyTree => Self::Usage,
            Code::StateLocked | Code::LeaseHeld | Code::ClaimHeld | Code::ClaimForeign => Self::Held,
            Code::GateUnmet | Code::Yanked | Code::ConfirmationMissing | Code::Older => Self::Refused,
            Code::NotAllowed => Self::NotAllowed,
            Code::Unreachable | Code::HostKey => Self::Unreachable,
            Code::LeaseLost | Code::Fenced | Code::Open => Self::Open,
            Code::RolledBack => Self::RolledBack,
            Code::NeedsHuman => Self::NeedsHuman,
            Code::Cancelled | Code::Superseded => Self::Superseded,
            Code::Interrupted => Self::Interrupted,
            Code::Defect => Self::Defect,
            _ => Self::Failed,
        }
    }
}

/// Why a command gave no answer.
#[derive(Debug)]
pub(crate) struct CliError {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// What it was.
    pub(crate) failure: Box<Failure>,
    /// What is wrong with a file.
    pub(crate) problems: Option<Problems>,
    /// Gates that do not hold.
    pub(crate) unmet: Vec<Unmet>,
    /// The deployment that is left.
    pub(crate) deployment: Option<DeploymentId>,
}

impl CliError {
    /// A failure whose code alone says how the process ends.
    pub(crate) fn new(code: Code, message: impl Into<String>, next: impl Into<String>) -> Self {
        Failure::new(code, message, next).into()
    }

    /// The command line contradicts itself or is not complete.
    pub(crate) fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Code::Usage, message, next)
    }

    /// The names that exist and the one that does not.
    pub(crate) fn unknown(kind: &str, name: &str, known: &[&str]) -> Self {
        let next = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("there is no {kind} yet"),
            None => format!("one of {}", known.join(", ")),
        };
        Self::new(
            Code::UnknownName,
            format!("there is no {kind} `{}`", printable(name, 80)),
            next,
        )
    }

    /// Interrupted before anything began.
    pub(crate) fn interrupted() -> Self {
        Self::new(
            Code::Interrupted,
            "interrupted before anything began",
            "nothing to do",
        )
    }

    /// Prints it: for people on stderr, or as the one object on stdout.
    pub(crate) fn print(&self, console: &mut Console) {
        if console.is_machine() {
            console.last(&ErrorObject {
                schema: "deploy.error/1",
                code: self.exit.code(),
                failure: &self.failure,
                deployment: self.deployment.as_ref(),
                unmet: &self.unmet,
                problems: self.problems.as_ref(),
            });
            return;
        }
        if let Some(problems) = &self.problems {
            console.message(&problems.to_string());
        }
        let paint = console.paint_err();
        let failure = &self.failure;
        let head = format!("{} {} [{}]", paint.bad("error:"), failure.message, failure.code);
        console.message(&head);
        for cause in &failure.causes {
            console.message(&format!("  because  {}", printable(cause, 400)));
        }
        for line in &failure.log_tail {
            console.message(&format!("  log      {}", printable(line, 300)));
        }
        for unmet in &self.unmet {
            console.message(&format!(
                "  {:<8} {}",
                crate::render::word(&unmet.gate),
                unmet.reason
            ));
            console.message(&format!("           {}", unmet.next));
        }
        if self.unmet.is_empty() {
            console.message(&format!("  next     {}", failure.next));
        }
    }
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    schema: &'static str,
    code: u8,
    failure: &'a Failure,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<&'a DeploymentId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unmet: &'a [Unmet],
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<&'a Problems>,
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self {
            exit: Exit::of_code(failure.code),
            failure: Box::new(failure),
            problems: None,
            unmet: Vec::new(),
            deployment: None,
        }
    }
}

impl From<Problems> for CliError {
    fn from(problems: Problems) -> Self {
        let mut failure = problems.to_failure();
        // They are told one by one besides.
        failure.causes.clear();
        failure.message = match problems.len() {
            1 => "a problem in the manifest".to_owned(),
            count => format!("{count} problems in the manifest"),
        };
        Self {
            problems: Some(problems),
            ..failure.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_exit_and_only_ours_is_a_defect() {
        for code in Code::ALL {
            let exit = Exit::of_code(*code);
            assert_eq!(exit == Exit::Defect, *code == Code::Defect, "{code}");
            assert_ne!(exit, Exit::Done, "{code}");
        }
    }

    #[test]
    fn outcomes_keep_their_codes_unless_they_are_accepted() {
        let both = [Accept::Waiting, Accept::Superseded];
        for (outcome, code, plain, accepted) in [
            (OutcomeWord::Succeeded, 0, Exit::Done, Exit::Done),
            (OutcomeWord::Failed, 5, Exit::Held, Exit::Held),
            (OutcomeWord::Failed, 8, Exit::Unreachable, Exit::Unreachable),
            (OutcomeWord::RolledBack, 3, Exit::RolledBack, Exit::RolledBack),
            (OutcomeWord::NeedsHuman, 4, Exit::NeedsHuman, Exit::NeedsHuman),
            (OutcomeWord::Refused, 6, Exit::Refused, Exit::Refused),
            (OutcomeWord::Refused, 7, Exit::NotAllowed, Exit::NotAllowed),
            (OutcomeWord::Waiting, 11, Exit::Waiting, Exit::Done),
            (OutcomeWord::Cancelled, 12, Exit::Superseded, Exit::Done),
            (OutcomeWord::Superseded, 12, Exit::Superseded, Exit::Done),
            (OutcomeWord::Open, 9, Exit::Open, Exit::Open),
        ] {
            assert_eq!(Exit::of_result(outcome, code, &[]), plain);
            assert_eq!(Exit::of_result(outcome, code, &both), accepted);
        }
    }
}

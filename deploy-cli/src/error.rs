//! Why a command gave no answer, and how that is printed. What it exits with is the core's table.

use crate::args::deploying::Accept;
use crate::console::Console;
use deploy_core::failure::{Code, Failure, printable};
use deploy_core::gate::Unmet;
use deploy_core::id::DeploymentId;
use deploy_core::manifest::nearest;
use deploy_core::problem::Problems;
use deploy_core::view::result::OutcomeWord;
use serde::Serialize;

pub(crate) use deploy_core::exit::Exit;

/// How a deployment's final JSON says it ended, with what the caller accepts as done.
pub(crate) fn exit_of_result(outcome: OutcomeWord, code: u8, accept: &[Accept]) -> Exit {
    match outcome {
        OutcomeWord::Waiting if accept.contains(&Accept::Waiting) => Exit::Done,
        OutcomeWord::Superseded | OutcomeWord::Cancelled if accept.contains(&Accept::Superseded) => {
            Exit::Done
        }
        _ => Exit::from_code(code),
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
        let head = format!(
            "{} {} [{}]",
            paint.bad("error:"),
            printable(&failure.message, 600),
            failure.code
        );
        console.message(&head);
        for cause in &failure.causes {
            console.message(&format!("  because  {}", printable(cause, 400)));
        }
        for line in &failure.log_tail {
            console.message(&format!("  log      {}", printable(line, 300)));
        }
        for unmet in &self.unmet {
            let mut said = unmet.reason.lines();
            let first = said.next().unwrap_or_default();
            console.message(&format!(
                "  {:<8} {}",
                crate::render::word(&unmet.gate),
                printable(first, 400)
            ));
            for line in said {
                console.message(&format!("  log      {}", printable(line, 300)));
            }
            console.message(&format!("           {}", printable(&unmet.next, 400)));
        }
        if self.unmet.is_empty() {
            console.message(&format!("  next     {}", printable(&failure.next, 600)));
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
            exit: Exit::of_failure(failure.code),
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
            assert_eq!(exit_of_result(outcome, code, &[]), plain);
            assert_eq!(exit_of_result(outcome, code, &both), accepted);
        }
    }
}

//! How whoever waited for a deployment, or asked for anything, is told the end in one number. The one table of exit codes: nothing
//! else in the workspace knows a number, and frontends only ask here.

use crate::failure::Code;
use crate::gate::{GateKind, Opens, Unmet};
use crate::machine::{Outcome, Refusal};

/// How it ended. The numbers are a promise to scripts and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Failed, and nothing that serves was changed; for what only reads: the answer is no.
    Failed = 1,
    /// Wrong usage or manifest.
    Usage = 2,
    /// Failed and rolled back: the old release serves, verified.
    RolledBack = 3,
    /// Named slices are not where they should be.
    NeedsHuman = 4,
    /// Somebody else holds the environment, or a claim on a target.
    Held = 5,
    /// Refused by a gate that waiting does not open.
    Refused = 6,
    /// Not allowed: authentication, authorization.
    NotAllowed = 7,
    /// A target could not be reached before anything changed.
    Unreachable = 8,
    /// A deployment is left to resume.
    Open = 9,
    /// `plan --detailed-exitcode`: there is something to change.
    Changes = 10,
    /// Waits for people or for time.
    Waiting = 11,
    /// Superseded, or cancelled before anything changed.
    Superseded = 12,
    /// A defect of ours.
    Defect = 70,
    /// Interrupted before anything began.
    Interrupted = 130,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 15] = [
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
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The one with this number. A number that the table does not have is one of a newer version: a defect to us.
    pub fn from_code(code: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|exit| exit.code() == code)
            .unwrap_or(Self::Defect)
    }

    /// Where a command failed and only the failure's code is known.
    pub const fn of_failure(code: Code) -> Self {
        match code {
            Code::ManifestUnreadable
            | Code::ManifestInvalid
            | Code::UnknownName
            | Code::NotYetActing
            | Code::Usage
            | Code::VariableUnset => Self::Usage,
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

    /// Where something was asked of several hosts by hand: that it failed somewhere says more than that a host was not reached.
    pub const fn of_hosts(failed: bool, unreachable: bool) -> Self {
        match (failed, unreachable) {
            (true, _) => Self::Failed,
            (false, true) => Self::Unreachable,
            (false, false) => Self::Done,
        }
    }

    /// Where gates were judged: done where all hold, waiting where people or time open what does not, else refused.
    pub fn of_gates(unmet: &[Unmet]) -> Self {
        match unmet {
            [] => Self::Done,
            _ if unmet.iter().all(|rule| rule.opens != Opens::Never) => Self::Waiting,
            _ => Self::of_refusal(unmet),
        }
    }

    /// Where gates refused: whether somebody may not ask at all, or a rule is in the way.
    pub fn of_refusal(unmet: &[Unmet]) -> Self {
        if unmet.iter().any(|rule| rule.gate == GateKind::Authorization) {
            Self::NotAllowed
        } else {
            Self::Refused
        }
    }

    /// Where a deployment ended: by its outcome and what is known of why.
    pub fn of_outcome(
        outcome: Outcome,
        unmet: &[Unmet],
        failure: Option<Code>,
        claim_refused: Option<Refusal>,
    ) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Done,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::NeedsHuman => Self::NeedsHuman,
            Outcome::Refused => Self::of_refusal(unmet),
            Outcome::Cancelled | Outcome::Superseded => Self::Superseded,
            Outcome::Failed => match (failure, claim_refused) {
                (_, Some(Refusal::Held))
                | (Some(Code::ClaimHeld | Code::ClaimForeign | Code::LeaseHeld), _) => Self::Held,
                (_, Some(Refusal::Unreachable)) | (Some(Code::Unreachable | Code::HostKey), _) => {
                    Self::Unreachable
                }
                _ => Self::Failed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(gate: GateKind, opens: Opens) -> Unmet {
        Unmet {
            gate,
            reason: "r".to_owned(),
            earliest: None,
            opens,
            next: "n".to_owned(),
        }
    }

    /// The table, row by row.
    #[test]
    fn the_numbers_are_a_promise() {
        let table = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::RolledBack, 3),
            (Exit::NeedsHuman, 4),
            (Exit::Held, 5),
            (Exit::Refused, 6),
            (Exit::NotAllowed, 7),
            (Exit::Unreachable, 8),
            (Exit::Open, 9),
            (Exit::Changes, 10),
            (Exit::Waiting, 11),
            (Exit::Superseded, 12),
            (Exit::Defect, 70),
            (Exit::Interrupted, 130),
        ];
        assert_eq!(table.map(|(exit, _)| exit), Exit::ALL);
        for (exit, code) in table {
            assert_eq!((exit.code(), Exit::from_code(code)), (code, exit));
        }
        assert_eq!(Exit::from_code(99), Exit::Defect);
    }

    #[test]
    fn every_failure_has_an_exit_and_only_ours_is_a_defect() {
        for code in Code::ALL {
            let exit = Exit::of_failure(*code);
            assert_eq!(exit == Exit::Defect, *code == Code::Defect, "{code}");
            assert_ne!(exit, Exit::Done, "{code}");
        }
        for (code, exit) in [
            (Code::ManifestInvalid, Exit::Usage),
            (Code::DirtyTree, Exit::Failed),
            (Code::RolledBack, Exit::RolledBack),
            (Code::NeedsHuman, Exit::NeedsHuman),
            (Code::ClaimForeign, Exit::Held),
            (Code::ConfirmationMissing, Exit::Refused),
            (Code::NotAllowed, Exit::NotAllowed),
            (Code::HostKey, Exit::Unreachable),
            (Code::LeaseLost, Exit::Open),
            (Code::Cancelled, Exit::Superseded),
            (Code::Interrupted, Exit::Interrupted),
        ] {
            assert_eq!(Exit::of_failure(code), exit, "{code}");
        }
    }

    #[test]
    fn gates_wait_refuse_or_do_not_know_who_asks() {
        use GateKind::{Approval, Authorization, Branch};
        let people = rule(Approval, Opens::ByPeople);
        let never = rule(Branch, Opens::Never);
        let nobody = rule(Authorization, Opens::Never);
        assert_eq!(Exit::of_gates(&[]), Exit::Done);
        assert_eq!(Exit::of_gates(std::slice::from_ref(&people)), Exit::Waiting);
        assert_eq!(Exit::of_gates(&[people, never.clone()]), Exit::Refused);
        assert_eq!(Exit::of_gates(&[never, nobody]), Exit::NotAllowed);
    }

    #[test]
    fn hosts_by_hand_exit_by_the_worst_that_is_known() {
        assert_eq!(Exit::of_hosts(false, false), Exit::Done);
        assert_eq!(Exit::of_hosts(true, true), Exit::Failed);
        assert_eq!(Exit::of_hosts(false, true), Exit::Unreachable);
    }

    #[test]
    fn a_deployment_exits_by_its_outcome() {
        let plain = |outcome| Exit::of_outcome(outcome, &[], None, None);
        for (outcome, exit) in [
            (Outcome::Succeeded, Exit::Done),
            (Outcome::RolledBack, Exit::RolledBack),
            (Outcome::NeedsHuman, Exit::NeedsHuman),
            (Outcome::Refused, Exit::Refused),
            (Outcome::Failed, Exit::Failed),
            (Outcome::Cancelled, Exit::Superseded),
            (Outcome::Superseded, Exit::Superseded),
        ] {
            assert_eq!(plain(outcome), exit, "{outcome:?}");
        }
        let failed = |code, refusal| Exit::of_outcome(Outcome::Failed, &[], code, refusal);
        assert_eq!(failed(Some(Code::ClaimHeld), None), Exit::Held);
        assert_eq!(failed(None, Some(Refusal::Held)), Exit::Held);
        assert_eq!(failed(Some(Code::HostKey), None), Exit::Unreachable);
        assert_eq!(failed(None, Some(Refusal::Unreachable)), Exit::Unreachable);
        assert_eq!(failed(Some(Code::HookFailed), None), Exit::Failed);
    }
}

//! Gates: rules that can refuse a deployment. Each answers with everything that is not met, and why; a pure function of what is
//! known and the time given. Not known means not met, for going forward.

mod approval;
mod authorization;
mod branch;
mod by_hand;
mod check;
mod checklist;
mod confirm;
mod evidence;
mod freeze;
pub mod input;
mod order;
pub mod rules;
mod soak;
#[cfg(test)]
mod tests;
mod upstream;
pub mod window;
mod yank;

pub use approval::{Worth, worth};
pub use by_hand::by_hand;
pub use confirm::not_acting;
pub use evidence::Ledgers;
pub use input::{Containment, GateInput, PlanFacts, Trigger};
pub use rules::Rules;

use crate::digest::Digest;
use crate::id::{Actor, CommitId, EnvName, EvidenceName};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of the evidence that a release was verified in an environment; written with `succeeded`.
pub const VERIFIED: &str = "verified";

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// Which gate.
    pub gate: GateKind,
    /// Why, with the evidence that was looked at.
    pub reason: String,
    /// The earliest time at which waiting alone could open it; `None` if waiting does not help.
    pub earliest: Option<Timestamp>,
    /// Whether people or time can open it for this very plan (exit 11), or not (exit 6).
    pub opens: Opens,
    /// The next command.
    pub next: String,
}

/// How an unmet gate can still open for the deployment that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opens {
    /// Somebody has to act: approve, tick, attest.
    ByPeople,
    /// Time has to pass.
    ByTime,
    /// It does not: another release or another branch is needed.
    Never,
}

/// The gates, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GateKind {
    /// Who may ask at all.
    Authorization,
    /// The release is barred.
    Yank,
    /// Older than what runs, without intent.
    Order,
    /// A commit of the release is contained in an allowed branch.
    Branch,
    /// Verified in every environment of `after`.
    Upstream,
    /// Healthy there for long enough.
    Soak,
    /// Evidence for the commit or the digest.
    Check,
    /// Items ticked by people or by evidence.
    Checklist,
    /// People.
    Approval,
    /// A calendar freeze, or the line stopped by hand.
    Freeze,
    /// Automatic promotion is frozen after a failed verdict.
    AutomaticPromotion,
    /// Part of the manifest that does not act yet and would weaken a gate.
    NotYetActing,
    /// The caller has to confirm.
    Confirmation,
}

/// All gates together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// Every gate holds.
    Holds,
    /// People or time can open what is not met.
    Waits {
        /// All of it.
        unmet: Vec<Unmet>,
    },
    /// Waiting does not open it.
    Refuses {
        /// All of it, also what people or time could open.
        unmet: Vec<Unmet>,
    },
}

impl Verdict {
    /// Of all unmet rules.
    pub fn of(mut unmet: Vec<Unmet>) -> Self {
        unmet.sort_by_key(|rule| rule.gate);
        if unmet.is_empty() {
            Self::Holds
        } else if unmet.iter().any(|rule| rule.opens == Opens::Never) {
            Self::Refuses { unmet }
        } else {
            Self::Waits { unmet }
        }
    }

    /// What is not met.
    pub fn unmet(&self) -> &[Unmet] {
        match self {
            Self::Holds => &[],
            Self::Waits { unmet } | Self::Refuses { unmet } => unmet,
        }
    }
}

/// A fact about one digest or commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of what kind: a check, a checklist item, or built in (`verified`, `smoke`, `load`).
    pub name: EvidenceName,
    /// About what.
    pub about: About,
    /// Where it holds; `None`: everywhere.
    pub environment: Option<EnvName>,
    /// What was found.
    pub finding: Finding,
    /// Who says so.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Until when it counts.
    pub valid_until: Option<Timestamp>,
    /// Its attempt or run, so that a late or doubled report is recognised.
    pub run: Option<String>,
    /// For people: `128 tests, 0 failed`.
    pub note: String,
}

/// What evidence is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A release (or an artifact) by digest.
    Digest(Digest),
    /// A commit: a release built from exactly this one inherits.
    Commit(CommitId),
}

/// What evidence found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// Neither: not met, and no reason to go back.
    Inconclusive,
}

/// A decision of a person about one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// What was approved.
    pub plan: Digest,
    /// The rules in force then.
    pub rules: Digest,
    /// Why.
    pub reason: Option<String>,
}

/// One rule, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "judged")]
pub enum Judged {
    /// It holds.
    Met {
        /// Which gate.
        gate: GateKind,
        /// By what evidence.
        by: String,
    },
    /// It does not.
    Unmet(Unmet),
}

impl Judged {
    fn met(gate: GateKind, by: impl Into<String>) -> Self {
        Self::Met { gate, by: by.into() }
    }

    /// Which gate.
    pub const fn gate(&self) -> GateKind {
        match self {
            Self::Met { gate, .. } => *gate,
            Self::Unmet(unmet) => unmet.gate,
        }
    }
}

/// Every rule in force for this request, met or not, in the order in which gates are shown. A rollback is held up by nothing but
/// authorization and a confirmation.
pub fn examine(input: &GateInput<'_>) -> Vec<Judged> {
    let mut judged = authorization::judge(input);
    if !input.is_rollback() {
        for gate in [
            yank::judge,
            order::judge,
            branch::judge,
            upstream::judge,
            soak::judge,
            check::judge,
            checklist::judge,
            approval::judge,
            freeze::judge,
            freeze::judge_automatic,
            confirm::judge_not_acting,
        ] {
            judged.extend(gate(input));
        }
    }
    judged.extend(confirm::judge(input));
    judged.sort_by_key(Judged::gate);
    go_on(input, &mut judged);
    judged
}

/// A deployment that comes to wait is gone on with: to ask for the same again would make another one, which takes its place.
fn go_on(input: &GateInput<'_>, judged: &mut [Judged]) {
    let never = |judged: &Judged| matches!(judged, Judged::Unmet(unmet) if unmet.opens == Opens::Never);
    let Some(id) = input.deployment.filter(|_| !judged.iter().any(never)) else {
        return;
    };
    let (again, resume) = (input.command(), format!("deploy resume {}", id.short()));
    for judged in judged {
        if let Judged::Unmet(unmet) = judged
            && let Some(first) = unmet.next.strip_suffix(&again)
        {
            unmet.next = format!("{first}{resume}");
        }
    }
}

/// All gates at once: everything that is not met, not only the first.
pub fn judge(input: &GateInput<'_>) -> Verdict {
    Verdict::of(
        examine(input)
            .into_iter()
            .filter_map(|judged| match judged {
                Judged::Unmet(unmet) => Some(unmet),
                Judged::Met { .. } => None,
            })
            .collect(),
    )
}

//! The linter: whether a plan, wherever it came from, is one that the machine may be given. It shares nothing with the planner
//! but the plan's types, so that a mistake of the one is found by the other. The rules themselves are in
//! `shape` and `protocol`.

mod protocol;
mod shape;
#[cfg(test)]
mod tests;

use super::{Plan, PlannedService, PlannedSlice};
use crate::id::ServiceIx;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It may be meant; a person should look.
    Warning,
    /// The plan must not be used.
    Error,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintFinding {
    /// Which rule.
    pub rule: Rule,
    /// What it means.
    pub severity: Severity,
    /// A service, `service/slice`, a place, a unit, or `plan`.
    pub subject: String,
    /// What is wrong, as a sentence.
    pub text: String,
}

impl fmt::Display for LintFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.subject, self.text, self.rule)
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal, $severity:ident, $check:path;)*) => {
        /// The rules, each checked from the plan alone.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// All of them, in the order in which they are checked.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];

            /// As printed: `needs-before`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$rule => $name,)* }
            }

            /// What a finding of it means.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$rule => Severity::$severity,)* }
            }

            fn check(self) -> fn(&Plan, &mut Found) {
                match self { $(Self::$rule => $check,)* }
            }
        }
    };
}

rules! {
    /// There is a slice: without one a deployment could not end.
    NotEmpty = "not-empty", Error, shape::not_empty;
    /// Everything can be counted with 16 bits.
    Bounded = "bounded", Error, shape::bounded;
    /// Every index points at something.
    Indices = "indices", Error, shape::indices;
    /// No two services share a name, nor two slices of one service.
    NamedOnce = "named-once", Error, shape::named_once;
    /// `needs` goes round in no circle.
    NeedsAcyclic = "needs-acyclic", Error, shape::needs_acyclic;
    /// What is needed comes before what needs it.
    NeedsBefore = "needs-before", Error, shape::needs_before;
    /// What a service needs is listed once.
    NeedsOnce = "needs-once", Error, shape::needs_once;
    /// Every slice is in exactly one batch, and that of its own service.
    OneBatch = "one-batch", Error, shape::one_batch;
    /// No batch is empty.
    FullBatches = "full-batches", Error, shape::full_batches;
    /// Places are sorted and named once: everybody claims in the same order.
    PlacesSorted = "places-sorted", Error, shape::places_sorted;
    /// Units are named once.
    UnitsOnce = "units-once", Error, shape::units_once;
    /// Every place and unit is that of a slice: nothing is claimed in vain.
    Used = "used", Error, shape::used;
    /// A unit is in one place.
    UnitOnePlace = "unit-one-place", Error, shape::unit_one_place;
    /// A unit is of one service: going back takes all of it back.
    UnitOneService = "unit-one-service", Warning, shape::unit_one_service;
    /// What is kept runs something, and is not interrupted.
    KeptStill = "kept-still", Error, protocol::kept_still;
    /// No batch takes the last slice out that runs something, unless the plan says that it interrupts.
    LastSlice = "last-slice", Error, protocol::last_slice;
    /// An interruption is in the notices.
    InterruptionSaid = "interruption-said", Error, protocol::interruption_said;
    /// The way back fits what runs, the base, and what the target can do.
    WayBackFits = "way-back-fits", Error, protocol::way_back_fits;
    /// A slice without a way back is in the notices.
    WayBackSaid = "way-back-said", Error, protocol::way_back_said;
    /// A target without a fence is in the notices.
    FenceSaid = "fence-said", Error, protocol::fence_said;
    /// A slice is armed only if everything that needs it can be.
    ArmedChain = "armed-chain", Error, protocol::armed_chain;
    /// A failure budget is only where a slice can be stopped, leaves a slice, and is none in a rollback.
    BudgetFits = "budget-fits", Error, protocol::budget_fits;
    /// A failure budget is in the notices.
    BudgetSaid = "budget-said", Error, protocol::budget_said;
    /// No limit is zero.
    LimitsSet = "limits-set", Error, protocol::limits_set;
    /// A rollback is not watched after its commit point.
    RollbackNoBake = "rollback-no-bake", Error, protocol::rollback_no_bake;
    /// A rollback arms nothing.
    RollbackUnarmed = "rollback-unarmed", Error, protocol::rollback_unarmed;
    /// What is removed is needed by nothing.
    RemovedNotNeeded = "removed-not-needed", Error, protocol::removed_not_needed;
    /// What is removed can be, and that is in the notices.
    Removable = "removable", Error, protocol::removable;
    /// The base is what the slices say.
    BaseFits = "base-fits", Error, protocol::base_fits;
    /// A base without a release is in the notices.
    BaseSaid = "base-said", Error, protocol::base_said;
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Collects what one rule finds.
struct Found {
    rule: Rule,
    findings: Vec<LintFinding>,
}

impl Found {
    fn say(&mut self, subject: impl fmt::Display, text: impl Into<String>) {
        self.findings.push(LintFinding {
            rule: self.rule,
            severity: self.rule.severity(),
            subject: subject.to_string(),
            text: text.into(),
        });
    }
}

/// Checks a plan. The plan may be used if nothing found is an [`Severity::Error`]. Where the plan's indices do not hold together
/// nothing else is checked.
pub fn lint(plan: &Plan) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for rule in Rule::ALL {
        let mut found = Found {
            rule: *rule,
            findings: Vec::new(),
        };
        rule.check()(plan, &mut found);
        let broken = !found.findings.is_empty() && matches!(rule, Rule::Bounded | Rule::Indices);
        findings.append(&mut found.findings);
        if broken {
            break;
        }
    }
    findings
}

fn services(plan: &Plan) -> Vec<(ServiceIx, &PlannedService)> {
    plan.service_indices().zip(&plan.services).collect()
}

fn of(plan: &Plan, service: ServiceIx) -> impl Iterator<Item = &PlannedSlice> {
    plan.slices.iter().filter(move |slice| slice.service == service)
}

fn full_name(plan: &Plan, slice: &PlannedSlice) -> String {
    format!("{}/{}", plan.service(slice.service).name, slice.name)
}

/// Whether a notice about a subject has these words.
fn said(plan: &Plan, subject: Option<&dyn fmt::Display>, words: &str) -> bool {
    let begin = subject.map(|subject| format!("{subject}: ")).unwrap_or_default();
    plan.notices.iter().any(|notice| {
        notice
            .strip_prefix(&begin)
            .is_some_and(|rest| rest.contains(words))
    })
}

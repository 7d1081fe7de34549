//! People who say yes to this very plan under these very rules. Distinct people, eligible now; a rejection vetoes; every rule
//! must hold, and one approval serves each rule that it satisfies.

use super::input::{any_of, list, moment};
use super::rules::ApprovalRule;
use super::{Approval, GateInput, GateKind, Judged, Opens, Unmet};
use crate::id::Actor;
use crate::view::deployment::Decided;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let mut judged: Vec<_> = vetoes(input).collect();
    let words = words(input);
    for (name, rule) in &input.rules.approvals {
        judged.push(one(input, name, rule, &words));
    }
    judged
}

/// What one approval is worth as things stand, for whoever gives it. Who is eligible is judged when the quorum is decided, so this
/// may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worth {
    /// It counts for a rule, or no rule asks for any.
    Counts,
    /// It counts for none: each rule with why.
    CountsForNone(Vec<String>),
    /// Somebody rejected the deployment: nothing counts any more.
    Vetoed(String),
}

/// What an approval is worth for the deployment that the input is about.
pub fn worth(input: &GateInput<'_>, approval: &Approval) -> Worth {
    if let Some(Judged::Unmet(veto)) = vetoes(input).next() {
        return Worth::Vetoed(veto.reason);
    }
    let mut void = Vec::new();
    for (name, rule) in &input.rules.approvals {
        match standing(input, rule, approval) {
            Ok(()) => return Worth::Counts,
            Err(why) => void.push(format!("{name}: {}", in_words(&why, approval, rule))),
        }
    }
    if void.is_empty() {
        Worth::Counts
    } else {
        Worth::CountsForNone(void)
    }
}

/// What somebody said yes to does not count, and why.
enum Void {
    Plan,
    Rules,
    Author,
    Group,
}

/// Each person's last word about this deployment: people are told apart by what they are, not by how they are written.
fn words<'a>(input: &GateInput<'a>) -> BTreeMap<String, &'a Decided> {
    let carried = input.target().into_iter().flat_map(|target| &target.carried);
    let given = input.view().into_iter().flat_map(|view| &view.decisions);
    // A request that follows one that failed keeps the yes to the very same plan; a no ends with what it was said about.
    carried
        .filter(|decided| matches!(decided, Decided::Approved { .. }))
        .chain(given)
        .map(|decided| (person(decided.by().as_str()), decided))
        .collect()
}

fn vetoes<'a>(input: &GateInput<'a>) -> impl Iterator<Item = Judged> + use<'a> {
    let environment = input.environment.clone();
    let next = input.command();
    words(input)
        .into_values()
        .filter_map(move |decided| match decided {
            Decided::Rejected { by, reason, at, .. } => {
                let why = reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                Some(Judged::Unmet(Unmet {
                    gate: GateKind::Approval,
                    reason: format!("{by} rejected it for {environment} at {}{why}", moment(*at)),
                    earliest: None,
                    opens: Opens::Never,
                    next: format!("settle it with {by}, then ask again: {next}"),
                }))
            }
            Decided::Approved { .. } => None,
        })
}

fn one(input: &GateInput<'_>, name: &str, rule: &ApprovalRule, words: &BTreeMap<String, &Decided>) -> Judged {
    let wanted = usize::try_from(rule.count).unwrap_or(usize::MAX);
    let mut counted = BTreeSet::new();
    let mut void = Vec::new();
    for decided in words.values() {
        if let Decided::Approved { approval, .. } = decided {
            match standing(input, rule, approval) {
                Ok(()) => {
                    counted.insert(&approval.by);
                }
                Err(why) => void.push(in_words(&why, approval, rule)),
            }
        }
    }
    let by = if counted.is_empty() {
        "nobody yet".to_owned()
    } else {
        list(&counted)
    };
    if counted.len() >= wanted {
        return Judged::met(GateKind::Approval, format!("{name}: approved by {by}"));
    }
    let from = if rule.from.is_empty() {
        String::new()
    } else {
        format!(" from {}", any_of(&rule.from))
    };
    let not_author = if rule.not_author {
        ", not the author, the committer or who asked"
    } else {
        ""
    };
    let void = if void.is_empty() {
        String::new()
    } else {
        format!("; does not count: {}", void.join(", "))
    };
    Judged::Unmet(Unmet {
        gate: GateKind::Approval,
        reason: format!(
            "{name}: {} of {wanted}{from}{not_author}; approved by {by}{void}",
            counted.len()
        ),
        earliest: None,
        opens: Opens::ByPeople,
        next: match input.deployment {
            Some(deployment) => format!("deploy approve {}", deployment.short()),
            None => format!("{} asks for it, then: deploy approve", input.command()),
        },
    })
}

/// Whether an approval stands for a rule now.
fn standing(input: &GateInput<'_>, rule: &ApprovalRule, approval: &Approval) -> Result<(), Void> {
    if input.plan.is_none_or(|plan| plan.digest != approval.plan) {
        return Err(Void::Plan);
    }
    if approval.rules != input.rules.digest() {
        return Err(Void::Rules);
    }
    if !rule.from.is_empty() && !input.rules.is_in(&approval.by, &rule.from) {
        return Err(Void::Group);
    }
    if rule.not_author && is_involved(input, &approval.by) {
        return Err(Void::Author);
    }
    Ok(())
}

fn is_involved(input: &GateInput<'_>, actor: &Actor) -> bool {
    let who = person(actor.as_str());
    let asked = input
        .view()
        .and_then(|view| view.request.as_ref())
        .map_or(input.actor, |request| &request.actor);
    person(asked.as_str()) == who || input.release.authors().iter().any(|author| person(author) == who)
}

/// What tells people apart: the address in `Name <address>`, in lower case, else the whole text.
fn person(text: &str) -> String {
    let address = text
        .rsplit_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(text, |(address, _)| address);
    address.trim().to_lowercase()
}

fn in_words(why: &Void, approval: &Approval, rule: &ApprovalRule) -> String {
    let by = &approval.by;
    match why {
        Void::Plan => format!("{by} (approved another plan)"),
        Void::Rules => format!("{by} (the rules have changed since)"),
        Void::Author => format!("{by} (wrote it or asked for it)"),
        Void::Group => format!("{by} (not in {})", any_of(&rule.from)),
    }
}

//! A commit that the release came from must be contained in an allowed branch. Containment is a fact from git; not known is not
//! met.

use super::input::{Containment, any_of};
use super::{GateInput, GateKind, Judged, Opens, Unmet};

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let Some(branches) = &input.rules.branches else {
        return Vec::new();
    };
    let facts = || {
        branches
            .iter()
            .map(|branch| (branch, input.contained_in.get(branch)))
    };
    let held = facts().find_map(|(_, fact)| match fact {
        Some(Containment::Contains { branch, commit }) => Some(format!("{} is in {branch}", commit.short())),
        _ => None,
    });
    if let Some(by) = held {
        return vec![Judged::met(GateKind::Branch, by)];
    }
    let unknown: Vec<String> = facts()
        .filter_map(|(branch, fact)| match fact {
            None => Some(format!("{branch}: not looked at")),
            Some(Containment::Unknown { why }) => Some(format!("{branch}: {why}")),
            Some(_) => None,
        })
        .collect();
    let nowhere = facts().all(|(_, fact)| matches!(fact, Some(Containment::NoBranch)));
    let (reason, next) = if nowhere {
        (
            format!(
                "there is no branch {} in this checkout, so no commit of {} is in one",
                any_of(branches),
                input.called()
            ),
            format!("git fetch --all, or make the branch; then: {}", input.command()),
        )
    } else if unknown.is_empty() {
        (
            format!("no commit of {} is in {}", input.called(), any_of(branches)),
            format!("merge it into {}, then: {}", any_of(branches), input.command()),
        )
    } else {
        (
            format!(
                "whether {} is in {} is not known ({})",
                input.called(),
                any_of(branches),
                unknown.join("; ")
            ),
            format!("git fetch --unshallow --all, then: {}", input.command()),
        )
    };
    vec![Judged::Unmet(Unmet {
        gate: GateKind::Branch,
        reason,
        earliest: None,
        opens: Opens::Never,
        next,
    })]
}

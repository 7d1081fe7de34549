//! Items that people tick, or evidence does: `before` gates this environment, `after` the next; `during` is only recorded.

use super::evidence::{Said, cite, says};
use super::rules::{Item, When};
use super::{GateInput, GateKind, Judged, Opens, Unmet};
use crate::id::{EnvName, EvidenceName};

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let before = input
        .rules
        .checklist
        .iter()
        .filter(|(_, item)| item.when == When::Before)
        .map(|(name, item)| one(input, name, item, input.environment));
    let upstream = input.rules.upstream_items.iter().flat_map(|(place, items)| {
        items
            .iter()
            .filter(|(_, item)| item.when == When::After)
            .map(move |(name, item)| one(input, name, item, place))
    });
    before.chain(upstream).collect()
}

fn one(input: &GateInput<'_>, name: &EvidenceName, item: &Item, place: &EnvName) -> Judged {
    let evidence = item.evidence.as_ref().unwrap_or(name);
    let here = place == input.environment;
    let (why, opens) = match says(input, evidence, place, None) {
        Said::Passed(given) => {
            return Judged::met(GateKind::Checklist, format!("{}: {}", item.text, cite(given)));
        }
        Said::Failed(given) => (cite(given), Opens::Never),
        Said::Nothing(why) => (why, Opens::ByPeople),
    };
    let of = if here {
        String::new()
    } else {
        format!(" (after {place})")
    };
    let next = match (input.deployment, &item.evidence) {
        (Some(deployment), None) if here => format!("deploy attest {} {name}", deployment.short()),
        _ => format!(
            "deploy attest {evidence} -e {place} --release {}",
            input.release.number
        ),
    };
    Judged::Unmet(Unmet {
        gate: GateKind::Checklist,
        reason: format!("{}{of}: {why}", item.text),
        earliest: None,
        opens,
        next,
    })
}

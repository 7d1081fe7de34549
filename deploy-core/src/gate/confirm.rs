//! The caller has to mean it: the environment's name, typed or given. And what the manifest asks for but does not act yet.

use super::{GateInput, GateKind, Judged, Opens, Unmet};

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    if !input.rules.confirm.contains(&input.act()) {
        return Vec::new();
    }
    let environment = input.environment;
    if input.confirmed == Some(environment) {
        return vec![Judged::met(
            GateKind::Confirmation,
            format!("{environment} was confirmed"),
        )];
    }
    let reason = match input.confirmed {
        Some(other) => format!("{other} was confirmed, but this goes to {environment}"),
        None => format!("{environment} asks for a confirmation"),
    };
    vec![Judged::Unmet(Unmet {
        gate: GateKind::Confirmation,
        reason,
        earliest: None,
        opens: Opens::Never,
        next: format!("{} --confirm {environment}", input.command()),
    })]
}

pub(super) fn judge_not_acting(input: &GateInput<'_>) -> Vec<Judged> {
    not_acting(input.not_acting)
        .into_iter()
        .map(Judged::Unmet)
        .collect()
}

/// What is said of keys of the manifest that do not act yet and would weaken a gate.
pub fn not_acting(keys: &[String]) -> Vec<Unmet> {
    let unmet = |key: &String| Unmet {
        gate: GateKind::NotYetActing,
        reason: format!("`{key}` does not act in this version, and leaving it out would weaken a gate"),
        earliest: None,
        opens: Opens::Never,
        next: format!(
            "remove {key}, or enabled = false for its service in this environment; deploy check lists all"
        ),
    };
    keys.iter().map(unmet).collect()
}

//! Who may ask at all. The one gate that a rollback has, beside a confirmation.

use super::input::any_of;
use super::{GateInput, GateKind, Judged, Opens, Unmet};
use crate::plan::Kind;

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let Some(groups) = input.rules.allow.get(&input.act()) else {
        return Vec::new();
    };
    let (actor, environment) = (input.actor, input.environment);
    if input.rules.is_in(actor, groups) {
        return vec![Judged::met(
            GateKind::Authorization,
            format!("{actor} is in {}", any_of(groups)),
        )];
    }
    let verb = match input.kind {
        Kind::Deploy | Kind::Promote => "deploy to",
        Kind::Rollback => "roll back",
    };
    vec![Judged::Unmet(Unmet {
        gate: GateKind::Authorization,
        reason: format!(
            "{actor} may not {verb} {environment}: that is for {}",
            any_of(groups)
        ),
        earliest: None,
        opens: Opens::Never,
        next: format!("ask somebody in {} to run: {}", any_of(groups), input.command()),
    })]
}

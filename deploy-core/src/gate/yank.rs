//! A barred release goes nowhere forward. Environments that run it are not touched.

use super::{GateInput, GateKind, Judged, Opens, Unmet};

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let release = input.release.number;
    let yank = input.project.yanked(input.release.to_ref());
    yank.map(|yank| {
        Judged::Unmet(Unmet {
            gate: GateKind::Yank,
            reason: format!("{} was yanked by {}: {}", input.called(), yank.by, yank.reason),
            earliest: None,
            opens: Opens::Never,
            next: format!("deploy yank {release} --undo"),
        })
    })
    .into_iter()
    .collect()
}

//! Going to an older release is a rollback, so that it is meant. Older is a matter of the log: a commit that comes to the content
//! of an old release again (a revert) makes it new.

use super::{GateInput, GateKind, Judged, Opens, Unmet};

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let (environment, release) = (input.environment, input.release.number);
    let Some(current) = input.target().and_then(|target| target.current.release()) else {
        return Vec::new();
    };
    let known = |number| input.project.releases.get(&number);
    let renewed = match (known(release), known(current.number)) {
        (Some(this), Some(current)) => this.renewed > current.made,
        _ => false,
    };
    if release >= current.number || renewed {
        return Vec::new();
    }
    vec![Judged::Unmet(Unmet {
        gate: GateKind::Order,
        reason: format!(
            "{} is older than {}, which {environment} runs",
            input.called(),
            current.number
        ),
        earliest: None,
        opens: Opens::Never,
        next: format!("deploy rollback -e {environment} --to {release}"),
    })]
}

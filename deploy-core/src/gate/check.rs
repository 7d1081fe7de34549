//! Evidence for the release or for a commit that it came from: tests, scans.

use super::evidence::{Said, cite, says};
use super::{GateInput, GateKind, Judged, Opens, Unmet};

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let mut judged = Vec::new();
    for (name, rule) in &input.rules.checks {
        let (reason, opens) = match says(input, name, input.environment, rule.valid_for) {
            Said::Passed(given) => {
                judged.push(Judged::met(GateKind::Check, format!("{name}: {}", cite(given))));
                continue;
            }
            Said::Failed(given) => (format!("{name} failed: {}", cite(given)), Opens::Never),
            Said::Nothing(why) => (
                format!("{name}: no evidence that counts for {}: {why}", input.called()),
                Opens::ByPeople,
            ),
        };
        let next = match input.release.commit() {
            Some(commit) => format!("deploy attest {name} --commit {}", commit.short()),
            None => format!("deploy attest {name} --release {}", input.release.number),
        };
        judged.push(Judged::Unmet(Unmet {
            gate: GateKind::Check,
            reason,
            earliest: None,
            opens,
            next,
        }));
    }
    judged
}

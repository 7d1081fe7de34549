//! How long the release must have been healthy in each environment of `after`, counted from the later of healthy and verified.
//! Bad health, another release or revoked evidence starts it again; a stay that was long enough and is over still counts.

use super::input::moment;
use super::{GateInput, GateKind, Judged, Opens, Unmet};
use crate::time::format_duration;
use std::time::Duration;

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let wanted = input.rules.soak;
    if wanted == Duration::ZERO {
        return Vec::new();
    }
    let digest = input.release.digest();
    let now = input.clock();
    let mut judged = Vec::new();
    for name in &input.rules.after {
        // Not verified there is the upstream gate's to say.
        let stay = input
            .environments
            .get(name)
            .and_then(|view| view.stays.counting(digest));
        let Some(stay) = stay else { continue };
        let been = stay.length(now);
        let so_far = format!(
            "healthy in {name} for {}",
            format_duration(Duration::from_secs(been.as_secs()))
        );
        if been >= wanted {
            judged.push(Judged::met(GateKind::Soak, so_far));
            continue;
        }
        let reason = format!("{so_far}, wanted {}", format_duration(wanted));
        judged.push(Judged::Unmet(match stay.since {
            Some(since) => Unmet {
                gate: GateKind::Soak,
                reason: format!("{reason} (since {})", moment(since)),
                earliest: Some(since.after(wanted)),
                opens: Opens::ByTime,
                next: input.command(),
            },
            None => Unmet {
                gate: GateKind::Soak,
                reason: format!("{reason}, and it does not run there any more"),
                earliest: None,
                opens: Opens::Never,
                next: format!("deploy promote -e {name} --release {}", input.release.number),
            },
        }));
    }
    judged
}

//! How long the release must have been healthy in each environment of `after`, counted from the later of healthy and verified,
//! between two looks that found it healthy; whoever asks for the present has just looked (see [`GateInput::unseen`]). Where the
//! platform proves that nothing broke in between, that is said, and counts from where its proof begins; where it does not, it is said
//! that nobody looked in between. To count only while somebody looks takes somebody who goes on looking: that comes with monitoring.
//!
//! Bad health, another release or revoked evidence starts it again; a stay that was seen to be long enough and is over still counts,
//! unless it ended in bad health.

use super::input::moment;
use super::{GateInput, GateKind, Judged, Opens, Unmet};
use crate::id::EnvName;
use crate::time::{Timestamp, format_duration};
use crate::view::{EnvironmentView, Stay};
use std::time::Duration;

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    if input.rules.soak == Duration::ZERO {
        return Vec::new();
    }
    let digest = input.release.digest();
    let after = input.rules.after.iter();
    after
        .filter_map(|name| {
            // Not verified there is the upstream gate's to say.
            let view = input.environments.get(name)?;
            Some(one(input, name, view, view.stays.counting(digest)?))
        })
        .collect()
}

fn one(input: &GateInput<'_>, name: &EnvName, view: &EnvironmentView, stay: &Stay) -> Judged {
    let (wanted, now) = (input.rules.soak, input.clock());
    let shown = format_duration(wanted);
    let unmet = |reason, earliest, opens, next| {
        Judged::Unmet(Unmet {
            gate: GateKind::Soak,
            reason,
            earliest,
            opens,
            next,
        })
    };
    // Of what does not run there any more, what was seen counts; nobody looks at it now.
    let replaced = view
        .current
        .release()
        .is_some_and(|current| current.digest != input.release.digest());
    if let Some((at, seen)) = stay.unwell.as_ref().filter(|_| !replaced) {
        let reason = format!("not healthy in {name} at {}: {seen}; wanted {shown}", moment(*at));
        return unmet(
            reason,
            None,
            Opens::ByPeople,
            format!(
                "deploy verify -e {name}, until it is well; then: {}",
                input.command()
            ),
        );
    }
    if let Some(why) = input.unseen.get(name).filter(|_| !replaced) {
        return unmet(
            format!("whether it is healthy in {name} is not known: {why}; wanted {shown}"),
            None,
            Opens::ByPeople,
            format!("deploy doctor -e {name}, then: {}", input.command()),
        );
    }
    let been = if replaced {
        stay.looked_at_for()
    } else {
        stay.length(now)
    };
    let so_far = format!(
        "healthy in {name} for {}",
        format_duration(Duration::from_secs(been.as_secs()))
    );
    if been >= wanted {
        return Judged::met(GateKind::Soak, so_far + between(stay, now));
    }
    let reason = format!("{so_far}, wanted {shown}");
    match stay.since.filter(|_| !replaced) {
        Some(since) => unmet(
            format!("{reason} (since {}{})", moment(since), between(stay, now)),
            Some(since.after(wanted)),
            Opens::ByTime,
            input.command(),
        ),
        None => unmet(
            format!("{reason}, and it does not run there any more"),
            None,
            Opens::Never,
            format!("deploy promote -e {name} --release {}", input.release.number),
        ),
    }
}

/// What is known of the time between the first look and the last.
fn between(stay: &Stay, now: Timestamp) -> &'static str {
    match stay.since {
        Some(since) if since >= now => "",
        _ if stay.proven => "; the platform proves that nothing broke",
        _ => "; counted between two healthy looks, nobody looked in between",
    }
}

//! This very release must have been verified in every environment of `after`, and that must still count.

use super::input::moment;
use super::{GateInput, GateKind, Judged, Opens, Unmet};
use crate::id::EnvName;
use crate::plan::Kind;
use crate::view::EnvironmentView;
use crate::view::project::label;

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let mut judged: Vec<_> = input.rules.after.iter().map(|name| one(input, name)).collect();
    if input.release.development && (input.kind == Kind::Promote || !input.rules.after.is_empty()) {
        judged.push(Judged::Unmet(Unmet {
            gate: GateKind::Upstream,
            reason: format!(
                "{} was made by `deploy dev` from a work tree: it is never promoted",
                input.release.number
            ),
            earliest: None,
            opens: Opens::Never,
            next: "commit, then: deploy up".to_owned(),
        }));
    }
    judged
}

fn one(input: &GateInput<'_>, name: &EnvName) -> Judged {
    let view = input.environments.get(name);
    let digest = input.release.digest();
    let stay = view.and_then(|view| view.stays.get(digest));
    let why = match stay {
        Some(stay) => match &stay.revoked {
            None => {
                return Judged::met(
                    GateKind::Upstream,
                    format!("verified in {name} at {}", moment(stay.verified_at)),
                );
            }
            Some((at, reason)) => {
                format!(
                    "{} counts as verified in {name} no more since {}: {reason}",
                    input.called(),
                    moment(*at)
                )
            }
        },
        None => format!(
            "{} was not verified in {name}{}",
            input.called(),
            verified_there(input, view)
        ),
    };
    Judged::Unmet(Unmet {
        gate: GateKind::Upstream,
        reason: why,
        earliest: None,
        opens: Opens::Never,
        next: bring_it(input, name, view),
    })
}

/// What was verified there instead: of another content, even if the commit is near.
fn verified_there(input: &GateInput<'_>, view: Option<&EnvironmentView>) -> String {
    let last = view
        .into_iter()
        .flat_map(|view| view.stays.all())
        .filter(|(_, stay)| stay.revoked.is_none())
        .max_by_key(|(_, stay)| stay.verified_at)
        .and_then(|(digest, _)| input.project.by_digest(*digest));
    last.map_or_else(String::new, |release| {
        format!("; last verified there: {}", label(release))
    })
}

/// The command that brings the release there. An environment that was deployed to by `up` takes no promotion.
fn bring_it(input: &GateInput<'_>, name: &EnvName, view: Option<&EnvironmentView>) -> String {
    let promotes = view
        .and_then(|view| view.ended.last())
        .is_some_and(|last| last.kind == Some(Kind::Promote));
    match input.release.commit() {
        Some(commit) if !promotes => format!("deploy up -e {name} --commit {}", commit.short()),
        _ => format!("deploy promote -e {name} --release {}", input.release.number),
    }
}

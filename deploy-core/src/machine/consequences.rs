//! What a decision means for its environment: facts that are written in the same transaction, and what its end means for the project.
//! The machine itself does not read them back: gates and readers do.

use super::{Outcome, TurnReason};
use crate::event::EventKind;
use crate::gate::{About, Evidence, Finding, VERIFIED};
use crate::id::{Actor, DeploymentId, EnvName, EvidenceName, SliceIx};
use crate::model::ReleaseRef;
use crate::plan::{Kind, Plan, names};
use crate::time::Timestamp;

/// What follows from a decision for the environment: a success is evidence for the environments after it; a rollback, or a failed
/// health verdict, stops automatic promotion until somebody opens it again.
pub fn consequences(plan: &Plan, at: Timestamp, events: &[EventKind]) -> Vec<EventKind> {
    let of = |kind: &EventKind| match kind {
        EventKind::Ended {
            outcome: Outcome::Succeeded,
            strays,
            ..
        } => {
            let frozen = (plan.kind == Kind::Rollback).then(|| EventKind::AutomaticPromotionFrozen {
                reason: format!("rolled back to {}", plan.release.number),
            });
            let verified = EventKind::EvidenceGiven {
                evidence: verified(plan, at, strays),
            };
            [verified].into_iter().chain(frozen).collect()
        }
        EventKind::TurnedBack {
            reason: TurnReason::Unhealthy,
            ..
        } => vec![EventKind::AutomaticPromotionFrozen {
            reason: format!("{} was not healthy", plan.release.number),
        }],
        _ => Vec::new(),
    };
    events.iter().flat_map(of).collect()
}

/// What an ended deployment means for its release: a failed health verdict bars it from going forward anywhere. A host that could
/// not be reached does not. To be written once for each deployment: a bar that was lifted since stays lifted.
pub fn barred(
    deployment: &DeploymentId,
    release: ReleaseRef,
    environment: &EnvName,
    turned_back: Option<TurnReason>,
) -> Option<EventKind> {
    (turned_back == Some(TurnReason::Unhealthy)).then(|| EventKind::Yanked {
        release,
        reason: format!("not healthy in {environment}: deployment {}", deployment.short()),
    })
}

fn verified(plan: &Plan, at: Timestamp, left_out: &[SliceIx]) -> Evidence {
    let left_out: Vec<_> = left_out
        .iter()
        .map(|slice| plan.slice(*slice))
        .map(|slice| format!("{} {}", plan.service(slice.service).name, slice.name))
        .collect();
    let but = if left_out.is_empty() {
        String::new()
    } else {
        format!("; left out within the failure budget: {}", names(&left_out))
    };
    Evidence {
        name: EvidenceName::new(VERIFIED).expect("a fixed, legal name"),
        about: About::Digest(plan.release.digest),
        environment: Some(plan.environment.clone()),
        finding: Finding::Passed,
        by: Actor::new("deploy").expect("a fixed, legal name"),
        at,
        valid_until: None,
        run: None,
        note: format!("every slice was observed on the release and healthy{but}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{env, plan, release};
    use crate::plan::Base;

    fn types(kind: Kind, event: EventKind) -> Vec<String> {
        let plan = plan(kind, &env("staging"), release(2).to_ref(), &Base::Nothing);
        consequences(&plan, Timestamp(1), &[event])
            .iter()
            .map(|kind| {
                serde_json::to_value(kind).unwrap()["type"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn what_follows_from_an_end_and_from_a_verdict() {
        let ended = |outcome| EventKind::Ended {
            outcome,
            strays: Vec::new(),
            by: None,
        };
        let turned = |reason| EventKind::TurnedBack {
            reason,
            failure: None,
            due: Timestamp(2),
        };
        assert_eq!(types(Kind::Deploy, ended(Outcome::Succeeded)), ["evidence_given"]);
        assert_eq!(
            types(Kind::Rollback, ended(Outcome::Succeeded)),
            ["evidence_given", "automatic_promotion_frozen"]
        );
        assert!(types(Kind::Deploy, ended(Outcome::RolledBack)).is_empty());
        assert_eq!(
            types(Kind::Promote, turned(TurnReason::Unhealthy)),
            ["automatic_promotion_frozen"]
        );
        assert!(types(Kind::Promote, turned(TurnReason::Failed)).is_empty());
    }
}

//! What the runner needs of a deployment's events beyond the machine's small state: checkpoints, what runs where, and what follows
//! for the environment. A fold like every other; the machine never sees it.

use deploy_core::event::{Event, EventKind};
use deploy_core::gate::{About, Evidence, Finding};
use deploy_core::id::{Actor, EvidenceName, PlaceIx, SliceIx, UnitIx};
use deploy_core::machine::{Effect, Outcome, TurnReason, Work};
use deploy_core::plan::{Kind, Plan};
use deploy_core::port::target::{Adopt, Checkpoint, Runs};
use deploy_core::time::Timestamp;
use std::collections::BTreeMap;

/// The facts of one deployment.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What was last seen to run, by slice.
    pub runs: BTreeMap<SliceIx, Runs>,
    /// What a slice runs when it is on the release, as preparing said.
    pub will_be: BTreeMap<SliceIx, Runs>,
    /// The checkpoint of a slice's unit.
    pub checkpoints: BTreeMap<UnitIx, Checkpoint>,
    /// Whether other states' places may be taken.
    pub adopt: Option<Adopt>,
    /// Who asked for it.
    pub asked_by: Option<Actor>,
    /// When the first attempt began.
    pub began: Option<Timestamp>,
    /// Until when it bakes at the earliest.
    pub bakes_until: Option<Timestamp>,
    /// Why it turned back.
    pub turned_back: Option<TurnReason>,
    /// The unit of each slice.
    units: Vec<UnitIx>,
    /// The time of the event last taken.
    pub at: Option<Timestamp>,
}

impl Facts {
    /// Folds events.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut facts = Self::default();
        for event in events {
            facts.take(event);
        }
        facts
    }

    /// Takes the next event.
    pub fn take(&mut self, event: &Event) {
        self.at = Some(event.at);
        match &event.kind {
            EventKind::Requested { request } => {
                self.adopt = Some(request.adopt);
                self.asked_by = Some(request.actor.clone());
            }
            // Another plan has other indices.
            EventKind::Planned { plan, .. } => {
                self.units = plan.slices.iter().map(|slice| slice.unit).collect();
                self.runs.clear();
                self.will_be.clear();
                self.checkpoints.clear();
            }
            EventKind::AttemptBegun { .. } => {
                self.began.get_or_insert(event.at);
            }
            EventKind::Surveyed { runs, .. } => {
                for (at, runs) in (0u16..).zip(runs) {
                    if let Some(runs) = runs {
                        self.runs.insert(SliceIx(at), runs.clone());
                    }
                }
            }
            EventKind::SlicePrepared {
                slice,
                will_be,
                checkpoint,
                ..
            } => {
                self.will_be.insert(*slice, will_be.clone());
                if let Some(unit) = self.units.get(slice.at()) {
                    self.checkpoints.insert(*unit, checkpoint.clone());
                }
            }
            EventKind::SliceActivated { slice, runs, .. } | EventKind::SliceRestored { slice, runs } => {
                self.runs.insert(*slice, runs.clone());
            }
            EventKind::BakeBegun { until } => self.bakes_until = Some(*until),
            EventKind::TurnedBack { reason, .. } => self.turned_back = Some(*reason),
            _ => {}
        }
    }

    /// The checkpoint of a slice's unit.
    pub fn checkpoint(&self, plan: &Plan, slice: SliceIx) -> Option<&Checkpoint> {
        self.checkpoints.get(&plan.slice(slice).unit)
    }

    /// What a slice runs when it has not moved: its checkpoint's, before there is one what the plan saw.
    pub fn old<'a>(&'a self, plan: &'a Plan, slice: SliceIx) -> &'a Runs {
        self.checkpoint(plan, slice)
            .map_or(&plan.slice(slice).now, |checkpoint| &checkpoint.was)
    }

    /// What follows from a decision for the environment, in the same transaction.
    pub fn consequences(&self, plan: &Plan, at: Timestamp, events: &[EventKind]) -> Vec<EventKind> {
        let mut consequences = Vec::new();
        for kind in events {
            match kind {
                EventKind::Ended {
                    outcome: Outcome::Succeeded,
                    ..
                } => {
                    consequences.push(EventKind::EvidenceGiven {
                        evidence: verified(plan, at),
                    });
                    if plan.kind == Kind::Rollback {
                        consequences.push(EventKind::AutomaticPromotionFrozen {
                            reason: format!("rolled back to {}", plan.release.number),
                        });
                    }
                }
                EventKind::TurnedBack {
                    reason: TurnReason::Unhealthy,
                    ..
                } => {
                    consequences.push(EventKind::AutomaticPromotionFrozen {
                        reason: format!("{} was not healthy", plan.release.number),
                    });
                }
                _ => {}
            }
        }
        consequences
    }

    /// What a driver is doing, for whoever is told that it holds the lease.
    pub fn step_word(&self, plan: &Plan, outstanding: &[Effect]) -> String {
        let name = |slice: SliceIx| plan.slice(slice).name.to_string();
        let place = |place: PlaceIx| plan.places[place.at()].to_string();
        let word = outstanding.first().map_or_else(
            || "pausing".to_owned(),
            |effect| match effect.work {
                Work::Judge => "judging the gates".to_owned(),
                Work::Claim(at) => format!("claiming {}", place(at)),
                Work::Survey | Work::Look => "looking at every slice".to_owned(),
                Work::Prepare(slice) => format!("preparing {}", name(slice)),
                Work::Activate(slice) => format!("activating {}", name(slice)),
                Work::Verify(slice) => format!("verifying {}", name(slice)),
                Work::KeepArmed | Work::Watch => "watching".to_owned(),
                Work::Confirm(slice) => format!("confirming {}", name(slice)),
                Work::Bake => "baking".to_owned(),
                Work::Finish(at) => format!("finishing {}", place(at)),
                Work::Restore(slice) => format!("putting {} back", name(slice)),
                Work::VerifyOld(slice) => format!("verifying that {} is back", name(slice)),
                Work::Reach => "waiting for what cannot be reached".to_owned(),
                Work::Release(at) => format!("releasing {}", place(at)),
            },
        );
        format!("{} → {}: {word}", plan.release.number, plan.environment)
    }
}

fn verified(plan: &Plan, at: Timestamp) -> Evidence {
    Evidence {
        name: EvidenceName::new("verified").expect("a fixed, legal name"),
        about: About::Digest(plan.release.digest),
        environment: Some(plan.environment.clone()),
        finding: Finding::Passed,
        by: Actor::new("deploy").expect("a fixed, legal name"),
        at,
        valid_until: None,
        run: None,
        note: "every slice was observed on the release and healthy".to_owned(),
    }
}

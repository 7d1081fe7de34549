//! What the runner needs of a deployment's events beyond the machine's small state: checkpoints, what runs where, what a step said
//! of which it is not known what came of it. A fold like every other; the machine never sees it.

use super::wiring::Eyes;
use deploy_core::event::{Event, EventKind};
use deploy_core::failure::Failure;
use deploy_core::id::{PlaceIx, ServiceName, SliceIx, SliceName, UnitIx};
use deploy_core::machine::{Effect, Work};
use deploy_core::plan::{Plan, PlannedSlice};
use deploy_core::port::target::{Adopt, Checkpoint, Runs};
use deploy_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

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
    /// Until when it bakes at the earliest.
    pub bakes_until: Option<Timestamp>,
    /// What a step on a slice said whose outcome is not known yet, by slice: why it is looked at again.
    pub suspicions: BTreeMap<SliceIx, Failure>,
    /// Slices that this deployment stopped, or was about to: that nothing runs there is its own doing.
    pub stopping: BTreeSet<SliceIx>,
    /// The slices' names, with their services'.
    names: Vec<(ServiceName, SliceName)>,
    /// The unit of each slice.
    units: Vec<UnitIx>,
}

impl Facts {
    /// How a slice is looked at: as what stays, where the release changes nothing about it.
    pub(super) fn turned(&self, plan: &Plan, slice: SliceIx, eyes: Eyes) -> Eyes {
        let will_be = self.will_be.get(&slice);
        if will_be.is_some_and(|will_be| will_be.is_same(self.old(plan, slice))) {
            eyes.of_what_stays()
        } else {
            eyes
        }
    }

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
        match &event.kind {
            EventKind::Requested { request } => self.adopt = Some(request.adopt),
            // Another plan has other indices.
            EventKind::Planned { plan, .. } => {
                let named =
                    |slice: &PlannedSlice| (plan.service(slice.service).name.clone(), slice.name.clone());
                self.names = plan.slices.iter().map(named).collect();
                self.suspicions.clear();
                self.stopping.clear();
                self.units = plan.slices.iter().map(|slice| slice.unit).collect();
                self.runs.clear();
                self.will_be.clear();
                self.checkpoints.clear();
            }
            EventKind::AttemptBegun { because, .. } => {
                if let Some(because) = because
                    && let Some(slice) = self.slice_of(because)
                {
                    self.suspicions.insert(slice, because.clone());
                }
            }
            EventKind::SliceVerified { slice, .. } => {
                self.suspicions.remove(slice);
            }
            EventKind::ExclusionIntended { slice } => {
                self.stopping.insert(*slice);
            }
            EventKind::SliceExcluded { slice, .. } => {
                self.suspicions.remove(slice);
                self.runs.insert(*slice, Runs::Nothing);
            }
            EventKind::SliceRestored { slice, runs } => {
                self.stopping.remove(slice);
                self.suspicions.remove(slice);
                self.runs.insert(*slice, runs.clone());
            }
            EventKind::Surveyed { runs, .. } => {
                for (at, runs) in (0u16..).zip(runs) {
                    if let Some(runs) = runs {
                        self.runs.insert(SliceIx(at), runs.clone());
                    }
                }
            }
            EventKind::BakeBegun { until } => self.bakes_until = Some(*until),
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
            EventKind::SliceActivated { slice, runs, .. } => {
                self.runs.insert(*slice, runs.clone());
            }
            _ => {}
        }
    }

    /// The slice that a failure names.
    fn slice_of(&self, failure: &Failure) -> Option<SliceIx> {
        let (service, slice) = (failure.service.as_ref()?, failure.slice.as_ref()?);
        let names = (0u16..).zip(&self.names);
        let mut found = names.filter(|(_, (of, name))| of == service && name == slice);
        found.next().map(|(at, _)| SliceIx(at))
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
                Work::Stop(slice) => format!("stopping {}", name(slice)),
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

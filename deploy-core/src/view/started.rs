//! As what each slice was started: with those facts its processes answer, also when later releases leave the slice as it is, and when
//! its release is called otherwise later.

use super::{DeploymentView, EnvironmentView, Running, SliceView};
use crate::event::EventKind;
use crate::id::{DeploymentId, ServiceName, SliceName};
use crate::machine::Outcome;
use crate::model::ReleaseRef;
use crate::port::target::Runs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// As what a slice was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedAs {
    /// The release of the deployment that moved it.
    pub release: ReleaseRef,
    /// What that release was called then.
    pub version: Option<String>,
    /// What was seen to run then. Where something else runs by now, it was not started as this.
    pub runs: Option<Runs>,
}

impl StartedAs {
    /// Whether what runs may have been started as this.
    pub fn fits(&self, runs: Option<&Runs>) -> bool {
        match (&self.runs, runs) {
            (Some(then), Some(now)) => then.is_same(now),
            (None, _) | (_, None) => true,
        }
    }
}

/// As what a slice was started last, and before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Started {
    now: StartedAs,
    /// By which deployment.
    by: DeploymentId,
    /// What it is again when that deployment, or the place by itself, puts it back.
    before: Option<StartedAs>,
}

/// By service and slice.
pub(super) type StartedSlices = BTreeMap<ServiceName, BTreeMap<SliceName, Started>>;

impl EnvironmentView {
    /// As what each slice may have been started, the likeliest first: the one that fits what runs there is it. For a deployment: before
    /// it moved any.
    pub fn started(
        &self,
        before: Option<&DeploymentId>,
    ) -> BTreeMap<(&ServiceName, &SliceName), Vec<&StartedAs>> {
        let slices = self.started.iter().flat_map(|(service, slices)| {
            slices
                .iter()
                .map(move |(slice, started)| ((service, slice), started))
        });
        slices
            .map(|(name, started)| {
                let now = (before != Some(&started.by)).then_some(&started.now);
                (name, now.into_iter().chain(&started.before).collect())
            })
            .collect()
    }

    /// Follows what a deployment starts and puts back.
    pub(super) fn start(&mut self, view: &DeploymentView, kind: &EventKind) {
        match kind {
            EventKind::SliceActivated { slice, .. } | EventKind::SliceVerified { slice, .. } => {
                if let Some(slice) = view.slices.get(slice.at()).filter(|slice| is_moved(slice)) {
                    self.started_by(view, slice);
                }
            }
            // A kill may fall between the switch and its event: what was to be moved and is seen there has been started, and what is
            // seen to be as before was put back.
            EventKind::Surveyed { .. } => {
                for slice in view
                    .slices
                    .iter()
                    .filter(|slice| slice.touched && is_moved(slice))
                {
                    match slice.running {
                        Running::New => self.started_by(view, slice),
                        Running::Old => self.put_back(view, slice),
                        Running::Excluded | Running::Other | Running::Unknown => {}
                    }
                }
            }
            EventKind::Ended { outcome, .. } => {
                let back = match outcome {
                    Outcome::RolledBack => |_: Running| true,
                    Outcome::NeedsHuman => |running: Running| running == Running::Old,
                    _ => return,
                };
                for slice in view.slices.iter().filter(|slice| back(slice.running)) {
                    self.put_back(view, slice);
                }
            }
            _ => {}
        }
    }

    fn started_by(&mut self, view: &DeploymentView, slice: &SliceView) {
        let (Some(release), Some(request)) = (view.release(), &view.request) else {
            return;
        };
        let now = StartedAs {
            release,
            version: request.options.version.clone(),
            runs: slice.runs.clone(),
        };
        let slices = self.started.entry(slice.service.clone()).or_default();
        let before = match slices.remove(&slice.slice) {
            // Moved twice by one deployment, it is still what came before that is put back.
            Some(known) if known.by == view.id => known.before,
            // A revert that nobody followed may have put back what was before that: what was found there tells.
            known => known.and_then(|known| {
                let was = slice.checkpoint.as_ref().map(|checkpoint| &checkpoint.was);
                let mut likely = [Some(known.now), known.before].into_iter().flatten();
                likely.find(|started| started.fits(was))
            }),
        };
        let by = view.id.clone();
        slices.insert(slice.slice.clone(), Started { now, by, before });
    }

    fn put_back(&mut self, view: &DeploymentView, slice: &SliceView) {
        let Some(slices) = self.started.get_mut(&slice.service) else {
            return;
        };
        let Some(started) = slices
            .get_mut(&slice.slice)
            .filter(|started| started.by == view.id)
        else {
            return;
        };
        match &started.before {
            Some(before) => started.now = before.clone(),
            // What was there before was not started by us.
            None => {
                slices.remove(&slice.slice);
            }
        }
    }
}

/// Whether its deployment brings something else there than what runs.
fn is_moved(slice: &SliceView) -> bool {
    slice.changes == Some(true)
}

//! As which release each slice was started: with its facts its processes answer, also when later releases leave the slice as it is.

use super::{DeploymentView, EnvironmentView, Running};
use crate::event::EventKind;
use crate::id::{DeploymentId, ServiceName, SliceName};
use crate::machine::Outcome;
use crate::model::ReleaseRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// As which release a slice was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Started {
    /// The release of the deployment that moved it last.
    release: ReleaseRef,
    /// That deployment.
    by: DeploymentId,
    /// The release before, which it is again when that deployment puts it back.
    before: Option<ReleaseRef>,
}

/// By service and slice.
pub(super) type StartedSlices = BTreeMap<ServiceName, BTreeMap<SliceName, Started>>;

impl EnvironmentView {
    /// As which release each slice was started; for a deployment, before it moved any.
    pub fn started(&self, before: Option<&DeploymentId>) -> BTreeMap<(&ServiceName, &SliceName), ReleaseRef> {
        let slices = self.started.iter().flat_map(|(service, slices)| {
            slices
                .iter()
                .map(move |(slice, started)| ((service, slice), started))
        });
        slices
            .filter_map(|(name, started)| {
                let release = if before == Some(&started.by) {
                    started.before?
                } else {
                    started.release
                };
                Some((name, release))
            })
            .collect()
    }

    /// Follows what a deployment starts and puts back.
    pub(super) fn start(&mut self, view: &DeploymentView, kind: &EventKind) {
        let Some(release) = view.release() else { return };
        match kind {
            EventKind::SliceActivated { slice, .. } => {
                let Some(slice) = view
                    .slices
                    .get(slice.at())
                    .filter(|slice| slice.changes == Some(true))
                else {
                    return;
                };
                let slices = self.started.entry(slice.service.clone()).or_default();
                let known = slices.remove(&slice.slice);
                let before = match known {
                    // Moved twice by one deployment, it is still what came before that is put back.
                    Some(known) if known.by == view.id => known.before,
                    known => known.map(|known| known.release),
                };
                let by = view.id.clone();
                slices.insert(slice.slice.clone(), Started { release, by, before });
            }
            EventKind::Ended { outcome, .. } => {
                let back = match outcome {
                    Outcome::RolledBack => |_: Running| true,
                    Outcome::NeedsHuman => |running: Running| running == Running::Old,
                    _ => return,
                };
                for slice in view.slices.iter().filter(|slice| back(slice.running)) {
                    let slices = self.started.get_mut(&slice.service);
                    let Some(started) = slices.and_then(|slices| slices.get_mut(&slice.slice)) else {
                        continue;
                    };
                    if let Some(before) = started.before.filter(|_| started.by == view.id) {
                        started.release = before;
                    }
                }
            }
            _ => {}
        }
    }
}

//! What the slices of an environment ran when they were last looked at, whoever looked.

use super::deployment::DeploymentView;
use super::environment::EnvironmentView;
use super::phase::Phase;
use super::slice::{Running, in_words};
use crate::event::{Event, EventKind};
use crate::id::{DeploymentId, ServiceName};
use crate::machine::Outcome;
use crate::model::ReleaseRef;
use crate::plan::Change;
use crate::port::target::{HealthSeen, Runs};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a slice ran when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Its target's kind.
    pub target: String,
    /// What runs, relative to the deployment that looked.
    pub running: Running,
    /// What runs.
    pub runs: Option<Runs>,
    /// The release that runs, where that is known.
    pub release: Option<ReleaseRef>,
    /// What of it is not as it was put there, where somebody looked inside since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<String>,
    /// Where it answers, where that is not always the same and somebody looked since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// Health.
    pub health: HealthSeen,
    /// When it was looked at.
    pub at: Timestamp,
    /// By which deployment; `None`: by somebody who only looked.
    pub deployment: Option<DeploymentId>,
}

impl Observed {
    /// What runs, in words.
    pub(super) fn in_words(&self) -> String {
        match (&self.runs, self.release, &self.deployment) {
            // Nobody has ever deployed here: `what ran before` would say nothing.
            (Some(Runs::Release { .. }), None, None) => "something that deploy did not put there".to_owned(),
            (runs, release, _) => in_words(self.running, release, runs.as_ref()),
        }
    }
}

impl EnvironmentView {
    /// It went back whole, which was observed: what a slice runs is the base again, also where both releases have the same content,
    /// and where that content came with an earlier one.
    fn all_back(&mut self, view: &DeploymentView) {
        let Some(base) = view.previous() else { return };
        for slice in &view.slices {
            let of_service = self.observed.get_mut(&slice.service);
            let seen = of_service.and_then(|slices| slices.get_mut(&slice.slice));
            if let Some(seen) = seen
                && matches!(seen.runs, Some(Runs::Release { .. }))
                && matches!(seen.running, Running::Old | Running::New)
            {
                seen.release = Some(base);
            }
        }
    }

    /// The commit point, or its turning back, changes what a slice is called that the deployment leaves alone: nobody looked at it
    /// just now.
    fn called_anew(&mut self, view: &DeploymentView) {
        for slice in &view.slices {
            let of_service = self.observed.get_mut(&slice.service);
            let seen = of_service.and_then(|slices| slices.get_mut(&slice.slice));
            if let Some(seen) = seen
                && seen.deployment.as_ref() == Some(&view.id)
            {
                seen.running = slice.running;
                seen.release = slice.release;
            }
        }
    }

    pub(super) fn observe(&mut self, view: &DeploymentView, event: &Event) {
        if matches!(event.kind, EventKind::Committed | EventKind::TurnedBack { .. }) {
            self.called_anew(view);
        }
        if let EventKind::FinishBegun = event.kind {
            for service in view.plan.iter().flat_map(|plan| &plan.services) {
                if service.change == Change::Remove {
                    self.observed.remove(&service.name);
                }
            }
            return;
        }
        if let EventKind::Ended {
            outcome: Outcome::RolledBack,
            ..
        } = event.kind
        {
            self.all_back(view);
            return;
        }
        let removed = |name: &ServiceName| {
            view.phase() == Phase::Finishing
                && view
                    .plan
                    .iter()
                    .flat_map(|plan| &plan.services)
                    .any(|service| service.change == Change::Remove && service.name == *name)
        };
        for slice in view.slices.iter().filter(|slice| slice.seen_at == Some(event.at)) {
            if removed(&slice.service) {
                continue;
            }
            let seen = Observed {
                target: slice.target.clone(),
                running: slice.running,
                runs: slice.runs.clone(),
                release: slice.release,
                edited: Vec::new(),
                answers: None,
                health: slice.health,
                at: event.at,
                deployment: Some(view.id.clone()),
            };
            let of_service = self.observed.entry(slice.service.clone()).or_default();
            of_service.insert(slice.slice.clone(), seen);
        }
    }
}

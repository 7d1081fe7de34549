//! What the events of a deployment do to its slices, and which of them are astray at its end.

use super::deployment::DeploymentView;
use super::phase::Phase;
use super::slice::{Progress, Running, SliceView, Stage, Stray};
use super::way_back::out;
use crate::event::{Event, EventKind};
use crate::failure::{Code, Failure};
use crate::id::SliceIx;
use crate::machine::{TurnReason, Verb};
use crate::model::ReleaseRef;
use crate::plan::{Change, Kind, Plan, PlannedSlice};
use crate::port::target::{HealthSeen, Runs};
use crate::time::Timestamp;

impl SliceView {
    pub(super) fn planned(plan: &Plan, slice: &PlannedSlice, base: Option<ReleaseRef>) -> Self {
        let service = plan.service(slice.service);
        let was = match &slice.now {
            // The target names the release that brought this content first; the base is what was verified here last.
            Runs::Release { release, .. } => base.or(*release),
            Runs::Nothing => None,
        };
        Self {
            service: service.name.clone(),
            target: service.target.clone(),
            slice: slice.name.clone(),
            place: slice.place,
            running: Running::Old,
            runs: Some(slice.now.clone()),
            release: was,
            was,
            progress: Progress::Waiting,
            will_be: None,
            checkpoint: None,
            changes: (service.change != Change::Move).then_some(false),
            health: HealthSeen::Unknown,
            note: None,
            armed: false,
            touched: false,
            failed_step: None,
            failure: None,
            seen_at: None,
            began_at: None,
            verified_at: None,
        }
    }
}

impl DeploymentView {
    pub(super) fn apply_slices(&mut self, event: &Event) {
        let Some(to) = self.plan.as_ref().map(|plan| plan.release) else {
            return;
        };
        let at = event.at;
        let slice = |ix: &SliceIx| ix.at();
        let uncommitted = matches!(self.step(), Phase::Activating | Phase::Verified);
        let stage = self.stage();
        match &event.kind {
            EventKind::Surveyed { seen, runs } => {
                let none = None;
                for (at_slice, (view, sight)) in self.slices.iter_mut().zip(seen).enumerate() {
                    let runs = runs.get(at_slice).unwrap_or(&none);
                    view.sighted(*sight, runs.as_ref(), to, stage, at);
                    // Before the commit point a new attempt believes nothing: what was verified is verified again.
                    if uncommitted && view.progress == Progress::Verified {
                        view.progress = Progress::Verifying;
                    }
                }
            }
            EventKind::SlicePrepared {
                slice: ix,
                checkpoint,
                will_be,
                changes,
                note: _,
            } => {
                if let Some(view) = self.slices.get_mut(slice(ix)) {
                    view.checkpoint.get_or_insert_with(|| checkpoint.clone());
                    view.will_be = Some(will_be.clone());
                    view.changes = Some(*changes);
                    view.progress = Progress::Prepared;
                }
            }
            EventKind::BatchIntended { slices } => {
                let plan = self.plan.as_deref();
                let arms = |ix: SliceIx| {
                    plan.is_some_and(|plan| plan.service(plan.slice(ix).service).abilities.arms)
                };
                for ix in slices {
                    let arms = arms(*ix);
                    if let Some(view) = self.slices.get_mut(slice(ix)) {
                        view.touched = true;
                        view.armed = arms;
                        view.running = Running::Unknown;
                        view.health = HealthSeen::Unknown;
                        view.progress = Progress::Activating;
                        view.began_at.get_or_insert(at);
                    }
                }
            }
            EventKind::RestoreIntended { slices } => {
                for ix in slices {
                    if let Some(view) = self.slices.get_mut(slice(ix)) {
                        view.running = Running::Unknown;
                        view.health = HealthSeen::Unknown;
                        view.progress = Progress::Restoring;
                    }
                }
            }
            EventKind::SliceActivated {
                slice: ix,
                runs,
                armed,
            } => self.at_slice(*ix, at, |view| {
                view.running = Running::New;
                view.runs(runs, to);
                view.armed = *armed;
                view.progress = Progress::Verifying;
            }),
            EventKind::SliceVerified {
                slice: ix,
                health,
                note,
            } => self.at_slice(*ix, at, |view| {
                if !view.is_left_alone() {
                    view.running = Running::New;
                    view.release = view.release.or(Some(to));
                }
                // Where nobody looked, nobody has seen that it is well.
                view.health = *health;
                view.note = Some(note.clone());
                view.progress = Progress::Verified;
                view.verified_at = Some(at);
            }),
            EventKind::ExclusionIntended { slice: ix } => self.at_slice(*ix, at, |view| {
                view.running = Running::Unknown;
                view.progress = Progress::Stopping;
            }),
            EventKind::SliceExcluded { slice: ix, note } => self.at_slice(*ix, at, |view| {
                view.running = Running::Excluded;
                view.release = None;
                view.runs = Some(Runs::Nothing);
                view.health = HealthSeen::Stopped;
                view.armed = false;
                view.note = Some(note.clone());
                view.progress = Progress::Excluded;
            }),
            EventKind::Committed => self.call_what_is_left_alone(to, Stage::Committed),
            EventKind::TurnedBack { .. } => self.call_what_is_left_alone(to, Stage::Back),
            EventKind::SliceConfirmed { slice: ix } => self.at_slice(*ix, at, |view| {
                view.armed = false;
                if view.progress == Progress::Verified {
                    view.progress = Progress::Confirmed;
                }
            }),
            EventKind::SliceFailed {
                slice: ix,
                step,
                how,
                failure,
            } => {
                let failure = self.located(*ix, Some(*step), failure);
                self.at_slice(*ix, at, |view| view.failed(*step, *how, &failure, at));
            }
            EventKind::SliceRestored { slice: ix, runs } => self.at_slice(*ix, at, |view| {
                view.running = Running::Old;
                view.runs(runs, to);
                view.armed = false;
                view.progress = Progress::Restored;
            }),
            EventKind::SliceBack {
                slice: ix,
                health,
                note,
            } => self.at_slice(*ix, at, |view| {
                view.running = Running::Old;
                view.note = Some(note.clone());
                view.health = match view.checkpoint.as_ref().map(|checkpoint| checkpoint.health) {
                    Some(was @ (HealthSeen::Unhealthy | HealthSeen::Stopped)) => was,
                    _ => *health,
                };
                view.progress = Progress::Back;
                view.verified_at = Some(at);
            }),
            EventKind::SliceUnknown { slice: ix, failure } => {
                let failure = self.located(*ix, None, failure);
                self.at_slice(*ix, at, |view| {
                    view.running = Running::Unknown;
                    view.release = None;
                    view.health = HealthSeen::Unknown;
                    view.failure = Some(failure);
                    view.progress = Progress::Unknown;
                });
            }
            EventKind::SliceOvertaken { slice: ix } => self.at_slice(*ix, at, |view| {
                view.running = Running::Other;
                view.release = None;
                view.progress = Progress::Overtaken;
            }),
            _ => {}
        }
    }

    /// What the release does not change is called the release when all of it is there, and what it was before when it turns back.
    fn call_what_is_left_alone(&mut self, to: ReleaseRef, stage: Stage) {
        let Some(plan) = self.plan.as_deref() else { return };
        let stays = |slice: &SliceView| {
            plan.services
                .iter()
                .any(|service| service.name == slice.service && service.change != Change::Remove)
        };
        for view in self.slices.iter_mut().filter(|slice| stays(slice)) {
            if view.is_left_alone() && matches!(view.running, Running::Old | Running::New) {
                view.running = stage.left_alone();
                view.release = view.meant(to).filter(|_| view.runs != Some(Runs::Nothing));
            }
        }
    }

    fn at_slice(&mut self, ix: SliceIx, at: Timestamp, change: impl FnOnce(&mut SliceView)) {
        if let Some(view) = self.slices.get_mut(ix.at()) {
            view.seen_at = Some(at);
            change(view);
        }
    }

    pub(super) fn all_settled(&self) -> bool {
        self.slices.iter().all(SliceView::is_settled)
    }

    /// A failure with its slice and phase, where it does not name them itself.
    pub(super) fn located(&self, ix: SliceIx, step: Option<Verb>, failure: &Failure) -> Failure {
        let mut failure = failure.clone();
        if let Some(view) = self.slices.get(ix.at()) {
            failure.service.get_or_insert_with(|| view.service.clone());
            failure.slice.get_or_insert_with(|| view.slice.clone());
        }
        failure
            .phase
            .get_or_insert_with(|| step.map_or(self.step().as_str(), doing).to_owned());
        failure
    }

    pub(super) fn stray(&self, ix: SliceIx, ended: Timestamp) -> Option<Stray> {
        let view = self.slices.get(ix.at())?;
        let plan = self.plan.as_deref()?;
        let environment = &plan.environment;
        let kept_out = plan
            .slices
            .get(ix.at())
            .and_then(|slice| self.kept_out.get(&slice.place));
        let why = match (kept_out.or(view.failure.as_ref()), view.progress) {
            (_, Progress::Overtaken) => "somebody else changed what runs there".to_owned(),
            (Some(failure), Progress::Excluded) => {
                format!("it failed, was stopped and is left out: {}", failure.message)
            }
            (Some(failure), _) => failure.message.clone(),
            (None, _) if view.running == Running::Unknown && view.seen_at.is_some() => {
                "it could not be looked at".to_owned()
            }
            (None, Progress::Waiting | Progress::Prepared) => "its turn never came".to_owned(),
            (None, Progress::Verified | Progress::Confirmed | Progress::Verifying) => {
                "it is still on the new release".to_owned()
            }
            (None, _) => "what became of it was not learned in time".to_owned(),
        };
        let back = match plan.kind {
            Kind::Rollback => Some(plan.release.number),
            Kind::Deploy | Kind::Promote => self.previous().map(|release| release.number),
        };
        // What follows from a failed health verdict: see `consequences::barred`.
        let barred = (self.turned_back == Some(TurnReason::Unhealthy)).then_some(plan.release.number);
        let mut next = out(environment, back, Some(plan.kind), barred);
        if matches!(&view.failure, Some(failure) if matches!(failure.code, Code::Fenced | Code::ClaimForeign))
        {
            next.push_str(" --adopt");
        }
        if view.progress == Progress::Excluded && self.turned_back.is_none() {
            next = again(plan);
        }
        if view.running == Running::Unknown {
            // What cannot be reached has to be reached first.
            let between = if next.starts_with("deploy ") { " &&" } else { ";" };
            next = format!("deploy doctor -e {environment}{between} {next}");
        }
        Some(Stray {
            service: view.service.clone(),
            slice: view.slice.clone(),
            runs: view.runs_in_words(),
            why,
            next,
            // No arming outlives the longer of both limits: it is renewed only while this deployment runs.
            may_change_until: view
                .armed
                .then(|| ended.after(plan.limits.activation.max(plan.limits.going_back))),
        })
    }
}

/// The command that brings a release to where it was left out.
fn again(plan: &Plan) -> String {
    let Plan {
        environment, release, ..
    } = plan;
    match plan.kind {
        Kind::Promote => format!("deploy promote -e {environment} --release {}", release.number),
        Kind::Deploy | Kind::Rollback => format!("deploy up -e {environment}"),
    }
}

/// A step, as what was being done.
const fn doing(step: Verb) -> &'static str {
    match step {
        Verb::Prepare => "preparing",
        Verb::Activate => "activating",
        Verb::Verify | Verb::Look => "verifying",
        Verb::Stop => "stopping",
        Verb::Watch => "watching",
        Verb::Confirm => "confirming",
        Verb::Bake => "baking",
        Verb::Restore | Verb::VerifyOld => "restoring",
        Verb::Finish => "finishing",
    }
}

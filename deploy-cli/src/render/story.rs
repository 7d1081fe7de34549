//! The story of one deployment: its events → lines, one after the other. The same for live, stored and tested events; it reads
//! nothing else. What stands at the end is in [`super::closing`].

use super::line::{Columns, Line, Mark};
use super::{span, word};
use crate::console::Loudness;
use deploy_core::event::{AttemptReason, Event, EventKind};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{ReleaseNumber, SliceIx};
use deploy_core::machine::{Ask, TurnReason, Verb};
use deploy_core::model::Release;
use deploy_core::plan::{Base, Plan, header};
use deploy_core::port::target::HealthSeen;
use deploy_core::time::Timestamp;
use deploy_core::view::DeploymentView;
use deploy_core::view::slice::Progress;
use std::collections::{BTreeMap, BTreeSet};

/// The fold over events that knows what was said already.
#[derive(Debug)]
pub(crate) struct Story {
    loudness: Loudness,
    narrow: bool,
    release: Option<Release>,
    pub(super) view: Option<DeploymentView>,
    /// When the step that a slice is at began.
    began: BTreeMap<SliceIx, Timestamp>,
    moved: BTreeSet<SliceIx>,
    waited: Option<(Timestamp, String)>,
    pub(super) now: Vec<String>,
}

impl Story {
    /// A story that has not begun. `narrow`: the terminal has no room for columns.
    pub(crate) fn new(loudness: Loudness, narrow: bool) -> Self {
        Self {
            loudness,
            narrow,
            release: None,
            view: None,
            began: BTreeMap::new(),
            moved: BTreeSet::new(),
            waited: None,
            now: Vec::new(),
        }
    }

    /// The release, whose commit the first line names; before the plan's event.
    pub(crate) fn about(&mut self, release: Option<Release>) {
        self.release = release;
    }

    /// What is known of the deployment so far.
    pub(crate) fn view(&self) -> Option<&DeploymentView> {
        self.view.as_ref()
    }

    /// How much is said.
    pub(crate) fn loudness(&self) -> Loudness {
        self.loudness
    }

    fn is_quiet(&self) -> bool {
        self.loudness == Loudness::Quiet
    }

    /// How wide the columns are, by the plan in force.
    pub(crate) fn columns(&self) -> Columns {
        let wide = Columns {
            narrow: self.narrow,
            ..Columns::default()
        };
        let Some(plan) = self.plan() else { return wide };
        let service = plan
            .services
            .iter()
            .map(|service| service.name.as_str().len())
            .max();
        let slice = plan.slices.iter().map(|slice| slice.name.as_str().len()).max();
        Columns {
            service: service.unwrap_or(0).clamp(wide.service, 24),
            slice: slice.unwrap_or(0).clamp(wide.slice, 24),
            ..wide
        }
    }

    fn plan(&self) -> Option<&Plan> {
        self.view.as_ref()?.plan.as_deref()
    }

    /// Takes the next event; the lines it is worth. Events of other deployments are worth none.
    pub(crate) fn on(&mut self, event: &Event) -> Vec<Line> {
        if let Some(id) = &event.deployment {
            let view = self
                .view
                .get_or_insert_with(|| DeploymentView::new(id.clone(), event.at));
            if view.id != *id {
                return Vec::new();
            }
            let planned_before = view.plan_digest;
            view.apply(event);
            if let EventKind::Planned { digest, .. } = &event.kind {
                self.began.clear();
                self.moved.clear();
                return self.planned(
                    planned_before.is_some_and(|before| before != *digest),
                    planned_before.is_none(),
                );
            }
        }
        let lines = self.lines(event);
        if self.is_quiet() { Vec::new() } else { lines }
    }

    fn planned(&self, again: bool, first: bool) -> Vec<Line> {
        match self.plan() {
            Some(plan) if first => vec![Line::Head(header(plan, self.release.as_ref()))],
            Some(_) if again && !self.is_quiet() => {
                vec![step(
                    Mark::Warn,
                    "planned again: something changed; earlier approvals do not count",
                )]
            }
            _ => Vec::new(),
        }
    }

    fn lines(&mut self, event: &Event) -> Vec<Line> {
        let verbose = self.loudness >= Loudness::Verbose;
        match &event.kind {
            EventKind::Waiting { unmet } => {
                let gates: BTreeSet<String> = unmet.iter().map(|unmet| word(&unmet.gate)).collect();
                let gates: Vec<String> = gates.into_iter().collect();
                self.waited.get_or_insert_with(|| (event.at, gates.join(", ")));
                Vec::new()
            }
            EventKind::Gated { .. } => match self.waited.take() {
                Some((since, gates)) => {
                    vec![step(
                        Mark::Wait,
                        format!("waited {} for {gates}", span(event.at.since(since))),
                    )]
                }
                None => Vec::new(),
            },
            EventKind::ApprovalGiven { approval } => {
                vec![step(
                    Mark::Note,
                    because(format!("approved by {}", approval.by), approval.reason.as_deref()),
                )]
            }
            EventKind::ApprovalRejected { by, reason } => {
                vec![step(
                    Mark::Bad,
                    because(format!("rejected by {by}"), reason.as_deref()),
                )]
            }
            EventKind::AttemptBegun {
                reason,
                driver,
                because,
                ..
            } => {
                let who = driver
                    .as_ref()
                    .map_or("another process", |driver| driver.who.as_str());
                match reason {
                    AttemptReason::Start | AttemptReason::TurnedBack => Vec::new(),
                    AttemptReason::Takeover => vec![step(Mark::Warn, format!("taken up again by {who}"))],
                    AttemptReason::UnknownOutcome if because.is_some() => because
                        .as_ref()
                        .map_or_else(Vec::new, |because| self.looks_again(because)),
                    AttemptReason::UnknownOutcome => {
                        vec![step(
                            Mark::Warn,
                            "the outcome of a step is unknown: looking, then trying again",
                        )]
                    }
                    AttemptReason::Reachable if self.was_reached() => {
                        vec![step(Mark::Note, "trying again")]
                    }
                    AttemptReason::Reachable => vec![step(Mark::Note, "can be reached again: going on")],
                    AttemptReason::Fenced => {
                        vec![step(
                            Mark::Warn,
                            "a place has a newer claim, or went back by itself: looking again",
                        )]
                    }
                }
            }
            EventKind::Claimed {
                place,
                adopted: Some(store),
                ..
            } => {
                let place = self
                    .plan()
                    .and_then(|plan| plan.places.get(place.at()))
                    .map(ToString::to_string);
                let place = place.unwrap_or_default();
                vec![step(
                    Mark::Warn,
                    format!("{place} was another state's ({store}); taken over as asked"),
                )]
            }
            EventKind::ClaimFailed { failure, .. } => failed(String::new(), String::new(), failure, None),
            EventKind::PlanOutdated => {
                vec![step(
                    Mark::Warn,
                    "something else runs than when it was planned: planning again",
                )]
            }
            EventKind::SlicePrepared {
                slice,
                note: Some(note),
                ..
            } => vec![self.slice(Mark::Warn, *slice, note, None)],
            EventKind::SlicePrepared { slice, changes, .. } if verbose => {
                let note = if *changes {
                    "prepared"
                } else {
                    "prepared: nothing to change"
                };
                vec![self.slice(Mark::Note, *slice, note, None)]
            }
            EventKind::BatchIntended { slices } | EventKind::RestoreIntended { slices } => {
                for slice in slices {
                    self.began.insert(*slice, event.at);
                    self.moved.insert(*slice);
                }
                Vec::new()
            }
            EventKind::SliceActivated { slice, .. } if verbose => {
                vec![self.slice(Mark::Note, *slice, "switched, not yet verified", None)]
            }
            EventKind::SliceVerified { slice, health, note } => {
                let moved = self.moved.contains(slice);
                let note = match self.plan() {
                    Some(plan) if moved => serves(plan.release.number, *health, note),
                    _ => format!("unchanged, {note}"),
                };
                vec![self.slice(Mark::Good, *slice, note, Some(event.at))]
            }
            EventKind::SliceFailed {
                slice, step, failure, ..
            } => self.failed_slice(*slice, *step, failure, event.at),
            EventKind::ExclusionIntended { slice } => {
                vec![self.slice(Mark::Note, *slice, self.within_budget(*slice), None)]
            }
            EventKind::SliceExcluded { slice, note } => {
                let note = format!("excluded: {note}");
                vec![self.slice(Mark::Warn, *slice, note, Some(event.at))]
            }
            EventKind::Committed if verbose => vec![step(Mark::Note, "committed: every slice is verified")],
            EventKind::SliceConfirmed { slice } if verbose => {
                vec![self.slice(Mark::Note, *slice, "confirmed", None)]
            }
            EventKind::BakeBegun { until } => {
                vec![step(
                    Mark::Note,
                    format!("watching for {} more", span(until.since(event.at))),
                )]
            }
            EventKind::PlaceFinished {
                warning: Some(warning),
                ..
            } => {
                vec![step(Mark::Warn, format!("not cleaned up: {}", warning.message))]
            }
            EventKind::PlaceReleased {
                warning: Some(warning),
                ..
            } => {
                vec![step(
                    Mark::Warn,
                    format!("claim not released: {}", warning.message),
                )]
            }
            EventKind::TurnedBack { reason, failure, .. } => self.turned(*reason, failure.as_ref()),
            EventKind::HeldBack { failure } => {
                vec![Line::Turn {
                    mark: Mark::Warn,
                    text: format!("held as it is, for a human: {}", failure.message),
                }]
            }
            EventKind::SliceBack { slice, health, note } => {
                let note = match self.view.as_ref().and_then(DeploymentView::previous) {
                    Some(previous) => serves(previous.number, *health, note),
                    None => note.clone(),
                };
                vec![self.slice(Mark::Good, *slice, note, Some(event.at))]
            }
            EventKind::SliceUnknown { slice, failure } => {
                let line = self.slice(
                    Mark::Bad,
                    *slice,
                    format!("unknown: {}", failure.message),
                    Some(event.at),
                );
                [vec![line], details(failure)].concat()
            }
            EventKind::SliceOvertaken { slice } => {
                vec![self.slice(
                    Mark::Bad,
                    *slice,
                    "somebody else changed what runs here: left alone",
                    None,
                )]
            }
            EventKind::AskAccepted { ask } => asked(*ask, event.actor.as_str()),
            EventKind::Yanked { release, .. } => {
                self.now.push(format!("{} yanked", release.number));
                Vec::new()
            }
            EventKind::AutomaticPromotionFrozen { .. } => {
                self.now.push("automatic promotion frozen".to_owned());
                Vec::new()
            }
            EventKind::Unknown => vec![step(Mark::Note, "an event that only a newer version knows")],
            _ => Vec::new(),
        }
    }

    fn failed_slice(&self, slice: SliceIx, verb: Verb, failure: &Failure, at: Timestamp) -> Vec<Line> {
        let took = self.began.get(&slice).map(|began| at.since(*began));
        let (service, name) = self.names(slice);
        let during = match verb {
            Verb::Prepare => "preparing: ",
            Verb::Confirm => "confirming: ",
            Verb::Stop => "stopping: ",
            Verb::Restore => "putting back: ",
            Verb::VerifyOld => "after putting back: ",
            Verb::Watch | Verb::Look | Verb::Bake => "later: ",
            Verb::Activate | Verb::Verify | Verb::Finish => "",
        };
        let mut lines = failed(service, name, failure, took);
        if let Some(Line::Step { note, .. }) = lines.first_mut() {
            *note = format!("{during}{note}");
        }
        lines
    }

    /// Whether all places that it was kept out of last could be reached, and something else was in the way.
    fn was_reached(&self) -> bool {
        let kept_out = self.view.as_ref().map(|view| &view.kept_out);
        kept_out.is_some_and(|kept_out| {
            !kept_out.is_empty() && kept_out.values().all(|failure| failure.code != Code::Unreachable)
        })
    }

    /// Why the deployment goes on without a slice.
    fn within_budget(&self, slice: SliceIx) -> String {
        let service = self.plan().and_then(|plan| {
            let service = plan.slices.get(slice.at())?.service;
            Some((service, plan.service(service)))
        });
        let Some((ix, service)) = service else {
            return "stopping it, to go on without".to_owned();
        };
        let left_out = self.view.iter().flat_map(|view| &view.slices);
        let left_out = left_out.filter(|slice| {
            slice.service == service.name && matches!(slice.progress, Progress::Stopping | Progress::Excluded)
        });
        let slices = self.plan().map_or(0, |plan| {
            plan.slices.iter().filter(|slice| slice.service == ix).count()
        });
        format!(
            "failure {} of {} allowed on {slices}: stopping it, to go on without",
            left_out.count(),
            service.max_failures
        )
    }

    /// A step of which it is not known what came of it: what it said, before looking.
    fn looks_again(&self, because: &Failure) -> Vec<Line> {
        let (service, slice) = match (&because.service, &because.slice) {
            (Some(service), Some(slice)) if service.as_str() == slice.as_str() => {
                (service.to_string(), String::new())
            }
            (service, slice) => (
                service.as_ref().map(ToString::to_string).unwrap_or_default(),
                slice.as_ref().map(ToString::to_string).unwrap_or_default(),
            ),
        };
        let mut lines = failed(service, slice, because, None);
        if let Some(Line::Step { mark, note, .. }) = lines.first_mut() {
            *mark = Mark::Warn;
            note.push_str(": looking at what came of it");
        }
        // If it comes to nothing, the lines below say the rest.
        if self.loudness < Loudness::Verbose {
            lines.truncate(1);
        }
        lines
    }

    fn turned(&self, reason: TurnReason, failure: Option<&Failure>) -> Vec<Line> {
        let base = self.plan().map(|plan| plan.base.clone());
        let to = match base {
            Some(Base::Release(release)) => format!("going back to {}", release.number),
            Some(Base::Nothing) => "going back: removing what was created".to_owned(),
            Some(Base::Uniform | Base::Mixed) | None => "going back to what ran before".to_owned(),
        };
        let text = match (reason, failure) {
            // The lines above say it.
            (TurnReason::Failed | TurnReason::Unhealthy, _) => to,
            (TurnReason::Cancelled, _) => format!("cancelled: {to}"),
            (_, Some(failure)) => format!("{}: {to}", failure.message),
            (TurnReason::TooLate, None) => format!("it took too long: {to}"),
            (TurnReason::NotClean, None) => format!("interrupted in the middle: {to}"),
            (TurnReason::Foreign, None) => format!("somebody else changed what runs: {to}"),
            (TurnReason::Reverted, None) => format!("a place went back by itself: {to}"),
        };
        vec![Line::Turn {
            mark: Mark::Back,
            text,
        }]
    }

    /// A line about a slice; `ended` is when its step was done.
    fn slice(&self, mark: Mark, slice: SliceIx, note: impl Into<String>, ended: Option<Timestamp>) -> Line {
        let (service, name) = self.names(slice);
        let took = ended.and_then(|ended| Some(ended.since(*self.began.get(&slice)?)));
        Line::Step {
            mark,
            service,
            slice: name,
            note: note.into(),
            took,
        }
    }

    /// A service's and a slice's name; a slice that is all of its service and is called like it is not named twice.
    pub(crate) fn names(&self, slice: SliceIx) -> (String, String) {
        let Some((plan, slice)) = self
            .plan()
            .and_then(|plan| Some((plan, plan.slices.get(slice.at())?)))
        else {
            return (String::new(), slice.to_string());
        };
        let service = plan.service(slice.service).name.to_string();
        let name = if slice.name.as_str() == service {
            String::new()
        } else {
            slice.name.to_string()
        };
        (service, name)
    }
}

fn step(mark: Mark, note: impl Into<String>) -> Line {
    Line::Step {
        mark,
        service: String::new(),
        slice: String::new(),
        note: note.into(),
        took: None,
    }
}

fn because(text: String, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{text}: {reason}"),
        None => text,
    }
}

/// Only what was looked at is said to serve.
fn serves(release: ReleaseNumber, health: HealthSeen, note: &str) -> String {
    match health {
        HealthSeen::Healthy => format!("{release} serves, {note}"),
        HealthSeen::Unhealthy | HealthSeen::Stopped | HealthSeen::Unknown => note.to_owned(),
    }
}

fn failed(service: String, slice: String, failure: &Failure, took: Option<std::time::Duration>) -> Vec<Line> {
    let line = Line::Step {
        mark: Mark::Bad,
        service,
        slice,
        note: failure.message.clone(),
        took,
    };
    [vec![line], details(failure)].concat()
}

/// Causes and output below a failure.
pub(super) fn details(failure: &Failure) -> Vec<Line> {
    let label = match failure.code {
        Code::Unhealthy | Code::WrongVersion => "body",
        _ => "log",
    };
    let causes = failure.causes.iter().map(|text| Line::Detail {
        label: "because",
        text: text.clone(),
    });
    let log = failure.log_tail.iter().map(|text| Line::Detail {
        label,
        text: text.clone(),
    });
    causes.chain(log).collect()
}

fn asked(ask: Ask, by: &str) -> Vec<Line> {
    let text = match ask {
        Ask::Cancel => "asked to go back",
        Ask::Abandon => "asked to give it up as it stands",
        Ask::Pause => "paused before the next slice",
        Ask::Continue => "going on",
        Ask::Recheck | Ask::Supersede => return Vec::new(),
    };
    vec![step(Mark::Note, format!("{text}, by {by}"))]
}

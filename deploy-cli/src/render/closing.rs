//! The last lines of a deployment: how it ended, what was not touched, what holds now, what to do next. From the same fold as
//! the story above them.

use super::line::{Line, Mark};
use super::story::{Story, details};
use super::{span, word};
use deploy_core::gate::Unmet;
use deploy_core::id::ServiceName;
use deploy_core::machine::TurnReason;
use deploy_core::plan::{Base, Kind, Plan, names};
use deploy_core::time::Timestamp;
use deploy_core::view::DeploymentView;
use deploy_core::view::result::{OutcomeWord, ending};
use deploy_core::view::slice::Progress;
use deploy_engine::drive::longest_wait;
use std::collections::BTreeSet;

impl Story {
    /// The last lines. `code`: what the process exits with; `now`: until when it lasted, where somebody looked on and it has not
    /// ended (else until its last event).
    pub(crate) fn close(&self, code: u8, now: Option<Timestamp>) -> Vec<Line> {
        let Some(view) = &self.view else { return Vec::new() };
        let outcome = ending(view).outcome;
        let (mark, words) = headline(view, outcome);
        let until = view.finished_at.or(now).unwrap_or(view.latest);
        let took = span(until.since(view.started_at));
        let mut lines = vec![Line::Turn {
            mark,
            text: format!("{words} · {took} · exit {code}"),
        }];
        let tail = |label, text: String| Line::Tail { label, text };
        match outcome {
            OutcomeWord::RolledBack | OutcomeWord::NeedsHuman | OutcomeWord::Open => {
                let untouched = untouched(view);
                if view.changed() && !untouched.is_empty() {
                    lines.push(tail("untouched", untouched.join(", ")));
                }
            }
            OutcomeWord::Failed | OutcomeWord::Refused => lines.extend(why(view)),
            _ => {}
        }
        for stray in &view.strays {
            let runs = format!(
                "{} {} runs {}: {}",
                stray.service, stray.slice, stray.runs, stray.why
            );
            let label = if outcome == OutcomeWord::Succeeded {
                "excluded"
            } else {
                "stray"
            };
            lines.push(tail(label, runs));
            if let Some(until) = stray.may_change_until {
                lines.push(tail(
                    "",
                    format!(
                        "may still change by itself until {}, or when it starts anew",
                        until.to_the_second()
                    ),
                ));
            }
            lines.push(tail("next", stray.next.clone()));
        }
        if matches!(outcome, OutcomeWord::Waiting | OutcomeWord::Refused) {
            lines.extend(view.unmet.iter().flat_map(unmet));
        }
        for warning in &view.warnings {
            lines.push(tail("warning", warning.message.clone()));
        }
        if !self.now.is_empty() {
            lines.push(tail("now", self.now.join("; ")));
        }
        let id = view.id.short();
        match outcome {
            OutcomeWord::Open => {
                lines.push(tail("next", format!("deploy resume {id}  goes on")));
                if view.can_be_cancelled() {
                    lines.push(tail("", format!("deploy cancel {id}  goes back")));
                }
                lines.extend(
                    now.and_then(|now| by_itself(view, now))
                        .map(|text| tail("", text)),
                );
            }
            OutcomeWord::Waiting => lines.push(tail("then", format!("deploy resume {id}"))),
            OutcomeWord::RolledBack => lines.extend(to_mend(view).map(|next| tail("next", next))),
            _ => {}
        }
        if outcome != OutcomeWord::Succeeded {
            lines.push(tail("see", format!("deploy show {id}")));
        }
        lines
    }
}

fn headline(view: &DeploymentView, outcome: OutcomeWord) -> (Mark, String) {
    let plan = view.plan.as_deref();
    let release = view
        .release()
        .map_or_else(|| "the release".to_owned(), |release| release.number.to_string());
    let old = match plan.map(|plan| &plan.base) {
        Some(Base::Release(release)) => format!("{} serves everywhere", release.number),
        Some(Base::Nothing) => "nothing is left of it".to_owned(),
        Some(Base::Uniform | Base::Mixed) | None => "what ran before serves".to_owned(),
    };
    match outcome {
        OutcomeWord::Succeeded if view.excluded().next().is_some() => {
            let left_out = view
                .excluded()
                .map(|slice| format!("{} {}", slice.service, slice.slice));
            let left_out: Vec<_> = left_out.collect();
            let text = format!("{release} serves, verified, but not on {}", names(&left_out));
            (Mark::Good, text)
        }
        OutcomeWord::Succeeded => match plan {
            Some(plan) if !plan.removed().is_empty() => (Mark::Good, removed(plan, &release)),
            Some(plan) if plan.changes_nothing() => (
                Mark::Good,
                format!("nothing to do: {release} serves everywhere, verified"),
            ),
            Some(plan) if plan.kind == Kind::Rollback => (
                Mark::Good,
                format!("went back: {release} serves everywhere, verified"),
            ),
            _ => (Mark::Good, format!("{release} serves everywhere, verified")),
        },
        OutcomeWord::RolledBack => (Mark::Bad, format!("rolled back: {old}, verified")),
        OutcomeWord::NeedsHuman => {
            let count = view.strays.len();
            let slices = if count == 1 {
                "slice is not where it"
            } else {
                "slices are not where they"
            };
            (Mark::Bad, format!("needs a human: {count} {slices} should be"))
        }
        OutcomeWord::Refused => (Mark::Bad, "refused: nothing was changed".to_owned()),
        OutcomeWord::Waiting => (Mark::Wait, "waiting: nothing was changed".to_owned()),
        OutcomeWord::Failed => (Mark::Bad, "failed: nothing that serves was changed".to_owned()),
        OutcomeWord::Cancelled => (
            Mark::Note,
            "cancelled: nothing that serves was changed".to_owned(),
        ),
        OutcomeWord::Superseded => match &view.superseded_by {
            Some(by) => (
                Mark::Note,
                format!("superseded by {}: nothing was changed", by.short()),
            ),
            None => (Mark::Note, "superseded: nothing was changed".to_owned()),
        },
        OutcomeWord::Open => (
            Mark::Wait,
            format!("open: left {}, to be resumed", word(&view.phase())),
        ),
    }
}

/// Which slices go back by themselves where nobody goes on, and until when: left at that time by whoever renewed them. One that was
/// being moved may be armed, and nobody heard.
pub(crate) fn by_itself(view: &DeploymentView, now: Timestamp) -> Option<String> {
    let plan = view.plan.as_deref()?;
    let arms = |name: &ServiceName| {
        let mut services = plan.services.iter();
        services.any(|service| service.name == *name && service.abilities.arms)
    };
    // One host goes back with all that is on it.
    let armed: BTreeSet<_> = view
        .slices
        .iter()
        .filter(|slice| slice.armed || (slice.progress == Progress::Activating && arms(&slice.service)))
        .map(|slice| &slice.slice)
        .collect();
    let armed: Vec<_> = armed.into_iter().collect();
    let go = match armed.as_slice() {
        [] => return None,
        [_] => "goes back by itself",
        _ => "go back by themselves",
    };
    let until = now.after(longest_wait(plan)).to_the_second();
    Some(format!("{} {go} by {until} unless it is resumed", names(&armed)))
}

/// What a release that removed services is told by.
fn removed(plan: &Plan, release: &str) -> String {
    let removed = plan.removed();
    let is = if removed.len() == 1 { "is" } else { "are" };
    let rest = if removed.len() == plan.services.len() {
        "nothing serves any more".to_owned()
    } else {
        format!("{release} serves everywhere else, verified")
    };
    format!("{} {is} removed: {rest}", names(&removed))
}

/// What no slice of was touched: slices of services that were, else whole services.
fn untouched(view: &DeploymentView) -> Vec<String> {
    let Some(plan) = view.plan.as_deref() else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for service in &plan.services {
        let slices = || view.slices.iter().filter(|slice| slice.service == service.name);
        if slices().any(|slice| slice.touched) {
            names.extend(
                slices()
                    .filter(|slice| !slice.touched)
                    .map(|slice| (0, slice.slice.to_string())),
            );
        } else {
            names.push((1, service.name.to_string()));
        }
    }
    names.sort();
    names.dedup();
    names.into_iter().map(|(_, name)| name).collect()
}

/// What is to be done about a step that failed. A release that was not healthy is its authors' to mend, and no line says how.
fn to_mend(view: &DeploymentView) -> Option<String> {
    let failure = view.failure.as_ref()?;
    (view.turned_back == Some(TurnReason::Failed)).then(|| failure.next.clone())
}

/// The failure, where no line above told it already, and what to do about it.
fn why(view: &DeploymentView) -> Vec<Line> {
    let Some(failure) = &view.failure else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    // A slice that failed, and a place that refused its claim, have lines of their own.
    if failure.slice.is_none() && view.claim_refused.is_none() {
        lines.push(Line::Tail {
            label: "because",
            text: format!("{} [{}]", failure.message, failure.code),
        });
        lines.extend(details(failure).into_iter().map(|line| match line {
            Line::Detail { label, text } => Line::Tail { label, text },
            other => other,
        }));
    }
    lines.push(Line::Tail {
        label: "next",
        text: failure.next.clone(),
    });
    lines
}

/// A gate that does not hold: why, from when it could, and what to do.
pub(crate) fn unmet(unmet: &Unmet) -> Vec<Line> {
    let mut said = unmet.reason.lines();
    let first = said.next().unwrap_or_default();
    let reason = match unmet.earliest {
        Some(earliest) => format!("{first} (earliest {})", earliest.to_the_second()),
        None => first.to_owned(),
    };
    let gate = word(&unmet.gate);
    let mut lines = vec![Line::Tail {
        label: "unmet",
        text: format!("{gate}: {reason}"),
    }];
    lines.extend(said.map(|line| Line::Tail {
        label: "log",
        text: line.to_owned(),
    }));
    lines.push(Line::Tail {
        label: "next",
        text: unmet.next.clone(),
    });
    lines
}

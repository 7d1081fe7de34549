//! Times in which nothing moves forward: by the calendar, by hand, and for automatic promotion after a failed verdict. The whole
//! deployment has to fit before a window begins. Going back, cancelling and rejecting are never held up.

use super::input::moment;
use super::rules::Freeze;
use super::window::first_free;
use super::{GateInput, GateKind, Judged, Opens, Trigger, Unmet};
use crate::time::format_duration;
use std::time::Duration;

pub(super) fn judge(input: &GateInput<'_>) -> Vec<Judged> {
    let (now, span) = (
        input.clock(),
        input.plan.map_or(Duration::ZERO, |plan| plan.longest),
    );
    let free = first_free(
        input.rules.freezes.values().map(|freeze| &freeze.window),
        now,
        span,
    );
    let mut judged = Vec::new();
    for (name, Freeze { window, reason }) in &input.rules.freezes {
        let Some(touched) = window.touches(now, span) else {
            judged.push(Judged::met(
                GateKind::Freeze,
                format!("outside of {name} ({window})"),
            ));
            continue;
        };
        let why = if touched.from <= now {
            format!("frozen by {name} ({window}) until {}", moment(touched.to))
        } else {
            format!(
                "it may take {}, and {name} ({window}) begins at {}",
                format_duration(span),
                moment(touched.from)
            )
        };
        let why = match reason {
            Some(reason) => format!("{why}: {reason}"),
            None => why,
        };
        judged.push(Judged::Unmet(match free {
            Some(free) => Unmet {
                gate: GateKind::Freeze,
                reason: why,
                earliest: Some(free),
                opens: Opens::ByTime,
                next: format!("after {}: {}", moment(free), input.command()),
            },
            None => Unmet {
                gate: GateKind::Freeze,
                reason: format!("{why}; no time between freezes is long enough"),
                earliest: None,
                opens: Opens::Never,
                next: format!("change environments.{}.freeze.{name}", input.environment),
            },
        }));
    }
    if let Some(stopped) = input.target().and_then(|target| target.frozen.as_ref()) {
        judged.push(Judged::Unmet(Unmet {
            gate: GateKind::Freeze,
            reason: format!(
                "{} stopped {} at {}: {}",
                stopped.by,
                input.environment,
                moment(stopped.at),
                stopped.reason
            ),
            earliest: None,
            opens: Opens::ByPeople,
            next: format!("deploy unfreeze -e {}", input.environment),
        }));
    }
    judged
}

/// Automatic promotion waits until somebody lifts what a failed verdict or a rollback left.
pub(super) fn judge_automatic(input: &GateInput<'_>) -> Vec<Judged> {
    let stopped = input.target().and_then(|target| target.automatic_frozen.as_ref());
    stopped
        .filter(|_| input.trigger == Trigger::Automatic)
        .map(|stopped| {
            Judged::Unmet(Unmet {
                gate: GateKind::AutomaticPromotion,
                reason: format!(
                    "automatic promotion was frozen at {}: {}",
                    moment(stopped.at),
                    stopped.reason
                ),
                earliest: None,
                opens: Opens::ByPeople,
                next: format!("deploy unfreeze -e {}", input.environment),
            })
        })
        .into_iter()
        .collect()
}

//! Health for the runner: windows after a switch, single looks, and a watch that goes on.

use super::wiring::Eyes;
use deploy_core::failure::Failure;
use deploy_core::health::{ProbeSpec, State, Verdict};
use deploy_core::machine::Failed;
use deploy_core::port::target::HealthSeen;
use deploy_core::time::format_duration;
use deploy_health::{SystemClock, until_all_healthy};
use std::time::Duration;

/// Why a slice is not well.
#[derive(Debug, Clone)]
pub(super) struct NotWell {
    /// In kind.
    pub(super) how: Failed,
    /// For people.
    pub(super) failure: Failure,
}

/// Looks until every window is full; what to say of it.
pub(super) async fn settle(
    eyes: &Eyes,
    specs: &[ProbeSpec],
    switched: Option<Duration>,
    on_look: &mut (dyn FnMut(String) + Send),
) -> Result<String, NotWell> {
    if specs.is_empty() {
        return Ok("no health check: only the platform was asked".to_owned());
    }
    let settled = until_all_healthy(&*eyes.probe, specs, &SystemClock, switched, &mut |progress| {
        on_look(match &progress.look.verdict {
            Verdict::Healthy => {
                let wanted = specs.iter().find(|spec| spec.name == progress.name);
                let wanted = wanted.map(|spec| spec.healthy_for).unwrap_or_default();
                let healthy = match progress.state {
                    State::Pending { healthy } => Duration::from_secs(healthy.as_secs()),
                    State::Healthy { .. } | State::Late(_) => wanted,
                };
                format!(
                    "{}: {} of {} healthy, {}",
                    progress.name,
                    format_duration(healthy),
                    format_duration(wanted),
                    format_duration(progress.look.latency)
                )
            }
            Verdict::Unhealthy(reason) | Verdict::Unreachable(reason) => {
                format!("{}: {reason}", progress.name)
            }
        });
    })
    .await;
    for (spec, settled) in specs.iter().zip(&settled) {
        if let Some(failure) = settled.failure(spec) {
            let how = match &settled.state {
                State::Late(late) if late.fault == deploy_core::health::Fault::Unreachable => {
                    Failed::Unreachable
                }
                _ => Failed::Unhealthy,
            };
            return Err(NotWell { how, failure });
        }
    }
    let longest = specs
        .iter()
        .map(|spec| spec.healthy_for)
        .max()
        .unwrap_or_default();
    let notes: Vec<_> = settled
        .iter()
        .flat_map(|settled| settled.notes.iter())
        .map(String::as_str)
        .collect();
    let healthy = format!("healthy {}", format_duration(longest));
    Ok(if notes.is_empty() {
        healthy
    } else {
        format!("{healthy}; {}", notes.join("; "))
    })
}

/// One look with each probe: the worst of them.
pub(super) async fn look(eyes: &Eyes, specs: &[ProbeSpec]) -> Result<(), NotWell> {
    for spec in specs {
        let look = eyes.probe.look(spec).await;
        let (how, reason) = match look.verdict {
            Verdict::Healthy => continue,
            Verdict::Unhealthy(reason) => (Failed::Unhealthy, reason),
            Verdict::Unreachable(reason) => (Failed::Unreachable, reason),
        };
        let mut failure = Failure::new(
            reason.code,
            format!("{}: {reason}", spec.name),
            "look at the service's own log",
        );
        failure.log_tail = reason.body.into_iter().collect();
        return Err(NotWell { how, failure });
    }
    Ok(())
}

/// One look, as a word.
pub(super) async fn word(eyes: &Eyes, specs: &[ProbeSpec]) -> HealthSeen {
    if specs.is_empty() {
        return HealthSeen::Unknown;
    }
    match look(eyes, specs).await {
        Ok(()) => HealthSeen::Healthy,
        Err(NotWell {
            how: Failed::Unhealthy,
            ..
        }) => HealthSeen::Unhealthy,
        Err(_) => HealthSeen::Unknown,
    }
}

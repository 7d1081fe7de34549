//! Health for the runner: windows after a switch, single looks, and a watch that goes on.

use deploy_core::failure::Failure;
use deploy_core::health::{ProbeSpec, State, Verdict};
use deploy_core::machine::Failed;
use deploy_core::port::probe::Probe;
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

/// Looks until every window is full; health, and what to say of it.
pub(super) async fn settle(
    probe: &dyn Probe,
    specs: &[ProbeSpec],
    switched: Option<Duration>,
    on_look: &mut (dyn FnMut(String) + Send),
) -> Result<(HealthSeen, String), NotWell> {
    if specs.is_empty() {
        let note = "no health check: only the platform was asked";
        return Ok((HealthSeen::Unknown, note.to_owned()));
    }
    let settled = until_all_healthy(probe, specs, &SystemClock, switched, &mut |progress| {
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
    let note = if notes.is_empty() {
        healthy
    } else {
        format!("{healthy}; {}", notes.join("; "))
    };
    Ok((HealthSeen::Healthy, note))
}

/// One look with each probe of a slice.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The first probe that did not pass, with what it saw; none where all did.
    worst: Option<(String, Verdict)>,
    /// How many probes there are.
    probes: usize,
}

impl Looked {
    /// All that is worth knowing, as one verdict.
    pub(super) fn verdict(&self) -> &Verdict {
        self.worst
            .as_ref()
            .map_or(&Verdict::Healthy, |(_, verdict)| verdict)
    }

    /// As a word, and what to say of it.
    pub(crate) fn word(&self) -> (HealthSeen, String) {
        match &self.worst {
            None if self.probes == 0 => (HealthSeen::Unknown, "no health check".to_owned()),
            None => (HealthSeen::Healthy, format!("{} of {0} probes pass", self.probes)),
            Some((name, verdict)) => {
                let why = verdict.reason().map(ToString::to_string).unwrap_or_default();
                (verdict.seen(), format!("{name}: {why}"))
            }
        }
    }

    /// Why it is not well.
    pub(super) fn not_well(self) -> Option<NotWell> {
        let (name, verdict) = self.worst?;
        let (how, reason) = match verdict {
            Verdict::Healthy => return None,
            Verdict::Unhealthy(reason) => (Failed::Unhealthy, reason),
            Verdict::Unreachable(reason) => (Failed::Unreachable, reason),
        };
        let message = format!("{name}: {reason}");
        let mut failure = Failure::new(reason.code, message, "look at the service's own log");
        failure.log_tail = reason.body.into_iter().collect();
        Some(NotWell { how, failure })
    }
}

/// One look with each probe, up to the first that does not pass.
pub(crate) async fn look(probe: &dyn Probe, specs: &[ProbeSpec]) -> Looked {
    let probes = specs.len();
    for spec in specs {
        let verdict = probe.look(spec).await.verdict;
        if verdict != Verdict::Healthy {
            return Looked {
                worst: Some((spec.name.clone(), verdict)),
                probes,
            };
        }
    }
    Looked { worst: None, probes }
}

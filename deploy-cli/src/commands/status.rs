//! `deploy status`: what runs where, from the last look, with its age.

use crate::args::reading::Status as Args;
use crate::context::{Context, known, now};
use crate::error::{CliError, Exit};
use crate::render::{Paint, ago, word};
use deploy_core::failure::{Failure, printable};
use deploy_core::id::ServiceName;
use deploy_core::port::target::{HealthSeen, Inside};
use deploy_core::time::Timestamp;
use deploy_core::view::Phase;
use deploy_core::view::status::{Drift, EnvStatus, ServiceStatus, SliceStatus, Status};
use deploy_engine::api::Access;
use std::fmt::Write as _;

pub(crate) async fn run(context: &mut Context<'_>, args: Args) -> Result<Exit, CliError> {
    let engine = context
        .open_anyway(if args.refresh { Access::Look } else { Access::Read })
        .await?;
    let status = engine.status(args.environment.as_ref(), args.refresh).await;
    if let (Err(_), Some(environment)) = (&status, &args.environment) {
        known(&engine.environments(), environment)?;
    }
    let status = status?;
    let paint = context.console.paint();
    context.console.answer(&status, || text(&status, now(), paint));
    let mut unseen = status.environments.iter().flat_map(|one| &one.not_looked_at);
    Ok(unseen
        .next()
        .map_or(Exit::Done, |failure| Exit::of_failure(failure.code)))
}

/// All of it, for people.
pub(crate) fn text(status: &Status, now: Timestamp, paint: Paint) -> String {
    let mut text = String::new();
    for environment in &status.environments {
        of_environment(&mut text, environment, now, paint);
    }
    if status.environments.is_empty() {
        text.push_str("nothing was deployed yet\n  next  deploy up\n");
    }
    text
}

fn of_environment(text: &mut String, environment: &EnvStatus, now: Timestamp, paint: Paint) {
    let release = environment
        .release
        .map_or_else(|| "-".to_owned(), |release| release.to_string());
    let commit = environment
        .commit
        .as_ref()
        .map(|commit| format!(" {}", commit.short()))
        .unwrap_or_default();
    let state = word(&environment.state);
    let seen = match environment.observed_at {
        Some(at) => format!("looked at {}", ago(at, now)),
        None => "never looked at".to_owned(),
    };
    let name = paint.bold(environment.name.as_str());
    let _ = writeln!(text, "{name}  {release}{commit}  {state}  {}", paint.dim(&seen));
    let width = environment
        .services
        .iter()
        .map(|service| service.service.as_str().len())
        .max()
        .unwrap_or(0);
    for service in &environment.services {
        of_service(text, service, width, paint);
    }
    not_looked_at(text, &environment.not_looked_at, paint);
    if let (Some(id), Some(phase)) = (&environment.deployment, environment.phase) {
        let who = match &environment.driver {
            Some(who) => format!(", driven by {who}"),
            None if phase == Phase::Waiting => String::new(),
            None => ", and nobody drives it".to_owned(),
        };
        let _ = writeln!(
            text,
            "  {} deployment {} is {}{who}",
            paint.warn("…"),
            id.short(),
            word(&phase)
        );
    }
    if !environment.in_manifest {
        let _ = writeln!(text, "  {} not in the manifest any more", paint.warn("!"));
    }
    if let Some(reason) = &environment.frozen {
        let _ = writeln!(text, "  {} frozen: {}", paint.warn("!"), printable(reason, 300));
    }
    if let Some(reason) = &environment.automatic_promotion_frozen {
        let _ = writeln!(
            text,
            "  {} automatic promotion is frozen: {}",
            paint.warn("!"),
            printable(reason, 300)
        );
    }
    if let Some(next) = &environment.next {
        let _ = writeln!(text, "  {}  {next}", paint.dim("next"));
    }
}

/// Which slices could not be looked at, and why: services that share a host and a reason in one line.
fn not_looked_at(text: &mut String, failures: &[Failure], paint: Paint) {
    let mut told: Vec<(&Failure, Vec<&str>)> = Vec::new();
    for failure in failures {
        let service = failure.service.iter().map(ServiceName::as_str);
        let same = told
            .iter_mut()
            .find(|(first, _)| first.slice == failure.slice && first.message == failure.message);
        match same {
            Some((_, services)) => services.extend(service),
            None => told.push((failure, service.collect())),
        }
    }
    for (failure, services) in told {
        let on = failure.slice.as_ref().map(|slice| format!(" on {slice}"));
        let _ = writeln!(
            text,
            "  {} {}{} could not be looked at: {}\n    {}  {}",
            paint.warn("!"),
            services.join(", "),
            on.unwrap_or_default(),
            printable(&failure.message, 300),
            paint.dim("next"),
            printable(&failure.next, 300)
        );
    }
}

fn of_service(text: &mut String, service: &ServiceStatus, width: usize, paint: Paint) {
    let release = match service.slices.split_first() {
        Some((first, rest)) if rest.iter().all(|slice| slice.runs == first.runs) => &first.runs,
        Some(_) => "mixed",
        None => "-",
    };
    let health = marked(service.health, paint);
    let _ = writeln!(
        text,
        "  {health}  {:<width$}  {:<6}  {release}{}",
        service.service,
        service.target,
        drift(service.drift)
    );
    let telling = |slice: &&SliceStatus| {
        slice.health != service.health
            || slice.drift != service.drift
            || slice.runs != release
            || !slice.edited.is_empty()
            || slice.answers.is_some()
    };
    for slice in service.slices.iter().filter(telling) {
        let answers = slice.answers.as_ref().map(|at| format!("  at {at}"));
        let _ = writeln!(
            text,
            "      {}  {}  {}{}{}",
            marked(slice.health, paint),
            slice.slice,
            slice.runs,
            answers.unwrap_or_default(),
            if slice.edited.is_empty() {
                drift(slice.drift).to_owned()
            } else {
                format!("  drifted: {}", Inside::few(&slice.edited))
            }
        );
    }
}

/// A mark and a word, in one width.
fn marked(health: HealthSeen, paint: Paint) -> String {
    let word = word(&health);
    match health {
        HealthSeen::Healthy => format!("{} {word:<9}", paint.good("✓")),
        HealthSeen::Unhealthy | HealthSeen::Stopped => format!("{} {word:<9}", paint.bad("✗")),
        HealthSeen::Unknown => format!("{} {word:<9}", paint.warn("?")),
    }
}

fn drift(drift: Drift) -> &'static str {
    match drift {
        Drift::None => "",
        Drift::Drifted => "  drifted: not what the journal says",
        Drift::Unknown => "  drift unknown",
    }
}

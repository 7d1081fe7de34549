//! `deploy check`: the manifest, one environment's variables, and what a deployment from a branch would require.

use crate::args::setup::Check;
use crate::context::{Context, known};
use crate::error::{CliError, Exit};
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::manifest::Unfilled;
use deploy_core::manifest::acting::{NotYet, not_yet, not_yet_in};
use deploy_core::manifest::proof::{self, Unproven};
use deploy_engine::api::{Access, GateReport};
use deploy_engine::configure::registry::Kit;
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    valid: bool,
    project: &'a str,
    environments: Vec<&'a str>,
    not_yet_acting: &'a [NotYet],
    to_fill_in: &'a [Unfilled],
    unproven: &'a [Unproven],
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<&'a GateReport>,
}

pub(crate) async fn run(context: &mut Context<'_>, args: Check) -> Result<Exit, CliError> {
    let manifest = context.manifest()?;
    if let Some(name) = &args.environment {
        known(manifest.environments(), name)?;
    }
    let names = args
        .environment
        .as_ref()
        .map_or(manifest.environments(), std::slice::from_ref);
    let environments = context.checked(&manifest, names).await?;
    let unproven: Vec<_> = environments.iter().flat_map(proof::unproven).collect();
    let unfilled = manifest.unfilled();
    let acts = Kit::default().acts();
    let mut later = not_yet(&manifest, &acts);
    if let (Some(_), [environment]) = (&args.environment, environments.as_slice()) {
        let missing = args
            .services
            .iter()
            .find(|service| !environment.services.contains_key(*service));
        if let Some(service) = missing {
            let names: Vec<&str> = environment.services.keys().map(ServiceName::as_str).collect();
            return Err(CliError::unknown("service", service.as_str(), &names));
        }
        later = not_yet_in(&manifest, environment, &acts);
    }
    let wanted = match (&args.branch, &args.environment) {
        (Some(branch), Some(name)) => {
            let engine = context.open(Access::Read).await?;
            Some(engine.wanted_for(branch, name, &args.services).await?)
        }
        _ => None,
    };
    let answer = Answer {
        schema: "deploy.check/1",
        valid: true,
        project: manifest.name().as_str(),
        environments: manifest.environments().iter().map(EnvName::as_str).collect(),
        not_yet_acting: &later,
        to_fill_in: &unfilled,
        unproven: &unproven,
        wanted: wanted.as_ref(),
    };
    let paint = context.console.paint();
    let file = manifest.file().to_owned();
    context.console.answer(&answer, || {
        let names = answer.environments.join(" → ");
        let mut text = format!(
            "{} {file}: {} is valid ({names})\n",
            paint.good("✓"),
            answer.project
        );
        for part in &unfilled {
            let _ = writeln!(text, "  {} {part}", paint.warn("!"));
        }
        for part in &later {
            let _ = writeln!(text, "  {} {part}", paint.warn("!"));
        }
        for part in once(&unproven) {
            let _ = writeln!(text, "  {} {part}", paint.warn("!"));
        }
        if let Some(report) = &wanted {
            text.push_str(&super::gates::text(report, paint));
        }
        text
    });
    Ok(
        wanted.map_or(Exit::Done, |report| match Exit::of_gates(&report.unmet) {
            // Nothing waits here: what is not met would hold a deployment up.
            Exit::Waiting => Exit::Refused,
            exit => exit,
        }),
    )
}

/// Each service once: what it lacks it mostly lacks in all environments.
fn once(unproven: &[Unproven]) -> impl Iterator<Item = &Unproven> {
    let first = |ix: usize, part: &Unproven| {
        let before = unproven[..ix].iter();
        !before
            .clone()
            .any(|other| (&other.service, &other.add) == (&part.service, &part.add))
    };
    unproven
        .iter()
        .enumerate()
        .filter(move |(ix, part)| first(*ix, part))
        .map(|(_, part)| part)
}

//! `deploy check`: the manifest, one environment's variables, and what a deployment from a branch would require.

use crate::args::setup::Check;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::manifest::Unfilled;
use deploy_core::manifest::acting::{NotYet, not_yet, not_yet_in};
use deploy_engine::api::{Access, GateReport};
use deploy_engine::configure;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<&'a GateReport>,
}

pub(crate) async fn run(context: &mut Context<'_>, args: Check) -> Result<Exit, CliError> {
    let manifest = context.manifest()?;
    let missing = configure::not_there(&manifest, &context.folder());
    if !missing.is_empty() {
        return Err(missing.into());
    }
    let unfilled = manifest.unfilled();
    let acts = Kit::default().acts();
    let mut later = not_yet(&manifest, &acts);
    if let Some(name) = &args.environment {
        let environment = context.resolved(&manifest, name).await?;
        let missing = args
            .services
            .iter()
            .find(|service| !environment.services.contains_key(*service));
        if let Some(service) = missing {
            let names: Vec<&str> = environment.services.keys().map(ServiceName::as_str).collect();
            return Err(CliError::unknown("service", service.as_str(), &names));
        }
        later = not_yet_in(&manifest, &environment, &acts);
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

//! `deploy apply`: exactly what a plan says, or nothing.

use super::confirm;
use super::plan::{PlanFile, SCHEMA};
use super::up::{asked, deploy};
use crate::args::deploying::Apply;
use crate::context::{Context, Signals, known};
use crate::error::{CliError, Exit};
use deploy_core::failure::{Code, Failure};
use deploy_engine::api::{DeployAsk, What};
use std::path::Path;

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Apply,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let strategy = args.how.strategy.as_ref().map(|_| "--strategy");
    if let Some(flag) = args.in_the_plan.given().or(strategy) {
        return Err(CliError::usage(
            format!("{flag} is in the plan already, and `deploy apply` does exactly what it says"),
            format!("deploy plan {flag} … --out FILE writes another"),
        ));
    }
    let file = load(&args.plan)?;
    let engine = context.open_to_deploy(args.how.allow_ephemeral_state).await?;
    known(&engine.environments(), &file.environment)?;
    let confirmed = confirm::given(context, &file.environment)?;
    let ask = DeployAsk {
        confirmed,
        services: file.services,
        branch: file.branch,
        strategy: file.strategy,
        only: Some(file.plan),
        ..asked(
            file.kind,
            file.environment,
            What::Release(file.digest.to_string()),
            &args.how,
        )
    };
    deploy(context, &engine, signals, &args.how, ask).await
}

fn load(path: &Path) -> Result<PlanFile, CliError> {
    let name = path.display();
    let bad = |message: String, error: &dyn std::error::Error| {
        CliError::from(
            Failure::new(Code::Usage, message, "deploy plan --out FILE writes one").caused_by(error),
        )
    };
    let text =
        std::fs::read_to_string(path).map_err(|error| bad(format!("could not read {name}"), &error))?;
    let file: PlanFile = serde_json::from_str(&text)
        .map_err(|error| bad(format!("{name} is not a plan of deploy"), &error))?;
    if file.schema != SCHEMA || file.steps.digest() != file.plan {
        let message = format!("{name} is not a plan as deploy wrote it");
        return Err(CliError::usage(message, "deploy plan --out FILE writes one"));
    }
    Ok(file)
}

//! `deploy attest`: evidence from people and from elsewhere.

use super::answers::done;
use crate::args::people::Attest;
use crate::context::{Context, known};
use crate::error::{CliError, Exit};
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::Finding;
use deploy_core::id::EvidenceName;
use deploy_engine::api::{Access, AttestAsk};
use std::path::Path;

pub(crate) async fn run(context: &mut Context<'_>, args: Attest) -> Result<Exit, CliError> {
    let (deployment, name) = if let Some(item) = args.item {
        (Some(args.first), item)
    } else {
        let invalid = |error: deploy_core::id::InvalidId| {
            CliError::usage(error.to_string(), "deploy attest tests --commit C")
        };
        (None, EvidenceName::new(&args.first).map_err(invalid)?)
    };
    let (finding, found) = match &args.junit {
        Some(path) => report(path)?,
        None if args.failed => (Finding::Failed, String::new()),
        None => (Finding::Passed, String::new()),
    };
    let engine = context.open_anyway(Access::Write).await?;
    if let Some(environment) = &args.environment {
        known(&engine.environments(), environment)?;
    }
    let about = args.commit.or(args.release);
    let ask = AttestAsk {
        name: name.clone(),
        about: about.or_else(|| deployment.is_none().then(|| "HEAD".to_owned())),
        deployment,
        environment: args.environment,
        finding,
        note: args.note.unwrap_or(found),
        run: args.run,
        valid_for: args.valid_for,
    };
    let about = ask
        .about
        .clone()
        .or_else(|| ask.deployment.clone())
        .unwrap_or_default();
    let _evidence = engine.attest(ask).await?;
    done(
        context,
        &format!("{name} {} for {about}", crate::render::word(&finding)),
        None,
    );
    Ok(Exit::Done)
}

fn report(path: &Path) -> Result<(Finding, String), CliError> {
    let name = path.display();
    let unreadable = |error: &dyn std::error::Error| {
        CliError::from(
            Failure::new(
                Code::Usage,
                format!("could not read {name}"),
                "--junit FILE names the report",
            )
            .caused_by(error),
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let count = deploy_engine::junit(&text).map_err(|why| {
        CliError::usage(
            format!("{name} is not a JUnit report: {why}"),
            "--junit FILE names the report",
        )
    })?;
    let finding = match (count.tests, count.failed) {
        (0, _) => Finding::Inconclusive,
        (_, 0) => Finding::Passed,
        _ => Finding::Failed,
    };
    Ok((finding, format!("{} tests, {} failed", count.tests, count.failed)))
}

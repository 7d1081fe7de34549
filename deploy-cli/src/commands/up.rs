//! `deploy up`: the release of a commit into an environment. And what all that deploys share.

use super::confirm;
use super::follow::{Part, follow};
use crate::args::deploying::{From, How, NothingMade, Up};
use crate::context::{Context, Signals, variable};
use crate::error::{CliError, Exit};
use crate::identity;
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::plan::Kind;
use deploy_core::port::target::Adopt;
use deploy_engine::Engine;
use deploy_engine::api::{DeployAsk, What};

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Up,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    let (named, allow_ephemeral) = (args.environment.clone(), args.how.allow_ephemeral_state);
    let engine = context.open_to_deploy_to(named, allow_ephemeral).await?;
    let environment = chosen(context, &engine, args.environment).await?;
    let confirmed = confirm::given(context, &environment)?;
    let what = commit(&args.from);
    let ask = DeployAsk {
        confirmed,
        services: args.services,
        branch: branch(args.from.branch),
        ..asked(Kind::Deploy, environment, what, &args.how)
    };
    deploy(context, &engine, signals, &args.how, ask).await
}

/// Says what should be known before anything begins, and does it.
pub(crate) async fn deploy(
    context: &mut Context<'_>,
    engine: &Engine,
    signals: &mut Signals,
    how: &How,
    ask: DeployAsk,
) -> Result<Exit, CliError> {
    context.forewarn(engine, &ask.environment).await?;
    if ask.kind != Kind::Rollback
        && let Some(said) = engine.unproven_soak(&ask.environment).await?
    {
        context.console.message(&format!("· {said}"));
    }
    let ask = confirm::where_wanted(context, engine, signals, ask).await?;
    follow(
        context,
        engine,
        signals,
        (Part::Drives, &how.wait.accept),
        |wires| engine.deploy(ask, wires),
    )
    .await
}

/// The environment named, or the only one that comes first.
pub(crate) async fn chosen(
    context: &mut Context<'_>,
    engine: &Engine,
    named: Option<EnvName>,
) -> Result<EnvName, CliError> {
    let all = engine.environments();
    if named.is_some() || all.len() == 1 {
        return context.environment(&all, named);
    }
    let mut first = Vec::new();
    for name in all {
        if engine.environment(&name).await?.after.is_empty() {
            first.push(name);
        }
    }
    match first.as_slice() {
        [only] => {
            context.taken(&format!("environment {only}: the only one that comes first"));
            Ok(only.clone())
        }
        several => {
            let them: Vec<&str> = several.iter().map(EnvName::as_str).collect();
            let message = format!("which environment? {} come first", them.join(", "));
            Err(CliError::usage(
                message,
                format!("deploy up -e {}", them.first().unwrap_or(&"ENV")),
            ))
        }
    }
}

/// The release of a commit.
pub(crate) fn commit(from: &From) -> What {
    What::Commit {
        rev: from.commit.clone(),
        version: from.version.clone(),
        allow_dirty: from.allow_dirty,
    }
}

/// Refuses what is for making a release, where one is taken that was made.
pub(crate) fn takes_one_that_was_made(given: &NothingMade) -> Result<(), CliError> {
    if given.allow_dirty {
        return Err(CliError::usage(
            "--allow-dirty is for what makes a release of a commit, and this takes one that was made",
            "leave it out",
        ));
    }
    Ok(())
}

/// The branch named, or the one that CI says it builds.
pub(crate) fn branch(named: Option<String>) -> Option<String> {
    named.or_else(|| identity::branch(&variable))
}

/// A request with what all of them have.
pub(crate) fn asked(kind: Kind, environment: EnvName, what: What, how: &How) -> DeployAsk {
    DeployAsk {
        kind,
        environment,
        what,
        services: Vec::<ServiceName>::new(),
        branch: None,
        strategy: how.strategy.clone(),
        reason: how.reason.clone(),
        adopt: if how.adopt { Adopt::Take } else { Adopt::Refuse },
        confirmed: false,
        lock_wait: how.wait.lock_wait(),
        timeout: how.timeout,
        key: None,
        only: None,
        retire: None,
    }
}

//! `deploy promote`: what the environments before verified, into this one.

use super::confirm;
use super::up::{asked, branch, deploy, takes_one_that_was_made};
use crate::args::deploying::Promote;
use crate::context::{Context, Signals};
use crate::error::{CliError, Exit};
use deploy_core::plan::Kind;
use deploy_engine::api::{DeployAsk, What};

pub(crate) async fn run(
    context: &mut Context<'_>,
    args: Promote,
    signals: &mut Signals,
) -> Result<Exit, CliError> {
    takes_one_that_was_made(&args.nothing_made)?;
    let engine = context.open_to_deploy(args.how.allow_ephemeral_state).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    let confirmed = confirm::given(context, &environment)?;
    let what = args.release.map_or(What::Upstream, What::Release);
    let ask = DeployAsk {
        confirmed,
        services: args.services,
        branch: branch(args.branch),
        ..asked(Kind::Promote, environment, what, &args.how)
    };
    deploy(context, &engine, signals, &args.how, ask).await
}

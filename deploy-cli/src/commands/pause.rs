//! `deploy pause`: stops a deployment before its next slice.

use super::answers::done;
use crate::args::deploying::Steer;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_core::failure::Code;
use deploy_core::machine::Ask;
use deploy_engine::Wires;
use deploy_engine::api::{Access, AskOutcome};
use tokio::sync::{mpsc, watch};

pub(crate) async fn run(context: &mut Context<'_>, args: Steer) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    let (tell, _told) = mpsc::channel(1024);
    let (_stop, stopped) = watch::channel(false);
    let resume = args
        .id
        .as_deref()
        .map_or_else(|| "deploy resume".to_owned(), |id| format!("deploy resume {id}"));
    match engine
        .ask(args.id.as_deref(), Ask::Pause, Wires { tell, stop: stopped })
        .await?
    {
        AskOutcome::Left { holder } => done(context, &format!("{holder} was told to pause"), Some(&resume)),
        AskOutcome::Done => done(context, "paused", Some(&resume)),
        AskOutcome::Rejected(why) => {
            let error = CliError::new(Code::Usage, why, "deploy status");
            return Err(CliError {
                exit: Exit::Failed,
                ..error
            });
        }
    }
    Ok(Exit::Done)
}

//! `deploy plan`: what would change, which gates hold, whether one can come back. The file that `--out` writes is the same object
//! as `--json`, and what `deploy apply` reads.

use super::answers;
use super::up::{asked, branch, chosen, commit};
use crate::args::deploying::{How, Plan as Args};
use crate::context::{Context, now};
use crate::error::{CliError, Exit};
use crate::render::prelude::{self, Prelude};
use crate::render::{Paint, word};
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::Verdict;
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::plan::{Kind, Plan, render_text};
use deploy_engine::Engine;
use deploy_engine::api::{Asked, DeployAsk, Preview, What};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::interval;

/// The form of a plan's file.
pub(crate) const SCHEMA: &str = "deploy.plan/1";

/// A plan, with what it takes to ask for just this one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlanFile {
    pub(crate) schema: String,
    pub(crate) environment: EnvName,
    pub(crate) kind: Kind,
    /// What the release is called here.
    pub(crate) release: String,
    pub(crate) digest: Digest,
    pub(crate) services: Vec<ServiceName>,
    pub(crate) branch: Option<String>,
    pub(crate) strategy: Option<String>,
    /// The plan's digest.
    pub(crate) plan: Digest,
    pub(crate) changes: bool,
    pub(crate) way_back: String,
    pub(crate) gates: Verdict,
    /// What is asked before it is done.
    #[serde(default)]
    pub(crate) asked: Vec<Asked>,
    pub(crate) steps: Plan,
}

pub(crate) async fn run(context: &mut Context<'_>, args: Args) -> Result<Exit, CliError> {
    let engine = context.open_to_deploy(args.allow_ephemeral_state).await?;
    let environment = chosen(context, &engine, args.environment).await?;
    let (kind, what) = match (args.rollback, args.release) {
        (true, to) => (Kind::Rollback, to.map_or(What::Previous, What::Release)),
        (false, Some(release)) => (Kind::Promote, What::Release(release)),
        (false, None) => (Kind::Deploy, commit(&args.from)),
    };
    let confirmed = context.global.confirm.as_ref() == Some(&environment);
    let ask = DeployAsk {
        confirmed,
        services: args.services.clone(),
        branch: branch(args.from.branch),
        strategy: args.strategy.clone(),
        ..asked(kind, environment.clone(), what, &How::default())
    };
    let branch = ask.branch.clone();
    let preview = preview(context, &engine, &ask).await?;
    let file = PlanFile {
        schema: SCHEMA.to_owned(),
        environment,
        kind: preview.plan.kind,
        release: preview.release.number.to_string(),
        digest: preview.release.digest(),
        services: args.services,
        branch,
        strategy: args.strategy,
        plan: preview.plan.digest(),
        changes: !preview.plan.changes_nothing(),
        way_back: preview.way_back.clone(),
        gates: preview.verdict.clone(),
        asked: preview.asked.clone(),
        steps: preview.plan.clone(),
    };
    if let Some(path) = &args.out {
        save(path, &file)?;
    }
    let paint = context.console.paint();
    context.console.answer(&file, || text(&preview, paint));
    Ok(if args.detailed_exitcode && file.changes {
        Exit::Changes
    } else {
        Exit::Done
    })
}

/// What would be done; what takes its time until that is known is said.
pub(crate) async fn preview(
    context: &mut Context<'_>,
    engine: &Engine,
    ask: &DeployAsk,
) -> Result<Preview, CliError> {
    let (tell, mut told) = mpsc::channel(16);
    let mut hear = move |before| {
        // A sign of life that finds no room is not missed.
        let _full = tell.try_send(before);
    };
    let mut work = pin!(engine.preview(ask, &mut hear));
    let mut prelude = Prelude::default();
    let mut pulse = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            biased;
            preview = &mut work => return Ok(preview?),
            Some(before) = told.recv() => prelude.on(before, now()),
            _ = pulse.tick() => {
                if let Some((before, since)) = prelude.due(now()) {
                    let text = prelude::text(before, since, now());
                    context.console.message(&format!("… {text}"));
                }
            }
        }
    }
}

/// What would be done, whether and how one can come back, and what the gates say.
pub(crate) fn text(preview: &Preview, paint: Paint) -> String {
    let mut text = render_text(&preview.plan, Some(&preview.release));
    let unmet = preview.verdict.unmet();
    let _ = writeln!(text, "way back  {}", preview.way_back);
    for soaked in &preview.soaked {
        let _ = writeln!(text, "soak      {soaked}");
    }
    if unmet.is_empty() {
        let other = if preview.asked.is_empty() { "" } else { "other " };
        let _ = writeln!(text, "every {other}gate holds");
    }
    for asked in &preview.asked {
        let _ = writeln!(text, "{}: will be asked ({})", word(&asked.gate), asked.by);
    }
    text + &answers::unmet(unmet, paint)
}

fn save(path: &Path, file: &PlanFile) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(file).unwrap_or_default();
    std::fs::write(path, text + "\n").map_err(|error| {
        let message = format!("could not write {}", path.display());
        Failure::new(Code::Usage, message, "name a file that you may write: --out FILE")
            .caused_by(&error)
            .into()
    })
}

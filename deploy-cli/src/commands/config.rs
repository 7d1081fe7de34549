//! `deploy config`: the merged configuration of an environment, each value with where it came from. References instead of
//! secrets.

use crate::args::setup::Config;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::render::table::Table;
use deploy_core::manifest::{Setting, config_version};
use serde::Serialize;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    environment: &'a str,
    version: String,
    settings: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    value: &'a str,
    origin: String,
}

pub(crate) async fn run(context: &mut Context<'_>, args: Config) -> Result<Exit, CliError> {
    let manifest = context.manifest()?;
    let name = context.environment(manifest.environments(), args.environment)?;
    let environment = context.resolved(&manifest, &name).await?;
    let wanted = |setting: &&Setting| {
        args.key
            .as_deref()
            .is_none_or(|prefix| below(&setting.key, prefix))
    };
    let settings: Vec<&Setting> = environment.settings.iter().filter(wanted).collect();
    if let (Some(key), true) = (&args.key, settings.is_empty()) {
        let keys: Vec<&str> = environment
            .settings
            .iter()
            .map(|setting| setting.key.as_str())
            .collect();
        let mut error = CliError::unknown("key", key, &keys);
        if error.failure.next.starts_with("one of") {
            error.failure.next = format!("deploy config -e {name}");
        }
        return Err(error);
    }
    let row = |setting: &&'_ Setting| {
        (
            setting.key.clone(),
            setting.value.clone(),
            setting.origin.to_string(),
        )
    };
    let rows: Vec<(String, String, String)> = settings.iter().map(row).collect();
    let answer = Answer {
        schema: "deploy.config/1",
        environment: name.as_str(),
        version: config_version(&environment).to_string(),
        settings: rows
            .iter()
            .map(|(key, value, origin)| Row {
                key,
                value,
                origin: origin.clone(),
            })
            .collect(),
    };
    let (paint, width) = (context.console.paint(), context.console.width());
    context.console.answer(&answer, || {
        let mut table = Table::new(["key", "value", "from"]);
        for (key, value, origin) in &rows {
            table.row([key.clone(), value.clone(), origin.clone()]);
        }
        table.text(paint, width)
    });
    Ok(Exit::Done)
}

/// Whether a key is the prefix, or below it.
fn below(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix.trim_end_matches('.'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

//! `deploy init`: looks at the folder, says what it found and why, writes a manifest. Never overwrites one.

use crate::args::setup::Init;
use crate::context::{Context, variable};
use crate::error::{CliError, Exit};
use crate::init::{Draft, look, write};
use deploy_core::failure::{Code, Failure};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    file: &'a str,
    found: &'a [String],
    missing: &'a [String],
    next: &'a str,
}

pub(crate) fn run(context: &mut Context<'_>, args: &Init) -> Result<Exit, CliError> {
    let folder = context.folder();
    let server = args.host.as_ref().map(ToString::to_string).or_else(server);
    let draft = match args.template {
        Some(kind) => write::template(kind, &look::look(&folder).name, server.as_deref()),
        None => write::draft(&look::look(&folder), server.as_deref()),
    };
    if let Some(host) = args
        .host
        .as_ref()
        .filter(|host| !draft.text.contains(&host.to_string()))
    {
        let message = format!("--host names the server {host}, and this manifest would have none");
        return Err(CliError::usage(message, "leave it out, or --template minimal"));
    }
    save(context, &draft)
}

/// `user@host`, where the caller's environment tells one.
pub(crate) fn server() -> Option<String> {
    let host = variable("DEPLOY_SERVER").filter(|host| !host.is_empty())?;
    let user = variable("DEPLOY_USER").filter(|user| !user.is_empty());
    Some(user.map_or_else(|| host.clone(), |user| format!("{user}@{host}")))
}

/// Checks a draft, writes it, and says so.
pub(crate) fn save(context: &mut Context<'_>, draft: &Draft) -> Result<Exit, CliError> {
    let path = context.file.clone();
    let file = path.display().to_string();
    // What is written must pass `deploy check`; if it would not, that is told before anything is.
    deploy_core::manifest::parse(&file, &draft.text)?;
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut out| out.write_all(draft.text.as_bytes()));
    written.map_err(|error| {
        let failure = if error.kind() == std::io::ErrorKind::AlreadyExists {
            Failure::new(
                Code::Usage,
                format!("{file} is there already: nothing was written"),
                "deploy check, or -f FILE for another",
            )
        } else {
            Failure::new(
                Code::ManifestUnreadable,
                format!("could not write {file}"),
                "name a file that you may write: -f FILE",
            )
            .caused_by(&error)
        };
        CliError {
            exit: Exit::Usage,
            ..failure.into()
        }
    })?;
    let next = if draft.missing.is_empty() {
        "deploy check"
    } else {
        "fill in what is missing, then deploy check"
    };
    let answer = Answer {
        schema: "deploy.init/1",
        file: &file,
        found: &draft.found,
        missing: &draft.missing,
        next,
    };
    let paint = context.console.paint();
    context.console.answer(&answer, || {
        let mut text = String::new();
        for found in &draft.found {
            let _ = writeln!(text, "  {} {found}", paint.dim("·"));
        }
        for missing in &draft.missing {
            let _ = writeln!(text, "  {} still to be filled in: {missing}", paint.warn("!"));
        }
        let _ = writeln!(text, "{} {file} written\n  next       {next}", paint.good("✓"));
        text
    });
    Ok(Exit::Done)
}

//! `deploy man`: manual pages, made from the same arguments that are parsed.

use crate::args::Cli;
use crate::args::setup::Man;
use crate::commands::answers::done;
use crate::context::Context;
use crate::error::{CliError, Exit};
use clap::CommandFactory as _;
use deploy_core::failure::{Code, Failure};
use std::path::Path;

pub(crate) fn run(context: &mut Context<'_>, args: &Man) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    command.build();
    let Some(folder) = &args.dir else {
        let page = page(command).map_err(|error| unwritable(Path::new("stdout"), &error))?;
        let text = String::from_utf8_lossy(&page).into_owned();
        let answer = serde_json::json!({ "schema": "deploy.text/1", "text": text });
        context.console.answer(&answer, || text);
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let mut pages = vec![("deploy".to_owned(), command.clone())];
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        pages.push((format!("deploy-{}", below.get_name()), below.clone()));
    }
    let count = pages.len();
    for (name, command) in pages {
        let path = folder.join(format!("{name}.1"));
        let written = page(command).and_then(|page| std::fs::write(&path, page));
        written.map_err(|error| unwritable(&path, &error))?;
    }
    done(
        context,
        &format!("{count} pages written to {}", folder.display()),
        None,
    );
    Ok(Exit::Done)
}

fn page(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    let failure = Failure::new(
        Code::Usage,
        format!("could not write {}", path.display()),
        "name a folder that you may write to",
    );
    failure.caused_by(error).into()
}

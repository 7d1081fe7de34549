//! `deploy import`: a manifest from a `.deploy.yaml`.

use super::init;
use crate::args::setup::Import;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::import;
use deploy_core::failure::{Code, Failure};

/// Far above any real one.
const LARGEST: u64 = 256 * 1024;

pub(crate) fn run(context: &mut Context<'_>, args: &Import) -> Result<Exit, CliError> {
    let name = args.from.display().to_string();
    let unreadable = |error: &dyn std::error::Error| {
        let next = "name the file: deploy import FILE";
        CliError::from(
            Failure::new(Code::ManifestUnreadable, format!("could not read {name}"), next).caused_by(error),
        )
    };
    let size = std::fs::metadata(&args.from)
        .map_err(|error| unreadable(&error))?
        .len();
    if size > LARGEST {
        return Err(CliError::new(
            Code::ManifestUnreadable,
            format!("{name} is larger than {} KiB", LARGEST / 1024),
            "is it the right file?",
        ));
    }
    let bytes = std::fs::read(&args.from).map_err(|error| unreadable(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(&error))?;
    let folder = args.from.parent().unwrap_or(std::path::Path::new(""));
    let project = crate::init::look::look(if folder.as_os_str().is_empty() {
        ".".as_ref()
    } else {
        folder
    })
    .name;
    let draft = import::draft(&project, &text, init::server().as_deref()).map_err(|why| {
        CliError::new(
            Code::ManifestInvalid,
            format!("{name}: {}", why.message),
            why.next,
        )
    })?;
    init::save(context, &draft)
}

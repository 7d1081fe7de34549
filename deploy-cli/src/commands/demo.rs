//! `deploy demo`: the guided real thing on this machine. The hook for the module that does it.

use crate::args::setup::Demo;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_core::failure::Code;

pub(crate) fn run(_context: &mut Context<'_>, _args: &Demo) -> Result<Exit, CliError> {
    Err(CliError::new(Code::NotYetActing, "this build has no demo", "deploy init writes a first manifest"))
}

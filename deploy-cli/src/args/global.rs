//! The flags that every command has.

use clap::{ArgAction, Args};
use deploy_core::id::EnvName;
use std::path::PathBuf;

/// Everywhere.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Global {
    /// The manifest [deploy.toml, here or above]
    #[arg(
        short,
        long,
        help = "The manifest [deploy.toml, here or above]",
        global = true,
        value_name = "FILE",
        env = "DEPLOY_FILE",
        hide_env = true
    )]
    pub(crate) file: Option<PathBuf>,
    /// Where the state is
    #[arg(
        long,
        help = "Where the state is [env: DEPLOY_STATE]",
        global = true,
        value_name = "URL",
        env = "DEPLOY_STATE",
        hide_env = true
    )]
    pub(crate) state: Option<String>,
    /// Prints exactly one JSON object, errors too
    #[arg(long, global = true, conflicts_with = "events")]
    pub(crate) json: bool,
    /// Prints one JSON object a line, the last a `result`
    #[arg(long, global = true)]
    pub(crate) events: bool,
    /// Never asks
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Says yes to questions (not to --confirm)
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Confirms by naming the environment
    #[arg(long, global = true, value_name = "ENV")]
    pub(crate) confirm: Option<EnvName>,
    /// Only the outcome
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Says more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

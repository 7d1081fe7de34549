//! Flags of the commands that only look.

#![expect(
    rustdoc::broken_intra_doc_links,
    reason = "help texts name their defaults in brackets"
)]

use clap::{Args, ValueEnum};
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::time::Timestamp;

/// `deploy gates`.
#[derive(Debug, Args)]
pub(crate) struct Gates {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// For this release [what could come next]
    #[arg(long, value_name = "R")]
    pub(crate) release: Option<String>,
    /// At this time, as 2026-12-24T12:00:00Z [now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<Timestamp>,
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    text.parse()
        .map_err(|_| "a time is written as 2026-12-24T12:00:00Z")
}

/// `deploy status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this environment
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Looks, and does not tell of the last look
    #[arg(long)]
    pub(crate) refresh: bool,
}

/// `deploy verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Only this service; may be given again
    #[arg(short, long = "service", value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,
}

/// `deploy releases`.
#[derive(Debug, Args)]
pub(crate) struct Releases {
    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

/// `deploy history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Only this environment
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// The `next_cursor` of the page before
    #[arg(long, value_name = "ID")]
    pub(crate) cursor: Option<String>,
}

/// `deploy show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The deployment; its first characters will do [the last]
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
}

/// `deploy audit`.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// export prints it, verify proves that nobody changed it
    #[arg(value_name = "WHAT", value_enum, default_value_t = AuditDo::Export, hide_possible_values = true)]
    pub(crate) what: AuditDo,
    /// Only this environment's events
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
}

/// What to do with the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditDo {
    /// Prints it
    Export,
    /// Proves that nobody changed it
    Verify,
}

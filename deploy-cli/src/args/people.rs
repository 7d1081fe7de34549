//! Flags of the commands by which people decide: approvals, evidence, the line, releases, services.

use clap::Args;
use deploy_core::id::{EnvName, EvidenceName, ServiceName};
use deploy_core::time::parse_duration;
use std::path::PathBuf;
use std::time::Duration;

/// `deploy approve` and `deploy reject`.
#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The deployment; left out where only one waits
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// `deploy attest`: `attest ID ITEM`, or `attest NAME` about a commit or a release.
#[derive(Debug, Args)]
pub(crate) struct Attest {
    /// The deployment, or the check or item itself
    #[arg(value_name = "ID|NAME")]
    pub(crate) first: String,
    /// The item, where a deployment is named
    #[arg(value_name = "ITEM")]
    pub(crate) item: Option<EvidenceName>,
    /// About this commit [what is checked out]
    #[arg(long, value_name = "REV", conflicts_with = "release")]
    pub(crate) commit: Option<String>,
    /// About this release
    #[arg(long, value_name = "R")]
    pub(crate) release: Option<String>,
    /// Holds in this environment only
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Takes what was found from a report of tests
    #[arg(long, value_name = "FILE", conflicts_with = "failed")]
    pub(crate) junit: Option<PathBuf>,
    /// It did not pass
    #[arg(long)]
    pub(crate) failed: bool,
    /// What was found, for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Which run found it: a late report is known by it
    #[arg(long, value_name = "TEXT")]
    pub(crate) run: Option<String>,
    /// How long it counts
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) valid_for: Option<Duration>,
}

/// `deploy freeze`.
#[derive(Debug, Args)]
pub(crate) struct Freeze {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Why, for everybody who meets it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// `deploy unfreeze`.
#[derive(Debug, Args)]
pub(crate) struct Unfreeze {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
}

/// `deploy yank`.
#[derive(Debug, Args)]
pub(crate) struct Yank {
    /// v42, a commit, a version or a digest
    #[arg(value_name = "R")]
    pub(crate) release: String,
    /// Why, for everybody who meets it; else: by hand
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Lifts it
    #[arg(long, conflicts_with = "reason")]
    pub(crate) undo: bool,
}

/// `deploy retire`.
#[derive(Debug, Args)]
pub(crate) struct Retire {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: ServiceName,
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
}

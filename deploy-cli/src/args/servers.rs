//! Flags of what people do with their servers by hand.

#![expect(
    rustdoc::broken_intra_doc_links,
    reason = "help texts name their defaults in brackets"
)]

use clap::Args;
use deploy_core::id::{EnvName, HostName, ServiceName};
use deploy_core::time::parse_duration;
use std::time::Duration;

/// `deploy setup`.
#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Says what would be done, and does nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Installs packages that are missing, with apt-get
    #[arg(long)]
    pub(crate) install: bool,
}

/// `deploy trust`.
#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// The host, as the manifest names it
    #[arg(value_name = "HOST")]
    pub(crate) host: HostName,
    /// Its environment, where several reach it differently
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// The key to pin, as its owner tells it
    #[arg(long = "fingerprint", value_name = "SHA256:…")]
    pub(crate) fingerprints: Vec<String>,
    /// Takes the place of another key that is pinned
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `deploy run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// In `current` of this service, with its variables
    #[arg(short, long = "service", value_name = "SERVICE")]
    pub(crate) service: Option<ServiceName>,
    /// Only on this host; may be given again
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<HostName>,
    /// The longest on each host [5m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// What to run
    #[arg(value_name = "CMD", last = true, required = true)]
    pub(crate) command: Vec<String>,
}

/// `deploy logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// The service
    #[arg(short, long = "service", value_name = "SERVICE")]
    pub(crate) service: ServiceName,
    /// Only on this host; may be given again
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<HostName>,
    /// Goes on with what comes (-f is the manifest)
    #[arg(short = 'F', long)]
    pub(crate) follow: bool,
    /// The last so many of each host [100; with --since all]
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<u64>,
    /// Not older than this; only a journal knows
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
}

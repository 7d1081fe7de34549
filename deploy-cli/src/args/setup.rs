//! Flags of the commands around the manifest, and of those that make files for shells.

use clap::{Args, ValueEnum};
use clap_complete::Shell;
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::manifest::SshAddress;
use std::path::PathBuf;

/// `deploy demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leaves it running to play with, and says how to stop it
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `deploy init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Starts from minimal, ssh, local, k8s, fly or compose
    #[arg(long, value_name = "KIND", hide_possible_values = true)]
    pub(crate) template: Option<Template>,
    /// Production's server, as deploy@10.0.0.1
    #[arg(long, value_name = "DESTINATION", value_parser = SshAddress::new)]
    pub(crate) host: Option<SshAddress>,
}

/// Manifests to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// One server by ssh
    Minimal,
    /// Development, staging and production by ssh
    Ssh,
    /// This machine alone
    Local,
    /// A workload on Kubernetes
    K8s,
    /// Machines on Fly.io
    Fly,
    /// Docker Compose
    Compose,
}

/// `deploy check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Says what a deployment from this branch would require
    #[arg(long, short = 'b', value_name = "NAME", requires = "environment")]
    pub(crate) branch: Option<String>,
    /// Also resolves this environment's variables
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Only this service; may be given again
    #[arg(short, long = "service", value_name = "SERVICE", requires = "environment")]
    pub(crate) services: Vec<ServiceName>,
    /// Reads the manifest and touches nothing else
    #[arg(short, long, conflicts_with_all = ["branch", "environment"])]
    pub(crate) test: bool,
}

/// `deploy config`.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Only keys that begin so
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,
}

/// `deploy explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A key of the manifest (services.web.bake) or a code (DPL0102)
    #[arg(value_name = "KEY|CODE")]
    pub(crate) what: String,
}

/// `deploy doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
}

/// `deploy import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What to read
    #[arg(value_name = "FILE", default_value = ".deploy.yaml")]
    pub(crate) from: PathBuf,
}

/// `deploy completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `deploy man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Writes a page for every command into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

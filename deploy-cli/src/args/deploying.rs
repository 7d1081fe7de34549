//! Flags of the commands that bring a release into an environment, or steer one that is on its way.

#![expect(
    rustdoc::broken_intra_doc_links,
    reason = "help texts name their defaults in brackets"
)]

use clap::{Args, ValueEnum};
use deploy_core::id::{EnvName, ServiceName};
use deploy_core::time::parse_duration;
use std::path::PathBuf;
use std::time::Duration;

/// What the release is made from.
#[derive(Debug, Clone, Args, Default)]
pub(crate) struct From {
    /// A commit, tag or branch, not what is checked out
    #[arg(long, value_name = "REV")]
    pub(crate) commit: Option<String>,
    /// The branch it is on, if not known here [CI's]
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    /// Its version, where it has no tag
    #[arg(long, value_name = "TEXT")]
    pub(crate) version: Option<String>,
    /// Goes on although files are changed
    #[arg(long)]
    pub(crate) allow_dirty: bool,
}

/// How it is driven.
#[derive(Debug, Clone, Args, Default)]
pub(crate) struct How {
    /// Another strategy, this once
    #[arg(long, value_name = "KIND")]
    pub(crate) strategy: Option<String>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The longest until it turns back
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Takes places of another state; recorded
    #[arg(long)]
    pub(crate) adopt: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
    /// A new state file in CI is meant
    #[arg(long)]
    pub(crate) allow_ephemeral_state: bool,
}

/// How long somebody else is waited for, and what counts as done.
#[derive(Debug, Clone, Args, Default)]
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
pub(crate) struct Wait {
    /// How long to wait for who drives it [15m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "no_wait")]
    lock_wait: Option<Duration>,
    /// Does not wait for who drives it
    #[arg(long)]
    no_wait: bool,
    /// Also exits 0 on: waiting,superseded
    #[arg(
        long,
        value_name = "OUTCOMES",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub(crate) accept: Vec<Accept>,
}

impl Wait {
    /// How long to wait for the lease of the environment.
    pub(crate) fn lock_wait(&self) -> Duration {
        const LONG: Duration = Duration::from_mins(15);
        if self.no_wait {
            Duration::ZERO
        } else {
            self.lock_wait.unwrap_or(LONG)
        }
    }
}

/// Outcomes that a caller may count as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accept {
    /// It waits for people or time.
    Waiting,
    /// Superseded, or cancelled before anything changed.
    Superseded,
}

/// Flags of `deploy up` that make no sense where a release is taken as it was made: understood, to be refused by name.
#[derive(Debug, Clone, Args, Default)]
pub(crate) struct NothingMade {
    #[arg(long, hide = true)]
    pub(crate) allow_dirty: bool,
}

/// Flags of `deploy plan` that its plan holds already: understood, to be refused by name.
#[derive(Debug, Clone, Args, Default)]
pub(crate) struct InThePlan {
    #[arg(short, long, value_name = "ENV", hide = true)]
    environment: Option<EnvName>,
    #[arg(short, long = "service", value_name = "SERVICE", hide = true)]
    services: Vec<ServiceName>,
    #[arg(long, value_name = "REV", hide = true)]
    commit: Option<String>,
    #[arg(long, value_name = "NAME", hide = true)]
    branch: Option<String>,
    #[arg(long, value_name = "TEXT", hide = true)]
    version: Option<String>,
    #[arg(long, hide = true)]
    allow_dirty: bool,
}

impl InThePlan {
    /// The first one that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("-e", self.environment.is_some()),
            ("-s", !self.services.is_empty()),
            ("--commit", self.commit.is_some()),
            ("--branch", self.branch.is_some()),
            ("--version", self.version.is_some()),
            ("--allow-dirty", self.allow_dirty),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}

/// `deploy plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The environment
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Only this service; may be given again
    #[arg(short, long = "service", value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,
    /// A release, not one made from a commit
    #[arg(long, value_name = "R", conflicts_with_all = ["commit", "version", "allow_dirty"])]
    pub(crate) release: Option<String>,
    /// A plan to go back (with --release: to it)
    #[arg(long, conflicts_with_all = ["commit", "version", "allow_dirty"])]
    pub(crate) rollback: bool,
    #[command(flatten)]
    pub(crate) from: From,
    /// Another strategy
    #[arg(long, value_name = "KIND")]
    pub(crate) strategy: Option<String>,
    /// Writes the plan, for `deploy apply`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Exits 10 if there is something to change
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    /// A new state file in CI is meant
    #[arg(long)]
    pub(crate) allow_ephemeral_state: bool,
}

/// `deploy apply`.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// What `deploy plan --out` wrote
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) in_the_plan: InThePlan,
    #[command(flatten)]
    pub(crate) how: How,
}

/// `deploy up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The environment; needed where several come first
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Only this service; may be given again
    #[arg(short, long = "service", value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,
    #[command(flatten)]
    pub(crate) from: From,
    #[command(flatten)]
    pub(crate) how: How,
}

/// `deploy promote`.
#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Only this service; may be given again
    #[arg(short, long = "service", value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,
    /// v42, a commit, a version or a digest
    #[arg(long, visible_aliases = ["commit", "version"], value_name = "R")]
    pub(crate) release: Option<String>,
    /// The branch it is on, if not known here [CI's]
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    #[command(flatten)]
    pub(crate) nothing_made: NothingMade,
    #[command(flatten)]
    pub(crate) how: How,
}

/// `deploy rollback`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The environment; needed where there are several
    #[arg(short, long = "environment", value_name = "ENV")]
    pub(crate) environment: Option<EnvName>,
    /// Refused: a release goes back as a whole
    #[arg(short, long = "service", value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,
    /// v41, a commit, a version or a digest
    #[arg(long, visible_aliases = ["commit", "version"], value_name = "R")]
    pub(crate) to: Option<String>,
    /// The branch it is on, if not known here [CI's]
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    #[command(flatten)]
    pub(crate) nothing_made: NothingMade,
    #[command(flatten)]
    pub(crate) how: How,
}

/// `deploy resume`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The deployment; left out where only one is open
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// The one of this environment
    #[arg(short, long = "environment", value_name = "ENV", conflicts_with = "id")]
    pub(crate) environment: Option<EnvName>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// `deploy pause`.
#[derive(Debug, Args)]
pub(crate) struct Steer {
    /// The deployment; left out where only one is open
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
}

/// `deploy cancel`.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The deployment; left out where only one is open
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Gives it up as it stands, without going back
    #[arg(long)]
    pub(crate) force: bool,
    /// Also exits 0 on: waiting,superseded
    #[arg(
        long,
        value_name = "OUTCOMES",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub(crate) accept: Vec<Accept>,
}

/// `deploy watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The deployment; left out where only one is open
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Also exits 0 on: waiting,superseded
    #[arg(
        long,
        value_name = "OUTCOMES",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub(crate) accept: Vec<Accept>,
}

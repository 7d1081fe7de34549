//! Hosts as people use them by hand: what each kind of target that has hosts can do there, apart from any deployment.

use crate::api::by_hand::{HostEnded, HostKeysSeen, KeySeen, KeyStanding, LogsAsk, OutputStream, SetupDone};
use async_trait::async_trait;
use deploy_core::command::Command;
use deploy_core::failure::Failure;
use deploy_core::id::{HostName, ServiceName};
use deploy_core::manifest::{Environment, Host};
use deploy_core::port::target::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a host is reached by.
pub struct Seat<'a> {
    /// The environment.
    pub environment: &'a Environment,
    /// The host.
    pub host: &'a Host,
    /// The manifest's folder: relative paths start there.
    pub folder: &'a Path,
    /// Secrets to reach hosts with, by host.
    pub passwords: &'a BTreeMap<HostName, Secret>,
}

/// Takes the lines of one host as they come.
pub type Listener = Arc<dyn Fn(OutputStream, &str) + Send + Sync>;

/// One host. Nothing is under a claim, and nothing that is run is left behind.
#[async_trait]
pub trait Server: Send + Sync {
    /// Which secrets that the host knows stand in a text.
    async fn secrets_in(&self, text: &str) -> Result<BTreeSet<String>, Failure>;

    /// Runs a command, with a service's folder and variables where one is named, until it ends or `stop` says so.
    async fn run(
        &self,
        command: &Command,
        service: Option<&ServiceName>,
        limit: Duration,
        stop: watch::Receiver<bool>,
        lines: Listener,
    ) -> HostEnded;

    /// What a service writes.
    async fn logs(&self, ask: &LogsAsk, stop: watch::Receiver<bool>, lines: Listener) -> HostEnded;

    /// Prepares it for the services that are to run there; what is there already is not told.
    async fn set_up(&self, dry_run: bool, install: bool) -> Result<Vec<SetupDone>, Failure>;

    /// Its keys; `None` where it is this machine.
    async fn keys(&self) -> Result<Option<Box<dyn Keys>>, Failure>;
}

/// The keys of a host as they were seen at one moment.
#[async_trait]
pub trait Keys: Send + Sync {
    /// What was seen.
    fn seen(&self) -> SeenKeys;

    /// Pins those with these fingerprints, in place of what was pinned.
    async fn pin(&self, fingerprints: &[String]) -> Result<(), Failure>;
}

/// What was seen of a host's keys.
#[derive(Debug, Clone)]
pub struct SeenKeys {
    /// The name that it is known by.
    pub name: String,
    /// Where one is pinned.
    pub file: PathBuf,
    /// Those it offers.
    pub keys: Vec<KeySeen>,
    /// What is pinned.
    pub standing: KeyStanding,
}

impl SeenKeys {
    /// Whose they are.
    pub fn of(self, host: &HostName, environment: &Environment) -> HostKeysSeen {
        HostKeysSeen {
            host: host.clone(),
            environment: environment.name.clone(),
            name: self.name,
            file: self.file,
            keys: self.keys,
            standing: self.standing,
        }
    }
}

//! What the rest of the program works with: one environment, its layers merged and its `${…}` expanded, and the project.

use super::keys::artifact::{Artifact, Check, SshAddress};
use super::keys::environment::SecretRef;
use super::keys::gates::{Allow, Approval, Checklist, Confirm, Freeze};
use super::keys::health::{Expect, ProbeFrom, ProbeKind, VersionExpect};
use super::keys::later::{Analysis, Load, Notify, Server, SmokeSuite};
use super::keys::project::Records;
use super::keys::service::{HookPoint, OnFailure};
use super::keys::strategy::{CanaryStep, HostSelection, Proxy, StrategyKind};
use super::keys::target::{TargetConfig, TargetKind};
use super::leaf::{Amount, Command, Glob, InnerPath, Period, RelPath};
use super::template::{Template, VarName};
use crate::digest::Digest;
use crate::id::{Actor, ArtifactName, EnvName, EvidenceName, GroupName, HostName, ProjectName, ServiceName};
use crate::time::human;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What holds for all environments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// How many releases are kept on a target; at least 1.
    pub keep: u32,
    /// Where the record of each deployment is written.
    pub records: Option<Records>,
    /// Files that hooks call; part of the release.
    pub scripts: Vec<Glob>,
    /// Groups of people and CI identities.
    pub groups: BTreeMap<GroupName, BTreeSet<Actor>>,
    /// What is made once for all environments.
    pub artifacts: BTreeMap<ArtifactName, Artifact>,
    /// What produces evidence for a commit.
    pub checks: BTreeMap<EvidenceName, Check>,
    /// Smoke tests (not yet acting).
    pub smoke: BTreeMap<EvidenceName, SmokeSuite>,
    /// Load tests (not yet acting).
    pub load: BTreeMap<EvidenceName, Load>,
    /// Who is told (not yet acting).
    pub notify: BTreeMap<EvidenceName, Notify>,
    /// `deploy serve` (not yet acting).
    pub server: Option<Server>,
}

/// One environment, ready to be planned for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: EnvName,
    /// The environments that must have verified a release first.
    pub after: Vec<EnvName>,
    /// The branches whose commits may come here; empty means any.
    pub branches: Vec<Glob>,
    /// Where people reach it.
    pub url: Option<String>,
    /// How long a release must have been healthy in each environment of `after`.
    #[serde(with = "human")]
    pub soak: Duration,
    /// The evidence that a release needs.
    pub checks: Vec<EvidenceName>,
    /// What people tick off.
    pub checklist: Checklist,
    /// The `after` items of the environments before this one, by environment: they gate this one.
    pub inherited_checklist: BTreeMap<EnvName, BTreeMap<EvidenceName, super::keys::gates::ChecklistItem>>,
    /// Rules of approval; all must hold.
    pub approvals: BTreeMap<EvidenceName, Approval>,
    /// Windows in which nothing goes forward.
    pub freezes: BTreeMap<EvidenceName, Freeze>,
    /// Who may do what.
    pub allow: Allow,
    /// What a person confirms by naming the environment.
    pub confirm: Confirm,
    /// The servers.
    pub hosts: BTreeMap<HostName, Host>,
    /// Variables that hold for every service, without the services' own.
    pub vars: BTreeMap<VarName, Template>,
    /// Every reference to a secret that can be used here.
    pub secrets: BTreeMap<VarName, SecretRef>,
    /// The file variables came from too.
    pub env_file: Option<RelPath>,
    /// An ssh configuration file for its hosts.
    pub ssh_config: Option<RelPath>,
    /// The services that are enabled here.
    pub services: BTreeMap<ServiceName, Service>,
    /// The services that are left out here.
    pub disabled: BTreeSet<ServiceName>,
    /// Smoke tests that run here (not yet acting).
    pub smoke: Vec<EvidenceName>,
    /// Those whose failure is only reported (not yet acting).
    pub may_fail: Vec<EvidenceName>,
    /// Where metrics are asked (not yet acting).
    pub prometheus: Option<String>,
    /// Feature flags (not yet acting).
    pub flags: Option<RelPath>,
    /// Every value with where it came from, for `deploy config`; no part of the configuration's version.
    #[serde(skip)]
    pub settings: Vec<Setting>,
}

impl Environment {
    /// The hosts a service runs on, by name; empty for kinds that run on none.
    pub fn hosts_of<'e>(&'e self, service: &Service) -> Vec<&'e Host> {
        match &service.hosts {
            None => Vec::new(),
            Some(selection) => self.hosts.values().filter(|host| host.is_in(selection)).collect(),
        }
    }
}

/// The version of one environment's configuration: a digest over its values, references instead of secrets.
pub fn config_version(environment: &Environment) -> Digest {
    Digest::of_json(environment)
}

/// A server, or this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// How it is reached.
    pub address: HostAddress,
    /// Its groups; empty means all.
    pub groups: BTreeSet<GroupName>,
    /// Its ssh password, by reference.
    pub password: Option<SecretRef>,
}

impl Host {
    /// Whether a service with this selection runs here.
    pub fn is_in(&self, selection: &HostSelection) -> bool {
        match selection {
            HostSelection::All => true,
            HostSelection::Group(group) => self.groups.is_empty() || self.groups.contains(group),
            HostSelection::Host(name) => self.name == *name,
        }
    }
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostAddress {
    /// It is this machine.
    Local,
    /// By ssh.
    Ssh(SshAddress),
}

/// A service in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// What it runs on.
    pub target: TargetConfig,
    /// What it runs.
    pub content: Content,
    /// The services that must be verified before it, those enabled here.
    pub needs: Vec<ServiceName>,
    /// Needs that are left out of this environment; the plan says so.
    pub dropped_needs: Vec<ServiceName>,
    /// The hosts it runs on; `None` for kinds that run on none.
    pub hosts: Option<HostSelection>,
    /// How it moves.
    pub strategy: ServiceStrategy,
    /// Commands at certain moments, in the order of the manifest.
    pub hooks: Vec<NamedHook>,
    /// How its health is looked at; all must pass.
    pub health: BTreeMap<EvidenceName, HealthProbe>,
    /// Comparisons of metrics (not yet acting).
    pub analysis: BTreeMap<EvidenceName, Analysis>,
    /// What a failure does.
    pub on_failure: OnFailure,
    /// How long it is watched after the commit point.
    #[serde(with = "human")]
    pub bake: Duration,
    /// Every variable it gets, with its own.
    pub vars: BTreeMap<VarName, Template>,
    /// The secrets it gets.
    pub secrets: BTreeMap<VarName, SecretRef>,
    /// What of it differs on hosts that have variables of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_host: BTreeMap<HostName, OnHost>,
}

/// What of a service may differ on a host that has variables of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnHost {
    /// What it runs on: its paths there.
    pub target: TargetConfig,
    /// How its health is looked at there.
    pub health: BTreeMap<EvidenceName, HealthProbe>,
    /// Every variable it gets there.
    pub vars: BTreeMap<VarName, Template>,
}

/// A service on one host, or anywhere.
#[derive(Debug, Clone, Copy)]
pub struct There<'a> {
    /// What it runs on.
    pub target: &'a TargetConfig,
    /// How its health is looked at.
    pub health: &'a BTreeMap<EvidenceName, HealthProbe>,
    /// Every variable it gets.
    pub vars: &'a BTreeMap<VarName, Template>,
}

impl Service {
    /// It on the host of this name; a slice that is no host is like any.
    pub fn on(&self, host: &str) -> There<'_> {
        let own = self.by_host.iter().find(|(name, _)| name.as_str() == host);
        match own {
            Some((_, own)) => There {
                target: &own.target,
                health: &own.health,
                vars: &own.vars,
            },
            None => There {
                target: &self.target,
                health: &self.health,
                vars: &self.vars,
            },
        }
    }

    /// Variables that are others on a host than elsewhere.
    pub fn own_to(&self, host: &str) -> impl Iterator<Item = (&VarName, &Template)> {
        let there = self.on(host).vars.iter();
        there.filter(|(name, template)| self.vars.get(*name) != Some(*template))
    }

    /// The kind of its target.
    pub const fn kind(&self) -> TargetKind {
        self.target.kind()
    }
}

/// What a service runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// An artifact of the manifest.
    Artifact(ArtifactName),
    /// A folder of the commit.
    Source(RelPath),
    /// What its target's own table names: migrations, manifests, a Compose file, a program.
    Own,
}

/// How a service moves, with its kind decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStrategy {
    /// The kind in use; its target can do it.
    pub kind: StrategyKind,
    /// rolling: how many slices move at once; never zero.
    pub batch: Amount,
    /// How many slices may fail.
    pub max_failures: Amount,
    /// canary: the shares in growing order; not empty for a canary.
    pub steps: Vec<CanaryStep>,
    /// canary: how many slices of one step move at once, where `batch` is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_steps: Option<Amount>,
    /// blue-green on servers: the two ports.
    pub ports: Option<(u16, u16)>,
    /// blue-green on servers: what sends the traffic.
    pub proxy: Option<Proxy>,
    /// blue-green on servers: how long the one that does not serve any more has to end what it had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Period>,
    /// blue-green on Kubernetes: one workload.
    pub blue: Option<String>,
    /// blue-green on Kubernetes: the other workload.
    pub green: Option<String>,
    /// blue-green on Kubernetes: the service that is switched.
    pub service: Option<String>,
    /// blue-green on Kubernetes: the label that tells them apart.
    pub label: Option<String>,
}

/// A hook with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedHook {
    /// Its name.
    pub name: EvidenceName,
    /// The moment.
    pub at: HookPoint,
    /// Runs only if one of these differs from the previous release; empty means always.
    pub if_changed: Vec<Glob>,
    /// What it makes; carried over when it is skipped.
    pub produces: Vec<InnerPath>,
    /// What runs.
    pub command: Command,
    /// How long it may take.
    #[serde(with = "human")]
    pub timeout: Duration,
}

/// A probe, decided: what it asks, from where, what must be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthProbe {
    /// What it asks.
    pub kind: ProbeKind,
    /// From where.
    pub from: ProbeFrom,
    /// What must be answered.
    pub expect: Expect,
    /// The version that must answer.
    pub version: Option<VersionExpect>,
    /// The window of unbroken passes.
    #[serde(with = "human")]
    pub healthy_for: Duration,
    /// How long one look may take; never zero.
    #[serde(with = "human")]
    pub timeout: Duration,
    /// How long after one look the next begins; never zero.
    #[serde(with = "human")]
    pub interval: Duration,
    /// How long all of it may take; never zero.
    #[serde(with = "human")]
    pub deadline: Duration,
}

/// A value of the merged configuration and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// `services.web.health.ready.healthy_for`.
    pub key: String,
    /// As people would write it; secrets are `${NAME}`.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A line of the manifest.
    Manifest {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u32,
    },
    /// The environment's `env_file`.
    EnvFile {
        /// The file.
        file: String,
    },
    /// The caller's environment.
    Caller,
    /// Nothing says it: the program's own choice.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manifest { file, line } => write!(f, "{file}:{line}"),
            Self::EnvFile { file } => f.write_str(file),
            Self::Caller => f.write_str("environment of the caller"),
            Self::Default => f.write_str("default"),
        }
    }
}

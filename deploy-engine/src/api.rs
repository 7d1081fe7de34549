//! What a frontend asks of the engine and what it gets: plain data. The calls themselves are methods of [`crate::Engine`].

pub mod by_hand;

use deploy_core::digest::Digest;
use deploy_core::event::Event;
use deploy_core::exit::Exit;
use deploy_core::failure::Failure;
use deploy_core::gate::{Finding, GateKind, Unmet, Verdict};
use deploy_core::id::{Actor, DeploymentId, EnvName, EvidenceName, HostName, ServiceName, SliceName};
use deploy_core::model::Release;
use deploy_core::plan::{Kind, Plan};
use deploy_core::port::journal::LeaseHolder;
use deploy_core::port::target::{Adopt, HealthSeen};
use deploy_core::time::Timestamp;
use deploy_core::view::status::Drift;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How to open a project.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The manifest: `deploy.toml`.
    pub manifest: PathBuf,
    /// Where the state is, if not where the manifest says: a path or a URL.
    pub state: Option<String>,
    /// Whether a state may be made or written.
    pub access: Access,
    /// What to do where the manifest cannot be read.
    pub unreadable: Unreadable,
    /// Who asks.
    pub identity: Identity,
    /// An environment that is certainly going to be reached: connections to its hosts are begun while everything else is opened.
    pub greets: Option<EnvName>,
}

/// What to do where the manifest that lies there cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Refuse: something new is to be brought, and it goes by it.
    Refuse,
    /// Go by what was committed last and can be read: to go on, to go back, or to look, nothing new is needed. Which it was is told by
    /// [`crate::Engine::stand_in`].
    AsCommitted,
}

/// What is meant to be done with the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only read; a missing state is an empty one, and none is made.
    Read,
    /// Only read, but where the state is there and can be written to, what is seen of health is written down.
    Look,
    /// Read and write; a missing state is made.
    Write,
    /// The same, but a missing state is refused: this is CI, and it would die with the runner.
    WriteExisting,
}

/// Who asks, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The person, token or job.
    pub actor: Actor,
    /// How it was established: `os user`, `ci: github`.
    pub established: String,
    /// `alice@laptop (pid 4711)`: for whoever meets our claims and leases.
    pub who: String,
}

/// What to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The release of a commit: made, or the one with the same inputs taken. `None`: what is checked out.
    Commit {
        /// A commit, a tag or a branch.
        rev: Option<String>,
        /// Gives the release this version where the commit has no tag.
        version: Option<String>,
        /// Goes on although the work tree has changes; the release is made from the commit alone.
        allow_dirty: bool,
    },
    /// A release by name: `v41`, a commit, a digest, a version.
    Release(String),
    /// What upstream verified last.
    Upstream,
    /// For a rollback: the last release verified here before this one.
    Previous,
}

/// A request for a deployment.
#[derive(Debug, Clone)]
pub struct DeployAsk {
    /// Which way.
    pub kind: Kind,
    /// Where to.
    pub environment: EnvName,
    /// What.
    pub what: What,
    /// Only these services; the rest stays what runs there. Empty: all.
    pub services: Vec<ServiceName>,
    /// The branch, where it is not the one checked out (CI's detached checkouts).
    pub branch: Option<String>,
    /// Another strategy for this deployment.
    pub strategy: Option<String>,
    /// Why, in the asker's words.
    pub reason: Option<String>,
    /// Whether another state's places may be taken.
    pub adopt: Adopt,
    /// Whether the asker named the environment to confirm it.
    pub confirmed: bool,
    /// How long to wait for the lease of the environment.
    pub lock_wait: Duration,
    /// The longest from the start of activation to the commit point.
    pub timeout: Option<Duration>,
    /// The same key is the same deployment; made up where there is none.
    pub key: Option<String>,
    /// Only if the plan is just this one (`apply`).
    pub only: Option<Digest>,
    /// A service that is removed by it (`retire`).
    pub retire: Option<ServiceName>,
}

impl DeployAsk {
    /// A request with nothing special about it.
    pub fn new(kind: Kind, environment: EnvName, what: What) -> Self {
        Self {
            kind,
            environment,
            what,
            services: Vec::new(),
            branch: None,
            strategy: None,
            reason: None,
            adopt: Adopt::Refuse,
            confirmed: false,
            lock_wait: Duration::ZERO,
            timeout: None,
            key: None,
            only: None,
            retire: None,
        }
    }
}

/// What would happen.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The release.
    pub release: Release,
    /// The plan.
    pub plan: Plan,
    /// The gates, as of now, but for what is asked.
    pub verdict: Verdict,
    /// What is asked before it is done, and was not answered beforehand.
    pub asked: Vec<Asked>,
    /// How long the release was healthy in each environment before, where a soak is wanted and was long enough; and what is known
    /// of the time between the looks.
    pub soaked: Vec<String>,
    /// Whether and how one can come back.
    pub way_back: String,
}

/// A deployment as far as it was driven.
#[derive(Debug, Clone)]
pub struct Driven {
    /// Which.
    pub deployment: DeploymentId,
    /// The final JSON of design §6, from its events.
    pub result: deploy_core::view::result::DeployResult,
}

/// Somebody else drives the environment, and is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsFor {
    /// The environment.
    pub environment: EnvName,
    /// Who holds it, since when, at which step.
    pub holder: LeaseHolder,
    /// How long it is waited for at most. `None`: it is only watched whether the holder is alive.
    pub until: Option<Timestamp>,
}

/// What goes on before there is a deployment that could be told of. Told when it begins, and with each line that its command writes:
/// what is told is a sign of life, and nothing depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Before {
    /// An artifact is built.
    Builds {
        /// Its name.
        artifact: String,
        /// What its command wrote last.
        line: String,
    },
    /// A check is run.
    Checks {
        /// Its name.
        check: EvidenceName,
        /// What its command wrote last.
        line: String,
    },
    /// Hosts are looked at.
    LooksAt {
        /// Their names.
        hosts: Vec<HostName>,
    },
}

/// Who hears of that.
pub type Hear<'a> = &'a mut (dyn FnMut(Before) + Send);

/// What became of something that was asked of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskOutcome {
    /// Whoever drives it was told. What it accepts comes as an event; what makes no difference by then, or is too late, is passed over.
    Left {
        /// Who drives it.
        holder: String,
    },
    /// Nobody drove it: it was done here.
    Done,
    /// It makes no difference, or is too late: why.
    Rejected(String),
}

/// Evidence to record.
#[derive(Debug, Clone)]
pub struct AttestAsk {
    /// A check, or an item of a checklist.
    pub name: EvidenceName,
    /// About which commit or release; `None`: the deployment's.
    pub about: Option<String>,
    /// For a deployment that waits.
    pub deployment: Option<String>,
    /// Where it holds; `None`: everywhere.
    pub environment: Option<EnvName>,
    /// What was found.
    pub finding: Finding,
    /// For people.
    pub note: String,
    /// Which run found it.
    pub run: Option<String>,
    /// How long it counts.
    pub valid_for: Option<Duration>,
}

/// One line of `deploy doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The service or host.
    pub subject: String,
    /// What was tried: `reach`, `rights`, `disk`, `clock`, `tools`, `health`.
    pub check: String,
    /// How it is.
    #[serde(flatten)]
    pub state: DiagnosisState,
    /// What was found.
    pub found: String,
}

/// How a thing is that `deploy doctor` tried; what is not well comes with its fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DiagnosisState {
    /// As it should be.
    Ok,
    /// It works so far; this would be better.
    Warning {
        /// What to do.
        fix: String,
    },
    /// A deployment would fail.
    Failed {
        /// What to do.
        fix: String,
    },
}

impl DiagnosisState {
    /// Whether a deployment would get past it.
    pub const fn is_well(&self) -> bool {
        matches!(self, Self::Ok | Self::Warning { .. })
    }

    /// What to do about it, where something is to be done.
    pub fn fix(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::Warning { fix } | Self::Failed { fix } => Some(fix),
        }
    }
}

/// What is told while `deploy doctor` looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examining {
    /// These hosts are looked at, each for what a deployment has there.
    Begun {
        /// Which, and for which services.
        hosts: BTreeMap<HostName, Vec<ServiceName>>,
    },
    /// This was found.
    Found {
        /// The host that answered, or that could not be reached; `None`: what needed none.
        host: Option<HostName>,
        /// What.
        found: Vec<Diagnosis>,
    },
}

/// Health of one slice, now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceHealth {
    /// The service.
    pub service: ServiceName,
    /// The slice.
    pub slice: SliceName,
    /// What the probes say.
    pub health: HealthSeen,
    /// What it counts as, by what runs there and by its probes: one without a probe is well if it runs what it should.
    pub counts_as: HealthSeen,
    /// Whether it runs what it should, as it was put there.
    pub drift: Drift,
    /// What was seen.
    pub note: String,
    /// What of the release is not as it was put there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<String>,
}

impl SliceHealth {
    /// Healthy, and as it was put there.
    pub fn is_well(&self) -> bool {
        self.counts_as == HealthSeen::Healthy && self.drift == Drift::None
    }
}

/// Gates of an environment for a release, at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// The environment.
    pub environment: EnvName,
    /// The release, as printed.
    pub release: String,
    /// At which time.
    pub at: Timestamp,
    /// What is not met; empty: all hold.
    pub unmet: Vec<Unmet>,
    /// The gates that hold.
    pub met: Vec<Met>,
    /// What is asked only when it is done: neither met nor in the way.
    pub asked: Vec<Asked>,
}

/// A gate that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// Which gate.
    pub gate: GateKind,
    /// By what evidence.
    pub reason: String,
}

/// A gate that is asked of whoever does it: the confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which gate.
    pub gate: GateKind,
    /// The flag that answers beforehand: `--confirm production`.
    pub by: String,
}

/// One deployment in full.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Folded.
    pub view: deploy_core::view::deployment::DeploymentView,
    /// Its release.
    pub release: Option<Release>,
    /// All of its events.
    pub events: Vec<Event>,
}

/// Why a call gave nothing. Each kind has one exit.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The manifest is wrong: all of it at once.
    #[error("{} problems in the manifest", .0.len())]
    Manifest(deploy_core::problem::Problems),
    /// What was asked makes no sense: a name that is not there, flags that contradict.
    #[error("{0}")]
    Usage(Box<Failure>),
    /// Somebody else holds it.
    #[error("{0}")]
    Held(Box<Failure>),
    /// A gate that waiting does not open, before anything was recorded.
    #[error("{failure}")]
    Refused {
        /// All of it.
        unmet: Vec<Unmet>,
        /// In short.
        failure: Box<Failure>,
    },
    /// The asker may not.
    #[error("{0}")]
    NotAllowed(Box<Failure>),
    /// A target could not be reached before anything changed.
    #[error("{0}")]
    Unreachable(Box<Failure>),
    /// It failed, and nothing that serves was changed.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// A deployment is left to resume.
    #[error("{failure}")]
    Open {
        /// Which.
        deployment: DeploymentId,
        /// Why.
        failure: Box<Failure>,
    },
    /// A defect of ours.
    #[error("{0}")]
    Defect(Box<Failure>),
}

impl EngineError {
    /// How a process that ends by it exits.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Manifest(_) | Self::Usage(_) => Exit::Usage,
            Self::Held(_) => Exit::Held,
            Self::Refused { unmet, .. } => Exit::of_refusal(unmet),
            Self::NotAllowed(_) => Exit::NotAllowed,
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Failed(_) => Exit::Failed,
            Self::Open { .. } => Exit::Open,
            Self::Defect(_) => Exit::Defect,
        }
    }

    /// For people and programs.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Manifest(problems) => Failure::new(
                deploy_core::failure::Code::ManifestInvalid,
                format!("{} problems in the manifest", problems.len()),
                "mend them, then deploy check",
            ),
            Self::Usage(failure)
            | Self::Held(failure)
            | Self::Refused { failure, .. }
            | Self::NotAllowed(failure)
            | Self::Unreachable(failure)
            | Self::Failed(failure)
            | Self::Open { failure, .. }
            | Self::Defect(failure) => (**failure).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn programs_read_names_and_not_our_debug_words() {
        let met = Met {
            gate: GateKind::AutomaticPromotion,
            reason: "nothing stopped it".to_owned(),
        };
        let wanted = json!({"gate": "automatic_promotion", "reason": "nothing stopped it"});
        assert_eq!(to_value(met).expect("it is JSON"), wanted);
    }

    #[test]
    fn a_warning_is_told_from_what_is_well_and_keeps_its_fix() {
        let fix = "free some room".to_owned();
        let warning = Diagnosis {
            subject: "web web-1".to_owned(),
            check: "room".to_owned(),
            state: DiagnosisState::Warning { fix },
            found: "200 MB".to_owned(),
        };
        assert!(warning.state.is_well());
        let wanted = json!({
            "subject": "web web-1", "check": "room", "state": "warning", "fix": "free some room", "found": "200 MB"
        });
        assert_eq!(to_value(&warning).expect("it is JSON"), wanted);
        assert_eq!(serde_json::from_value::<Diagnosis>(wanted).ok(), Some(warning));
    }
}

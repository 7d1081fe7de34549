//! What a driver needs to act for a plan: a target and the probes of each service, made from the configuration that goes with the
//! release. Who makes them (from a manifest, or in an embedder's code) is not the driver's business.

use super::ports::Ports;
use async_trait::async_trait;
use deploy_core::failure::Failure;
use deploy_core::health::ProbeSpec;
use deploy_core::id::{DeploymentId, Epoch, PlaceId, ServiceName, SliceName};
use deploy_core::machine::Machine;
use deploy_core::machine::state::Direction;
use deploy_core::plan::{Kind, Plan};
use deploy_core::port::probe::Probe;
use deploy_core::port::target::{Desired, ProgressSink, Target};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How one slice is looked at.
#[derive(Clone)]
pub struct Eyes {
    /// Who looks when it runs the release.
    pub probe: Arc<dyn Probe>,
    /// What to look at when it runs the release.
    pub new: Vec<ProbeSpec>,
    /// The same where the release leaves it as it is: its processes know the facts of the release that they were started as. None
    /// where that is not known to be another.
    pub kept: Option<(Arc<dyn Probe>, Vec<ProbeSpec>)>,
    /// Who looks when it runs what was there before.
    pub old_probe: Arc<dyn Probe>,
    /// What to look at when it runs what was there before.
    pub old: Vec<ProbeSpec>,
    /// Where the release answers at two ports in turn: who looks at either; `probe` is then the same.
    pub ports: Option<Arc<Ports>>,
    /// Probes that cannot be done.
    pub untold: Vec<Untold>,
}

impl Eyes {
    /// For a slice that runs the release since before: nothing moves it.
    #[must_use]
    pub fn of_what_stays(mut self) -> Self {
        if let Some((probe, specs)) = self.kept.take() {
            self.probe = probe;
            self.new = specs;
        }
        self
    }

    /// What cannot be told of the release, or of what was there before: a sentence fragment each.
    pub fn untold(&self, new: bool) -> Vec<&str> {
        let of = self.untold.iter().filter(|untold| untold.new == new);
        of.map(|untold| untold.why.as_str()).collect()
    }
}

/// A probe that cannot be done, so that nothing is told by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// Whether it is one of the release, and not of what was there before.
    pub new: bool,
    /// Which, and why: `ready: the secret TOKEN (env TOKEN) has no value: …`.
    pub why: String,
}

/// What a deployment may ask of whoever drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Everything: what is missing is an error, before anything changes.
    Everything,
    /// Nothing but the journal and the target: going back is held up by no secret. What a probe needs and is missing, it cannot tell.
    Nothing,
}

impl Needs {
    /// Of a deployment as it is now.
    pub(super) fn of(machine: &Machine) -> Self {
        if machine.state().direction != Direction::Forward || machine.plan().kind == Kind::Rollback {
            Self::Nothing
        } else {
            Self::Everything
        }
    }
}

/// One service of a plan, bound.
#[derive(Clone)]
pub struct Bound {
    /// The service.
    pub name: ServiceName,
    /// Its target.
    pub target: Arc<dyn Target>,
    /// What it shall run, without its secrets.
    pub desired: Arc<Desired>,
    /// How its slices are looked at.
    pub eyes: BTreeMap<SliceName, Eyes>,
    /// Releases kept in a place.
    pub keep: usize,
}

/// The last epochs that the journal knows, by place.
pub type Epochs = BTreeMap<PlaceId, Epoch>;

/// Makes targets and probes for a plan.
#[async_trait]
pub trait Wiring: Send + Sync {
    /// Binds every service of the plan, in the plan's order.
    ///
    /// # Errors
    /// If the configuration that goes with the release cannot be had, or a secret that it may ask for cannot be resolved.
    async fn bind(&self, plan: &Plan, needs: Needs) -> Result<Vec<Bound>, Failure>;

    /// What a service shall run, with its secrets, resolved now: for preparing alone.
    ///
    /// # Errors
    /// A secret that has no value.
    async fn with_secrets(&self, plan: &Plan, service: &ServiceName) -> Result<Arc<Desired>, Failure>;

    /// Makes the artifact of a service again, where it is neither here nor where the service runs: from the commit that the release was
    /// made of. `tell` hears what the build says. Answers with what the service shall run, and with what people should know of it.
    ///
    /// # Errors
    /// It cannot be made here, or it comes out as something else than what was verified.
    async fn make_again(
        &self,
        plan: &Plan,
        service: &ServiceName,
        tell: &dyn ProgressSink,
    ) -> Result<(Arc<Desired>, String), Failure>;

    /// The last epochs of all places of the environment.
    async fn epochs(&self) -> Epochs;

    /// What the journal knows of a deployment that holds a place of this state: its claim is taken from one that has ended.
    async fn fate(&self, deployment: &DeploymentId) -> Fate;
}

/// What a journal knows of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It may go on, or that could not be learned.
    Open,
    /// It has ended.
    Ended,
    /// Nothing: the journal is a copy, or was put back from a backup, and the deployment came after.
    Unknown,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound")
            .field("name", &self.name)
            .field("desired", &self.desired)
            .finish_non_exhaustive()
    }
}

//! Kinds of targets: which are compiled in, and how each is made from its table of the manifest. The one room that a new kind
//! enters: a module that says how it is made, and a line in [`Kit::default`]. Nothing else asks what is compiled in.

#[cfg(feature = "ssh")]
mod ssh;

pub mod server;

use crate::api::Diagnosis;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, SliceName};
use deploy_core::manifest::acting::{Acts, ArtifactForm};
use deploy_core::manifest::{Environment, Facts, Service, StrategyKind, TargetKind};
use deploy_core::port::probe::HostExec;
use deploy_core::port::target::{Secret, SliceSpec, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio::task::JoinSet;

use server::{Seat, Server};

/// What a kind is made from.
pub struct Recipe<'a> {
    /// The environment.
    pub environment: &'a Environment,
    /// The service.
    pub service: &'a Service,
    /// The facts of the release; without those of a slice.
    pub facts: &'a Facts,
    /// The manifest's folder: relative paths start there.
    pub folder: &'a Path,
    /// Secrets to reach hosts with, by host.
    pub passwords: &'a BTreeMap<HostName, Secret>,
}

/// A target, and the hosts that its slices can be looked at from.
#[derive(Clone)]
pub struct Made {
    /// The target.
    pub target: Arc<dyn Target>,
    /// Its slices.
    pub slices: Vec<SliceSpec>,
    /// The host of each slice, for kinds that have hosts.
    pub hosts: BTreeMap<SliceName, Arc<dyn HostExec>>,
    /// The port that serves in a slice where two take turns, as the target last told; for kinds that have ports.
    pub serving: Option<ServingPort>,
    /// What `deploy doctor` asks.
    pub doctor: Option<Arc<dyn Doctor>>,
}

/// Tells the port that serves in a slice now, as far as it is known; asks nobody.
pub type ServingPort = Arc<dyn Fn(&SliceName) -> Option<u16> + Send + Sync>;

/// What `deploy doctor` asks of a target.
#[async_trait::async_trait]
pub trait Doctor: Send + Sync {
    /// The hosts that it is reached on; several services may share one, and its connection.
    fn hosts(&self) -> Vec<HostName>;

    /// Tries what a deployment will need of one host: reach, rights, disk, clock, tools. Changes nothing. Where it is not reached,
    /// nothing is told but that.
    async fn examine(&self, host: &HostName) -> Vec<Examined>;
}

/// One thing that was tried on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    /// It is the same for every service there.
    OfHost(Diagnosis),
    /// It is about this service on it.
    OfService(Diagnosis),
}

/// A connection being made ahead of its use.
type Greeting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One kind: how its targets are made, and what all of them share, such as connections.
#[async_trait::async_trait]
trait Maker: Send + Sync {
    /// Which.
    fn kind(&self) -> TargetKind;

    /// The strategies that it follows as they are written.
    fn strategies(&self) -> BTreeSet<StrategyKind>;

    /// What may begin before there is a release: making connections. Nothing depends on it.
    fn greet(&self, _environment: &Environment, _folder: &Path) -> Vec<Greeting> {
        Vec::new()
    }

    /// Makes the target of a service of this kind.
    async fn make(&self, recipe: &Recipe<'_>) -> Result<Made, Failure>;

    /// A host as people use it by hand; `None` for kinds that have none.
    fn server(&self, _: &Seat<'_>) -> Option<Result<Arc<dyn Server>, Failure>> {
        None
    }
}

/// The kinds that are compiled in. One kit is shared by all services of an engine.
pub struct Kit {
    makers: Vec<Box<dyn Maker>>,
}

impl Default for Kit {
    fn default() -> Self {
        let makers = std::iter::empty::<Box<dyn Maker>>();
        #[cfg(feature = "ssh")]
        let makers = makers.chain([Box::<ssh::Ssh>::default() as _]);
        Self {
            makers: makers.collect(),
        }
    }
}

impl Kit {
    /// What a deployment can act on with these kinds.
    pub fn acts(&self) -> Acts {
        let kinds = self.makers.iter().map(|maker| (maker.kind(), maker.strategies()));
        Acts {
            kinds: kinds.collect(),
            artifacts: BTreeSet::from([ArtifactForm::Tree]),
        }
    }

    /// Begins to connect to what an environment's services run on. What stands in the way is told to whoever needs it; dropping the
    /// set ends what is still being made.
    pub fn greet(&self, environment: &Environment, folder: &Path) -> JoinSet<()> {
        let mut greetings = JoinSet::new();
        for greeting in self
            .makers
            .iter()
            .flat_map(|maker| maker.greet(environment, folder))
        {
            greetings.spawn(greeting);
        }
        greetings
    }

    /// A host of an environment, to be used by hand; connects to nothing yet.
    ///
    /// # Errors
    /// No kind with hosts is compiled in, or a path cannot be filled in.
    pub fn server(&self, seat: &Seat<'_>) -> Result<Arc<dyn Server>, Failure> {
        let mut servers = self.makers.iter().filter_map(|maker| maker.server(seat));
        servers.next().unwrap_or_else(|| {
            let message = format!("this program reaches no servers, such as {}", seat.host.name);
            Err(Failure::new(
                Code::NotYetActing,
                message,
                "use one that was built with ssh",
            ))
        })
    }

    /// Makes the target of a service.
    ///
    /// # Errors
    /// If its kind is not compiled in, or its configuration cannot be filled in.
    pub async fn make(&self, recipe: &Recipe<'_>) -> Result<Made, Failure> {
        let kind = recipe.service.kind();
        match self.makers.iter().find(|maker| maker.kind() == kind) {
            Some(maker) => maker.make(recipe).await,
            None => Err(Failure::new(
                Code::NotYetActing,
                format!(
                    "service {} runs on {kind}, which this program does not act on",
                    recipe.service.name
                ),
                "leave the service out of this environment (enabled = false), or use a program that was built with it",
            )),
        }
    }
}

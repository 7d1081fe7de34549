//! Kinds of targets: which are compiled in, and how each is made from its table of the manifest. The one room that a new kind
//! enters.

use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, SliceName};
#[cfg(feature = "ssh")]
use deploy_core::manifest::TargetKind;
use deploy_core::manifest::{Environment, Facts, Service};
use deploy_core::port::probe::HostExec;
use deploy_core::port::target::{Secret, SliceSpec, Target};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

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
    /// Connections, shared by all services.
    #[cfg(feature = "ssh")]
    pub connections: &'a deploy_target_ssh::Connections,
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
    /// What `deploy doctor` asks.
    pub doctor: Option<Arc<dyn Doctor>>,
}

/// What `deploy doctor` asks of a target.
#[async_trait::async_trait]
pub trait Doctor: Send + Sync {
    /// Tries what a deployment will need: reach, rights, disk, clock, tools. Changes nothing.
    async fn examine(&self) -> Vec<crate::api::Diagnosis>;
}

/// Makes the target of a service.
///
/// # Errors
/// If its kind is not compiled in, or its configuration cannot be filled in.
pub async fn make(recipe: &Recipe<'_>) -> Result<Made, Failure> {
    match recipe.service.kind() {
        #[cfg(feature = "ssh")]
        TargetKind::Ssh => super::bind::ssh::make(recipe).await,
        kind => Err(Failure::new(
            Code::NotYetActing,
            format!(
                "service {} runs on {kind}, which this program does not act on yet",
                recipe.service.name
            ),
            "leave the service out of this environment (enabled = false), or use a program that was built with it",
        )),
    }
}

//! Plain servers over ssh, and this machine by the same steps.
//!
//! Each verb is one file; two ports that take turns are `beside`. Below them: `host` runs a step by name, `script/*.sh` are the steps
//! themselves (POSIX `sh`), and
//! `transport` gets them there. What is where on a host: `layout`. All writes hold the host's lock and compare its claim in the
//! same step. `exec` is the other port: a host to look from. `server` is what people do by hand on a host. Hosts are Linux with the
//! usual tools; [`SshTarget::doctor_of`] says what one lacks.

mod activate;
mod arm;
mod bases;
mod beside;
mod claim;
mod config;
mod connections;
mod doctor;
mod environment;
mod error;
mod exec;
mod finish;
mod hooks;
mod host;
mod inside;
mod layout;
pub mod listing;
mod logs;
mod observe;
mod prepare;
mod restore;
mod seen;
mod server;
mod setup;
mod stop;
mod sudo;
mod together;
mod transport;
mod trust;
mod upload;
mod words;

pub use config::{
    Address, Beside, Failpoint, Hook, HookPoint, HostBinding, HostScript, Proxy, ProxyKind, SshAddress,
    SshBinding,
};
pub use connections::Connections;
pub use doctor::{Check, CheckState};
pub use host::FAILPOINTS;
pub use server::{Ended, Listener, LogSource, Order, Said, Server, Tail};
pub use setup::{Setup, SetupMode, SetupState, SetupStep};
pub use trust::{HostKey, HostKeys, Standing};

use async_trait::async_trait;
use bases::Bases;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, PlaceId, SliceName, UnitId};
use deploy_core::port::target::{
    Abilities, Cause, Claim, ClaimRequest, Cleanup, Desired, Difference, Fence, Move, Op, Prepared, Restore,
    Runs, SliceSeen, SliceSpec, Stood, Stop, Target, TargetError,
};
use host::Host;
use std::time::Duration;
use upload::Contents;

/// One service on the hosts of one environment.
pub struct SshTarget {
    pub(crate) binding: SshBinding,
    hosts: Vec<Host>,
    pub(crate) bases: Bases,
    pub(crate) contents: Contents,
}

impl SshTarget {
    /// What targets of this kind can do; one that knows a `stop` command stops a host, too.
    pub const ABILITIES: Abilities = Abilities {
        fence: Fence::Lock,
        arms: true,
        removes: true,
        unbroken_since: false,
        stops: false,
    };

    /// Binds one; connects to nothing yet.
    ///
    /// # Errors
    /// The path is not absolute, a shared folder or a product is no path inside a release, or a name does not fit.
    pub fn new(binding: SshBinding, connections: &Connections) -> Result<Self, Box<Failure>> {
        let paths = config::check(&binding)?;
        let hosts = binding
            .hosts
            .iter()
            .zip(paths)
            .map(|(host, path)| {
                let shell = connections.shell(&host.address);
                Host::new(host.clone(), path, shell, binding.failpoint.clone()).with_commands(&binding)
            })
            .collect();
        Ok(Self {
            binding,
            hosts,
            bases: Bases::default(),
            contents: Contents::default(),
        })
    }

    /// Its hosts' names.
    pub fn host_names(&self) -> impl Iterator<Item = &HostName> {
        self.binding.hosts.iter().map(|host| &host.name)
    }

    /// The port that serves on a host where two take turns, as the last step or look there told it.
    pub fn serving_port(&self, slice: &SliceName) -> Option<u16> {
        self.host(slice).ok()?.serving_port()
    }

    /// Looks at one host: reach, rights, room, clock, tools, the restart command. Changes nothing, and tells nothing of a host that
    /// is not one of these.
    ///
    /// # Cancellation
    /// Whatever runs on the host ends within its time limit.
    pub async fn doctor_of(&self, name: &HostName) -> Vec<Check> {
        let restart = self.binding.restart.as_ref().map(|script| &script.command);
        let proxy = self.binding.beside.as_ref().map(|beside| &beside.proxy);
        match self.hosts.iter().find(|host| host.binding.name == *name) {
            Some(host) => doctor::look(host, restart, proxy).await,
            None => Vec::new(),
        }
    }

    fn host(&self, slice: &SliceName) -> Result<&Host, TargetError> {
        self.find(
            |host| host.name() == slice.as_str(),
            || format!("no host {slice} in this environment"),
        )
    }

    fn host_at(&self, place: &PlaceId) -> Result<&Host, TargetError> {
        self.find(
            |host| host.place() == place.as_str(),
            || format!("no place {place} in this environment"),
        )
    }

    fn find(
        &self,
        which: impl Fn(&&Host) -> bool,
        missing: impl FnOnce() -> String,
    ) -> Result<&Host, TargetError> {
        self.hosts.iter().find(which).ok_or_else(|| {
            let failure = Failure::new(Code::UnknownName, missing(), "deploy config lists the hosts");
            TargetError::not_done(Cause::Final, failure)
        })
    }

    /// Adds the service and the slice to an error.
    fn on<T>(&self, host: &Host, result: Result<T, TargetError>) -> Result<T, TargetError> {
        result.map_err(|mut error| {
            error.failure.service = Some(self.binding.service.clone());
            error.failure.slice = SliceName::new(host.name()).ok();
            error
        })
    }
}

#[async_trait]
impl Target for SshTarget {
    fn abilities(&self) -> Abilities {
        Abilities {
            stops: self.binding.stop.is_some(),
            ..Self::ABILITIES
        }
    }

    async fn slices(&self) -> Result<Vec<SliceSpec>, TargetError> {
        let spec = |host: &Host| {
            Some(SliceSpec {
                name: SliceName::new(host.name()).ok()?,
                place: PlaceId::new(host.place()).ok()?,
                unit: UnitId::new(host.place()).ok()?,
            })
        };
        // `new` has checked the names.
        Ok(self.hosts.iter().filter_map(spec).collect())
    }

    async fn claim(&self, place: &PlaceId, request: &ClaimRequest) -> Result<Claim, TargetError> {
        let host = self.host_at(place)?;
        self.bases.need();
        self.on(host, claim::claim(host, request, &self.bases).await)
    }

    async fn observe(&self, slices: &[SliceName]) -> Result<Vec<SliceSeen>, TargetError> {
        let hosts: Vec<_> = slices
            .iter()
            .map(|slice| self.host(slice))
            .collect::<Result<_, _>>()?;
        let looks = hosts
            .into_iter()
            .zip(slices)
            .map(|(host, slice)| observe::observe(host, slice, &self.bases));
        let mut seen = together::all(looks.collect()).await;
        for failure in seen.iter_mut().filter_map(|seen| seen.runs.as_mut().err()) {
            failure.service = Some(self.binding.service.clone());
        }
        Ok(seen)
    }

    async fn plan(&self, slice: &SliceName, to: &Desired) -> Result<Difference, TargetError> {
        let host = self.host(slice)?;
        self.on(host, observe::plan(self, host, slice, to).await)
    }

    async fn prepare(&self, op: &Op, step: &Move) -> Result<Prepared, TargetError> {
        let host = self.host(&step.slice)?;
        self.on(host, prepare::prepare(self, host, op, step).await)
    }

    async fn stand(&self, op: &Op, step: &Move) -> Result<Stood, TargetError> {
        let host = self.host(&step.slice)?;
        match &self.binding.beside {
            Some(beside) => self.on(host, beside::stand(self, beside, host, op, step).await),
            None => Ok(Stood::InPlace),
        }
    }

    async fn activate(&self, op: &Op, step: &Move) -> Result<Runs, TargetError> {
        let host = self.host(&step.slice)?;
        self.on(host, activate::activate(self, host, op, step).await)
    }

    async fn verify(&self, op: &Op, slice: &SliceName, wanted: &Runs) -> Result<SliceSeen, TargetError> {
        let host = self.host(slice)?;
        self.on(host, observe::verify(host, op, slice, wanted).await)
    }

    async fn renew(&self, op: &Op, slice: &SliceName, span: Duration) -> Result<(), TargetError> {
        let host = self.host(slice)?;
        self.on(host, arm::renew(host, op, span).await)
    }

    async fn confirm(&self, op: &Op, slice: &SliceName) -> Result<(), TargetError> {
        let host = self.host(slice)?;
        self.on(host, arm::confirm(host, op).await)
    }

    async fn restore(&self, op: &Op, step: &Restore) -> Result<Runs, TargetError> {
        let host = self.host(&step.slice)?;
        self.on(host, restore::restore(self, host, op, step).await)
    }

    async fn stop(&self, op: &Op, step: &Stop) -> Result<Runs, TargetError> {
        let host = self.host(&step.slice)?;
        self.on(host, stop::stop(self, host, op, step).await)
    }

    async fn finish(&self, op: &Op, place: &PlaceId, cleanup: &Cleanup) -> Result<(), TargetError> {
        let host = self.host_at(place)?;
        self.on(host, finish::finish(self, host, op, cleanup).await)
    }
}

#[cfg(test)]
mod tests;

//! The ways to hosts, shared by all services of a process: one connection a host, however many services it has.

use crate::config::{Address, SshAddress};
use crate::transport::Shell;
use crate::transport::crowd::Crowd;
use crate::transport::local::Local;
use crate::transport::ssh::Ssh;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Open connections, made when first needed. Dropping the last clone, and everything made from it, closes them.
#[derive(Clone, Default)]
pub struct Connections {
    local: Local,
    open: Arc<Mutex<BTreeMap<SshAddress, Arc<Ssh>>>>,
    crowd: Arc<Crowd>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connections")
    }
}

impl Connections {
    /// With the tools of a folder on this machine, for tests.
    #[cfg(test)]
    pub(crate) fn with_tools(tools: std::path::PathBuf) -> Self {
        Self {
            local: Local { tools: Some(tools) },
            ..Self::default()
        }
    }

    /// Ends the shells that wait for a step, so that the next one is a session of its own again.
    #[cfg(test)]
    pub(crate) fn let_go(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().for_each(|ssh| ssh.let_go());
    }

    /// Connects, so that the first step finds a connection. What stands in the way of it is told to that step.
    pub fn greet(&self, address: &SshAddress) -> impl Future<Output = ()> + Send + use<> {
        let ssh = self.ssh(address);
        async move {
            let _told_to_the_first_step = ssh.ready().await;
        }
    }

    pub(crate) fn shell(&self, address: &Address) -> Arc<dyn Shell> {
        match address {
            Address::Local => Arc::new(self.local.clone()),
            Address::Ssh(address) => self.ssh(address),
        }
    }

    pub(crate) fn ssh(&self, address: &SshAddress) -> Arc<Ssh> {
        // Nothing panics while it is held, so what a poisoned one holds is whole.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let made = open
            .entry(address.clone())
            .or_insert_with(|| Arc::new(Ssh::new(address.clone(), Arc::clone(&self.crowd))));
        Arc::clone(made)
    }
}

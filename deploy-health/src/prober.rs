//! [`Prober`]: the [`Probe`] that looks for real, and the verdicts that its kinds of looks share.

use crate::http::Routes;
use crate::local::LocalExec;
use crate::{command, http, tcp};
use deploy_core::command::Command;
use deploy_core::failure::Code;
use deploy_core::health::{Look, ProbeKind, ProbeSpec, Reason, Vantage, Verdict};
use deploy_core::port::probe::{HostCommand, HostExec, HostExecError, Probe};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Looks from here and, where it has one, from a host. One per slice: it keeps ways through its host open between looks, and closes
/// them when dropped.
pub struct Prober {
    host: Option<Arc<dyn HostExec>>,
    env: Vec<(String, String)>,
    routes: Routes,
    direct: OnceLock<bool>,
}

impl Prober {
    /// Without a host: a spec that looks from one cannot be looked at.
    pub fn here() -> Self {
        Self {
            host: None,
            env: Vec::new(),
            routes: Routes::default(),
            direct: OnceLock::new(),
        }
    }

    /// With the host of the slice.
    pub fn with_host(host: Arc<dyn HostExec>) -> Self {
        Self {
            host: Some(host),
            ..Self::here()
        }
    }

    /// What command probes get in their environment, beside what is there anyway.
    #[must_use]
    pub fn with_env(mut self, env: Vec<(String, String)>) -> Self {
        self.env = env;
        self
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober")
            .field("host", &self.host.is_some())
            .finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Probe for Prober {
    async fn look(&self, spec: &ProbeSpec) -> Look {
        let host = match (spec.from, &self.host) {
            (Vantage::Here, _) => None,
            (Vantage::Host, Some(host)) => Some(&**host),
            (Vantage::Host, None) => {
                let verdict = cannot_look("there is no host to look from: write from = \"here\"".to_owned());
                return Look::new(verdict, Duration::ZERO);
            }
        };
        match &spec.kind {
            ProbeKind::Http { url } => http::look(spec, url, host, &self.routes).await,
            ProbeKind::Tcp { addr } => tcp::look(spec, addr, host, &self.direct).await,
            ProbeKind::Command { line, dir } => {
                command::look(spec, line, dir.as_ref(), &self.env, host.unwrap_or(&LocalExec)).await
            }
        }
    }
}

/// It was reached and is not well.
pub(crate) fn unhealthy(what: String) -> Verdict {
    Verdict::Unhealthy(Reason::new(Code::Unhealthy, what))
}

/// Nobody could look.
pub(crate) fn cannot_look(what: String) -> Verdict {
    Verdict::Unreachable(Reason::new(Code::ProbeUnreachable, what))
}

/// After a look through a host got no answer: whether that was the host. None if the host is there.
pub(crate) async fn host_fault(host: &dyn HostExec, limit: Duration) -> Option<Verdict> {
    let nothing = HostCommand::new(Command::Shell(":".to_owned()));
    match tokio::time::timeout(limit, host.run(&nothing, limit)).await {
        Ok(Ok(_)) => None,
        Ok(Err(HostExecError::TimedOut)) | Err(_) => Some(cannot_look("the host does not answer".to_owned())),
        Ok(Err(error)) => Some(cannot_look(error.to_string())),
    }
}

//! A server by hand: which services are on it, and where, from the manifest's words to those of the ssh target.

use super::{address, path, text};
use crate::api::by_hand::{
    HostEnded, KeySeen, KeyStanding, LogsAsk, OutputStream, SetupDone, SetupState as State,
};
use crate::configure::registry::server::{Keys, Listener, Seat, SeenKeys, Server};
use async_trait::async_trait;
use deploy_core::command::Command;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, ServiceName};
use deploy_core::manifest::TargetConfig;
use deploy_core::port::target::{Certainty, TargetError};
use deploy_target_ssh::{
    self as ssh, Connections, Ended, HostKeys, LogSource, Order, Said, Setup, SetupMode, SetupState,
    Standing, Tail,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The longest that logs are followed: nothing runs on a host for ever, even where the link's end goes unnoticed.
const FOLLOWING: Duration = Duration::from_hours(24);
const READING: Duration = Duration::from_mins(5);

/// A service on the host.
struct Here {
    path: String,
    shared: Vec<String>,
    logs: Option<LogSource>,
}

/// The host.
pub(super) struct OnServer {
    host: HostName,
    server: ssh::Server,
    services: BTreeMap<ServiceName, Here>,
}

/// Makes it; connects to nothing yet.
pub(super) fn make(seat: &Seat<'_>, connections: &Connections) -> Result<Arc<dyn Server>, Failure> {
    let host = seat.host;
    let mut services = BTreeMap::new();
    for service in seat.environment.services.values() {
        let TargetConfig::Ssh(config) = service.on(host.name.as_str()).target else {
            continue;
        };
        if !seat.environment.hosts_of(service).contains(&host) {
            continue;
        }
        let logs = match &config.logs {
            Some(template) => Some(text(
                "where it writes",
                service,
                template,
                &BTreeMap::new(),
                host,
            )?),
            None => None,
        };
        let logs = LogSource::of(
            logs.as_deref(),
            config.restart.as_ref(),
            &host.name,
            &service.name,
        );
        let here = Here {
            path: path(service, &config.path, &BTreeMap::new(), seat.folder, host)?,
            shared: config
                .shared
                .iter()
                .map(|path| path.as_str().to_owned())
                .collect(),
            logs,
        };
        services.insert(service.name.clone(), here);
    }
    let paths = services.values().map(|here: &Here| here.path.clone()).collect();
    let address = address(
        host,
        seat.environment,
        seat.folder,
        seat.passwords.get(&host.name),
    );
    Ok(Arc::new(OnServer {
        host: host.name.clone(),
        server: connections.server(&host.name, &address, paths),
        services,
    }))
}

impl OnServer {
    fn here(&self, service: &ServiceName) -> Result<&Here, Failure> {
        self.services.get(service).ok_or_else(|| {
            let message = format!("{service} is no service on the server {}", self.host);
            Failure::new(Code::NotYetActing, message, "deploy config shows what is")
        })
    }
}

fn ended(result: Result<Ended, TargetError>) -> HostEnded {
    match result {
        Ok(Ended::Status(status)) => HostEnded::Exited { status },
        Ok(Ended::TimedOut) => HostEnded::TimedOut,
        Ok(Ended::Stopped) => HostEnded::Stopped,
        Err(error) => HostEnded::of(*error.failure, error.certainty == Certainty::Unknown),
    }
}

fn heard(lines: Listener) -> ssh::Listener {
    Arc::new(move |said, line| {
        let stream = match said {
            Said::Out => OutputStream::Stdout,
            Said::Err => OutputStream::Stderr,
        };
        lines(stream, line);
    })
}

#[async_trait]
impl Server for OnServer {
    async fn secrets_in(&self, text: &str) -> Result<BTreeSet<String>, Failure> {
        self.server.secrets_in(text).await.map_err(|failure| *failure)
    }

    async fn run(
        &self,
        command: &Command,
        service: Option<&ServiceName>,
        limit: Duration,
        stop: watch::Receiver<bool>,
        lines: Listener,
    ) -> HostEnded {
        let path = match service.map(|service| self.here(service)).transpose() {
            Ok(here) => here.map(|here| here.path.clone()),
            Err(failure) => return HostEnded::Failed { failure },
        };
        let order = Order {
            command: command.clone(),
            path,
            limit,
        };
        ended(self.server.run(&order, stop, heard(lines)).await)
    }

    async fn logs(&self, ask: &LogsAsk, stop: watch::Receiver<bool>, lines: Listener) -> HostEnded {
        let here = match self.here(&ask.service) {
            Ok(here) => here,
            Err(failure) => return HostEnded::Failed { failure },
        };
        let failed = |message: String, next: &str| HostEnded::Failed {
            failure: Failure::new(Code::Usage, message, next),
        };
        let Some(source) = &here.logs else {
            let message = format!("nothing says where {} writes", ask.service);
            return failed(
                message,
                "add `logs = \"journal:UNIT\"`, or a glob of files, to its ssh table",
            );
        };
        if ask.since.is_some() && matches!(source, LogSource::Files(_)) {
            let message = format!(
                "{} writes files, and only a journal knows when a line was written",
                ask.service
            );
            return failed(message, "ask for so many lines: -n 500");
        }
        let tail = Tail {
            lines: ask.lines,
            since: ask.since,
            follow: ask.follow,
            limit: if ask.follow { FOLLOWING } else { READING },
        };
        ended(
            self.server
                .logs(&here.path, source, &tail, stop, heard(lines))
                .await,
        )
    }

    async fn set_up(&self, dry_run: bool, install: bool) -> Result<Vec<SetupDone>, Failure> {
        let mode = match (dry_run, install) {
            (true, false) => SetupMode::Look,
            (true, true) => SetupMode::LookInstall,
            (false, false) => SetupMode::Do,
            (false, true) => SetupMode::Install,
        };
        let services: Vec<Setup> = self
            .services
            .values()
            .map(|here| Setup {
                path: here.path.clone(),
                shared: here.shared.clone(),
            })
            .collect();
        let steps = self.server.set_up(&services, mode).await;
        let done = |step: ssh::SetupStep| SetupDone {
            what: step.what,
            state: match step.state {
                SetupState::Done => State::Done,
                SetupState::Planned => State::Planned,
                SetupState::Cannot { fix } => State::Cannot { fix },
            },
        };
        steps
            .map(|steps| steps.into_iter().map(done).collect())
            .map_err(|failure| *failure)
    }

    async fn keys(&self) -> Result<Option<Box<dyn Keys>>, Failure> {
        let keys = self.server.keys().await.map_err(|failure| *failure)?;
        Ok(keys.map(|keys| Box::new(keys) as Box<dyn Keys>))
    }
}

#[async_trait]
impl Keys for HostKeys {
    fn seen(&self) -> SeenKeys {
        let key = |key: &ssh::HostKey| KeySeen {
            fingerprint: key.fingerprint.clone(),
            kind: key.kind.clone(),
        };
        SeenKeys {
            name: self.name.clone(),
            file: self.file.clone(),
            keys: self.offered.iter().map(key).collect(),
            standing: match &self.standing {
                Standing::Unknown => KeyStanding::Unknown,
                Standing::Trusted => KeyStanding::Trusted,
                Standing::Differs { pinned } => KeyStanding::Differs {
                    pinned: pinned.clone(),
                },
                Standing::Revoked => KeyStanding::Revoked,
            },
        }
    }

    async fn pin(&self, fingerprints: &[String]) -> Result<(), Failure> {
        Self::pin(self, fingerprints).await.map_err(|failure| *failure)
    }
}

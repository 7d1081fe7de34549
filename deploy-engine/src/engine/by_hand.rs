//! Commands and logs by hand. A command is in the journal before it begins anywhere, without what its hosts know as a secret, and
//! again when it has ended everywhere. It takes no claim: it runs beside whatever a deployment does.

use super::hosts::{Named, of_each};
use super::{Engine, failed};
use crate::api::EngineError;
use crate::api::by_hand::{ByHand, HostEnd, HostEnded, LogsAsk, OnHosts, Onlooker, RunAsk};
use crate::configure::registry::server::Listener;
use deploy_core::command::Command;
use deploy_core::event::EventKind;
use deploy_core::failure::{Code, Failure, printable, without};
use deploy_core::id::HostName;
use deploy_core::port::journal::Stream;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Longest command that is kept in the journal, in characters.
const KEPT: usize = 2_000;

impl Engine {
    /// Runs a command on hosts, all at once. Each line and each end is told as it comes; answers when it has ended everywhere.
    ///
    /// # Errors
    /// No such environment, service or host; the asker may not; or the journal takes nothing. What goes wrong on a host is in its
    /// end, and is no error of the others.
    pub async fn run(&self, ask: &RunAsk, onlooker: &Onlooker) -> Result<Vec<HostEnd>, EngineError> {
        let on = &ask.on;
        let environment = self.known_environment(&on.environment).await?;
        let typed = printable(&ask.command.to_string(), KEPT);
        let again = format!("deploy run -e {}", on.environment);
        self.may_change(&environment, ask.confirmed, &again).await?;
        let hosts = self.hosts(on).await?;
        let mut stop = onlooker.stop.clone();
        let (away, hosts, hidden) = tokio::select! {
            reached = reach(hosts, &ask.command) => reached?,
            () = enough(&mut stop) => return Err(nothing_begun()),
        };
        for end in &away {
            (onlooker.tell)(ByHand::Ended(end.clone()));
        }
        if hosts.is_empty() {
            return Ok(away);
        }
        let stream = Stream::Environment(on.environment.clone());
        let began = self.draft(
            None,
            EventKind::CommandBegun {
                command: without(&typed, &hidden),
                service: on.service.clone(),
                hosts: hosts.iter().map(|(name, _)| name.clone()).collect(),
            },
        );
        let at = began.at;
        self.append_facts(&stream, vec![began]).await?;
        let ends = of_each(&hosts, |name, server| {
            let (onlooker, ask) = (onlooker.clone(), ask.clone());
            async move {
                let lines = lines(&name, &onlooker);
                let service = ask.on.service.as_ref();
                let how = server
                    .run(&ask.command, service, ask.limit, onlooker.stop.clone(), lines)
                    .await;
                tell_end(name, how, &onlooker)
            }
        })
        .await?;
        let words = ends.iter().map(|(name, end)| (name.clone(), end.how.to_string()));
        let ended = EventKind::CommandEnded {
            began: at,
            ended: words.collect(),
        };
        self.append_facts(&stream, vec![self.draft(None, ended)]).await?;
        Ok(in_order(away, ends.into_values()))
    }

    /// What a service writes, from all of its hosts at once, in order of arrival.
    ///
    /// # Errors
    /// No such environment, service or host. What goes wrong on a host is in its end.
    pub async fn logs(&self, ask: &LogsAsk, onlooker: &Onlooker) -> Result<Vec<HostEnd>, EngineError> {
        let on = OnHosts {
            environment: ask.environment.clone(),
            service: Some(ask.service.clone()),
            hosts: ask.hosts.clone(),
        };
        let hosts = self.hosts(&on).await?;
        let ends = of_each(&hosts, |name, server| {
            let (onlooker, ask) = (onlooker.clone(), ask.clone());
            async move {
                let lines = lines(&name, &onlooker);
                let how = server.logs(&ask, onlooker.stop.clone(), lines).await;
                tell_end(name, how, &onlooker)
            }
        })
        .await?;
        Ok(ends.into_values().collect())
    }
}

/// The hosts that cannot be reached, those that can, and what these know as a secret of the command.
async fn reach(
    hosts: Vec<Named>,
    command: &Command,
) -> Result<(Vec<HostEnd>, Vec<Named>, BTreeSet<String>), EngineError> {
    let text = match command {
        Command::Shell(text) => text.clone(),
        Command::Argv(words) => words.join(" "),
    };
    let answers = of_each(&hosts, |_, server| {
        let text = text.clone();
        async move { server.secrets_in(&text).await }
    })
    .await?;
    let (mut away, mut hidden) = (BTreeMap::new(), BTreeSet::new());
    for (host, answer) in answers {
        match answer {
            Ok(secrets) => hidden.extend(secrets),
            Err(failure) => {
                let how = HostEnded::of(failure, false);
                away.insert(host.clone(), HostEnd { host, how });
            }
        }
    }
    let there = hosts
        .into_iter()
        .filter(|(name, _)| !away.contains_key(name))
        .collect();
    Ok((away.into_values().collect(), there, hidden))
}

fn lines(host: &HostName, onlooker: &Onlooker) -> Listener {
    let (host, tell) = (host.clone(), Arc::clone(&onlooker.tell));
    Arc::new(move |stream, line| {
        tell(ByHand::Output {
            host: host.clone(),
            stream,
            line: line.to_owned(),
        });
    })
}

fn tell_end(host: HostName, how: HostEnded, onlooker: &Onlooker) -> HostEnd {
    let end = HostEnd { host, how };
    (onlooker.tell)(ByHand::Ended(end.clone()));
    end
}

/// Until whoever looks on has had enough, or is gone.
async fn enough(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await.is_err();
}

fn nothing_begun() -> EngineError {
    failed(Failure::new(
        Code::Interrupted,
        "interrupted before anything began",
        "nothing to do",
    ))
}

fn in_order(first: Vec<HostEnd>, then: impl Iterator<Item = HostEnd>) -> Vec<HostEnd> {
    let mut all: Vec<_> = first.into_iter().chain(then).collect();
    all.sort_by(|one, other| one.host.cmp(&other.host));
    all
}

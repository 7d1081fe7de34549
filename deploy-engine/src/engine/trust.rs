//! Pinning a host's key: which environment's host is meant, what it offers, and the record of who pinned what.

use super::{Engine, failed, usage};
use crate::api::EngineError;
use crate::api::by_hand::{HostKeysSeen, KeyStanding};
use crate::configure::registry::server::Keys;
use deploy_core::event::EventKind;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{EnvName, HostName};
use deploy_core::manifest::Environment;
use deploy_core::port::journal::Stream;

/// The keys of a host, as they were seen at one moment.
pub struct SeenHost {
    /// What was seen.
    pub seen: HostKeysSeen,
    keys: Box<dyn Keys>,
}

impl std::fmt::Debug for SeenHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.seen.fmt(f)
    }
}

impl Engine {
    /// Looks at a host's keys. `None`: it is this machine, which needs none.
    ///
    /// # Errors
    /// No such host, several that are reached in different ways, or it cannot be reached.
    pub async fn host_keys(
        &self,
        host: &HostName,
        environment: Option<&EnvName>,
    ) -> Result<Option<SeenHost>, EngineError> {
        let environment = self.environment_of(host, environment).await?;
        let meant = environment.hosts.get(host).into_iter();
        let servers = self.servers(&environment, meant).await?;
        let Some((_, server)) = servers.first() else {
            return Ok(None);
        };
        let keys = server.keys().await.map_err(|failure| match failure.code {
            Code::Unreachable => EngineError::Unreachable(Box::new(failure)),
            _ => failed(failure),
        })?;
        Ok(keys.map(|keys| SeenHost {
            seen: keys.seen().of(host, &environment),
            keys,
        }))
    }

    /// Pins the keys with these fingerprints, which somebody compared, in place of what was pinned before. It is in the journal first.
    ///
    /// # Errors
    /// None of the keys has such a fingerprint, one is revoked, or the file cannot be written.
    pub async fn pin(&self, host: &SeenHost, fingerprints: &[String]) -> Result<(), EngineError> {
        let seen = &host.seen;
        let offered = |fingerprint: &&String| seen.keys.iter().any(|key| key.fingerprint == **fingerprint);
        if fingerprints.is_empty() || !fingerprints.iter().all(|fingerprint| offered(&fingerprint)) {
            let keys: Vec<_> = seen.keys.iter().map(|key| key.fingerprint.as_str()).collect();
            let message = format!("{} does not show that key, but {}", seen.host, keys.join(", "));
            let next = "do not trust it before somebody has told you its fingerprint by another way";
            return Err(failed(Failure::new(Code::HostKey, message, next)));
        }
        let replaced = match &seen.standing {
            KeyStanding::Differs { pinned } => pinned.clone(),
            KeyStanding::Unknown | KeyStanding::Trusted => Vec::new(),
            KeyStanding::Revoked => {
                let message = format!(
                    "the key of {} is marked as revoked in {}",
                    seen.host,
                    seen.file.display()
                );
                let next = "give the host another key";
                return Err(failed(Failure::new(Code::HostKey, message, next)));
            }
        };
        let pinned = |fingerprint: &String| EventKind::HostTrusted {
            host: seen.host.clone(),
            fingerprint: fingerprint.clone(),
            replaced: replaced.clone(),
        };
        let drafts = fingerprints
            .iter()
            .map(|fingerprint| self.draft(None, pinned(fingerprint)));
        let stream = Stream::Environment(seen.environment.clone());
        self.append_facts(&stream, drafts.collect()).await?;
        host.keys.pin(fingerprints).await.map_err(failed)
    }

    /// The environment that has the host: the one named, or the only one, or the first of several that reach it in the same way.
    async fn environment_of(
        &self,
        host: &HostName,
        named: Option<&EnvName>,
    ) -> Result<Environment, EngineError> {
        let candidates = match named {
            Some(name) => vec![name.clone()],
            None => self.environments(),
        };
        let (mut found, mut hosts, mut unread) = (Vec::new(), Vec::new(), None);
        for name in candidates {
            match self.known_environment(&name).await {
                Ok(environment) if environment.hosts.contains_key(host) => found.push(environment),
                Ok(environment) => hosts.extend(environment.hosts.into_keys()),
                Err(error) if named.is_some() => return Err(error),
                Err(error) => unread = Some(error),
            }
        }
        let way = |environment: &Environment| {
            let address = environment.hosts.get(host).map(|host| host.address.clone());
            (address, environment.ssh_config.clone())
        };
        if let [first, rest @ ..] = &found[..]
            && let Some(other) = rest.iter().find(|other| way(other) != way(first))
        {
            let message = format!("{} and {} reach {host} in different ways", first.name, other.name);
            return Err(usage(
                Code::Usage,
                message,
                format!("name one: -e {}", first.name),
            ));
        }
        if let Some(first) = found.into_iter().next() {
            return Ok(first);
        }
        if let Some(error) = unread {
            return Err(error);
        }
        hosts.sort();
        hosts.dedup();
        let them: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let there = if them.is_empty() {
            "there are none".to_owned()
        } else {
            format!("one of {}", them.join(", "))
        };
        Err(usage(
            Code::UnknownName,
            format!("there is no host {host} in the manifest"),
            there,
        ))
    }
}

//! What a target of this kind is told when it is made: hosts, path, commands. Plain values of our own; whoever reads
//! manifests fills them in. No rule and no I/O here.

use deploy_core::command::Command;
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{EnvName, HostName, PlaceId, ServiceName, SliceName};
use deploy_core::port::target::Secret;
use deploy_core::tree::TreePath;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One service on the hosts of one environment.
#[derive(Debug, Clone)]
pub struct SshBinding {
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvName,
    /// The hosts, in the manifest's order; each is a slice of the same name.
    pub hosts: Vec<HostBinding>,
    /// What makes the service run what `current` says; none where a switch is enough.
    pub restart: Option<HostScript>,
    /// What ends the service on a host, or at `$DEPLOY_PORT` where two ports take turns: without it no host can be stopped by itself, and
    /// the port that does not serve any more runs on.
    pub stop: Option<HostScript>,
    /// Folders that outlive releases, relative to the release's root.
    pub shared: Vec<String>,
    /// Whether releases share the files that are the same in both, as hard links.
    pub links: bool,
    /// Commands at certain moments, in the order they run.
    pub hooks: Vec<Hook>,
    /// How a release stands up beside the one before it; `None` where it moves in place.
    pub beside: Option<Beside>,
    /// Called before and after every step on a host with a name of [`crate::FAILPOINTS`]; for tests that kill.
    pub failpoint: Option<Failpoint>,
}

/// One host.
#[derive(Debug, Clone)]
pub struct HostBinding {
    /// Its name, which is the slice's.
    pub name: HostName,
    /// How to get there.
    pub address: Address,
    /// Absolute path of the service on it.
    pub path: String,
    /// Variables of this host alone; they win over the service's.
    pub variables: BTreeMap<String, String>,
}

/// How to get to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// It is this machine.
    Local,
    /// Over ssh.
    Ssh(SshAddress),
}

/// How to get to a host over ssh. The user's own configuration, agent, jump hosts and known hosts hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SshAddress {
    /// `user@host`, `ssh://user@host:port`, or a name from the configuration.
    pub destination: String,
    /// Instead of the user's own configuration.
    pub config_file: Option<PathBuf>,
    /// Where the host takes no key.
    pub password: Option<Secret>,
}

/// A command with a time limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct HostScript {
    /// What.
    pub command: Command,
    /// How long it may take before it is ended.
    pub limit: Duration,
}

/// A command at a certain moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Hook {
    /// Its name, for messages.
    pub name: String,
    /// When.
    pub at: HookPoint,
    /// Globs over the release's files: it runs only if one of them differs from the previous release. Empty: always.
    pub if_changed: Vec<String>,
    /// What it makes, relative to the release's root: carried over from the previous release where it is skipped.
    pub produces: Vec<String>,
    /// What runs.
    pub script: HostScript,
}

/// When a hook runs on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub enum HookPoint {
    /// In the new release, before anything that serves changes.
    Prepare,
    /// In the new release, just before the switch.
    Before,
    /// In the new release, after switch and restart.
    After,
    /// In what was put back, when the deployment went back; its failure is only a note.
    Failed,
}

/// A function called at every failpoint with its name.
#[derive(Clone)]
pub struct Failpoint(pub Arc<dyn Fn(&'static str) + Send + Sync>);

impl fmt::Debug for Failpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failpoint")
    }
}

impl SshBinding {
    /// The hooks of one moment.
    pub(crate) fn hooks_at(&self, at: HookPoint) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().filter(move |hook| hook.at == at)
    }

    /// What of this configuration is part of a release's content on a host: what was made with other commands or shared
    /// folders is another folder.
    pub(crate) fn content(&self, host: &HostBinding) -> Digest {
        let hooks: Vec<_> = self.hooks_at(HookPoint::Prepare).collect();
        Digest::of_json(&("deploy.ssh/1", &hooks, &self.shared, &host.variables))
    }
}

impl Address {
    /// The place at a path, the same text for whoever means the same place.
    pub(crate) fn place(&self, path: &str) -> String {
        match self {
            Self::Local => format!("local:{path}"),
            Self::Ssh(ssh) => {
                let name = ssh.destination.strip_prefix("ssh://").unwrap_or(&ssh.destination);
                format!("ssh:{name}:{path}")
            }
        }
    }
}

/// Checks what no type says; answers with each host's path in its one spelling.
pub(crate) fn check(binding: &SshBinding) -> Result<Vec<String>, Box<Failure>> {
    let products = binding.hooks.iter().flat_map(|hook| &hook.produces);
    for inner in binding.shared.iter().chain(products) {
        if TreePath::new(inner.as_bytes()).is_err() {
            let message = format!("`{}` is no path inside a release", inner.escape_debug());
            return Err(invalid(
                message,
                "write it relative to the release's root, without `..` or a last `/`",
            ));
        }
    }
    let mut paths = Vec::new();
    for host in &binding.hosts {
        let path = one_spelling(&host.path)?;
        let place = host.address.place(&path);
        if SliceName::new(&host.name).is_err() || PlaceId::new(&place).is_err() {
            return Err(invalid(
                format!("`{}` is no place on a host", place.escape_debug()),
                "shorten the path",
            ));
        }
        // A destination that begins with a dash would be an option of ssh.
        if matches!(&host.address, Address::Ssh(ssh) if ssh.destination.is_empty() || ssh.destination.starts_with('-'))
        {
            return Err(invalid(
                format!("{} has no host to connect to", host.name),
                "write `user@host`",
            ));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// The one way in which a path is written here.
pub(crate) fn one_spelling(path: &str) -> Result<String, Box<Failure>> {
    let parts: Vec<_> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if !path.starts_with('/') || parts.is_empty() || parts.contains(&"..") || path.contains(['\n', '\0']) {
        return Err(invalid(
            format!("`{}` is no path for a service on a host", path.escape_debug()),
            "write an absolute path, as in `/opt/shop`",
        ));
    }
    Ok(format!("/{}", parts.join("/")))
}

fn invalid(message: String, next: &str) -> Box<Failure> {
    Box::new(Failure::new(Code::ManifestInvalid, message, next))
}

/// Two ports that take turns behind a proxy.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The ports, blue and green.
    pub ports: (u16, u16),
    /// What leads requests to one of them.
    pub proxy: Proxy,
    /// How long the one that was relieved has to end what it had begun.
    pub drain: Duration,
    /// How long a start may take until something listens.
    pub start: Duration,
}

impl Beside {
    /// What it does, for people; `at`: where it serves now.
    pub(crate) fn said(&self, at: Option<&str>) -> String {
        let (
            Self {
                ports: (one, other), ..
            },
            proxy,
        ) = (self, &self.proxy);
        let now = at.map_or_else(String::new, |at| format!(", now {at}"));
        format!(
            "stands up beside what serves, at the idle one of the ports {one} and {other}{now}; then {} leads to it: {}",
            proxy.kind.word(),
            proxy.file
        )
    }
}

/// A proxy on the host, of whose configuration one file is ours to write.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Which.
    pub kind: ProxyKind,
    /// The absolute path of the file.
    pub file: String,
    /// What the service is called in it: an nginx `upstream`.
    pub name: String,
    /// Fails where the proxy would not take its configuration; changes nothing.
    pub test: HostScript,
    /// Has it take up its configuration, and loses no request by it.
    pub reload: HostScript,
}

/// The proxies whose files are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// Its file is an `upstream` block, for an `include` in `http`.
    Nginx,
    /// Its file is a line `to …`, for an `import` in `reverse_proxy`.
    Caddy,
}

impl ProxyKind {
    /// As steps take it; the program's name, too.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        }
    }
}

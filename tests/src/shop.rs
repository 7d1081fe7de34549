//! A shop of two services on one host or several, deployed again and again: what tests of killing and racing
//! have in common.
//!
//! Here is the project, how a release of it is made, and what really runs: the files behind each `current`
//! and the answer of each service. It knows nothing of points, signals or rounds.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::machines::{Account, Machine, Machines};
use crate::scratch::Scratch;
use crate::service::{self, Unit, WebRelease};
use crate::sshd::{self, Fleet, Sshd};

/// The services; `web` needs `api`.
pub const SERVICES: [&str; 2] = ["api", "web"];

/// Where the shop's hosts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Hosts with `local = true`.
    Local,
    /// Hosts behind an sshd of their own.
    Ssh,
    /// Hosts with systemd, which restarts the services, and reverts.
    Systemd,
}

/// The hosts themselves.
enum Ground {
    Local,
    Ssh(Fleet),
    Systemd(Machines),
}

/// Whether a release is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// `web` answers that it is up.
    Up,
    /// `web` answers 200 and `"DOWN"`: the run goes back by itself.
    Down,
}

/// What is live of one service on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The service and the host, for messages.
    pub slice: String,
    /// The version of the files behind `current`; `None` without them.
    pub on_disk: Option<String>,
    /// The version that answers; `None` when nothing does.
    pub answers: Option<String>,
}

/// The project and its hosts.
pub struct Shop {
    /// The project.
    pub scratch: Scratch,
    hosts: Vec<String>,
    ports: [u16; 2],
    ground: Ground,
    versions: AtomicU32,
}

impl Shop {
    /// A shop with a first commit, of which nothing runs yet.
    ///
    /// # Panics
    /// When a host cannot be started.
    #[track_caller]
    pub fn new(place: Where, hosts: usize) -> Self {
        // The name of a host is the last part of its address, so that one manifest can name every service.
        let numbers: Vec<u8> = (11..).take(hosts).collect();
        let hosts: Vec<String> = numbers.iter().map(u8::to_string).collect();
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let ground = match place {
            Where::Local => Ground::Local,
            Where::Ssh => Ground::Ssh(Sshd::named(&names)),
            Where::Systemd => Ground::Systemd(Machines::start(&numbers, Account::Root)),
        };
        let scratch = Scratch::new();
        let ports = SERVICES.map(|_| sshd::free_port("127.0.0.11"));
        let shop = Self {
            scratch,
            hosts,
            ports,
            ground,
            versions: AtomicU32::new(0),
        };
        shop.install_units();
        if let Some(config) = shop.ssh_config() {
            // The manifest names it relative to its folder.
            symlink(config, shop.scratch.path("ssh_config")).expect("the project can be written");
        }
        shop.scratch.write("deploy.toml", shop.manifest());
        shop.scratch.write(".gitignore", ".deploy/\nssh_config\n");
        shop.release(Health::Up);
        shop
    }

    /// Looks for as long as this from here on, each window unbroken, until a deadline of `deadline`; the next release has it.
    #[track_caller]
    pub fn watch(&self, healthy_for: &str, deadline: &str) {
        let window = format!("healthy_for = \"{healthy_for}\"");
        let text = self
            .manifest()
            .replace("healthy_for = \"0s\"", &window)
            .replace("deadline = \"1s\"", &format!("deadline = \"{deadline}\""));
        self.scratch.write("deploy.toml", text);
    }

    /// Commits a release in which `web` alone has changed, to what `make` makes of its version, and returns that.
    #[track_caller]
    pub fn release_web(&self, make: impl FnOnce(&str) -> WebRelease) -> String {
        let version = self.next_version();
        self.scratch.write_web("web", &make(&version));
        self.scratch.commit(&format!("web {version}"));
        version
    }

    fn next_version(&self) -> String {
        (self.versions.fetch_add(1, Ordering::Relaxed) + 1).to_string()
    }

    /// Commits a release in which both services have changed, and returns its version.
    #[track_caller]
    pub fn release(&self, health: Health) -> String {
        let version = self.next_version();
        self.scratch.write_web("api", &WebRelease::healthy(&version));
        let web = match health {
            Health::Up => WebRelease::healthy(&version),
            Health::Down => WebRelease::down(&version),
        };
        self.scratch.write_web("web", &web);
        self.scratch.commit(&format!("{health:?} {version}"));
        version
    }

    /// What is live of each service on each host.
    pub fn live(&self) -> Vec<Live> {
        let mut live = Vec::new();
        for host in &self.hosts {
            for (service, port) in SERVICES.into_iter().zip(self.ports) {
                let answer = service::get_at(&self.address(host), port, "/version");
                let answers = answer
                    .and_then(|(_, body)| serde_json::from_str::<serde_json::Value>(&body).ok())
                    .and_then(|body| Some(body["version"].as_str()?.to_owned()));
                live.push(Live {
                    slice: format!("{service} on {host}"),
                    on_disk: self.on_disk(service, host),
                    answers,
                });
            }
        }
        live
    }

    /// The version of the files behind `current`.
    fn on_disk(&self, service: &str, host: &str) -> Option<String> {
        let text = match self.machine(host) {
            Some(machine) => {
                let script = format!("cat {}/current/VERSION 2>/dev/null || :", in_machine(service));
                Some(machine.sh(&script).stdout)
            }
            None => fs::read_to_string(self.path_of(service, host).join("current/VERSION")).ok(),
        };
        let text = text?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Where the services of a host are reached.
    fn address(&self, host: &str) -> String {
        match self.machine(host) {
            Some(machine) => machine.address().to_owned(),
            None => format!("127.0.0.{host}"),
        }
    }

    /// The one version that every service on every host has and answers with.
    ///
    /// # Errors
    /// All that is live, when it is not one version.
    pub fn whole(&self) -> Result<String, String> {
        let live = self.live();
        let first = live[0].on_disk.clone();
        let one = live
            .iter()
            .all(|slice| slice.on_disk.is_some() && slice.on_disk == first && slice.answers == first);
        first.filter(|_| one).ok_or_else(|| {
            live.iter().fold("mixed:".to_owned(), |mut text, slice| {
                let (on_disk, answers) = (slice.on_disk.as_deref(), slice.answers.as_deref());
                let (on_disk, answers) = (on_disk.unwrap_or("nothing"), answers.unwrap_or("nothing"));
                let _infallible = write!(text, " {}: {on_disk} on disk, {answers} answers;", slice.slice);
                text
            })
        })
    }

    /// The live path of a service on a host without systemd, as this machine sees it.
    pub fn path_of(&self, service: &str, host: &str) -> PathBuf {
        self.scratch.root().join("hosts").join(host).join(service)
    }

    /// The hosts' names.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// The hosts behind an sshd of their own.
    pub fn fleet(&self) -> Option<&Fleet> {
        match &self.ground {
            Ground::Ssh(fleet) => Some(fleet),
            Ground::Local | Ground::Systemd(_) => None,
        }
    }

    /// How the hosts are reached that are not this machine.
    fn ssh_config(&self) -> Option<PathBuf> {
        match &self.ground {
            Ground::Local => None,
            Ground::Ssh(fleet) => Some(fleet.ssh_config()),
            Ground::Systemd(machines) => Some(machines.ssh_config()),
        }
    }

    /// A host with systemd.
    pub fn machine(&self, host: &str) -> Option<&Machine> {
        match &self.ground {
            Ground::Systemd(machines) => machines.all().iter().find(|machine| machine.name() == host),
            Ground::Local | Ground::Ssh(_) => None,
        }
    }

    fn install_units(&self) {
        for host in &self.hosts {
            if let Some(machine) = self.machine(host) {
                for (service, port) in SERVICES.into_iter().zip(self.ports) {
                    machine.install_web(service, &in_machine(service), port);
                }
                continue;
            }
            let units = match self.fleet() {
                Some(fleet) => fleet.host(host).units(),
                None => self.scratch.units(),
            };
            for (service, port) in SERVICES.into_iter().zip(self.ports) {
                let directory = self.path_of(service, host).join("current");
                let mut unit = Unit::web(&format!("{service}-{host}"), &directory, &port.to_string());
                unit.environment.push(("ADDRESS".to_owned(), self.address(host)));
                // The stand-in looks for a ready port on 127.0.0.1 alone; the probes wait for this one.
                unit.ready_port = None;
                unit.install(&units);
            }
        }
    }

    fn manifest(&self) -> String {
        // Every host looks at itself, where several on one machine have an address each.
        let at = match self.ground {
            Ground::Systemd(_) => "127.0.0.1",
            Ground::Local | Ground::Ssh(_) => "127.0.0.${host}",
        };
        let mut text = format!(
            r#"[project]
name = "shop"
keep = 2
[defaults.health.ready]
http = "http://{at}:${{PORT}}/health"
expect = {{ status = 200, json = {{ "/status" = ["UP"] }} }}
healthy_for = "0s"
interval = "50ms"
deadline = "1s"
"#
        );
        for (service, port) in SERVICES.into_iter().zip(self.ports) {
            let restart = match self.ground {
                Ground::Systemd(_) => format!("systemctl restart {service}"),
                Ground::Ssh(_) => format!("systemctl restart {service}-$DEPLOY_HOST"),
                Ground::Local => {
                    service::restart_command(&self.scratch.units(), &format!("{service}-")) + "$DEPLOY_HOST"
                }
            };
            // A path is the same text on every host: `${host}` in it only where several share a disk.
            let path = match (&self.ground, &self.hosts[..]) {
                (Ground::Systemd(_), _) => in_machine(service).into(),
                (_, [host]) => self.path_of(service, host),
                _ => self.path_of(service, "${host}"),
            };
            let path = path.display();
            let _infallible = write!(
                text,
                r#"[services.{service}]
{}
[services.{service}.vars]
PORT = "{port}"
[services.{service}.ssh]
source = "{service}/"
path = "{path}"
restart = """{restart}"""
{}
"#,
                if service == "web" {
                    "needs = [\"api\"]\nbake = \"50ms\""
                } else {
                    ""
                },
                // A release that a hook has a part in comes to its host in more steps than one without.
                if service == "api" {
                    "[services.api.hooks.install]\nat = \"prepare\"\ncommand = \"true\""
                } else {
                    ""
                }
            );
        }
        let config = self.ssh_config();
        if config.is_some() {
            text.push_str("[environments.production]\nssh_config = \"ssh_config\"\n");
        }
        text.push_str("[environments.production.hosts]\n");
        for host in &self.hosts {
            let at = match config {
                Some(_) => format!("ssh = \"{host}\""),
                None => "local = true".to_owned(),
            };
            let _infallible = writeln!(text, "{host} = {{ {at} }}");
        }
        text
    }
}

/// Where a service lives on a host with systemd.
fn in_machine(service: &str) -> String {
    format!("/opt/{service}")
}

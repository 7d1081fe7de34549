//! Hosts behind real ssh, on the loopback: each is an sshd process of its own, with its own host key, port,
//! address and root folder.
//!
//! The hosts of a fleet share one file system and one kernel; what makes them hosts is that each can be
//! killed, stopped, unplugged and given another key alone. Whatever a session starts carries the host's mark
//! in its environment, so that also daemons go down with their host, and nothing outlives the fleet: when the
//! test process itself is killed, a watchdog that waits for its end does the sweeping.

mod host;

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub use self::host::Host;
use crate::process::{self, Output};
use crate::wait;

/// The variable in the environment of everything that runs on a host: `<fleet's folder>/<host>`.
pub const MARK: &str = "DEPLOY_TEST_HOST";

/// Where fleets start.
pub struct Sshd;

impl Sshd {
    /// Starts `n` hosts, named `host-1` to `host-<n>`.
    ///
    /// # Panics
    /// When sshd is missing or does not come up, saying what to do.
    #[track_caller]
    pub fn start(n: usize) -> Fleet {
        let names: Vec<String> = (1..=n).map(|number| format!("host-{number}")).collect();
        Self::named(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts a host for each name.
    ///
    /// # Panics
    /// When sshd is missing or does not come up, saying what to do.
    #[track_caller]
    pub fn named(names: &[&str]) -> Fleet {
        Fleet::start(names)
    }
}

/// Hosts that one client key opens; all end when it is dropped.
pub struct Fleet {
    hosts: Vec<Host>,
    watchdog: Child,
    ssh: PathBuf,
    // Last, so that the folder goes when nothing runs in it any more.
    folder: TempDir,
}

impl Fleet {
    #[track_caller]
    fn start(names: &[&str]) -> Self {
        let sshd = process::require("sshd", "openssh-server");
        let ssh = process::require("ssh", "openssh-client");
        process::require("ssh-keygen", "openssh-client");
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").expect("root can make sshd's folder /run/sshd");
        }
        // A short path: unix sockets beside it have little room for their names.
        let folder = tempfile::Builder::new()
            .prefix("dpl")
            .tempdir()
            .expect("a temporary folder can be made");
        make_key(&folder.path().join("client"));
        let watchdog = watchdog(folder.path());
        let mut fleet = Self {
            hosts: Vec::new(),
            watchdog,
            ssh,
            folder,
        };
        for (index, name) in names.iter().enumerate() {
            fleet
                .hosts
                .push(Host::prepare(&sshd, fleet.folder.path(), name, index));
        }
        for host in &fleet.hosts {
            host.boot();
        }
        fleet.pin();
        fleet
    }

    /// The client's configuration, to be given as `ssh_config = …`: it knows the hosts
    /// by name and pins the key that each had when the fleet started.
    pub fn ssh_config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    /// The file of pinned host keys that [`Self::ssh_config`] names.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    /// The client's private key.
    pub fn identity(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// All hosts, in the order in which they were named.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host of that name.
    ///
    /// # Panics
    /// When the fleet has none.
    #[track_caller]
    pub fn host(&self, name: &str) -> &Host {
        let found = self.hosts.iter().find(|host| host.name == name);
        found.unwrap_or_else(|| panic!("the fleet has no host named {name}"))
    }

    /// Runs a shell script on a host with the ordinary ssh client, within 30 s.
    #[track_caller]
    pub fn ssh(&self, name: &str, script: &str) -> Output {
        let mut command = Command::new(&self.ssh);
        command.arg("-F").arg(self.ssh_config()).args([name, script]);
        process::run(&mut command, wait::PATIENCE)
    }

    /// Power cut: sshd, its sessions and everything that was started over them are gone at once.
    pub fn kill(&self, name: &str) {
        self.host(name).kill();
    }

    /// The link is cut, the host lives: sshd and its connections end, what they started runs on.
    pub fn unplug(&self, name: &str) {
        self.host(name).unplug();
    }

    /// The host hangs: everything on it stops, connections stay open and are accepted by the kernel.
    pub fn stop(&self, name: &str) {
        self.host(name).stop();
    }

    /// The host goes on after [`Self::stop`].
    pub fn cont(&self, name: &str) {
        self.host(name).cont();
    }

    /// Boots the host again, with the same address and key, after a power cut if it still ran. An unplugged
    /// host is plugged in again: what runs on it goes on.
    #[track_caller]
    pub fn restart(&self, name: &str) {
        self.host(name).restart();
    }

    /// Gives the host another key, as an attacker or a reinstallation would: [`Self::ssh_config`] goes on to
    /// pin the old one until [`Self::pin`]. What runs on the host goes on.
    #[track_caller]
    pub fn change_host_key(&self, name: &str) {
        let host = self.host(name);
        host.unplug();
        for file in [host.folder.join("host_key"), host.folder.join("host_key.pub")] {
            fs::remove_file(file).expect("a host has its key");
        }
        make_key(&host.folder.join("host_key"));
        host.boot();
    }

    /// Pins the keys that the hosts have now.
    pub fn pin(&self) {
        let known: String = self.hosts.iter().map(Host::known).collect();
        fs::write(self.known_hosts(), known).expect("the fleet's folder can be written");
        let entries: String = self.hosts.iter().map(|host| host.client_entry(self)).collect();
        fs::write(self.ssh_config(), entries).expect("the fleet's folder can be written");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for host in &self.hosts {
            host.kill();
        }
        process::end_group(&mut self.watchdog);
    }
}

/// A port that nothing listens on at `address` right now.
///
/// # Panics
/// When the machine has none left.
pub fn free_port(address: &str) -> u16 {
    let probe = TcpListener::bind((address, 0)).expect("the loopback has a free port");
    probe.local_addr().expect("a bound socket has an address").port()
}

fn make_key(file: &Path) {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(file);
    process::run(&mut command, wait::PATIENCE).expect_code(0);
}

/// Waits for the end of this process, however it comes, and then does what [`Fleet`]'s drop does.
fn watchdog(folder: &Path) -> Child {
    let script = r#"
        read -r _
        for pid in "$1"/*/listener.pid; do [ -f "$pid" ] && kill -KILL "$(cat "$pid")"; done
        for turn in 1 2 3; do
            for environment in $(grep -lszE "^$2=$1/" /proc/[0-9]*/environ); do
                pid=${environment#/proc/}
                kill -KILL "${pid%/environ}"
            done
        done
        rm -rf "$1"
    "#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "watchdog"]).arg(folder).arg(MARK);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command.spawn().expect("there is a shell")
}

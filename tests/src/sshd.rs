//! Hosts behind real ssh, on the loopback: each is an sshd process of its own, with its own host key, port,
//! address and root folder.
//!
//! The hosts of a fleet share one file system and one kernel; what makes them hosts is that each can be
//! killed, stopped, unplugged and given another key alone. Whatever a session starts carries the host's mark
//! in its environment, so that also daemons go down with their host, and nothing outlives the fleet: when the
//! test process itself is killed, a watchdog that waits for its end does the sweeping.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{self, Output};
use crate::{procs, service, wait};

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

    /// The client's configuration, to be given as `ssh_config = …` or `DEPLOY_SSH_CONFIG`: it knows the hosts
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

/// One host of a [`Fleet`].
pub struct Host {
    name: String,
    address: String,
    port: u16,
    folder: PathBuf,
    sshd: PathBuf,
    listener: Mutex<Option<Child>>,
}

impl Host {
    fn prepare(sshd: &Path, fleet: &Path, name: &str, index: usize) -> Self {
        let folder = fleet.join(name);
        for part in ["root", "home", "bin", "units"] {
            fs::create_dir_all(folder.join(part)).expect("the fleet's folder can be written");
        }
        make_key(&folder.join("host_key"));
        service::install_systemctl(&folder.join("bin"));
        let address = format!("127.0.{}.{}", index / 200, 11 + index % 200);
        let port = free_port(&address);
        let listener = Mutex::new(None);
        Self {
            name: name.to_owned(),
            address,
            port,
            folder,
            sshd: sshd.to_owned(),
            listener,
        }
    }

    /// The name in [`Fleet::ssh_config`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The loopback address that is this host's alone within the fleet.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The port of its sshd.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that plays `/` on this host: paths in a manifest begin with it.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// `$HOME` of sessions on this host.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The folder of programs that come first on the `PATH` of sessions; `systemctl` is there.
    pub fn bin(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// The folder of units that the host's `systemctl` knows; see [`service::Unit`].
    pub fn units(&self) -> PathBuf {
        self.folder.join("units")
    }

    /// What sshd said, at level VERBOSE.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("sshd.log")).unwrap_or_default()
    }

    /// The processes that were started over ssh and still run: commands in progress and daemons.
    pub fn processes(&self) -> Vec<u32> {
        procs::with_mark(&self.mark())
            .into_iter()
            .filter(|pid| procs::runs(*pid))
            .collect()
    }

    fn mark(&self) -> String {
        format!("{MARK}={}", self.folder.display())
    }

    fn listener(&self) -> MutexGuard<'_, Option<Child>> {
        // A test that panicked while it held the lock still has its hosts swept.
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts sshd and waits for its banner. The port was free a moment ago, and is the host's for good:
    /// another program that took it meanwhile is reported, not worked around.
    #[track_caller]
    fn boot(&self) {
        let mut listener = self.listener();
        if listener.is_some() {
            return;
        }
        let config = self.folder.join("sshd_config");
        fs::write(&config, self.server_config()).expect("the fleet's folder can be written");
        let mut command = Command::new(&self.sshd);
        command
            .arg("-D")
            .arg("-f")
            .arg(&config)
            .arg("-E")
            .arg(self.folder.join("sshd.log"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().expect("sshd is there and can be executed");
        fs::write(self.folder.join("listener.pid"), child.id().to_string())
            .expect("the folder can be written");
        let mut ended = false;
        let up = wait::find_within(wait::PATIENCE, || {
            ended = child.try_wait().is_ok_and(|status| status.is_some());
            (ended || self.greets()).then_some(())
        });
        *listener = Some(child);
        drop(listener);
        assert!(
            up.is_some() && !ended,
            "sshd of {} does not come up:\n{}",
            self.name,
            self.log()
        );
    }

    /// Whether something answers with ssh's banner at the host's address.
    fn greets(&self) -> bool {
        let Ok(stream) = TcpStream::connect((self.address.as_str(), self.port)) else {
            return false;
        };
        if stream.set_read_timeout(Some(Duration::from_secs(1))).is_err() {
            return false;
        }
        let mut banner = String::new();
        BufReader::new(stream).read_line(&mut banner).is_ok() && banner.starts_with("SSH-2.0")
    }

    fn kill(&self) {
        let listener = self.listener().take();
        self.sweep(listener, |_| true);
        // What forked while it was looked for shows itself in the next look.
        wait::until(
            wait::PATIENCE,
            "all of a killed host's processes to be gone",
            || {
                let left = self.processes();
                for pid in &left {
                    procs::signal(*pid, Signal::KILL);
                }
                left.is_empty()
            },
        );
    }

    fn unplug(&self) {
        let listener = self.listener().take();
        self.sweep(listener, |pid| {
            procs::name(pid).is_some_and(|name| name.starts_with("sshd"))
        });
    }

    /// Kills the listener, and what is below it as far as `and` says.
    fn sweep(&self, listener: Option<Child>, and: impl Fn(u32) -> bool) {
        let Some(mut listener) = listener else { return };
        // Stopped first, so that nothing new is forked between the look and the kill.
        procs::signal(listener.id(), Signal::STOP);
        let below: Vec<u32> = procs::descendants(listener.id())
            .into_iter()
            .filter(|pid| and(*pid))
            .collect();
        for pid in &below {
            procs::signal(*pid, Signal::KILL);
        }
        process::end_group(&mut listener);
        wait::until(wait::PATIENCE, "sshd's children to be gone", || {
            !below.iter().any(|pid| procs::runs(*pid))
        });
        let _already_gone = fs::remove_file(self.folder.join("listener.pid"));
    }

    fn stop(&self) {
        let listener = self.listener();
        // From the top down: a stopped parent forks no more.
        if let Some(child) = listener.as_ref() {
            procs::signal(child.id(), Signal::STOP);
        }
        for pid in self.everything(listener.as_ref()) {
            procs::signal(pid, Signal::STOP);
        }
    }

    fn cont(&self) {
        let listener = self.listener();
        for pid in self.everything(listener.as_ref()) {
            procs::signal(pid, Signal::CONT);
        }
        if let Some(child) = listener.as_ref() {
            procs::signal(child.id(), Signal::CONT);
        }
    }

    fn everything(&self, listener: Option<&Child>) -> Vec<u32> {
        let mut all = listener
            .map(|child| procs::descendants(child.id()))
            .unwrap_or_default();
        all.extend(self.processes());
        all
    }

    #[track_caller]
    fn restart(&self) {
        if self.listener().is_some() {
            self.kill();
        }
        self.boot();
    }

    fn server_config(&self) -> String {
        let folder = self.folder.display();
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        format!(
            "ListenAddress {address}:{port}\n\
             HostKey {folder}/host_key\n\
             PidFile none\n\
             AuthorizedKeysFile {folder}/../client.pub\n\
             StrictModes no\n\
             UsePAM {pam}\n\
             PermitRootLogin prohibit-password\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             PermitUserRC no\n\
             PrintMotd no\n\
             PrintLastLog no\n\
             UseDNS no\n\
             LoginGraceTime 60\n\
             MaxStartups 500\n\
             MaxSessions 200\n\
             LogLevel VERBOSE\n\
             Subsystem sftp internal-sftp\n\
             SetEnv {MARK}={folder} HOME={folder}/home PATH={folder}/bin:{path} {units}={folder}/units\n",
            address = self.address,
            port = self.port,
            pam = if account_is_locked() { "yes" } else { "no" },
            units = service::UNITS,
        ) + self.penalties()
    }

    /// Newer servers lock out an address that fails often, which is what many tests do on purpose; older ones
    /// do not know the setting.
    fn penalties(&self) -> &'static str {
        const OFF: &str = "PerSourcePenalties no\n";
        let probe = self.folder.join("probe_config");
        let text = format!("HostKey {}/host_key\n{OFF}", self.folder.display());
        fs::write(&probe, text).expect("the fleet's folder can be written");
        let known = process::run(
            Command::new(&self.sshd).arg("-t").arg("-f").arg(&probe),
            wait::PATIENCE,
        );
        if known.code == Some(0) { OFF } else { "" }
    }

    fn client_entry(&self, fleet: &Fleet) -> String {
        format!(
            "Host {name}\n  HostName {address}\n  Port {port}\n  User {user}\n  IdentityFile {identity}\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {known}\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  UpdateHostKeys no\n  \
             BatchMode yes\n  ControlMaster no\n\n",
            name = self.name,
            address = self.address,
            port = self.port,
            user = user(),
            identity = fleet.identity().display(),
            known = fleet.known_hosts().display(),
        )
    }

    fn known(&self) -> String {
        let key = fs::read_to_string(self.folder.join("host_key.pub")).expect("a host has its key");
        format!("[{}]:{} {}\n", self.address, self.port, key.trim())
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

/// Whether this user has no password by a mark that sshd takes for a locked account unless PAM decides. Only
/// root can see that, and only for root does sshd look.
fn account_is_locked() -> bool {
    let user = user();
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    let entry = shadow
        .lines()
        .find_map(|line| line.strip_prefix(&user)?.strip_prefix(':'));
    entry.is_some_and(|password| password.starts_with('!'))
}

fn user() -> String {
    let id = process::run(Command::new("id").arg("-un"), wait::PATIENCE);
    id.expect_code(0).stdout.trim().to_owned()
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

//! One host: its sshd, its configuration, and the processes that are its own.
//!
//! Only the fleet starts and ends hosts; tests read them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use super::{Fleet, MARK, free_port, make_key};
use crate::{process, procs, service, wait};

/// One host of a [`Fleet`].
pub struct Host {
    pub(super) name: String,
    address: String,
    port: u16,
    pub(super) folder: PathBuf,
    sshd: PathBuf,
    listener: Mutex<Option<Child>>,
}

impl Host {
    pub(super) fn prepare(sshd: &Path, fleet: &Path, name: &str, index: usize) -> Self {
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

    /// The process of its sshd.
    ///
    /// # Panics
    /// When it is down.
    pub fn pid(&self) -> u32 {
        let listener = self.listener();
        listener.as_ref().expect("the host is up").id()
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
    pub(super) fn boot(&self) {
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

    pub(super) fn kill(&self) {
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

    pub(super) fn unplug(&self) {
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

    pub(super) fn stop(&self) {
        let listener = self.listener();
        // From the top down: a stopped parent forks no more.
        if let Some(child) = listener.as_ref() {
            procs::signal(child.id(), Signal::STOP);
        }
        for pid in self.everything(listener.as_ref()) {
            procs::signal(pid, Signal::STOP);
        }
    }

    pub(super) fn cont(&self) {
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
    pub(super) fn restart(&self) {
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

    pub(super) fn client_entry(&self, fleet: &Fleet) -> String {
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

    pub(super) fn known(&self) -> String {
        let key = fs::read_to_string(self.folder.join("host_key.pub")).expect("a host has its key");
        format!("[{}]:{} {}\n", self.address, self.port, key.trim())
    }
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

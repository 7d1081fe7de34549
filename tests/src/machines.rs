//! Hosts with systemd, power and reboots: containers of Docker, each a host of its own with sshd and a service that serves its release.
//!
//! The first one on a machine makes the image with `mmdebstrap` and keeps it in the user's cache. All of them are gone when they are
//! dropped; what a killed test left is swept by the next one.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::process::{self, Output};
use crate::{procs, service, wait};

/// How long one command of Docker may take.
const DOCKER: Duration = Duration::from_mins(2);
/// How long a host may take to start.
const START: Duration = Duration::from_mins(1);
/// How long making the image may take, downloads and all.
const IMAGE: Duration = Duration::from_mins(10);
/// The label of everything that is ours: whose it is, as `PID-TICKS`.
const OWNER: &str = "deploy-test-owner";
/// What is installed on every host; with other packages it is another image.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,busybox-static,sudo";
/// What more is on one with proxies.
const PROXIES: &str = "nginx-light,caddy";
/// The port that it serves on.
pub const PORT: u16 = 8080;

/// Who deploys to a host, and whose service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Root, with a service of the system.
    Root,
    /// A user without rights, with a service of the user's own manager, which runs without a login.
    Lingering,
    /// A user whom sudo lets do everything, and asks for [`PASSWORD`]; with a service of the system.
    Asked,
}

/// What sudo asks of [`Account::Asked`].
pub const PASSWORD: &str = "open $7 \"sesame\"";

impl Account {
    /// Its name.
    pub fn user(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Lingering | Self::Asked => "deploy",
        }
    }

    fn home(self) -> &'static str {
        match self {
            Self::Root => "/root",
            Self::Lingering | Self::Asked => "/home/deploy",
        }
    }

    /// Where the service lives.
    pub fn path(self) -> &'static str {
        match self {
            Self::Root | Self::Asked => "/opt/web",
            Self::Lingering => "/home/deploy/web",
        }
    }

    /// What restarts it.
    pub fn restart(self) -> &'static str {
        match self {
            Self::Root => "systemctl restart web",
            Self::Asked => "sudo systemctl restart web",
            // Found without a login's variables.
            Self::Lingering => "systemctl --user restart web",
        }
    }

    /// Where its units are.
    pub fn units(self) -> &'static str {
        match self {
            Self::Root | Self::Asked => "/etc/systemd/system",
            Self::Lingering => "/home/deploy/.config/systemd/user",
        }
    }

    /// What its service is wanted by.
    fn wanted_by(self) -> &'static str {
        match self {
            Self::Root | Self::Asked => "multi-user.target",
            Self::Lingering => "default.target",
        }
    }
}

/// What is installed on a host; each is an image of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Furnishing {
    /// What every host needs.
    Bare,
    /// And nginx and Caddy as Debian has them, of which none starts by itself.
    Proxies,
}

impl Furnishing {
    fn packages(self) -> String {
        match self {
            Self::Bare => PACKAGES.to_owned(),
            Self::Proxies => format!("{PACKAGES},{PROXIES}"),
        }
    }

    /// What `mmdebstrap` does at the end.
    fn hook(self) -> Option<&'static str> {
        match self {
            Self::Bare => None,
            Self::Proxies => Some("--customize-hook=chroot \"$1\" systemctl disable nginx caddy"),
        }
    }

    /// What Docker is told beside what every host needs.
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Bare => &[],
            // As docs/servers.md has it for Caddy.
            Self::Proxies => &["--sysctl", "net.ipv4.tcp_migrate_req=1"],
        }
    }
}

/// Hosts in a network of their own.
pub struct Machines {
    hosts: Vec<Machine>,
    network: String,
    folder: TempDir,
}

/// One of them.
pub struct Machine {
    name: String,
    address: String,
    container: String,
    network: String,
}

/// Runs `docker`.
#[track_caller]
fn docker(arguments: &[&str]) -> Output {
    process::run(Command::new("docker").args(arguments), DOCKER)
}

/// How many things may watch files at once: a user has 128 as Debian sets it, of which each host takes some ten, and one that gets none
/// does not start to its end.
const WATCHERS: u32 = 1024;

/// Raises that where it is less.
#[track_caller]
fn allow_watchers() {
    let file = "/proc/sys/fs/inotify/max_user_instances";
    let now = fs::read_to_string(file)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if now.is_some_and(|now: u32| now < WATCHERS)
        && let Err(error) = fs::write(file, WATCHERS.to_string())
    {
        panic!("{error}: as root: sysctl fs.inotify.max_user_instances={WATCHERS}");
    }
}

/// Fails unless all that is needed is there, naming what is not.
#[track_caller]
fn require() {
    allow_watchers();
    process::require("docker", "docker.io");
    process::require("ssh-keygen", "openssh-client");
    let version = docker(&["version", "--format", "{{.Server.Version}}"]);
    assert!(
        version.code == Some(0),
        "no Docker answers: start it (`systemctl start docker`, or `dockerd` as root), or run tests/run once as root\n{}",
        version.stderr
    );
}

/// The image, made if need be; one test at a time makes it.
#[track_caller]
fn image(furnishing: Furnishing) -> String {
    let packages = furnishing.packages();
    let sum = crc(&packages);
    let image = format!("deploy-test-host:{sum:08x}");
    let there = || docker(&["image", "inspect", &image]).code == Some(0);
    if there() {
        return image;
    }
    let home = std::env::var_os("HOME").expect("a user has a HOME");
    let cache = PathBuf::from(home).join(".cache/deploy-tests");
    fs::create_dir_all(&cache).expect("the user's cache can be written");
    let lock = fs::File::create(cache.join("lock")).expect("the user's cache can be written");
    flock(&lock, FlockOperation::LockExclusive).expect("a file of ours can be locked");
    if there() {
        return image;
    }
    let rootfs = cache.join(format!("host-{sum:08x}.tar"));
    if !rootfs.exists() {
        process::require("mmdebstrap", "mmdebstrap");
        let aside = rootfs.with_extension("part.tar");
        let mut command = Command::new("mmdebstrap");
        command
            .arg("--variant=minbase")
            .arg(format!("--include={packages}"))
            .args(furnishing.hook());
        process::run(command.arg("bookworm").arg(&aside), IMAGE).expect_code(0);
        fs::rename(aside, &rootfs).expect("the user's cache can be written");
    }
    let rootfs = rootfs.to_str().expect("a cache's path is text");
    docker(&["import", rootfs, &image]).expect_code(0);
    image
}

/// A number for a text; the same everywhere.
fn crc(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum: u32, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// This process, so that nobody else is taken for it.
fn owner() -> String {
    let pid = std::process::id();
    format!("{pid}-{}", procs::started(pid).unwrap_or_default())
}

fn is_alive(owner: &str) -> bool {
    let parts = owner.split_once('-');
    parts.is_some_and(|(pid, began)| {
        pid.parse()
            .ok()
            .and_then(procs::started)
            .map(|ticks| ticks.to_string())
            .as_deref()
            == Some(began)
    })
}

/// Removes what tests left that were killed.
fn sweep() {
    let filter = format!("label={OWNER}");
    let format = format!("{{{{.ID}}}} {{{{.Label \"{OWNER}\"}}}}");
    for (list, remove) in [
        (&["ps", "-a"][..], &["rm", "-f", "-v"][..]),
        (&["network", "ls"], &["network", "rm"]),
    ] {
        let listed = docker(&[list, &["--filter", &filter, "--format", &format]].concat());
        let left = listed.stdout.lines().filter_map(|line| line.split_once(' '));
        for (id, _) in left.filter(|(_, owner)| !is_alive(owner)) {
            docker(&[remove, &[id]].concat());
        }
    }
}

/// A network nobody else has: its name and what its addresses begin with.
#[track_caller]
fn network() -> (String, String) {
    static NETWORKS: AtomicU32 = AtomicU32::new(0);
    let label = format!("{OWNER}={}", owner());
    let mut said = String::new();
    for _ in 0..50 {
        let number = std::process::id().wrapping_mul(7) + NETWORKS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("10.{}.{}", 200 + number % 50, number / 50 % 250);
        let name = format!("deploy-test-{}-{}", prefix.replace('.', "-"), std::process::id());
        let subnet = format!("{prefix}.0/24");
        let made = docker(&["network", "create", "--label", &label, "--subnet", &subnet, &name]);
        if made.code == Some(0) {
            return (name, prefix);
        }
        said = made.stderr;
    }
    panic!("Docker makes no network: {said}");
}

impl Machines {
    /// Starts a host for each number, which is its name and the last part of its address; each serves nothing yet.
    ///
    /// # Panics
    /// When something is missing on this machine, saying what; when a host does not start.
    #[track_caller]
    pub fn start(numbers: &[u8], account: Account) -> Self {
        Self::furnished(numbers, account, Furnishing::Bare)
    }

    /// The same, with nginx and Caddy as Debian has them, which nobody has started yet, and with sudo, which lets nobody do anything.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[track_caller]
    pub fn with_proxies(numbers: &[u8], account: Account) -> Self {
        Self::furnished(numbers, account, Furnishing::Proxies)
    }

    #[track_caller]
    fn furnished(numbers: &[u8], account: Account, furnishing: Furnishing) -> Self {
        require();
        sweep();
        let image = image(furnishing);
        let folder = tempfile::Builder::new()
            .prefix("dpm")
            .tempdir()
            .expect("a temporary folder can be made");
        let key = folder.path().join("key");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        process::run(&mut keygen, wait::PATIENCE).expect_code(0);
        let (network, prefix) = network();
        let mut machines = Self {
            hosts: Vec::new(),
            network: network.clone(),
            folder,
        };
        for number in numbers {
            let address = format!("{prefix}.{number}");
            let label = format!("{OWNER}={}", owner());
            let mut run = vec![
                "run",
                "-d",
                "--label",
                &label,
                "--network",
                &network,
                "--ip",
                &address,
            ];
            run.extend([
                "--tmpfs",
                "/run",
                "--tmpfs",
                "/run/lock",
                "--tmpfs",
                "/tmp",
                "--cap-add",
                "SYS_ADMIN",
            ]);
            run.extend([
                "--security-opt",
                "seccomp=unconfined",
                "--cgroupns=private",
                "--stop-signal",
                "SIGRTMIN+3",
            ]);
            run.extend(furnishing.settings());
            run.extend(["-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", &image]);
            // A user's own manager finds its group only in a view of groups that begins with this host.
            let init = "mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec /sbin/init";
            run.extend(["/bin/sh", "-c", init]);
            let container = docker(&run).expect_code(0).stdout.trim().to_owned();
            machines.hosts.push(Machine {
                name: number.to_string(),
                address,
                container,
                network: network.clone(),
            });
        }
        machines.furnish(account);
        machines
    }

    /// Lets the client in, pins the hosts' keys, and installs the service.
    #[track_caller]
    fn furnish(&self, account: Account) {
        let file = |name: &str| self.folder.path().join(name);
        let key = fs::read_to_string(file("key.pub")).expect("ssh-keygen wrote it");
        let (mut config, mut known) = (String::new(), String::new());
        for machine in &self.hosts {
            machine.until_up();
            machine.let_in(account, key.trim());
            let host = machine.sh("cat /etc/ssh/ssh_host_ed25519_key.pub");
            let Machine { name, address, .. } = machine;
            let _infallible = write!(known, "{address} {}", host.stdout);
            let _infallible = write!(
                config,
                "Host {name}\n  HostName {address}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n",
                account.user(),
                file("key").display(),
                file("known_hosts").display()
            );
        }
        fs::write(file("known_hosts"), known).expect("a folder of ours can be written");
        fs::write(file("ssh_config"), config).expect("a folder of ours can be written");
    }

    /// The client's configuration: a `Host` for each.
    pub fn ssh_config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    /// All of them.
    pub fn all(&self) -> &[Machine] {
        &self.hosts
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for machine in &self.hosts {
            docker(&["rm", "-f", "-v", &machine.container]);
        }
        docker(&["network", "rm", &self.network]);
    }
}

impl Machine {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets whoever has the key in, and installs the service.
    #[track_caller]
    fn let_in(&self, account: Account, key: &str) {
        let (user, home, path) = (account.user(), account.home(), account.path());
        let (units, target) = (account.units(), account.wanted_by());
        if account != Account::Root {
            self.sh(&format!("useradd -m -s /bin/sh {user}"));
        }
        if account == Account::Asked {
            self.sh(&format!(
                "echo '{user}:{PASSWORD}' | chpasswd && install -d -o {user} {path}
                echo '{user} ALL=(root) ALL' >/etc/sudoers.d/asks && chmod 440 /etc/sudoers.d/asks"
            ));
        }
        self.sh(&format!(
            "mkdir -p -m 700 {home}/.ssh && echo '{key}' >{home}/.ssh/authorized_keys
            mkdir -p {units}/{target}.wants && ln -s ../web.service {units}/{target}.wants/web.service
            cat >{units}/web.service <<'UNIT'
[Unit]
StartLimitIntervalSec=0
[Service]
WorkingDirectory={path}/current
ExecStart=/bin/busybox httpd -f -p {PORT} -h {path}/current
Restart=always
RestartSec=200ms
UNIT
            chown -R {user} {home}"
        ));
        // A manager that is not there yet reads its units when it comes.
        self.sh(&match account {
            Account::Root | Account::Asked => "systemctl daemon-reload".to_owned(),
            Account::Lingering => format!("loginctl enable-linger {user}"),
        });
        self.until_managed(account);
    }

    /// Waits for the manager of the account's units.
    #[track_caller]
    pub fn until_managed(&self, account: Account) {
        wait::until(START, "the account's manager to come", || {
            let socket = match account {
                Account::Root | Account::Asked => "/run/systemd/private",
                Account::Lingering => "/run/user/1000/systemd/private",
            };
            docker(&["exec", &self.container, "test", "-S", socket]).code == Some(0)
        });
    }

    /// Installs the small web service of the tests (`WebRelease`) as a service of the system, which starts with the host and serves
    /// what is in `path`.
    #[track_caller]
    pub fn install_web(&self, service: &str, path: &str, port: u16) {
        self.put(&service::program("deploy-test-web"), "/usr/local/bin/");
        self.sh(&format!(
            "cat >/etc/systemd/system/{service}.service <<'UNIT'
[Unit]
StartLimitIntervalSec=0
[Service]
WorkingDirectory={path}/current
Environment=ADDRESS=0.0.0.0 PORT={port}
ExecStart=/usr/local/bin/deploy-test-web
Restart=always
RestartSec=200ms
[Install]
WantedBy=multi-user.target
UNIT
            systemctl daemon-reload && systemctl enable {service}"
        ));
    }

    /// Runs a script in it, past ssh.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        docker(&["exec", &self.container, "sh", "-c", script]).expect_code(0)
    }

    /// Copies a file into it, to a folder.
    #[track_caller]
    pub fn put(&self, file: &std::path::Path, folder: &str) {
        let file = file.to_str().expect("a path of ours is text");
        docker(&["cp", file, &format!("{}:{folder}", self.container)]).expect_code(0);
    }

    /// Where it is reached.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What is in a store and who works there, for messages.
    pub fn picture(&self, path: &str) -> String {
        let script = format!(
            "cd {path}/.deploy && tail -n 20 armed reverted moving claim; cat /proc/uptime
            systemctl list-units --no-pager --plain --no-legend 'deploy-*' 'web*'; journalctl --no-pager -n 30
            for process in /proc/[0-9]*; do tr '\\0' ' ' <$process/cmdline; echo; done | grep -v '^$' | cut -c -150"
        );
        let seen = docker(&["exec", &self.container, "sh", "-c", &script]);
        format!("{}{}", seen.stdout, seen.stderr)
    }

    /// Whether systemd has started all there is, and somebody may log in.
    #[track_caller]
    fn until_up(&self) {
        wait::until(START, &format!("host {} to start", self.name), || {
            let state = docker(&["exec", &self.container, "systemctl", "is-system-running"]).stdout;
            matches!(state.trim(), "running" | "degraded")
                && TcpStream::connect_timeout(
                    &format!("{}:22", self.address).parse().expect("an address"),
                    Duration::from_secs(1),
                )
                .is_ok()
        });
    }

    /// Stops it in order, and starts it again.
    #[track_caller]
    pub fn reboot(&self) {
        docker(&["restart", "-t", "20", &self.container]).expect_code(0);
    }

    /// Takes its power away, and gives it back.
    #[track_caller]
    pub fn power_cut(&self) {
        self.power_off();
        docker(&["start", &self.container]).expect_code(0);
    }

    /// Takes its power away.
    #[track_caller]
    pub fn power_off(&self) {
        docker(&["kill", "-s", "KILL", &self.container]).expect_code(0);
    }

    /// Gives it back, and waits until somebody may log in.
    #[track_caller]
    pub fn power_on(&self) {
        docker(&["start", &self.container]).expect_code(0);
        self.until_up();
    }

    /// Cuts its link.
    #[track_caller]
    pub fn cut_link(&self) {
        docker(&["network", "disconnect", &self.network, &self.container]).expect_code(0);
    }

    /// Mends it.
    #[track_caller]
    pub fn mend_link(&self) {
        let arguments = [
            "network",
            "connect",
            "--ip",
            &self.address,
            &self.network,
            &self.container,
        ];
        docker(&arguments).expect_code(0);
        self.until_up();
    }

    /// What a file of the release says that it serves, asked over the network; `None` without an answer.
    pub fn serves(&self, file: &str) -> Option<String> {
        let (status, body) = service::get_at(&self.address, PORT, file)?;
        (status == 200).then(|| body.trim().to_owned())
    }

    /// The same, asked inside, where its link is cut.
    pub fn serves_inside(&self, file: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{PORT}{file}");
        let asked = docker(&["exec", &self.container, "busybox", "wget", "-q", "-O", "-", &url]);
        (asked.code == Some(0)).then(|| asked.stdout.trim().to_owned())
    }
}

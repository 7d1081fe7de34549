//! A service on hosts with systemd, how it is looked at from outside and from inside, and how releases of it are made.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use deploy_tests::machines::{Account, Machine, Machines, PORT};
use deploy_tests::scratch::Scratch;

/// How long one run may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);
/// How long a host waits to be confirmed.
pub(crate) const SPAN: Duration = Duration::from_secs(12);

/// The project and its hosts.
pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) account: Account,
    pub(crate) machines: Machines,
    versions: u32,
}

impl World {
    /// With a first release that serves.
    pub(crate) fn new(hosts: u8, account: Account) -> Self {
        let scratch = Scratch::new();
        let numbers: Vec<u8> = (11..11 + hosts).collect();
        let machines = Machines::start(&numbers, account);
        symlink(machines.ssh_config(), scratch.path("ssh_config")).expect("the project can be written");
        scratch.write(".gitignore", ".deploy/\nssh_config\n");
        scratch.set("DEPLOY_REVERT_AFTER", format!("{}s", SPAN.as_secs()));
        let mut world = Self {
            scratch,
            account,
            machines,
            versions: 0,
        };
        world.looks_for("0s");
        let first = world.release();
        world.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
        assert!(
            world
                .machines
                .all()
                .iter()
                .all(|machine| is_whole(machine, &first))
        );
        // From now on there is time for something to happen before it is confirmed.
        world.looks_for("8s");
        world
    }

    /// Looks for as long as this from here on; the next release has it.
    pub(crate) fn looks_for(&self, healthy_for: &str) {
        let (path, restart) = (self.account.path(), self.account.restart());
        let mut text = format!(
            r#"[project]
name = "shop"
keep = 3
[services.web.ssh]
source = "web/"
path = "{path}"
restart = "{restart}"
[services.web.health.ready]
http = "http://127.0.0.1:{PORT}/VERSION"
healthy_for = "{healthy_for}"
interval = "200ms"
deadline = "40s"
[services.web.strategy]
kind = "all-at-once"
[environments.production]
ssh_config = "ssh_config"
[environments.production.hosts]
"#
        );
        for machine in self.machines.all() {
            let name = machine.name();
            let _infallible = writeln!(text, "{name} = {{ ssh = \"{name}\" }}");
        }
        self.scratch.write("deploy.toml", text);
    }

    /// One host after the other from here on; the next release has it.
    pub(crate) fn one_after_the_other(&self) {
        let manifest = fs::read_to_string(self.scratch.path("deploy.toml")).expect("a world has one");
        let text = manifest.replace("kind = \"all-at-once\"", "kind = \"rolling\"\nbatch = 1");
        self.scratch.write("deploy.toml", text);
    }

    /// The version of the release that was made last.
    pub(crate) fn version(&self) -> String {
        self.versions.to_string()
    }

    /// Commits a release, and returns its version.
    pub(crate) fn release(&mut self) -> String {
        self.versions += 1;
        let version = self.version();
        for file in ["web/VERSION", "web/OTHER"] {
            self.scratch.write(file, &version);
        }
        self.scratch.commit(&version);
        version
    }
}

/// Whether it serves this version whole, asked over the network.
pub(crate) fn is_whole(machine: &Machine, version: &str) -> bool {
    ["/VERSION", "/OTHER"]
        .iter()
        .all(|file| machine.serves(file).as_deref() == Some(version))
}

/// The same, asked on the host.
pub(crate) fn is_old_inside(machine: &Machine, version: &str) -> bool {
    ["/VERSION", "/OTHER"]
        .iter()
        .all(|file| machine.serves_inside(file).as_deref() == Some(version))
}

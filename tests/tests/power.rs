//! Hosts with systemd that lose their deployer, their link or their power between the switch and the confirmation.
//!
//! Each time every host ends on one whole release that serves, within its deadline and 5 s, by itself where nobody can reach it; and
//! whoever goes on learns that from the host. By default a round of each kind on one host and on three; `DEPLOY_SWEEP=full` is 100 in
//! all, and `DEPLOY_SEED=n` repeats the moments.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use deploy_tests::dice::Dice;
use deploy_tests::machines::{Account, Machine, Machines, PORT};
use deploy_tests::process::Output;
use deploy_tests::scratch::Scratch;
use deploy_tests::wait;

const LIMIT: Duration = Duration::from_mins(3);
/// How long a host waits to be confirmed.
const SPAN: Duration = Duration::from_secs(12);
const AFTER: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The deployer is killed.
    Killed,
    /// The link to one host is cut, and mended when it is back.
    Cut,
    /// One host starts anew, in order.
    Rebooted,
    /// One host loses its power for a moment.
    PowerCut,
    /// The deployer is killed, and then one host loses its power.
    Both,
}

const FAULTS: [Fault; 5] = [
    Fault::Killed,
    Fault::Cut,
    Fault::Rebooted,
    Fault::PowerCut,
    Fault::Both,
];

struct World {
    scratch: Scratch,
    account: Account,
    machines: Machines,
    versions: u32,
}

impl World {
    fn new(hosts: u8, account: Account) -> Self {
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

    fn looks_for(&self, healthy_for: &str) {
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

    fn release(&mut self) -> String {
        self.versions += 1;
        let version = self.versions.to_string();
        for file in ["web/VERSION", "web/OTHER"] {
            self.scratch.write(file, &version);
        }
        self.scratch.commit(&version);
        version
    }

    fn round(&mut self, fault: Fault, dice: &mut Dice, old: &str) -> String {
        let new = self.release();
        let mut run = self.scratch.spawn(&["up"]);
        let hosts = self.machines.all();
        wait::until(LIMIT, "every host to be switched", || {
            assert!(!run.ended(), "it ended: {:?}", run.wait(LIMIT));
            hosts.iter().all(|machine| is_whole(machine, &new))
        });
        let moment = Duration::from_secs(6).mul_f64(dice.roll());
        wait::find_within(moment, || run.ended().then_some(()));
        let host = dice.one_of(hosts);
        println!("{fault:?} after {moment:?}, host {}", host.name());
        if matches!(fault, Fault::Killed | Fault::Both) {
            let killed = run.kill9();
            assert_eq!(
                killed.signal,
                Some(9),
                "it ended before it was killed: {killed:?}"
            );
        }
        let began = Instant::now();
        match fault {
            Fault::Killed => {}
            Fault::Cut => host.cut_link(),
            Fault::Rebooted => host.reboot(),
            Fault::PowerCut | Fault::Both => host.power_cut(),
        }
        let alone = match fault {
            Fault::Killed | Fault::Both => hosts,
            _ => std::slice::from_ref(host),
        };
        for machine in alone {
            let left = (SPAN + AFTER).saturating_sub(began.elapsed());
            let back = wait::find_within(left, || is_old_inside(machine, old).then_some(()));
            assert!(
                back.is_some(),
                "{fault:?}: host {} is not back after {left:?}\n{}",
                machine.name(),
                machine.picture(self.account.path())
            );
        }
        println!("  back after {:?}", began.elapsed());
        if fault == Fault::Cut {
            host.mend_link();
        }
        let mut end = match fault {
            Fault::Killed | Fault::Both => self.scratch.deploy_within(LIMIT, &["resume"]),
            _ => run.wait(LIMIT),
        };
        if end.code == Some(9) {
            end = self.scratch.deploy_within(LIMIT, &["resume"]);
        }
        self.judge(fault, &end, old)
    }

    /// All on one release: the old one, or the new one where nobody had written yet that it was switched to when it went back.
    fn judge(&self, fault: Fault, end: &Output, old: &str) -> String {
        let new = self.versions.to_string();
        let now = match end.code {
            Some(3) => old,
            Some(0) => &new,
            _ => panic!("{fault:?}: {end:?}"),
        };
        for machine in self.machines.all() {
            assert!(
                is_whole(machine, now),
                "{fault:?}: host {} serves {:?} and not {now}: {end:?}",
                machine.name(),
                machine.serves("/VERSION")
            );
            machine.sh(&format!("test ! -e {}/.deploy/armed", self.account.path()));
        }
        self.scratch.deploy(&["audit", "verify"]).expect_code(0);
        println!("  ended with {:?}", end.code);
        now.to_owned()
    }
}

fn is_whole(machine: &Machine, version: &str) -> bool {
    ["/VERSION", "/OTHER"]
        .iter()
        .all(|file| machine.serves(file).as_deref() == Some(version))
}

fn is_old_inside(machine: &Machine, version: &str) -> bool {
    ["/VERSION", "/OTHER"]
        .iter()
        .all(|file| machine.serves_inside(file).as_deref() == Some(version))
}

fn rounds(hosts: u8, account: Account, most: u32) {
    let (mut dice, _) = Dice::seeded();
    let mut world = World::new(hosts, account);
    let full = std::env::var("DEPLOY_SWEEP").is_ok_and(|value| value == "full");
    let mut old = "1".to_owned();
    let number = if full { most } else { 5 };
    for (_, fault) in (0..number).zip(FAULTS.into_iter().cycle()) {
        old = world.round(fault, &mut dice, &old);
    }
    println!("{number} rounds on {hosts} hosts: each ended on one whole release");
    // And it works as ever.
    world.looks_for("0s");
    let last = world.release();
    world.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    assert!(
        world
            .machines
            .all()
            .iter()
            .all(|machine| is_whole(machine, &last))
    );
}

#[test]
fn one_host() {
    rounds(1, Account::Root, 40);
}

#[test]
fn three_hosts() {
    rounds(3, Account::Root, 40);
}

/// Without rights on the host, but for a manager of its own.
#[test]
fn a_user_whose_manager_lingers() {
    rounds(1, Account::Lingering, 20);
}

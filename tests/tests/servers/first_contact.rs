//! `deploy trust` and `deploy setup`: hosts that nobody has been at yet.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use deploy_tests::machines::{Account, Machine, Machines, PORT};
use deploy_tests::process::Output;
use deploy_tests::scratch::Scratch;
use deploy_tests::terminal::Terminal;
use deploy_tests::wait;
use insta::assert_snapshot;

use crate::world::World;

const LIMIT: Duration = Duration::from_mins(2);

fn fingerprint(world: &World, host: &str) -> String {
    let said = world.deploy(&["trust", host, "--json"]).json();
    let tail = said["failure"]["log_tail"][0].as_str().expect("it shows a key");
    tail.split_whitespace().nth(1).expect("a fingerprint").to_owned()
}

#[test]
fn a_key_is_pinned_by_whoever_compared_it() {
    let world = World::bare("");
    fs::write(world.fleet.known_hosts(), "").expect("the fleet's folder can be written");
    let said = world.deploy(&["up"]);
    assert_snapshot!("a host whose key is not known", world.look(&said));
    let said = world.deploy(&["trust", "web-1", "--yes"]);
    assert_snapshot!("nobody compared it", world.look(&said));
    assert_eq!(
        fs::read_to_string(world.fleet.known_hosts()).expect("it is there"),
        ""
    );
    let said = world.deploy(&["trust", "web-1", "--fingerprint", "SHA256:wrong"]);
    assert_snapshot!("another key than was told", world.look(&said));
    assert!(world.audit("host_trusted").is_empty());

    for host in ["web-1", "web-2"] {
        let told = fingerprint(&world, host);
        let said = world
            .deploy(&["trust", host, "--fingerprint", &told])
            .expect_code(0);
        assert_snapshot!(format!("pinned {host}"), world.look(&said));
        let again = world.deploy(&["trust", host]).expect_code(0);
        assert!(again.stdout.contains("pinned already"), "{again:?}");
    }
    assert_eq!(world.audit("host_trusted").len(), 2);
    world.deploy(&["up"]).expect_code(0);

    world.fleet.change_host_key("web-1");
    let said = world.deploy(&["trust", "web-1"]).expect_code(8);
    assert!(
        said.stderr
            .contains("shows another key than the one that is pinned"),
        "{said:?}"
    );
    let told = fingerprint(&world, "web-1");
    world
        .deploy(&["trust", "web-1", "--fingerprint", &told])
        .expect_code(8);
    world
        .deploy(&["trust", "web-1", "--fingerprint", &told, "--replace"])
        .expect_code(0);
    let last = world.audit("host_trusted").pop().expect("it is there");
    assert_eq!(last["fingerprint"], told.as_str());
    assert_eq!(last["replaced"].as_array().map(Vec::len), Some(1), "{last}");
    world.deploy(&["run", "--", "true"]).expect_code(0);
    let said = world.deploy(&["trust", "web-3"]).expect_code(2);
    assert!(said.stderr.contains("one of web-1, web-2"), "{said:?}");
}

/// At a terminal the fingerprint is shown, and somebody is asked; only a yes or that very fingerprint pins.
#[test]
fn a_key_is_compared_at_a_terminal() {
    let world = World::bare("");
    fs::write(world.fleet.known_hosts(), "").expect("the fleet's folder can be written");
    let answered = |host: &str, answer: &str| {
        let mut terminal = Terminal::start(&world.shop, 100, &["trust", host]);
        terminal.until_shows("Type yes, or the fingerprint that you were told: ");
        let shown = terminal.shown();
        assert!(shown.contains(&fingerprint(&world, host)), "{shown}");
        terminal.types(answer);
        terminal.end(wait::PATIENCE)
    };
    let other = fingerprint(&world, "web-2");
    for answer in ["no", "", "y", "YES", &other] {
        let said = answered("web-1", answer).expect_code(6);
        assert!(said.stdout.contains("nothing was pinned"), "{answer:?}: {said:?}");
    }
    assert_eq!(
        fs::read_to_string(world.fleet.known_hosts()).expect("it is there"),
        ""
    );
    assert!(world.audit("host_trusted").is_empty());

    let said = answered("web-1", "yes").expect_code(0);
    assert_snapshot!("compared at a terminal", world.look(&said));
    let told = other.trim_start_matches("SHA256:");
    answered("web-2", told).expect_code(0);
    let pinned = world.audit("host_trusted");
    assert_eq!(pinned.len(), 2, "{pinned:?}");
    assert_eq!(pinned[1]["fingerprint"], other.as_str());
    world.deploy(&["up"]).expect_code(0);
}

#[test]
fn bare_hosts_are_prepared_once() {
    let world = World::bare("");
    let said = world.deploy(&["setup", "--dry-run"]);
    assert_snapshot!("what would be done", world.look(&said));
    let folder = world.fleet.host("web-1").root().join("srv/web");
    assert!(!folder.exists());
    let said = world.deploy(&["setup"]);
    assert_snapshot!("what was done", world.look(&said));
    assert!(folder.join("shared/log").is_dir());
    let said = world.deploy(&["setup"]);
    assert_snapshot!("nothing to do", world.look(&said));
    let prepared = world.audit("hosts_prepared");
    assert_eq!(prepared.len(), 1, "{prepared:?}");
    assert_eq!(prepared[0]["done"]["web-2"].as_array().map(Vec::len), Some(2));
    world.deploy(&["up"]).expect_code(0);
    world.deploy(&["setup", "--json"]).expect_code(0);
    world.fleet.kill("web-2");
    let object = world.deploy(&["setup", "--json"]).expect_code(8).json();
    assert_eq!(object["changed"], false, "{object}");
    assert_eq!(object["hosts"][1]["failure"]["code"], "DPL0501", "{object}");
}

/// A host with systemd, and a project for it.
struct Bare {
    scratch: Scratch,
    machines: Machines,
    account: Account,
}

impl Bare {
    fn new(account: Account, machines: Machines) -> Self {
        let scratch = Scratch::new();
        symlink(machines.ssh_config(), scratch.path("ssh_config")).expect("the project can be written");
        scratch.write(".gitignore", ".deploy/\nssh_config\n");
        scratch.write("web/VERSION", "1\n");
        let (path, restart) = (account.path(), account.restart());
        scratch.write(
            "deploy.toml",
            format!(
                "[project]\nname = \"shop\"\n[services.web.ssh]\nsource = \"web/\"\npath = \"{path}\"\nrestart = \"{restart}\"\n\
                 [services.web.health.ready]\nhttp = \"http://127.0.0.1:{PORT}/VERSION\"\nhealthy_for = \"0s\"\n\
                 [environments.production]\nssh_config = \"ssh_config\"\n[environments.production.hosts]\n11 = {{ ssh = \"11\" }}\n"
            ),
        );
        scratch.commit("Begin");
        Self {
            scratch,
            machines,
            account,
        }
    }

    fn host(&self) -> &Machine {
        &self.machines.all()[0]
    }

    #[track_caller]
    fn setup(&self, more: &[&str], code: i32) -> String {
        let said = self
            .scratch
            .deploy(&[&["setup", "-e", "production"], more].concat());
        said.expect_code(code).stdout
    }

    /// The manager of the account's units.
    #[track_caller]
    fn manager(&self, words: &str) -> Output {
        let as_user =
            "setpriv --reuid deploy --regid deploy --init-groups env XDG_RUNTIME_DIR=/run/user/1000";
        self.host().sh(&match self.account {
            Account::Root | Account::Asked => format!("systemctl {words}"),
            Account::Lingering => format!("{as_user} systemctl --user {words}"),
        })
    }

    /// The units of the revert that are loaded, and whether they wait.
    #[track_caller]
    fn units(&self) -> Vec<(String, String)> {
        let listed = self.manager("list-units --all --plain --no-legend 'deploy-revert-*.path'");
        let words = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            (words[0].to_owned(), words[3].to_owned())
        };
        listed.stdout.lines().map(words).collect()
    }

    /// It is made once, made again where somebody took it away, and all that the first deployments need: they can make none themselves.
    fn has_its_unit_before_any_deployment(&self) {
        const MAKES: &str = "makes the unit deploy-revert-";
        assert_eq!(self.units(), []);
        assert!(self.setup(&["--dry-run"], 0).contains(MAKES));
        assert_eq!(self.units(), []);
        assert!(self.setup(&[], 0).contains(MAKES));
        let [(unit, state)] = &self.units()[..] else {
            panic!("{:?}", self.units())
        };
        assert_eq!(state, "waiting");
        for mode in [&["--dry-run"][..], &[]] {
            assert!(self.setup(mode, 0).contains("nothing was to do"));
        }
        self.manager(&format!("disable --now {unit}"));
        assert!(
            self.setup(&["--dry-run"], 0)
                .contains(unit.trim_end_matches(".path"))
        );
        assert!(self.setup(&[], 0).contains(MAKES));
        assert!(self.setup(&[], 0).contains("nothing was to do"));

        let (path, units) = (self.account.path(), self.account.units());
        self.host().sh(&format!(
            "rm -rf /kept && cp -a {units} /kept && mv /usr/bin/systemctl /usr/bin/systemctl.not"
        ));
        let systemctl = "#!/bin/sh\ncase \" $* \" in *\" restart web \"*) exec systemctl.not \"$@\" ;; esac\necho \"$@\" >>/asked\nexit 1";
        self.host().sh(&format!(
            "touch /asked; chmod 666 /asked; printf '%s\\n' '{systemctl}' >/usr/bin/systemctl; chmod 755 /usr/bin/systemctl"
        ));
        self.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
        self.scratch.set("DEPLOY_REVERT_AFTER", "1h");
        self.scratch.write("web/VERSION", "2\n");
        self.scratch.commit("2");
        let mut command = self.scratch.command(&["up"]);
        command.env("DEPLOY_FAILPOINT", "effect.look.before:1");
        let run = self.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{run:?}");
        self.host().sh("mv /usr/bin/systemctl.not /usr/bin/systemctl");
        let asked = self.host().sh(&format!("cat /asked; diff -r /kept {units}"));
        assert_eq!(asked.stdout, "", "somebody asked for units");
        self.host().reboot();
        wait::until(LIMIT, "the host to go back after its start", || {
            self.host().serves("/VERSION").as_deref() == Some("1")
        });
        self.scratch.deploy_within(LIMIT, &["resume"]).expect_code(3);
        self.host().sh(&format!("test ! -e {path}/.deploy/armed"));
        assert!(self.setup(&[], 0).contains("nothing was to do"));
    }
}

#[test]
fn setup_makes_the_unit_of_root() {
    let machines = Machines::start(&[11], Account::Root);
    Bare::new(Account::Root, machines).has_its_unit_before_any_deployment();
}

/// What is armed acts after a start of the host only where the user's services run without a login.
#[test]
fn setup_makes_the_unit_of_a_user_and_says_what_that_needs() {
    let machines = Machines::start(&[11], Account::Lingering);
    let bare = Bare::new(Account::Lingering, machines);
    bare.host().sh("loginctl disable-linger deploy");
    for mode in [&["--dry-run"][..], &[]] {
        let said = bare.setup(mode, 1);
        for words in ["without a login", "sudo loginctl enable-linger deploy"] {
            assert!(said.contains(words), "{said}");
        }
        assert!(!said.contains("makes the unit"), "{said}");
    }
    bare.host().sh("loginctl enable-linger deploy");
    bare.host().until_managed(bare.account);
    bare.has_its_unit_before_any_deployment();
}

/// Where sudo lets the user, one run does all of it: the manager of its own comes, and the unit in it.
#[test]
fn setup_makes_all_of_it_at_once_where_sudo_lets_it() {
    let machines = Machines::with_proxies(&[11], Account::Lingering);
    let bare = Bare::new(Account::Lingering, machines);
    let allowed = "deploy ALL=(root) NOPASSWD: /usr/bin/loginctl enable-linger deploy";
    bare.host().sh(&format!(
        "loginctl disable-linger deploy; echo '{allowed}' >/etc/sudoers.d/deploy; chmod 440 /etc/sudoers.d/deploy; visudo -c -q"
    ));
    wait::until(LIMIT, "its manager to be gone", || {
        let left = bare.host().sh("ls /run/user");
        !left.stdout.lines().any(|user| user == "1000")
    });
    let wanted = ["run without a login", "makes the unit deploy-revert-"];
    for mode in [&["--dry-run"][..], &[]] {
        let said = bare.setup(mode, 0);
        assert!(
            wanted.iter().all(|words| said.contains(words)),
            "{mode:?}: {said}"
        );
    }
    assert!(matches!(&bare.units()[..], [(_, state)] if state == "waiting"));
    assert!(bare.setup(&[], 0).contains("nothing was to do"));
}

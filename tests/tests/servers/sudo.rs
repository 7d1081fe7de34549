//! Sudo that asks, on a host with systemd: the password comes from a secret by askpass, also where the host goes back by itself; without
//! it, what is said names the line that lets the command through.

use std::os::unix::fs::symlink;
use std::time::Duration;

use deploy_tests::machines::{Account, Machine, Machines, PASSWORD, PORT};
use deploy_tests::scratch::Scratch;
use deploy_tests::wait;

const LIMIT: Duration = Duration::from_mins(2);

/// What prints the password, in the release.
const ASKPASS: &str = "#!/bin/sh\nprintf '%s\\n' \"$SUDO_PASSWORD\"\n";

struct World {
    scratch: Scratch,
    machines: Machines,
}

impl World {
    fn new(restart: &str) -> Self {
        let scratch = Scratch::new();
        let machines = Machines::start(&[11], Account::Asked);
        symlink(machines.ssh_config(), scratch.path("ssh_config")).expect("the project can be written");
        scratch.write(".gitignore", ".deploy/\nssh_config\n");
        scratch.write_script("web/askpass", ASKPASS);
        scratch.write(
            "deploy.toml",
            format!(
                r#"[project]
name = "shop"
[services.web]
secrets = ["SUDO_PASSWORD"]
[services.web.ssh]
source = "web/"
path = "{}"
restart = '{restart}'
[services.web.health.ready]
http = "http://127.0.0.1:{PORT}/VERSION"
healthy_for = "2s"
interval = "100ms"
deadline = "20s"
[environments.production]
ssh_config = "ssh_config"
[environments.production.secrets]
SUDO_PASSWORD = {{ env = "SHOP_SUDO_PASSWORD" }}
[environments.production.hosts]
web-1 = {{ ssh = "11" }}
"#,
                Account::Asked.path()
            ),
        );
        scratch.set("SHOP_SUDO_PASSWORD", PASSWORD);
        scratch.set("DEPLOY_REVERT_AFTER", "6s");
        Self { scratch, machines }
    }

    fn machine(&self) -> &Machine {
        &self.machines.all()[0]
    }

    fn release(&self, version: &str) {
        self.scratch.write("web/VERSION", version);
        self.scratch.commit(version);
    }

    fn serves(&self) -> Option<String> {
        self.machine().serves("/VERSION")
    }
}

#[test]
fn the_password_comes_from_a_secret() {
    let world = World::new(r#"SUDO_ASKPASS="$DEPLOY_DIR/askpass" sudo -A systemctl restart web"#);
    world.release("1");
    let up = world.scratch.deploy_within(LIMIT, &["up", "-v"]).expect_code(0);
    assert_eq!(world.serves().as_deref(), Some("1"));
    let doctor = world
        .scratch
        .deploy_within(LIMIT, &["doctor", "-e", "production"]);
    assert!(!doctor.stdout.contains("without a password"), "{doctor:?}");

    // A deployer that dies: the host goes back, and the restart of what was before is asked, too.
    world.release("2");
    let mut command = world.scratch.command(&["up"]);
    command.env("DEPLOY_FAILPOINT", "effect.verify.before:1");
    let run = world.scratch.spawn_command(command).wait(LIMIT);
    assert_eq!(run.signal, Some(9), "{run:?}");
    assert_eq!(world.serves().as_deref(), Some("2"));
    wait::until(LIMIT, "the host to be back", || {
        world.serves().as_deref() == Some("1")
    });
    world.scratch.deploy_within(LIMIT, &["resume"]).expect_code(3);

    // Another password: it goes back to the release that has the right one.
    world.scratch.set("SHOP_SUDO_PASSWORD", "guessed");
    world.release("3");
    let wrong = world.scratch.deploy_within(LIMIT, &["up", "-v"]).expect_code(3);
    assert!(wrong.stdout.contains("incorrect password"), "{wrong:?}");
    assert_eq!(world.serves().as_deref(), Some("1"));

    let journal = world
        .scratch
        .deploy(&["audit", "export", "--events"])
        .expect_code(0);
    for output in [up, wrong, journal] {
        for secret in [PASSWORD, "guessed"] {
            assert!(!format!("{output:?}").contains(secret), "{output:?}");
        }
    }
}

#[test]
fn without_it_the_line_that_lets_it_through_is_said_and_does() {
    let world = World::new(Account::Asked.restart());
    world.release("1");
    let said = world.scratch.deploy_within(LIMIT, &["up"]).expect_code(3);
    let asks = "sudo asks for a password, and nobody is there to type one";
    assert!(said.stdout.contains(asks), "{said:?}");
    let line = said
        .stdout
        .lines()
        .find_map(|line| line.split_once("with the line: "))
        .unwrap_or_else(|| panic!("it names no line: {said:?}"))
        .1
        .trim();
    assert_eq!(line, "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart web");
    world.machine().sh(&format!(
        "echo '{line}' >/etc/sudoers.d/deploy && chmod 440 /etc/sudoers.d/deploy"
    ));
    world.release("2");
    world.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    assert_eq!(world.serves().as_deref(), Some("2"));
}

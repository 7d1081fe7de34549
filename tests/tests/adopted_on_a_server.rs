//! A live folder that is adopted on a server with systemd: its path becomes the switched symlink, and all of ours lies beside it. The
//! units of the revert wait there, also when the host starts anew or loses its power; a service reads its variables below its path as ever.

use std::os::unix::fs::symlink;
use std::time::Duration;

use deploy_tests::machines::{Account, Machine, Machines, PORT};
use deploy_tests::scratch::Scratch;
use deploy_tests::service::{self, WebRelease};
use deploy_tests::wait;

const LIMIT: Duration = Duration::from_mins(3);
/// How long a host waits to be confirmed.
const SPAN: &str = "8s";
/// That, and what a host takes to start anew.
const BACK: Duration = Duration::from_mins(1);

/// What is live before anybody deploys, with a unit that knows its path alone.
const LIVE: &str = r#"mkdir -p HERE/uploads && cd HERE
echo live >VERSION; echo '{"status":"UP"}' >health.json; echo of a user >uploads/one
cat >UNITS/web.service <<'UNIT'
[Unit]
StartLimitIntervalSec=0
[Service]
WorkingDirectory=HERE
EnvironmentFile=-HERE/.deploy/env
Environment=ADDRESS=0.0.0.0 PORT=8080
ExecStart=/usr/local/bin/deploy-test-web
Restart=always
RestartSec=200ms
UNIT
"#;

struct World {
    scratch: Scratch,
    machines: Machines,
    path: &'static str,
}

impl World {
    fn new(account: Account) -> Self {
        let scratch = Scratch::new();
        let machines = Machines::start(&[11], account);
        symlink(machines.ssh_config(), scratch.path("ssh_config")).expect("the project can be written");
        scratch.write(".gitignore", ".deploy/\nssh_config\n");
        let (path, restart) = (account.path(), account.restart());
        scratch.write(
            "deploy.toml",
            format!(
                r#"[project]
name = "shop"
[services.web.vars]
GREETING = "hello"
[services.web.ssh]
source = "web/"
path = "{path}"
shared = ["uploads"]
restart = "{restart}"
[services.web.health.ready]
http = "http://127.0.0.1:{PORT}/health"
healthy_for = "300ms"
interval = "100ms"
deadline = "30s"
[environments.production]
ssh_config = "ssh_config"
[environments.production.hosts]
11 = {{ ssh = "11" }}
"#
            ),
        );
        let machine = &machines.all()[0];
        machine.put(&service::program("deploy-test-web"), "/usr/local/bin/");
        let units = account.units();
        let owner = account.user();
        let manager = match account {
            Account::Root | Account::Asked => "systemctl",
            Account::Lingering => {
                "setpriv --reuid deploy --regid deploy --init-groups env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user"
            }
        };
        machine.sh(&LIVE.replace("HERE", path).replace("UNITS", units));
        machine.sh(&format!(
            "chown -R {owner} {path} {units}; {manager} daemon-reload; {manager} restart web"
        ));
        let world = Self {
            scratch,
            machines,
            path,
        };
        world.until_serves("live");
        world
    }

    fn host(&self) -> &Machine {
        &self.machines.all()[0]
    }

    fn release(&self, version: &str) {
        self.scratch.write_web("web", &WebRelease::healthy(version));
        self.scratch.commit(version);
    }

    #[track_caller]
    fn until_serves(&self, version: &str) {
        let told = || {
            let (_, body) = service::get_at(self.host().address(), PORT, "/version")?;
            let told: serde_json::Value = serde_json::from_str(&body).ok()?;
            Some(told["version"].as_str()? == version)
        };
        wait::until(BACK, &format!("{version} to serve"), || told() == Some(true));
    }

    /// It serves, its files are below the path, and so is what users brought; the variable it was started with.
    #[track_caller]
    fn is_whole(&self, version: &str, greeting: Option<&str>) {
        self.until_serves(version);
        let path = self.path;
        let files = self.host().sh(&format!("cat {path}/VERSION {path}/uploads/one"));
        assert_eq!(files.stdout, format!("{version}\nof a user\n"));
        let (status, text) =
            service::get_at(self.host().address(), PORT, "/env/GREETING").expect("it serves");
        assert_eq!((status == 200).then(|| text.trim()), greeting);
        self.host().sh(&format!("test ! -e {path}.deploy/armed"));
    }

    /// Its deployer dies when the host was switched; then this happens, and the host is back by itself.
    #[track_caller]
    fn goes_back(&self, version: &str, old: (&str, Option<&str>), what: impl FnOnce(&Machine)) {
        self.release(version);
        let mut command = self.scratch.command(&["up"]);
        command.env("DEPLOY_FAILPOINT", "effect.look.before:1");
        let run = self.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{run:?}");
        self.host().sh(&format!("test -e {}.deploy/armed", self.path));
        self.until_serves(version);
        what(self.host());
        self.until_serves(old.0);
        wait::until(BACK, "the host to have gone back", || {
            let left = self.host().sh(&format!("ls {}.deploy", self.path));
            !left
                .stdout
                .lines()
                .any(|name| name == "armed" || name == "moving")
        });
        self.scratch.deploy_within(LIMIT, &["resume"]).expect_code(3);
        self.is_whole(old.0, old.1);
    }
}

fn is_adopted_and_goes_back_by_itself(account: Account) {
    let world = World::new(account);
    world.scratch.set("DEPLOY_REVERT_AFTER", SPAN);
    // To the live folder as it was, which had no variables of ours.
    world.goes_back("1", ("live", None), |_| {});
    world.release("2");
    world.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    world.is_whole("2", Some("hello"));
    let mode = world
        .host()
        .sh(&format!("stat -L -c %a {}/.deploy/env", world.path));
    assert_eq!(mode.stdout.trim(), "600");
    world.goes_back("3", ("2", Some("hello")), Machine::reboot);
    world.goes_back("4", ("2", Some("hello")), Machine::power_cut);
    world.release("5");
    world.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    world.is_whole("5", Some("hello"));
}

#[test]
fn a_live_folder_of_root() {
    is_adopted_and_goes_back_by_itself(Account::Root);
}

#[test]
fn a_live_folder_of_a_user_whose_manager_lingers() {
    is_adopted_and_goes_back_by_itself(Account::Lingering);
}

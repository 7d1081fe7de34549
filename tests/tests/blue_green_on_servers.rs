//! Two ports behind nginx or Caddy as Debian has them, on servers with systemd, by the commands that are run where the manifest names
//! none: as root, and as a user whom sudo lets do exactly those. Batches of one host, a release that fails on the second one, a
//! deployer that is killed between the switch and the commit point, a host that starts anew then; users ask each host all the while.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::time::Duration;

use deploy_tests::machines::{Account, Machine, Machines};
use deploy_tests::process::Output;
use deploy_tests::proxies::{Kind, Users};
use deploy_tests::scratch::Scratch;
use deploy_tests::service::{self, WebRelease};
use deploy_tests::wait;

const LIMIT: Duration = Duration::from_mins(3);
/// Where users come.
const FRONT: u16 = 80;
/// How long a host waits to be confirmed, in seconds.
const SPAN: &str = "8s";
/// That, and what a host takes to start anew.
const BACK: Duration = Duration::from_mins(1);

/// The unit of docs/servers.md, with a start that fails for the version that `/opt/broken` names.
const UNIT: &str = r#"cat >/etc/systemd/system/shop@.service <<'UNIT'
[Unit]
StartLimitIntervalSec=0
[Service]
User=ACCOUNT
WorkingDirectory=/opt/shop/ports/%i
EnvironmentFile=-/opt/shop/ports/%i/.deploy/env
Environment=PORT=%i
ExecStartPre=/bin/sh -c '! grep -q -x "$(cat VERSION)" /opt/broken'
ExecStart=/usr/local/bin/deploy-test-web
Restart=on-failure
[Install]
WantedBy=multi-user.target
UNIT
touch /opt/broken
systemctl daemon-reload && systemctl enable shop@8081 shop@8082"#;

const NGINX: &str = "install -d -o ACCOUNT /etc/nginx/deploy.d
echo 'upstream web { server 127.0.0.1:8081; }' >/etc/nginx/deploy.d/web.conf
chown ACCOUNT /etc/nginx/deploy.d/web.conf
rm /etc/nginx/sites-enabled/default
cat >/etc/nginx/conf.d/shop.conf <<'CONF'
include /etc/nginx/deploy.d/*.conf;
server {
    listen 80;
    location / { proxy_pass http://web; }
}
CONF
systemctl enable --now nginx";

const CADDY: &str = "install -d -o ACCOUNT /etc/caddy/deploy.d
echo 'to 127.0.0.1:8081' >/etc/caddy/deploy.d/web.caddy
chown ACCOUNT /etc/caddy/deploy.d/web.caddy
cat >/etc/caddy/Caddyfile <<'CONF'
http://:80 {
    reverse_proxy {
        import /etc/caddy/deploy.d/web.caddy
    }
}
CONF
systemctl enable --now caddy";

/// A log that is there only once Caddy has taken up its configuration, and that nobody else may make.
const CADDY_LOG: &str = "cat >/etc/caddy/Caddyfile <<'CONF'
http://:80 {
    log {
        output file /var/log/caddy/shop.log {
            roll_disabled
        }
    }
    reverse_proxy {
        import /etc/caddy/deploy.d/web.caddy
    }
}
CONF";

/// What `visudo` is used for: no more than what the manifest and the defaults say.
const SUDO: &str = "cat >/etc/sudoers.d/deploy <<'SUDO'
deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart shop@8081, /usr/bin/systemctl restart shop@8082
deploy ALL=(root) NOPASSWD: /usr/bin/systemctl stop shop@8081, /usr/bin/systemctl stop shop@8082
SUDO
chmod 440 /etc/sudoers.d/deploy && visudo -c -q";
const SUDO_NGINX: &str =
    "echo 'deploy ALL=(root) NOPASSWD: /usr/sbin/nginx -T, /usr/sbin/nginx -s reload' >>/etc/sudoers.d/deploy
visudo -c -q";

struct World {
    scratch: Scratch,
    machines: Machines,
    versions: u32,
}

impl World {
    fn new(kind: Kind, account: Account, hosts: u8) -> Self {
        let scratch = Scratch::new();
        let numbers: Vec<u8> = (11..11 + hosts).collect();
        let machines = Machines::with_proxies(&numbers, account);
        symlink(machines.ssh_config(), scratch.path("ssh_config")).expect("the project can be written");
        scratch.write(".gitignore", ".deploy/\nssh_config\n");
        scratch.write("deploy.toml", manifest(kind, account, &machines));
        for machine in machines.all() {
            furnish(machine, kind, account);
        }
        Self {
            scratch,
            machines,
            versions: 0,
        }
    }

    fn release(&mut self, what: fn(&str) -> WebRelease) -> String {
        self.versions += 1;
        let version = self.versions.to_string();
        self.scratch.write_web("web", &what(&version));
        self.scratch.commit(&version);
        version
    }

    fn up(&self) -> Output {
        self.scratch.deploy_within(LIMIT, &["up", "--json"])
    }

    /// A deployer that dies at this point.
    #[track_caller]
    fn dies(&self, point: &str) {
        let mut command = self.scratch.command(&["up"]);
        command.env("DEPLOY_FAILPOINT", point);
        let run = self.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{point}: {run:?}");
    }

    /// On every host one version is current, serves, and alone is left, started with its variables.
    #[track_caller]
    fn is_whole(&self, version: &str) {
        for machine in self.machines.all() {
            let current = machine.sh("cat /opt/shop/current/VERSION").stdout;
            assert_eq!(current.trim(), version, "host {}", machine.name());
            assert_eq!(serves(machine, "/version").as_deref(), Some(version));
            let runs = machine.sh("systemctl list-units --plain --no-legend --state=running 'shop@*'");
            assert_eq!(runs.stdout.lines().count(), 1, "{runs:?}");
            let greeting = service::get_at(machine.address(), FRONT, "/env/GREETING");
            assert_eq!(
                greeting.map(|(_, text)| text.trim().to_owned()).as_deref(),
                Some("hello")
            );
        }
    }

    #[track_caller]
    fn users(&self, version: &str) -> Vec<Users> {
        let users: Vec<_> = self
            .machines
            .all()
            .iter()
            .map(|machine| Users::start_at(machine.address(), FRONT))
            .collect();
        served_by(&users, version);
        users
    }
}

#[track_caller]
fn served_by(users: &[Users], version: &str) {
    for users in users {
        users.until_served_by(version);
    }
}

#[track_caller]
fn lost_nothing(users: &[Users]) {
    for users in users {
        users.lost_nothing();
    }
}

/// The version behind the proxy.
fn serves(machine: &Machine, path: &str) -> Option<String> {
    let (_, body) = service::get_at(machine.address(), FRONT, path)?;
    let told: serde_json::Value = serde_json::from_str(&body).ok()?;
    Some(told["version"].as_str()?.to_owned())
}

fn manifest(kind: Kind, account: Account, machines: &Machines) -> String {
    let sudo = match account {
        Account::Root => "",
        Account::Lingering | Account::Asked => "sudo -n ",
    };
    let proxy = match kind {
        Kind::Nginx => "nginx = \"/etc/nginx/deploy.d/web.conf\"",
        Kind::Caddy => "caddy = \"/etc/caddy/deploy.d/web.caddy\"",
    };
    let mut text = format!(
        r#"[project]
name = "shop"
[services.web.vars]
GREETING = "hello"
[services.web.ssh]
source = "web/"
path = "/opt/shop"
restart = "{sudo}systemctl restart shop@$DEPLOY_PORT"
stop = "{sudo}systemctl stop shop@$DEPLOY_PORT"
[services.web.strategy]
kind = "blue-green"
batch = 1
ports = [8081, 8082]
proxy = {{ {proxy} }}
drain = "500ms"
[services.web.health.ready]
http = "http://127.0.0.1:${{port}}/health"
expect = {{ json = {{ "/status" = ["UP"] }} }}
healthy_for = "300ms"
interval = "100ms"
deadline = "5s"
[services.web.health.front]
http = "http://127.0.0.1/health"
expect = {{ json = {{ "/status" = ["UP"] }} }}
healthy_for = "0s"
[environments.production]
ssh_config = "ssh_config"
[environments.production.hosts]
"#
    );
    for machine in machines.all() {
        let name = machine.name();
        let _infallible = writeln!(text, "{name} = {{ ssh = \"{name}\" }}");
    }
    text
}

#[track_caller]
fn furnish(machine: &Machine, kind: Kind, account: Account) {
    let user = account.user();
    let run = |script: &str| {
        machine.sh(&script.replace("ACCOUNT", user));
    };
    machine.put(&service::program("deploy-test-web"), "/usr/local/bin/");
    run("systemctl disable web 2>/dev/null; install -d -o ACCOUNT /opt/shop");
    run(UNIT);
    run(match kind {
        Kind::Nginx => NGINX,
        Kind::Caddy => CADDY,
    });
    match (account, kind) {
        (Account::Root, Kind::Nginx) => {}
        (Account::Root, Kind::Caddy) => run(CADDY_LOG),
        (Account::Lingering | Account::Asked, Kind::Nginx) => {
            run(SUDO);
            run(SUDO_NGINX);
        }
        (Account::Lingering | Account::Asked, Kind::Caddy) => run(SUDO),
    }
}

fn nobody_notices(kind: Kind, account: Account, hosts: u8) {
    let mut world = World::new(kind, account, hosts);
    let first = world.release(WebRelease::healthy);
    world
        .scratch
        .deploy(&["setup", "-e", "production"])
        .expect_code(0);
    world
        .scratch
        .deploy(&["doctor", "-e", "production"])
        .expect_code(0);
    world.up().expect_code(0);
    world.is_whole(&first);
    let users = world.users(&first);

    let mut old = world.release(WebRelease::healthy);
    world.up().expect_code(0);
    served_by(&users, &old);
    world.is_whole(&old);

    // Not well where it stands beside: nobody is led there.
    let bad = world.release(WebRelease::down);
    let result = world.up().expect_code(3).json();
    let why = result["failure"]["message"].as_str().unwrap_or_default();
    assert!(
        why.contains("beside what serves, which was not touched"),
        "{result:#}"
    );
    world.is_whole(&old);

    // It does not start on the last host, where others were switched already: they go back.
    let broken = world.release(WebRelease::healthy);
    let last = world.machines.all().last().expect("there is one");
    last.sh(&format!("echo {broken} >/opt/broken"));
    world.up().expect_code(3);
    world.is_whole(&old);
    for (at, users) in users.iter().enumerate() {
        let versions = users.tally().versions;
        assert_eq!(versions.get(&bad), None);
        let was_switched = at + 1 < users_of(&world);
        assert_eq!(versions.contains_key(&broken), was_switched, "{versions:?}");
    }

    // Its deployer dies, and comes back in time.
    let new = world.release(WebRelease::healthy);
    world.dies("effect.look.before:1");
    world.scratch.deploy_within(LIMIT, &["resume"]).expect_code(0);
    served_by(&users, &new);
    world.is_whole(&new);
    old = new;

    // Or does not: each host goes back by itself, whether all were switched or one.
    world.scratch.set("DEPLOY_REVERT_AFTER", SPAN);
    for point in ["ssh.pass.after:1", "effect.look.before:1"] {
        let new = world.release(WebRelease::healthy);
        world.dies(point);
        users[0].until_served_by(&new);
        wait::until(BACK, &format!("the hosts to go back, {point}"), || {
            let mut hosts = world.machines.all().iter();
            hosts.all(|machine| serves(machine, "/version").as_deref() == Some(&old))
        });
        let resumed = world.scratch.deploy_within(LIMIT, &["resume"]);
        old = match resumed.code {
            Some(3) => old,
            // It went back before anybody had written that it was switched: what was meant is done.
            Some(0) if point == "ssh.pass.after:1" => new,
            _ => panic!("{point}: {resumed:?}"),
        };
        world.is_whole(&old);
    }
    served_by(&users, &old);
    lost_nothing(&users);
    drop(users);

    // And one of them starts anew before it is confirmed.
    world.release(WebRelease::healthy);
    world.dies("effect.look.before:1");
    world.machines.all()[0].reboot();
    wait::until(BACK, "the hosts to go back, one of them started anew", || {
        let mut hosts = world.machines.all().iter();
        hosts.all(|machine| serves(machine, "/version").as_deref() == Some(&old))
    });
    world.scratch.deploy_within(LIMIT, &["resume"]).expect_code(3);
    world.is_whole(&old);
    world.scratch.unset("DEPLOY_REVERT_AFTER");
    let users = world.users(&old);
    let last = world.release(WebRelease::healthy);
    world.up().expect_code(0);
    served_by(&users, &last);
    world.is_whole(&last);
    lost_nothing(&users);
}

fn users_of(world: &World) -> usize {
    world.machines.all().len()
}

#[test]
fn behind_nginx_as_root() {
    nobody_notices(Kind::Nginx, Account::Root, 1);
}

#[test]
fn behind_nginx_on_two_hosts_as_a_user_with_sudo() {
    nobody_notices(Kind::Nginx, Account::Lingering, 2);
}

#[test]
fn behind_caddy_on_two_hosts_as_root() {
    nobody_notices(Kind::Caddy, Account::Root, 2);
}

#[test]
fn behind_caddy_as_a_user_with_sudo() {
    nobody_notices(Kind::Caddy, Account::Lingering, 1);
}

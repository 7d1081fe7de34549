//! Two ports that take turns behind a real nginx or Caddy, by the command itself: nobody who asks meanwhile is turned away, whatever
//! becomes of the release or of the deployer.

use std::fs;
use std::time::Duration;

use deploy_tests::points;
use deploy_tests::process::Output;
use deploy_tests::proxies::{Kind, Proxy, Users, free_ports};
use deploy_tests::scratch::Scratch;
use deploy_tests::service::{self, Unit, WebRelease};
use deploy_tests::wait;
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(2);

struct World {
    scratch: Scratch,
    proxy: Proxy,
    ports: [u16; 2],
    versions: u32,
}

impl World {
    fn new(kind: Kind) -> Self {
        let scratch = Scratch::new();
        let ports = free_ports();
        let proxy = Proxy::start(kind, &scratch.root().join("proxy"), ports[0]);
        let units = scratch.units();
        Unit::web("web@", &scratch.path("live/web/ports/%i"), "%i").install(&units);
        let manage = |verb: &str| {
            let program = service::program("deploy-test-service");
            let (units, program) = (units.display(), program.display());
            format!("{}={units} {program} {verb} web@$DEPLOY_PORT", service::UNITS)
        };
        let [blue, green] = ports;
        let (file, name) = (proxy.file(), format!("{kind:?}").to_lowercase());
        scratch.write(".gitignore", ".deploy/\nlive/\n");
        scratch.write(
            "deploy.toml",
            format!(
                r#"[project]
name = "shop"
[services.web.ssh]
source = "web/"
path = "live/web"
restart = "{restart}"
stop = "{stop}"
[services.web.strategy]
kind = "blue-green"
ports = [{blue}, {green}]
proxy = {{ {name} = "{file}", test = "{test}", reload = "{reload}" }}
drain = "500ms"
[services.web.health.ready]
http = "http://127.0.0.1:${{port}}/health"
expect = {{ json = {{ "/status" = ["UP"] }} }}
healthy_for = "300ms"
interval = "100ms"
deadline = "3s"
[services.web.health.front]
http = "http://127.0.0.1:{front}/health"
expect = {{ json = {{ "/status" = ["UP"] }} }}
healthy_for = "0s"
[environments.production.hosts]
here = {{ local = true }}
"#,
                restart = manage("restart"),
                stop = manage("stop"),
                file = file.display(),
                test = proxy.test(),
                reload = proxy.reload(),
                front = proxy.port(),
            ),
        );
        Self {
            scratch,
            proxy,
            ports,
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

    /// The versions that answer at the two ports.
    fn answer(&self) -> Vec<String> {
        let at = |port: &u16| Some(service::get(*port, "/")?.1.trim().to_owned());
        self.ports.iter().filter_map(at).collect()
    }

    fn current(&self) -> String {
        let text = fs::read_to_string(self.scratch.path("live/web/current/VERSION")).unwrap_or_default();
        text.trim().to_owned()
    }

    /// One version is current, serves, and alone is left.
    #[track_caller]
    fn is_whole(&self, version: &str) {
        assert_eq!(self.current(), version);
        assert_eq!(self.answer(), [version]);
        let (status, body) = service::get(self.proxy.port(), "/").expect("the proxy answers");
        assert_eq!((status, body.trim()), (200, version));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        service::end_all(&self.scratch.units());
    }
}

fn nobody_notices(kind: Kind) {
    let mut world = World::new(kind);
    let first = world.release(WebRelease::healthy);
    world.scratch.deploy(&["check"]).expect_code(0);
    world.up().expect_code(0);
    world.is_whole(&first);
    let users = Users::start(world.proxy.port());
    users.until_served_by(&first);

    let second = world.release(WebRelease::healthy);
    world.up().expect_code(0);
    users.until_served_by(&second);
    world.is_whole(&second);
    let told = world.scratch.deploy(&["status", "--refresh"]).expect_code(0);
    assert!(
        told.stdout.contains(&format!("port {} (blue)", world.ports[0])),
        "{}",
        told.stdout
    );

    // One that is not well is found out where nobody asks it.
    let bad = world.release(WebRelease::down);
    let result = world.up().expect_code(3).json();
    assert_eq!(result["outcome"], "rolled_back", "{result:#}");
    let why = result["failure"]["message"].as_str().unwrap_or_default();
    assert!(
        why.contains("beside what serves, which was not touched"),
        "{result:#}"
    );
    world.is_whole(&second);
    assert_eq!(users.tally().versions.get(&bad), None);

    world.release(WebRelease::healthy);
    world.up().expect_code(0);
    let back = ["rollback", "-e", "production", "--yes", "--json"];
    world.scratch.deploy_within(LIMIT, &back).expect_code(0);
    users.until_served_by(&second);
    world.is_whole(&second);
    users.lost_only_in(&world.proxy.reloads());
}

#[test]
fn nobody_notices_behind_nginx() {
    nobody_notices(Kind::Nginx);
}

#[test]
fn nobody_notices_behind_caddy() {
    nobody_notices(Kind::Caddy);
}

/// Nothing else has changed: what listens where is what runs.
#[test]
fn other_ports_act_alone() {
    let mut world = World::new(Kind::Nginx);
    let first = world.release(WebRelease::healthy);
    world.up().expect_code(0);
    let again = world.up().expect_code(0).json();
    assert_eq!(again["changed"], false, "{again:#}");
    let old = world.ports;
    world.ports = free_ports();
    let ports = |[one, other]: [u16; 2]| format!("ports = [{one}, {other}]");
    let manifest = fs::read_to_string(world.scratch.path("deploy.toml")).expect("it is there");
    let moved = manifest.replace(&ports(old), &ports(world.ports));
    assert_ne!(moved, manifest);
    world.scratch.write("deploy.toml", moved);
    world.scratch.commit("other ports");
    let told = world.up().expect_code(0).json();
    assert_eq!(told["changed"], true, "{told:#}");
    world.is_whole(&first);
    let left = old.iter().find(|port| service::get(**port, "/").is_some());
    assert_eq!(left, None, "it still listens where it did");
}

#[test]
fn nobody_notices_that_the_deployer_was_killed() {
    let mut world = World::new(Kind::Nginx);
    let mut old = world.release(WebRelease::healthy);
    world.up().expect_code(0);
    let users = Users::start(world.proxy.port());
    users.until_served_by(&old);
    let others = [
        "effect.activate.after",
        "ssh.confirm.after",
        "ssh.finish.before",
        "ssh.finish.after",
    ];
    for point in points::TAKING_TURNS.into_iter().chain(others) {
        let new = world.release(WebRelease::healthy);
        let mut command = world.scratch.command(&["up"]);
        command.env("DEPLOY_FAILPOINT", point);
        let run = world.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{point}: {run:?}");
        let resumed = world.scratch.deploy_within(LIMIT, &["resume", "--json"]);
        let result: Value = resumed.json();
        let ends = match resumed.code {
            Some(0) => new,
            Some(3) => old,
            _ => panic!("{point}: {result:#}"),
        };
        world.is_whole(&ends);
        users.until_served_by(&ends);
        users.lost_nothing();
        old = ends;
    }
    // Two that were killed in a row, and given up for a third: the host has gone back by itself meanwhile.
    world.scratch.set("DEPLOY_REVERT_AFTER", "3s");
    for point in ["ssh.pass.after", "ssh.stand.after"] {
        world.release(WebRelease::healthy);
        let mut command = world.scratch.command(&["up"]);
        command.env("DEPLOY_FAILPOINT", point);
        let run = world.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{point}: {run:?}");
        let given_up = ["cancel", "--force", "--yes"];
        let run = world.scratch.deploy_within(LIMIT, &given_up);
        wait::until(LIMIT, &format!("the host to disarm after {run:?}"), || {
            !world.scratch.path("live/web/.deploy/armed").exists()
        });
        users.until_served_by(&old);
    }
    world.scratch.unset("DEPLOY_REVERT_AFTER");
    let last = world.release(WebRelease::healthy);
    world.up().expect_code(0);
    world.is_whole(&last);
    users.lost_nothing();
}

#[test]
fn a_proxy_that_does_not_take_it_leaves_what_serves() {
    let mut world = World::new(Kind::Nginx);
    let first = world.release(WebRelease::healthy);
    world.up().expect_code(0);
    let users = Users::start(world.proxy.port());
    let config = fs::read_to_string(world.proxy.config()).expect("it has a configuration");
    fs::write(world.proxy.config(), format!("{config}\nnonsense;\n")).expect("it can be written");
    world.release(WebRelease::healthy);
    let result = world.up().expect_code(3).json();
    let why = result["failure"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("before anything of it was changed"), "{result:#}");
    assert!(
        result["failure"]["log_tail"].to_string().contains("nonsense"),
        "{result:#}"
    );
    world.is_whole(&first);
    users.lost_nothing();
}

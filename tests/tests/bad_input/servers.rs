//! Servers that do not do as they should, as a person sees it who deploys to several: the reason, who is where, and the exit code.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use deploy_tests::scratch::Scratch;
use deploy_tests::sshd::{Fleet, Sshd};
use deploy_tests::wait::{self, PATIENCE, until};
use insta::assert_snapshot;

use crate::world::{look, next};

const UP: [&str; 3] = ["up", "-e", "production"];
const LONG: Duration = Duration::from_mins(3);

/// One service on several servers, two at a time, with its first release up. The restart is a script on each server.
struct Servers {
    shop: Scratch,
    fleet: Fleet,
}

impl Servers {
    fn new(names: &[&str]) -> Self {
        let fleet = Sshd::named(names);
        let folder = fleet.ssh_config().parent().unwrap().display().to_string();
        let hosts: String = names
            .iter()
            .map(|name| format!("{name} = {{ ssh = \"{name}\" }}\n"))
            .collect();
        let shop = Scratch::new();
        shop.write(
            "deploy.toml",
            format!(
                r#"[project]
name = "shop"
[services.web.strategy]
kind = "rolling"
batch = 2
[services.web.ssh]
source = "web/"
path = "{folder}/${{host}}/root/web"
restart = "sh {folder}/$DEPLOY_HOST/root/restart"
[services.web.health.ready]
command = "! test -e {folder}/${{host}}/root/sick"
healthy_for = "0s"
interval = "100ms"
deadline = "1s"
[environments.production]
ssh_config = "ssh_config"
[environments.production.hosts]
{hosts}"#
            ),
        );
        fs::copy(fleet.ssh_config(), shop.path("ssh_config")).unwrap();
        let servers = Self { shop, fleet };
        for name in names {
            servers.restart(name, "true");
        }
        servers.shop.write("web/page", "v1\n");
        servers.shop.commit("Begin");
        servers.shop.deploy_within(LONG, &UP).expect_code(0);
        servers
    }

    fn root(&self, host: &str) -> PathBuf {
        self.fleet.host(host).root()
    }

    /// What the restart does on a server, in the release's folder.
    fn restart(&self, host: &str, script: &str) {
        fs::write(self.root(host).join("restart"), script).unwrap();
    }

    /// What each server serves.
    fn serve(&self) -> Vec<String> {
        let page = |host: &deploy_tests::sshd::Host| {
            let text = fs::read_to_string(host.root().join("web/current/page"));
            text.unwrap_or_default().trim().to_owned()
        };
        self.fleet.hosts().iter().map(page).collect()
    }

    fn look(&self, output: &deploy_tests::process::Output) -> String {
        let folder = self.fleet.ssh_config().parent().unwrap().display().to_string();
        look(&self.shop, output).replace(&folder, "[fleet]")
    }
}

#[test]
fn half_the_hosts_fail() {
    let servers = Servers::new(&["web-1", "web-2", "web-3", "web-4"]);
    for host in ["web-3", "web-4"] {
        servers.restart(host, "! grep -q v2 page || { echo port in use; exit 1; }");
    }
    next(&servers.shop, "v2");
    let output = servers.shop.deploy_within(LONG, &UP);
    assert_snapshot!("half the hosts fail to switch", servers.look(&output));
    assert_eq!(servers.serve(), ["v1"; 4]);
    for host in ["web-3", "web-4"] {
        // Well again once the old release is back.
        let sick = servers.root(host).join("sick");
        let sick = sick.display();
        servers.restart(
            host,
            &format!("if grep -q v3 page; then touch {sick}; else rm -f {sick}; fi"),
        );
    }
    next(&servers.shop, "v3");
    let output = servers.shop.deploy_within(LONG, &UP).expect_code(3);
    assert!(
        output.stderr.contains("web-3") || output.stdout.contains("web-3"),
        "{output:?}"
    );
    assert_eq!(servers.serve(), ["v1"; 4]);
}

/// The one that cannot go back is named, and the others are back.
#[test]
fn going_back_fails_on_one_host() {
    let servers = Servers::new(&["web-1", "web-2", "web-3"]);
    servers.restart(
        "web-2",
        "test -e ../../../mended || { echo disk on fire; exit 1; }",
    );
    next(&servers.shop, "v2");
    let output = servers.shop.deploy_within(LONG, &UP).expect_code(4);
    assert_snapshot!("going back fails on one host", servers.look(&output));
    assert_eq!(servers.serve()[0], "v1");
    assert_eq!(servers.serve()[2], "v1");
    fs::write(servers.root("web-2").join("mended"), "").unwrap();
    servers
        .shop
        .deploy_within(LONG, &["rollback", "-e", "production", "--to", "v1"]);
    let status = servers.shop.deploy(&["status", "--refresh"]);
    assert_eq!(servers.serve(), ["v1"; 3], "{status:?}");
}

/// The restart of one host takes another from the network: what was switched goes back as soon as it can be reached, and until then
/// the deployment is open.
#[test]
fn a_host_goes_away_in_the_middle() {
    let servers = Servers::new(&["web-1", "web-2", "web-3"]);
    let waits = servers.root("web-1").join("waits");
    servers.restart(
        "web-1",
        &format!(
            "! grep -q v2 page || {{ touch {0}; while test -e {0}; do sleep 0.1; done; }}",
            waits.display()
        ),
    );
    next(&servers.shop, "v2");
    let mut run = servers.shop.spawn(&UP);
    until(PATIENCE, "the first host to be switched", || waits.exists());
    servers.fleet.unplug("web-3");
    fs::remove_file(&waits).unwrap();
    let output = run.wait(LONG);
    assert!(matches!(output.code, Some(3 | 4 | 9)), "{output:?}");
    assert!(
        (output.stderr.clone() + &output.stdout).contains("web-3"),
        "{output:?}"
    );
    assert_eq!(servers.serve(), ["v1"; 3], "{output:?}");
    servers.fleet.restart("web-3");
    if output.code != Some(3) {
        servers.shop.deploy_within(LONG, &["resume"]);
    }
    next(&servers.shop, "v3");
    servers.shop.deploy_within(LONG, &UP).expect_code(0);
    assert_eq!(servers.serve(), ["v3"; 3]);
}

/// The switch happened and its answer was lost: it is looked up, and nobody calls it a failure.
#[test]
fn the_link_dies_with_the_switch() {
    let servers = Servers::new(&["web-1"]);
    servers.restart(
        "web-1",
        "p=$$; until [ \"$(cat /proc/$p/comm)\" = sshd ]; do p=$(cut -d' ' -f4 /proc/$p/stat); done; kill -KILL $p",
    );
    next(&servers.shop, "v2");
    let output = servers.shop.deploy_within(LONG, &UP);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(servers.serve(), ["v2"]);
}

#[test]
fn a_symlink_that_leads_out() {
    let servers = Servers::new(&["web-1"]);
    fs::create_dir(servers.shop.path("web/d")).unwrap();
    symlink("..", servers.shop.path("web/d/up")).unwrap();
    symlink("d/up/../shared", servers.shop.path("web/out")).unwrap();
    next(&servers.shop, "v2");
    let output = servers.shop.deploy(&UP);
    assert_snapshot!(servers.look(&output));
    assert_eq!(servers.serve(), ["v1"]);
    fs::remove_file(servers.shop.path("web/out")).unwrap();
    next(&servers.shop, "v3");
    servers.shop.deploy(&UP).expect_code(0);
    assert_eq!(servers.serve(), ["v3"]);
}

/// 300 MB, or 5 GB where all is swept (`DEPLOY_SWEEP=full`): in little memory either way.
#[test]
fn a_big_file_in_little_memory() {
    let size = if std::env::var("DEPLOY_SWEEP").is_ok_and(|sweep| sweep == "full") {
        5 << 30
    } else {
        300 << 20_u64
    };
    let servers = Servers::new(&["web-1"]);
    let manifest = fs::read_to_string(servers.shop.path("deploy.toml")).unwrap();
    let artifact = format!(
        "[artifacts.big]\nbuild = \"mkdir out && cp web/page out/ && truncate -s {size} out/big\"\noutput = \"out/\"\n[services.web.ssh]"
    );
    let manifest = manifest
        .replace("[services.web.ssh]", &artifact)
        .replace("source = \"web/\"", "artifact = \"big\"");
    servers.shop.write("deploy.toml", manifest);
    next(&servers.shop, "v2");
    let mut run = servers.shop.spawn(&UP);
    let status = format!("/proc/{}/status", run.pid());
    let mut most = 0;
    let ended = wait::find_within(Duration::from_mins(15), || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let high = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let high = high.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        most = most.max(high.unwrap_or_default());
        run.ended().then_some(())
    });
    let output = run.wait(PATIENCE);
    assert!(ended.is_some() && output.code == Some(0), "{output:?}");
    let there = fs::metadata(servers.root("web-1").join("web/current/big")).unwrap();
    assert_eq!(there.len(), size);
    println!("{size} bytes sent with {most} KiB of memory");
    assert!(most < 100 * 1024, "{most} KiB");
}

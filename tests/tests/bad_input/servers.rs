//! Servers that do not do as they should, as a person sees it who deploys to several: the reason, who is where, and the exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails there")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use deploy_tests::scratch::Scratch;
use deploy_tests::sshd::{Fleet, Sshd};

use crate::world::next;

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
        let hosts: Vec<_> = names
            .iter()
            .map(|name| format!("{name} = {{ ssh = \"{name}\" }}\n"))
            .collect();
        let hosts = hosts.concat();
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
}

/// Only a password that nobody set is one that is not used.
#[test]
fn a_password_that_cannot_be_had() {
    let servers = Servers::new(&["web-1"]);
    let manifest = fs::read_to_string(servers.shop.path("deploy.toml")).unwrap();
    let with = |reference: &str| {
        let host = format!("{{ ssh = \"web-1\", password = {reference} }}");
        let text = manifest.replace("{ ssh = \"web-1\" }", &host);
        assert_ne!(text, manifest);
        servers.shop.write("deploy.toml", text);
        servers.shop.commit(reference);
    };
    with("{ env = \"NOT_SET_ANYWHERE\" }");
    servers.shop.write("web/page", "v2\n");
    servers.shop.commit("Go on");
    servers.shop.deploy_within(LONG, &UP).expect_code(0);
    assert_eq!(servers.serve(), ["v2"], "its key opens the host");

    with("{ exec = [\"sh\", \"-c\", \"printf hunt >&2; echo er2 >&2; exit 3\"] }");
    servers.shop.write("web/page", "v3\n");
    servers.shop.commit("Go on");
    let refused = servers.shop.deploy_within(LONG, &UP);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(
        refused.stderr.contains("the password of host web-1 (")
            && refused.stderr.contains("ended with exit status: 3"),
        "{refused:?}"
    );
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    assert_eq!(servers.serve(), ["v2"]);
    // Going back is held up by no secret.
    let back = ["rollback", "-e", "production", "--yes"];
    servers.shop.deploy_within(LONG, &back).expect_code(0);
    assert_eq!(servers.serve(), ["v1"]);
}

#[test]
fn half_the_hosts_fail() {
    let servers = Servers::new(&["web-1", "web-2", "web-3", "web-4"]);
    for host in ["web-3", "web-4"] {
        servers.restart(host, "! grep -q v2 page || { echo port in use; exit 1; }");
    }
    next(&servers.shop, "v2");
    let output = servers.shop.deploy_within(LONG, &UP).expect_code(3);
    // Of two that fail at the same moment the one that was first is named, with what it said or with where that is.
    let named = ["web-3", "web-4"].map(|host| {
        let what = format!("the switch on {host} did not end: the restart command ended with status 1");
        let told = format!("the restart command on {host} ended with status 1");
        output.stdout.contains(&what) || output.stdout.contains(&told)
    });
    assert!(named.contains(&true), "{output:?}");
    let said = ["port in use", "failed.log"].map(|what| output.stdout.contains(what));
    assert!(said.contains(&true), "{output:?}");
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
    assert!(output.stdout.contains("needs a human: 1 slice"), "{output:?}");
    assert!(output.stdout.contains("stray      web web-2"), "{output:?}");
    assert_eq!(servers.serve()[0], "v1");
    assert_eq!(servers.serve()[2], "v1");
    fs::write(servers.root("web-2").join("mended"), "").unwrap();
    servers
        .shop
        .deploy_within(LONG, &["rollback", "-e", "production", "--to", "v1"]);
    let status = servers.shop.deploy(&["status", "--refresh"]);
    assert_eq!(servers.serve(), ["v1"; 3], "{status:?}");
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
    let output = servers.shop.deploy(&UP).expect_code(1);
    let told = "web/out is a symlink to d/up/../shared, which is outside the tree";
    assert!(output.stderr.contains(told), "{output:?}");
    assert_eq!(servers.serve(), ["v1"]);
    fs::remove_file(servers.shop.path("web/out")).unwrap();
    next(&servers.shop, "v3");
    servers.shop.deploy(&UP).expect_code(0);
    assert_eq!(servers.serve(), ["v3"]);
}

//! `deploy logs`.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use deploy_tests::wait::{PATIENCE, until};
use insta::assert_snapshot;
use rustix::process::Signal;

use crate::world::{SECRET, World};

fn log(world: &World, host: &str) -> PathBuf {
    world.fleet.host(host).root().join("srv/web/shared/log/web.log")
}

#[test]
fn the_last_lines_of_every_host_and_those_to_come() {
    let world = World::up("");
    for host in ["web-1", "web-2"] {
        let text = format!("one\ntwo of {host}\nlogged in with {SECRET}\n");
        fs::write(log(&world, host), text).expect("it is shared");
    }
    let said = world.deploy(&["logs", "-s", "web", "-n", "2", "--host", "web-1"]);
    assert_snapshot!("the last lines", world.look(&said));
    let mut run = world.shop.spawn(&["logs", "-s", "web", "-F", "-n", "1"]);
    until(PATIENCE, "both hosts to have begun", || {
        run.stdout().lines().count() == 2
    });
    let mut file = File::options()
        .append(true)
        .open(log(&world, "web-2"))
        .expect("it is there");
    writeln!(file, "and this").expect("it can be written");
    run.until_says(PATIENCE, "web-2  and this");
    run.signal(Signal::INT);
    let output = run.wait(PATIENCE).expect_code(0);
    assert!(!output.stdout.contains(SECRET), "{output:?}");

    world.fleet.kill("web-2");
    let said = world.deploy(&["logs", "-s", "web", "-n", "1"]).expect_code(8);
    assert_eq!(said.stdout, "web-1  logged in with ***\n");
    assert!(
        said.stderr.contains("✗ web-2  web-2 cannot be reached"),
        "{said:?}"
    );
    let said = world.deploy(&["logs", "-s", "web", "--since", "10m", "--host", "web-1"]);
    assert_snapshot!("files have no times", world.look(&said));
}

/// The unit that `restart` names, asked for by a stand-in that says what it was asked.
#[test]
fn the_journal_of_the_unit_that_is_restarted() {
    let world = World::bare("");
    let manifest = fs::read_to_string(world.shop.path("deploy.toml")).expect("it is there");
    let manifest = manifest.replace(
        "logs = \"shared/log/*.log\"",
        "restart = \"sudo systemctl restart web@$DEPLOY_HOST\"",
    );
    world.shop.write("deploy.toml", manifest);
    for host in world.fleet.hosts() {
        let file = host.bin().join("journalctl");
        fs::write(&file, "#!/bin/sh\necho \"$@\"\n").expect("the host's programs can be written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let said = world.deploy(&["logs", "-s", "web", "-n", "5"]).expect_code(0);
    let mut lines: Vec<_> = said.stdout.lines().collect();
    lines.sort_unstable();
    let wanted = ["web-1", "web-2"].map(|host| format!("{host}  --no-pager -o short-iso -n 5 -u web@{host}"));
    assert_eq!(lines, wanted, "{said:?}");
}

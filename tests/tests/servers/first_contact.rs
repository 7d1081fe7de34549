//! `deploy trust` and `deploy setup`: hosts that nobody has been at yet.

use std::fs;
use std::os::unix::fs::symlink;

use deploy_tests::machines::{Account, Machines};
use deploy_tests::scratch::Scratch;
use deploy_tests::terminal::Terminal;
use deploy_tests::wait;
use insta::assert_snapshot;

use crate::world::World;

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

/// What is armed acts after a start of the host only where the user's services run without a login.
#[test]
fn setup_says_how_a_revert_outlives_a_start_of_the_host() {
    let machines = Machines::start(&[11], Account::Lingering);
    let host = &machines.all()[0];
    let scratch = Scratch::new();
    symlink(machines.ssh_config(), scratch.path("ssh_config")).expect("the project can be written");
    scratch.write(".gitignore", ".deploy/\nssh_config\n");
    scratch.write("web/page", "v1\n");
    scratch.write(
        "deploy.toml",
        "[project]\nname = \"shop\"\n[services.web.ssh]\nsource = \"web/\"\npath = \"/home/deploy/shop\"\n\
         [environments.production]\nssh_config = \"ssh_config\"\n[environments.production.hosts]\n11 = { ssh = \"11\" }\n",
    );
    scratch.commit("Begin");
    host.sh("loginctl disable-linger deploy").expect_code(0);
    let said = scratch.deploy(&["setup", "-e", "production"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in ["without a login", "sudo loginctl enable-linger deploy"] {
        assert!(said.stdout.contains(words), "{said:?}");
    }
    host.sh("loginctl enable-linger deploy").expect_code(0);
    let said = scratch.deploy(&["setup", "-e", "production"]).expect_code(0);
    assert!(said.stdout.contains("nothing was to do"), "{said:?}");
}

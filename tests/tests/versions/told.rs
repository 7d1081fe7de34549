//! What services and commands are told when they are started: what belongs to the deployment that starts them, and to no other one.

use crate::shop::{commit, killed_at, shop, up};
use deploy_tests::process::Output;
use deploy_tests::running::Running;
use deploy_tests::scratch::Scratch;
use deploy_tests::wait::{self, PATIENCE};
use std::fs;

/// Has `web` wait in a hook at `prepare` for as long as there is a mark.
fn with_a_slow_hook(shop: &Scratch) {
    let root = shop.root().display().to_string();
    let manifest = fs::read_to_string(shop.path("deploy.toml")).expect("there is a manifest");
    let hook = format!(
        "[services.web.hooks.slow]\nat = \"prepare\"\ncommand = \"touch {root}/preparing; while [ -e {root}/hold ]; do sleep 0.05; done\"\n"
    );
    let before = "[environments.development.hosts]";
    shop.write(
        "deploy.toml",
        manifest.replace(before, &format!("{hook}{before}")),
    );
}

/// A deployment that is prepared, and then waits for its gates.
fn waits(shop: &Scratch, api: &str, web: &str) -> Output {
    fs::write(shop.root().join("hold"), "").expect("a mark can be made");
    let _before = fs::remove_file(shop.root().join("preparing"));
    commit(shop, api, web);
    let mut running: Running = shop.spawn(&["up"]);
    wait::until(PATIENCE, "the hook", || shop.root().join("preparing").exists());
    shop.deploy(&["freeze", "-e", "development", "--reason", "a test"])
        .expect_code(0);
    fs::remove_file(shop.root().join("hold")).expect("the mark is there");
    running.wait(PATIENCE).expect_code(11)
}

fn newest(shop: &Scratch) -> String {
    let history = shop.deploy(&["history", "--json"]).expect_code(0).json();
    let newest = history["deployments"][0]["deployment"].as_str();
    newest.expect("there is one").to_owned()
}

fn runs(shop: &Scratch, service: &str) -> String {
    fs::read_to_string(shop.root().join(format!("{service}-runs"))).unwrap_or_default()
}

/// Whatever is prepared and given up meanwhile, with the same content, has no part in it.
#[test]
fn what_waited_is_started_as_itself() {
    let shop = shop();
    with_a_slow_hook(&shop);
    up(&shop, "1", "1").expect_code(0);
    up(&shop, "2", "2").expect_code(0);
    waits(&shop, "1", "3");
    let head = shop.head();
    let waiting = newest(&shop);
    killed_at(&shop, "effect.judge.before:2", &["rollback"]);
    let rollback = newest(&shop);
    assert_ne!(rollback, waiting);
    shop.deploy(&["cancel", &rollback]).expect_code(0);
    shop.deploy(&["unfreeze", "-e", "development"]).expect_code(0);
    shop.deploy(&["resume", &waiting]).expect_code(0);
    assert_eq!(runs(&shop, "api"), head[..8]);
    shop.deploy(&["verify"]).expect_code(0);
}

/// What is stopped again is stopped with the variables that it was started with.
#[test]
fn what_waited_goes_back_with_what_it_was_told() {
    let shop = shop();
    with_a_slow_hook(&shop);
    waits(&shop, "1", "bad");
    shop.deploy(&["unfreeze", "-e", "development"]).expect_code(0);
    shop.deploy(&["resume"]).expect_code(3);
    // Going back to nothing ran the restart once more, which ended what it names by a variable.
    assert_eq!([runs(&shop, "api"), runs(&shop, "web")], ["", ""]);
}

/// The file that a service manager reads says what belongs to this release, also where its content came with an earlier one.
#[test]
fn the_file_for_the_service_is_of_the_release_that_starts_it() {
    let shop = shop();
    let manifest = fs::read_to_string(shop.path("deploy.toml")).expect("there is a manifest");
    let manifest = manifest.replace(
        "restart = \"sh",
        "restart = \". $DEPLOY_PATH/.deploy/env; export APP_VERSION; sh",
    );
    let manifest = manifest.replace(
        "[services.api.ssh]",
        "[services.api.vars]\nAPP_VERSION = \"${version}\"\n[services.api.ssh]",
    );
    let manifest = manifest.replace(
        "[services.web.ssh]",
        "[services.web.vars]\nAPP_VERSION = \"${version}\"\n[services.web.ssh]",
    );
    shop.write("deploy.toml", manifest);
    for (api, web) in [("1", "1"), ("2", "2"), ("1", "3")] {
        up(&shop, api, web).expect_code(0);
        assert_eq!(runs(&shop, "api"), shop.head()[..8]);
    }
    shop.deploy(&["verify"]).expect_code(0);
}

/// A tag that a commit gets later is not what its processes were started with.
#[test]
fn a_tag_that_comes_later_makes_nothing_sick() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    shop.git(&["tag", "1.0"]);
    shop.deploy(&["up"]).expect_code(0);
    shop.deploy(&["verify"]).expect_code(0);
    shop.deploy(&["status", "--refresh"]).expect_code(0);
    up(&shop, "1", "2").expect_code(0);
    shop.deploy(&["verify"]).expect_code(0);
}

/// Another process goes on with what was prepared, and was told no secret: no answer quotes one all the same.
#[test]
fn no_secret_is_quoted_by_who_takes_it_up() {
    const SECRET: &str = "hunter2-very-secret";
    let shop = shop();
    let root = shop.root().display().to_string();
    let manifest = fs::read_to_string(shop.path("deploy.toml")).expect("there is a manifest");
    let manifest = manifest
        .replace("[services.web]\n", "[services.web]\nsecrets = [\"TOKEN\"]\n")
        .replace(
            "[environments.development.hosts]",
            "[environments.development.secrets]\nTOKEN = { env = \"MY_TOKEN\" }\n[environments.development.hosts]",
        )
        .replace("! grep -qs bad", &format!("cat {root}/web-told; ! grep -qs bad"));
    shop.write("deploy.toml", manifest);
    shop.set("MY_TOKEN", SECRET);
    up(&shop, "1", "1").expect_code(0);
    commit(&shop, "1", "bad");
    killed_at(&shop, "effect.judge.before:2", &["up"]);
    let resumed = shop.deploy(&["resume"]).expect_code(3);
    assert!(resumed.stdout.contains("***"), "nothing was quoted: {resumed:?}");
    let audit = shop.deploy(&["audit", "--events"]);
    for said in [&resumed.stdout, &resumed.stderr, &audit.stdout] {
        assert!(!said.contains(SECRET), "{said}");
    }
}

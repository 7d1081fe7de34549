//! Going back on this machine: the reason that people read, the last look at everything, and what may hold it up.

use deploy_tests::pages::{self, serves};
use deploy_tests::scratch::Scratch;
use deploy_tests::{service, wait};
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

const MANIFEST: &str = r#"[project]
name = "shop"
[services.api.ssh]
source = "api/"
path = "live/api"
[services.api.health.ready]
command = "true"
healthy_for = "100ms"
[services.web]
needs = ["api"]
[services.web.ssh]
source = "web/"
path = "live/web"
[services.web.health.ready]
command = "true"
healthy_for = "100ms"
[environments.development.hosts]
here = { local = true }
"#;

/// A project with its first release committed.
fn shop(manifest: &str) -> Scratch {
    let shop = Scratch::new();
    shop.write("deploy.toml", manifest);
    shop.write(".gitignore", "live/\nhold\nsick\nother/\n");
    next(&shop, "v1");
    shop
}

fn next(shop: &Scratch, page: &str) {
    pages::next(shop, &format!("{page}\n"), page);
}

/// The services of the slices that are not where they should be.
fn strays(told: &serde_json::Value) -> Vec<&str> {
    let strays = told["strays"].as_array().expect("strays").iter();
    strays
        .map(|stray| stray["service"].as_str().expect("a name"))
        .collect()
}

#[test]
fn a_failed_restart_is_the_reason_with_its_status_and_its_output() {
    let restart = "path = \"live/web\"\nrestart = \"\"\"if grep -q v2 page; then echo boom $TOKEN >&2; exit 3; fi\"\"\"";
    let manifest = MANIFEST
        .replace("path = \"live/web\"", restart)
        .replace("needs = [\"api\"]", "needs = [\"api\"]\nsecrets = [\"TOKEN\"]")
        + "[environments.development.secrets]\nTOKEN = { env = \"TOKEN\" }\n";
    let shop = shop(&manifest);
    shop.set("TOKEN", "hunter2-and-more");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    next(&shop, "v2");
    let output = shop.deploy(&["up", "-e", "development", "--json"]).expect_code(3);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(told["outcome"], "rolled_back");
    let failure = &told["failure"];
    assert_eq!(
        failure["message"], "the restart command on here ended with status 3",
        "{failure:#}"
    );
    assert_eq!(failure["service"], "web");
    assert_eq!(failure["slice"], "here");
    assert_eq!(
        failure["log_tail"],
        serde_json::json!(["boom ***"]),
        "{failure:#}"
    );
    assert_eq!(serves(&shop, "web"), "v1\n");

    // The story says it where it happened, live and afterwards.
    let id = told["deployment"].as_str().unwrap();
    let story = shop.deploy(&["show", id]).expect_code(0).stdout;
    let line = story
        .lines()
        .find(|line| line.contains(" ! ") && line.contains("ended with status 3"));
    assert!(line.is_some_and(|line| line.contains("web")), "{story}");
    assert!(story.contains("boom ***"), "{story}");
    assert!(!story.contains("cut short"), "{story}");
    let events = shop.deploy(&["audit", "--events"]).expect_code(0).stdout;
    assert!(!events.contains("hunter2"), "no secret is in the journal");
}

#[test]
fn a_slice_that_somebody_else_changed_meanwhile_is_named_although_nobody_touched_it() {
    // Putting `api` back changes `web`, which the deployment never touched, after everything was surveyed.
    let restart = "path = \"live/api\"\nrestart = \"\"\"if grep -q v2 page; then touch ../../../../hold; \
                   elif test -e ../../../../hold; then ln -sfn ../../other ../../../web/current; fi\"\"\"";
    let manifest = MANIFEST
        .replace("path = \"live/api\"", restart)
        .replacen(
            "command = \"true\"",
            "command = \"! grep -q v2 live/api/current/page\"",
            1,
        )
        .replacen(
            "healthy_for = \"100ms\"",
            "healthy_for = \"100ms\"\ndeadline = \"1s\"\nfrom = \"here\"",
            1,
        );
    let shop = shop(&manifest);
    shop.write("other/page", "somebody's\n");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    next(&shop, "v2");
    let output = shop.deploy(&["up", "-e", "development", "--json"]).expect_code(4);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(told["outcome"], "needs_human", "{told:#}");
    assert_eq!(strays(&told), ["web"], "{told:#}");
    assert_eq!(told["services"][1]["outcome"], "needs_human", "{told:#}");
    assert_eq!(serves(&shop, "web"), "somebody's\n", "it is left alone");
    assert_eq!(serves(&shop, "api"), "v1\n");
}

#[test]
fn what_was_put_back_and_suffered_from_what_was_put_back_later_is_named() {
    // `web` is put back first, and is well; then putting `api` back makes it unwell.
    let restart = "path = \"live/api\"\nrestart = \"\"\"if grep -q v2 page; then touch ../../../../hold; \
                   elif test -e ../../../../hold; then touch ../../../../sick; fi\"\"\"";
    let (before, after) = MANIFEST.rsplit_once("command = \"true\"").unwrap();
    let probe = "command = \"! grep -q v2 live/web/current/page && ! test -e sick\"\nfrom = \"here\"\n\
                 interval = \"100ms\"\ndeadline = \"1s\"";
    let manifest = format!("{before}{probe}{after}").replace("path = \"live/api\"", restart);
    let shop = shop(&manifest);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    next(&shop, "v2");
    let output = shop.deploy(&["up", "-e", "development", "--json"]).expect_code(4);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(told["outcome"], "needs_human", "{told:#}");
    assert_eq!(strays(&told), ["web"], "{told:#}");
    let why = told["strays"][0]["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("ready: "), "{told:#}");
    assert_eq!(
        (serves(&shop, "api"), serves(&shop, "web")),
        ("v1\n".to_owned(), "v1\n".to_owned())
    );
}

#[test]
fn back_to_nothing_says_what_cannot_be_told() {
    let manifest = MANIFEST
        .replace("command = \"true\"", "command = \"false\"")
        .replace(
            "healthy_for = \"100ms\"",
            "healthy_for = \"100ms\"\ndeadline = \"1s\"",
        );
    let shop = shop(&manifest);
    let output = shop.deploy(&["up", "-e", "development", "--json"]).expect_code(3);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(told["outcome"], "rolled_back");
    let note = &told["services"][0]["slices"][0]["note"];
    assert_eq!(
        *note, "nothing runs, as the platform says; no probe can tell whether something still answers",
        "{told:#}"
    );
}

/// A project whose service is started and never stopped, asked whether `ready` is so.
fn never_stopped(release: &service::WebRelease, ready: &str, others: &str) -> Scratch {
    let port = deploy_tests::sshd::free_port("127.0.0.1");
    let program = service::program("deploy-test-web");
    let manifest = format!(
        r#"[project]
name = "shop"
[services.web.ssh]
source = "web/"
path = "live/web"
restart = "if test -e health.json; then PORT={port} setsid {} </dev/null >/dev/null 2>&1 & fi"
[services.web.health.ready]
http = "http://127.0.0.1:{port}/health"
{ready}
healthy_for = "0s"
interval = "100ms"
deadline = "2s"
{others}
[environments.development.hosts]
here = {{ local = true }}
"#,
        program.display()
    );
    let shop = Scratch::new();
    shop.write("deploy.toml", manifest);
    shop.write(".gitignore", "live/\n");
    shop.write_web("web", release);
    shop
}

#[test]
fn a_process_that_still_answers_is_not_nothing() {
    let ready = r#"expect = { json = { "/status" = ["UP"] } }
version = { json = "/version", equals = "1" }"#;
    let shop = never_stopped(&service::WebRelease::down("1"), ready, "");
    shop.write("web/health.json", "{\"status\": \"DOWN\", \"version\": \"1\"}");
    shop.commit("Down");
    let output = shop.deploy(&["up", "-e", "development", "--json"]).expect_code(4);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let why = told["strays"][0]["why"].as_str().unwrap_or_default();
    assert_eq!(
        why, "ready: version 1 still answers, where nothing ran before",
        "{told:#}"
    );
}

#[test]
fn a_process_that_is_still_well_is_not_nothing_though_no_probe_knows_its_version() {
    // The service is well; another one, which needs it, is not.
    let others = r#"[services.shop]
needs = ["web"]
[services.shop.ssh]
source = "shop/"
path = "live/shop"
[services.shop.health.ready]
command = "false"
interval = "100ms"
deadline = "300ms""#;
    let shop = never_stopped(&service::WebRelease::healthy("1"), "", others);
    shop.write("shop/page", "v1\n");
    shop.commit("A shop that is not well");
    let output = shop.deploy(&["up", "-e", "development", "--json"]).expect_code(4);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(told["outcome"], "needs_human", "{told:#}");
    assert_eq!(strays(&told), ["web"], "{told:#}");
    let why = told["strays"][0]["why"].as_str().unwrap_or_default();
    assert_eq!(
        why, "ready still answers well after going back to nothing: the old process may still run",
        "{told:#}"
    );
}

#[test]
fn a_secret_of_the_new_configuration_does_not_hold_it_up() {
    let shop = shop(MANIFEST);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    let probe = "http = \"http://127.0.0.1:9/${TOKEN}\"\nfrom = \"here\"";
    let (before, after) = MANIFEST.rsplit_once("command = \"true\"").unwrap();
    let manifest = format!("{before}{probe}{after}").replace(
        "path = \"live/web\"",
        "path = \"live/web\"\nrestart = \"while test -e ../../../../hold; do sleep 0.1; done\"",
    ) + "[environments.development.secrets]\nTOKEN = { env = \"TOKEN\" }\n";
    shop.write("deploy.toml", manifest);
    next(&shop, "v2");

    // Forward it is an error before anything changes.
    let refused = shop.deploy(&["up", "-e", "development"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("TOKEN"), "{refused:?}");
    assert_eq!(serves(&shop, "web"), "v1\n");
    let _over = shop.deploy(&["cancel"]);

    shop.set("TOKEN", "hunter2");
    shop.write("hold", "");
    let mut run = shop.spawn(&["up", "-e", "development"]);
    wait::until(wait::PATIENCE, "web to be switched", || {
        serves(&shop, "web") == "v2\n"
    });
    run.signal(Signal::TERM);
    run.wait(Duration::from_secs(10)).expect_code(9);
    fs::remove_file(shop.path("hold")).unwrap();

    shop.unset("TOKEN");
    shop.deploy(&["cancel"]);
    let history = shop.deploy(&["history", "-e", "development", "--json"]).stdout;
    let told: serde_json::Value = serde_json::from_str(&history).unwrap();
    assert_eq!(told["deployments"][0]["phase"], "rolled_back", "{told:#}");
    assert_eq!(
        (serves(&shop, "api"), serves(&shop, "web")),
        ("v1\n".to_owned(), "v1\n".to_owned())
    );
}

#[test]
fn a_rollback_of_one_service_is_refused_and_nothing_moves() {
    let shop = shop(MANIFEST);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    next(&shop, "v2");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    for command in [&["rollback"][..], &["plan", "--rollback"]] {
        let output = shop
            .deploy(&[command, &["-e", "development", "-s", "web"]].concat())
            .expect_code(2);
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(told.contains("a rollback brings back a whole release"), "{told}");
    }
    for command in ["up", "promote", "plan", "rollback"] {
        let output = shop
            .deploy(&[command, "-e", "development", "-s", "wbe"])
            .expect_code(2);
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(
            told.contains("there is no service wbe; there are api, web"),
            "{told}"
        );
        assert!(told.contains("did you mean -s web?"), "{told}");
    }
    assert_eq!(
        (serves(&shop, "api"), serves(&shop, "web")),
        ("v2\n".to_owned(), "v2\n".to_owned())
    );
}

#[test]
fn a_path_that_changed_is_refused_until_the_service_is_retired() {
    let shop = shop(MANIFEST);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    shop.write("deploy.toml", MANIFEST.replace("live/web", "live/moved"));
    next(&shop, "v2");
    for command in ["plan", "up"] {
        let output = shop.deploy(&[command, "-e", "development"]).expect_code(1);
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(told.contains("going back could not put"), "{told}");
        assert!(told.contains("deploy retire web -e development"), "{told}");
    }
    assert_eq!(serves(&shop, "web"), "v1\n");
    assert_eq!(serves(&shop, "api"), "v1\n", "nothing moved");
    assert!(!shop.path("live/moved").exists());
    shop.deploy(&["retire", "web", "-e", "development", "--confirm", "development"])
        .expect_code(0);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(serves(&shop, "moved"), "v2\n");
    // Back across the move: said, not refused.
    let plan = shop
        .deploy(&["plan", "--rollback", "-e", "development"])
        .expect_code(0);
    assert!(plan.stdout.contains("is left as it is"), "{}", plan.stdout);
    shop.deploy(&["rollback", "-e", "development", "--yes"])
        .expect_code(0);
    assert_eq!(serves(&shop, "web"), "v1\n");
}

#[test]
fn a_host_that_was_taken_out_is_said_by_the_plan() {
    let hosts = "[environments.development.hosts]\n1 = { local = true }\n2 = { local = true }\n";
    let (services, _) = MANIFEST.split_once("[environments").unwrap();
    let manifest = services.replace("live/", "live/${host}/") + hosts;
    let shop = shop(&manifest);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    shop.write("deploy.toml", manifest.replace("2 = { local = true }\n", ""));
    next(&shop, "v2");
    let told = shop.deploy(&["plan", "-e", "development"]).expect_code(0).stdout;
    let said = "web on 2 is not in this configuration any more: what runs there is left as it is";
    assert!(told.contains(said), "{told}");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(serves(&shop, "2/web"), "v1\n");
}

/// Four releases, of which a host keeps the last; and whatever was built here is gone.
fn pruned(manifest: &str) -> Scratch {
    let shop = shop(&manifest.replace("name = \"shop\"", "name = \"shop\"\nkeep = 1"));
    for version in ["v2", "v3", "v4"] {
        shop.deploy(&["up", "-e", "development"]).expect_code(0);
        next(&shop, version);
    }
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    fs::remove_dir_all(shop.path(".deploy/artifacts")).expect("it was built here");
    shop
}

#[test]
fn a_release_that_is_gone_everywhere_is_made_again_and_that_is_told() {
    let shop = pruned(MANIFEST);
    let told = shop
        .deploy(&["rollback", "-e", "development", "--to", "v1"])
        .expect_code(0);
    let note = "its artifact was neither there nor here: made again from ";
    assert_eq!(told.stdout.matches(note).count(), 2, "{told:?}");
    assert_eq!((&*serves(&shop, "web"), &*serves(&shop, "api")), ("v1\n", "v1\n"));
    let kept = shop.deploy(&["show", "--events"]).expect_code(0);
    assert!(kept.stdout.contains(note), "{kept:?}");
}

/// What comes out as something else than what was verified is not put in its place.
#[test]
fn what_is_built_to_something_else_is_not_what_was_verified() {
    let build = "[artifacts.api]\nbuild = \"mkdir out; cat api/page /proc/sys/kernel/random/uuid > out/page\"\noutput = \"out\"\n\
                 [services.api]\nartifact = \"api\"\n[services.api.ssh]\n";
    let shop = pruned(&MANIFEST.replace("[services.api.ssh]\nsource = \"api/\"\n", build));
    let told = shop
        .deploy(&["rollback", "-e", "development", "--to", "v1"])
        .expect_code(4);
    assert!(
        told.stdout
            .contains("builds to something else than what was verified"),
        "{told:?}"
    );
    assert!(serves(&shop, "api").starts_with("v4\n"));
}

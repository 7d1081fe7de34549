//! A service that the manifest loses while a deployment that moves it runs, was left, or waits: that deployment goes by the configuration
//! it was planned with, to its end, and what comes after it drops the service.

use deploy_tests::scratch::Scratch;
use deploy_tests::wait::PATIENCE;
use insta::assert_snapshot;
use regex::Regex;

use crate::world::{
    MANIFEST, half_way, left_half_way, look, next, recovers, serves, shop, status, up, without_web,
};

/// Commits the manifest without web.
fn drop_web(shop: &Scratch, manifest: &str) {
    shop.write("deploy.toml", without_web(manifest));
    shop.commit("Without web");
}

/// What a command says, however long ago it was looked, and whatever whoever drives it was heard of last.
#[track_caller]
fn told(shop: &Scratch, arguments: &[&str], code: i32) -> String {
    let said = look(shop, &shop.deploy(arguments).expect_code(code));
    let words = [
        (r"looked at (just now|\d+s ago)", "looked at [age]"),
        (
            r"now at: v2 → development: [a-z ]+",
            "now at: v2 → development: [step] ",
        ),
        (r"(?m)^.* has held .*\n", ""),
        (r"(uid \d+|\S+)@\S+ \(pid", "[who] (pid"),
    ];
    words.iter().fold(said, |said, (pattern, name)| {
        Regex::new(pattern)
            .expect("the pattern is one")
            .replace_all(&said, *name)
            .into_owned()
    })
}

fn both(shop: &Scratch) -> [String; 2] {
    [serves(shop, "api"), serves(shop, "web")]
}

/// Once nothing is open the next deployment takes web away, and one more brings it back.
#[track_caller]
fn is_dropped_next(shop: &Scratch, manifest: &str) {
    next(shop, "without web");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(both(shop), ["without web\n", ""]);
    shop.write("deploy.toml", manifest);
    recovers(shop);
}

#[test]
fn while_it_is_driven() {
    let shop = up(MANIFEST);
    let mut run = half_way(&shop);
    drop_web(&shop, MANIFEST);
    assert_snapshot!(
        "up without a service that is being deployed",
        told(&shop, &["up", "-e", "development", "--no-wait"], 5)
    );
    assert_snapshot!("status of it", told(&shop, &["status"], 0));
    assert_snapshot!("resume of it", told(&shop, &["resume", "--no-wait"], 5));
    std::fs::remove_file(shop.path("hold")).unwrap();
    run.wait(PATIENCE).expect_code(0);
    assert_eq!(both(&shop), ["v2\n", "v2\n"]);
    is_dropped_next(&shop, MANIFEST);
}

#[test]
fn after_it_was_left() {
    let shop = up(MANIFEST);
    left_half_way(&shop);
    drop_web(&shop, MANIFEST);
    assert_snapshot!(
        "up without a service that was left half-way",
        told(&shop, &["up", "-e", "development"], 9)
    );
    assert_snapshot!("status of what was left", told(&shop, &["status"], 0));
    let ended = shop.deploy(&["resume"]);
    let wanted = match ended.code {
        Some(0) => "v2\n",
        Some(3) => "v1\n",
        _ => panic!("{ended:?}"),
    };
    assert_eq!(both(&shop), [wanted, wanted], "{ended:?}");
    shop.deploy(&["unfreeze", "development"]);
    is_dropped_next(&shop, MANIFEST);
}

#[test]
fn while_it_waits() {
    let gate = "[environments.development]\nchecklist = { told = \"Everybody is told\" }\n[environments.development.hosts]";
    let manifest = MANIFEST.replace("[environments.development.hosts]", gate);
    let shop = shop(&manifest);
    let waits = || {
        let output = shop
            .deploy(&["up", "-e", "development", "--json"])
            .expect_code(11);
        output.json()["deployment"].as_str().unwrap().to_owned()
    };
    let goes_on = |id: &str, code: i32| {
        shop.deploy(&["attest", id, "told"]).expect_code(0);
        shop.deploy(&["resume", id]).expect_code(code)
    };
    let first = waits();
    drop_web(&shop, &manifest);
    assert_snapshot!("status of what waits", told(&shop, &["status"], 0));
    assert_snapshot!("resume of what waits", told(&shop, &["resume", &first], 11));
    // It brings what was planned and attested: both of them.
    goes_on(&first, 0);
    assert_eq!(both(&shop), ["v1\n", "v1\n"]);

    // What waits, and is told to go on, is the newer one.
    shop.write("deploy.toml", &manifest);
    next(&shop, "v2");
    let second = waits();
    drop_web(&shop, &manifest);
    assert_snapshot!(
        "up without a service that waits",
        told(&shop, &["up", "-e", "development"], 11)
    );
    let newest = status(&shop)["deployment"].as_str().unwrap().to_owned();
    assert_ne!(newest, second);
    goes_on(&newest, 0);
    assert_eq!(both(&shop), ["v2\n", ""]);
    let shown = shop.deploy(&["show", &second]).expect_code(0);
    assert!(shown.stdout.contains("superseded"), "{shown:?}");
    shop.deploy(&["audit", "verify"]).expect_code(0);
}

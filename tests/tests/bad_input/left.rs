//! What `status` says of a deployment that somebody drives, that was left, and that needs a human: each time the command that
//! gets out, and that command does.

use std::os::unix::fs::symlink;

use deploy_tests::wait::PATIENCE;
use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::Value;

use crate::world::{MANIFEST, half_way, left_half_way, look, recovers, serves, shop, status, up};

#[test]
fn driven_and_then_left() {
    let shop = up(MANIFEST);
    let mut run = half_way(&shop);
    let next_of = |verb: &str| {
        let status = status(&shop);
        let next = status["next"].as_str().unwrap_or_default().to_owned();
        let id = status["deployment"].as_str().unwrap();
        assert_eq!(next, format!("deploy {verb} {}", &id[..10]), "{status}");
        status
    };
    let driven = next_of("watch");
    let pid = format!("(pid {})", run.pid());
    assert!(driven["driver"].as_str().unwrap().contains(&pid), "{driven}");
    run.signal(Signal::KILL);
    run.wait(PATIENCE);
    std::fs::remove_file(shop.path("hold")).unwrap();
    let left = next_of("resume");
    assert_eq!(left["driver"], Value::Null);
    assert_snapshot!("left half-way", look(&shop, &shop.deploy(&["status"])));
    let next = left["next"].as_str().unwrap().to_owned();
    let ended = shop.deploy(&next.split(' ').skip(1).collect::<Vec<_>>());
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    recovers(&shop);
}

#[test]
fn looking_where_nothing_was_deployed() {
    let shop = shop(MANIFEST);
    shop.write("live/web/page", "by hand\n");
    let looked = shop.deploy(&["status", "--refresh"]).expect_code(0);
    assert_snapshot!("looked at before the first deployment", look(&shop, &looked));
    assert!(!shop.path(".deploy").exists(), "looking writes nothing");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(serves(&shop, "api"), "v1\n");
    // What lay there by hand was taken over as it was: its path is what is switched.
    assert_eq!(
        std::fs::read_to_string(shop.path("live/web/page")).unwrap(),
        "v1\n"
    );
}

#[test]
fn what_needs_a_human_names_the_way_out() {
    let shop = up(MANIFEST);
    left_half_way(&shop);
    // Somebody puts something of their own there.
    shop.write("live/mine/page", "mine\n");
    std::fs::remove_file(shop.path("live/web/current")).unwrap();
    symlink("../mine", shop.path("live/web/current")).unwrap();
    shop.deploy(&["resume"]).expect_code(4);
    let asked = status(&shop);
    assert_eq!(asked["state"], "needs_human", "{asked}");
    let looked = shop.deploy(&["status", "--refresh"]).expect_code(0);
    assert_snapshot!("needs a human", look(&shop, &looked));
    let next = asked["next"].as_str().unwrap().to_owned();
    shop.deploy(&next.split(' ').skip(1).collect::<Vec<_>>())
        .expect_code(0);
    assert_eq!(
        (serves(&shop, "api"), serves(&shop, "web")),
        ("v1\n".into(), "v1\n".into())
    );
    assert_eq!(status(&shop)["state"], "steady");
}

/// Content that comes again with a later release, and a service that a release does not change, are no drift.
#[test]
fn what_went_back_is_where_it_was() {
    let shop = shop(MANIFEST);
    let page = shop.path("live/web/current/page").display().to_string();
    let looks = format!("command = \"! grep -q bad {page}\"\ndeadline = \"2s\"");
    let web = MANIFEST.split("[services.web.health.ready]").nth(1).unwrap();
    let looked = web.replacen("command = \"true\"", &looks, 1);
    shop.write("deploy.toml", MANIFEST.replace(web, &looked));
    shop.commit("Look at the page");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    let all_is_well = |release: &str| {
        for flags in [&["status", "--json"][..], &["status", "--json", "--refresh"]] {
            let output = shop.deploy(flags).expect_code(0);
            let all: Value = serde_json::from_str(&output.stdout).unwrap();
            for service in all["environments"][0]["services"].as_array().unwrap() {
                assert_eq!(
                    (service["release"].as_str(), service["drift"].as_str()),
                    (Some(release), Some("none")),
                    "{flags:?} {service}"
                );
            }
        }
    };
    all_is_well("v1");
    // The same web with another api, then a web that is not well.
    shop.write("api/page", "v2\n");
    shop.commit("Another api");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    all_is_well("v2");
    shop.write("web/page", "bad\n");
    shop.commit("Not well");
    shop.deploy(&["up", "-e", "development"]).expect_code(3);
    all_is_well("v2");
}

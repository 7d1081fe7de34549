//! A manifest that cannot be read is in the way of nothing but what brings something new.

use insta::assert_snapshot;
use serde_json::Value;

use crate::world::{MANIFEST, left_half_way, look, next, serves, shop, up};

#[test]
fn what_was_left_is_gone_on_with_and_gone_back_from() {
    let shop = up(MANIFEST);
    left_half_way(&shop);
    shop.write("deploy.toml", MANIFEST.replace("[services.web]", "[services.web"));

    assert_snapshot!(
        "status by what was committed",
        look(&shop, &shop.deploy(&["status"]).expect_code(0))
    );
    for looks in [&["history"][..], &["releases"], &["show"], &["audit"]] {
        shop.deploy(looks).expect_code(0);
    }
    let ended = shop.deploy(&["resume"]);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    let status: Value = shop.deploy(&["status", "--json"]).expect_code(0).json();
    assert_eq!(status["environments"][0]["deployment"], Value::Null, "{status:#}");

    assert_snapshot!(
        "up with a manifest that cannot be read",
        look(&shop, &shop.deploy(&["up", "-e", "development"]).expect_code(2))
    );
    if serves(&shop, "web") == "v1\n" {
        shop.write("deploy.toml", MANIFEST);
        shop.deploy(&["unfreeze", "development"]);
        next(&shop, "v3");
        shop.deploy(&["up", "-e", "development"]).expect_code(0);
        shop.write("deploy.toml", "[");
    }
    shop.deploy(&["rollback", "-e", "development"]).expect_code(0);
    assert_eq!(serves(&shop, "web"), "v1\n");
}

#[test]
fn where_nothing_readable_was_committed_that_is_the_error() {
    let shop = shop("[project\n");
    let refused = shop.deploy(&["status"]).expect_code(2);
    assert!(refused.stderr.contains("deploy.toml:1"), "{refused:?}");
}

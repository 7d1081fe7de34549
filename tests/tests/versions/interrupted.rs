//! Kills and reverts that leave the journal behind what happened: as what a slice was started is learned from what is seen there.

use crate::shop::{commit, killed_at, serves, shop, up};
use deploy_tests::scratch::Scratch;
use deploy_tests::wait;
use std::fs;
use std::time::Duration;

fn mark(shop: &Scratch, name: &str) {
    fs::write(shop.root().join(name), "").expect("a mark can be made");
}

fn unmark(shop: &Scratch, name: &str) {
    fs::remove_file(shop.root().join(name)).expect("the mark is there");
}

/// The restart ended well and replaced nothing: what answers is not what the symlink says, and nobody calls that well.
#[test]
fn a_process_that_was_not_replaced_is_never_called_well() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    up(&shop, "2", "2").expect_code(0);
    mark(&shop, "stuck");
    killed_at(&shop, "ssh.activate.after", &["rollback"]);
    shop.deploy(&["resume"]).expect_code(4);
    unmark(&shop, "stuck");
    let web = || fs::read_to_string(shop.root().join("web-runs")).unwrap_or_default();
    let old = web();
    let again = shop.deploy(&["rollback", "-e", "development", "--to", "v1"]);
    if web() == old && serves(&shop)[1] == "1" {
        assert_eq!(again.code, Some(4), "it answers as v2: {again:?}");
        shop.deploy(&["verify"]).expect_code(1);
    }
}

/// What was only sick is well by the same command as soon as it is cured.
#[test]
fn the_way_back_that_was_cut_short_is_gone_once_the_service_is_cured() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    up(&shop, "2", "2").expect_code(0);
    killed_at(&shop, "ssh.activate.after", &["rollback"]);
    mark(&shop, "sick");
    shop.deploy(&["resume"]).expect_code(4);
    unmark(&shop, "sick");
    shop.deploy(&["rollback", "-e", "development", "--to", "v1"])
        .expect_code(0);
    assert_eq!(serves(&shop), ["1", "1"]);
    shop.deploy(&["verify"]).expect_code(0);
    up(&shop, "1", "3").expect_code(0);
}

/// Nobody waits for the deployment any more when its host goes back by itself.
#[test]
fn a_revert_after_the_end_is_noticed() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    commit(&shop, "2", "2");
    shop.set("DEPLOY_REVERT_AFTER", "3s");
    killed_at(&shop, "effect.verify.after", &["up"]);
    shop.deploy(&["cancel", "--force", "--yes"]);
    wait::until(Duration::from_secs(30), "the hosts to go back", || {
        serves(&shop) == ["1", "1"] && !shop.path("live/api/.deploy/armed").exists()
    });
    shop.unset("DEPLOY_REVERT_AFTER");
    let looked = shop
        .deploy(&["status", "--refresh", "--json"])
        .expect_code(0)
        .json();
    for service in looked["environments"][0]["services"]
        .as_array()
        .expect("services")
    {
        assert_eq!(service["health"], "healthy", "{looked:#}");
    }
    up(&shop, "1", "3").expect_code(0);
    assert_eq!(serves(&shop), ["1", "3"]);
}

/// Twice in a row, which nobody looked at in between: what serves is what was started before both.
#[test]
fn two_reverts_after_their_ends_are_noticed() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    shop.set("DEPLOY_REVERT_AFTER", "3s");
    for page in ["2", "3"] {
        commit(&shop, page, page);
        killed_at(&shop, "effect.verify.after", &["up"]);
        shop.deploy(&["cancel", "--force", "--yes"]);
        wait::until(Duration::from_secs(30), "the hosts to go back", || {
            serves(&shop) == ["1", "1"] && !shop.path("live/api/.deploy/armed").exists()
        });
    }
    shop.unset("DEPLOY_REVERT_AFTER");
    up(&shop, "1", "4").expect_code(0);
    assert_eq!(serves(&shop), ["1", "4"]);
    shop.deploy(&["verify"]).expect_code(0);
}

/// What was live before is back, and it is not asked for a version that it never had.
#[test]
fn an_adopted_folder_that_is_back_is_as_well_as_it_was() {
    let shop = shop();
    for service in ["api", "web"] {
        shop.write(format!("live/{service}/page"), "by hand");
    }
    up(&shop, "1", "bad").expect_code(3);
    for service in ["api", "web"] {
        fs::write(shop.root().join(format!("{service}-runs")), "by hand").expect("it runs again");
    }
    let looked = shop.deploy(&["status", "--refresh"]).expect_code(0);
    assert!(!looked.stdout.contains("the new release"), "{looked:?}");
}

//! As which release a service answers: with the facts that it was started with, whatever is released beside it later.

mod interrupted;
mod shop;
mod told;

use shop::{commit, killed_at, serves, shop, up};
use std::fs;

/// Nobody restarts what does not change: it goes on as what it was started as, and that is right.
#[test]
fn a_service_that_a_release_leaves_as_it_is_answers_as_before() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    for web in ["2", "3"] {
        let said = up(&shop, "1", web).expect_code(0);
        assert!(!said.stdout.contains("yanked"), "{said:?}");
        shop.deploy(&["verify"]).expect_code(0);
        let looked = shop
            .deploy(&["status", "--refresh", "--json"])
            .expect_code(0)
            .json();
        for service in looked["environments"][0]["services"]
            .as_array()
            .expect("services")
        {
            assert_eq!(service["health"], "healthy", "{looked:#}");
            assert_eq!(service["drift"], "none", "{looked:#}");
        }
    }
    // Another environment's releases, or going back, find it as it is.
    up(&shop, "1", "bad").expect_code(3);
    assert_eq!(serves(&shop), ["1", "3"]);
    shop.deploy(&["verify"]).expect_code(0);
    up(&shop, "2", "3").expect_code(0);
    shop.deploy(&["rollback", "--to", "v2"]).expect_code(0);
    assert_eq!(serves(&shop), ["1", "2"]);
    shop.deploy(&["verify"]).expect_code(0);
}

/// What has the content of an older release is put back as what it was started as last.
#[test]
fn what_is_put_back_answers_as_it_was_started_last() {
    let shop = shop();
    for (api, web) in [("1", "1"), ("2", "2"), ("1", "3")] {
        up(&shop, api, web).expect_code(0);
    }
    let said = up(&shop, "4", "bad").expect_code(3);
    assert!(
        said.stdout.contains("rolled back: v3 serves everywhere"),
        "{said:?}"
    );
    assert_eq!(serves(&shop), ["1", "3"]);
    shop.deploy(&["verify"]).expect_code(0);
}

/// The switch happened, and its event was never written: whoever goes on knows as what it was started all the same.
#[test]
fn a_kill_between_the_switch_and_its_event_changes_nothing() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    commit(&shop, "2", "2");
    killed_at(&shop, "ssh.activate.after", &["up"]);
    shop.deploy(&["resume"]).expect_code(0);
    shop.deploy(&["verify"]).expect_code(0);
    up(&shop, "2", "3").expect_code(0);
    up(&shop, "2", "bad").expect_code(3);
    assert_eq!(serves(&shop), ["2", "3"]);
    shop.deploy(&["verify"]).expect_code(0);
}

/// Going back failed, and what is there is told as what it is: by the facts of the release that it was started as.
#[test]
fn what_needs_a_human_is_looked_at_as_what_runs() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    // Once web was started as that, nothing is well until somebody helps.
    up(&shop, "2", "sick").expect_code(4);
    fs::remove_file(shop.root().join("sick")).expect("somebody helps");
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
}

#[test]
fn looking_before_anything_is_known_is_no_error() {
    let shop = shop();
    shop.write("live/api/page", "by hand");
    shop.write("api/page", "1");
    shop.write("web/page", "1");
    shop.commit("Begin");
    let looked = shop.deploy(&["status", "--refresh"]).expect_code(0);
    assert!(!looked.stdout.contains("unhealthy"), "{looked:?}");
}

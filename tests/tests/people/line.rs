//! The line: stopped and opened by hand, releases that are barred, and deployments that are paused.

use deploy_tests::wait::{PATIENCE, until};

use crate::world::{ended, held_up, next, page, serves, told, up};

#[test]
fn a_frozen_environment_takes_nothing_forward() {
    let shop = up("");
    told(&shop, &["freeze", "-e", "development", "--reason", "the fair"], 0);
    let id = held_up(&shop, &["up"], 11, "freeze");
    let said = shop.deploy(&["show", &id]).expect_code(0).stdout;
    assert!(said.contains("the fair"), "{said}");
    assert_eq!(serves(&shop), "v1");
    told(&shop, &["unfreeze", "-e", "development"], 0);
    ended(&shop, &["resume", &id], 0, "succeeded");
    assert_eq!(serves(&shop), "v2");
    // It holds up no way back.
    told(&shop, &["freeze", "--reason", "the fair"], 0);
    ended(&shop, &["rollback"], 0, "succeeded");
    assert_eq!(serves(&shop), "v1");
}

#[test]
fn a_barred_release_goes_nowhere_until_that_is_lifted() {
    let shop = up("");
    told(&shop, &["up"], 0);
    ended(&shop, &["rollback"], 0, "succeeded");
    assert_eq!(serves(&shop), "v1");
    told(&shop, &["yank", "v2", "--reason", "loses baskets"], 0);
    let id = held_up(&shop, &["up"], 6, "yank");
    let said = shop.deploy(&["show", &id]).expect_code(0).stdout;
    assert!(said.contains("loses baskets"), "{said}");
    assert_eq!(serves(&shop), "v1");
    told(&shop, &["yank", "v2", "--undo"], 0);
    ended(&shop, &["up"], 0, "succeeded");
    assert_eq!(serves(&shop), "v2");
    // Nobody goes back to one that is barred by himself.
    told(&shop, &["yank", "v1", "--reason", "leaks"], 0);
    shop.deploy(&["rollback"]).expect_code(1);
    assert_eq!(serves(&shop), "v2");
}

#[test]
fn a_pause_comes_before_the_next_slice() {
    let shop = up("");
    shop.write("hold-api", "");
    let mut run = shop.spawn(&["up", "--json"]);
    until(PATIENCE, "api to be switched", || page(&shop, "api") == "v2");
    told(&shop, &["pause"], 0);
    std::fs::remove_file(shop.path("hold-api")).expect("it is there");
    run.until_says(PATIENCE, "api     here     v2 serves");
    let status = told(&shop, &["status"], 0);
    assert_eq!(status["environments"][0]["state"], "paused", "{status:#}");
    assert_eq!(
        (page(&shop, "api").as_str(), page(&shop, "web").as_str()),
        ("v2", "v1")
    );
    // Whoever holds it goes on when it is told to.
    ended(&shop, &["resume"], 0, "succeeded");
    run.wait(PATIENCE).expect_code(0);
    assert_eq!(serves(&shop), "v2");
    let events = shop
        .deploy(&["audit", "export", "--events"])
        .expect_code(0)
        .events();
    let asked: Vec<_> = events
        .iter()
        .filter(|row| row["type"] == "ask_accepted")
        .map(|row| row["ask"].as_str())
        .collect();
    assert_eq!(asked, [Some("pause"), Some("continue")]);
    next(&shop, "v3");
    ended(&shop, &["up"], 0, "succeeded");
}

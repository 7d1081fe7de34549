//! What has to be known before a release goes on: checks, items of a checklist, branches, soak, and the calendar.

use crate::world::{ended, held_up, next, rule, serves, shop, told, up};

#[test]
fn a_check_is_attested_from_outside() {
    let shop = up("[environments.development]\nchecks = [\"tests\"]\n");
    let id = held_up(&shop, &["up"], 11, "check");
    shop.deploy(&["attest", "tests", "--commit", "HEAD", "--note", "41 of 41"])
        .expect_code(0);
    ended(&shop, &["resume", &id], 0, "succeeded");
    assert_eq!(serves(&shop), "v2");
    // What did not pass refuses; waiting opens nothing.
    next(&shop, "v3");
    shop.deploy(&["attest", "tests", "--failed"]).expect_code(0);
    held_up(&shop, &["up"], 6, "check");
    assert_eq!(serves(&shop), "v2");
    let unknown = shop.deploy(&["attest", "test"]).expect_code(2);
    assert!(unknown.stderr.contains("tests"), "{unknown:?}");
}

#[test]
fn an_item_of_a_checklist_is_ticked() {
    let shop = up("[environments.development.checklist]\nrollback-plan = \"Rollback plan ready\"\n");
    let id = held_up(&shop, &["up"], 11, "checklist");
    let ticked = told(&shop, &["attest", &id, "rollback-plan"], 0);
    assert!(ticked.to_string().contains("rollback-plan"), "{ticked:#}");
    ended(&shop, &["resume", &id], 0, "succeeded");
    assert_eq!(serves(&shop), "v2");
}

#[test]
fn a_commit_has_to_be_in_an_allowed_branch() {
    let shop = up("[environments.development]\nbranches = [\"release\"]\n");
    held_up(&shop, &["up"], 6, "branch");
    assert_eq!(serves(&shop), "v1");
    shop.git(&["branch", "release"]);
    ended(&shop, &["up"], 0, "succeeded");
    assert_eq!(serves(&shop), "v2");
}

#[test]
fn what_was_not_healthy_for_long_enough_before_waits() {
    let shop = up("");
    rule(
        &shop,
        "[environments.production]\nafter = [\"development\"]\nsoak = \"1h\"\n\
         [environments.production.hosts]\nhere = { local = true }\n\
         [environments.production.services.api.ssh]\npath = \"there/api\"\n\
         [environments.production.services.web.ssh]\npath = \"there/web\"\n",
    );
    shop.commit("Production");
    told(&shop, &["up", "-e", "development"], 0);
    held_up(&shop, &["promote", "-e", "production"], 11, "soak");
    assert!(!shop.path("there/web/current").exists());
}

#[test]
fn the_calendar_opens_by_itself() {
    let rules = "[environments.development.freeze.decade]\nfrom = \"2020-01-01T00:00:00Z\"\nto = \"2099-01-01T00:00:00Z\"\n";
    let shop = up(rules);
    let id = held_up(&shop, &["up"], 11, "freeze");
    assert_eq!(serves(&shop), "v1");
    for (at, code) in [
        (None, 11),
        (Some("2098-12-31T23:59:59Z"), 11),
        (Some("2099-01-01T00:00:00Z"), 0),
    ] {
        let mut asked = vec!["gates", "-e", "development"];
        asked.extend(at.into_iter().flat_map(|at| ["--at", at]));
        let gates = told(&shop, &asked, code);
        let unmet = gates["unmet"].as_array().map(Vec::len);
        assert_eq!(unmet, Some(usize::from(code == 11)), "{gates:#}");
        if code == 11 {
            assert_eq!(
                gates["unmet"][0]["earliest"], "2099-01-01T00:00:00.000Z",
                "{gates:#}"
            );
        }
    }
    // Going back and giving up are held up by no calendar.
    shop.deploy(&["cancel", &id]).expect_code(0);
    rule(&shop, "");
    shop.commit("No freeze");
    ended(&shop, &["up"], 0, "succeeded");
}

#[test]
fn gates_that_hold_are_named_too() {
    let shop = shop("[environments.development]\nchecks = [\"tests\"]\nbranches = [\"main\"]\n");
    held_up(&shop, &["up"], 11, "check");
    let gates = told(&shop, &["gates", "-e", "development"], 11);
    let met = gates["met"].to_string();
    assert!(met.contains("main"), "{gates:#}");
}

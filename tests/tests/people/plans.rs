//! A plan that was looked at is what is done, or nothing is.

use std::fs;

use crate::world::{ended, next, serves, told, up};

#[test]
fn a_plan_that_was_written_is_applied() {
    let shop = up("");
    let plan = told(&shop, &["plan", "--out", "next.plan", "--detailed-exitcode"], 10);
    assert_eq!(plan["schema"], "deploy.plan/1", "{plan:#}");
    assert_eq!(plan["changes"], true, "{plan:#}");
    assert_eq!(serves(&shop), "v1", "a plan changes nothing");
    let result = ended(&shop, &["apply", "next.plan"], 0, "succeeded");
    assert_eq!(result["plan"], plan["plan"]);
    assert_eq!(serves(&shop), "v2");
    let again = told(&shop, &["plan", "--detailed-exitcode"], 0);
    assert_eq!(again["changes"], false, "{again:#}");
}

#[test]
fn a_plan_is_not_applied_to_anything_else() {
    let shop = up("");
    told(&shop, &["up"], 0);
    next(&shop, "v3");
    told(&shop, &["plan", "--out", "next.plan"], 0);
    ended(&shop, &["rollback"], 0, "succeeded");
    let refused = shop.deploy(&["apply", "next.plan"]).expect_code(1);
    assert!(
        refused.stderr.contains("something changed since it was made"),
        "{refused:?}"
    );
    assert_eq!(serves(&shop), "v1");
}

#[test]
fn an_edited_plan_is_none() {
    let shop = up("");
    told(&shop, &["plan", "--out", "next.plan"], 0);
    let text = fs::read_to_string(shop.path("next.plan")).expect("it was written");
    let edited = text.replace("\"web\"", "\"cart\"");
    assert_ne!(text, edited);
    shop.write("next.plan", edited);
    let refused = shop.deploy(&["apply", "next.plan"]).expect_code(2);
    assert!(
        refused.stderr.contains("is not a plan as deploy wrote it"),
        "{refused:?}"
    );
    assert_eq!(serves(&shop), "v1");
}

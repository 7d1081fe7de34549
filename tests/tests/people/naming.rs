//! Which release is meant: a number, a version, or the beginning of a digest or a commit; and a branch that is not there.

use crate::world::{next, serves, shop, told};

#[test]
fn a_rollback_goes_to_the_release_that_is_named() {
    let shop = shop("");
    for page in ["v1", "v2", "v3", "v4", "v5"] {
        if page != "v1" {
            next(&shop, page);
        }
        if page == "v3" {
            shop.git(&["tag", "3.0.0"]);
        }
        told(&shop, &["up"], 0);
        assert_eq!(serves(&shop), page);
    }
    let known = told(&shop, &["releases"], 0);
    let of = |number: &str, field: &str| {
        let mut releases = known["releases"].as_array().expect("a list").iter();
        let found = releases.find(|release| release["release"] == number);
        let text = found.and_then(|release| release.pointer(field)?.as_str());
        text.unwrap_or_else(|| panic!("{number} has no {field}: {known:#}"))
            .to_owned()
    };
    for (name, page) in [
        ("v4", "v4"),
        ("3.0.0", "v3"),
        (&of("v2", "/digest")[..12], "v2"),
        (&of("v1", "/commits/0")[..7], "v1"),
    ] {
        let went = told(&shop, &["rollback", "--to", name], 0);
        assert_eq!(serves(&shop), page, "{name}: {went:#}");
    }
    let unknown = shop.deploy(&["rollback", "--to", "9.9.9"]).expect_code(2);
    assert!(unknown.stderr.contains("no release is `9.9.9`"), "{unknown:?}");
    assert_eq!(serves(&shop), "v1");
}

#[test]
fn what_a_branch_would_need_is_said_and_a_branch_that_is_not_there_too() {
    let shop = shop("[environments.development]\nbranches = [\"main\"]\n");
    let check = |branch: &str| shop.deploy(&["check", "-e", "development", "--branch", branch]);
    let known = check("main").expect_code(0);
    assert!(known.stdout.contains("is valid"), "{known:?}");

    shop.git(&["checkout", "-q", "-b", "feature/x"]);
    next(&shop, "other");
    let unmerged = check("feature/x").expect_code(6);
    assert!(unmerged.stdout.contains("main"), "{unmerged:?}");

    let missing = check("feature/y").expect_code(2);
    assert!(
        missing.stderr.contains("`feature/y` is not in this checkout"),
        "{missing:?}"
    );
    assert!(
        missing.stderr.contains("git fetch origin feature/y"),
        "{missing:?}"
    );
}

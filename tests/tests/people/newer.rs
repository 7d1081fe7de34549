//! A newer deployment and an older one that waits; and what a caller may count as done.

use crate::world::{APPROVAL, BOB, asks, ended, held_up, next, serves, told, up};

#[test]
fn a_newer_one_takes_the_place_of_one_that_waits() {
    let shop = up(APPROVAL);
    let older = held_up(&shop, &["up"], 11, "approval");
    next(&shop, "v3");
    let newer = held_up(&shop, &["up"], 11, "approval");
    assert_ne!(older, newer);
    for (command, flags, code) in [
        ("resume", &[][..], 12),
        ("watch", &[], 12),
        ("resume", &["--accept", "superseded"], 0),
        ("resume", &["--accept", "waiting"], 12),
    ] {
        let result = told(&shop, &[&[command, &older], flags].concat(), code);
        assert_eq!(result["outcome"], "superseded", "{command} {flags:?}: {result:#}");
        assert_eq!(result["code"], code, "{result:#}");
        assert_eq!(result["changed"], false, "{result:#}");
    }
    // Too late for a yes; the newer one is the only one that waits.
    asks(&shop, BOB);
    shop.deploy(&["approve", &older]).expect_code(1);
    shop.deploy(&["approve"]).expect_code(0);
    ended(&shop, &["resume"], 0, "succeeded");
    assert_eq!(serves(&shop), "v3");
}

#[test]
fn waiting_counts_as_done_where_that_is_accepted() {
    let shop = up(APPROVAL);
    for (accept, code) in [("waiting", 0), ("waiting,superseded", 0), ("superseded", 11)] {
        next(&shop, accept);
        let result = told(&shop, &["up", "--accept", accept], code);
        assert_eq!(
            result["outcome"], "waiting",
            "what it is does not change: {result:#}"
        );
        assert_eq!(result["code"], code, "as the process exits: {result:#}");
    }
    assert_eq!(serves(&shop), "v1");
}

//! Approvals and rejections: who may, what they bind to, and what voids them.

use crate::world::{ALICE, APPROVAL, BOB, asks, ended, held_up, next, rule, serves, shop, told, up};

#[test]
fn an_approval_lets_a_waiting_deployment_go_on() {
    let shop = shop(APPROVAL);
    let id = held_up(&shop, &["up"], 11, "approval");
    let waits = told(&shop, &["show", &id], 0);
    assert!(waits.to_string().contains("waiting"), "{waits:#}");

    // Who asked says yes: recorded, and it does not count.
    shop.deploy(&["approve", &id]).expect_code(7);
    assert_eq!(held_up(&shop, &["resume"], 11, "approval"), id);

    // Approving runs nothing.
    asks(&shop, BOB);
    shop.deploy(&["approve", "--reason", "looked at it"])
        .expect_code(0);
    assert_eq!(serves(&shop), "");
    asks(&shop, ALICE);
    let result = ended(&shop, &["resume", &id], 0, "succeeded");
    assert_eq!(result["deployment"], *id);
    assert_eq!(result["changed"], true);
    assert_eq!(serves(&shop), "v1");
}

#[test]
fn a_rejection_refuses_and_no_approval_helps() {
    let shop = up(APPROVAL);
    let id = held_up(&shop, &["up"], 11, "approval");
    asks(&shop, BOB);
    shop.deploy(&["approve", &id]).expect_code(0);
    shop.deploy(&["reject", &id, "--reason", "not before the fair"])
        .expect_code(0);
    let refused = ended(&shop, &["resume", &id], 6, "refused");
    assert!(refused.to_string().contains("not before the fair"), "{refused:#}");
    assert_eq!(serves(&shop), "v1");
    // It is over: nothing is left to decide, or to resume.
    shop.deploy(&["approve", &id]).expect_code(1);
    shop.deploy(&["resume"]).expect_code(2);
}

#[test]
fn an_approval_is_void_when_the_plan_changes() {
    let shop = up("");
    told(&shop, &["up"], 0);
    rule(&shop, APPROVAL);
    next(&shop, "v3");
    let id = held_up(&shop, &["up"], 11, "approval");
    asks(&shop, BOB);
    shop.deploy(&["approve", &id]).expect_code(0);
    // What it was to replace is replaced by another; going back is held up by no approval.
    ended(&shop, &["rollback"], 0, "succeeded");
    assert_eq!(serves(&shop), "v1");
    assert_eq!(held_up(&shop, &["resume", &id], 11, "approval"), id);
    assert_eq!(serves(&shop), "v1");
    // What it is now can be approved.
    shop.deploy(&["approve", &id]).expect_code(0);
    ended(&shop, &["resume", &id], 0, "succeeded");
    assert_eq!(serves(&shop), "v3");
}

#[test]
fn an_approval_is_void_when_the_rules_get_tighter() {
    let shop = up(APPROVAL);
    let id = held_up(&shop, &["up"], 11, "approval");
    asks(&shop, BOB);
    shop.deploy(&["approve", &id]).expect_code(0);
    let second = APPROVAL.replace("approvals.release", "approvals.second");
    rule(&shop, &format!("{APPROVAL}{second}"));
    let result = ended(&shop, &["resume", &id], 11, "waiting");
    assert_eq!(result["unmet"][0]["gate"], "approval", "{result:#}");
    assert_eq!(serves(&shop), "v1");
}

#[test]
fn nobody_lets_himself_into_the_group_that_decides() {
    let shop = up(APPROVAL);
    let id = held_up(&shop, &["up"], 11, "approval");
    // Carol commits herself into the group, and says yes to what Alice asked for.
    let manifest = std::fs::read_to_string(shop.path("deploy.toml")).expect("it is there");
    shop.write(
        "deploy.toml",
        manifest.replace(
            "[\"bob@shop.example\"]",
            "[\"bob@shop.example\", \"carol@shop.example\"]",
        ),
    );
    asks(&shop, "carol@shop.example");
    shop.commit("Carol decides, too");
    shop.deploy(&["approve", &id]).expect_code(7);
    assert_eq!(held_up(&shop, &["resume", &id], 11, "approval"), id);
    assert_eq!(serves(&shop), "v1");
    // One who is asked for takes her in, by asking for a deployment with it.
    asks(&shop, BOB);
    held_up(&shop, &["up"], 11, "approval");
    let audit = told(&shop, &["audit"], 0).to_string();
    assert!(
        audit.contains("groups: carol@shop.example is in managers"),
        "{audit}"
    );
}

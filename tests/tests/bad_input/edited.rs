//! A manifest that is not as committed: it is said before anything begins, and no gate is opened by it.

use insta::assert_snapshot;

use crate::world::{MANIFEST, look, next, serves, shop};

const GATED: &str = r#"
[environments.production]
after = ["development"]
[environments.production.hosts]
there = { local = true }
[environments.production.services.api.ssh]
path = "live/production/api"
[environments.production.services.web.ssh]
path = "live/production/web"
[environments.production.approvals.release]
count = 1
"#;

#[test]
fn a_gate_is_not_opened_by_an_edit() {
    let shop = shop(&format!("{MANIFEST}{GATED}"));
    let text = std::fs::read_to_string(shop.path("deploy.toml")).unwrap();
    let edited = text.replace("[environments.production.approvals.release]\ncount = 1\n", "");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    // Nothing is in force yet: the first deployment would have made the edit the rule.
    shop.write("deploy.toml", &edited);
    let refused = shop.deploy(&["promote", "-e", "production"]);
    assert_snapshot!("an edit before the first deployment", look(&shop, &refused));
    // Nor is one that git was told not to see.
    for (hide, show) in [
        ("--assume-unchanged", "--no-assume-unchanged"),
        ("--skip-worktree", "--no-skip-worktree"),
    ] {
        shop.git(&["update-index", hide, "deploy.toml"]);
        let hidden = shop.deploy(&["promote", "-e", "production"]);
        assert_eq!(
            (hidden.code, &hidden.stderr),
            (refused.code, &refused.stderr),
            "{hide}"
        );
        shop.git(&["update-index", show, "deploy.toml"]);
    }
    shop.write("deploy.toml", &text);
    shop.deploy(&["promote", "-e", "production"]).expect_code(11);
    shop.write("deploy.toml", &edited);
    let refused = shop.deploy(&["promote", "-e", "production"]);
    assert_snapshot!("an edit that loosens", look(&shop, &refused));
    let refused = shop.deploy(&["up", "-e", "production", "--commit", "HEAD"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");

    // Once it is committed everybody can see it, and it is told.
    shop.commit("Nobody needs to approve");
    let told = shop.deploy(&["promote", "-e", "production"]).expect_code(0);
    let warned = told.stderr.lines().next().unwrap_or_default();
    assert!(
        warned.starts_with("! rules of production are looser than those in force: approvals"),
        "{told:?}"
    );
    assert_eq!(
        std::fs::read_to_string(shop.path("live/production/web/current/page")).unwrap(),
        "v1\n"
    );
    // The second time it is in force.
    assert_eq!(
        shop.deploy(&["promote", "-e", "production"])
            .expect_code(0)
            .stderr,
        ""
    );
}

#[test]
fn where_there_is_no_gate_it_is_only_told() {
    let shop = shop(MANIFEST);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    next(&shop, "v2");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    shop.write("deploy.toml", format!("{MANIFEST}# a remark\n"));
    let dirty = shop.deploy(&["up", "-e", "development"]);
    assert_eq!(dirty.code, Some(1), "{dirty:?}");
    let allowed = shop
        .deploy(&["up", "-e", "development", "--allow-dirty"])
        .expect_code(0);
    assert!(
        allowed.stderr.contains("deploy.toml differs from commit"),
        "{allowed:?}"
    );
    // Going back is held up by nothing.
    let back = shop.deploy(&["rollback", "-e", "development"]).expect_code(0);
    assert!(
        back.stderr.contains("deploy.toml differs from commit"),
        "{back:?}"
    );
    assert_eq!(serves(&shop, "web"), "v1\n");
}

//! One place that two environments of one state write to, by two names that no manifest tells apart: the claim is its lock.

use std::os::unix::fs::symlink;

use deploy_tests::scratch::Scratch;

use crate::LIMIT;

const MANIFEST: &str = r#"[project]
name = "shop"
[services.web.ssh]
source = "web/"
path = "live/web"
[services.web.health.ready]
command = "true"
healthy_for = "0s"
[environments.development.hosts]
here = { local = true }
[environments.preview.services.web.ssh]
path = "alias/web"
[environments.preview.hosts]
here = { local = true }
"#;

/// Only from a deployment that has ended: one that was killed half-way may still go on.
#[test]
fn a_place_is_not_taken_from_a_deployment_that_has_not_ended() {
    let shop = Scratch::new();
    shop.write("deploy.toml", MANIFEST);
    shop.write(".gitignore", "live/\nalias\n");
    std::fs::create_dir(shop.path("live")).expect("a new folder");
    symlink("live", shop.path("alias")).expect("a new name");
    let next = |page: &str| {
        shop.write("web/page", page);
        shop.commit(page);
    };
    let up = |environment: &str| shop.deploy_within(LIMIT, &["up", "-e", environment]);
    let look = || {
        ["current/page", ".deploy/claim"]
            .map(|file| std::fs::read_to_string(shop.path("live/web").join(file)).unwrap_or_default())
    };
    next("v1");
    up("development").expect_code(0);
    next("v2");
    let mut command = shop.command(&["up", "-e", "development"]);
    command.env("DEPLOY_FAILPOINT", "effect.verify.before");
    let killed = shop.spawn_command(command).wait(LIMIT);
    assert_eq!(killed.signal, Some(9), "{killed:?}");

    let before = look();
    assert_eq!(before[0], "v2");
    let refused = up("preview").expect_code(5);
    assert_eq!(look(), before, "{refused:?}");
    shop.deploy_within(LIMIT, &["resume"]).expect_code(0);
    // Once it has ended, the other has its turn.
    up("preview").expect_code(0);
    assert_eq!(look()[0], "v2");
    shop.deploy(&["audit", "verify"]).expect_code(0);
}

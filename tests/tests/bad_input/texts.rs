//! What a person reads when something refuses or does not answer: the reason, what was said last, and what to do.

use deploy_tests::wait::PATIENCE;
use insta::assert_snapshot;
use rustix::process::Signal;

use crate::world::{MANIFEST, half_way, look, next, recovers, serves, shop, up};

#[test]
fn a_check_that_fails_shows_its_last_lines() {
    let checks = "branches = [\"release\"]\nchecks = [\"tests\"]\n[checks.tests]\n\
                  command = \"seq -f 'line %g' 1 14; exit 3\"\n[environments.development.hosts]";
    let manifest = MANIFEST
        .replace("[environments.development.hosts]", checks)
        .replace("branches", "\n[environments.development]\nbranches");
    let shop = shop(&manifest);
    let refused = shop.deploy(&["up", "-e", "development"]);
    assert_snapshot!(
        "a check that fails and a branch that is not there",
        look(&shop, &refused)
    );
}

#[test]
fn what_fails_while_it_prepares_says_what_to_do() {
    let hook = "[services.web.hooks.slow]\nat = \"prepare\"\ncommand = \"echo no database; exit 4\"\n\
                [services.web.health.ready]";
    let shop = up(MANIFEST);
    shop.write(
        "deploy.toml",
        MANIFEST.replace("[services.web.health.ready]", hook),
    );
    next(&shop, "v2");
    let failed = shop.deploy(&["up", "-e", "development"]);
    assert_snapshot!("a hook that fails while it prepares", look(&shop, &failed));
    shop.write("deploy.toml", MANIFEST);
    recovers(&shop);
}

#[test]
fn several_files_are_not_committed() {
    let shop = shop(MANIFEST);
    shop.write("api/page", "mine\n");
    shop.write("web/page", "mine\n");
    let dirty = shop.deploy(&["up", "-e", "development"]);
    assert_snapshot!("two files are not committed", look(&shop, &dirty));
}

#[test]
fn asking_a_holder_that_does_not_answer() {
    let shop = up(MANIFEST);
    let mut run = half_way(&shop);
    run.signal(Signal::STOP);
    std::fs::remove_file(shop.path("hold")).unwrap();
    let asked = shop.deploy(&["cancel"]);
    run.signal(Signal::KILL);
    run.wait(PATIENCE);
    let pid = format!("(pid {})", run.pid());
    assert!(asked.stderr.contains(&pid), "{asked:?}");
    assert!(asked.stderr.contains("it does not answer"), "{asked:?}");
    assert!(asked.stderr.contains("is still silent"), "{asked:?}");
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert_eq!(
        (serves(&shop, "api"), serves(&shop, "web")),
        ("v1\n".into(), "v1\n".into())
    );
    recovers(&shop);
}

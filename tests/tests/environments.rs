//! What one environment means for another: how long a release was seen healthy in the one before, and a deployment whose environment the
//! manifest does not have any more.

use deploy_tests::scratch::Scratch;
use deploy_tests::wait;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// How long development has to be healthy before production.
const SOAK: Duration = Duration::from_secs(2);

/// A project of two environments on this machine, each of which is well as long as there is no `broken-<environment>`.
fn shop(production: &str) -> Scratch {
    let shop = Scratch::new();
    let root = shop.root().display().to_string();
    shop.write(
        "deploy.toml",
        format!(
            r#"[project]
name = "shop"
[services.web.ssh]
source = "web/"
path = "live/${{environment}}/web"
[services.web.health.ready]
command = "test ! -e {root}/broken-$DEPLOY_ENVIRONMENT || {{ echo no database; exit 7; }}"
healthy_for = "0s"
[environments.development.hosts]
here = {{ local = true }}
[environments.production]
after = ["development"]
{production}
[environments.production.hosts]
here = {{ local = true }}
"#
        ),
    );
    shop.write(".gitignore", "live/\n.deploy/\n");
    bring(&shop, "v1");
    shop
}

fn bring(shop: &Scratch, page: &str) {
    shop.write("web/page", format!("{page}\n"));
    shop.commit(page);
}

fn serves(shop: &Scratch, environment: &str) -> String {
    fs::read_to_string(shop.path(format!("live/{environment}/web/current/page"))).unwrap_or_default()
}

fn looks(shop: &Scratch) -> Vec<String> {
    let events = shop.deploy(&["audit", "--events"]).expect_code(0).stdout;
    events
        .lines()
        .filter(|line| line.contains("\"looked_at\""))
        .map(|line| {
            let words = ["unhealthy", "healthy", "stopped"];
            let health = words.iter().find(|word| line.contains(&format!("\"{word}\"")));
            (*health.unwrap_or(&"?")).to_owned()
        })
        .collect()
}

#[test]
fn what_was_found_unwell_starts_its_soak_again_when_it_is_well_again() {
    let shop = shop(&format!("soak = \"{}s\"", SOAK.as_secs()));
    let began = Instant::now();
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    let broken = shop.root().join("broken-development");
    fs::write(&broken, "").expect("a file can be made");
    wait::until(wait::PATIENCE, "the time of the soak to be over", || {
        began.elapsed() > SOAK + Duration::from_secs(1)
    });

    let gates = shop.deploy(&["gates", "-e", "production"]);
    assert_ne!(gates.code, Some(0), "{gates:?}");
    assert!(gates.stdout.contains("not healthy in development"), "{gates:?}");
    let plan = shop.deploy(&["plan", "-e", "production"]).expect_code(0);
    assert!(plan.stdout.contains("not healthy in development"), "{plan:?}");
    let waits = shop
        .deploy(&["promote", "-e", "production", "--json"])
        .expect_code(11);
    let told: Value = serde_json::from_str(&waits.stdout).expect("one object");
    let rule = &told["unmet"][0];
    assert_eq!(rule["gate"], "soak", "{told}");
    let reason = rule["reason"].as_str().expect("a text");
    assert!(
        reason.contains("web here: ready") && reason.contains('7'),
        "{reason}"
    );
    let id = told["deployment"].as_str().expect("an id");
    let resume = rule["next"].as_str().expect("a text");
    assert!(
        resume.contains("deploy verify -e development") && resume.contains("deploy resume "),
        "{resume}"
    );
    assert_eq!(looks(&shop), ["unhealthy"], "only what is news is written down");
    shop.deploy(&["verify", "-e", "development"]).expect_code(1);
    shop.deploy(&["resume", id]).expect_code(11);
    assert_eq!(looks(&shop), ["unhealthy"]);
    assert_eq!(serves(&shop, "production"), "");

    // Well again: the first look that sees it is where the soak begins.
    fs::remove_file(&broken).expect("it is there");
    let again = shop.deploy(&["resume", id, "--json"]).expect_code(11);
    let told: Value = serde_json::from_str(&again.stdout).expect("one object");
    let rule = &told["unmet"][0];
    assert!(rule["earliest"].is_string(), "{told}");
    let next = rule["next"].as_str().expect("a text");
    assert!(
        next.starts_with("deploy resume ") && id.starts_with(&next["deploy resume ".len()..]),
        "{next}"
    );
    wait::until(wait::PATIENCE, "every gate to hold", || {
        shop.deploy(&["gates", "-e", "production"]).code == Some(0)
    });
    let seen = looks(&shop);
    let gates = shop.deploy(&["gates", "-e", "production"]).expect_code(0);
    assert!(
        gates
            .stdout
            .contains("counted between two healthy looks, nobody looked in between"),
        "{gates:?}"
    );
    let plan = shop.deploy(&["plan", "-e", "production"]).expect_code(0);
    assert!(plan.stdout.contains("nobody looked in between"), "{plan:?}");
    shop.deploy(&["verify", "-e", "development"]).expect_code(0);
    shop.deploy(&["status", "--refresh"]).expect_code(0);
    let promoted = shop.deploy(&["promote", "-e", "production"]).expect_code(0);
    let said = format!("{}{}", promoted.stdout, promoted.stderr);
    assert!(said.contains("nobody looks in between"), "{said}");
    assert_eq!(serves(&shop, "production"), "v1\n");
    assert_eq!(
        looks(&shop),
        seen,
        "what was long enough turns on no further look"
    );

    // Nobody is held up in going back.
    bring(&shop, "v2");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    wait::until(wait::PATIENCE, "the second release to be promoted", || {
        shop.deploy(&["promote", "-e", "production"]).code == Some(0)
    });
    fs::write(&broken, "").expect("a file can be made");
    shop.deploy(&["rollback", "-e", "production"]).expect_code(0);
    assert_eq!(serves(&shop, "production"), "v1\n");
}

#[test]
fn c56_an_environment_is_not_dropped_under_a_deployment() {
    let shop = shop("checklist = { ready = \"Everybody is told\" }");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    let waits = shop
        .deploy(&["promote", "-e", "production", "--json"])
        .expect_code(11);
    let told: Value = serde_json::from_str(&waits.stdout).expect("one object");
    let id = told["deployment"].as_str().expect("an id");

    let manifest = fs::read_to_string(shop.path("deploy.toml")).expect("it is there");
    shop.write(
        "deploy.toml",
        manifest.replace("environments.production", "environments.live"),
    );
    bring(&shop, "v2");
    let refused = shop.deploy(&["up", "-e", "development"]).expect_code(9);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(
        said.contains("the manifest has no environment production any more"),
        "{said}"
    );
    assert!(said.contains("put [environments.production] back"), "{said}");
    assert_eq!(serves(&shop, "development"), "v1\n");
    let status = shop.deploy(&["status"]).expect_code(0).stdout;
    assert!(status.contains("not in the manifest any more"), "{status}");
    let status = shop
        .deploy(&["status", "-e", "production", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(status["environments"][0]["deployment"], id, "{status}");
    assert_eq!(status["environments"][0]["in_manifest"], false, "{status}");
    let back = shop.deploy(&["rollback", "-e", "development"]);
    assert_ne!(back.code, Some(9), "going back is not held up by it: {back:?}");

    // It is finished by going on with the manifest put back, or by giving it up.
    shop.write("deploy.toml", &manifest);
    shop.deploy(&["attest", id, "ready"]).expect_code(0);
    shop.deploy(&["resume", id]).expect_code(0);
    shop.write(
        "deploy.toml",
        manifest.replace("environments.production", "environments.live"),
    );
    shop.deploy(&["up", "-e", "development", "--allow-dirty"])
        .expect_code(0);
    assert_eq!(serves(&shop, "development"), "v2\n");
    let status = shop.deploy(&["status"]).expect_code(0).stdout;
    assert!(!status.contains("production"), "an end frees it: {status}");
}

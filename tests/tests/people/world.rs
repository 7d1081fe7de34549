//! A shop of two services on this machine, whose environment gets the rules of a test; and who asks.

use deploy_tests::pages;
pub(crate) use deploy_tests::pages::serves as page;
use deploy_tests::scratch::Scratch;
use serde_json::Value;

/// Makes the commits, and asks.
pub(crate) const ALICE: &str = "alice@shop.example";
/// The only one of the group `managers`.
pub(crate) const BOB: &str = "bob@shop.example";

/// Two services; `hold-api` and `hold-web` hold up their restarts.
const MANIFEST: &str = r#"[project]
name = "shop"
[groups]
managers = ["bob@shop.example"]
[checks.tests]
[services.api.ssh]
source = "api/"
path = "live/api"
restart = "while test -e ../../../../hold-api; do sleep 0.1; done"
[services.api.health.ready]
command = "true"
healthy_for = "0s"
[services.web]
needs = ["api"]
[services.web.ssh]
source = "web/"
path = "live/web"
restart = "while test -e ../../../../hold-web; do sleep 0.1; done"
[services.web.health.ready]
command = "true"
healthy_for = "0s"
[environments.development.hosts]
here = { local = true }
"#;

/// One approval of a manager who did not ask.
pub(crate) const APPROVAL: &str =
    "[environments.development.approvals.release]\ncount = 1\nfrom = [\"managers\"]\nnot_author = true\n";

/// The committed shop with these rules, of which nothing runs; Alice asks.
pub(crate) fn shop(rules: &str) -> Scratch {
    let shop = Scratch::new();
    shop.write(".gitignore", "live/\nthere/\nhold-*\n*.plan\n");
    asks(&shop, ALICE);
    rule(&shop, rules);
    next(&shop, "v1");
    shop
}

/// The same with its first release up before the rules came.
pub(crate) fn up(rules: &str) -> Scratch {
    let shop = shop("");
    told(&shop, &["up"], 0);
    rule(&shop, rules);
    next(&shop, "v2");
    shop
}

/// Writes the manifest with these rules.
pub(crate) fn rule(shop: &Scratch, rules: &str) {
    shop.write("deploy.toml", format!("{MANIFEST}{rules}"));
}

/// Who asks from here on.
pub(crate) fn asks(shop: &Scratch, who: &str) {
    shop.git(&["config", "user.email", who]);
}

/// Another commit of both services.
pub(crate) fn next(shop: &Scratch, page: &str) {
    pages::next(shop, page, page);
}

/// The one object that the command prints, with this exit code.
#[track_caller]
pub(crate) fn told(shop: &Scratch, arguments: &[&str], code: i32) -> Value {
    let output = shop.deploy(&[arguments, &["--json"]].concat()).expect_code(code);
    output.json()
}

/// The result of a deployment, which says its exit code itself.
#[track_caller]
pub(crate) fn ended(shop: &Scratch, arguments: &[&str], code: i32, outcome: &str) -> Value {
    let result = told(shop, arguments, code);
    assert_eq!(result["schema"], "deploy.result/1", "{result:#}");
    assert_eq!(result["outcome"], outcome, "{result:#}");
    assert_eq!(result["code"], code, "{result:#}");
    result
}

/// A deployment that waits, or was refused, for this gate alone, with nothing changed; its id.
#[track_caller]
pub(crate) fn held_up(shop: &Scratch, arguments: &[&str], code: i32, gate: &str) -> String {
    let outcome = if code == 11 { "waiting" } else { "refused" };
    let result = ended(shop, arguments, code, outcome);
    let unmet: Vec<_> = result["unmet"].as_array().into_iter().flatten().collect();
    let gates: Vec<_> = unmet.iter().map(|unmet| unmet["gate"].as_str()).collect();
    assert_eq!(gates, [Some(gate)], "{result:#}");
    assert_eq!(result["changed"], false, "{result:#}");
    assert!(
        unmet[0]["next"].as_str().is_some_and(|next| !next.is_empty()),
        "{result:#}"
    );
    result["deployment"]
        .as_str()
        .expect("it is a deployment")
        .to_owned()
}

/// The page that both services serve; empty where nothing does.
#[track_caller]
pub(crate) fn serves(shop: &Scratch) -> String {
    let [api, web] = ["api", "web"].map(|service| page(shop, service));
    assert_eq!(api, web, "mixed");
    api
}

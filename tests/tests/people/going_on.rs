//! Flags that change how a deployment goes, services that are removed, and deployments that are left to people.

use std::time::Duration;

use crate::world::{ended, next, page, rule, serves, shop, told, up};

/// Web's releases are well unless their page is `bad`.
fn looks(shop: &deploy_tests::scratch::Scratch, more: &str) -> String {
    format!(
        "[services.web.health.page]\ncommand = \"! grep -q bad {}\"\nhealthy_for = \"0s\"\n{more}\n",
        shop.path("live/web/current/page").display()
    )
}

#[test]
fn a_held_failure_is_left_to_people_with_the_way_back() {
    let shop = shop("");
    let rules = looks(&shop, "deadline = \"1s\"");
    rule(
        &shop,
        &format!("[environments.development.services.web]\non_failure = \"hold\"\n{rules}"),
    );
    shop.commit("Look at the page");
    told(&shop, &["up"], 0);
    next(&shop, "bad");
    let result = ended(&shop, &["up"], 4, "needs_human");
    assert_eq!(result["retry"], "human", "{result:#}");
    assert_eq!(result["changed"], true, "{result:#}");
    let ways: Vec<_> = result["strays"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|stray| stray["next"].as_str())
        .collect();
    assert_eq!(
        ways,
        [Some("deploy rollback -e development --to v1"); 2],
        "{result:#}"
    );
    assert_eq!(serves(&shop), "bad", "it is left as it is");
    let status = told(&shop, &["status"], 0);
    assert_eq!(status["environments"][0]["state"], "needs_human", "{status:#}");
    ended(&shop, &["rollback"], 0, "succeeded");
    assert_eq!(serves(&shop), "v1");
}

#[test]
fn a_timeout_turns_back() {
    let shop = shop("");
    rule(&shop, &looks(&shop, "deadline = \"10m\""));
    shop.commit("Look at the page");
    told(&shop, &["up"], 0);
    next(&shop, "bad");
    let output = shop.deploy_within(
        Duration::from_secs(45),
        &["up", "--timeout", "2s", "--reason", "a try", "--json"],
    );
    let result = output.expect_code(3).json();
    assert_eq!(result["outcome"], "rolled_back", "{result:#}");
    assert_eq!(serves(&shop), "v1");
}

#[test]
fn a_retired_service_is_gone_and_the_others_stay() {
    let shop = up("");
    told(&shop, &["up"], 0);
    shop.deploy(&["retire", "web", "-e", "development"])
        .expect_code(6);
    assert_eq!(page(&shop, "web"), "v2", "it was not confirmed");
    let retire = ["retire", "web", "-e", "development", "--confirm", "development"];
    ended(&shop, &retire, 0, "succeeded");
    assert_eq!(
        (page(&shop, "api").as_str(), page(&shop, "web").as_str()),
        ("v2", "")
    );
}

/// Rolling takes one host after the other; all at once takes them together: each restart waits for the others.
#[test]
fn another_strategy_this_once() {
    let hosts = "two = { local = true }\nthree = { local = true }\n";
    let manifest = |restart: &str| {
        format!(
            "[project]\nname = \"shop\"\n[services.web.ssh]\nsource = \"web/\"\npath = \"live/${{host}}\"\n\
             restart = \"\"\"{restart}\"\"\"\n[services.web.health.ready]\ncommand = \"true\"\nhealthy_for = \"0s\"\n\
             [environments.development.hosts]\none = {{ local = true }}\n{hosts}"
        )
    };
    let shop = shop("");
    let root = shop.project().display().to_string();
    // Who finds another at work says so.
    let alone = format!(
        "if mkdir {root}/hold-busy; then echo >>{root}/hold-restarts; rmdir {root}/hold-busy; else echo >>{root}/hold-overlap; fi"
    );
    shop.write("deploy.toml", manifest(&alone));
    shop.commit("Three hosts");
    told(&shop, &["up"], 0);
    let _first = std::fs::remove_file(shop.path("hold-overlap"));
    next(&shop, "v2");
    told(&shop, &["up"], 0);
    assert!(
        !shop.path("hold-overlap").exists(),
        "two restarted at the same time"
    );
    let pages = || {
        ["one", "two", "three"].map(|host| {
            std::fs::read_to_string(shop.path(format!("live/{host}/current/page"))).unwrap_or_default()
        })
    };
    assert_eq!(pages(), ["v2"; 3]);

    let _none = std::fs::remove_file(shop.path("hold-restarts"));
    let together = format!(
        "echo >>{root}/hold-restarts; while test $(wc -l <{root}/hold-restarts) -lt 3; do sleep 0.1; done"
    );
    shop.write("deploy.toml", manifest(&together));
    next(&shop, "v3");
    let plan = told(&shop, &["plan", "--strategy", "all-at-once"], 0);
    let usual = told(&shop, &["plan"], 0);
    assert_ne!(plan["plan"], usual["plan"], "it is in the plan");
    let result = ended(&shop, &["up", "--strategy", "all-at-once"], 0, "succeeded");
    assert_eq!(result["plan"], plan["plan"]);
    assert_eq!(pages(), ["v3"; 3]);
    shop.deploy(&["up", "--strategy", "sideways"]).expect_code(2);
}

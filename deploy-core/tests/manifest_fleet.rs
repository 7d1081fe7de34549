//! Fleets in the manifest: the failure budget, and variables of one host.

use deploy_core::id::EnvName;
use deploy_core::manifest::{self, Environment, Fact, Facts, TargetConfig, VarName};
use deploy_core::problem::Problems;
use std::collections::BTreeMap;

fn resolve(text: &str) -> Result<Environment, Problems> {
    let manifest = manifest::parse("deploy.toml", text)?;
    let name = EnvName::new("production").expect("a name");
    manifest.resolve(&name, &BTreeMap::new(), &|_| None)
}

fn refused(text: &str) -> String {
    resolve(text).expect_err("it breaks a rule").to_string()
}

const HEAD: &str = "[project]\nname = \"shop\"\n[environments.production.hosts]\n\
    web-1 = { ssh = \"deploy@10.0.0.1\" }\nweb-2 = { ssh = \"deploy@10.0.0.2\" }\n\
    [services.web.strategy]\nmax_failures = 1\n";
const SSH: &str = "[services.web.ssh]\nsource = \".\"\npath = \"/opt/shop\"\n";
const PROBE: &str = "[services.web.health.ready]\ntcp = \"localhost:4000\"\n";

#[test]
fn a_budget_needs_somebody_who_stops_and_somebody_who_looks() {
    insta::assert_snapshot!(refused(&format!("{HEAD}{SSH}{PROBE}")));
    let stop = format!("{SSH}stop = \"systemctl stop shop\"\n");
    insta::assert_snapshot!(refused(&format!("{HEAD}{stop}")));
    resolve(&format!("{HEAD}{stop}{PROBE}")).expect("both are there");
    let k8s = "[services.web.k8s]\nmanifests = [\"k8s\"]\nworkload = \"deployment/web\"\n[services.web]\nartifact = \"a\"\n\
        [artifacts.a]\nimage = \"registry.example/a\"\n";
    insta::assert_snapshot!(refused(&format!("{HEAD}{k8s}")));
}

const OWN: &str = r#"[project]
name = "shop"
[vars]
PORT = "8080"
URL = "http://localhost:${PORT}"
[environments.production.hosts]
web-1 = { ssh = "deploy@10.0.0.1", vars = { PORT = 8081, ZONE = "a-${host}" } }
web-2 = { ssh = "deploy@10.0.0.2", vars = { ZONE = "b" } }
web-3 = { ssh = "deploy@10.0.0.3" }
[environments.production.services.web.vars]
PORT = "8090"
[services.web.ssh]
source = "."
path = "/opt/shop-${PORT}"
[services.web.health.ready]
http = "http://localhost:${PORT}/health"
"#;

fn there(environment: &Environment, host: &str) -> (String, BTreeMap<String, String>) {
    let service = environment.services.values().next().expect("web");
    let there = service.on(host);
    let TargetConfig::Ssh(ssh) = there.target else {
        panic!("it is on servers")
    };
    let facts = Facts::from([(Fact::Host, host.to_owned())]);
    let vars = there
        .vars
        .iter()
        .map(|(name, template)| (name.to_string(), template.expand(&facts).expect("all is known")));
    (ssh.path.expand(&facts).expect("all is known"), vars.collect())
}

#[test]
fn a_hosts_own_variables_win_over_all_others_and_reach_its_paths() {
    let environment = resolve(OWN).unwrap_or_else(|problems| panic!("{problems}"));
    let vars = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let one = [
        ("PORT", "8081"),
        ("URL", "http://localhost:8081"),
        ("ZONE", "a-web-1"),
    ];
    assert_eq!(
        there(&environment, "web-1"),
        ("/opt/shop-8081".to_owned(), vars(&one))
    );
    let two = [("PORT", "8090"), ("URL", "http://localhost:8090"), ("ZONE", "b")];
    assert_eq!(
        there(&environment, "web-2"),
        ("/opt/shop-8090".to_owned(), vars(&two))
    );
    assert_eq!(
        there(&environment, "web-3"),
        ("/opt/shop-8090".to_owned(), vars(&two[..2]))
    );
    let web = environment.services.values().next().expect("web");
    let health = |host| format!("{:?}", web.on(host).health);
    assert!(health("web-1").contains("8081"), "{}", health("web-1"));
    assert!(health("web-3").contains("8090"), "{}", health("web-3"));
    let own: Vec<_> = web.own_to("web-1").map(|(name, _)| name.to_string()).collect();
    assert_eq!(own, ["PORT", "URL", "ZONE"]);
    assert_eq!(web.own_to("web-3").count(), 0);
    // What only hosts set is no variable of the service.
    assert!(!web.vars.contains_key(&VarName::new("ZONE").expect("a name")));
    let lines: Vec<_> = environment
        .settings
        .iter()
        .filter(|line| line.key.contains(".vars."))
        .map(|line| format!("{} = {}  # {}", line.key, line.value, line.origin))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_change_of_one_hosts_variable_is_another_configuration() {
    let one = resolve(OWN).expect("it is right");
    let other = resolve(&OWN.replace("8081", "8082")).expect("it is right");
    assert_ne!(manifest::config_version(&one), manifest::config_version(&other));
}

#[test]
fn what_a_variable_of_one_host_cannot_be() {
    // Set on one host alone, and needed on the others too.
    let only = OWN
        .replace("PORT = \"8080\"\nURL = \"http://localhost:${PORT}\"\n", "")
        .replace("PORT = \"8090\"\n", "");
    insta::assert_snapshot!("needed_elsewhere", refused(&only));
    let secret = OWN
        .replace("[vars]", "[secrets]\nTOKEN = { env = \"TOKEN\" }\n[vars]")
        .replace("ZONE = \"b\"", "TOKEN = \"b\"");
    insta::assert_snapshot!("a_secrets_place", refused(&secret));
    insta::assert_snapshot!("no_text", refused(&OWN.replace("ZONE = \"b\"", "ZONE = [\"b\"]")));
}

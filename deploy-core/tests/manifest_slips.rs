//! One slip of the pen is one problem: at its own line, with what to write instead, and without what only follows from it.

use deploy_core::id::EnvName;
use deploy_core::manifest;
use deploy_core::problem::{Problem, Problems};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const RIGHT: &str = include_str!("manifests/reference.toml");

/// What stands there once, and what a hand slips to. An empty second text is a line forgotten.
const SLIPS: &[(&str, &str)] = &[
    // TOML
    ("[project]", "[project"),
    ("name = \"shop\"", "name = \"shop"),
    ("name = \"shop\"", "name = shop"),
    ("name = \"shop\"", "name \"shop\""),
    ("name = \"shop\"", "name = "),
    ("name = \"shop\"", "name: \"shop\""),
    ("name = \"shop\"", "name = 'shop\""),
    ("keep = 5 ", "keep = 5x "),
    ("\"alice@shop.example\", \"bob", "\"alice@shop.example\" \"bob"),
    ("bob@shop.example\"]", "bob@shop.example\""),
    ("needs = [\"schema\"]", "needs = [schema]"),
    ("[services.web.hooks.install]", "[services.web.hooks.install]]"),
    ("[services.web.strategy]", "[services.web.ssh]"),
    ("bake = \"2m\"", "bake = \"2m\"\nbake = \"3m\""),
    ("[services.web.strategy]", "[services.web strategy]"),
    ("max_failures = 0", "max_failures = 00"),
    (
        "{ local = true, groups = [\"web\"] }",
        "{ local = true, groups = [\"web\"]",
    ),
    (
        "{ local = true, groups = [\"web\"] }",
        "{ local = true groups = [\"web\"] }",
    ),
    ("{ local = true,", "{ local = True,"),
    ("[environments.staging]", "environments.staging]"),
    // Names of tables
    ("[project]", "[projet]"),
    ("[groups]", "[group]"),
    ("[vars]", "[var]"),
    ("[artifacts.app] ", "[artifact.app] "),
    ("[services.web.ssh]", "[services.web.shs]"),
    ("[services.web.ssh]", "[service.web.ssh]"),
    ("[services.web.ssh]", "[services.wbe.ssh]"),
    (
        "[services.web.health.ready]\nhttp",
        "[services.web.heath.ready]\nhttp",
    ),
    ("[services.web.hooks.install]", "[services.web.hook.install]"),
    ("[services.schema.migrations]", "[services.schema.migration]"),
    ("[environments.production]", "[environment.production]"),
    ("[environments.production]", "[environments.prodution]"),
    (
        "[environments.production.hosts]",
        "[environments.production.hosst]",
    ),
    (
        "[environments.production.hosts]",
        "[environments.prodction.hosts]",
    ),
    (
        "[environments.production.services.web] ",
        "[environments.production.services.wep] ",
    ),
    (
        "[environments.production.defaults.k8s]",
        "[environments.production.default.k8s]",
    ),
    ("[environments.staging]", "[environments.stagng]"),
    ("[environments.development]", "[environments.develpment]"),
    // Keys
    ("name = \"shop\"", "nam = \"shop\""),
    ("build = \"npm", "biuld = \"npm"),
    ("output = \"app/dist\"", "ouput = \"app/dist\""),
    ("artifact = \"app\"", "artefact = \"app\""),
    ("target = \"migrations\"", "targt = \"migrations\""),
    ("dir = \"migrations\"", "dri = \"migrations\""),
    ("path = \"/opt/shop/web\"", "paht = \"/opt/shop/web\""),
    ("hosts = \"web\"", "host = \"web\""),
    ("http = \"http", "htpp = \"http"),
    ("at = \"prepare\"", "att = \"prepare\""),
    ("command = \"npm ci", "comand = \"npm ci"),
    ("healthy_for = \"10s\"", "healthyfor = \"10s\""),
    ("stage-1 = { ssh =", "stage-1 = { shs ="),
    ("dev-1 = { local =", "dev-1 = { loca ="),
    ("DATABASE_URL = { exec =", "DATABASE_URL = { exce ="),
    ("from = \"Fri", "form = \"Fri"),
    ("from = [\"release", "form = [\"release"),
    ("{ text = \"Security", "{ txt = \"Security"),
    ("manifests = [\"search", "manifest = [\"search"),
    ("workload = ", "worklod = "),
    ("equals = \"${version}\"", "equal = \"${version}\""),
    ("expect = {", "expects = {"),
    (
        "namespace = \"shop\"\n[environments.staging.secrets]",
        "namspace = \"shop\"\n[environments.staging.secrets]",
    ),
    // Values
    ("target = \"ssh\"", "target = \"shh\""),
    ("target = \"k8s\"", "target = \"k8\""),
    ("artifact = \"app\"", "artifact = \"ap\""),
    ("needs = [\"schema\"]", "needs = [\"shema\"]"),
    ("needs = [\"schema\"]", "needs = \"schema\""),
    ("needs = [\"schema\"]", "needs = [\"web\"]"),
    ("secrets = [\"DATABASE_URL\"]", "secrets = [\"database_url\"]"),
    ("secrets = [\"DATABASE_URL\"]", "secrets = [\"DATABSE_URL\"]"),
    ("url = \"${DATABASE_URL}\"", "url = \"${DATABSE_URL}\""),
    ("url = \"${DATABASE_URL}\"", "url = \"${DATABASE_URL\""),
    ("bake = \"2m\"", "bake = \"2 min\""),
    ("on_failure = \"rollback\"", "on_failure = \"rolback\""),
    ("hosts = \"web\"", "hosts = \"wed\""),
    ("path = \"/opt/shop/web\"", "path = \"opt/shop/web\""),
    ("kind = \"rolling\"", "kind = \"roling\""),
    ("batch = \"25%\"", "batch = \"25 %\""),
    ("rollback = \"down\"", "rollback = \"dwon\""),
    ("at = \"prepare\"", "at = \"prepair\""),
    ("http://localhost:4000/health", "htp://localhost:4000/health"),
    ("{ status = 200,", "{ status = \"200\","),
    ("{ \"/status\" =", "{ \"status\" ="),
    ("healthy_for = \"10s\"", "healthy_for = \"10m\""),
    ("${version}", "${verson}"),
    ("{ local = true,", "{ local = \"true\","),
    ("after = [\"staging\"]", "after = [\"stagin\"]"),
    ("after = [\"development\"]", "after = \"development\""),
    ("after = [\"development\"]", "after = [\"production\"]"),
    ("soak = \"10m\"", "soak = \"10mn\""),
    ("ssh = \"deploy@stage-1\"", "ssh = \"deploy@stage 1\""),
    ("deploy@10.0.0.2:2222", "deploy@10.0.0.2:222222"),
    ("from = [\"release-managers\"]", "from = [\"release-manager\"]"),
    ("from = \"Fri 16:00\"", "from = \"Fry 16:00\""),
    ("to = \"Mon 08:00\"", "to = \"Mon 8\""),
    ("tz = \"Europe/Berlin\"", "tz = \"Europe/Berln\""),
    ("inputs = [\"app/**\"]", "inputs = \"app/**\""),
    ("count = 1", "count = \"one\""),
];

/// Slips that show elsewhere: where a name is used, or at the table in which a line was forgotten; and how many problems
/// name what stands in the third text.
const ELSEWHERE: &[(&str, &str, &str, usize)] = &[
    ("[artifacts.app] ", "[artifacts.ap] ", "artifact = \"app\"", 1),
    (
        "DATABASE_URL = { env = \"DEV",
        "DATABASE_UR = { env = \"DEV",
        "url = \"${DATABASE_URL}\"",
        2,
    ),
    ("path = \"/opt/shop/web\"", "", "[services.web.ssh]", 1),
    ("artifact = \"app\"\nneeds", "needs", "[services.web]\n", 1),
    (
        "http = \"http://localhost:4000/health\" ",
        "# ",
        "[services.web.health.ready]",
        1,
    ),
    (
        "to = \"Mon 08:00\"",
        "",
        "[environments.production.freeze.weekend]",
        1,
    ),
    ("stage-1 = {", "# stage-1 = {", "[environments.staging]", 1),
    (
        "needs = [\"schema\"]",
        "vars.A = \"${DATABSE_URL}\"\nvars.B = \"x\"",
        "vars.A",
        1,
    ),
];

/// The problems of every reader of a manifest, in its order.
fn problems(text: &str) -> Option<Problems> {
    let manifest = match manifest::parse("deploy.toml", text) {
        Ok(manifest) => manifest,
        Err(problems) => return Some(problems),
    };
    let names: Vec<EnvName> = manifest.environments().to_vec();
    names
        .iter()
        .find_map(|name| manifest.resolve(name, &BTreeMap::new(), &|_| None).err())
}

fn line_of(text: &str, part: &str) -> usize {
    let at = text.find(part).unwrap_or_else(|| panic!("`{part}` is not there"));
    text[..at].matches('\n').count() + 1
}

#[test]
fn one_slip_is_one_problem() {
    let here = SLIPS.iter().map(|(from, to)| (*from, *to, None, 1));
    let elsewhere = ELSEWHERE
        .iter()
        .map(|(from, to, at, most)| (*from, *to, Some(*at), *most));
    let mut out = String::new();
    let mut wrong = Vec::new();
    for (from, to, at, most) in here.chain(elsewhere) {
        let line = line_of(RIGHT, from);
        let text = RIGHT.replacen(from, to, 1);
        let (line, reach) = at.map_or((line, 1), |at| (line_of(&text, at), 0));
        let found = problems(&text).unwrap_or_default();
        let shown = found.to_string();
        writeln!(
            out,
            "# {} → {}\n{shown}\n",
            from.escape_debug(),
            to.escape_debug()
        )
        .expect("a string");
        let first: Option<&Problem> = found.iter().next();
        let near = first.is_some_and(|first| (first.line as usize).abs_diff(line) <= reach);
        let next = found.iter().all(|problem| !problem.help.is_empty());
        if found.is_empty() || found.len() > most || !near || !next {
            wrong.push(format!("{from} → {to} (line {line})\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n\n"));
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!("slips", out) });
}

//! Every rule of the manifest, with the message as a person sees it.

use deploy_core::id::EnvName;
use deploy_core::manifest::{self, Environment};
use deploy_core::problem::Problems;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A whole manifest around some lines of interest, which come last.
fn around(lines: &str) -> String {
    let mut text = String::new();
    for (table, head) in [
        ("[project]", "[project]\nname = \"shop\"\n"),
        (
            "[environments",
            "[environments.production.hosts]\nweb-1 = { ssh = \"deploy@10.0.0.1\" }\n",
        ),
        (
            "[services",
            "[services.web.ssh]\nsource = \".\"\npath = \"/opt/shop\"\n",
        ),
    ] {
        if !lines.contains(table) {
            text.push_str(head);
        }
    }
    text + lines
}

fn resolve(text: &str, environment: &str) -> Result<Environment, Problems> {
    let manifest = manifest::parse("deploy.toml", text)?;
    let name = EnvName::new(environment).expect("a name");
    manifest.resolve(&name, &BTreeMap::new(), &|_| None)
}

fn shown(cases: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (rule, lines) in cases {
        let problems = match resolve(&around(lines), "production") {
            Ok(_) => "no problem".to_owned(),
            Err(problems) => problems.to_string(),
        };
        writeln!(out, "# {rule}\n{problems}\n").expect("a string");
    }
    out
}

fn snapshot(name: &str, cases: &[(&str, &str)]) {
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, shown(cases)) });
}

const SERVICE: &str = "[services.web.ssh]\nsource = \".\"\npath = \"/opt/shop\"\n";

#[test]
fn keys_and_types() {
    snapshot(
        "keys_and_types",
        &[
            ("not TOML", "[project\nname = "),
            ("a key twice", "[vars]\nA = \"1\"\nA = \"2\""),
            ("an unknown key at the top", "[service.web]\npath = \"/x\""),
            (
                "an unknown key in a table",
                "[services.web.ssh]\nsource = \".\"\npath = \"/x\"\nrestrat = \"true\"",
            ),
            (
                "an unknown key in an environment",
                "[environments.production]\nreplicas = 3\nhosts.a.local = true",
            ),
            (
                "a wrong type",
                "[services.web]\nneeds = \"schema\"\nssh = { source = \".\", path = 5 }",
            ),
            ("a missing key", "[services.web.ssh]\nsource = \".\""),
            ("no name", "[project]\nkeep = 3"),
            ("a bad name", "[project]\nname = \"my shop\""),
            (
                "a number out of range",
                "[project]\nname = \"shop\"\nkeep = 99999999999999999999",
            ),
            ("keep 0", "[project]\nname = \"shop\"\nkeep = 0"),
            (
                "a bad duration",
                "[services.web]\nbake = \"2 minutes\"\nssh = { source = \".\", path = \"/x\" }",
            ),
            (
                "a bad choice",
                "[services.web]\nstrategy.kind = \"roling\"\nssh = { source = \".\", path = \"/x\" }",
            ),
            (
                "an empty command",
                "[services.web.ssh]\nsource = \".\"\npath = \"/x\"\nrestart = []",
            ),
            (
                "a control character in a name",
                "[services.\"a\\u001b[31mb\".ssh]\nsource = \".\"\npath = \"/x\"",
            ),
        ],
    );
}

#[test]
fn nothing_to_deploy() {
    let problems = manifest::parse("deploy.toml", "[project]\nname = \"shop\"\n").expect_err("too little");
    insta::assert_snapshot!(problems, @r#"
    deploy.toml:1:1: no environments: there is nothing to deploy
        1 | [project]
          | ^ add `[environments.production]`
    deploy.toml:1:1: no services: there is nothing to deploy
        1 | [project]
          | ^ add `[services.web]`
    "#);
    let problems = manifest::parse("deploy.toml", &"#".repeat(300 * 1024)).expect_err("too much");
    insta::assert_snapshot!(problems, @r"
    deploy.toml: 307200 bytes, and a manifest has at most 262144
          = is this the right file?
    ");
}

#[test]
fn references_between_keys() {
    let two = "[environments.production]\nhosts.a.local = true\n";
    let staging = "[environments.staging]\nhosts.a.local = true\n";
    snapshot("references_between_keys", &[
        ("after nothing", "[environments.production]\nafter = [\"stagin\"]\nhosts.a.local = true\n[environments.staging]\nhosts.a.local = true"),
        ("after in a circle", "[environments.production]\nafter = [\"staging\"]\nhosts.a.local = true\n[environments.staging]\nafter = [\"production\"]\nhosts.a.local = true"),
        ("after itself", "[environments.production]\nafter = [\"production\"]\nhosts.a.local = true"),
        ("needs nothing", &format!("{SERVICE}[services.api]\nneeds = [\"wep\"]\nssh = {{ source = \".\", path = \"/a\" }}")),
        ("needs in a circle", &format!("{SERVICE}[services.web]\nneeds = [\"api\"]\n[services.api]\nneeds = [\"web\"]\nssh = {{ source = \".\", path = \"/a\" }}")),
        ("no such artifact", "[services.web]\nartifact = \"ap\"\nssh.path = \"/x\"\n[artifacts.app]\nbuild = \"make\"\noutput = \"out\""),
        ("no such host group", &format!("{two}[environments.production.hosts.b]\nlocal = true\ngroups = [\"web\"]\n[environments.production.hosts.a]\ngroups = [\"db\"]\n{SERVICE}hosts = \"wen\"").replace("hosts.a.local = true\n", "").replace("groups = [\"db\"]", "local = true\ngroups = [\"db\"]")),
        ("no hosts", &format!("[environments.production]\nurl = \"https://x.example\"\n{SERVICE}")),
        ("no such group of people", &format!("{two}allow.deploy = [\"devs\"]\n[groups]\ndevelopers = [\"a@x\"]")),
        ("no such group to approve", &format!("{two}approvals.release = {{ from = [\"managers\"] }}")),
        ("a slip in a check's name", &format!("{two}checks = [\"test\"]\n[checks.tests]\ncommand = \"true\"")),
        ("a check by attest alone", &format!("{two}checks = [\"image-scan\"]\n[checks.tests]\ncommand = \"true\"")),
        ("no such smoke test", &format!("{two}smoke = [\"api\"]")),
        ("an override of no service", &format!("{two}services.wep.enabled = false")),
        ("an artifact that differs between joined environments", &format!("{two}after = [\"staging\"]\nservices.web.artifact = \"b\"\n{staging}[services.web]\nartifact = \"a\"\nssh.path = \"/x\"\n[artifacts]\na = {{ build = \"make\", output = \"a\" }}\nb = {{ build = \"make\", output = \"b\" }}")),
        ("an artifact that differs between separate environments", &format!("{two}services.web.artifact = \"b\"\n{staging}[services.web]\nartifact = \"a\"\nssh.path = \"/x\"\n[artifacts]\na = {{ build = \"make\", output = \"a\" }}\nb = {{ build = \"make\", output = \"b\" }}")),
    ]);
}

#[test]
fn services() {
    let probe = |keys: &str| format!("{SERVICE}[services.web.health.ready]\n{keys}");
    let strategy = |keys: &str| format!("{SERVICE}[services.web.strategy]\n{keys}");
    let cases = [
        ("no kind", "[services.web]\nbake = \"1m\"".to_owned()),
        ("two kinds", format!("{SERVICE}[services.web.fly]\napp = \"x\"")),
        ("a kind without its table", "[services.web]\ntarget = \"exec\"".to_owned()),
        ("nothing to run", "[services.web.ssh]\npath = \"/x\"".to_owned()),
        ("two things to run", format!("[artifacts.a]\nbuild = \"make\"\noutput = \"o\"\n{SERVICE}[services.web]\nartifact = \"a\"")),
        ("an artifact for migrations", "[artifacts.a]\nbuild = \"make\"\noutput = \"o\"\n[services.web]\nartifact = \"a\"\nmigrations = { dir = \"m\", url = \"sqlite:x\" }".to_owned()),
        ("logs of no unit", format!("{SERVICE}logs = \"journal:\"\n")),
        ("logs outside of the path", format!("{SERVICE}logs = \"../log/*.log\"\n")),
        ("logs of one release", format!("{SERVICE}logs = \"journal:web-${{release}}\"\n")),
        ("logs of a host's unit", format!("{SERVICE}logs = \"user-journal:web@${{host}}\"\n")),
        ("a probe of nothing", probe("healthy_for = \"5s\"")),
        ("a probe of two things", probe("http = \"http://x\"\ntcp = \"x:1\"")),
        ("a window longer than the deadline", probe("tcp = \"x:1\"\nhealthy_for = \"2m\"")),
        ("a URL without a scheme", probe("http = \"localhost:4000/health\"")),
        ("a port that no machine has", probe("http = \"http://localhost:80000/health\"")),
        ("port 0", probe("http = \"https://user@[::1]:0\"")),
        ("tcp without a port", probe("tcp = \"localhost\"")),
        ("tcp to a port by name", probe("tcp = \"localhost:postgres\"")),
        ("tcp to a port in a variable", format!("[vars]\nPORT = \"5432\"\n{}", probe("tcp = \"localhost:${PORT}\""))),
        ("a port in a variable that is none", format!("[vars]\nPORT = \"543210\"\n{}", probe("tcp = \"localhost:${PORT}\""))),
        ("`${port}` without ports", probe("http = \"http://localhost:${port}/\"")),
        ("`${port}` with ports", format!("{}\n[services.web.strategy]\nports = [4000, 4001]", probe("http = \"http://localhost:${port}/\""))),
        ("`${port}` in a variable without ports", format!("{SERVICE}[services.web.vars]\nPORT = \"${{port}}\"")),
        ("a fact that ssh never has", probe("http = \"http://localhost/${image}\"")),
        ("ports of nobody", format!("{SERVICE}[services.web.strategy]\nports = [0, 4001]")),
        ("ports too high", format!("{SERVICE}[services.web.strategy]\nports = [4000, 70000]")),
        ("an answer expected of tcp", probe("tcp = \"x:1\"\nexpect.status = 200")),
        ("a path instead of a pointer", probe("http = \"http://x\"\nexpect.json = { \"status\" = \"UP\" }")),
        ("bounds that nothing fits", probe("http = \"http://x\"\nexpect.json = { \"/n\" = { min = 5, max = 3 } }")),
        ("a version from nowhere", probe("http = \"http://x\"\nversion = { equals = \"1\" }")),
        ("a strategy the kind cannot do", "[services.web]\nstrategy.kind = \"canary\"\ncompose.file = \"c.yml\"".to_owned()),
        ("a canary without steps", strategy("kind = \"canary\"")),
        ("steps that do not grow", strategy("kind = \"canary\"\nsteps = [{ to = 2 }, { to = 1 }]")),
        ("blue-green without ports", strategy("kind = \"blue-green\"")),
        ("blue-green without a proxy", strategy("kind = \"blue-green\"\nports = [4000, 4001]")),
        ("blue-green without a restart", strategy("kind = \"blue-green\"\nports = [4000, 4001]\nproxy = { nginx = \"/x.conf\" }")),
        ("the same port twice", strategy("ports = [4000, 4000]")),
        ("a drain without end", strategy("drain = \"1h\"")),
        ("a proxy of no kind", strategy("proxy = { upstream = \"x\" }")),
        ("two proxies", strategy("proxy = { nginx = \"/x.conf\", caddy = \"/x.caddy\" }")),
        ("a proxy's file that is no path", strategy("proxy = { nginx = \"conf.d/x.conf\" }")),
        ("an upstream that is no name", strategy("proxy = { nginx = \"/x.conf\", upstream = \"a b;\" }")),
        ("a batch of nothing", strategy("batch = 0")),
        ("a share over 100", strategy("batch = \"150%\"")),
        ("keys of another strategy beside", strategy("kind = \"recreate\"\nbatch = \"25%\"\nports = [1, 2]")),
        ("produces too late", format!("{SERVICE}[services.web.hooks.a]\nat = \"after\"\nproduces = [\"x\"]\ncommand = \"true\"")),
        ("a path that leads out", "[services.web.ssh]\nsource = \"../other\"\npath = \"/x\"".to_owned()),
        ("an absolute source", "[services.web.ssh]\nsource = \"/etc\"\npath = \"/x\"".to_owned()),
        ("the root as a folder", "[services.web.ssh]\nsource = \".\"\npath = \"/\"".to_owned()),
        ("a relative folder on a host", "[services.web.ssh]\nsource = \".\"\npath = \"opt/shop\"".to_owned()),
        ("a folder that changes with the release", "[services.web.ssh]\nsource = \".\"\npath = \"/opt/${tag}\"".to_owned()),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(rule, lines)| (*rule, lines.as_str()))
        .collect();
    snapshot("services", &cases);
}

#[test]
fn environments_and_artifacts() {
    let env = |lines: &str| format!("[environments.production]\nhosts.a.local = true\n{lines}");
    let host = |lines: &str| format!("[environments.production.hosts.a]\n{lines}");
    let artifact = |lines: &str| format!("[artifacts.app]\n{lines}");
    let cases = [
        ("an option as a host", host("ssh = \"-oProxyCommand=evil\"")),
        ("an option as a user", host("ssh = \"-l@x\"")),
        ("a port without ssh://", host("ssh = \"deploy@x:2222\"")),
        ("a command as a host", host("ssh = \"$(id)@x y\"")),
        ("no address", host("groups = [\"web\"]")),
        ("two addresses", host("ssh = \"x\"\nlocal = true")),
        (
            "a password in the manifest",
            host("ssh = \"x\"\npassword = \"hunter2\""),
        ),
        (
            "a secret in the manifest",
            "[secrets]\nTOKEN = \"hunter2\"".to_owned(),
        ),
        (
            "a secret from two places",
            "[secrets]\nTOKEN = { env = \"A\", file = \"b\" }".to_owned(),
        ),
        (
            "a variable in lower case",
            "[vars]\nlog_level = \"info\"".to_owned(),
        ),
        (
            "one server twice",
            format!(
                "{}\n[environments.production.hosts.b]\nssh = \"root@10.0.0.1\"",
                host("ssh = \"deploy@10.0.0.1\"")
            ),
        ),
        (
            "this machine twice",
            format!(
                "{}\n[environments.production.hosts.b]\nlocal = true",
                host("local = true")
            ),
        ),
        (
            "this machine twice, in folders of their own",
            format!(
                "{}\n[environments.production.hosts.b]\nlocal = true\n[services.web.ssh]\nsource = \".\"\npath = \"live/${{host}}\"",
                host("local = true")
            ),
        ),
        (
            "one server twice, by two ports",
            format!(
                "{}\n[environments.production.hosts.b]\nssh = \"ssh://10.0.0.1:2222\"",
                host("ssh = \"10.0.0.1\"")
            ),
        ),
        ("a freeze without end", env("freeze.w = { from = \"Fri 16:00\" }")),
        (
            "a freeze of two kinds",
            env("freeze.w = { from = \"Fri 16:00\", to = \"2026-12-24 00:00\" }"),
        ),
        (
            "a freeze backwards",
            env("freeze.w = { from = \"2026-12-26 00:00\", to = \"2026-12-24 00:00\" }"),
        ),
        (
            "a freeze at no time",
            env("freeze.w = { from = \"Friday\", to = \"Mon 25:00\" }"),
        ),
        (
            "a freeze in no zone",
            env("freeze.w = { from = \"Fri 16:00\", to = \"Mon 08:00\", tz = \"Europe/Berln\" }"),
        ),
        ("confirm something else", env("confirm = [\"rolback\"]")),
        ("an env_file elsewhere", env("env_file = \"../secret.env\"")),
        ("an artifact of no kind", artifact("build = \"make\"")),
        (
            "an artifact of two kinds",
            artifact("build = \"make\"\noutput = \"o\"\nimage = \"i\""),
        ),
        ("an output that nothing builds", artifact("output = \"o\"")),
        ("an image without a name", artifact("docker = \"app\"")),
        (
            "a fact of one environment in an artifact",
            artifact("image = \"r/${environment}\""),
        ),
        (
            "a pattern that leads out",
            artifact("build = \"make\"\noutput = \"o\"\ninputs = [\"../**\"]"),
        ),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(rule, lines)| (*rule, lines.as_str()))
        .collect();
    snapshot("environments_and_artifacts", &cases);
}

#[test]
fn expansion() {
    let bake =
        |text: &str| format!("[services.web]\nbake = \"{text}\"\nssh = {{ source = \".\", path = \"/x\" }}");
    let path = |text: &str| format!("[services.web.ssh]\nsource = \".\"\npath = \"{text}\"");
    let cases = [
        ("unset", path("/opt/${NAME}")),
        ("no such fact", path("/opt/${sevice}")),
        ("a fact with a default", path("/opt/${service:-web}")),
        ("not closed", path("/opt/${NAME")),
        (
            "in a circle",
            format!("[vars]\nA = \"${{B}}\"\nB = \"${{A}}\"\n{}", path("/opt/${A}")),
        ),
        ("a default that breaks the rule", bake("${BAKE:-soon}")),
        ("a late fact in a number", bake("${tag}")),
        (
            "a secret in a number",
            format!("[secrets]\nS = {{ env = \"S\" }}\n{}", bake("${S}")),
        ),
        (
            "a secret in a variable",
            "[secrets]\nS = { env = \"S\" }\n[vars]\nURL = \"x://${S}\"".to_owned(),
        ),
        (
            "a secret in a path",
            format!("[secrets]\nS = {{ env = \"S\" }}\n{}", path("/opt/${S}")),
        ),
        (
            "a secret from nowhere",
            format!("{SERVICE}[services.web]\nsecrets = [\"TOKEN\"]"),
        ),
        (
            "no url",
            format!("{SERVICE}[services.web.health.ready]\nhttp = \"${{url}}/health\""),
        ),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(rule, lines)| (*rule, lines.as_str()))
        .collect();
    snapshot("expansion", &cases);
}

#[test]
fn an_env_file_is_read_and_its_lines_are_not_repeated() {
    let text = "# comment\nA=1\nexport B = \"two words\" \nC='${literal}'\nD=x # note\n";
    let read = manifest::parse_env_file("e.env", text).expect("an env file");
    let read: Vec<_> = read
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(read, ["A=1", "B=two words", "C=$${literal}", "D=x"]);
    let problems = manifest::parse_env_file("e.env", "hunter2\nA=\"open").expect_err("two bad lines");
    insta::assert_snapshot!(problems, @r#"
    e.env:1:1: a line without `=`
          = write `NAME=value`, or `NAME="a value"`
    e.env:2:1: a quote is not closed
          = write `NAME=value`, or `NAME="a value"`
    "#);
}

#[test]
fn what_is_inside_a_release() {
    let shared = |list: &str| format!("{SERVICE}shared = [{list}]");
    snapshot(
        "inside_a_release",
        &[
            ("the release itself", shared("\".\"")),
            ("what is ours", shared("\".deploy/run-env\"")),
            ("out of it", shared("\"../x\"")),
            ("a name that no file system takes", shared(&format!("\"{}\"", "x".repeat(300)))),
            ("one in another", shared("\"uploads\", \"uploads/big\"")),
            ("twice, however it is written", shared("\"uploads\", \"./uploads/\"")),
            ("a slash at the end, and a name that begins alike", shared("\"uploads/\", \"uploads-old\"")),
            (
                "what a hook makes",
                format!("{SERVICE}[services.web.hooks.deps]\nat = \"prepare\"\ncommand = \"true\"\nproduces = [\".\"]"),
            ),
        ]
        .each_ref()
        .map(|(rule, lines)| (*rule, lines.as_str())),
    );
}

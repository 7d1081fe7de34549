//! The manifests of real systems: each is read, checked, resolved for each of its environments, and says what does not
//! act yet. And the laws that hold for every manifest.

use deploy_core::id::{EnvName, ServiceName};
use deploy_core::manifest::acting::{Acts, ArtifactForm};
use deploy_core::manifest::{
    self, Amount, Content, Environment, Fact, Facts, HostAddress, JsonExpect, ProbeKind, SecretRef,
    StrategyKind, TargetConfig, TargetKind, VarName,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

const MANIFESTS: [(&str, &str); 7] = [
    ("aiagent.toml", include_str!("manifests/aiagent.toml")),
    ("aider-service.toml", include_str!("manifests/aider-service.toml")),
    ("aureus.toml", include_str!("manifests/aureus.toml")),
    ("gaia.toml", include_str!("manifests/gaia.toml")),
    ("minimal.toml", include_str!("manifests/minimal.toml")),
    ("polydev.toml", include_str!("manifests/polydev.toml")),
    ("reference.toml", include_str!("manifests/reference.toml")),
];

fn text_of(name: &str) -> &'static str {
    MANIFESTS
        .iter()
        .find(|(file, _)| *file == name)
        .expect("a manifest of the table")
        .1
}

fn resolve_with(text: &str, environment: &str, caller: &[(&str, &str)]) -> Environment {
    let manifest = manifest::parse("deploy.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let caller = |name: &str| {
        caller
            .iter()
            .find(|(set, _)| *set == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let name = EnvName::new(environment).expect("a name");
    manifest
        .resolve(&name, &BTreeMap::new(), &caller)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn service<'e>(environment: &'e Environment, name: &str) -> &'e manifest::Service {
    &environment.services[&ServiceName::new(name).expect("a name")]
}

#[test]
fn the_manifests_of_real_systems_are_read_and_resolved() {
    for (file, text) in MANIFESTS {
        let manifest = manifest::parse(file, text).unwrap_or_else(|problems| panic!("{problems}"));
        manifest
            .project(&|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let mut all = Vec::new();
        for name in manifest.environments() {
            let resolved = manifest.resolve(name, &BTreeMap::new(), &|_| None);
            let environment = resolved.unwrap_or_else(|problems| panic!("{file} {name}:\n{problems}"));
            let checked = manifest.check(name, &BTreeMap::new(), &|_| None);
            assert!(checked.is_ok(), "{file} {name}:\n{}", checked.unwrap_err());
            let stored = serde_json::to_string(&environment).expect("an environment is JSON");
            let back: Environment = serde_json::from_str(&stored).expect("and is read back");
            assert_eq!(
                back,
                Environment {
                    settings: Vec::new(),
                    ..environment.clone()
                },
                "{file} {name}"
            );
            assert_eq!(
                manifest::config_version(&back),
                manifest::config_version(&environment)
            );
            all.push(environment);
        }
        let apart = manifest.apart(&all, manifest.environments());
        assert!(apart.is_ok(), "{file}:\n{}", apart.unwrap_err());
    }
}

/// A program that acts on servers, by every strategy but blue-green.
fn on_servers() -> Acts {
    let mut strategies: BTreeSet<_> = StrategyKind::of(TargetKind::Ssh).iter().copied().collect();
    strategies.remove(&StrategyKind::BlueGreen);
    Acts {
        kinds: BTreeMap::from([(TargetKind::Ssh, strategies)]),
        artifacts: BTreeSet::from([ArtifactForm::Tree]),
    }
}

#[test]
fn which_kinds_act_is_said_by_who_holds_them() {
    let manifest = manifest::parse("minimal.toml", text_of("minimal.toml")).expect("a manifest");
    let named = |acts: &Acts| {
        let found = manifest::acting::not_yet(&manifest, acts);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(named(&on_servers()), [""; 0]);
    assert_eq!(
        named(&Acts::default()),
        ["line 7: `services.web.ssh` does not act yet: this program has no ssh target; `up` refuses it"]
    );
}

#[test]
fn what_does_not_act_yet_is_named() {
    let mut out = String::new();
    for (file, text) in MANIFESTS {
        let manifest = manifest::parse(file, text).unwrap_or_else(|problems| panic!("{problems}"));
        writeln!(out, "{file}").expect("a string");
        for not_yet in manifest::acting::not_yet(&manifest, &on_servers()) {
            writeln!(out, "  {not_yet}").expect("a string");
        }
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!("not_yet", out) });
}

#[test]
fn the_schema_changes_only_on_purpose() {
    insta::with_settings!({ omit_expression => true }, { insta::assert_json_snapshot!("schema", manifest::schema()) });
}

#[test]
fn an_overriding_probe_of_another_type_replaces() {
    let environment = resolve_with(text_of("gaia.toml"), "production", &[]);
    let probe = service(&environment, "nats")
        .health
        .values()
        .next()
        .expect("a probe");
    assert_eq!(
        probe.kind,
        ProbeKind::Tcp(manifest::Template::text("gaia-nats-production.fly.dev:4222"))
    );
    assert_eq!(
        probe.expect.status, None,
        "what was expected of http does not hold for tcp"
    );
    assert_eq!(probe.healthy_for, Duration::from_secs(20), "the times stay");
    let chat = service(&environment, "chat");
    assert_eq!(
        (chat.kind(), chat.bake),
        (TargetKind::Fly, Duration::from_mins(10))
    );
    let TargetConfig::Fly(fly) = &chat.target else {
        panic!("fly")
    };
    assert_eq!((fly.app.as_str(), fly.count), ("gaia-chat-production", Some(2)));
    assert_eq!(
        fly.token
            .iter()
            .flat_map(deploy_core::manifest::Template::secrets)
            .map(VarName::as_str)
            .collect::<Vec<_>>(),
        ["FLY_API_TOKEN"]
    );
}

#[test]
fn defaults_of_another_kind_are_passed_over() {
    let environment = resolve_with(text_of("gaia.toml"), "local", &[]);
    let gateway = service(&environment, "gateway");
    assert_eq!(gateway.kind(), TargetKind::Compose);
    assert_eq!(
        gateway.strategy.kind,
        StrategyKind::Recreate,
        "rolling is nothing that compose can do"
    );
    assert!(gateway.health.is_empty(), "switched off here");
    let asset = service(&environment, "asset");
    let TargetConfig::Compose(compose) = &asset.target else {
        panic!("compose")
    };
    assert_eq!(compose.service.as_deref(), Some("asset-service"));
    // The environment's own variable is nearer than a reference for all environments.
    let url = &asset.vars[&VarName::new("DATABASE_URL").expect("a name")];
    assert_eq!(url.literal(), Some("postgresql://postgres:postgres@db:5432/gaia"));
    assert!(asset.secrets.is_empty());
}

#[test]
fn layers_merge_and_variables_choose() {
    let text = text_of("polydev.toml");
    let production = resolve_with(text, "production", &[]);
    let controller = service(&production, "controller");
    assert_eq!(
        (controller.strategy.kind, controller.strategy.ports),
        (StrategyKind::Rolling, Some((4000, 4001)))
    );
    assert_eq!(
        controller.health.values().next().map(|probe| probe.deadline),
        Some(Duration::from_secs(30))
    );
    assert!(
        service(&production, "agent").health.is_empty(),
        "settings without a probe are none"
    );
    assert!(service(&production, "schema").health.is_empty());
    assert_eq!(
        service(&production, "image").strategy.steps[1].to,
        Amount::Percent(50)
    );
    assert_eq!(
        service(&production, "controller").on_failure,
        manifest::OnFailure::Rollback
    );
    let HostAddress::Ssh(ssh) = &production.hosts.values().next().expect("a host").address else {
        panic!("ssh")
    };
    assert_eq!(ssh.to_string(), "root@203.0.113.10");
    let caller = [
        ("ROLLBACK_ON_FAILURE", "false"),
        ("HEALTH_CHECK_TIMEOUT", "90"),
        ("DEPLOY_STRATEGY", "all-at-once"),
    ];
    let chosen = resolve_with(text, "production", &caller);
    let controller = service(&chosen, "controller");
    assert_eq!(controller.on_failure, manifest::OnFailure::Hold);
    assert_eq!(controller.strategy.kind, StrategyKind::AllAtOnce);
    assert_eq!(
        service(&chosen, "image").strategy.kind,
        StrategyKind::Canary,
        "the service's own stays"
    );
    assert_ne!(
        manifest::config_version(&chosen),
        manifest::config_version(&production)
    );

    let development = resolve_with(text, "development", &[]);
    assert_eq!(development.disabled.len(), 2);
    let controller = service(&development, "controller");
    assert!(
        controller.needs.is_empty() && controller.dropped_needs.len() == 1 && controller.secrets.is_empty()
    );
    let TargetConfig::Ssh(ssh) = &controller.target else {
        panic!("ssh")
    };
    assert_eq!(ssh.path.literal(), Some("/tmp/polydev/master-controller"));
    assert_eq!(
        controller.content,
        Content::Source(manifest::RelPath::new("master-controller/").expect("a path"))
    );
    assert_eq!(development.hosts_of(controller).len(), 1);
}

#[test]
fn tables_merge_within_a_probe() {
    let production = resolve_with(text_of("aider-service.toml"), "production", &[]);
    let probe = service(&production, "aider-service")
        .health
        .values()
        .next()
        .expect("a probe");
    assert_eq!(
        probe.expect.status.as_ref().map(|status| status.0.as_slice()),
        Some(&[200][..])
    );
    assert_eq!(probe.expect.json.len(), 2);
    assert!(
        matches!(probe.expect.json.values().next(), Some(JsonExpect::Within(bounds)) if bounds.min == Some(3.0))
    );
    let version = probe.version.as_ref().expect("a version");
    let facts = Facts::from([(Fact::Version, "1.2.3".to_owned())]);
    assert_eq!(version.equals.expand(&facts).as_deref(), Ok("1.2.3"));
    assert!(version.equals.expand(&Facts::new()).is_err());
}

#[test]
fn variables_later_wins() {
    let text = "[project]\nname = \"p\"\n[vars]\nA = \"project\"\nB = \"project\"\nC = \"project\"\nD = \"project\"\nE = \"project\"\n\
        [secrets]\nS = { env = \"S\" }\nT = { env = \"T\" }\n\
        [environments.e]\nhosts.h.local = true\nvars = { C = \"environment\", D = \"environment\", E = \"environment\", S = \"plain\" }\n\
        secrets.U = { file = \"u\" }\n\
        [services.s]\nsecrets = [\"T\", \"U\", \"V\"]\nssh = { source = \".\", path = \"/x/${CALLER}/$${A}\" }\nvars = { D = \"service\", E = \"service\" }\n\
        [environments.e.services.s]\nvars.E = \"here, ${A}\"\n";
    let manifest = manifest::parse("deploy.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let env_file = manifest::parse_env_file("e", "B=file\nC=file\nT=file\n").expect("an env file");
    let caller = |name: &str| ["CALLER", "A", "V"].contains(&name).then(|| "caller".to_owned());
    let name = EnvName::new("e").expect("a name");
    let environment = manifest
        .resolve(&name, &env_file, &caller)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let service = service(&environment, "s");
    let shown: Vec<_> = service
        .vars
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        shown,
        [
            "A=project",
            "B=file",
            "C=environment",
            "CALLER=caller",
            "D=service",
            "E=here, project",
            "S=plain"
        ]
    );
    let secrets: Vec<_> = service
        .secrets
        .iter()
        .map(|(name, from)| format!("{name}: {from}"))
        .collect();
    assert_eq!(secrets, ["T: env T", "U: file u", "V: env V"]);
    assert!(
        !environment
            .secrets
            .values()
            .any(|from| *from == SecretRef::Env("S".to_owned())),
        "hidden here"
    );
    let TargetConfig::Ssh(ssh) = &service.target else {
        panic!("ssh")
    };
    assert_eq!(ssh.path.literal(), Some("/x/caller/${A}"));
}

#[test]
fn every_merged_value_says_where_it_came_from() {
    let environment = resolve_with(text_of("reference.toml"), "production", &[]);
    let lines: Vec<_> = environment
        .settings
        .iter()
        .map(|setting| format!("{} = {}  # {}", setting.key, setting.value, setting.origin))
        .collect();
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!("settings", lines.join("\n")) });
}

fn mutated() -> impl Strategy<Value = String> {
    let cut = (
        0..MANIFESTS.len(),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        ".{0,12}",
    );
    cut.prop_map(|(which, from, to, instead)| {
        let chars: Vec<char> = MANIFESTS[which].1.chars().collect();
        let (from, to) = (from.index(chars.len()), to.index(chars.len()));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 40));
        chars[..from].iter().collect::<String>() + &instead + &chars[to..].iter().collect::<String>()
    })
}

/// Whatever the text: an answer, and problems that lie in it.
fn read(text: &str) -> Result<(), TestCaseError> {
    match manifest::parse("deploy.toml", text) {
        Ok(manifest) => {
            manifest::acting::not_yet(&manifest, &on_servers());
            for name in manifest.environments() {
                if let Err(problems) = manifest.resolve(name, &BTreeMap::new(), &|_| None) {
                    prop_assert!(!problems.is_empty());
                }
            }
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            for problem in problems.iter() {
                prop_assert!(problem.line as usize <= text.split('\n').count());
                prop_assert!(!problem.to_string().chars().any(|c| c.is_control() && c != '\n'));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}") {
        read(&text)?;
    }

    #[test]
    fn no_mutation_makes_it_panic(text in mutated()) {
        read(&text)?;
    }

    /// A key's value is the one of the highest layer that sets it; layers that set nothing change nothing.
    #[test]
    fn the_highest_layer_wins(layers in prop::array::uniform4(prop::option::of(1u32..1000))) {
        let bake = |at: usize| layers[at].map(|secs| format!("bake = \"{secs}s\"\n")).unwrap_or_default();
        let text = format!(
            "[project]\nname = \"p\"\n[environments.e]\nhosts.h.local = true\n[environments.other]\nhosts.h.local = true\n\
             [defaults]\n{}[environments.e.defaults]\n{}[services.s]\nssh = {{ source = \".\", path = \"/x\" }}\n{}\
             [environments.e.services.s]\n{}",
            bake(0), bake(1), bake(2), bake(3),
        );
        let expected = |layers: &[Option<u32>]| Duration::from_secs(layers.iter().flatten().last().map_or(0, |secs| u64::from(*secs)));
        prop_assert_eq!(service(&resolve_with(&text, "e", &[]), "s").bake, expected(&layers));
        prop_assert_eq!(service(&resolve_with(&text, "other", &[]), "s").bake, expected(&[layers[0], layers[2]]));
    }

    /// A literal text comes back from its written form, whatever dollars and braces it holds.
    #[test]
    fn templates_survive_being_stored(text in "[${}a-zA-Z:-]{0,24}") {
        let template = manifest::Template::text(text.as_str());
        let stored = serde_json::to_string(&template).expect("JSON");
        let back: manifest::Template = serde_json::from_str(&stored).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(back.literal(), Some(text.as_str()));
    }
}

#[test]
fn gates_are_resolved() {
    let production = resolve_with(text_of("reference.toml"), "production", &[]);
    let freeze = production.freezes.values().next().expect("a freeze");
    let manifest::FreezeWindow::Weekly { from, to } = &freeze.window else {
        panic!("weekly")
    };
    assert_eq!(
        (from.to_string(), to.to_string()),
        ("Fri 16:00".to_owned(), "Mon 08:00".to_owned())
    );
    assert_eq!(
        (from.minute_of_week(), freeze.tz.as_str()),
        (4 * 1440 + 960, "Europe/Berlin")
    );
    let evidence: Vec<_> = production
        .checklist
        .before
        .values()
        .map(|item| item.evidence.is_some())
        .collect();
    assert_eq!(evidence, [false, true]);
    assert!(production.confirm.deploy && production.confirm.rollback);

    let text = text_of("minimal.toml").to_owned()
        + "[environments.production.freeze.holidays]\nfrom = 2026-12-24T00:00:00\nto = \"2026-12-27 00:00\"\ntz = \"Europe/Berlin\"\n\
           [environments.next]\nafter = [\"production\"]\nhosts.h.local = true\n\
           [environments.production.checklist]\nafter.works = \"It works\"\nbefore = \"not a phase\"\n";
    let production = resolve_with(&text, "production", &[]);
    let holidays = &production.freezes.values().next().expect("a freeze").window;
    let manifest::FreezeWindow::Once { from, to } = holidays else {
        panic!("once")
    };
    assert_eq!(
        (from.to_string(), to.to_string()),
        (
            "2026-12-23T23:00:00.000Z".to_owned(),
            "2026-12-26T23:00:00.000Z".to_owned()
        ),
        "local time of the zone"
    );
    assert_eq!(production.checklist.before.len(), 1);
    let next = resolve_with(&text, "next", &[]);
    assert_eq!(
        next.inherited_checklist
            .values()
            .map(BTreeMap::len)
            .sum::<usize>(),
        1,
        "`after` gates the next"
    );
}

#[test]
fn what_up_refuses_is_known_with_the_variables() {
    let text = text_of("polydev.toml");
    let manifest = manifest::parse("deploy.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let refused = |caller: &[(&str, &str)]| -> Vec<String> {
        let environment = resolve_with(text, "development", caller);
        let found = manifest::acting::not_yet_in(&manifest, &environment, &on_servers());
        found
            .into_iter()
            .filter(|one| one.weakens_gate)
            .map(|one| one.key)
            .collect()
    };
    assert_eq!(refused(&[]), ["services.controller.analysis.errors"]);
    assert_eq!(
        refused(&[("DEPLOY_STRATEGY", "blue-green")]),
        [
            "services.controller.strategy.kind",
            "services.frontend.strategy.kind",
            "services.controller.analysis.errors"
        ],
        "the agent has no ports and stays at rolling"
    );
}

/// One project whose services, checks and environments say what is in question.
fn named_in(text: &str) -> String {
    let manifest = manifest::parse("deploy.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let found = manifest::acting::not_yet(&manifest, &on_servers());
    found
        .iter()
        .fold(String::new(), |text, one| text + &one.to_string() + "\n")
}

#[test]
fn keys_that_would_be_dropped_silently_are_named() {
    let text = r#"[project]
name = "shop"
[checks.scan]
fail_on = "high"
[checks.lint]
fail_on = "low"
[services.web.ssh]
source = "web/"
path = "live/web"
[services.web.hooks.assets]
at = "build"
command = "make assets"
[services.web.hooks.install]
at = "prepare"
command = "npm ci"
[services.web.strategy]
kind = "canary"
max_failures = 1
steps = [{ to = 1, for = "5m" }]
[environments.development]
hosts.here.local = true
[environments.production]
after = ["development"]
checks = ["scan"]
hosts.here.local = true
"#;
    insta::assert_snapshot!(named_in(text), @r"
    line 4: `checks.scan.fail_on` does not act yet: findings are not judged by their severity: only whether the check passed counts; `up` refuses it
    line 6: `checks.lint.fail_on` does not act yet: findings are not judged by their severity: only whether the check passed counts
    line 11: `services.web.hooks.assets.at` does not act yet: it does not run while the artifact is built; `up` refuses it
    line 18: `services.web.strategy.max_failures` does not act yet: canary has no failure budget: the first failure turns back
    ");
    // Evidence that an item of a checklist asks for gates as well.
    let text = text.replace(
        "checks = [\"scan\"]",
        "checklist.secure = { text = \"Secure\", evidence = \"scan\" }",
    );
    assert!(named_in(&text).contains("`checks.scan.fail_on` does not act yet: findings are not judged by their severity: only whether the check passed counts; `up` refuses it"), "{}", named_in(&text));
}

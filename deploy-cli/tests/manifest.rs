//! Manifests that are wrong, and what is said about those that are right. Nothing here needs a state, a checkout or a network.

mod common;

use common::{Home, LOCAL};
use insta::assert_snapshot;
use std::os::unix::ffi::OsStrExt as _;

fn check(manifest: &str) -> String {
    Home::with(&[("deploy.toml", manifest)]).run(&["check"])
}

#[test]
fn no_manifest() {
    assert_snapshot!(Home::new().run(&["check"]), @r#"
    exit 2
    --- stderr
    error: there is no deploy.toml in [home]/project, nor in a folder above it [DPL0001]
      next     go to the project's folder, or name the file: -f FILE; deploy init writes a first one here
    "#);
}

#[test]
fn not_utf8() {
    let home = Home::new();
    home.write("deploy.toml", b"[project]\nname = \"sh\xffop\"\n");
    assert_snapshot!(home.run(&["check"]), @r#"
    exit 2
    --- stderr
    error: deploy.toml is not UTF-8: byte 20 cannot be read [DPL0001]
      next     save it as UTF-8
    "#);
}

#[test]
fn ten_megabytes() {
    let home = Home::new();
    home.write("deploy.toml", &vec![b'#'; 10 << 20]);
    assert_snapshot!(home.run(&["check"]), @r#"
    exit 2
    --- stderr
    error: deploy.toml is larger than 256 KiB [DPL0001]
      next     is it the right file? -f FILE names another
    "#);
}

#[test]
fn empty() {
    assert_snapshot!(check(""), @r#"
    exit 2
    --- stderr
    deploy.toml:1:1: no environments: there is nothing to deploy
        1 | 
          | ^ add `[environments.production]`
    deploy.toml:1:1: no services: there is nothing to deploy
        1 | 
          | ^ add `[services.web]`
    deploy.toml:1:1: the manifest has no `project`
        1 | 
          | ^ add `project = …`
    error: 3 problems in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn not_toml() {
    assert_snapshot!(check("[project\nname = \"shop\"\n"), @r#"
    exit 2
    --- stderr
    deploy.toml:1:9: not TOML: unclosed table
        1 | [project
          |         ^ write `]` right after the table's name; its parts are joined by dots
    error: a problem in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn an_unknown_key_and_a_wrong_type_at_once() {
    let text = LOCAL
        .replace("healthy_for = \"1s\"", "helthy_for = \"1s\"")
        .replace("name = \"shop\"", "name = 7");
    assert_snapshot!(check(&text), @r#"
    exit 2
    --- stderr
    deploy.toml:2:8: `name` is a number
        2 | name = 7
          |        ^ write another name
    deploy.toml:10:1: unknown key `helthy_for` in [services.web.health.ready]
       10 | helthy_for = "1s"
          | ^^^^^^^^^^ did you mean `healthy_for`?
    error: 2 problems in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn a_circle_of_environments() {
    let text = LOCAL.replace(
        "[environments.development.hosts]",
        "[environments.development]\nafter = [\"production\"]\n[environments.development.hosts]",
    );
    assert_snapshot!(check(&text), @r#"
    exit 2
    --- stderr
    deploy.toml:16:10: `after` goes round in a circle: development → production → development
       16 | after = ["development"]
          |          ^^^^^^^^^^^^^ remove one of these
    error: a problem in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn a_circle_of_needs() {
    let text = LOCAL.replace(
        "[services.web.ssh]",
        "[services.web]\nneeds = [\"web\"]\n[services.web.ssh]",
    );
    assert_snapshot!(check(&text), @r#"
    exit 2
    --- stderr
    deploy.toml:6:10: `needs` goes round in a circle: web → web
        6 | needs = ["web"]
          |          ^^^^^ remove one of these
    error: a problem in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn an_unsupported_strategy() {
    let text = LOCAL.replace(
        "[services.web.health.ready]",
        "[services.web.strategy]\nkind = \"bluegreen\"\n[services.web.health.ready]",
    );
    assert_snapshot!(check(&text), @r#"
    exit 2
    --- stderr
    deploy.toml:9:8: `bluegreen` is not known here; did you mean `blue-green`?
        9 | kind = "bluegreen"
          |        ^^^^^^^^^^^ write one of rolling, blue-green, canary, recreate, all-at-once
    error: a problem in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn an_unset_variable() {
    let text = LOCAL.replace("\"live\"", "\"${PLACE}/live\"");
    let home = Home::with(&[("deploy.toml", &text)]);
    assert_snapshot!(home.run(&["check", "-e", "development"]), @r#"
    exit 2
    --- stderr
    deploy.toml:7:8: `PLACE` is not set
        7 | path = "${PLACE}/live"
          |        ^^^^^^^^^^^^^^^ set it in [environments.development.vars], in the caller's environment, or give a default: `${PLACE:-…}`
    error: a problem in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn every_environment_is_checked_and_named() {
    let text = LOCAL
        .replace("\"live\"", "\"${PLACE}/live\"")
        .replace("\"live-production\"", "\"${WHERE}/live\"")
        .replace("healthy_for = \"1s\"", "healthy_for = \"${WINDOW}\"");
    let home = Home::with(&[("deploy.toml", &text)]);
    assert_snapshot!(home.run(&["check"]), @r#"
    exit 2
    --- stderr
    deploy.toml:7:8: `PLACE` is not set, in development
        7 | path = "${PLACE}/live"
          |        ^^^^^^^^^^^^^^^ set it in [environments.development.vars], in the caller's environment, or give a default: `${PLACE:-…}`
    deploy.toml:10:15: `WINDOW` is not set, in development, production
       10 | healthy_for = "${WINDOW}"
          |               ^^^^^^^^^^^ set it in [environments.development.vars], in the caller's environment, or give a default: `${WINDOW:-…}`
    deploy.toml:19:8: `WHERE` is not set, in production
       19 | path = "${WHERE}/live"
          |        ^^^^^^^^^^^^^^^ set it in [environments.production.vars], in the caller's environment, or give a default: `${WHERE:-…}`
    error: 3 problems in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
    // What the caller's environment brings is set.
    let mut command = home.command(&["check"]);
    command.env("PLACE", "a").env("WHERE", "b").env("WINDOW", "1s");
    assert!(home.show(&mut command).starts_with("exit 0\n"));
}

#[test]
fn two_services_in_one_folder() {
    let text = LOCAL.replace(
        "[environments.development.hosts]",
        "[services.api.ssh]\nsource = \".\"\npath = \"./live/\"\n[environments.development.hosts]",
    );
    assert_snapshot!(check(&text), @r#"
    exit 2
    --- stderr
    deploy.toml:7:8: api and web are both in live on here, in development
        7 | path = "live"
          |        ^^^^^^ give each service a folder of its own, beside the other's
    deploy.toml:13:8: api of development and api of production are both in live on there: what changes one environment changes the other, past its gates
       13 | path = "./live/"
          |        ^^^^^^^^^ put the environment into the path, as in `path = "${environment}/live"`, or give each environment a host of its own
    error: 2 problems in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn a_fact_in_a_command() {
    let text = LOCAL
        .replace(
            "path = \"live\"",
            "path = \"live\"\nrestart = \"bin/restart ${environment} $HOME ${USER:-x}\"",
        )
        .replace("command = \"true\"", "command = [\"bin/healthy\", \"${host}\"]");
    assert_snapshot!(check(&text), @r#"
    exit 2
    --- stderr
    deploy.toml:8:11: `${environment}` in a command is not filled in, and the shell knows no such variable, in development, production
        8 | restart = "bin/restart ${environment} $HOME ${USER:-x}"
          |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ write `$DEPLOY_ENVIRONMENT`
    deploy.toml:10:11: `${host}` in a command is not filled in, and the shell knows no such variable, in development, production
       10 | command = ["bin/healthy", "${host}"]
          |           ^^^^^^^^^^^^^^^^^^^^^^^^^^ write `$DEPLOY_HOST`
    error: 2 problems in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
    // What a shell makes of `$` is its own business, and so is a variable that the command sets.
    let shells = "for host in a b; do echo ${host} $host ${hosts} ${#} ${service%x} $(id) $${tag}; done; url=x; echo ${url}";
    let fine = LOCAL.replace(
        "path = \"live\"",
        &format!("path = \"live\"\nrestart = '''{shells}'''"),
    );
    assert!(check(&fine).starts_with("exit 0\n"), "{}", check(&fine));
}

#[test]
fn a_service_of_which_nothing_proves_the_version() {
    let text = LOCAL.replace("path = \"live\"", "path = \"live\"\nrestart = \"bin/restart\"");
    assert_snapshot!(check(&text), @r#"
    exit 0
    --- stdout
    ✓ deploy.toml: shop is valid (development → production)
      ! web: no probe has `version`: after a restart that did nothing the release before answers, and it looks like success; add under [services.web.health.ready]: version = { json = "/version", equals = "${version}" }
    "#);
    let (answer, code) = Home::with(&[("deploy.toml", &text)]).json(&["check", "--json"]);
    assert_eq!(code, 0);
    assert_eq!(answer["unproven"][0]["service"], "web");
    assert_eq!(answer["unproven"][1]["environment"], "production");
}

#[test]
fn a_service_that_nobody_asks_how_it_is() {
    let (probe, _) = LOCAL.split_once("[services.web.health.ready]").expect("a probe");
    let (_, rest) = LOCAL.split_once("healthy_for = \"1s\"\n").expect("its last key");
    let text = format!("{probe}{rest}");
    assert_snapshot!(check(&text), @r#"
    exit 0
    --- stdout
    ✓ deploy.toml: shop is valid (development → production)
      ! web: no health check: that it serves is what the platform says, and nobody asks it; add under [services.web.health.ready]: http = "http://localhost:PORT/PATH"
    "#);
    let (answer, _) = Home::with(&[("deploy.toml", &text)]).json(&["check", "--json"]);
    assert_eq!(answer["unproven"][0]["lacks"], "health");
}

#[test]
fn a_program_gets_every_problem() {
    let home = Home::with(&[("deploy.toml", &LOCAL.replace("healthy_for", "helthy_for"))]);
    let (answer, code) = home.json(&["check", "--json"]);
    assert_eq!((answer["schema"].as_str(), code), (Some("deploy.error/1"), 2));
    assert_eq!(answer["failure"]["code"], "DPL0002");
    assert_eq!(answer["problems"][0]["line"], 10);
}

#[test]
fn valid() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    assert_snapshot!(home.run(&["check"]), @r#"
    exit 0
    --- stdout
    ✓ deploy.toml: shop is valid (development → production)
    "#);
    assert_snapshot!(home.run(&["check", "--json"]), @r#"
    exit 0
    --- stdout
    {"schema":"deploy.check/1","valid":true,"project":"shop","environments":["development","production"],"not_yet_acting":[],"to_fill_in":[],"unproven":[]}
    "#);
}

#[test]
fn files_that_are_not_there() {
    let text = LOCAL.replace("source = \".\"", "source = \"aap\"").replace(
        "[environments.production]",
        "[artifacts.app]\nbuild = \"make\"\ndir = \"deploy.toml\"\noutput = \"out\"\n\
             [environments.production]\nenv_file = \"production.env\"\nssh_config = \"app\"",
    );
    let home = Home::with(&[("deploy.toml", &text), ("app/server.js", "")]);
    assert_snapshot!(home.run(&["check"]), @r#"
    exit 2
    --- stderr
    deploy.toml:6:10: there is no folder `aap`
        6 | source = "aap"
          |          ^^^^^ name a folder of the project; `.` is all of it
    deploy.toml:15:7: `deploy.toml` is a file, and a folder is wanted
       15 | dir = "deploy.toml"
          |       ^^^^^^^^^^^^^ name a folder of the project; `.` is all of it
    deploy.toml:18:12: there is no file `production.env`
       18 | env_file = "production.env"
          |            ^^^^^^^^^^^^^^^^ write it, with `NAME=value` lines, or remove `env_file`
    deploy.toml:19:14: `app` is a folder, and a file is wanted
       19 | ssh_config = "app"
          |              ^^^^^ write it, or remove `ssh_config`: ~/.ssh/config holds too
    error: 4 problems in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn what_init_left_to_fill_in_is_named() {
    let text = LOCAL.replace(
        "[environments.production]",
        "[environments.staging.hosts]\nstaging-1 = { ssh = \"deploy@server.example\" }\n[environments.staging.services.web.ssh]\npath = \"/opt/shop\"\n[environments.production]",
    );
    assert_snapshot!(check(&text), @r#"
    exit 0
    --- stdout
    ✓ deploy.toml: shop is valid (development → production → staging)
      ! line 14: `environments.staging.hosts.staging-1.ssh` is to be filled in: deploy@server.example stands for a server of yours; write its address
    "#);
    let (answer, _) = Home::with(&[("deploy.toml", &text)]).json(&["check", "--json"]);
    assert_eq!(
        answer["to_fill_in"][0]["key"],
        "environments.staging.hosts.staging-1.ssh"
    );
}

#[test]
fn a_test_touches_nothing() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    let mut command = home.command(&["check", "--test"]);
    // Neither git nor anything else could be started.
    assert!(
        home.show(command.env("PATH", "/nonexistent"))
            .starts_with("exit 0\n")
    );
    let files: Vec<_> = std::fs::read_dir(home.project())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(files, ["deploy.toml"]);
}

#[test]
fn what_does_not_act_yet_is_named() {
    let text = LOCAL.replace(
        "[environments.production]",
        "[environments.production]\nprometheus = \"http://metrics.example\"",
    );
    assert_snapshot!(check(&text), @r#"
    exit 0
    --- stdout
    ✓ deploy.toml: shop is valid (development → production)
      ! line 14: `environments.production.prometheus` does not act yet: metrics are not asked
    "#);
}

#[test]
fn configuration_with_where_it_came_from() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    assert_snapshot!(home.run(&["config", "-e", "production", "services.web.ssh"]), @r#"
    exit 0
    --- stdout
    KEY                      VALUE            FROM
    services.web.ssh.path    live-production  deploy.toml:19
    services.web.ssh.source  .                deploy.toml:6
    "#);
    assert_snapshot!(home.run(&["config", "-e", "production", "services.web.shs"]), @r#"
    exit 2
    --- stderr
    error: there is no key `services.web.shs` [DPL0003]
      next     deploy config -e production
    "#);
}

#[test]
fn a_secret_is_in_no_answer() {
    let text = format!(
        "{LOCAL}[environments.production.secrets]\nTOKEN = {{ env = \"SHOP_TOKEN\" }}\n[services.web]\nsecrets = [\"TOKEN\"]\n"
    );
    let home = Home::with(&[("deploy.toml", &text)]);
    for args in [
        &["config", "-e", "production"][..],
        &["config", "-e", "production", "--json"],
        &["check", "-e", "production", "-v"],
    ] {
        let answer = home.show(home.command(args).env("SHOP_TOKEN", "swordfish-7"));
        assert!(
            answer.starts_with("exit 0\n") && !answer.contains("swordfish"),
            "{answer}"
        );
    }
}

#[test]
fn a_key_is_explained() {
    let home = Home::new();
    assert_snapshot!(home.run(&["explain", "services.web.bake"]), @r#"
    exit 0
    --- stdout
    services.*.bake  a string, a number

    How long it is watched after the commit point; a failure meanwhile still turns
    back.

    Example:  bake = "2m"
    "#);
    assert_snapshot!(home.run(&["explain", "services.web.bkae"]), @r#"
    exit 2
    --- stderr
    error: the manifest has no key `services.web.bkae` [DPL0003]
      next     did you mean `bake`?
    "#);
}

#[test]
fn a_code_is_explained() {
    let home = Home::new();
    assert_snapshot!(home.run(&["explain", "dpl0102"]), @r#"
    exit 0
    --- stdout
    DPL0102 the work tree has uncommitted changes

    What is deployed must be what is committed. Commit or stash, or say
    `--allow-dirty`: the release is then made from the commit alone, without the
    changes.
    "#);
    assert_snapshot!(home.run(&["explain", "DPL9999"]), @r#"
    exit 2
    --- stderr
    error: there is no code DPL9999 [DPL0003]
      next     codes are DPL0001 to DPL0901
    "#);
}

#[test]
fn the_schema_is_json_and_knows_the_keys() {
    let output = Home::new().command(&["schema"]).output().expect("it runs");
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for key in ["project", "services", "environments", "artifacts"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

#[test]
fn every_shell_gets_a_script_and_every_command_a_page() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = home.run(&["completions", shell]);
        assert!(
            text.starts_with("exit 0\n") && text.contains("rollback"),
            "{shell}"
        );
    }
    assert!(home.run(&["man"]).contains("deploy"));
    assert_snapshot!(home.run(&["man", "--dir", "pages"]), @r#"
    exit 0
    --- stdout
    ✓ 38 pages written to pages
    "#);
    let page = home.read("pages/deploy-up.1");
    assert!(page.contains(".TH") && page.contains("allow"), "{page}");
}

#[test]
fn a_service_inside_another_and_environments_in_one_place() {
    let text = LOCAL
        .replace(
            "[environments.development.hosts]",
            "[services.api.ssh]\nsource = \".\"\npath = \"live/current/api\"\n[environments.development.hosts]",
        )
        .replace("\"live-production\"", "\"live\"");
    assert_snapshot!(check(&text), @r#"
    exit 2
    --- stderr
    deploy.toml:13:8: api of development and api of production are both in live/current/api on there: what changes one environment changes the other, past its gates
       13 | path = "live/current/api"
          |        ^^^^^^^^^^^^^^^^^^ put the environment into the path, as in `path = "live/current/${environment}/api"`, or give each environment a host of its own
    deploy.toml:13:8: api is in live/current/api on here, and live/current belongs to web, in development
       13 | path = "live/current/api"
          |        ^^^^^^^^^^^^^^^^^^ give each service a folder of its own, beside the other's
    deploy.toml:13:8: api is in live/current/api on there, and live/current belongs to web, in production
       13 | path = "live/current/api"
          |        ^^^^^^^^^^^^^^^^^^ give each service a folder of its own, beside the other's
    deploy.toml:22:8: web of development and web of production are both in live on there: what changes one environment changes the other, past its gates
       22 | path = "live"
          |        ^^^^^^ put the environment into the path, as in `path = "${environment}/live"`, or give each environment a host of its own
    error: 4 problems in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
    // Only what the environment that is asked about is part of.
    let three = text.replace("live/current/api", "api").replace(
        "[environments.production]",
        "[environments.staging.hosts]\nother = { ssh = \"h\" }\n[environments.production]",
    );
    let home = Home::with(&[(
        "deploy.toml",
        &three
            .replace("\"live\"", "\"/x/live\"")
            .replace("\"api\"", "\"/x/api\""),
    )]);
    assert!(home.run(&["check", "-e", "staging"]).starts_with("exit 0\n"));
    assert!(home.run(&["check", "-e", "production"]).starts_with("exit 2\n"));
}

#[test]
fn what_is_almost_a_table() {
    let text = LOCAL
        .replace("[project]\nname = \"shop\"", "project = \"shop\"")
        .replace("[vars]\n", "[services.web]\nstrategy = \"rolling\"\n[vars]\n")
        .replace("\nhere = { local = true }", "\nweb-1 = \"deploy@h\"")
        .replace(
            "[services.web.health.ready]\ncommand",
            "[services.web.health]\nhttp = \"http://localhost/\"\ncommand",
        );
    assert_snapshot!(check(&text), @r#"
    exit 2
    --- stderr
    deploy.toml:1:11: `project` is a string
        1 | project = "shop"
          |           ^^^^^^ write it as a table: `[project]`, and below it `name = "shop"`
    deploy.toml:3:12: `strategy` is a string
        3 | strategy = "rolling"
          |            ^^^^^^^^^ write `strategy = { kind = "rolling" }`
    deploy.toml:10:8: `http` is a string
       10 | http = "http://localhost/"
          |        ^^^^^^^^^^^^^^^^^^^ write it into a probe, which has a name: `[services.web.health.ready]`, and below it `http = …`
    deploy.toml:11:11: `command` is a string
       11 | command = "true"
          |           ^^^^^^ write it into a probe, which has a name: `[services.web.health.ready]`, and below it `command = …`
    deploy.toml:12:15: `healthy_for` is a string
       12 | healthy_for = "1s"
          |               ^^^^ write it into a probe, which has a name: `[services.web.health.ready]`, and below it `healthy_for = …`
    deploy.toml:14:9: `web-1` is a string
       14 | web-1 = "deploy@h"
          |         ^^^^^^^^^^ write `web-1 = { ssh = "deploy@h" }`
    error: 6 problems in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
}

#[test]
fn hosts_that_nobody_is() {
    let hosts =
        |name: &str| LOCAL.replace("path = \"live\"", &format!("path = \"live\"\nhosts = \"{name}\""));
    let several = hosts("web")
        .replace(
            "here = { local = true }",
            "here = { local = true }\nweb-1 = { ssh = \"h\" }",
        )
        .replace("\"live", "\"/x/live");
    assert_snapshot!(check(&several), @r#"
    exit 2
    --- stderr
    deploy.toml:8:9: there is no host group `web`
        8 | hosts = "web"
          |         ^^^^^ did you mean `web-1`?
    error: a problem in the manifest [DPL0002]
      next     correct the manifest, then `deploy check`
    "#);
    let one = several.replace("hosts = \"web\"", "hosts = \"web-1\"");
    assert!(check(&one).starts_with("exit 0\n"), "{}", check(&one));
}

#[test]
fn a_variable_that_is_no_text_is_nobodys() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    for command in [&["check"][..], &["config", "-e", "development"]] {
        let mut run = home.command(command);
        run.env("BAD", std::ffi::OsStr::from_bytes(b"\xff"));
        let said = home.show(&mut run);
        assert!(said.starts_with("exit 0\n"), "{said}");
    }
}

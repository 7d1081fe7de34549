//! A command line that cannot be understood: what is wrong, what was probably meant, exit 2; in JSON for programs.

mod common;

use common::{Home, LOCAL};
use insta::assert_snapshot;

#[test]
fn a_command_that_is_not_there() {
    assert_snapshot!(Home::new().run(&["promot"]), @r#"
    exit 2
    --- stderr
    error: unrecognized subcommand 'promot'

      tip: a similar subcommand exists: 'promote'

    Usage: deploy [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn a_flag_that_is_not_there() {
    assert_snapshot!(Home::new().run(&["up", "--comit", "HEAD"]), @r#"
    exit 2
    --- stderr
    error: unexpected argument '--comit' found

      tip: a similar argument exists: '--commit'

    Usage: deploy up --commit <REV>

    For more information, try '--help'.
    "#);
}

#[test]
fn a_time_that_is_none() {
    assert_snapshot!(Home::new().run(&["up", "--lock-wait", "soon"]), @r#"
    exit 2
    --- stderr
    error: invalid value 'soon' for '--lock-wait <TIME>': a duration is a number with `ms`, `s`, `m`, `h` or `d`, as in `10s`

    For more information, try '--help'.
    "#);
}

#[test]
fn flags_that_contradict_each_other() {
    assert_snapshot!(Home::new().run(&["status", "--json", "--events"]), @r#"
    exit 2
    --- stdout
    {"schema":"deploy.error/1","code":2,"failure":{"code":"DPL0005","message":"the argument '--json' cannot be used with '--events'","next":"deploy --help"}}
    "#);
}

#[test]
fn a_freeze_without_a_reason() {
    assert_snapshot!(Home::new().run(&["freeze", "-e", "production"]), @r#"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      --reason <TEXT>

    Usage: deploy freeze --reason <TEXT> --environment <ENV>

    For more information, try '--help'.
    "#);
}

#[test]
fn a_program_gets_usage_errors_as_one_object() {
    assert_snapshot!(Home::new().run(&["--json", "promot"]), @r#"
    exit 2
    --- stdout
    {"schema":"deploy.error/1","code":2,"failure":{"code":"DPL0005","message":"unrecognized subcommand 'promot'","next":"a similar subcommand exists: 'promote'"}}
    "#);
    assert_snapshot!(Home::new().run(&["promot", "--events"]), @r#"
    exit 2
    --- stdout
    {"type":"result","schema":"deploy.error/1","code":2,"failure":{"code":"DPL0005","message":"unrecognized subcommand 'promot'","next":"a similar subcommand exists: 'promote'"}}
    "#);
}

#[test]
fn a_program_gets_help_as_one_object() {
    let (help, code) = Home::new().json(&["up", "--help", "--json"]);
    assert_eq!((help["schema"].as_str(), code), (Some("deploy.text/1"), 0));
    assert!(
        help["text"]
            .as_str()
            .is_some_and(|text| text.contains("Example:"))
    );
}

#[test]
fn an_environment_that_was_probably_meant() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    assert_snapshot!(home.run(&["config", "-e", "prodution"]), @r#"
    exit 2
    --- stderr
    error: there is no environment `prodution` [DPL0003]
      next     did you mean `production`?
    "#);
    assert_snapshot!(home.run(&["status", "-e", "qa"]), @r#"
    exit 2
    --- stderr
    error: there is no environment `qa` [DPL0003]
      next     one of development, production
    "#);
}

#[test]
fn a_service_that_was_probably_meant() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    assert_snapshot!(home.run(&["check", "-e", "development", "-s", "wbe"]), @r#"
    exit 2
    --- stderr
    error: there is no service `wbe` [DPL0003]
      next     did you mean `web`?
    "#);
}

#[test]
fn every_printed_help_fits_a_screen() {
    let home = Home::new();
    for name in [
        "up", "plan", "apply", "promote", "rollback", "attest", "init", "audit", "check",
    ] {
        let text = home.run(&[name, "--help"]);
        assert!(text.lines().count() <= 42 && text.contains("Example:"), "{text}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::{Command, Stdio};
    let home = Home::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_deploy"))
        .arg("schema")
        .current_dir(home.project())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn below_the_projects_folder_the_project_is_found() {
    let home = Home::with(&[("deploy.toml", LOCAL), ("app/src/page", "hello\n")]);
    let below = home.project().join("app/src");
    assert_snapshot!(home.show(home.command(&["config", "-e", "development", "project"]).current_dir(&below)), @r#"
    exit 2
    --- stderr
    error: there is no key `project` [DPL0003]
      next     deploy config -e development
    "#);
    assert_snapshot!(home.show(home.command(&["status"]).current_dir(&below)), @r#"
    exit 0
    --- stdout
    development  -  empty  never looked at
    production  -  empty  never looked at
    "#);
    assert_snapshot!(home.show(home.command(&["init"]).current_dir(&below)), @r#"
    exit 0
    --- stdout
      · nothing names a platform: taken as files on a server, by ssh
      ! still to be filled in: the port it listens on, now 3000: no source says one
      ! still to be filled in: the service's unit: `restart` runs systemctl restart src
      ! still to be filled in: the address of production's server, now deploy@server.example
    ✓ deploy.toml written
      next       fill in what is missing, then deploy check
    "#);
    assert!(below.join("deploy.toml").exists(), "it writes where one is");
}

#[test]
fn where_there_is_no_project_it_says_where_it_looked() {
    let home = Home::new();
    assert_snapshot!(home.run(&["status"]), @r#"
    exit 2
    --- stderr
    error: there is no deploy.toml in [home]/project, nor in a folder above it [DPL0001]
      next     go to the project's folder, or name the file: -f FILE; deploy init writes a first one here
    "#);
    assert_snapshot!(home.run(&["check"]), @r#"
    exit 2
    --- stderr
    error: there is no deploy.toml in [home]/project, nor in a folder above it [DPL0001]
      next     go to the project's folder, or name the file: -f FILE; deploy init writes a first one here
    "#);
    assert_snapshot!(home.run(&["-f", "other.toml", "check"]), @r#"
    exit 2
    --- stderr
    error: could not read other.toml [DPL0001]
      because  No such file or directory (os error 2)
      next     deploy init writes a first one; -f FILE names another
    "#);
}

#[test]
fn the_environment_may_be_left_out_where_there_is_one() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    assert_snapshot!(home.run(&["gates"]), @r#"
    exit 2
    --- stderr
    error: which environment? there are development, production [DPL0005]
      next     name one: -e development
    "#);
    let one = LOCAL.split("[environments.production]").next().expect("a part");
    home.write("deploy.toml", one.as_bytes());
    assert_snapshot!(home.run(&["freeze", "--reason", "fair"]), @r#"
    exit 0
    --- stdout
    ✓ development is frozen: nothing goes forward there
      next       deploy unfreeze -e development
    --- stderr
    · environment development: the only one there is
    "#);
    assert_snapshot!(home.run(&["-q", "unfreeze"]), @r#"
    exit 0
    --- stdout
    ✓ development is open again
    "#);
}

#[test]
fn the_deployment_may_be_left_out_where_there_is_one() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    assert_snapshot!(home.run(&["show"]), @r#"
    exit 2
    --- stderr
    error: nothing was deployed yet [DPL0003]
      next     deploy up
    "#);
    assert_snapshot!(home.run(&["approve"]), @r#"
    exit 2
    --- stderr
    error: no deployment waits [DPL0003]
      next     deploy status shows where each environment is
    "#);
    assert_snapshot!(home.run(&["resume"]), @r#"
    exit 2
    --- stderr
    error: no deployment is open [DPL0003]
      next     deploy history shows what happened
    "#);
    assert_snapshot!(home.run(&["cancel"]), @r#"
    exit 2
    --- stderr
    error: no deployment is open [DPL0003]
      next     deploy history shows what happened
    "#);
}

/// An answer that nobody has is no success; a reader that went away is.
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    home.run(&["freeze", "-e", "development", "--reason", "fair"]);
    let run = |args: &[&str], redirect: &str| {
        let line = format!("\"$@\" {redirect}");
        let output = std::process::Command::new("bash")
            .args(["-o", "pipefail", "-c", &line, "sh", env!("CARGO_BIN_EXE_deploy")])
            .args(args)
            .current_dir(home.project())
            .env("HOME", home.path())
            .output()
            .expect("a shell");
        (
            output.status.code(),
            String::from_utf8(output.stderr).expect("UTF-8"),
        )
    };
    let full = "error: could not write the answer: No space left on device\n";
    for args in [
        &["audit", "export"][..],
        &["audit", "export", "--json"],
        &["audit", "export", "--events"],
        &["audit", "verify"],
        &["check"],
        &["check", "--json"],
        &["config", "-e", "development"],
        &["completions", "bash"],
        &["explain", "soak"],
        &["man"],
        &["schema"],
        &["status"],
        &["history"],
        &["releases"],
        &["--help"],
        &["--version"],
    ] {
        assert_eq!(run(args, "> /dev/full"), (Some(1), full.to_owned()), "{args:?}");
        assert_eq!(run(args, "| true"), (Some(0), String::new()), "{args:?}");
    }
    // What failed besides says more.
    let (code, said) = run(&["check", "-e", "nowhere", "--json"], "> /dev/full");
    assert_eq!((code, said.as_str()), (Some(2), full));
}

#[test]
fn a_key_is_found_by_its_last_part() {
    let home = Home::new();
    let soak = home.run(&["explain", "soak"]);
    assert!(soak.contains("\nenvironments.*.soak  "), "{soak}");
    assert!(
        home.run(&["explain", "confirm"])
            .contains("\nenvironments.*.confirm  ")
    );
    assert_snapshot!(home.run(&["explain", "hosts"]), @r#"
    exit 0
    --- stdout
    hosts is a key of 4 tables:

      environments.*.hosts           The servers.
      project.records.hosts          The host group.
      services.*.golden-image.hosts  The host group that holds the image; without it, every host of the environment.
      services.*.ssh.hosts           The host group, or one host by its name; without it, every host of the environment.

    deploy explain environments.*.hosts says more
    "#);
    let (several, code) = home.json(&["explain", "hosts", "--json"]);
    assert_eq!(code, 0);
    assert_eq!(several["keys"][0]["key"], "environments.*.hosts");
    assert!(home.run(&["explain", "soook"]).starts_with("exit 2\n"));
}

//! Deploying where something is wrong before anything begins: no checkout, a dirty one, no such commit, a state that cannot be
//! used. Each says what to do, exits as promised, and changes nothing.

mod common;

use common::{Home, LOCAL};
use insta::assert_snapshot;

/// A checkout of one commit, without a state.
fn checkout() -> Home {
    checkout_of(LOCAL)
}

fn checkout_of(manifest: &str) -> Home {
    let home = Home::with(&[
        ("deploy.toml", manifest),
        (".gitignore", ".deploy/\nlive*\n"),
        ("index.html", "hello\n"),
    ]);
    home.git(&["init", "-q"]);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "Begin"]);
    home
}

fn nothing_is_live(home: &Home) {
    assert!(!home.project().join("live").exists());
}

#[test]
fn not_a_checkout() {
    let home = Home::with(&[("deploy.toml", LOCAL)]);
    assert_snapshot!(home.run(&["up", "-e", "development"]), @r#"
    exit 1
    --- stderr
    error: [home]/project is not inside a git checkout [DPL0101]
      next     git init && git add -A && git commit, then try again
    "#);
    nothing_is_live(&home);
}

#[test]
fn a_dirty_tree() {
    let home = checkout();
    home.write("index.html", b"changed\n");
    assert_snapshot!(home.run(&["up", "-e", "development"]), @r#"
    exit 1
    --- stderr
    error: index.html has changes that are not committed [DPL0102]
      next     commit or stash them; --allow-dirty deploys the commit without them
    "#);
    nothing_is_live(&home);
}

#[test]
fn a_commit_that_is_not_there() {
    let home = checkout();
    assert_snapshot!(home.run(&["up", "--commit", "0123456789abcdef0123456789abcdef01234567"]), @r#"
    exit 1
    --- stderr
    · environment development: the only one that comes first
    error: `0123456789abcdef0123456789abcdef01234567` is not in this checkout [DPL0103]
      next     git fetch origin 0123456789abcdef0123456789abcdef01234567, or name another commit
    "#);
    nothing_is_live(&home);
}

#[test]
fn a_new_state_in_ci() {
    let home = checkout();
    let mut command = home.command(&["up", "-e", "development"]);
    assert_snapshot!(home.show(command.env("CI", "true")), @r#"
    exit 1
    --- stderr
    error: a new state at [home]/project/.deploy/state.db would be lost with this CI job [DPL0205]
      next     set DEPLOY_STATE or project.state to a state that outlives the job, or say --allow-ephemeral-state
    "#);
    nothing_is_live(&home);
}

#[test]
fn a_state_that_is_damaged() {
    let home = checkout();
    home.write(
        ".deploy/state.db",
        b"this is no database, and longer than a header of one would be: ..................",
    );
    assert_snapshot!(home.run(&["status"]), @r#"
    exit 1
    --- stderr
    error: [home]/project/.deploy/state.db is not a state of deploy: it is no SQLite database [DPL0204]
      next     name another file with --state; `[home]/project/.deploy/state.db` was left as it is
    "#);
    assert_snapshot!(home.run(&["up", "-e", "development"]), @r#"
    exit 1
    --- stderr
    error: [home]/project/.deploy/state.db is not a state of deploy: it is no SQLite database [DPL0204]
      next     name another file with --state; `[home]/project/.deploy/state.db` was left as it is
    "#);
    nothing_is_live(&home);
}

#[test]
fn a_state_that_is_a_folder() {
    let home = checkout();
    home.write(".deploy/state.db/x", b"");
    assert_snapshot!(home.run(&["up", "-e", "development"]), @r#"
    exit 1
    --- stderr
    error: [home]/project/.deploy/state.db is not a state of deploy: it is not a file [DPL0204]
      next     name another file with --state; `[home]/project/.deploy/state.db` was left as it is
    "#);
    nothing_is_live(&home);
}

#[test]
fn a_state_on_another_database() {
    assert_snapshot!(checkout().run(&["status", "--state", "postgres://db/shop"]), @r#"
    exit 2
    --- stderr
    error: the state postgres is not an SQLite file [DPL0004]
      next     name a path, or sqlite:PATH
    "#);
}

#[test]
fn a_promotion_of_what_nobody_verified() {
    let home = checkout();
    assert_snapshot!(home.run(&["promote", "-e", "production", "--confirm", "production"]), @r#"
    exit 6
    --- stderr
    error: development has no verified release that could be promoted [DPL0310]
      next     deploy up -e development, then deploy promote -e production
    "#);
    nothing_is_live(&home);
}

/// What comes after something that comes after something begins at the very first.
#[test]
fn the_way_to_the_last_of_three_begins_at_the_first() {
    let staging = "[environments.staging]\nafter = [\"development\"]\n\
                   [environments.staging.hosts]\nthere = { local = true }\n\
                   [environments.staging.services.web.ssh]\npath = \"live-staging\"\n";
    let manifest = LOCAL.replace("after = [\"development\"]", "after = [\"staging\"]");
    let home = checkout_of(&format!("{manifest}{staging}"));
    let next = "deploy up -e development, then deploy promote -e staging, then deploy promote -e production";
    for command in ["promote", "up"] {
        let said = home.run(&[command, "-e", "production", "--confirm", "production"]);
        assert!(said.starts_with("exit 6\n") && said.contains(next), "{said}");
    }
    nothing_is_live(&home);
}

/// The manifest that lies there is right: it is the release that is older than the environment.
#[test]
fn a_release_that_was_made_before_there_was_the_environment() {
    let (before, production) = LOCAL.split_once("[environments.production]").expect("it has one");
    let home = checkout_of(before);
    assert!(home.run(&["up"]).starts_with("exit 0\n"));
    home.write(
        "deploy.toml",
        format!("{before}[environments.production]{production}").as_bytes(),
    );
    home.git(&["commit", "-qam", "Production"]);
    for command in ["promote", "plan"] {
        let said = home.run(&[
            command,
            "-e",
            "production",
            "--release",
            "v1",
            "--confirm",
            "production",
        ]);
        assert!(said.starts_with("exit 2\n"), "{said}");
        assert!(
            said.contains(", whose deploy.toml has no environment production yet"),
            "{said}"
        );
        let next = "next     deploy up -e development, which makes a release that knows it";
        assert!(said.contains(next), "{said}");
    }
}

#[test]
fn a_confirmation_of_something_else() {
    let home = checkout();
    assert_snapshot!(home.run(&["promote", "-e", "production", "--confirm", "staging"]), @r#"
    exit 2
    --- stderr
    error: --confirm names staging, and this is for production [DPL0005]
      next     --confirm production
    "#);
    assert_snapshot!(home.run(&["retire", "web", "-e", "production"]), @r#"
    exit 6
    --- stderr
    error: removing web from production has to be confirmed [DPL0313]
      next     --confirm production
    "#);
}

#[test]
fn nothing_was_deployed_yet() {
    let home = checkout();
    for args in [&["status"][..], &["history"], &["releases"]] {
        assert!(home.run(args).starts_with("exit 0\n"), "{args:?}");
    }
    assert!(!home.project().join(".deploy").exists(), "looking makes no state");
    assert_snapshot!(home.run(&["resume"]), @r#"
    exit 2
    --- stderr
    error: no deployment is open [DPL0003]
      next     deploy history shows what happened
    "#);
    assert_snapshot!(home.run(&["show", "01JB9QF3ZK"]), @r#"
    exit 2
    --- stderr
    error: there is no deployment 01JB9QF3ZK [DPL0003]
      next     deploy history
    "#);
}

/// All of a small life: up, the same again, what it looks like afterwards, and that what is stored reads as it did live.
#[test]
fn up_and_what_is_told_of_it_later() {
    let home = checkout();
    let live = home
        .command(&["up", "-e", "development"])
        .output()
        .expect("it runs");
    let live = String::from_utf8(live.stdout).expect("UTF-8");
    assert!(
        live.contains("v1 serves everywhere, verified") && live.contains("exit 0"),
        "{live}"
    );
    assert_eq!(home.read("live/current/index.html"), "hello\n");

    let (history, _) = home.json(&["history", "--json"]);
    let id = history["deployments"][0]["deployment"]
        .as_str()
        .expect("an id")
        .to_owned();
    let shown = home.command(&["show", &id]).output().expect("it runs");
    assert_eq!(
        String::from_utf8_lossy(&shown.stdout),
        live,
        "stored reads as it did live"
    );

    let (again, code) = home.json(&["up", "-e", "development", "--json"]);
    assert_eq!(
        (again["outcome"].as_str(), code),
        (Some("succeeded"), 0),
        "{again}"
    );
    let events = home
        .command(&["watch", &id, "--events"])
        .output()
        .expect("it runs");
    let text = String::from_utf8(events.stdout).expect("UTF-8");
    let objects: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    assert!(objects.iter().all(|object| object["type"].is_string()), "{text}");
    assert_eq!(objects.last().expect("some")["type"], "result");
    assert_eq!(objects.first().expect("some")["type"], "requested");

    let (status, _) = home.json(&["status", "--json"]);
    assert_eq!(status["environments"][0]["release"], "v1", "{status}");
    assert!(home.run(&["audit", "verify"]).starts_with("exit 0\n"));
    assert!(home.run(&["gates", "-e", "development"]).starts_with("exit 0\n"));
    let refused = home.run(&["promote", "-e", "production", "--no-input"]);
    assert!(
        refused.starts_with("exit 6\n") && refused.contains("--confirm production"),
        "{refused}"
    );
}

/// `plan --detailed-exitcode` tells a pipeline whether there is anything to do; looking again after `up`, there is not.
#[test]
fn a_plan_says_whether_there_is_something_to_change() {
    let home = checkout();
    let plan = || {
        let args = ["plan", "-e", "development", "--detailed-exitcode", "--json"];
        let (plan, code) = home.json(&args);
        (plan["changes"].clone(), code)
    };
    assert_eq!(plan(), (true.into(), 10), "nothing runs");
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    assert_eq!(plan(), (false.into(), 0));
    let text = home.run(&["plan", "-e", "development", "--out", "live.plan"]);
    assert!(text.contains("nothing to do: every slice runs it"), "{text}");
    assert!(!text.contains("wave 1"), "{text}");
    // What was looked at is what is applied, also where nothing is to be changed.
    assert!(home.run(&["apply", "live.plan"]).starts_with("exit 0\n"));

    home.write("index.html", b"hello again\n");
    home.git(&["commit", "-qam", "Say more"]);
    assert_eq!(plan(), (true.into(), 10), "another content");
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    assert_eq!(plan(), (false.into(), 0));

    home.write("live/current/index.html", b"by hand\n");
    assert_eq!(plan(), (true.into(), 10), "somebody changed what serves");
    let text = home.run(&["plan", "-e", "development"]);
    assert!(
        text.contains("changed since it was deployed: index.html"),
        "{text}"
    );
}

/// A check that could only be run for the release that one goes back to is not run: its commands, its files and its time hold nothing
/// up.
#[test]
fn a_check_does_not_hold_up_a_rollback() {
    let home = checkout();
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    let ran = home.project().join("live-ran");
    let checked = LOCAL.replace(
        "[environments.development.hosts]",
        "[environments.development]\nchecks = [\"tests\"]\n[environments.development.hosts]",
    );
    let checked = format!(
        r#"{checked}
[checks.tests]
junit = "report.xml"
command = """
echo ran >> '{}'
if test -e second; then echo '<testsuite><testcase name="a"/></testsuite>'; else echo nonsense; fi > report.xml
"""
"#,
        ran.display()
    );
    home.write("deploy.toml", checked.as_bytes());
    home.write("second", b"");
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "Check"]);
    let up = home.run(&["up", "-e", "development"]);
    assert!(up.starts_with("exit 0\n"), "{up}");
    assert_eq!(home.read("live-ran"), "ran\n", "for the second");

    let back = home.run(&["rollback", "-e", "development"]);
    assert!(back.starts_with("exit 0\n"), "{back}");
    assert_eq!(home.read("live-ran"), "ran\n", "and not for the first");
    assert!(!home.project().join("live/current/second").exists());
}

/// The records of what was deployed are ours, and hold nothing up; what somebody else puts beside them does.
#[test]
fn records_that_lie_here_are_no_change_of_anybodys() {
    let home = checkout();
    let manifest = LOCAL.replace("name = \"shop\"", "name = \"shop\"\nrecords = \"deployments\"");
    home.write("deploy.toml", manifest.as_bytes());
    home.git(&["commit", "-qam", "Keep records"]);
    for _ in 0..2 {
        let up = home.run(&["up", "-e", "development"]);
        assert!(up.starts_with("exit 0\n"), "{up}");
    }
    let records = std::fs::read_dir(home.project().join("deployments")).expect("a folder");
    assert!(records.count() >= 1);
    // Committed or not.
    home.git(&["add", "deployments"]);
    let up = home.run(&["up", "-e", "development"]);
    assert!(up.starts_with("exit 0\n"), "{up}");
    home.write("deployments/notes.txt", b"mine\n");
    let up = home.run(&["up", "-e", "development"]);
    assert!(
        up.starts_with("exit 1\n") && up.contains("deployments/notes.txt"),
        "{up}"
    );
}

#[test]
fn a_release_is_yanked_with_or_without_a_reason() {
    let home = checkout();
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    assert_snapshot!(home.run(&["yank", "v1"]), @r#"
    exit 0
    --- stdout
    ✓ v1 is barred from every environment; it still runs in development
      next       deploy rollback -e development
    "#);
    let refused = home.run(&["promote", "-e", "production", "--confirm", "production"]);
    assert!(
        refused.starts_with("exit 6\n") && refused.contains("by hand"),
        "{refused}"
    );
    assert_snapshot!(home.run(&["yank", "v1", "--undo"]), @r#"
    exit 0
    --- stdout
    ✓ v1 may be deployed again
    "#);
}

/// One who is in none of the groups says yes: it is kept, as he may be in one when it is decided, but nobody is told that it counts.
#[test]
fn an_approval_that_does_not_count_says_so() {
    let home = checkout();
    let rule = "[environments.production.approvals.release]\ncount = 1\nfrom = [\"managers\"]\n";
    let manifest =
        LOCAL.replace("confirm = true\n", "") + rule + "[groups]\nmanagers = [\"bob@shop.example\"]\n";
    home.write("deploy.toml", manifest.as_bytes());
    home.git(&["commit", "-qam", "Ask for approval"]);
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    let waits = home.run(&["promote", "-e", "production"]);
    assert!(waits.starts_with("exit 11\n"), "{waits}");
    let approved = home.run(&["approve"]);
    assert!(approved.starts_with("exit 7\n"), "{approved}");
    assert!(
        approved.contains("recorded, but it does not count as things stand: release: ")
            && approved.contains("(not in managers)"),
        "{approved}"
    );
    let (said, code) = home.json(&["approve", "--json"]);
    assert_eq!((&said["code"], code), (&7.into(), 7), "{said}");
    assert!(home.run(&["resume"]).starts_with("exit 11\n"));
}

#[test]
fn flags_that_make_no_sense_there_are_refused_by_name() {
    let home = checkout();
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    assert_snapshot!(home.run(&["promote", "-e", "production", "--allow-dirty"]), @r#"
    exit 2
    --- stderr
    error: --allow-dirty is for what makes a release of a commit, and this takes one that was made [DPL0005]
      next     leave it out
    "#);
    assert_snapshot!(home.run(&["apply", "x.plan", "--commit", "HEAD"]), @r#"
    exit 2
    --- stderr
    error: --commit is in the plan already, and `deploy apply` does exactly what it says [DPL0005]
      next     deploy plan --commit … --out FILE writes another
    "#);
    assert_snapshot!(home.run(&["apply", "x.plan", "--strategy", "recreate"]), @r#"
    exit 2
    --- stderr
    error: --strategy is in the plan already, and `deploy apply` does exactly what it says [DPL0005]
      next     deploy plan --strategy … --out FILE writes another
    "#);
    home.write("index.html", b"second\n");
    home.git(&["commit", "-qam", "Second"]);
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    let first = home.run(&[
        "rollback",
        "-e",
        "development",
        "--commit",
        "v1",
        "--reason",
        "slow",
    ]);
    assert!(first.starts_with("exit 0\n"), "{first}");
    assert_eq!(home.read("live/current/index.html"), "hello\n");
}

/// A confirmation is asked of whoever does it: it neither holds nor is in the way before.
#[test]
fn gates_and_plans_say_that_a_confirmation_will_be_asked() {
    let home = checkout();
    let confirmed = LOCAL.replace(
        "[environments.development.hosts]",
        "[environments.development]\nconfirm = true\n[environments.development.hosts]",
    );
    home.write("deploy.toml", confirmed.as_bytes());
    home.git(&["commit", "-aqm", "Ask"]);
    let plan = home.run(&["plan", "-e", "development"]);
    let last = plan.split("way back").nth(1).unwrap_or_default();
    assert!(
        last.ends_with("every other gate holds\nconfirmation: will be asked (--confirm development)\n"),
        "{plan}"
    );
    let given = home.run(&["plan", "-e", "development", "--confirm", "development"]);
    assert!(given.ends_with("every gate holds\n"), "{given}");
    let gates = home.run(&["gates", "-e", "development"]);
    assert!(
        gates.starts_with("exit 0\n")
            && gates.ends_with(
                "  ? confirmation: asked when it is done: --confirm development\n✓ every other gate holds\n"
            ),
        "{gates}"
    );
    for args in [
        ["gates", "-e", "development", "--json"],
        ["plan", "-e", "development", "--json"],
    ] {
        let (answer, code) = home.json(&args);
        assert_eq!(code, 0);
        assert_eq!(
            answer["asked"],
            serde_json::json!([{ "gate": "confirmation", "by": "--confirm development" }]),
            "{answer}"
        );
    }
}

/// Whoever is refused is not sent to approve what has ended.
#[test]
fn a_refusal_names_what_opens_it_for_the_next_request() {
    let home = checkout();
    let gated = LOCAL.replace(
        "[environments.development.hosts]",
        "[groups]\nlead = [\"bob@shop.example\"]\n[environments.development]\nbranches = [\"master\"]\n\
         checklist = { plan = \"Rollback plan ready\" }\napprovals.release = { count = 1, from = [\"lead\"] }\n[environments.development.hosts]",
    );
    home.write("deploy.toml", gated.as_bytes());
    home.git(&["commit", "-aqm", "Ask"]);
    let (answer, code) = home.json(&["up", "-e", "development", "--json"]);
    assert_eq!(
        (answer["outcome"].as_str(), code),
        (Some("refused"), 6),
        "{answer}"
    );
    let id = &answer["deployment"].as_str().expect("an id")[..10];
    let next: Vec<&str> = answer["unmet"]
        .as_array()
        .expect("some")
        .iter()
        .filter_map(|unmet| unmet["next"].as_str())
        .collect();
    assert_eq!(next.len(), 3, "{answer}");
    assert!(next.iter().all(|next| !next.contains(id)), "{id}: {next:?}");
    assert!(
        next.contains(&"deploy up -e development asks for it, then: deploy approve"),
        "{next:?}"
    );
}

#[test]
fn a_manifest_that_is_not_committed_says_what_to_do() {
    let home = checkout();
    home.git(&["rm", "-q", "--cached", "deploy.toml"]);
    home.git(&["commit", "-qm", "Forget"]);
    let said = home.run(&["up", "-e", "development", "--allow-dirty"]);
    let next = "  next     git add deploy.toml && git commit, then again: what is deployed is a commit";
    assert!(said.starts_with("exit 2\n") && said.contains(next), "{said}");
}

#[test]
fn a_service_that_is_removed_is_told_to_be() {
    let home = checkout();
    assert!(home.run(&["up", "-e", "development"]).starts_with("exit 0\n"));
    // Before anything is asked.
    assert_snapshot!(home.run(&["retire", "weeb", "-e", "development"]), @r#"
    exit 2
    --- stderr
    error: there is no service `weeb` in development [DPL0003]
      next     did you mean `web`?
    "#);
    let said = home.run(&["retire", "web", "-e", "development", "--confirm", "development"]);
    let told: Vec<&str> = said.lines().filter(|line| line.contains("remove")).collect();
    assert!(told[0].ends_with("→ development, now v1; removes web"), "{said}");
    assert!(
        said.contains("✓ web is removed: nothing serves any more · "),
        "{said}"
    );
}

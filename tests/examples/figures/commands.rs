//! What people wait for: the command itself, from its start to its end, on a project of one service on this machine.

use crate::figure::Figure;
use deploy_tests::process;
use deploy_tests::scratch::Scratch;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_mins(2);
const FILES: u32 = 200;
pub(crate) const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];

fn time(command: &mut Command) -> Duration {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().expect("it can be started");
    let spent = begun.elapsed();
    assert!(status.success(), "{command:?} ended with {status}");
    spent
}

/// `deploy --version`, in turns with a program that does nothing at all.
pub(crate) fn version(scratch: &Scratch) -> Vec<Figure> {
    let nothing = process::find("true").expect("every system has `true`");
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        least.push(time(&mut scratch.command_of(&nothing)));
        ours.push(time(&mut scratch.command(&["--version"])));
    }
    vec![
        Figure::of_times("deploy --version", &ours).goal("< 10 ms"),
        Figure::of_times("true", &least),
    ]
}

/// `deploy status` on what [`crate::journal::fill`] left.
pub(crate) fn status(scratch: &Scratch, deployments: u32) -> Vec<Figure> {
    let times: Vec<_> = (0..20).map(|_| time(&mut scratch.command(&["status"]))).collect();
    let size = std::fs::metadata(scratch.project().join(".deploy/state.db")).map_or(0, |file| file.len());
    let note = format!(
        "{deployments} deployments in three environments, {} MB",
        size / 1_000_000
    );
    vec![
        Figure::of_times("deploy status", &times)
            .goal("< 50 ms")
            .note(note),
    ]
}

/// `deploy up` where nothing changed, and where one file of many did; what it leaves is one deployment in each environment and more.
pub(crate) fn up(scratch: &Scratch) -> Vec<Figure> {
    scratch.write(".gitignore", ".deploy/\n");
    scratch.write("deploy.toml", manifest(scratch.root()));
    for number in 0..FILES {
        let text = format!("{number} {}\n", "content ".repeat(100));
        scratch.write(format!("web/pages/{number}.txt"), text);
    }
    scratch.commit("A web service");
    let deploy = |arguments: &[&str]| {
        let output = scratch.deploy_within(LIMIT, arguments);
        assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
    };
    deploy(&["up", "-e", "development"]);
    let (mut same, mut one) = (Vec::new(), Vec::new());
    for round in 0..7 {
        same.push(time(&mut scratch.command(&["up", "-e", "development"])));
        scratch.write("web/pages/7.txt", format!("changed {round}\n"));
        scratch.commit("Change a page");
        one.push(time(&mut scratch.command(&["up", "-e", "development"])));
    }
    for environment in &ENVIRONMENTS[1..] {
        deploy(&["promote", "-e", environment]);
    }
    vec![
        Figure::of_times("deploy up, nothing changed", &same),
        Figure::of_times("deploy up, one file changed", &one).note(format!(
            "{FILES} files on one host that is this machine, watched for no time"
        )),
    ]
}

/// `deploy demo`, from its first word to the last thing it takes away.
pub(crate) fn demo(scratch: &Scratch) -> Vec<Figure> {
    let (mut seconds, mut notes) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let output = scratch.deploy_within(LIMIT, &["demo", "--json"]).expect_code(0);
        let told = output.json();
        notes.push(format!(
            "{} acts, {} requests, {} failed",
            told["acts"][0], told["requests"], told["failed"]
        ));
        seconds.push(output.took.as_secs_f64());
    }
    vec![
        Figure::of("deploy demo", "s", seconds)
            .goal("< 30 s")
            .note(notes.join("; ")),
    ]
}

fn manifest(root: &Path) -> String {
    let mut text = format!(
        "[project]\nname = \"bench\"\n\n[services.web.ssh]\nsource = \"web/\"\n\
         path = \"{}/hosts/${{environment}}/web\"\nrestart = \"true\"\n",
        root.display()
    );
    let mut before = "";
    for name in ENVIRONMENTS {
        write!(text, "\n[environments.{name}]\n").expect("text takes text");
        if !before.is_empty() {
            writeln!(text, "after = [\"{before}\"]").expect("text takes text");
        }
        writeln!(text, "[environments.{name}.hosts]\nhere = {{ local = true }}").expect("text takes text");
        before = name;
    }
    text
}

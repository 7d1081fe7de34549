//! Commands that print what they were given: no value of a secret leaves the host, whoever asks and with what they know.

use super::common::{World, back, bring, claim, end, hook, shell, step};
use super::shells::{busybox, only_shell};
use crate::{Connections, HookPoint};
use deploy_core::port::target::{Certainty, Desired, Secret, Target as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const TALKS: &str = "printf '%s\\n' \"cannot log in with $TOKEN at $ADDRESS\" \"$KEY\"; echo $KEY";

/// A release with these secrets, and a variable that is none.
fn given(world: &World, number: u32, secrets: &[(&str, &str)]) -> Arc<Desired> {
    let mut to = Desired::clone(&world.release(number, &[("a", &number.to_string())]));
    to.variables = secrets
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Secret::new(*value)))
        .collect();
    to.secrets = to.variables.keys().cloned().collect();
    to.variables
        .insert("ADDRESS".to_owned(), Secret::new("db.internal"));
    Arc::new(to)
}

/// As whoever resumes has it: the names alone.
fn without_values(to: &Desired) -> Arc<Desired> {
    Arc::new(Desired {
        variables: BTreeMap::new(),
        ..to.clone()
    })
}

/// All that came of the steps.
fn told(world: &World, errors: &[deploy_core::port::target::TargetError]) -> String {
    format!("{errors:?} {:?}", world.lines.0.lock().unwrap())
}

#[tokio::test]
async fn a_restart_that_fails_shows_neither_new_nor_old_secrets() {
    let mut world = World::local();
    world.binding.restart = Some(shell(&format!(
        "[ -e \"$DEPLOY_PATH/../../works\" ] || {{ {TALKS}; exit 3; }}"
    )));
    let target = world.target();
    let works = world.dir.path().join("works");
    fs::write(&works, "").unwrap();
    let key = "-----BEGIN\nline-of-a-key\nthe-last-one";
    let first = given(&world, 1, &[("TOKEN", "old-OLDSECRET"), ("KEY", key)]);
    let (op, ..) = bring(&world, &target, 1, &first).await;
    end(&target, &op).await;
    let op = world.op(&claim(&target, 2).await.unwrap());
    let second = given(&world, 2, &[("TOKEN", "new-NEWSECRET"), ("KEY", key)]);
    let mut step = step(&target, &second).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    step.to = without_values(&second);
    fs::remove_file(&works).unwrap();
    let forward = target.activate(&op, &step).await.unwrap_err();
    let log = world.path().join(".deploy/failed.log");
    assert!(fs::read_to_string(&log).unwrap().contains("new-NEWSECRET"));
    let backward = target.restore(&op, &back(&prepared)).await.unwrap_err();
    assert!(fs::read_to_string(&log).unwrap().contains("old-OLDSECRET"));
    let expected = [
        "cannot log in with *** at db.internal",
        "***",
        "***",
        "***",
        "*** *** ***",
    ];
    assert_eq!(forward.failure.log_tail, expected);
    assert_eq!(backward.failure.log_tail, expected);
    let told = told(&world, &[forward, backward]);
    for secret in ["OLDSECRET", "NEWSECRET", "BEGIN", "line-of", "the-last"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}

/// In every moment, and as it comes.
async fn hooks_show_none(mut world: World, tools: PathBuf) {
    world.connections = Connections::with_tools(tools);
    let odd = "a\"b\\d $e`f'g*[h";
    let moments = [HookPoint::Prepare, HookPoint::Before, HookPoint::After];
    world.binding.hooks = moments
        .map(|at| {
            hook(
                &format!("{at:?}"),
                at,
                &format!("{TALKS}; printf 'end %s' \"$ODD\""),
            )
        })
        .into();
    let failing = hook("last", HookPoint::After, &format!("{TALKS}; exit 4"));
    world.binding.hooks.push(failing);
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let secrets = [
        ("TOKEN", "hunter2"),
        ("KEY", "  line one\r\nab\nline two\n"),
        ("ODD", odd),
    ];
    let to = given(&world, 1, &secrets);
    let mut step = step(&target, &to).await;
    step.checkpoint = Some(target.prepare(&op, &step).await.unwrap().checkpoint);
    step.to = without_values(&to);
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::Unknown);
    assert!(world.told("cannot log in with *** at db.internal"));
    let told = told(&world, &[error]);
    let lines = world.lines.0.lock().unwrap().clone();
    let ends = lines.iter().filter(|line| *line == "end ***").count();
    assert_eq!(ends, moments.len(), "{told}");
    for secret in ["hunter2", "line one", "line two", "*[h", "$e"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}

#[tokio::test]
async fn hooks_show_no_secret_under_dash() {
    let world = World::local();
    let tools = only_shell(&world, "dash");
    hooks_show_none(world, tools).await;
}

#[tokio::test]
async fn hooks_show_no_secret_under_bash() {
    let world = World::local();
    let tools = only_shell(&world, "bash");
    hooks_show_none(world, tools).await;
}

#[tokio::test]
async fn hooks_show_no_secret_under_busybox() {
    let world = World::local();
    let tools = busybox(&world);
    hooks_show_none(world, tools).await;
}

/// What cannot be told apart is hidden: environments written before names of secrets were kept.
#[tokio::test]
async fn an_environment_without_marks_is_all_secret() {
    let mut world = World::local();
    world.binding.restart = Some(shell(&format!("{TALKS}; exit 3")));
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let to = given(&world, 1, &[("TOKEN", "hunter2")]);
    let mut step = step(&target, &to).await;
    step.checkpoint = Some(target.prepare(&op, &step).await.unwrap().checkpoint);
    let store = world.path().join(".deploy");
    let kept = store.join("environments").join(op.claim.deployment.as_str());
    let text = fs::read_to_string(&kept).unwrap();
    let marked: BTreeSet<_> = text.lines().filter(|line| !line.ends_with(" plain")).collect();
    assert_eq!(marked, BTreeSet::from(["TOKEN =hunter2"]));
    fs::write(&kept, text.replace(" plain", "")).unwrap();
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(error.failure.log_tail, ["cannot log in with *** at ***"]);
}

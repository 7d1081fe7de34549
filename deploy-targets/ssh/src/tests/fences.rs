//! The claim and what serves are compared where the write is: they change between two steps, while a release is sent, and while a
//! hook runs.

use super::common::{World, back, bring, claim, deployment, end, hook, place, request, step};
use crate::{Failpoint, HookPoint};
use deploy_core::failure::Code;
use deploy_core::port::target::{Cause, Certainty, Op, ProgressSink, Target as _};
use deploy_tests::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Somebody takes the claim over: the epoch on the host is another one.
fn take_over(path: &Path) {
    let claim = path.join(".deploy/claim");
    let text = fs::read_to_string(&claim).unwrap();
    let epoch = text.lines().find(|line| line.starts_with("epoch ")).unwrap();
    fs::write(&claim, text.replace(epoch, "epoch 900")).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_hook_does_not_run_once_the_claim_is_lost() {
    let mut world = World::local();
    world.binding.hooks = vec![hook(
        "install",
        HookPoint::Prepare,
        "echo ran >>\"$DEPLOY_PATH/../ran\"",
    )];
    let path = world.path();
    world.binding.failpoint = Some(Failpoint(Arc::new({
        let path = path.clone();
        move |name| {
            if name == "ssh.hook.before" {
                take_over(&path);
            }
        }
    })));
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let step = step(&target, &world.release(1, &[("a", "1")])).await;
    let error = target.prepare(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.cause, error.certainty),
        (Cause::Fenced, Certainty::NotDone),
        "{error}"
    );
    assert!(!path.join("../ran").exists(), "its command ran");
}

/// Takes the claim over while a release is being sent: after the host has begun to receive it, and before its end was sent.
#[derive(Debug)]
struct TakesOverMidway(PathBuf);

impl ProgressSink for TakesOverMidway {
    fn step(&self, _: u64, _: u64, note: &str) {
        if note == "upload" {
            let aside = self.0.join(".deploy/tmp");
            wait::until(wait::PATIENCE, "the host to receive", || {
                !names(&aside).is_empty()
            });
            take_over(&self.0);
        }
    }
    fn line(&self, _: &str) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_not_put_in_place_once_the_claim_is_lost() {
    let world = World::local();
    let target = world.target();
    let op = Op {
        progress: Arc::new(TakesOverMidway(world.path())),
        ..world.op(&claim(&target, 1).await.unwrap())
    };
    let step = step(&target, &world.release(1, &[("a", "1")])).await;
    let error = target.prepare(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.cause, error.certainty),
        (Cause::Fenced, Certainty::NotDone),
        "{error}"
    );
    let nothing: Vec<String> = Vec::new();
    assert_eq!(
        names(&world.path().join("releases")),
        nothing,
        "it is in its place"
    );
    assert_eq!(names(&world.path().join(".deploy/tmp")), nothing);
}

#[tokio::test]
async fn what_changes_while_a_hook_runs_before_the_switch_is_not_overwritten() {
    let mut world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    end(&target, &op).await;
    let change = "ln -sfn /srv/other \"$DEPLOY_PATH/current\"";
    world.binding.hooks = vec![hook("early", HookPoint::Before, change)];
    let target = world.target();
    let op = world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &world.release(2, &[("a", "2")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.cause, error.certainty),
        (Cause::Overtaken, Certainty::NotDone),
        "{error}"
    );
    let current = fs::read_link(world.path().join("current")).unwrap();
    assert_eq!(current.to_str(), Some("/srv/other"));
    assert_eq!(world.restarts(), 1, "only the first release was started");
    let error = target.restore(&op, &back(&prepared)).await.unwrap_err();
    assert_eq!(error.cause, Cause::Overtaken, "going back leaves it too");
}

/// A claim that is gone is somebody's doing: it is not simply taken again.
#[tokio::test]
async fn a_claim_that_was_removed_under_a_deployment_is_not_taken_again() {
    let world = World::local();
    let target = world.target();
    bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    std::fs::remove_file(world.path().join(".deploy/claim")).unwrap();
    let mut again = request(1);
    again.may_take = vec![deployment(1)];
    let error = target.claim(&place(&target).await, &again).await.unwrap_err();
    assert_eq!(
        (error.cause, error.failure.code),
        (Cause::Held, Code::ClaimForeign),
        "{error:?}"
    );
    assert!(error.failure.message.contains("removed the claim"), "{error:?}");
    // Another one, which looks first, may begin.
    target.claim(&place(&target).await, &request(2)).await.unwrap();
}

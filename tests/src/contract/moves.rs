//! Laws of `prepare`, `activate`, `verify`, `confirm`: forward, from what was expected, once.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::port::target::{Cause, Cleanup, Runs, Target};

use super::{Ground, Stage, refused};

/// Preparing never touches what serves, and says what it will be.
pub async fn nothing_that_serves_changes_in_prepare(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let under = stage.prepare(1, &ground.release(1, "one")).await;
    assert_eq!(ground.serves(), None);
    assert_eq!(stage.runs().await, Runs::Nothing);
    assert_eq!(under.prepared.checkpoint.was, Runs::Nothing);
    stage.finish(&under.op, &Cleanup::ReleaseOnly).await;

    let was = stage.deploy(2, "two").await;
    let under = stage.prepare(3, &ground.release(3, "three")).await;
    assert_eq!(ground.serves().as_deref(), Some("two"));
    assert_eq!(stage.runs().await, was);
    assert_eq!(under.prepared.checkpoint.was, was);
    assert_ne!(under.prepared.will_be, was);
}

/// Prepared again, before the switch or after it, by whoever holds the claim then: the first checkpoint stays.
pub async fn the_checkpoint_is_taken_once(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let was = stage.deploy(1, "one").await;
    let mut under = stage.prepare(2, &ground.release(2, "two")).await;
    assert_eq!(
        stage.target.prepare(&under.op, &under.step).await.expect("again"),
        under.prepared
    );
    under.step.expect = stage
        .target
        .activate(&under.op, &under.step)
        .await
        .expect("it activates");
    let again = stage
        .target
        .prepare(&under.op, &under.step)
        .await
        .expect("after the switch");
    assert_eq!(again.checkpoint, under.prepared.checkpoint);
    assert_eq!(again.checkpoint.was, was);
    let newer = super::op(&stage.claim(2).await);
    let again = stage
        .target
        .prepare(&newer, &under.step)
        .await
        .expect("under a newer claim");
    assert_eq!(again.checkpoint, under.prepared.checkpoint);
}

/// What somebody else put there is left, before the first switch and after a later one.
pub async fn moves_only_from_what_was_expected(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    stage.deploy(1, "one").await;
    let under = stage.prepare(2, &ground.release(2, "two")).await;
    ground.change_by_hand("mine");
    let theirs = stage.runs().await;
    assert_ne!(theirs, under.step.expect, "the change shows");
    let before = ground.picture();
    refused(
        stage.target.activate(&under.op, &under.step).await,
        Cause::Overtaken,
        "over another's change",
    );
    assert_eq!(ground.serves().as_deref(), Some("mine"));
    assert_eq!(before, ground.picture());
    assert_eq!(stage.runs().await, theirs);
}

/// `verify` fails for what does not run, whatever `activate` said.
pub async fn verify_believes_the_platform(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let was = stage.deploy(1, "one").await;
    let under = stage.prepare(2, &ground.release(2, "two")).await;
    let will_be = &under.prepared.will_be;
    let verify = async |wanted: &Runs| stage.target.verify(&under.op, &stage.slice, wanted).await;
    assert!(verify(will_be).await.is_err(), "not switched yet");
    assert!(verify(&was).await.is_ok());
    stage
        .target
        .activate(&under.op, &under.step)
        .await
        .expect("it activates");
    let seen = verify(will_be).await.expect("it runs");
    assert_eq!(seen.runs.ok().as_ref(), Some(will_be));
    assert!(verify(&was).await.is_err(), "not there any more");
    assert!(verify(&Runs::Nothing).await.is_err(), "something runs");
    ground.change_by_hand("mine");
    assert!(verify(will_be).await.is_err(), "somebody else changed it");
}

/// The second time answers the same and changes nothing.
pub async fn each_verb_twice_is_once(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let was = stage.deploy(1, "one").await;
    let under = stage.prepare(2, &ground.release(2, "two")).await;
    let (op, step, target) = (&under.op, &under.step, &stage.target);
    let before = ground.picture();
    assert_eq!(target.prepare(op, step).await.expect("again"), under.prepared);
    assert_eq!(before, ground.picture(), "prepare twice");

    let first = target.activate(op, step).await.expect("it activates");
    let before = ground.picture();
    assert_eq!(target.activate(op, step).await.expect("again"), first);
    assert_eq!(before, ground.picture(), "activate twice");
    for _ in 0..2 {
        let seen = target.verify(op, &stage.slice, &first).await.expect("it runs");
        assert_eq!(seen.runs.ok().as_ref(), Some(&first));
        target.confirm(op, &stage.slice).await.expect("it confirms");
        assert_eq!(before, ground.picture(), "verify and confirm");
    }

    let back = under.back(&stage);
    assert_eq!(target.restore(op, &back).await.expect("it goes back"), was);
    let before = ground.picture();
    assert_eq!(target.restore(op, &back).await.expect("again"), was);
    assert_eq!(before, ground.picture(), "restore twice");

    let cleanup = Cleanup::Prune { keep: 2 };
    stage.finish(op, &cleanup).await;
    let (before, held) = (ground.picture(), stage.held().await);
    stage.finish(op, &cleanup).await;
    assert_eq!(
        (before, held),
        (ground.picture(), stage.held().await),
        "finish twice"
    );
}

/// Another release of the same content changes nothing that serves, and there is nothing to see in its plan.
pub async fn what_runs_already_is_left(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let was = stage.deploy(1, "same").await;
    let same = ground.release(2, "same");
    let difference = stage.target.plan(&stage.slice, &same).await.expect("it plans");
    assert!(difference.lines.is_empty(), "{difference:?}");
    let under = stage.prepare(2, &same).await;
    let fingerprint = |runs: &Runs| match runs {
        Runs::Nothing => None,
        Runs::Release { fingerprint, .. } => Some(fingerprint.clone()),
    };
    assert_eq!(fingerprint(&under.prepared.will_be), fingerprint(&was));
    let runs = stage
        .target
        .activate(&under.op, &under.step)
        .await
        .expect("nothing to do is done");
    assert_eq!(fingerprint(&runs), fingerprint(&was));
    assert_eq!(ground.serves().as_deref(), Some("same"));
}

/// A target that says it arms does, and confirming disarms; one that cannot says so and never claims to be armed.
pub async fn a_revert_is_armed_or_declared_impossible(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let arms = stage.target.abilities().arms;
    stage.deploy(1, "one").await;
    let mut under = stage.prepare(2, &ground.release(2, "two")).await;
    let (span, longer) = (Duration::from_mins(10), Duration::from_mins(30));
    under.step.arm = arms.then_some(span);
    stage
        .target
        .activate(&under.op, &under.step)
        .await
        .expect("it activates");
    assert_eq!(stage.look().await.armed.is_some(), arms);
    let renewed = stage.target.renew(&under.op, &stage.slice, longer).await;
    if arms {
        renewed.expect("it is armed");
        assert!(stage.look().await.armed > Some(span), "renewed");
    } else {
        refused(renewed, Cause::Final, "renewing what cannot be armed");
    }
    stage
        .target
        .confirm(&under.op, &stage.slice)
        .await
        .expect("it confirms");
    assert_eq!(stage.look().await.armed, None);
    // A request that arrives once more does not arm what was confirmed in between.
    stage
        .target
        .activate(&under.op, &under.step)
        .await
        .expect("it is there already");
    assert_eq!(stage.look().await.armed, None);
}

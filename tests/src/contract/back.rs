//! Laws of `restore` and `finish`: back to exactly what was, and nothing thrown away that is or was in use.

use std::sync::Arc;

use deploy_core::port::target::{Cause, Cleanup, Runs, Target};

use super::{Ground, Stage, deployment, op, refused, request};

/// What ran before runs again, by its own fingerprint, and verifies.
pub async fn comes_back_to_exactly_before(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let was = stage.deploy(1, "one").await;
    let under = stage.bring(2, &ground.release(2, "two")).await;
    assert_eq!(ground.serves().as_deref(), Some("two"));
    let runs = stage
        .target
        .restore(&under.op, &under.back(&stage))
        .await
        .expect("it goes back");
    assert_eq!(runs, was);
    assert_eq!(ground.serves().as_deref(), Some("one"));
    stage
        .target
        .verify(&under.op, &stage.slice, &was)
        .await
        .expect("it runs");
    // A slice that was prepared and never moved is there already.
    stage.finish(&under.op, &Cleanup::ReleaseOnly).await;
    let under = stage.prepare(3, &ground.release(3, "three")).await;
    assert_eq!(
        stage
            .target
            .restore(&under.op, &under.back(&stage))
            .await
            .expect("nothing to do"),
        was
    );
    assert_eq!(ground.serves().as_deref(), Some("one"));
}

/// Going back needs the journal's reference and the target, not the process or the artifacts that went forward.
pub async fn comes_back_by_another_orchestrator(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let was = stage.deploy(1, "one").await;
    let under = stage.bring(2, &ground.release(2, "two")).await;
    let back = under.back(&stage);
    if let Some(local) = &under.step.to.local {
        let removed = std::fs::remove_dir_all(local).or_else(|_| std::fs::remove_file(local));
        removed.expect("the artifact can be removed");
    }
    let other = Stage::new(ground, ground.target()).await;
    let mut takes = request(7);
    takes.may_take = vec![deployment(2)];
    // The same deployment, taken over: its checkpoint is the deployment's, not the process's.
    takes.deployment = deployment(2);
    let claim = other
        .target
        .claim(&other.place, &takes)
        .await
        .expect("it takes over");
    assert_eq!(
        other
            .target
            .restore(&op(&claim), &back)
            .await
            .expect("it goes back"),
        was
    );
    assert_eq!(ground.serves().as_deref(), Some("one"));
}

/// Where nothing was, restoring removes what this deployment put there.
pub async fn what_was_nothing_is_nothing_again(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    if !stage.target.abilities().removes {
        return;
    }
    let under = stage.bring(1, &ground.release(1, "one")).await;
    for _ in 0..2 {
        let runs = stage.target.restore(&under.op, &under.back(&stage)).await;
        assert_eq!(runs.expect("it goes back"), Runs::Nothing);
        assert_eq!(ground.serves(), None);
        assert_eq!(stage.runs().await, Runs::Nothing);
    }
    stage.finish(&under.op, &Cleanup::ReleaseOnly).await;
    stage.deploy(2, "two").await;
}

/// Going back stops before what somebody else put there.
pub async fn what_another_changed_is_not_put_back(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    stage.deploy(1, "one").await;
    let under = stage.bring(2, &ground.release(2, "two")).await;
    ground.change_by_hand("mine");
    let before = ground.picture();
    let back = stage.target.restore(&under.op, &under.back(&stage)).await;
    refused(back, Cause::Overtaken, "over another's change");
    assert_eq!(before, ground.picture());
    assert_eq!(ground.serves().as_deref(), Some("mine"));
}

/// A checkpoint whose body is not what was taken is lost, and nothing is put back from it.
pub async fn a_damaged_checkpoint_is_lost(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    stage.deploy(1, "one").await;
    let mut under = stage.bring(2, &ground.release(2, "two")).await;
    under.step.expect = stage.runs().await;
    ground.damage_checkpoints();
    let before = ground.picture();
    let back = stage.target.restore(&under.op, &under.back(&stage)).await;
    refused(back, Cause::CheckpointLost, "from a damaged checkpoint");
    let again = stage.target.prepare(&under.op, &under.step).await;
    refused(again, Cause::CheckpointLost, "proving a damaged checkpoint");
    assert_eq!(before, ground.picture());
    assert_eq!(ground.serves().as_deref(), Some("two"));
}

/// However few are to be kept: what runs, and what ran before this deployment, stay. The claim goes, the epoch stays.
pub async fn pruning_keeps_what_runs_and_what_ran(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    for (number, text) in [(1, "one"), (2, "two"), (3, "three")] {
        stage.deploy(number, text).await;
    }
    let under = stage.bring(4, &ground.release(4, "four")).await;
    stage.finish(&under.op, &Cleanup::Prune { keep: 0 }).await;
    assert_eq!(ground.serves().as_deref(), Some("four"));
    let kept: Vec<u32> = stage.look().await.kept.iter().map(|kept| kept.number.0).collect();
    assert_eq!(kept, [4, 3], "newest first");
    let held = stage.held().await;
    assert_eq!(
        (held.store, held.deployment),
        (under.op.claim.store.clone(), None)
    );
    assert_eq!(held.epoch, under.op.claim.epoch);

    // What an older deployment left behind does not keep it for ever; going to the newest again changes nothing that serves.
    let under = stage.bring(5, &ground.release(3, "three")).await;
    stage.finish(&under.op, &Cleanup::Prune { keep: 0 }).await;
    assert_eq!(ground.serves().as_deref(), Some("three"));
    let mut kept: Vec<u32> = stage.look().await.kept.iter().map(|kept| kept.number.0).collect();
    kept.sort_unstable();
    assert_eq!(kept, [3, 4]);
}

/// A service that was dropped is gone, twice if need be, and its place can be used again.
pub async fn removing_leaves_nothing_that_serves(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    stage.deploy(1, "one").await;
    let claim = stage.claim(2).await;
    let removed = stage
        .target
        .finish(&op(&claim), &stage.place, &Cleanup::Remove)
        .await;
    if !stage.target.abilities().removes {
        refused(removed, Cause::Final, "removing what cannot be removed");
        assert_eq!(ground.serves().as_deref(), Some("one"));
        return;
    }
    removed.expect("it removes");
    assert_eq!(ground.serves(), None);
    assert_eq!(stage.runs().await, Runs::Nothing);
    let held = stage.held().await;
    assert_eq!((held.deployment, held.epoch), (None, claim.epoch));
    stage.finish(&op(&claim), &Cleanup::Remove).await;
    assert_eq!(stage.held().await.epoch, claim.epoch);
    stage.deploy(3, "three").await;
}

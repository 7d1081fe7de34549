//! Laws of `stop`: what is taken out of service serves nothing, and comes back only by `restore` or by a later move. A target that says
//! it cannot stop a slice changes nothing when it is asked to.

use std::sync::Arc;

use deploy_core::port::target::{Cause, Cleanup, Restore, Runs, Stop, Target};

use super::{Ground, Stage, Under, op, refused};

fn stop(stage: &Stage<'_>, under: &Under) -> Stop {
    let was = under.prepared.checkpoint.was.clone();
    Stop {
        slice: stage.slice.clone(),
        may_run: vec![under.prepared.will_be.clone(), was, Runs::Nothing],
    }
}

/// Nothing serves, nothing is armed, and asking again changes nothing; then it is put back as it was.
pub async fn serves_nothing_until_it_is_put_back(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let was = stage.deploy(1, "one").await;
    let mut under = stage.prepare(2, &ground.release(2, "two")).await;
    let abilities = stage.target.abilities();
    under.step.arm = abilities.arms.then_some(std::time::Duration::from_mins(1));
    stage
        .target
        .activate(&under.op, &under.step)
        .await
        .expect("it activates");
    let step = stop(&stage, &under);
    if !abilities.stops {
        let before = ground.picture();
        refused(
            stage.target.stop(&under.op, &step).await,
            Cause::Final,
            "it cannot",
        );
        assert_eq!(ground.picture(), before);
        return;
    }
    for _ in 0..2 {
        let runs = stage.target.stop(&under.op, &step).await;
        assert_eq!(runs.expect("it stops"), Runs::Nothing);
        assert_eq!(ground.serves(), None);
        let seen = stage.look().await;
        assert_eq!((seen.runs.ok(), seen.armed), (Some(Runs::Nothing), None));
    }
    let back = Restore {
        ours: vec![under.prepared.will_be.clone(), Runs::Nothing],
        ..under.back(&stage)
    };
    let runs = stage.target.restore(&under.op, &back).await;
    assert_eq!(runs.expect("it goes back"), was);
    assert_eq!(ground.serves().as_deref(), Some("one"));
}

/// A deployment ends without it, and the next one takes it along.
pub async fn is_moved_by_the_next(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    if !stage.target.abilities().stops {
        return;
    }
    stage.deploy(1, "one").await;
    let under = stage.bring(2, &ground.release(2, "two")).await;
    let runs = stage.target.stop(&under.op, &stop(&stage, &under)).await;
    assert_eq!(runs.expect("it stops"), Runs::Nothing);
    stage.finish(&under.op, &Cleanup::Prune { keep: 3 }).await;
    assert_eq!(ground.serves(), None);
    // Also the very release that failed there.
    let again = stage.bring(3, &ground.release(2, "two")).await;
    assert_eq!(ground.serves().as_deref(), Some("two"));
    assert_eq!(again.prepared.checkpoint.was, Runs::Nothing);
}

/// Neither under an old claim, nor what somebody else put there.
pub async fn stops_only_what_is_its_own(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    if !stage.target.abilities().stops {
        return;
    }
    stage.deploy(1, "one").await;
    let under = stage.bring(2, &ground.release(2, "two")).await;
    let step = stop(&stage, &under);
    ground.change_by_hand("by hand");
    refused(
        stage.target.stop(&under.op, &step).await,
        Cause::Overtaken,
        "somebody changed it",
    );
    assert_eq!(ground.serves().as_deref(), Some("by hand"));
    let mut older = under.op.claim.clone();
    older.epoch = deploy_core::id::Epoch(older.epoch.0 - 1);
    refused(
        stage.target.stop(&op(&older), &step).await,
        Cause::Fenced,
        "an older claim",
    );
}

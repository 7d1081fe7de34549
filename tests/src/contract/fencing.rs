//! Laws of fencing: a write under any claim but the place's own does nothing, whichever verb it is.

use std::sync::Arc;

use deploy_core::port::target::{Cause, Claim, Cleanup, Op, Target};

use super::{Ground, Stage, Under, deployment, op, refused, request, store};

/// Tries every verb that writes under these claims; none may do anything.
async fn none_writes(stage: &Stage<'_>, under: &Under, claims: &[(&str, Claim)]) {
    let before = stage.ground.picture();
    for (which, claim) in claims {
        let op: Op = op(claim);
        let step = &under.step;
        let cleanups = [Cleanup::ReleaseOnly, Cleanup::Prune { keep: 1 }, Cleanup::Remove];
        refused(
            stage.target.prepare(&op, step).await,
            Cause::Fenced,
            &format!("prepare, {which}"),
        );
        refused(
            stage.target.activate(&op, step).await,
            Cause::Fenced,
            &format!("activate, {which}"),
        );
        refused(
            stage.target.confirm(&op, &stage.slice).await,
            Cause::Fenced,
            &format!("confirm, {which}"),
        );
        let back = stage.target.restore(&op, &under.back(stage)).await;
        refused(back, Cause::Fenced, &format!("restore, {which}"));
        for cleanup in &cleanups {
            let finished = stage.target.finish(&op, &stage.place, cleanup).await;
            refused(finished, Cause::Fenced, &format!("{cleanup:?}, {which}"));
        }
        assert_eq!(before, stage.ground.picture(), "{which}");
    }
}

/// Before the switch and after it: no verb writes under an older epoch, another deployment's claim or another state's.
pub async fn an_old_claim_writes_nothing(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    stage.deploy(1, "one").await;
    let mut under = stage.prepare(2, &ground.release(2, "two")).await;
    for moved in [false, true] {
        let newer = stage
            .target
            .claim(&stage.place, &request(2))
            .await
            .expect("its own");
        let mut others = vec![("an older epoch", under.op.claim.clone())];
        let other = Claim {
            deployment: deployment(8),
            ..newer.clone()
        };
        others.push(("another deployment", other));
        others.push((
            "another state",
            Claim {
                store: store(2),
                ..newer.clone()
            },
        ));
        others.push((
            "an epoch that was never given",
            Claim {
                epoch: newer.epoch.next(),
                ..newer.clone()
            },
        ));
        none_writes(&stage, &under, &others).await;
        under.op = op(&newer);
        if !moved {
            assert_eq!(ground.serves().as_deref(), Some("one"));
            stage
                .target
                .activate(&under.op, &under.step)
                .await
                .expect("the new claim writes");
        }
        assert_eq!(ground.serves().as_deref(), Some("two"));
    }
}

/// What was released is gone: only the very same release may be repeated.
pub async fn a_released_claim_writes_nothing(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let under = stage.bring(1, &ground.release(1, "one")).await;
    stage.finish(&under.op, &Cleanup::ReleaseOnly).await;
    let before = ground.picture();
    let claim = under.op.claim.clone();
    let op = op(&claim);
    refused(
        stage.target.prepare(&op, &under.step).await,
        Cause::Fenced,
        "prepare",
    );
    refused(
        stage.target.activate(&op, &under.step).await,
        Cause::Fenced,
        "activate",
    );
    refused(
        stage.target.restore(&op, &under.back(&stage)).await,
        Cause::Fenced,
        "restore",
    );
    stage.finish(&op, &Cleanup::ReleaseOnly).await;
    assert_eq!(before, ground.picture());
    // The next deployment's claim is not released by the last one's.
    stage.claim(2).await;
    let late = stage
        .target
        .finish(&op, &stage.place, &Cleanup::ReleaseOnly)
        .await;
    refused(late, Cause::Fenced, "a release that comes late");
    assert_eq!(stage.held().await.deployment, Some(deployment(2)));
}

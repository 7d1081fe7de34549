//! Laws of confirm or revert. A target that cannot arm says so, and these ask nothing more of it.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::port::target::{Cause, Cleanup, Target};

use super::{Stage, Under, refused, request};
use crate::wait;

/// How long a place has to go back, once its time is over.
const AFTER: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_mins(10);

impl Stage<'_> {
    /// A first release in place, and a second one over it, armed for this long; `None` where the target cannot arm.
    async fn armed(&self, span: Duration) -> Option<Under> {
        if !self.target.abilities().arms {
            assert_eq!(self.look().await.armed, None);
            return None;
        }
        self.deploy(1, "one").await;
        let mut under = self.prepare(2, &self.ground.release(2, "two")).await;
        under.step.arm = Some(span);
        let moved = self.target.activate(&under.op, &under.step).await;
        assert_eq!(moved.expect("it activates"), under.prepared.will_be);
        assert_eq!(self.ground.serves().as_deref(), Some("two"));
        Some(under)
    }

    /// Claims it anew for the deployment that armed it, and ends it.
    async fn end_anew(&self, number: u32) {
        let mut wants = request(number);
        wants.may_take = vec![wants.deployment.clone()];
        let claim = self.target.claim(&self.place, &wants).await.expect("its own");
        self.finish(&super::op(&claim), &Cleanup::ReleaseOnly).await;
    }
}

/// What nobody confirms is as it was before, under a higher epoch: nothing is written any more under the claim it was armed under.
/// Whoever looks is told.
pub async fn what_nobody_confirms_goes_back(ground: &dyn super::Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let Some(under) = stage.armed(SHORT).await else {
        return;
    };
    wait::until(SHORT + AFTER, "the place to go back", || {
        ground.serves().as_deref() == Some("one")
    });
    let mut seen = stage.look().await;
    let end = std::time::Instant::now() + AFTER;
    while seen.armed.is_some() && std::time::Instant::now() < end {
        seen = stage.look().await;
    }
    assert_eq!(seen.armed, None);
    assert_eq!(seen.runs.expect("it is told"), under.prepared.checkpoint.was);
    assert!(seen.held.expect("it is claimed").epoch > under.op.claim.epoch);
    assert!(seen.inside.unfinished.is_some(), "it says what it did");
    let confirmed = stage.target.confirm(&under.op, &stage.slice).await;
    refused(confirmed, Cause::Fenced, "confirming what went back");
    let renewed = stage.target.renew(&under.op, &stage.slice, LONG).await;
    refused(renewed, Cause::Fenced, "renewing what went back");
    let moved = stage.target.activate(&under.op, &under.step).await;
    refused(moved, Cause::Fenced, "moving what went back");
    stage.end_anew(2).await;
    assert_eq!(ground.serves().as_deref(), Some("one"));
}

/// Armed once for a moment, then renewed: it is not over when that moment is.
pub async fn a_renewal_puts_it_off(ground: &dyn super::Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let Some(under) = stage.armed(SHORT).await else {
        return;
    };
    let armed = std::time::Instant::now();
    let renewed = stage.target.renew(&under.op, &stage.slice, LONG).await;
    renewed.expect("it is armed");
    wait::until(SHORT + AFTER, "the first deadline to be over", || {
        armed.elapsed() > SHORT + SHORT / 2
    });
    assert_eq!(ground.serves().as_deref(), Some("two"));
    assert!(stage.look().await.armed > Some(LONG / 2));
    let confirmed = stage.target.confirm(&under.op, &stage.slice).await;
    confirmed.expect("it is armed");
    assert_eq!(stage.look().await.armed, None);
    assert_eq!(stage.held().await.epoch, under.op.claim.epoch);
}

/// Whichever comes first: confirmed it stays, gone back it is refused, and never both or neither.
pub async fn confirming_and_going_back_have_one_winner(ground: &dyn super::Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let Some(under) = stage.armed(SHORT).await else {
        return;
    };
    let armed = std::time::Instant::now();
    wait::until(SHORT + AFTER, "the deadline", || armed.elapsed() >= SHORT);
    let confirmed = stage.target.confirm(&under.op, &stage.slice).await;
    let end = std::time::Instant::now() + AFTER;
    let mut seen = stage.look().await;
    while seen.armed.is_some() && std::time::Instant::now() < end {
        seen = stage.look().await;
    }
    let epoch = seen.held.expect("it is claimed").epoch;
    if confirmed.is_ok() {
        assert_eq!(ground.serves().as_deref(), Some("two"));
        assert_eq!(epoch, under.op.claim.epoch);
    } else {
        refused(confirmed, Cause::Fenced, "confirming what went back");
        assert_eq!(ground.serves().as_deref(), Some("one"));
        assert!(epoch > under.op.claim.epoch);
    }
}

/// A new holder finds out at once what is armed, and no end leaves anything armed.
pub async fn no_end_leaves_anything_armed(ground: &dyn super::Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let Some(_) = stage.armed(LONG).await else { return };
    assert!(stage.look().await.armed.is_some());
    stage.end_anew(2).await;
    assert_eq!(stage.look().await.armed, None);
    assert_eq!(ground.serves().as_deref(), Some("two"), "ending moves nothing");
}

//! Laws of `claim` and `observe`: who may write is decided in the place, one at a time, and looking is free.

use std::sync::Arc;

use deploy_core::id::Epoch;
use deploy_core::port::target::{Adopt, Cause, Cleanup, Target};
use tokio::task::JoinSet;

use super::{Ground, Stage, deployment, note, op, refused, request, store};

const CLAIMERS: u32 = 6;

/// A claim goes to one deployment, its epoch above the place's and the journal's; the next gets it when it may.
pub async fn is_compare_and_set(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    assert_eq!(stage.look().await.held, None, "nobody ever claimed it");
    let mut known = request(1);
    known.known = Epoch(6);
    let first = stage
        .target
        .claim(&stage.place, &known)
        .await
        .expect("it is free");
    assert_eq!(
        (first.store.clone(), first.deployment.clone()),
        (store(1), deployment(1))
    );
    assert_eq!(first.epoch, Epoch(7), "one above the journal's");
    let held = stage.held().await;
    assert_eq!(
        (held.store, held.deployment, held.epoch),
        (store(1), Some(deployment(1)), Epoch(7))
    );

    let second = stage.target.claim(&stage.place, &request(2)).await;
    let error = refused(second, Cause::Held, "a claim over another's");
    let by = error.held.expect("it says who holds it");
    assert_eq!(
        (by.store, by.deployment, by.epoch),
        (store(1), Some(deployment(1)), Epoch(7))
    );
    assert_eq!(by.note, note(1));

    let again = stage
        .target
        .claim(&stage.place, &request(1))
        .await
        .expect("its own");
    assert_eq!(
        again.epoch,
        Epoch(8),
        "one above the place's, also for the same deployment"
    );

    let mut taking = request(2);
    taking.may_take = vec![deployment(9), deployment(1)];
    let taken = stage
        .target
        .claim(&stage.place, &taking)
        .await
        .expect("it may take it");
    assert_eq!((taken.deployment.clone(), taken.epoch), (deployment(2), Epoch(9)));

    stage.finish(&op(&taken), &Cleanup::ReleaseOnly).await;
    let free = stage.held().await;
    assert_eq!(
        (free.store, free.deployment, free.epoch),
        (store(1), None, Epoch(9))
    );
    assert_eq!(
        stage.claim(3).await.epoch,
        Epoch(10),
        "free for the next, and the epoch goes on"
    );
}

/// Of orchestrators that claim at the same moment one has it, and the others are told who.
pub async fn goes_to_one_of_many(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let mut claims = JoinSet::new();
    for number in 1..=CLAIMERS {
        let (target, place) = (ground.target(), stage.place.clone());
        claims.spawn(async move { target.claim(&place, &request(number)).await });
    }
    let (mut won, mut told) = (Vec::new(), Vec::new());
    for answer in claims.join_all().await {
        match answer {
            Ok(claim) => won.push(claim),
            Err(_) => told.push(refused(answer, Cause::Held, "a claim over another's")),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    let held = stage.held().await;
    assert_eq!(
        (held.deployment.as_ref(), held.epoch),
        (Some(&won[0].deployment), won[0].epoch)
    );
    for error in told {
        let by = error.held.expect("it says who holds it");
        assert_eq!(by.deployment.as_ref(), Some(&won[0].deployment));
    }
}

/// A place is one state's, also while nobody holds it, until another is told to adopt it.
pub async fn another_state_is_refused_until_it_adopts(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let first = stage.claim(1).await;
    let mut foreign = request(2);
    foreign.store = store(2);
    // What it may take of its own state says nothing about this one's.
    foreign.may_take = vec![deployment(1)];
    let answer = stage.target.claim(&stage.place, &foreign).await;
    let error = refused(answer, Cause::Held, "another state's claim");
    assert_eq!(error.held.map(|held| held.store), Some(store(1)));

    stage.finish(&op(&first), &Cleanup::ReleaseOnly).await;
    let answer = stage.target.claim(&stage.place, &foreign).await;
    refused(answer, Cause::Held, "a place that another state deployed to last");

    foreign.adopt = Adopt::Take;
    let taken = stage
        .target
        .claim(&stage.place, &foreign)
        .await
        .expect("it adopts");
    assert!(
        taken.epoch > first.epoch,
        "{:?} after {:?}",
        taken.epoch,
        first.epoch
    );
    let held = stage.held().await;
    assert_eq!((held.store, held.deployment), (store(2), Some(deployment(2))));
    let answer = stage.target.claim(&stage.place, &request(3)).await;
    refused(answer, Cause::Held, "the state it was adopted from");
}

/// `observe` and `plan` change nothing, whatever is there and whoever holds it.
pub async fn looking_changes_nothing(ground: &dyn Ground, target: Arc<dyn Target>) {
    let stage = Stage::new(ground, target).await;
    let next = ground.release(2, "two");
    for there in ["nothing", "a release", "a claim", "another's change"] {
        match there {
            "a release" => drop(stage.deploy(1, "one").await),
            "a claim" => drop(stage.claim(2).await),
            "another's change" => ground.change_by_hand("mine"),
            _ => {}
        }
        let before = ground.picture();
        let (first, difference) = (stage.look().await, stage.target.plan(&stage.slice, &next).await);
        assert!(
            !difference.expect("it plans").lines.is_empty(),
            "with {there}: bringing it would change something"
        );
        let second = stage.look().await;
        assert_eq!(
            (first.runs, first.held),
            (second.runs, second.held),
            "with {there}"
        );
        assert_eq!(before, ground.picture(), "with {there}");
    }
}

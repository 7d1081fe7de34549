//! Every verb on this machine.

use super::common::{World, bring, claim, deployment, place, request, seen, slice, step, store};
use deploy_core::failure::Code;
use deploy_core::port::target::{Adopt, Cause, Certainty, Cleanup, Restore, Runs, Target as _};
use std::fs;

#[tokio::test]
async fn a_release_comes_serves_and_goes_back_to_nothing() {
    let world = World::local();
    let target = world.target();
    assert_eq!(seen(&target).await, Runs::Nothing);
    let first = world.release(1, &[("index.html", "one"), ("a/-b c", "x")]);
    let (op, step, prepared) = bring(&world, &target, 1, &first).await;
    assert_eq!(prepared.checkpoint.was, Runs::Nothing);
    assert_eq!(
        fs::read_to_string(world.path().join("current/index.html")).unwrap(),
        "one"
    );
    assert_eq!(
        fs::read_to_string(world.path().join("current/a/-b c")).unwrap(),
        "x"
    );
    assert!(
        fs::read_to_string(world.path().join(".deploy/env"))
            .unwrap()
            .contains("TOKEN=")
    );
    assert_eq!(world.restarts(), 1);
    // The same once more changes nothing.
    target.activate(&op, &step).await.unwrap();
    assert_eq!(world.restarts(), 1);

    let back = Restore {
        slice: slice(),
        checkpoint: prepared.checkpoint.clone(),
        ours: vec![prepared.will_be.clone()],
    };
    assert_eq!(target.restore(&op, &back).await.unwrap(), Runs::Nothing);
    assert!(!world.path().join("current").exists());
    assert_eq!(target.restore(&op, &back).await.unwrap(), Runs::Nothing);
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_second_release_sends_what_changed_and_the_first_comes_back() {
    let world = World::local();
    let target = world.target();
    let first = world.release(1, &[("same", "s"), ("changes", "1"), ("goes", "x")]);
    let (op, ..) = bring(&world, &target, 1, &first).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 3 })
        .await
        .unwrap();
    let was = seen(&target).await;

    let second = world.release(2, &[("same", "s"), ("changes", "2"), ("comes", "y")]);
    let difference = target.plan(&slice(), &second).await.unwrap();
    assert_eq!(difference.lines[0], "+ 1 file, ~ 1 file, - 1 file");
    assert_eq!(difference.bytes, Some(2));
    let (op, _, prepared) = bring(&world, &target, 2, &second).await;
    assert_eq!(prepared.checkpoint.was, was);
    assert_eq!(
        fs::read_to_string(world.path().join("current/same")).unwrap(),
        "s"
    );
    assert!(!world.path().join("current/goes").exists());

    let back = Restore {
        slice: slice(),
        checkpoint: prepared.checkpoint.clone(),
        ours: vec![prepared.will_be.clone()],
    };
    assert_eq!(target.restore(&op, &back).await.unwrap(), was);
    target.verify(&op, &slice(), &was).await.unwrap();
    assert_eq!(
        fs::read_to_string(world.path().join("current/goes")).unwrap(),
        "x"
    );
    assert_eq!(world.restarts(), 3);
    let kept = target.observe(&[slice()]).await.unwrap().remove(0).kept;
    assert_eq!(kept.iter().map(|kept| kept.number.0).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn what_runs_already_is_neither_sent_nor_restarted() {
    let world = World::local();
    let target = world.target();
    let first = world.release(1, &[("a", "1")]);
    let (op, ..) = bring(&world, &target, 1, &first).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    // Another release, the same content.
    let second = world.release(2, &[("a", "1")]);
    let op = world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &second).await;
    assert!(target.plan(&slice(), &second).await.unwrap().lines.is_empty());
    let prepared = target.prepare(&op, &step).await.unwrap();
    assert_eq!(prepared.will_be, prepared.checkpoint.was);
    step.checkpoint = Some(prepared.checkpoint);
    target.activate(&op, &step).await.unwrap();
    assert_eq!(world.restarts(), 1);
    assert_eq!(fs::read_dir(world.path().join("releases")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_claim_is_compared_in_every_write() {
    let world = World::local();
    let target = world.target();
    let place = place(&target).await;
    let first = world.release(1, &[("a", "1")]);
    let (op, step, prepared) = bring(&world, &target, 1, &first).await;

    let held = claim(&target, 2).await.unwrap_err();
    assert_eq!((held.cause, held.certainty), (Cause::Held, Certainty::NotDone));
    let by = held.held.unwrap();
    assert_eq!(by.deployment, Some(deployment(1)));
    assert_eq!(by.note, request(1).note);

    let mut foreign = request(3);
    foreign.store = store(2);
    let refused = target.claim(&place, &foreign).await.unwrap_err();
    assert_eq!(refused.failure.code, Code::ClaimForeign);

    let mut takes = request(2);
    takes.may_take = vec![deployment(1)];
    let newer = target.claim(&place, &takes).await.unwrap();
    assert_eq!(newer.epoch, op.claim.epoch.next());
    let back = Restore {
        slice: slice(),
        checkpoint: prepared.checkpoint.clone(),
        ours: vec![prepared.will_be.clone()],
    };
    for error in [
        target.prepare(&op, &step).await.unwrap_err(),
        target.activate(&op, &step).await.unwrap_err(),
        target.restore(&op, &back).await.unwrap_err(),
        target.confirm(&op, &slice()).await.unwrap_err(),
        target
            .finish(&op, &place, &Cleanup::ReleaseOnly)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(
            (error.cause, error.certainty),
            (Cause::Fenced, Certainty::NotDone)
        );
    }
    target
        .finish(&world.op(&newer), &place, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    let released = target.observe(&[slice()]).await.unwrap().remove(0).held.unwrap();
    assert_eq!((released.deployment, released.epoch), (None, newer.epoch));

    // Released, but still the first state's.
    let refused = target.claim(&place, &foreign).await.unwrap_err();
    assert_eq!(refused.failure.code, Code::ClaimForeign);
    foreign.adopt = Adopt::Take;
    foreign.known = deploy_core::id::Epoch(40);
    assert_eq!(target.claim(&place, &foreign).await.unwrap().epoch.0, 41);
}

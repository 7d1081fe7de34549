//! Steps killed at any moment, with everything they started: what serves is one release or the other, whole, and the next
//! claim finds a way back.

use super::common::{World, claim, deployment, place, request, seen, shell, slice, step};
use super::sshd::Sshd;
use crate::SshTarget;
use deploy_core::digest::Digest;
use deploy_core::port::target::{Cleanup, Op, Restore, Runs, Target as _};
use std::fs;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 12;
const ROUNDS_OVER_SSH: u32 = 6;

/// The next of a row of moments, the same for the same seed.
struct Moments {
    seed: u64,
    next: u32,
}

impl Moments {
    fn next(&mut self, longest: Duration) -> Duration {
        self.next += 1;
        let byte = Digest::of(format!("{} {}", self.seed, self.next)).as_bytes()[0];
        longest * u32::from(byte) / 256
    }
}

/// The same deployment, one epoch higher.
async fn again(world: &World, target: &SshTarget, number: u32) -> Op {
    let mut wants = request(number);
    wants.may_take = vec![deployment(number)];
    world.op(&target.claim(&place(target).await, &wants).await.unwrap())
}

/// What is served, read as the service would.
fn served(world: &World, inside: bool) -> String {
    let root = if inside {
        world.path().join("current")
    } else {
        world.path()
    };
    let (index, other) = (
        fs::read_to_string(root.join("index")),
        fs::read_to_string(root.join("other")),
    );
    let (index, other) = (index.unwrap(), other.unwrap());
    assert_eq!(index, other, "half of one release and half of another");
    index
}

async fn rounds(world: World, rounds: u32, inside: bool, old: Runs) {
    let target = world.target();
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut moments = Moments { seed, next: 0 };
    let was = served(&world, inside);
    let (mut cut, mut went) = (0, 0);
    for round in 10..10 + rounds {
        let text = format!("release {round}");
        let to = world.release(round, &[("index", &text), ("other", &text)]);
        let mut op = world.op(&claim(&target, round).await.unwrap());
        let mut step = step(&target, &to).await;
        assert_eq!(step.expect, old);
        let began = Instant::now();
        let cut_short = tokio::time::timeout(
            moments.next(Duration::from_millis(300)),
            target.prepare(&op, &step),
        )
        .await;
        cut += u32::from(cut_short.is_err());
        assert_eq!(served(&world, inside), was);
        op = again(&world, &target, round).await;
        let prepared = target.prepare(&op, &step).await.unwrap();
        step.checkpoint = Some(prepared.checkpoint.clone());
        let longest = began.elapsed();

        let moved = tokio::time::timeout(moments.next(longest), target.activate(&op, &step)).await;
        cut += u32::from(moved.is_err());
        op = again(&world, &target, round).await;
        let now = seen(&target).await;
        assert!(now == old || now == prepared.will_be, "{now:?}");
        let serves = served(&world, inside);
        assert!(serves == was || serves == text, "{serves}");
        went += u32::from(serves == text);
        if target.verify(&op, &slice(), &prepared.will_be).await.is_ok() {
            assert_eq!(serves, text);
        }

        let back = Restore {
            slice: slice(),
            checkpoint: prepared.checkpoint,
            ours: vec![prepared.will_be],
        };
        let restored = tokio::time::timeout(moments.next(longest), target.restore(&op, &back)).await;
        cut += u32::from(restored.is_err());
        op = again(&world, &target, round).await;
        assert_eq!(target.restore(&op, &back).await.unwrap(), old);
        target.verify(&op, &slice(), &old).await.unwrap();
        assert_eq!(served(&world, inside), was);
        target
            .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
            .await
            .unwrap();
    }
    println!("{cut} steps cut short, {went} of {rounds} switches had happened");
    assert!(cut >= rounds / 2, "hardly anything was cut short");
}

#[tokio::test]
async fn a_store_inside_the_path() {
    let mut world = World::local();
    world.binding.restart = Some(shell("sleep 0.05"));
    let target = world.target();
    let first = world.release(1, &[("index", "one"), ("other", "one")]);
    let (op, ..) = super::common::bring(&world, &target, 1, &first).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 3 })
        .await
        .unwrap();
    let old = seen(&target).await;
    rounds(world, ROUNDS, true, old).await;
}

/// Over a connection a step runs on when its deployer goes; the next claim waits for it.
#[tokio::test]
async fn a_host_whose_deployer_goes_away() {
    let sshd = Sshd::start("");
    let mut world = World::at(sshd.address());
    world.binding.restart = Some(shell("sleep 0.05"));
    let target = world.target();
    let first = world.release(1, &[("index", "one"), ("other", "one")]);
    let (op, ..) = super::common::bring(&world, &target, 1, &first).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 3 })
        .await
        .unwrap();
    let old = seen(&target).await;
    rounds(world, ROUNDS_OVER_SSH, true, old).await;
}

#[tokio::test]
async fn a_live_folder_being_adopted() {
    let mut world = World::local();
    world.binding.restart = Some(shell("sleep 0.05"));
    fs::create_dir_all(world.path()).unwrap();
    for name in ["index", "other"] {
        fs::write(world.path().join(name), "live").unwrap();
    }
    let old = seen(&world.target()).await;
    rounds(world, ROUNDS, false, old).await;
}

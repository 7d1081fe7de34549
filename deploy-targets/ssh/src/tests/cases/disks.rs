//! Disks that are full, over a quota, out of inodes, read-only, noexec or failing: nothing half-done is taken for whole, what went wrong is
//! named, and the old release serves.

use super::super::common::{back, claim, deployment, hook, place, request, seen, slice, step};
use super::machine::{Machine, Setting, WRAPPED};
use crate::{HookPoint, SshTarget};
use deploy_core::failure::Code;
use deploy_core::port::target::{Certainty, Move, Op, Prepared, Runs, Target as _};
use std::collections::BTreeSet;
use std::fs;

const SMALL: &str = "mount -t tmpfs -o size=512k,nr_inodes=200 tmpfs \"$P\"";

/// A host with a small disk, whose first release serves.
async fn small() -> (Machine, Runs) {
    let mut machine = Machine::mounted(SMALL);
    machine.world.binding.shared = vec!["data".to_owned()];
    let was = machine.first().await;
    (machine, was)
}

impl Machine {
    /// Leaves so many KiB of a small disk.
    fn leave(&self, kib: u32) {
        self.root(&format!(
            "cat /dev/zero >\"$P/shared/full\" 2>/dev/null || :; truncate -s -{kib}K \"$P/shared/full\""
        ));
    }

    /// Leaves so many KiB of a quota: for what is there it is never too small.
    fn leave_of_quota(&self, kib: u32) {
        self.root(&format!(
            "sync -f \"$P\"; cd \"$P/../disk\"
            used=$(btrfs qgroup show --raw . | awk '$1 == \"0/256\" {{ print $2 }}')
            btrfs qgroup limit $((used + {kib} * 1024)) 0/256 ."
        ));
    }

    /// The second release, not yet switched to.
    async fn prepared(&self, target: &SshTarget) -> (Op, Move, Prepared) {
        let op = self.world.op(&claim(target, 2).await.unwrap());
        let to = self.world.release(2, &[("page", "two")]);
        let mut step = step(target, &to).await;
        let prepared = target.prepare(&op, &step).await.unwrap();
        step.checkpoint = Some(prepared.checkpoint.clone());
        (op, step, prepared)
    }

    /// As whoever takes the deployment up.
    async fn again(&self, target: &SshTarget) -> Op {
        let mut wants = request(2);
        wants.may_take = vec![deployment(2)];
        self.world
            .op(&target.claim(&place(target).await, &wants).await.unwrap())
    }
}

#[tokio::test]
async fn full_on_the_way_to_the_switch() {
    let (machine, _) = small().await;
    let mut stopped_at = BTreeSet::new();
    for kib in (0..200).step_by(8) {
        machine.leave(kib);
        match machine.second().await {
            Ok(_) => {
                assert_eq!(machine.serves(), "two", "{kib} KiB");
                break;
            }
            Err((step, error)) => {
                assert_eq!(
                    (error.failure.code, error.certainty, machine.serves().as_str()),
                    (Code::TargetFull, Certainty::NotDone, "one"),
                    "{kib} KiB, {step}: {error:?}"
                );
                stopped_at.insert(step);
            }
        }
    }
    assert_eq!(machine.serves(), "two", "never room enough");
    assert!(
        stopped_at.is_superset(&BTreeSet::from(["claim", "prepare"])),
        "{stopped_at:?}"
    );
}

/// A disk with room for all, and a quota of the service's path that nothing was set for yet. It is set from outside of the path: what is
/// used up inside lets nobody set it there.
const QUOTA: &str =
    "truncate -s 128M \"$D/disk\"; mkfs.btrfs -q --nodesize 4096 -m single \"$D/disk\" 2>/dev/null
    mkdir \"$D/opt/disk\"; mount -o loop \"$D/disk\" \"$D/opt/disk\"; btrfs quota enable \"$D/opt/disk\"
    btrfs -q subvolume create \"$D/opt/disk/path\"; mount --bind \"$D/opt/disk/path\" \"$P\"";

#[tokio::test]
async fn a_quota_that_is_used_up_on_the_way_to_the_switch() {
    let machine = Machine::mounted(QUOTA);
    machine.first().await;
    let mut stopped_at = BTreeSet::new();
    for kib in (0..256).step_by(4) {
        machine.leave_of_quota(kib);
        match machine.second().await {
            Ok(_) => {
                assert_eq!(machine.serves(), "two", "{kib} KiB");
                break;
            }
            Err((step, error)) => {
                assert_eq!(
                    (error.failure.code, machine.serves().as_str()),
                    (Code::TargetFull, "one"),
                    "{kib} KiB, {step}: {error:?}"
                );
                // Here renaming takes room, too: what came of that is looked at.
                let known = error.certainty == Certainty::NotDone || step == "activate";
                assert!(known, "{kib} KiB, {step}: {error:?}");
                stopped_at.insert(step);
            }
        }
    }
    assert_eq!(machine.serves(), "two", "never room enough");
    println!("stopped at {stopped_at:?}");
    assert!(stopped_at.contains("claim"), "{stopped_at:?}");
}

#[tokio::test]
async fn a_quota_that_is_used_up_at_the_switch() {
    let machine = Machine::mounted(QUOTA);
    let was = machine.first().await;
    let target = machine.target();
    let (op, step, prepared) = machine.prepared(&target).await;
    machine.leave_of_quota(0);
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.failure.code, machine.serves().as_str()),
        (Code::TargetFull, "one"),
        "{error:?}"
    );
    machine.leave_of_quota(1024);
    let op = machine.again(&target).await;
    assert_eq!(seen(&target).await, was);
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
}

/// Between two steps of one deployment: who takes it up still has room for a claim, and for the way back.
#[tokio::test]
async fn full_at_the_switch() {
    let (machine, was) = small().await;
    let target = machine.target();
    let (op, step, prepared) = machine.prepared(&target).await;
    machine.leave(0);
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.failure.code, machine.serves().as_str()),
        (Code::TargetFull, "one"),
        "{error:?}"
    );
    let op = machine.again(&target).await;
    assert_eq!(seen(&target).await, was);
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
}

/// What filled the disk may be what was released.
#[tokio::test]
async fn full_after_the_switch_there_is_a_way_back() {
    let (machine, was) = small().await;
    let target = machine.target();
    let (op, step, prepared) = machine.prepared(&target).await;
    target.activate(&op, &step).await.unwrap();
    machine.leave(0);
    let op = Op {
        claim: machine.again(&target).await.claim,
        ..op
    };
    machine.leave(0);
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    assert_eq!(machine.serves(), "one");
}

#[tokio::test]
async fn no_inodes_are_left() {
    let (machine, _) = small().await;
    machine.root("n=0; while touch \"$P/shared/data/$n\" 2>/dev/null; do n=$((n+1)); done");
    machine.refused("claim", Code::TargetFull).await;
    // Enough for a claim, and not for a release.
    machine.root("rm -f \"$P/shared/data/\"1?");
    let error = machine.refused("prepare", Code::TargetFull).await;
    assert!(error.failure.message.contains(" inodes free"), "{error}");
}

/// Variables that did not fit are never half a file of variables.
#[tokio::test]
async fn an_environment_that_does_not_fit_is_not_cut() {
    let (machine, was) = small().await;
    let target = machine.target();
    let (op, step, prepared) = machine.prepared(&target).await;
    let kept = machine.at(".deploy/environments").join(deployment(2).as_str());
    let whole = fs::read_to_string(&kept).unwrap();
    let mut with_more = (*step.to).clone();
    let long = deploy_core::port::target::Secret::new("x".repeat(20_000));
    with_more.variables.insert("AAA".to_owned(), long);
    let again = Move {
        to: with_more.into(),
        ..step
    };
    machine.leave(8);
    let error = target.prepare(&op, &again).await.unwrap_err();
    assert_eq!(error.failure.code, Code::TargetFull, "{error:?}");
    assert_eq!(fs::read_to_string(&kept).unwrap(), whole);
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
}

#[tokio::test]
async fn a_file_system_that_is_read_only() {
    let machine = Machine::mounted("mount -t tmpfs tmpfs \"$P\"");
    let was = machine.first().await;
    let target = machine.target();
    let (op, step, _) = machine.prepared(&target).await;
    machine.root("mount -o remount,ro \"$P\"");
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(error.failure.code, Code::PermissionDenied, "{error:?}");
    assert!(error.failure.message.contains("is read-only"), "{error}");
    assert_eq!((seen(&target).await, machine.serves().as_str()), (was, "one"));
    // As another deployment finds it.
    machine.root("mount -o remount,rw \"$P\"");
    let done = deploy_core::port::target::Cleanup::ReleaseOnly;
    target.finish(&op, &place(&target).await, &done).await.unwrap();
    machine.root("mount -o remount,ro \"$P\"");
    let error = machine.refused("claim", Code::PermissionDenied).await;
    assert!(error.failure.next.contains("mount it writable"), "{error:?}");
}

/// None of our own steps needs to run a file of it; a release's own programs do.
#[tokio::test]
async fn a_file_system_that_is_noexec() {
    let mut machine = Machine::mounted("mount -t tmpfs -o noexec tmpfs \"$P\"");
    machine.first().await;
    let own = "printf '#!/bin/sh\\n' >tool; chmod 755 tool; ./tool";
    machine.world.binding.hooks = vec![hook("own", HookPoint::Prepare, own)];
    let error = machine.refused("prepare", Code::HookFailed).await;
    assert!(error.failure.message.contains("noexec"), "{error}");
    machine.world.binding.hooks.clear();
    let mut wants = request(3);
    wants.may_take = vec![deployment(2)];
    let target = machine.target();
    let op = machine
        .world
        .op(&target.claim(&place(&target).await, &wants).await.unwrap());
    let mut step = step(&target, &machine.world.release(2, &[("page", "two")])).await;
    step.checkpoint = Some(target.prepare(&op, &step).await.unwrap().checkpoint);
    target.activate(&op, &step).await.unwrap();
    assert_eq!(machine.serves(), "two");
}

/// A machine on which these system calls fail from here on, as on a disk that breaks.
fn breaking(machine: &Machine, calls: &str) {
    let fails = format!("exec strace -f -qq -o /dev/null -e trace={calls} -e inject={calls}:error=EIO");
    machine.every_command(&fails);
}

#[tokio::test]
async fn a_disk_that_does_not_take_what_is_flushed() {
    for calls in ["fsync", "syncfs", "rename,renameat,renameat2"] {
        let machine = Machine::new(Setting {
            sshd: WRAPPED,
            ..Setting::default()
        });
        let was = machine.first().await;
        breaking(&machine, calls);
        let (stopped, error) = machine.second().await.expect_err(calls);
        let at = if calls == "syncfs" { "prepare" } else { "claim" };
        assert_eq!(
            (stopped, error.failure.code, error.certainty),
            (at, Code::RemoteFailed, Certainty::NotDone),
            "{calls}: {error:?}"
        );
        assert!(error.failure.message.contains("disk"), "{error}");
        assert_eq!(machine.serves(), "one", "{calls}");
        machine.every_command("exec");
        let whole = fs::read_dir(machine.at("releases")).unwrap().flatten();
        let whole = whole.filter(|entry| entry.path().join(".deploy/complete").exists());
        assert_eq!(whole.count(), 1, "{calls}: what was not flushed is complete");
        let target = machine.target();
        let op = machine.again(&target).await;
        assert_eq!(seen(&target).await, was);
        let to = machine.world.release(2, &[("page", "two")]);
        let mut again = step(&target, &to).await;
        let prepared = target.prepare(&op, &again).await.unwrap();
        again.checkpoint = Some(prepared.checkpoint.clone());
        if calls == "syncfs" {
            continue;
        }
        // At the switch, and the disk works again for whoever looks next.
        breaking(&machine, calls);
        let error = target.activate(&op, &again).await.unwrap_err();
        assert_eq!(error.failure.code, Code::RemoteFailed, "{calls}: {error:?}");
        assert_eq!(machine.serves(), "one", "{calls}");
        machine.every_command("exec");
        let op = machine.again(&target).await;
        assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
        target.verify(&op, &slice(), &was).await.unwrap();
    }
}

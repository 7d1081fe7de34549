//! Which releases stay on a host, and which moment a command of the manifest runs for.

use super::common::{World, back, bring, claim, hook, place, seen, shell, slice, step};
use crate::{HookPoint, SshTarget};
use deploy_core::port::target::{Cleanup, Target as _};
use std::fs;
use std::process::{Child, Command};

/// The numbers of the releases that are kept.
async fn kept(target: &SshTarget) -> Vec<u32> {
    let kept = target.observe(&[slice()]).await.unwrap().remove(0).kept;
    let mut numbers: Vec<_> = kept.iter().map(|kept| kept.number.0).collect();
    numbers.sort_unstable();
    numbers
}

/// Two that failed do not push out what one could go back to; nor does one that never served.
#[tokio::test]
async fn what_failed_takes_no_place_among_those_kept() {
    let world = World::local();
    let target = world.target();
    let cleanup = Cleanup::Prune { keep: 3 };
    let release = |number: u32| world.release(number, &[("a", &number.to_string())]);
    for number in [1, 2] {
        let (op, ..) = bring(&world, &target, number, &release(number)).await;
        target.finish(&op, &place(&target).await, &cleanup).await.unwrap();
    }
    for number in [3, 4] {
        let (op, _, prepared) = bring(&world, &target, number, &release(number)).await;
        target.restore(&op, &back(&prepared)).await.unwrap();
        let only = Cleanup::ReleaseOnly;
        target.finish(&op, &place(&target).await, &only).await.unwrap();
    }
    let op = world.op(&claim(&target, 5).await.unwrap());
    let sent = step(&target, &release(5)).await;
    target.prepare(&op, &sent).await.unwrap();
    let only = Cleanup::ReleaseOnly;
    target.finish(&op, &place(&target).await, &only).await.unwrap();
    assert_eq!(kept(&target).await, [1, 2, 3, 4, 5], "only a success prunes");
    let (op, ..) = bring(&world, &target, 6, &release(6)).await;
    target.finish(&op, &place(&target).await, &cleanup).await.unwrap();
    assert_eq!(kept(&target).await, [1, 2, 6]);

    // What failed once and then succeeds counts again.
    let (op, _, prepared) = bring(&world, &target, 7, &release(7)).await;
    target.restore(&op, &back(&prepared)).await.unwrap();
    target.finish(&op, &place(&target).await, &only).await.unwrap();
    for number in [8, 9, 10] {
        let to = if number == 8 { release(7) } else { release(number) };
        let (op, ..) = bring(&world, &target, number, &to).await;
        target.finish(&op, &place(&target).await, &cleanup).await.unwrap();
    }
    assert_eq!(kept(&target).await, [7, 9, 10]);
}

/// A daemon leaves its folder, and somebody may have a file open.
#[tokio::test]
async fn what_only_a_program_or_an_open_file_is_of_is_in_use() {
    let world = World::local();
    let target = world.target();
    let mut daemons = Vec::new();
    for number in 1..=5 {
        let to = world.release(number, &[("a", &number.to_string())]);
        let (op, ..) = bring(&world, &target, number, &to).await;
        if number == 5 {
            let runs = seen(&target).await;
            let left = target.verify(&op, &slice(), &runs).await.unwrap().inside.left;
            let told = |(daemon, name): (&Child, &str)| {
                let told = format!("pid {} ({name}) still runs from", daemon.id());
                left.iter().any(|line| line.starts_with(&told))
            };
            assert!(daemons.iter().zip(["daemon", "sleep"]).all(told), "{left:?}");
        }
        target
            .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 1 })
            .await
            .unwrap();
        let folder = fs::canonicalize(world.path().join("current")).unwrap();
        let mut daemon = match number {
            1 => {
                let program = folder.join(".deploy/daemon");
                fs::copy("/bin/sleep", &program).unwrap();
                Command::new(program)
            }
            2 => {
                let mut open = Command::new("sleep");
                open.stdin(fs::File::open(folder.join("a")).unwrap());
                open
            }
            _ => continue,
        };
        daemons.push(daemon.arg("60").current_dir("/").spawn().unwrap());
    }
    assert_eq!(kept(&target).await, [1, 2, 4, 5]);
    for mut daemon in daemons {
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
}

/// Which moment a command runs for.
#[tokio::test]
async fn hooks_and_the_restart_know_the_moment() {
    let mut world = World::local();
    let log = world.dir.path().join("phases");
    let note = format!("echo \"$DEPLOY_PHASE\" >>{}", log.display());
    world.binding.restart = Some(shell(&format!("echo restart: $DEPLOY_PHASE >>{}", log.display())));
    world.binding.hooks = [
        ("one", HookPoint::Prepare),
        ("two", HookPoint::Before),
        ("three", HookPoint::After),
        ("four", HookPoint::Failed),
    ]
    .map(|(name, at)| hook(name, at, &note))
    .to_vec();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    let only = Cleanup::ReleaseOnly;
    target.finish(&op, &place(&target).await, &only).await.unwrap();
    fs::remove_file(&log).unwrap();
    let (op, _, prepared) = bring(&world, &target, 2, &world.release(2, &[("a", "2")])).await;
    let there = fs::read_to_string(&log).unwrap();
    assert_eq!(there, "prepare\nbefore\nrestart: restart\nafter\n");
    target.restore(&op, &back(&prepared)).await.unwrap();
    let all = fs::read_to_string(&log).unwrap();
    assert_eq!(all.strip_prefix(&there), Some("restart: back\nback\n"));
}

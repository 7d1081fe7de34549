//! Commands of the manifest that hang, flood, ask for a password or leave something behind.

use super::super::common::{World, back, bring, claim, end, hook, seen, shell, step};
use super::super::sshd::Sshd;
use super::machine::{Machine, Setting};
use crate::{Hook, HookPoint};
use deploy_core::failure::Code;
use deploy_core::port::target::{Certainty, Target as _, TargetError};
use deploy_tests::wait;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Lines that are passed on, at the most: what is shown of a flood, its end and a word about the rest.
const SHOWN: usize = 20_000 + 41;

const MOMENTS: [HookPoint; 3] = [HookPoint::Prepare, HookPoint::Before, HookPoint::After];

async fn with_hook(world: &mut World, hook: Hook) -> Result<(), TargetError> {
    world.binding.hooks = vec![hook];
    let target = world.target();
    let op = world.op(&claim(&target, 1).await?);
    let mut step = step(&target, &world.release(1, &[("a", "1")])).await;
    step.checkpoint = Some(target.prepare(&op, &step).await?.checkpoint);
    target.activate(&op, &step).await.map(drop)
}

/// 100 MB of output: bounded on its way here, the end of it is kept, and it ends well or as its status says.
#[tokio::test]
async fn a_flood_is_bounded_and_its_end_is_shown() {
    for (at, status) in [(HookPoint::Prepare, 0), (HookPoint::Before, 7)] {
        let sshd = Sshd::start("");
        let mut world = World::at(sshd.address());
        let text = format!(
            "yes \"$(seq 30 | tr '\\n' ' ')\" | head -c 100000000; echo; echo the end; exit {status}"
        );
        let ended = with_hook(&mut world, hook("floods", at, &text)).await;
        match ended {
            Ok(()) => assert_eq!(status, 0),
            Err(error) => {
                assert_eq!(
                    (error.failure.code, error.certainty),
                    (Code::HookFailed, Certainty::NotDone)
                );
                assert!(error.failure.message.contains("status 7"), "{error}");
                assert_eq!(error.failure.log_tail.last().unwrap(), "the end");
            }
        }
        let lines = world.lines.0.lock().unwrap();
        assert!(lines.len() <= SHOWN, "{} lines", lines.len());
        assert!(
            lines
                .iter()
                .any(|line| line.ends_with("more lines are not shown]"))
        );
        assert_eq!(lines.last().unwrap(), "the end");
    }
}

/// No line at all, and no text: it ends by itself or by its time limit, and nothing is held up.
#[tokio::test]
async fn a_flood_without_lines_ends_with_its_hook() {
    for source in ["/dev/zero", "/dev/urandom"] {
        let sshd = Sshd::start("");
        let mut world = World::at(sshd.address());
        let mut floods = hook("floods", HookPoint::Before, &format!("tr '\\0' x <{source}"));
        floods.script.limit = Duration::from_secs(2);
        let began = Instant::now();
        let error = with_hook(&mut world, floods).await.unwrap_err();
        assert_eq!(
            (error.failure.code, error.certainty),
            (Code::HookFailed, Certainty::NotDone)
        );
        assert!(error.failure.message.contains("time limit"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert!(world.lines.0.lock().unwrap().len() <= SHOWN);
    }
}

#[tokio::test]
async fn a_restart_that_floods_shows_its_end_and_goes_back() {
    let machine = Machine::mounted("");
    let was = machine.first().await;
    let mut machine = machine;
    machine.world.binding.restart = Some(shell("yes | head -c 100000000; echo the end; exit 3"));
    let target = machine.target();
    let op = machine.world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &machine.world.release(2, &[("page", "two")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(error.failure.code, Code::RemoteFailed);
    assert_eq!(error.failure.log_tail.last().unwrap(), "the end");
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    assert_eq!(machine.serves(), "one");
}

/// What it leaves has left its process group, or does not hear, or holds its output: nobody waits for it.
#[tokio::test]
async fn what_a_hook_leaves_behind_holds_nothing_up() {
    let sshd = Sshd::start("");
    let mut world = World::at(sshd.address());
    let leaves = "setsid sh -c 'echo $$ >>\"$DEPLOY_PATH/../left\"; exec sleep 600' & \
                  (trap '' TERM; echo $(exec sh -c 'echo $PPID') >>\"$DEPLOY_PATH/../left\"; exec sleep 600) & sleep 0.2; echo done";
    world.binding.hooks = MOMENTS.map(|at| hook(&format!("{at:?}"), at, leaves)).into();
    let target = world.target();
    let began = Instant::now();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    end(&target, &op).await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(
        world
            .lines
            .0
            .lock()
            .unwrap()
            .iter()
            .filter(|line| *line == "done")
            .count(),
        3
    );
    // The lock is nobody's, and the claim of the next is taken at once.
    claim(&target, 2).await.unwrap();
    let left = fs::read_to_string(world.path().join("../left")).unwrap();
    assert_eq!(left.lines().count(), 6, "{left}");
    for pid in left.lines() {
        let _gone = Command::new("kill").args(["-KILL", pid]).status();
    }
}

/// A hook that hangs after the switch, over ssh: it is ended, and the old release comes back.
#[tokio::test]
async fn a_hook_that_hangs_after_the_switch_is_ended() {
    let mut machine = Machine::mounted("");
    let was = machine.first().await;
    let mut hangs = hook(
        "hangs",
        HookPoint::After,
        "trap '' TERM; while :; do sleep 1; done",
    );
    hangs.script.limit = Duration::from_secs(1);
    machine.world.binding.hooks = vec![hangs];
    let target = machine.target();
    let op = machine.world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &machine.world.release(2, &[("page", "two")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.failure.code, error.certainty),
        (Code::HookFailed, Certainty::Unknown),
        "{error:?}"
    );
    assert!(
        error.failure.message.starts_with("the hook hangs at `after` on "),
        "{error}"
    );
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    assert_eq!((seen(&target).await, machine.serves().as_str()), (was, "one"));
}

/// There is no terminal, and nobody to type.
#[tokio::test]
async fn sudo_that_asks_for_a_password_fails_at_once_and_goes_back() {
    let mut machine = Machine::new(Setting {
        shell: Some("/bin/sh"),
        ..Setting::default()
    });
    let was = machine.first().await;
    machine.world.binding.restart = Some(shell("sudo systemctl restart web"));
    let target = machine.target();
    let op = machine.world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &machine.world.release(2, &[("page", "two")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let began = Instant::now();
    let error = target.activate(&op, &step).await.unwrap_err();
    assert!(began.elapsed() < wait::PATIENCE);
    let said = error.failure.log_tail.join("\n");
    assert!(said.contains("password"), "install sudo: {error:?}");
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    assert_eq!(machine.serves(), "one");
}

//! Confirm or revert, as it happens on a host: what it does when nobody comes back, and who decides.

use super::common::{
    World, arm, back, bring, claim, deployment, end, hook, place, request, seen, shell, slice, step, watchers,
};
use super::shells::{busybox, only_shell};
use super::sshd::Sshd;
use crate::{Connections, HookPoint, SshTarget};
use deploy_core::id::Epoch;
use deploy_core::port::target::{
    Cause, Certainty, Cleanup, Held, Op, Prepared, Runs, SliceSeen, Target as _,
};
use deploy_tests::{procs, wait};
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};

/// How long a host may take once its time is over.
const AFTER: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);

/// A first release in place, and a second one armed over it. What ran first, and the second.
async fn armed(world: &World, target: &SshTarget, span: Duration) -> (Runs, Op, Prepared) {
    let first = world.release(1, &[("index", "one")]);
    let (op, _, prepared) = bring(world, target, 1, &first).await;
    end(target, &op).await;
    let (op, second) = arm(world, target, 2, &world.release(2, &[("index", "two")]), span).await;
    assert_eq!(serves(world).as_deref(), Some("two"));
    (prepared.will_be, op, second)
}

fn serves(world: &World) -> Option<String> {
    fs::read_to_string(world.path().join("current/index")).ok()
}

async fn look(target: &SshTarget) -> SliceSeen {
    target.observe(&[slice()]).await.unwrap().remove(0)
}

async fn held(target: &SshTarget) -> Held {
    look(target).await.held.unwrap()
}

fn is_armed(world: &World) -> bool {
    world.path().join(".deploy/armed").exists()
}

/// Waits until nothing is armed, and nobody waits for it any more.
#[track_caller]
fn is_over(world: &World, within: Duration) {
    wait::until(within, "the host disarms", || !is_armed(world));
    wait::until(AFTER, "whoever waited ends", || watchers(world).is_empty());
}

/// As if nobody had looked since: what was armed is due.
fn make_due(world: &World) {
    let file = world.path().join(".deploy/armed");
    let text = fs::read_to_string(&file).unwrap();
    let due = text.lines().find(|line| line.starts_with("due ")).unwrap();
    let aside = world.dir.path().join("armed");
    fs::write(&aside, text.replace(due, "due 1")).unwrap();
    fs::rename(aside, file).unwrap();
}

fn kill_watchers(world: &World) {
    for pid in watchers(world) {
        procs::signal(pid, Signal::KILL);
    }
    wait::until(AFTER, "nobody waits", || watchers(world).is_empty());
}

async fn goes_back_alone(world: World) {
    let span = Duration::from_secs(3);
    let target = world.target();
    let (was, op, _) = armed(&world, &target, span).await;
    let restarts = world.restarts();
    let began = Instant::now();
    // The deployer is gone, and with it its connection.
    drop(target);
    is_over(&world, span + AFTER);
    assert!(began.elapsed() > Duration::from_secs(1), "at once");
    let after = world.target();
    assert_eq!(seen(&after).await, was);
    assert_eq!(serves(&world).as_deref(), Some("one"));
    assert_eq!(world.restarts(), restarts + 1, "what came back was restarted");
    let held = held(&after).await;
    assert_eq!(
        held.epoch,
        op.claim.epoch.next(),
        "its old claim is worth nothing"
    );
    assert_eq!(held.deployment, Some(deployment(2)));
    assert_eq!(held.note.who, "alice@laptop (pid 1)");
    assert_eq!(held.note.step, "went back by itself");
    let told = look(&after).await.inside.unfinished.unwrap();
    assert_eq!(told, "web-1 went back by itself: it was not confirmed in time");
    let error = after.confirm(&op, &slice()).await.unwrap_err();
    assert_eq!(
        (error.cause, error.certainty),
        (Cause::Fenced, Certainty::NotDone)
    );
}

#[tokio::test]
async fn a_host_that_nobody_confirms_goes_back() {
    goes_back_alone(World::local()).await;
}

#[tokio::test]
async fn a_host_whose_connection_is_gone_goes_back() {
    let sshd = Sshd::start("");
    goes_back_alone(World::at(sshd.address())).await;
}

#[tokio::test]
async fn a_host_with_busybox_goes_back() {
    let mut world = World::local();
    world.connections = Connections::with_tools(busybox(&world));
    goes_back_alone(world).await;
}

#[tokio::test]
async fn a_host_with_dash_goes_back() {
    let mut world = World::local();
    world.connections = Connections::with_tools(only_shell(&world, "dash"));
    goes_back_alone(world).await;
}

#[tokio::test]
async fn what_was_nothing_is_nothing_again() {
    let world = World::local();
    let target = world.target();
    let first = world.release(1, &[("index", "one")]);
    arm(&world, &target, 1, &first, Duration::from_secs(1)).await;
    is_over(&world, Duration::from_secs(1) + AFTER);
    assert_eq!(seen(&target).await, Runs::Nothing);
}

#[tokio::test]
async fn a_live_folder_is_live_again() {
    let world = World::local();
    fs::create_dir_all(world.path()).unwrap();
    fs::write(world.path().join("index"), "live").unwrap();
    let target = world.target();
    let was = seen(&target).await;
    let first = world.release(1, &[("index", "one")]);
    arm(&world, &target, 1, &first, Duration::from_secs(2)).await;
    assert_eq!(fs::read_to_string(world.path().join("index")).unwrap(), "one");
    let armed = world.dir.path().join("opt/app.deploy/armed");
    wait::until(Duration::from_secs(2) + AFTER, "it disarms", || !armed.exists());
    assert_eq!(seen(&target).await, was);
    assert_eq!(fs::read_to_string(world.path().join("index")).unwrap(), "live");
}

/// The deadline is moved by a renewal, and a confirmation ends the process that waits for it.
#[tokio::test]
async fn renewing_puts_it_off_and_confirming_ends_it() {
    let world = World::local();
    let target = world.target();
    let (_, op, second) = armed(&world, &target, Duration::from_secs(2)).await;
    assert_eq!(watchers(&world).len(), 1);
    target.renew(&op, &slice(), MINUTE).await.unwrap();
    let left = look(&target).await.armed.unwrap();
    assert!(
        left > Duration::from_secs(50) && left <= MINUTE,
        "{left:?} left of {MINUTE:?}"
    );
    target.confirm(&op, &slice()).await.unwrap();
    is_over(&world, AFTER);
    // Once more, as after an answer that was lost.
    target.confirm(&op, &slice()).await.unwrap();
    let after = look(&target).await;
    assert_eq!((after.armed, after.runs.unwrap()), (None, second.will_be));
    assert_eq!(after.held.unwrap().epoch, op.claim.epoch);
    let error = target.renew(&op, &slice(), MINUTE).await.unwrap_err();
    assert_eq!((error.cause, error.certainty), (Cause::Final, Certainty::NotDone));
}

/// At the same instant: either it stays and the claim is as it was, or it went back and the confirmation was refused.
#[tokio::test(flavor = "multi_thread")]
async fn confirming_and_reverting_at_once_has_one_winner() {
    const ROUNDS: u32 = 50;
    let mut world = World::local();
    world.binding.restart = Some(shell("true"));
    let target = world.target();
    let (_, op, _) = armed(&world, &target, MINUTE).await;
    target.confirm(&op, &slice()).await.unwrap();
    end(&target, &op).await;
    let (mut stayed, mut went) = (0, 0);
    for round in 10..10 + ROUNDS {
        let was = seen(&target).await;
        let text = format!("release {round}");
        let to = world.release(round, &[("index", &text)]);
        let (op, prepared) = arm(&world, &target, round, &to, MINUTE).await;
        // Whoever waits looks once a second: it is let run into the confirmation, at another moment each time.
        make_due(&world);
        let lead = Duration::from_millis(u64::from(round) * 17 % 1100);
        let looked = Instant::now();
        wait::until(lead + AFTER, "the moment", || looked.elapsed() >= lead);
        let confirmed = target.confirm(&op, &slice()).await;
        // Who waited may be there for a moment yet, and meets the next round.
        wait::until(AFTER, "the host disarms", || !is_armed(&world));
        let after = look(&target).await;
        let epoch = after.held.unwrap().epoch;
        match confirmed {
            Ok(()) => {
                assert_eq!(after.runs.unwrap(), prepared.will_be, "round {round}");
                assert_eq!(epoch, op.claim.epoch);
                stayed += 1;
                end(&target, &op).await;
            }
            Err(error) => {
                assert_eq!(error.cause, Cause::Fenced, "{error}");
                assert_eq!(after.runs.unwrap(), was, "round {round}");
                assert_eq!(epoch, op.claim.epoch.next());
                went += 1;
                let mut wants = request(round);
                wants.may_take = vec![deployment(round)];
                let claim = target.claim(&place(&target).await, &wants).await.unwrap();
                end(&target, &world.op(&claim)).await;
            }
        }
    }
    println!("{stayed} stayed, {went} went back");
    assert!(stayed > 0 && went > 0, "{stayed} stayed, {went} went back");
}

/// Whoever waited was killed: the next claim sees to it that what is due goes back, and claims what came of it.
#[tokio::test]
async fn a_claim_reverts_what_is_due_and_unwatched() {
    let world = World::local();
    let target = world.target();
    let (was, op, _) = armed(&world, &target, Duration::from_secs(1)).await;
    kill_watchers(&world);
    wait::until(AFTER, "its time to be over", || {
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let armed = fs::read_to_string(world.path().join(".deploy/armed")).unwrap();
        let due = armed.lines().find_map(|line| line.strip_prefix("due ")).unwrap();
        uptime.split('.').next().unwrap().parse::<u64>().unwrap() >= due.parse().unwrap()
    });
    // A look changes nothing, and says that it is due.
    let before = look(&target).await;
    assert_eq!(before.armed, Some(Duration::ZERO));
    assert_ne!(before.runs.unwrap(), was);
    let mut wants = request(3);
    wants.may_take = vec![deployment(2)];
    let claim = target.claim(&place(&target).await, &wants).await.unwrap();
    assert_eq!(seen(&target).await, was);
    assert_eq!(
        claim.epoch,
        Epoch(op.claim.epoch.0 + 2),
        "one for going back, one for the claim"
    );
    assert_eq!(
        look(&target).await.inside.unfinished,
        None,
        "it was another's deployment"
    );
    is_over(&world, AFTER);
}

/// What was armed before the host started anew is due, whatever its deadline.
#[tokio::test]
async fn a_new_start_of_the_host_is_a_deadline() {
    let world = World::local();
    let target = world.target();
    let (was, op, _) = armed(&world, &target, Duration::from_secs(600)).await;
    kill_watchers(&world);
    let file = world.path().join(".deploy/armed");
    let text = fs::read_to_string(&file).unwrap();
    let boot = text.lines().find(|line| line.starts_with("boot ")).unwrap();
    fs::write(&file, text.replace(boot, "boot another")).unwrap();
    assert_eq!(look(&target).await.armed, Some(Duration::ZERO));
    let error = target.renew(&op, &slice(), MINUTE).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::NotDone);
    claim(&target, 2).await.unwrap();
    let after = look(&target).await;
    assert_eq!(after.runs.unwrap(), was);
    let told = after.inside.unfinished.unwrap();
    assert_eq!(
        told,
        "web-1 went back by itself: it started anew before it was confirmed"
    );
}

/// A renewal sees to it too that somebody waits.
#[tokio::test]
async fn a_renewal_begins_the_wait_again() {
    let world = World::local();
    let target = world.target();
    let (was, op, _) = armed(&world, &target, MINUTE).await;
    kill_watchers(&world);
    target.renew(&op, &slice(), Duration::from_secs(2)).await.unwrap();
    is_over(&world, Duration::from_secs(2) + AFTER);
    assert_eq!(seen(&target).await, was);
}

/// A repeated request finds its work done, and arms nothing anew.
#[tokio::test]
async fn a_request_that_arrives_twice_arms_nothing() {
    let world = World::local();
    let target = world.target();
    let (_, op, prepared) = armed(&world, &target, MINUTE).await;
    target.confirm(&op, &slice()).await.unwrap();
    let mut again = step(&target, &world.release(2, &[("index", "two")])).await;
    again.arm = Some(MINUTE);
    again.checkpoint = Some(prepared.checkpoint.clone());
    target.activate(&op, &again).await.unwrap();
    assert_eq!(look(&target).await.armed, None);
    is_over(&world, AFTER);
}

#[tokio::test]
async fn putting_it_back_disarms() {
    let world = World::local();
    let target = world.target();
    let (was, op, prepared) = armed(&world, &target, MINUTE).await;
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    assert_eq!(look(&target).await.armed, None);
    is_over(&world, AFTER);
    assert_eq!(held(&target).await.epoch, op.claim.epoch);
}

#[tokio::test]
async fn an_end_of_any_kind_disarms() {
    for cleanup in [Cleanup::ReleaseOnly, Cleanup::Prune { keep: 3 }, Cleanup::Remove] {
        let world = World::local();
        let target = world.target();
        let (_, op, _) = armed(&world, &target, MINUTE).await;
        target.finish(&op, &place(&target).await, &cleanup).await.unwrap();
        is_over(&world, AFTER);
        assert_eq!(look(&target).await.armed, None, "{cleanup:?}");
    }
}

/// What runs when it is due is somebody's own: it is left, and told.
#[tokio::test]
async fn what_somebody_changed_is_left_alone() {
    let world = World::local();
    let target = world.target();
    let (_, op, _) = armed(&world, &target, MINUTE).await;
    let current = world.path().join("current");
    fs::remove_file(&current).unwrap();
    std::os::unix::fs::symlink("/srv/other", &current).unwrap();
    make_due(&world);
    is_over(&world, AFTER);
    assert_eq!(fs::read_link(&current).unwrap().to_str(), Some("/srv/other"));
    let after = look(&target).await;
    assert_eq!(after.held.unwrap().epoch, op.claim.epoch.next());
    let told = after.inside.unfinished.unwrap();
    assert!(told.contains("somebody else had changed it"), "{told}");
}

/// It runs what the old release was restarted by, and none of the new one's hooks.
#[tokio::test]
async fn nothing_of_the_new_release_runs() {
    let mut world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("index", "one")])).await;
    end(&target, &op).await;
    let note = "echo new >>\"$DEPLOY_PATH/../new\"";
    world.binding.restart = Some(shell(note));
    world.binding.hooks = vec![hook("sorry", HookPoint::Failed, note)];
    let target = world.target();
    let second = world.release(2, &[("index", "two")]);
    arm(&world, &target, 2, &second, Duration::from_secs(1)).await;
    is_over(&world, Duration::from_secs(1) + AFTER);
    let new = fs::read_to_string(world.dir.path().join("opt/new")).unwrap();
    assert_eq!(
        new.lines().count(),
        1,
        "its own restart alone, when it was switched to"
    );
    assert_eq!(world.restarts(), 2);
}

/// A restart that does not work is tried again; then it is left as it is, and told.
#[tokio::test]
async fn a_restart_that_fails_is_tried_again() {
    let mut world = World::local();
    // Works for the first release; and again once somebody has mended it.
    let count = "echo x >>\"$DEPLOY_PATH/../tries\"; [ ! -e \"$DEPLOY_PATH/../broken\" ]";
    world.binding.restart = Some(shell(count));
    let target = world.target();
    let (was, op, _) = armed(&world, &target, MINUTE).await;
    let broken = world.dir.path().join("opt/broken");
    let tries = || {
        fs::read_to_string(world.dir.path().join("opt/tries"))
            .unwrap()
            .lines()
            .count()
    };
    fs::write(&broken, "").unwrap();
    make_due(&world);
    let moving = world.path().join(".deploy/moving");
    wait::until(MINUTE, "it is tried again, and fails again", || {
        tries() >= 5 && fs::read_to_string(&moving).is_ok_and(|text| text.lines().count() == 2)
    });
    assert!(is_armed(&world));
    let told = look(&target).await.inside.unfinished.unwrap();
    assert!(told.contains("the restart command ended with status 1"), "{told}");
    fs::remove_file(&broken).unwrap();
    is_over(&world, MINUTE);
    assert_eq!(seen(&target).await, was);
    assert!(held(&target).await.epoch > op.claim.epoch.next());
}

/// A restart that takes longer than the deadline is no reason to go back: the time to confirm begins after it.
#[tokio::test]
async fn a_slow_switch_is_not_cut_short() {
    let mut world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("index", "one")])).await;
    end(&target, &op).await;
    world.binding.restart = Some(shell("sleep 3"));
    let target = world.target();
    let second = world.release(2, &[("index", "two")]);
    let (op, _) = arm(&world, &target, 2, &second, Duration::from_secs(2)).await;
    target.confirm(&op, &slice()).await.unwrap();
    assert_eq!(serves(&world).as_deref(), Some("two"));
    assert_eq!(held(&target).await.epoch, op.claim.epoch);
}

/// Where nothing can be begun that would revert, nothing is switched.
#[tokio::test]
async fn nothing_is_switched_where_nobody_would_wait() {
    let mut world = World::local();
    let target = world.target();
    let (was, op, second) = armed(&world, &target, MINUTE).await;
    target.restore(&op, &back(&second)).await.unwrap();
    end(&target, &op).await;
    let tools = busybox(&world);
    // Only the step itself may begin a session.
    let setsid = tools.join("setsid");
    fs::remove_file(&setsid).unwrap();
    fs::write(
        &setsid,
        "#!/bin/sh\ncase $2 in */revert) exit 1 ;; esac\nexec /usr/bin/setsid \"$@\"\n",
    )
    .unwrap();
    fs::set_permissions(&setsid, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    world.connections = Connections::with_tools(tools);
    let target = world.target();
    is_over(&world, AFTER);
    let op = world.op(&claim(&target, 3).await.unwrap());
    let mut step = step(&target, &world.release(3, &[("index", "three")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint);
    step.arm = Some(MINUTE);
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.cause, error.certainty),
        (Cause::Final, Certainty::NotDone),
        "{error}"
    );
    assert!(
        error.failure.message.contains("nothing could be begun"),
        "{error}"
    );
    assert_eq!((seen(&target).await, is_armed(&world)), (was, false));
}

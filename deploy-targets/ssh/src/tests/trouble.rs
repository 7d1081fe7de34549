//! What can go wrong on a host, and what must not come of it.

use super::common::{
    World, arm, back, bring, claim, deployment, examined, hook, out, place, request, seen, shell, slice, step,
};
use crate::{FAILPOINTS, Failpoint, HookPoint};
use deploy_core::failure::Code;
use deploy_core::port::target::{Cause, Certainty, Cleanup, Runs, Target as _};
use deploy_tests::wait;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

fn text(world: &World, name: &str) -> String {
    fs::read_to_string(world.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[tokio::test]
async fn a_live_folder_is_adopted_and_comes_back() {
    let mut world = World::local();
    world.binding.shared = vec!["uploads".to_owned()];
    fs::create_dir_all(world.path().join("uploads")).unwrap();
    fs::write(world.path().join("index.html"), "live").unwrap();
    fs::write(world.path().join("uploads/photo"), "p").unwrap();
    let target = world.target();
    let live = seen(&target).await;
    assert!(matches!(&live, Runs::Release { release: None, .. }), "{live:?}");
    let first = world.release(1, &[("index.html", "new")]);
    assert!(target.plan(&slice(), &first).await.unwrap().lines[1].starts_with("adopts"));
    let (op, _, prepared) = bring(&world, &target, 1, &first).await;
    assert_eq!(prepared.checkpoint.was, live);
    assert!(world.path().is_symlink());
    assert_eq!(
        (text(&world, "index.html"), text(&world, "uploads/photo")),
        ("new".into(), "p".into())
    );
    assert!(text(&world, ".deploy/env").contains("TOKEN"));
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), live);
    assert_eq!(
        (text(&world, "index.html"), text(&world, "uploads/photo")),
        ("live".into(), "p".into())
    );
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
}

/// Cut between the two renames: the next claim makes the live folder serve again.
#[tokio::test]
async fn an_adoption_that_was_cut_short_is_undone_by_the_next_claim() {
    let world = World::local();
    fs::create_dir_all(world.path()).unwrap();
    fs::write(world.path().join("index.html"), "live").unwrap();
    let target = world.target();
    let live = seen(&target).await;
    let first = world.release(1, &[("index.html", "new")]);
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut step = step(&target, &first).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let store = world.path().with_file_name("app.deploy");
    let adopted = format!("adopted-{}", fs::metadata(world.path()).unwrap().ino());
    fs::write(store.join("adopting"), format!("{adopted}\n")).unwrap();
    fs::write(store.join("moving"), format!("{} x\n", deployment(1))).unwrap();
    fs::rename(world.path(), store.join("releases").join(&adopted)).unwrap();
    assert!(!world.path().exists());

    let op = world.op(&claim(&target, 1).await.unwrap());
    assert_eq!(text(&world, "index.html"), "live");
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), live);
    assert_eq!(target.activate(&op, &step).await.unwrap(), prepared.will_be);
    assert_eq!(text(&world, "index.html"), "new");
}

/// Cut before the first rename: the live folder is where it was, and the restart runs in it.
#[tokio::test]
async fn an_adoption_that_was_cut_before_it_moved_anything_goes_back() {
    let world = World::local();
    fs::create_dir_all(world.path()).unwrap();
    fs::write(world.path().join("index.html"), "live").unwrap();
    let target = world.target();
    let live = seen(&target).await;
    let first = world.release(1, &[("index.html", "new")]);
    let op = world.op(&claim(&target, 1).await.unwrap());
    let step = step(&target, &first).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    let moving = world.path().with_file_name("app.deploy").join("moving");
    fs::write(moving, format!("{} x\n", deployment(1))).unwrap();
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), live);
    assert_eq!(text(&world, "index.html"), "live");
}

#[tokio::test]
async fn hooks_run_in_their_moments_and_carry_over() {
    let mut world = World::local();
    let mut install = hook(
        "install",
        HookPoint::Prepare,
        "mkdir made; cp lock made/; echo installing; printf %s \"$TOKEN\" >made/token",
    );
    install.if_changed = vec!["lock".to_owned()];
    install.produces = vec!["made".to_owned()];
    let note = |name: &str| {
        format!("echo {name} $DEPLOY_RELEASE $DEPLOY_HOST $(cat index) >>\"$DEPLOY_PATH/../log\"")
    };
    world.binding.hooks = vec![
        install,
        hook("early", HookPoint::Before, &note("before")),
        hook("late", HookPoint::After, &note("after")),
        hook("sorry", HookPoint::Failed, &note("failed")),
    ];
    let target = world.target();
    let (op, ..) = bring(
        &world,
        &target,
        1,
        &world.release(1, &[("lock", "1"), ("index", "one")]),
    )
    .await;
    target
        .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 3 })
        .await
        .unwrap();
    assert_eq!(text(&world, "current/made/token"), "a\"b\\c $d\n`e'");
    let (op, _, prepared) = bring(
        &world,
        &target,
        2,
        &world.release(2, &[("lock", "1"), ("index", "two")]),
    )
    .await;
    assert_eq!(text(&world, "current/made/lock"), "1");
    let installs = |world: &World| {
        world
            .lines
            .0
            .lock()
            .unwrap()
            .iter()
            .filter(|line| *line == "installing")
            .count()
    };
    assert_eq!(installs(&world), 1);
    target.restore(&op, &back(&prepared)).await.unwrap();
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    bring(
        &world,
        &target,
        3,
        &world.release(3, &[("lock", "2"), ("index", "three")]),
    )
    .await;
    assert_eq!(installs(&world), 2);
    assert_eq!(
        text(&world, "../log"),
        "before v1 web-1 one\nafter v1 web-1 one\nbefore v2 web-1 two\nafter v2 web-1 two\n\
         failed v2 web-1 one\nbefore v3 web-1 three\nafter v3 web-1 three\n"
    );
}

/// Sending it again would end the same way: it is said at once, with the hook's name.
#[tokio::test]
async fn a_hook_that_rewrites_what_was_sent_is_named() {
    let mut world = World::local();
    world.binding.hooks = vec![hook(
        "install",
        HookPoint::Prepare,
        "echo run >>\"$DEPLOY_PATH/../runs\"; echo rewritten >lock",
    )];
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let step = step(&target, &world.release(1, &[("lock", "1")])).await;
    let error = target.prepare(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.certainty, error.cause, error.failure.code),
        (Certainty::NotDone, Cause::Final, Code::HookFailed)
    );
    let told = &error.failure.message;
    assert!(
        told.contains("a hook (install) changed") && told.contains("./lock"),
        "{told}"
    );
    assert_eq!(text(&world, "../runs"), "run\n");
    assert_eq!(seen(&target).await, Runs::Nothing);
}

#[tokio::test]
async fn a_failed_hook_before_the_switch_changes_nothing_and_shows_its_output() {
    let mut world = World::local();
    world.binding.hooks = vec![hook("check", HookPoint::Before, "echo 'no database'; exit 7")];
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut step = step(&target, &world.release(1, &[("a", "1")])).await;
    step.checkpoint = Some(target.prepare(&op, &step).await.unwrap().checkpoint);
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.certainty, error.failure.code),
        (Certainty::NotDone, Code::HookFailed)
    );
    let message = "the hook check at `before` on web-1 ended with status 7";
    assert_eq!(error.failure.message, message);
    let next = "mend what it does, its output is above; then deploy again";
    assert_eq!(error.failure.next, next);
    assert_eq!(error.failure.log_tail.last().unwrap(), "no database");
    assert_eq!(seen(&target).await, Runs::Nothing);

    // Of two the host does not say which.
    world
        .binding
        .hooks
        .insert(0, hook("first", HookPoint::Before, "true"));
    let error = world.target().activate(&op, &step).await.unwrap_err();
    let message = "a hook at `before` (first, check) on web-1 ended with status 7";
    assert_eq!(error.failure.message, message);
}

#[tokio::test]
async fn what_commands_print_shows_no_variable() {
    let mut world = World::local();
    world.binding.hooks = vec![hook("env", HookPoint::Prepare, "env; exit 1")];
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let step = step(&target, &world.release(1, &[("a", "1")])).await;
    let error = target.prepare(&op, &step).await.unwrap_err();
    let told = format!("{error:?}{:?}", world.lines.0.lock().unwrap());
    assert!(told.contains("TOKEN=***") && !told.contains("c $d"), "{told}");
}

/// A listing beside the artifact is believed only where it is the one that the release names.
#[tokio::test]
async fn an_artifact_is_the_one_that_the_release_names() {
    let world = World::local();
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let to = world.release(1, &[("d/a", "1")]);
    let folder = to.local.clone().unwrap();
    let listing = crate::listing::walk(&folder).unwrap().to_text();
    fs::write(folder.join("d/a"), "2").unwrap();
    let step = step(&target, &to).await;
    let error = target.prepare(&op, &step).await.unwrap_err();
    assert_eq!(error.failure.code, Code::ContentMismatch);
    // Said of the right tree, and the host still finds the file that is not.
    fs::write(folder.with_file_name("listing"), listing).unwrap();
    let error = target.prepare(&op, &step).await.unwrap_err();
    assert_eq!(error.failure.code, Code::ContentMismatch);
    assert!(error.failure.message.contains("./d/a"), "{error}");
    fs::write(folder.join("d/a"), "1").unwrap();
    // Copied with other bits on its folders: what counts is what the listing says.
    fs::set_permissions(folder.join("d"), fs::Permissions::from_mode(0o711)).unwrap();
    target.prepare(&op, &step).await.unwrap();
}

#[tokio::test]
async fn a_hook_that_hangs_is_ended_and_one_that_leaves_a_child_holds_nothing_up() {
    let mut world = World::local();
    let mut hangs = hook("hangs", HookPoint::Prepare, "sleep 60");
    hangs.script.limit = Duration::from_secs(1);
    world.binding.hooks = vec![hook("leaves", HookPoint::Prepare, "sleep 60 & :"), hangs];
    let target = world.target();
    let began = Instant::now();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let step = step(&target, &world.release(1, &[("a", "1")])).await;
    let error = target.prepare(&op, &step).await.unwrap_err();
    assert!(
        error
            .failure
            .message
            .contains("the hook hangs on web-1 was ended"),
        "{error}"
    );
    // The lock is free again.
    let mut next = request(2);
    next.may_take = vec![deployment(1)];
    target.claim(&place(&target).await, &next).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_failed_restart_is_unknown_is_not_verified_and_goes_back() {
    let mut world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    let was = seen(&target).await;
    world.binding.restart = Some(shell("grep -q 1 a || { echo 'port in use'; exit 1; }"));
    let target = world.target();
    let op = world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &world.release(2, &[("a", "2")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!((error.certainty, error.cause), (Certainty::Unknown, Cause::Final));
    assert_eq!(error.failure.log_tail, ["port in use"]);
    assert_eq!(seen(&target).await, prepared.will_be);
    target.verify(&op, &slice(), &prepared.will_be).await.unwrap_err();
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    target.verify(&op, &slice(), &was).await.unwrap();
}

/// The restart command is configuration, and changes with the release: a new one that cannot work must not hold up the old release.
#[tokio::test]
async fn going_back_restarts_as_the_old_release_was_restarted() {
    let mut world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    let (was, restarts) = (seen(&target).await, world.restarts());
    world.binding.restart = Some(shell("echo 'no such unit'; exit 5"));
    let target = world.target();
    let op = world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &world.release(2, &[("a", "2")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    target.activate(&op, &step).await.unwrap_err();
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    target.verify(&op, &slice(), &was).await.unwrap();
    assert_eq!(world.restarts(), restarts + 1);
}

/// Whoever looks after the deployer was killed learns why, and none of what the command printed.
#[tokio::test]
async fn the_place_says_why_a_switch_has_not_ended() {
    let mut world = World::local();
    world.binding.restart = Some(shell("echo \"port in use, $TOKEN\"; exit 3"));
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut step = step(&target, &world.release(1, &[("a", "1")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    target.activate(&op, &step).await.unwrap_err();
    let told = target
        .observe(&[slice()])
        .await
        .unwrap()
        .remove(0)
        .inside
        .unfinished
        .unwrap();
    let log = world.path().join(".deploy/failed.log");
    assert!(
        told.contains("restart command ended with status 3") && told.contains(log.to_str().unwrap()),
        "{told}"
    );
    assert!(!told.contains("port"), "{told}");
    assert!(fs::read_to_string(&log).unwrap().starts_with("port in use"));
    for file in ["failed.log", "restart.log"] {
        let mode = fs::metadata(log.with_file_name(file)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let error = target.verify(&op, &slice(), &prepared.will_be).await.unwrap_err();
    assert!(error.failure.message.contains("status 3"), "{error}");
    assert_eq!(
        target.restore(&op, &back(&prepared)).await.unwrap(),
        Runs::Nothing
    );
    let after = target.observe(&[slice()]).await.unwrap().remove(0).inside;
    assert_eq!(after.unfinished, None);
}

#[tokio::test]
async fn what_somebody_else_changed_is_neither_overwritten_nor_adopted() {
    let world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    let op = world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &world.release(2, &[("a", "2")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let current = world.path().join("current");
    fs::remove_file(&current).unwrap();
    symlink("/srv/other", &current).unwrap();
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.certainty, error.cause),
        (Certainty::NotDone, Cause::Overtaken)
    );
    let error = target.restore(&op, &back(&prepared)).await.unwrap_err();
    assert_eq!(error.cause, Cause::Overtaken);
    assert_eq!(fs::read_link(&current).unwrap().to_str(), Some("/srv/other"));
    for spoil in ["dangling", "folder"] {
        fs::remove_file(&current).unwrap();
        if spoil == "folder" {
            fs::create_dir(&current).unwrap();
        } else {
            symlink("releases/0123456789abcdef", &current).unwrap();
        }
        let error = target.activate(&op, &step).await.unwrap_err();
        assert_eq!(error.cause, Cause::Overtaken, "{spoil}");
    }
}

#[tokio::test]
async fn a_lost_or_damaged_checkpoint_is_said() {
    let world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    let (op, step, prepared) = bring(&world, &target, 2, &world.release(2, &[("a", "2")])).await;
    let body = world.path().join(".deploy").join(&prepared.checkpoint.reference);
    let kept = fs::read(&body).unwrap();
    fs::write(&body, "fingerprint x\nrelease =y\n").unwrap();
    assert_eq!(
        target.restore(&op, &back(&prepared)).await.unwrap_err().cause,
        Cause::CheckpointLost
    );
    fs::remove_file(&body).unwrap();
    assert_eq!(
        target.restore(&op, &back(&prepared)).await.unwrap_err().cause,
        Cause::CheckpointLost
    );
    fs::write(&body, kept).unwrap();
    let Runs::Release { fingerprint, .. } = &prepared.checkpoint.was else {
        panic!()
    };
    fs::remove_dir_all(world.path().join("releases").join(fingerprint.as_str())).unwrap();
    assert_eq!(
        target.restore(&op, &back(&prepared)).await.unwrap_err().cause,
        Cause::CheckpointLost
    );
    assert_eq!(seen(&target).await, prepared.will_be);
    drop(step);
}

#[tokio::test]
async fn a_kept_release_that_was_edited_is_sent_anew() {
    let world = World::local();
    let target = world.target();
    let first = world.release(1, &[("a", "1")]);
    for (number, to) in [(1, first.clone()), (2, world.release(2, &[("a", "2")]))] {
        let (op, ..) = bring(&world, &target, number, &to).await;
        target
            .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 5 })
            .await
            .unwrap();
    }
    for entry in fs::read_dir(world.path().join("releases")).unwrap() {
        let file = entry.unwrap().path().join("a");
        if fs::read_to_string(&file).unwrap() == "1" {
            fs::write(file, "!").unwrap();
        }
    }
    bring(&world, &target, 3, &first).await;
    assert_eq!(text(&world, "current/a"), "1");
}

/// What writes in place damages neither what comes after it nor what came before. (Where the manifest says `links`, releases share what
/// is the same: `linked.rs`.)
#[tokio::test]
async fn releases_share_no_file() {
    let world = World::local();
    let target = world.target();
    let (op, ..) = bring(
        &world,
        &target,
        1,
        &world.release(1, &[("same", "s"), ("a", "1")]),
    )
    .await;
    target
        .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 5 })
        .await
        .unwrap();
    let old = fs::canonicalize(world.path().join("current/same")).unwrap();
    bring(
        &world,
        &target,
        2,
        &world.release(2, &[("same", "s"), ("a", "2")]),
    )
    .await;
    fs::write(world.path().join("current/same"), "written by the app").unwrap();
    assert_eq!(fs::read_to_string(old).unwrap(), "s");
}

#[tokio::test]
async fn prune_keeps_what_runs_what_ran_and_what_is_in_use() {
    let world = World::local();
    let target = world.target();
    let mut in_use = None;
    for number in 1..=5 {
        let to = world.release(number, &[("a", &number.to_string())]);
        let (op, ..) = bring(&world, &target, number, &to).await;
        target
            .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 1 })
            .await
            .unwrap();
        if number == 2 {
            let folder = fs::canonicalize(world.path().join("current")).unwrap();
            in_use = Some(
                std::process::Command::new("sleep")
                    .arg("60")
                    .current_dir(folder)
                    .spawn()
                    .unwrap(),
            );
        }
    }
    let mut kept: Vec<_> = target.observe(&[slice()]).await.unwrap().remove(0).kept;
    kept.sort();
    let mut numbers: Vec<_> = kept.iter().map(|kept| kept.number.0).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 4, 5]);
    let mut process = in_use.unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn a_tree_with_our_own_folder_is_refused_and_setuid_is_dropped() {
    let world = World::local();
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let bad = world.release(1, &[(".deploy/listing", "x")]);
    let error = target.prepare(&op, &step(&target, &bad).await).await.unwrap_err();
    assert_eq!(error.failure.code, Code::ManifestInvalid);
    world.release(2, &[("tool", "x")]);
    let tool = world.dir.path().join("artifact-2/tool");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o6755)).unwrap();
    let good = World::release_of(2, tool.parent().unwrap());
    let mut step = step(&target, &good).await;
    step.checkpoint = Some(target.prepare(&op, &step).await.unwrap().checkpoint);
    target.activate(&op, &step).await.unwrap();
    let mode = fs::metadata(world.path().join("current/tool")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o755);
    let env = fs::metadata(world.path().join(".deploy/env")).unwrap().mode();
    assert_eq!(env & 0o777, 0o600);
}

/// Everything below a folder, and when it was written.
fn times(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let (mut all, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            all.push((path.clone(), about.modified().unwrap()));
            if about.is_dir() {
                open.push(path);
            }
        }
    }
    all.sort();
    all
}

/// A full disk: nothing that serves changes, and it says so.
#[tokio::test]
async fn no_room_is_said_and_changes_nothing() {
    let mut world = World::local();
    let disk = world.path();
    fs::create_dir_all(&disk).unwrap();
    let mount = |args: &[&str]| {
        std::process::Command::new(args[0])
            .args(&args[1..])
            .arg(&disk)
            .status()
            .unwrap()
    };
    let mounted = mount(&["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs"]);
    assert!(
        mounted.success(),
        "a small disk is needed: run this test as root, who may mount one"
    );
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let small = world.release(1, &[("a", "1")]);
    let mut first = step(&target, &small).await;
    first.checkpoint = Some(target.prepare(&op, &first).await.unwrap().checkpoint);
    target.activate(&op, &first).await.unwrap();
    target
        .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 2 })
        .await
        .unwrap();
    let was = seen(&target).await;
    let op = world.op(&claim(&target, 2).await.unwrap());
    let big = world.release(2, &[("big", &"x".repeat(4_000_000))]);
    let sent = step(&target, &big).await;
    let before = times(&disk);
    let error = target.prepare(&op, &sent).await.unwrap_err();
    assert_eq!(times(&disk), before, "it was asked before anything was written");
    assert_eq!(
        (error.failure.code, error.certainty),
        (Code::TargetFull, Certainty::NotDone),
        "{error:?}"
    );
    world.binding.hooks = vec![hook("install", HookPoint::Prepare, "true")];
    let error = world.target().prepare(&op, &sent).await.unwrap_err();
    assert_eq!(error.failure.code, Code::TargetFull, "{error:?}");
    assert_eq!(times(&disk), before, "nor for one with hooks");
    let told = &error.failure.message;
    assert!(
        told.contains("for 3907 KiB to send: ") && told.contains(" inodes free"),
        "{told}"
    );
    assert!(error.failure.next.contains("keep"), "{error}");
    assert_eq!(seen(&target).await, was);
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    assert!(mount(&["umount"]).success());
}

/// Eight deployments of one state, and eight of another, at the same moment: one each time.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_claims_at_once_one_wins() {
    let world = World::local();
    let target = Arc::new(world.target());
    let place = place(&target).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=12 {
        let (target, place) = (Arc::clone(&target), place.clone());
        let mut wants = request(number);
        wants.store = super::common::store(number % 2);
        tasks.spawn(async move { target.claim(&place, &wants).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!(refused.cause, Cause::Held, "{refused:?}");
        assert!(refused.held.is_some());
        // That waits for an environment, and for no place.
        assert!(!refused.failure.next.contains("--lock-wait"), "{refused:?}");
    }
}

/// A claim waits for the step of an older one that is still writing.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_for_the_older_writer() {
    let mut world = World::local();
    world.binding.hooks = vec![hook(
        "slow",
        HookPoint::Before,
        "touch \"$DEPLOY_PATH/began\"; sleep 1",
    )];
    let target = Arc::new(world.target());
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut first = step(&target, &world.release(1, &[("a", "1")])).await;
    let prepared = target.prepare(&op, &first).await.unwrap();
    first.checkpoint = Some(prepared.checkpoint.clone());
    let running = tokio::spawn({
        let (target, op) = (Arc::clone(&target), op.clone());
        async move { target.activate(&op, &first).await }
    });
    let began = world.path().join("began");
    wait::until(wait::PATIENCE, "the hook runs", || began.exists());
    let mut next = request(2);
    next.may_take = vec![deployment(1)];
    target.claim(&place(&target).await, &next).await.unwrap();
    // It has ended by now: what is seen under the new claim stays.
    assert_eq!(
        seen(&target).await,
        Runs::Release {
            fingerprint: match prepared.will_be {
                Runs::Release { fingerprint, .. } => fingerprint,
                Runs::Nothing => panic!(),
            },
            release: Some(world.release(1, &[("a", "1")]).release),
        }
    );
    running.await.unwrap().unwrap();
}

/// A dropped future ends what it had started on this machine, and the lock is free.
#[tokio::test]
async fn dropping_a_step_ends_it() {
    let mut world = World::local();
    world.binding.hooks = vec![hook(
        "slow",
        HookPoint::Before,
        "echo $$ >\"$DEPLOY_PATH/pid\"; exec sleep 60",
    )];
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut first = step(&target, &world.release(1, &[("a", "1")])).await;
    first.checkpoint = Some(target.prepare(&op, &first).await.unwrap().checkpoint);
    let pid = world.path().join("pid");
    let written = tokio::task::spawn_blocking(move || {
        wait::until_some(wait::PATIENCE, "the hook runs", || {
            fs::read_to_string(&pid).ok().filter(|pid| pid.ends_with('\n'))
        })
    });
    let pid = tokio::select! {
        answer = target.activate(&op, &first) => panic!("{answer:?}"),
        pid = written => pid.unwrap(),
    };
    let program = format!("/proc/{}/exe", pid.trim());
    wait::until(wait::PATIENCE, "the hook ends", || {
        fs::metadata(&program).is_err()
    });
    let mut next = request(2);
    next.may_take = vec![deployment(1)];
    target.claim(&place(&target).await, &next).await.unwrap();
    assert_eq!(seen(&target).await, Runs::Nothing);
}

#[tokio::test]
async fn every_step_has_its_failpoints() {
    let seen: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let mut world = World::local();
    let names = Arc::clone(&seen);
    world.binding.failpoint = Some(Failpoint(Arc::new(move |name| names.lock().unwrap().push(name))));
    world.binding.hooks = vec![hook("h", HookPoint::Prepare, "true")];
    let target = world.target();
    let (op, _, prepared) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    target.restore(&op, &back(&prepared)).await.unwrap();
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    // Without a hook one step does it all.
    world.binding.hooks = Vec::new();
    let second = world.release(2, &[("a", "2")]);
    let (op, _) = arm(&world, &target, 2, &second, Duration::from_secs(60)).await;
    target
        .renew(&op, &slice(), Duration::from_secs(60))
        .await
        .unwrap();
    target.confirm(&op, &slice()).await.unwrap();
    let place = place(&target).await;
    target.finish(&op, &place, &Cleanup::ReleaseOnly).await.unwrap();
    world.binding.stop = Some(shell("true"));
    let target = world.target();
    let (op, _, prepared) = bring(&world, &target, 3, &world.release(3, &[("a", "3")])).await;
    target.stop(&op, &out(&prepared)).await.unwrap();
    examined(&target).await;
    let seen = seen.lock().unwrap();
    // Those of two ports: `beside.rs`.
    let in_place = |name: &&&str| !name.starts_with("ssh.stand.") && !name.starts_with("ssh.pass.");
    for name in FAILPOINTS.iter().filter(in_place) {
        assert!(seen.contains(name), "{name}");
    }
}

#[tokio::test]
async fn remove_leaves_claim_and_shared_data() {
    let mut world = World::local();
    world.binding.shared = vec!["data".to_owned()];
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    fs::write(world.path().join("current/data/x"), "").unwrap();
    target
        .finish(&op, &place(&target).await, &Cleanup::Remove)
        .await
        .unwrap();
    // Once more, as after an answer that was lost.
    target
        .finish(&op, &place(&target).await, &Cleanup::Remove)
        .await
        .unwrap();
    assert_eq!(seen(&target).await, Runs::Nothing);
    assert!(world.path().join("shared/data/x").exists());
    assert_eq!(claim(&target, 2).await.unwrap().epoch, op.claim.epoch.next());
}

//! Somebody writes into a release on a host: who notices, what it is called, and what it holds up.

use super::common::{World, back, bring, claim, end, hook, seen, slice, step};
use crate::{HookPoint, SshTarget};
use deploy_core::failure::Code;
use deploy_core::port::target::{Cause, Certainty, Inside, Runs, Target as _};
use deploy_tests::wait;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Duration;

async fn inside(target: &SshTarget) -> Inside {
    target.observe(&[slice()]).await.unwrap().remove(0).inside
}

/// Writes a text of the same length, and puts the old time back: what a listing shows of it is as it was.
fn edit(file: &PathBuf, text: &str) {
    let was = fs::metadata(file).unwrap();
    fs::write(file, text).unwrap();
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_modified(was.modified().unwrap()).unwrap();
    assert_eq!(was.len(), file.metadata().unwrap().len());
}

#[tokio::test]
async fn every_kind_of_edit_is_named() {
    let world = World::local();
    let target = world.target();
    let to = world.release(
        1,
        &[("app.py", "one"), ("tool", "x"), ("README", "r"), ("d/e f", "g")],
    );
    symlink("app.py", world.dir.path().join("artifact-1/main")).unwrap();
    let to = World::release_of(to.release.number.0, &world.dir.path().join("artifact-1"));
    let (op, ..) = bring(&world, &target, 1, &to).await;
    let current = world.path().join("current");
    assert_eq!(inside(&target).await, Inside::default());

    edit(&current.join("app.py"), "two");
    fs::set_permissions(current.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(current.join("README")).unwrap();
    fs::remove_file(current.join("main")).unwrap();
    symlink("tool", current.join("main")).unwrap();
    fs::remove_file(current.join("d/e f")).unwrap();
    symlink("../app.py", current.join("d/e f")).unwrap();
    let expected = [
        "README: gone",
        "app.py: other content",
        "d/e f: no longer the same kind of file",
        "main: leads to 'tool'",
        "tool: mode 755, was 644",
    ];
    assert_eq!(inside(&target).await.edited, expected);
    // It is what the journal says, all the same: an edit is no other release.
    let runs = seen(&target).await;
    let verified = target.verify(&op, &slice(), &runs).await.unwrap();
    assert_eq!(verified.inside.edited, expected);
}

/// Times change where nothing else does: after a backup was put back, say.
#[tokio::test]
async fn a_file_that_was_put_back_as_it_was_is_no_edit() {
    let world = World::local();
    let target = world.target();
    bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    let file = world.path().join("current/a");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "1").unwrap();
    assert_eq!(inside(&target).await, Inside::default());
}

#[tokio::test]
async fn what_a_service_makes_for_itself_is_told_and_no_edit() {
    let mut world = World::local();
    world.binding.shared = vec!["uploads".to_owned()];
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    let current = world.path().join("current");
    fs::create_dir(current.join("__pycache__")).unwrap();
    for file in ["__pycache__/a.pyc", "__pycache__/b.pyc", "uploads/photo"] {
        fs::write(current.join(file), "x").unwrap();
    }
    let seen = target.verify(&op, &slice(), &seen(&target).await).await.unwrap();
    assert_eq!(seen.inside.edited, Vec::<String>::new());
    let besides = seen.inside.besides.join("; ");
    assert!(
        besides.starts_with("2 files that were not sent, as __pycache__/"),
        "{besides}"
    );
}

/// It serves, so that nobody writes over it, and it is not what was verified elsewhere, so that nobody calls it that.
#[tokio::test]
async fn an_edited_release_that_serves_is_neither_taken_for_whole_nor_overwritten() {
    let world = World::local();
    let target = world.target();
    let to = world.release(1, &[("app.py", "one")]);
    let (op, ..) = bring(&world, &target, 1, &to).await;
    end(&target, &op).await;
    let file = world.path().join("current/app.py");
    edit(&file, "two");
    let difference = target.plan(&slice(), &to).await.unwrap();
    assert_eq!(
        difference.lines,
        ["changed since it was deployed: app.py: other content"]
    );
    let op = world.op(&claim(&target, 2).await.unwrap());
    let error = target.prepare(&op, &step(&target, &to).await).await.unwrap_err();
    assert_eq!(
        (error.certainty, error.cause, error.failure.code),
        (Certainty::NotDone, Cause::Final, Code::ContentMismatch)
    );
    assert!(error.failure.message.contains("app.py: other content"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "two");
    fs::write(&file, "one").unwrap();
    target.prepare(&op, &step(&target, &to).await).await.unwrap();
}

#[tokio::test]
async fn a_kept_release_with_another_mode_or_symlink_is_sent_anew() {
    let world = World::local();
    let target = world.target();
    world.release(1, &[("app.py", "one")]);
    let folder = world.dir.path().join("artifact-1");
    symlink("app.py", folder.join("main")).unwrap();
    let first = World::release_of(1, &folder);
    let (op, _, kept) = bring(&world, &target, 1, &first).await;
    end(&target, &op).await;
    let (op, ..) = bring(&world, &target, 2, &world.release(2, &[("app.py", "two")])).await;
    end(&target, &op).await;
    let kept = world
        .path()
        .join("releases")
        .join(crate::seen::fingerprint(&kept.will_be));
    fs::remove_file(kept.join("main")).unwrap();
    symlink("/etc/passwd", kept.join("main")).unwrap();
    fs::set_permissions(kept.join("app.py"), fs::Permissions::from_mode(0o600)).unwrap();
    bring(&world, &target, 3, &first).await;
    let current = world.path().join("current");
    assert_eq!(
        fs::read_link(current.join("main")).unwrap().to_str(),
        Some("app.py")
    );
    let mode = fs::metadata(current.join("app.py")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert!(world.told("sent again"), "{:?}", world.lines);
}

/// A fix by hand in what serves: a deployment goes over it, says so, and going back brings it back.
#[tokio::test]
async fn what_was_edited_before_comes_back_as_it_was_found() {
    let world = World::local();
    let target = world.target();
    let first = world.release(1, &[("app.py", "one"), ("README", "r")]);
    let (op, ..) = bring(&world, &target, 1, &first).await;
    end(&target, &op).await;
    let was = seen(&target).await;
    let current = world.path().join("current");
    edit(&current.join("app.py"), "fix");
    fs::remove_file(current.join("README")).unwrap();
    let (op, _, prepared) = bring(&world, &target, 2, &world.release(2, &[("app.py", "two")])).await;
    assert!(world.told("app.py: other content"), "{:?}", world.lines);
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    assert_eq!(fs::read_to_string(current.join("app.py")).unwrap(), "fix");
}

#[tokio::test]
async fn going_back_puts_back_what_was_edited_since_and_says_so() {
    let world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("app.py", "one")])).await;
    end(&target, &op).await;
    let was = seen(&target).await;
    let old = fs::canonicalize(world.path().join("current/app.py")).unwrap();
    let (op, _, prepared) = bring(&world, &target, 2, &world.release(2, &[("app.py", "two")])).await;
    edit(&old, "fix");
    assert_eq!(target.restore(&op, &back(&prepared)).await.unwrap(), was);
    assert!(world.told("put back as it is there"), "{:?}", world.lines);
    let verified = target.verify(&op, &slice(), &was).await.unwrap();
    assert_eq!(verified.inside.edited, ["app.py: other content"]);
}

#[tokio::test]
async fn going_back_to_what_lost_a_file_is_refused_by_its_name() {
    let world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("app.py", "one")])).await;
    end(&target, &op).await;
    let old = fs::canonicalize(world.path().join("current/app.py")).unwrap();
    let (op, _, prepared) = bring(&world, &target, 2, &world.release(2, &[("app.py", "two")])).await;
    fs::remove_file(&old).unwrap();
    let error = target.restore(&op, &back(&prepared)).await.unwrap_err();
    assert_eq!(
        (error.certainty, error.cause),
        (Certainty::NotDone, Cause::CheckpointLost)
    );
    assert!(error.failure.message.contains("app.py is gone"), "{error}");
    assert_eq!(seen(&target).await, prepared.will_be);
    fs::write(&old, "one").unwrap();
    target.restore(&op, &back(&prepared)).await.unwrap();
}

/// Commands of the manifest may write where they run: it is the release as they leave it that counts.
#[tokio::test]
async fn what_our_own_commands_write_is_no_edit() {
    let mut world = World::local();
    world.binding.hooks = vec![
        hook(
            "stamp",
            HookPoint::Before,
            "echo stamped >app.py; ln -sfn app.py main; chmod 755 tool",
        ),
        hook("late", HookPoint::After, "rm -f README"),
    ];
    let target = world.target();
    world.release(1, &[("app.py", "one"), ("tool", "x"), ("README", "r")]);
    let folder = world.dir.path().join("artifact-1");
    symlink("tool", folder.join("main")).unwrap();
    let first = World::release_of(1, &folder);
    let (op, ..) = bring(&world, &target, 1, &first).await;
    let runs = seen(&target).await;
    let verified = target.verify(&op, &slice(), &runs).await.unwrap();
    assert_eq!(verified.inside.edited, Vec::<String>::new());
    end(&target, &op).await;
    // As it serves, the same release is asked for again.
    let op = world.op(&claim(&target, 2).await.unwrap());
    target.prepare(&op, &step(&target, &first).await).await.unwrap();
    edit(&world.path().join("current/app.py"), "damaged\n");
    assert_eq!(inside(&target).await.edited, ["app.py: other content"]);
}

/// Between sending and switching nobody but hooks has business in it.
#[tokio::test]
async fn a_release_that_was_edited_before_the_switch_is_not_switched_to_and_is_sent_anew() {
    let world = World::local();
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut step = step(&target, &world.release(1, &[("app.py", "one")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let folder = crate::seen::fingerprint(&prepared.will_be);
    let file = world.path().join("releases").join(folder).join("app.py");
    edit(&file, "two");
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.certainty, error.cause, error.failure.code),
        (Certainty::NotDone, Cause::Final, Code::ContentMismatch)
    );
    assert!(error.failure.message.contains("app.py: other content"), "{error}");
    assert_eq!((seen(&target).await, world.restarts()), (Runs::Nothing, 0));
    target.prepare(&op, &step).await.unwrap();
    assert!(world.told("sent again"), "{:?}", world.lines);
    assert_eq!(target.activate(&op, &step).await.unwrap(), prepared.will_be);
    assert_eq!(fs::read_to_string(&file).unwrap(), "one");
}

/// What a hook had changed when it was cut short looks like an edit, and must not end the deployment.
#[tokio::test]
async fn a_hook_before_the_switch_that_was_cut_short_runs_again() {
    let mut world = World::local();
    let slow = "echo stamped >app.py; [ -e ../../cut ] || { echo x >../../cut; exec sleep 60; }";
    world.binding.hooks = vec![hook("stamp", HookPoint::Before, slow)];
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut step = step(&target, &world.release(1, &[("app.py", "one")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let cut = world.path().join("cut");
    let began = tokio::task::spawn_blocking(move || {
        wait::until(wait::PATIENCE, "the hook runs", || cut.exists());
    });
    tokio::select! {
        answer = target.activate(&op, &step) => panic!("{answer:?}"),
        began = began => began.unwrap(),
    }
    assert_eq!(target.activate(&op, &step).await.unwrap(), prepared.will_be);
}

/// A restart that did nothing: the old program answers, and a look says which.
#[tokio::test]
async fn what_still_runs_from_another_release_is_told() {
    let world = World::local();
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    end(&target, &op).await;
    let old = fs::canonicalize(world.path().join("current")).unwrap();
    let mut process = std::process::Command::new("sleep")
        .arg("60")
        .current_dir(&old)
        .spawn()
        .unwrap();
    let (op, ..) = bring(&world, &target, 2, &world.release(2, &[("a", "2")])).await;
    let look = async || {
        let runs = seen(&target).await;
        target.verify(&op, &slice(), &runs).await.unwrap().inside.left
    };
    let name = old.file_name().unwrap().to_str().unwrap();
    let told = format!("pid {} (sleep) still runs from releases/{name}", process.id());
    assert_eq!(look().await, [told]);
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(look().await, Vec::<String>::new());
}

/// Five thousand files: a look compares times, and reads none of them.
#[tokio::test]
async fn a_look_at_many_files_stays_cheap() {
    let world = World::local();
    let target = world.target();
    let folder = world.dir.path().join("artifact-1");
    for number in 0..5_000 {
        let file = folder.join(format!("d{}/f{number}", number % 50));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, number.to_string()).unwrap();
    }
    bring(&world, &target, 1, &World::release_of(1, &folder)).await;
    let began = std::time::Instant::now();
    assert_eq!(inside(&target).await, Inside::default());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

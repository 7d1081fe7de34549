//! Releases that share the files which are the same in both: what is linked, what never is, and what becomes of it when one of them goes
//! or is written into.

use super::common::{World, bring, claim, end, hook, seen, slice, step};
use crate::HookPoint;
use deploy_core::port::target::{Cleanup, Inside, Prepared, Target as _};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

fn sharing() -> World {
    let mut world = World::local();
    world.binding.links = true;
    world
}

fn home(world: &World, prepared: &Prepared) -> PathBuf {
    world
        .path()
        .join("releases")
        .join(crate::seen::fingerprint(&prepared.will_be))
}

fn number(file: PathBuf) -> u64 {
    fs::metadata(file).unwrap().ino()
}

fn facts(home: &std::path::Path) -> (String, String) {
    let script = "cd \"$1\" && TZ=UTC0 xargs -0 stat -c '%f %a %s %z %n' <.deploy/names";
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(home)
        .output();
    let now = String::from_utf8(output.unwrap().stdout).unwrap();
    (now, fs::read_to_string(home.join(".deploy/sealed")).unwrap())
}

#[tokio::test]
async fn what_did_not_change_is_one_file_and_both_releases_stay_sealed() {
    let world = sharing();
    let target = world.target();
    let (op, _, first) = bring(
        &world,
        &target,
        1,
        &world.release(1, &[("a", "same"), ("d/e f", "same too"), ("b", "1")]),
    )
    .await;
    end(&target, &op).await;
    let (op, _, second) = bring(
        &world,
        &target,
        2,
        &world.release(2, &[("a", "same"), ("d/e f", "same too"), ("b", "2")]),
    )
    .await;
    let (old, new) = (home(&world, &first), home(&world, &second));
    for (file, shared) in [("a", true), ("d/e f", true), ("b", false)] {
        assert_eq!(number(old.join(file)) == number(new.join(file)), shared, "{file}");
    }
    for home in [&old, &new] {
        let (now, sealed) = facts(home);
        assert_eq!(now, sealed, "{}", home.display());
    }
    end(&target, &op).await;
    // The first one goes, and with it a name of each file that is shared.
    let to = world.release(3, &[("a", "same"), ("d/e f", "same too"), ("b", "3")]);
    let (op, _, third) = bring(&world, &target, 3, &to).await;
    let place = super::common::place(&target).await;
    target
        .finish(&op, &place, &Cleanup::Prune { keep: 1 })
        .await
        .unwrap();
    assert!(!old.exists());
    let (now, sealed) = facts(&home(&world, &third));
    assert_eq!(now, sealed);
    let inside = target.observe(&[slice()]).await.unwrap().remove(0).inside;
    assert_eq!(inside, Inside::default());
}

/// A release's files change their mode and content in place; the next one has them as they were committed.
#[tokio::test]
async fn what_somebody_changed_is_never_taken_over() {
    for change in ["content", "mode", "symlink"] {
        let world = sharing();
        let target = world.target();
        let (op, ..) = bring(
            &world,
            &target,
            1,
            &world.release(1, &[("a", "same"), ("b", "1")]),
        )
        .await;
        end(&target, &op).await;
        let file = world.path().join("current/a");
        match change {
            "content" => fs::write(&file, "hack").unwrap(),
            "mode" => fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap(),
            _ => {
                fs::rename(&file, world.dir.path().join("elsewhere")).unwrap();
                std::os::unix::fs::symlink(world.dir.path().join("elsewhere"), &file).unwrap();
            }
        }
        let to = world.release(2, &[("a", "same"), ("b", "2")]);
        let (_, _, second) = bring(&world, &target, 2, &to).await;
        let file = home(&world, &second).join("a");
        assert_eq!(fs::read_to_string(&file).unwrap(), "same", "{change}");
        let meta = fs::symlink_metadata(&file).unwrap();
        assert!(meta.is_file() && meta.nlink() == 1, "{change}");
        assert_eq!(meta.permissions().mode() & 0o777, 0o644, "{change}");
        assert!(world.told("a: "), "{change}: {:?}", world.lines);
    }
}

/// It may write into any file in its folder, and what it writes must not reach what serves.
#[tokio::test]
async fn a_hook_writes_into_no_other_release() {
    for at in [HookPoint::Prepare, HookPoint::Before, HookPoint::After] {
        let mut world = sharing();
        let files = |b| [("b", b), ("log", "l")];
        let target = world.target();
        let (op, _, first) = bring(&world, &target, 1, &world.release(1, &files("1"))).await;
        end(&target, &op).await;
        world.binding.hooks = vec![hook("h", at, "printf x >>log; printf x >>made")];
        let target = world.target();
        let to = world.release(2, &files("2"));
        let op = world.op(&claim(&target, 2).await.unwrap());
        let mut step = step(&target, &to).await;
        // Between sending and sealing a hook may change no file that was sent, which is refused.
        if let Ok(prepared) = target.prepare(&op, &step).await {
            step.checkpoint = Some(prepared.checkpoint);
            target.activate(&op, &step).await.unwrap();
            let log = fs::read_to_string(world.path().join("current/log")).unwrap();
            assert_eq!(log, "lx", "{at:?}");
        }
        assert_eq!(
            fs::read_to_string(home(&world, &first).join("log")).unwrap(),
            "l",
            "{at:?}"
        );
    }
}

/// A service that writes into a file of its own release writes into the one before as well, where they share it: that is noticed.
#[tokio::test]
async fn what_a_service_writes_into_a_shared_file_is_noticed_in_both() {
    let world = sharing();
    let target = world.target();
    let (op, _, first) = bring(
        &world,
        &target,
        1,
        &world.release(1, &[("a", "same"), ("b", "1")]),
    )
    .await;
    end(&target, &op).await;
    let to = world.release(2, &[("a", "same"), ("b", "2")]);
    let (op, _, second) = bring(&world, &target, 2, &to).await;
    fs::write(world.path().join("current/a"), "sama").unwrap();
    assert_eq!(
        fs::read_to_string(home(&world, &first).join("a")).unwrap(),
        "sama"
    );
    let inside = target.observe(&[slice()]).await.unwrap().remove(0).inside;
    assert_eq!(inside.edited, ["a: other content"]);
    target.restore(&op, &super::common::back(&second)).await.unwrap();
    assert!(world.told("put back as it is there, though changed: a: other content"));
}

/// Looks and steps of several hosts need the artifact's list once.
#[tokio::test]
async fn a_release_that_is_kept_is_not_sent_again_and_a_hint_that_is_old_does_no_harm() {
    let world = sharing();
    let target = world.target();
    let to = world.release(1, &[("a", "1")]);
    let (op, _, first) = bring(&world, &target, 1, &to).await;
    end(&target, &op).await;
    let (op, ..) = bring(&world, &target, 2, &world.release(2, &[("a", "2")])).await;
    end(&target, &op).await;
    let op = world.op(&claim(&target, 3).await.unwrap());
    let step = step(&target, &to).await;
    // Gone between the look and the step.
    fs::remove_dir_all(home(&world, &first)).unwrap();
    let prepared = target.prepare(&op, &step).await.unwrap();
    assert_eq!(prepared.will_be, first.will_be);
    assert_eq!(fs::read_to_string(home(&world, &first).join("a")).unwrap(), "1");
    assert_eq!(seen(&target).await, step.expect);
}

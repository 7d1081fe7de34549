//! Folders as they are found: somebody else's files in them, owners, clocks, odd `current`s, and one folder under two names.

use super::super::common::{World, bring, claim, end, examined, place, request, seen, slice};
use super::machine::{Machine, Setting, address};
use crate::{CheckState, HostBinding, SshTarget};
use deploy_core::failure::Code;
use deploy_core::port::target::{Cause, Certainty, Cleanup, Runs, Target as _};
use std::fs;

/// A host whose deploying user is not root.
fn as_a_user() -> Machine {
    Machine::new(Setting {
        shell: Some("/bin/sh"),
        ..Setting::default()
    })
}

/// Brings release after release, keeping one, and does something to each as root; what was told at the end.
async fn releases(
    machine: &Machine,
    target: &SshTarget,
    numbers: std::ops::RangeInclusive<u32>,
    as_root: &str,
) -> Vec<String> {
    for number in numbers {
        let page = number.to_string();
        let to = machine.world.release(number, &[("page", &page)]);
        let (op, ..) = bring(&machine.world, target, number, &to).await;
        machine.root(as_root);
        let prune = Cleanup::Prune { keep: 1 };
        target.finish(&op, &place(target).await, &prune).await.unwrap();
        assert_eq!(machine.serves(), page);
    }
    machine.world.lines.0.lock().unwrap().clone()
}

/// A cache that root wrote, say: told, and in the way of neither this deployment nor the next.
#[tokio::test]
async fn files_of_root_in_an_old_release_are_a_warning() {
    let machine = as_a_user();
    let target = machine.target();
    let roots = "mkdir -p \"$P/current/cache\"; touch \"$P/current/cache/x\"; chmod 700 \"$P/current/cache\"";
    let told = releases(&machine, &target, 1..=5, roots).await;
    let warning = told
        .iter()
        .find(|line| line.contains("is ours to remove"))
        .expect("it is told");
    assert!(warning.contains(".deploy/tmp"), "{warning}");
    let kept = target.observe(&[slice()]).await.unwrap().remove(0).kept;
    assert_eq!(kept.iter().map(|kept| kept.number.0).collect::<Vec<_>>(), [5, 4]);
    // Retired, what can be removed is.
    let op = machine.world.op(&claim(&target, 6).await.unwrap());
    target
        .finish(&op, &place(&target).await, &Cleanup::Remove)
        .await
        .unwrap();
    assert_eq!(seen(&target).await, Runs::Nothing);
}

#[tokio::test]
async fn a_release_that_may_not_be_moved_away_is_a_warning() {
    let machine = as_a_user();
    let target = machine.target();
    releases(
        &machine,
        &target,
        1..=1,
        "chown root \"$P/releases\" \"$P\"/releases/*; chmod 1777 \"$P/releases\"",
    )
    .await;
    let told = releases(&machine, &target, 2..=4, ":").await;
    assert!(
        told.iter().any(|line| line.starts_with("could not remove ")),
        "{told:?}"
    );
    let kept = target.observe(&[slice()]).await.unwrap().remove(0).kept;
    assert_eq!(
        kept.iter().map(|kept| kept.number.0).collect::<Vec<_>>(),
        [4, 3, 1]
    );
}

#[tokio::test]
async fn a_path_of_somebody_else_is_refused_and_serves_on() {
    let machine = as_a_user();
    machine.first().await;
    machine.root("chown -R root \"$P\"");
    let error = machine.refused("claim", Code::PermissionDenied).await;
    assert!(error.failure.next.contains("rights on the path"), "{error:?}");
    let checks = examined(&machine.target()).await;
    let rights = checks.iter().find(|check| check.name == "rights").unwrap();
    assert!(
        matches!(&rights.state, CheckState::Bad { fix } if fix.contains("chown alice")),
        "{rights:?}"
    );
    machine.root("chmod 700 \"$P\"");
    machine.refused("claim", Code::PermissionDenied).await;
    let seen = machine.target().observe(&[slice()]).await.unwrap().remove(0);
    assert_eq!(seen.runs.unwrap_err().code, Code::PermissionDenied);
}

/// Hours ahead and behind: nothing but a warning of `doctor` depends on a host's clock, and no order on a file's time.
#[tokio::test]
async fn clocks_that_are_hours_off_change_nothing() {
    for (off, which) in [("+5h", "ahead of"), ("-5h", "behind")] {
        let library = ["x86_64", "aarch64"]
            .map(|kind| format!("/usr/lib/{kind}-linux-gnu/faketime/libfaketime.so.1"))
            .into_iter()
            .find(|file| fs::exists(file).unwrap())
            .expect("install faketime");
        let machine = Machine::new(Setting {
            sshd: &format!("SetEnv LD_PRELOAD={library} FAKETIME={off}"),
            ..Setting::default()
        });
        let target = machine.target();
        // Each older than the one before it.
        let older = "for r in \"$P\"/releases/*; do n=$(cat \"$r/page\"); touch -d \"2030-01-$((20 - n))\" \"$r\"; done";
        releases(&machine, &target, 1..=3, older).await;
        let seen = target.observe(&[slice()]).await.unwrap().remove(0);
        assert_eq!(
            seen.kept.iter().map(|kept| kept.number.0).collect::<Vec<_>>(),
            [3, 2]
        );
        assert_eq!(seen.inside, deploy_core::port::target::Inside::default());
        let checks = examined(&target).await;
        let clock = checks.iter().find(|check| check.name == "clock").unwrap();
        assert!(matches!(clock.state, CheckState::Warning { .. }), "{clock:?}");
        assert!(clock.detail.contains(which), "{clock:?}");
    }
}

/// What an attempt that died left in the way of the next: its link beside `current`, its upload, half a claim.
#[tokio::test]
async fn what_a_dead_attempt_left_is_in_nobodys_way() {
    let machine = Machine::mounted("");
    machine.first().await;
    machine.root(
        "cd \"$P/.deploy\"; mkdir -p tmp/0123456789abcdef.77.x; ln -s releases/none tmp/link.77.x; echo half >claim.new.77; \
         echo half >moving.new.77; mkdir \"$P/releases/0123456789abcdef\"; ln -s /nowhere \"$P/releases/current\"",
    );
    machine.second().await.unwrap();
    assert_eq!(machine.serves(), "two");
    assert!(!machine.at(".deploy/tmp").exists());
}

/// A `current` that none of ours made: seen as what it is, and taken over by name or refused; never written into.
#[tokio::test]
async fn a_current_that_is_not_ours_is_taken_for_what_it_is() {
    for (kind, make) in [
        ("dangling", "ln -sfn releases/0123456789abcdef \"$P/current\""),
        (
            "foreign",
            "mkdir \"$P/../other\"; ln -sfn ../other \"$P/current\"",
        ),
        (
            "directory",
            "rm \"$P/current\"; mkdir \"$P/current\"; echo mine >\"$P/current/page\"",
        ),
    ] {
        let machine = Machine::mounted("");
        machine.first().await;
        machine.root(make);
        let Runs::Release { fingerprint, release } = seen(&machine.target()).await else {
            panic!("{kind}: nothing");
        };
        assert!(fingerprint.as_str().starts_with(kind), "{kind}: {fingerprint}");
        assert_eq!(release, None, "{kind}");
        let ended = machine.second().await;
        if kind == "directory" {
            let (step, error) = ended.unwrap_err();
            assert_eq!(
                (step, error.certainty),
                ("prepare", Certainty::NotDone),
                "{error:?}"
            );
            assert!(error.failure.message.contains("should be a symlink"), "{error}");
            assert_eq!(machine.serves(), "mine\n");
        } else if let Err((step, error)) = ended {
            assert_eq!((kind, step), ("dangling", "prepare"), "{error:?}");
        } else {
            assert_eq!(machine.serves(), "two", "{kind}");
        }
        assert!(
            !machine
                .inside(machine.world.dir.path())
                .join("opt/other/releases")
                .exists()
        );
    }
}

/// A second host of the environment, on the same machine.
fn and(machine: &mut Machine, name: &str, path: &str, user: Option<&str>) {
    let other = HostBinding {
        name: name.parse().unwrap(),
        address: address(&machine.sshd, user),
        path: path.to_owned(),
        ..machine.world.binding.hosts[0].clone()
    };
    machine.world.binding.hosts.push(other);
}

/// Over a bind mount, or two hosts whose release folder is one: a deployment would overwrite what it just brought.
#[tokio::test]
async fn one_folder_under_two_names_is_refused() {
    let mut machine = Machine::mounted("mkdir \"$D/mounted\"; mount --bind \"$P\" \"$D/mounted\"");
    let mounted = machine.world.dir.path().join("mounted");
    let path = machine.world.binding.hosts[0].path.clone();
    and(&mut machine, "web-2", mounted.to_str().unwrap(), None);
    and(&mut machine, "web-3", &path, Some("root"));
    let target = machine.target();
    let places: Vec<_> = target
        .slices()
        .await
        .unwrap()
        .into_iter()
        .map(|slice| slice.place)
        .collect();
    let op = machine
        .world
        .op(&target.claim(&places[0], &request(1)).await.unwrap());
    for other in &places[1..] {
        let error = target.claim(other, &request(1)).await.unwrap_err();
        assert_eq!(
            (error.failure.code, error.cause, error.certainty),
            (Code::ManifestInvalid, Cause::Final, Certainty::NotDone),
            "{error:?}"
        );
        assert!(error.failure.message.contains(places[0].as_str()), "{error}");
    }
    // The one that has it goes on, once more too, and so does whoever comes later by the other name.
    target.confirm(&op, &slice()).await.unwrap();
    let op = machine
        .world
        .op(&target.claim(&places[0], &request(1)).await.unwrap());
    target
        .finish(&op, &places[0], &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    target.claim(&places[1], &request(2)).await.unwrap();
}

/// Claims that were written before they had a name for their folder.
#[tokio::test]
async fn a_claim_without_a_name_is_anybodys() {
    let world = World::local();
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let file = world.path().join(".deploy/claim");
    let text = fs::read_to_string(&file).unwrap();
    let old: Vec<_> = text.lines().filter(|line| !line.starts_with("place ")).collect();
    assert_eq!(old.len(), 4, "{text}");
    fs::write(&file, old.join("\n") + "\n").unwrap();
    target.confirm(&op, &slice()).await.unwrap();
    claim(&target, 1).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 5);
    end(&target, &world.op(&claim(&target, 1).await.unwrap())).await;
}

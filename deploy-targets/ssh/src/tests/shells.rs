//! The steps under other systems' shells and tools.

use super::common::{World, bring, place, seen, slice};
use crate::Connections;
use deploy_core::port::target::{Cleanup, Restore, Target as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A folder with `sh` and nothing else of its own; the steps add the usual folders for the rest.
pub(crate) fn only_shell(world: &World, shell: &str) -> PathBuf {
    let tools = world.dir.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    symlink(which(shell), tools.join("sh")).unwrap();
    for tool in ["setsid", "timeout"] {
        symlink(which(tool), tools.join(tool)).unwrap();
    }
    tools
}

pub(crate) fn busybox(world: &World) -> PathBuf {
    let tools = world.dir.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let list = Command::new("busybox")
        .arg("--list")
        .output()
        .expect("install busybox");
    for applet in String::from_utf8(list.stdout).unwrap().lines() {
        symlink(which("busybox"), tools.join(applet)).unwrap();
    }
    tools
}

fn which(program: &str) -> PathBuf {
    ["/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("install {program}"))
}

async fn there_and_back(mut world: World, tools: PathBuf) {
    world.connections = Connections::with_tools(tools);
    world.binding.shared = vec!["data/up".to_owned()];
    let target = world.target();
    let first = world.release(1, &[("same", "s"), ("a", "1"), ("-x y\n\\z", "odd")]);
    let (op, ..) = bring(&world, &target, 1, &first).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 2 })
        .await
        .unwrap();
    let was = seen(&target).await;
    let second = world.release(2, &[("same", "s"), ("a", "2"), ("-x y\n\\z", "odd")]);
    let (op, _, prepared) = bring(&world, &target, 2, &second).await;
    let odd = world.path().join("current/-x y\n\\z");
    assert_eq!(std::fs::read_to_string(odd).unwrap(), "odd");
    std::fs::write(world.path().join("current/data/up/kept"), "").unwrap();
    std::fs::write(world.path().join("current/same"), "!").unwrap();
    // A later second: busybox compares no parts of one.
    let log = std::fs::File::create(world.path().join("current/log")).unwrap();
    log.set_modified(SystemTime::now() + Duration::from_secs(2))
        .unwrap();
    let runs = seen(&target).await;
    let inside = target.verify(&op, &slice(), &runs).await.unwrap().inside;
    assert_eq!(inside.edited, ["same: other content"]);
    assert_eq!(inside.besides, ["1 file that was not sent: log"]);
    let back = Restore {
        slice: slice(),
        checkpoint: prepared.checkpoint,
        ours: vec![prepared.will_be],
    };
    assert_eq!(target.restore(&op, &back).await.unwrap(), was);
    assert!(world.path().join("current/data/up/kept").exists());
    target
        .finish(&op, &place(&target).await, &Cleanup::Remove)
        .await
        .unwrap();
    assert!(world.path().join("shared/data/up/kept").exists());
    assert!(!world.path().join("releases").exists());
}

#[tokio::test]
async fn under_dash() {
    let world = World::local();
    let tools = only_shell(&world, "dash");
    there_and_back(world, tools).await;
}

#[tokio::test]
async fn under_bash() {
    let world = World::local();
    let tools = only_shell(&world, "bash");
    there_and_back(world, tools).await;
}

#[tokio::test]
async fn under_busybox() {
    let world = World::local();
    let tools = busybox(&world);
    there_and_back(world, tools).await;
}

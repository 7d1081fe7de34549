//! What `doctor` says of a host before anything is deployed there.

use super::common::{World, examined, shell};
use crate::CheckState;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// The first word of the restart command is looked for, and room, inodes and clock are numbers.
#[tokio::test]
async fn doctor_says_what_a_deployment_will_miss() {
    let mut world = World::local();
    let found = async |world: &World, name: &str| {
        let checks = examined(&world.target()).await;
        let check = checks.into_iter().find(|check| check.name == name);
        check.map(|check| (matches!(check.state, CheckState::Bad { .. }), check.detail))
    };
    world.binding.restart = Some(shell("no-such-program restart web"));
    let (bad, detail) = found(&world, "restart").await.unwrap();
    assert!(bad && detail.contains("`no-such-program`"), "{detail}");
    world.binding.restart = Some(shell("true"));
    assert_eq!(
        found(&world, "restart").await,
        Some((false, "`true` is there".to_owned()))
    );
    world.binding.restart = Some(shell("./restart.sh"));
    assert_eq!(found(&world, "restart").await, None);
    let (_, room) = found(&world, "room").await.unwrap();
    assert!(room.contains("iB"), "{room}");
    assert_eq!(found(&world, "clock").await, Some((false, "as ours".to_owned())));
}

/// `sudo -n -l` says whether a command may be run without a password.
#[tokio::test]
async fn doctor_asks_sudo_about_the_restart_command() {
    let mut world = World::local();
    let tools = world.dir.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let sudo = tools.join("sudo");
    fs::write(&sudo, "#!/bin/sh\n[ \"$*\" = '-n -l systemctl restart web' ]\n").unwrap();
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
    for tool in ["sh", "timeout", "setsid"] {
        symlink(format!("/usr/bin/{tool}"), tools.join(tool)).unwrap();
    }
    world.connections = crate::Connections::with_tools(tools);
    for (unit, bad) in [("web", false), ("other", true)] {
        world.binding.restart = Some(shell(&format!("sudo systemctl restart {unit}")));
        let checks = examined(&world.target()).await;
        let check = checks.iter().find(|check| check.name == "restart").unwrap();
        assert_eq!(matches!(check.state, CheckState::Bad { .. }), bad, "{check:?}");
    }
}

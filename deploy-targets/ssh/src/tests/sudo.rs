//! Commands behind a sudo that would have to ask.

use super::common::{World, bring, claim, hook, shell, step};
use super::shells::only_shell;
use crate::{Connections, HookPoint};
use deploy_core::failure::Code;
use deploy_core::port::target::Target as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// This machine with a sudo that has nobody to ask.
fn asking(world: &mut World) -> String {
    let tools = only_shell(world, "dash");
    let says = "#!/bin/sh\necho 'sudo: a terminal is required to read the password; either use the -S option to read from standard \
                input or configure an askpass helper' >&2\necho 'sudo: a password is required' >&2\nexit 1\n";
    for (name, text) in [("sudo", says), ("systemctl", "#!/bin/sh\n")] {
        fs::write(tools.join(name), text).unwrap();
        fs::set_permissions(tools.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let systemctl = tools.join("systemctl").display().to_string();
    world.connections = Connections::with_tools(tools);
    systemctl
}

#[tokio::test]
async fn a_restart_behind_sudo_says_the_line_that_lets_it_through() {
    let mut world = World::local();
    let systemctl = asking(&mut world);
    world.binding.restart = Some(shell("sudo systemctl restart shop-web"));
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut step = step(&target, &world.release(1, &[("a", "1")])).await;
    step.checkpoint = Some(target.prepare(&op, &step).await.unwrap().checkpoint);
    let failure = target.activate(&op, &step).await.unwrap_err().failure;
    assert_eq!(failure.code, Code::RemoteFailed);
    let message = "the restart command on web-1 ended with status 1: sudo asks for a password, and nobody is there to type one";
    assert_eq!(failure.message, message);
    let line = format!("with the line: root ALL=(root) NOPASSWD: {systemctl} restart shop-web");
    assert!(failure.next.ends_with(&line), "{}", failure.next);
}

#[tokio::test]
async fn a_hook_behind_sudo_says_it_too() {
    let mut world = World::local();
    let systemctl = asking(&mut world);
    world.binding.hooks = vec![hook(
        "tell",
        HookPoint::Prepare,
        "echo x; sudo -u www systemctl reload proxy",
    )];
    let target = world.target();
    let op = world.op(&claim(&target, 1).await.unwrap());
    let step = step(&target, &world.release(1, &[("a", "1")])).await;
    let failure = target.prepare(&op, &step).await.unwrap_err().failure;
    assert_eq!(failure.code, Code::HookFailed);
    assert!(
        failure
            .message
            .starts_with("the hook tell on web-1 ended with status 1: sudo asks"),
        "{failure}"
    );
    let line = format!("root ALL=(www) NOPASSWD: {systemctl} reload proxy");
    assert!(failure.next.ends_with(&line), "{}", failure.next);
    // What fails for another reason says nothing of sudo.
    world.binding.hooks = vec![hook("tell", HookPoint::Prepare, "exit 1")];
    let target = world.target();
    let failure = target.prepare(&op, &step).await.unwrap_err().failure;
    assert!(!failure.message.contains("sudo"), "{failure}");
    world.binding.hooks.clear();
    bring(&world, &world.target(), 1, &world.release(1, &[("a", "1")])).await;
}

//! Preparing a bare host: what is made, what would be, what cannot be, and that a second run finds nothing to do.

use super::common::{World, bring};
use super::shells::{busybox, only_shell};
use crate::server::Server;
use crate::{Connections, Setup, SetupMode, SetupState, SetupStep};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::Path;

const NOBODY: u32 = 65534;

fn server(world: &World) -> Server {
    let host = &world.binding.hosts[0];
    world.connections.server(&host.name, &host.address, Vec::new())
}

async fn set_up(world: &World, mode: SetupMode) -> Vec<SetupStep> {
    let service = Setup {
        path: world.path().to_str().unwrap().to_owned(),
        shared: vec!["uploads/big".to_owned()],
    };
    server(world).set_up(&[service], mode).await.unwrap()
}

/// As text, without the folder of the test.
fn told(world: &World, steps: &[SetupStep]) -> Vec<String> {
    let at = world.dir.path().display().to_string();
    let tell = |step: &SetupStep| {
        let state = match &step.state {
            SetupState::Done => "did".to_owned(),
            SetupState::Planned => "would".to_owned(),
            SetupState::Cannot { fix } => format!("cannot ({fix})"),
        };
        format!("{state}: {}", step.what).replace(&at, "")
    };
    steps.iter().map(tell).collect()
}

async fn is_prepared_once(world: World) {
    let looked = set_up(&world, SetupMode::Look).await;
    let wanted = ["makes /opt/app", "makes /opt/app/shared/uploads/big"];
    assert_eq!(told(&world, &looked), wanted.map(|what| format!("would: {what}")));
    assert!(!world.path().exists());
    let did = set_up(&world, SetupMode::Do).await;
    assert_eq!(told(&world, &did), wanted.map(|what| format!("did: {what}")));
    assert!(world.path().join("shared/uploads/big").is_dir());
    assert_eq!(set_up(&world, SetupMode::Do).await, []);
    assert_eq!(set_up(&world, SetupMode::Look).await, []);
    // A release still goes to `releases`, and nothing is to do beside it.
    let target = world.target();
    bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    assert!(world.path().join("current").is_symlink());
    assert_eq!(set_up(&world, SetupMode::Do).await, []);
}

#[tokio::test]
async fn a_bare_host_is_prepared_once() {
    let mut world = World::local();
    let tools = only_shell(&world, "dash");
    world.connections = Connections::with_tools(tools);
    is_prepared_once(world).await;
}

#[tokio::test]
async fn a_bare_host_is_prepared_once_under_busybox() {
    let mut world = World::local();
    let tools = busybox(&world);
    world.connections = Connections::with_tools(tools);
    is_prepared_once(world).await;
}

/// Steps run as nobody, with this for `sudo`.
fn as_nobody(world: &mut World, sudo: &str) {
    fs::set_permissions(world.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let tools = only_shell(world, "dash");
    let as_nobody = "exec /usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/setsid \"$@\"";
    program(&tools.join("setsid"), as_nobody);
    program(&tools.join("sudo"), sudo);
    world.connections = Connections::with_tools(tools);
}

fn program(file: &Path, text: &str) {
    let _ = fs::remove_file(file);
    fs::write(file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn what_needs_root_is_said_with_the_command_where_sudo_asks() {
    let mut world = World::local();
    as_nobody(&mut world, "echo 'sudo: a password is required' >&2; exit 1");
    let wanted = "cannot (sudo install -d -o nobody -g nogroup -m 755 /opt/app): makes /opt/app for nobody";
    for mode in [SetupMode::Look, SetupMode::Do] {
        let steps = set_up(&world, mode).await;
        assert_eq!(told(&world, &steps)[0], wanted, "{mode:?}");
    }
    assert!(!world.path().exists());
    // Somebody's folder is not taken from him.
    fs::create_dir_all(world.path()).unwrap();
    fs::write(world.path().join("releases"), "").unwrap();
    let steps = set_up(&world, SetupMode::Do).await;
    let said = &told(&world, &steps)[0];
    assert!(
        said.starts_with("cannot (sudo chown -R nobody:nogroup /opt/app)"),
        "{said}"
    );
    assert!(
        said.contains("whether to give it away is for a person to say"),
        "{said}"
    );
}

#[tokio::test]
async fn sudo_is_used_only_where_needed_and_said() {
    let mut world = World::local();
    // It cannot be root here: it asks this very test for it.
    as_nobody(
        &mut world,
        "[ \"$1\" = -n ] && shift; [ \"$1\" = -l ] || echo \"$@\" >>\"${0%/*}/asked\"",
    );
    let tools = world.dir.path().join("tools");
    fs::write(tools.join("asked"), "").unwrap();
    chown(tools.join("asked"), Some(NOBODY), None).unwrap();
    let steps = set_up(&world, SetupMode::Look).await;
    let wanted = [
        "would: makes /opt/app for nobody, with sudo",
        "would: makes /opt/app/shared/uploads/big",
    ];
    assert_eq!(told(&world, &steps), wanted);
    assert_eq!(fs::read_to_string(tools.join("asked")).unwrap(), "");
    let steps = set_up(&world, SetupMode::Do).await;
    assert_eq!(
        told(&world, &steps),
        ["did: makes /opt/app for nobody, with sudo"]
    );
    let asked = fs::read_to_string(tools.join("asked")).unwrap();
    let path = world.path().display().to_string();
    assert_eq!(asked, format!("install -d -o nobody -g nogroup -m 755 {path}\n"));
    // As sudo would have made it: the rest needs none.
    fs::create_dir_all(world.path()).unwrap();
    chown(world.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let steps = set_up(&world, SetupMode::Do).await;
    assert_eq!(told(&world, &steps), ["did: makes /opt/app/shared/uploads/big"]);
    let made = fs::metadata(world.path().join("shared/uploads/big")).unwrap();
    assert_eq!(made.uid(), NOBODY);
}

#[tokio::test]
async fn packages_are_named_and_installed_only_when_asked_for() {
    let mut world = World::local();
    let tools = only_shell(&world, "dash");
    // A host on which two programs of one package are missing.
    let bare =
        "exec /usr/bin/unshare -m /bin/sh -c 'for tool in mkfifo stat; do /usr/bin/mount --bind /dev/null /usr/bin/$tool; done
        exec /usr/bin/setsid \"$@\"' sh \"$@\"";
    program(&tools.join("setsid"), bare);
    program(&tools.join("apt-get"), "echo \"$@\" >\"${0%/*}/installed\"");
    world.connections = Connections::with_tools(tools.clone());
    let server = server(&world);
    let told = async |mode| told(&world, &server.set_up(&[], mode).await.unwrap());
    let missing = "cannot (apt-get install coreutils): programs are missing (coreutils), and nothing is installed without --install";
    assert_eq!(told(SetupMode::Do).await, [missing]);
    assert_eq!(told(SetupMode::LookInstall).await, ["would: installs coreutils"]);
    assert!(!tools.join("installed").exists());
    assert_eq!(told(SetupMode::Install).await, ["did: installs coreutils"]);
    let installed = fs::read_to_string(tools.join("installed")).unwrap();
    assert_eq!(installed, "install -y -q --no-install-recommends coreutils\n");
}

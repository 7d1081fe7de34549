//! The same verbs over real sshd, and how it looks when there is no way in.

use super::common::{World, bring, claim, examined, place, seen, slice};
use super::sshd::Sshd;
use crate::{Address, CheckState, Connections, SshAddress};
use deploy_core::command::Command;
use deploy_core::failure::Code;
use deploy_core::port::probe::{HostCommand, HostExecError, Reach};
use deploy_core::port::target::{Cause, Certainty, Cleanup, Restore, Runs, Secret, Target as _};
use std::fs;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn there_and_back() {
    let sshd = Sshd::start("");
    let world = World::at(sshd.address());
    let target = world.target();
    let big = "x".repeat(3_000_000);
    let first = world.release(1, &[("a", "1"), ("big", &big), ("-odd\nname", "o")]);
    let (op, ..) = bring(&world, &target, 1, &first).await;
    target
        .finish(&op, &place(&target).await, &Cleanup::Prune { keep: 2 })
        .await
        .unwrap();
    let was = seen(&target).await;
    let second = world.release(2, &[("a", "2"), ("big", &big), ("-odd\nname", "o")]);
    let (op, _, prepared) = bring(&world, &target, 2, &second).await;
    assert_eq!(fs::read_to_string(world.path().join("current/a")).unwrap(), "2");
    assert_eq!(
        fs::read_to_string(world.path().join("current/-odd\nname")).unwrap(),
        "o"
    );
    let back = Restore {
        slice: slice(),
        checkpoint: prepared.checkpoint,
        ours: vec![prepared.will_be],
    };
    assert_eq!(target.restore(&op, &back).await.unwrap(), was);
    assert_eq!(fs::read_to_string(world.path().join("current/a")).unwrap(), "1");
    let checks = examined(&target).await;
    assert!(
        checks
            .iter()
            .all(|check| !matches!(check.state, CheckState::Bad { .. })),
        "{checks:?}"
    );
}

/// A connection that the user holds open is used, and is theirs: it stays.
#[tokio::test]
async fn the_users_own_connection_is_used_and_left() {
    let sshd = Sshd::start("LogLevel VERBOSE");
    let socket = sshd.dir.path().join("own-%p");
    let config = fs::read_to_string(sshd.config()).unwrap();
    fs::write(
        sshd.config(),
        format!("{config} ControlPath {}\n", socket.display()),
    )
    .unwrap();
    let ssh = |args: &[&str]| {
        let mut command = std::process::Command::new("ssh");
        command.arg("-F").arg(sshd.config()).args(args).arg("web");
        command
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    let connections = || sshd.log().matches("Connection from").count();
    let world = World::at(sshd.address());
    {
        let target = world.target();
        assert!(target.observe(&[slice()]).await.unwrap()[0].runs.is_ok());
    }
    assert!(!ssh(&["-O", "check"]), "ours is not put where theirs would be");
    assert!(ssh(&["-M", "-f", "-N", "-o", "ControlPersist=60"]));
    let before = connections();
    let mut world = World::at(sshd.address());
    world.connections = Connections::default();
    {
        let target = world.target();
        bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    }
    drop(world);
    assert_eq!(connections(), before);
    assert!(ssh(&["-O", "check"]));
    assert!(ssh(&["-O", "exit"]));
}

/// What a login shell or its startup files print is not taken for an answer.
#[tokio::test]
async fn noise_at_login_is_passed_over() {
    let sshd = Sshd::start("");
    let noise = sshd.dir.path().join("noisy");
    fs::write(
        &noise,
        "#!/bin/sh\necho 'Welcome! @0 exit 0'\necho oops >&2\neval \"$SSH_ORIGINAL_COMMAND\"\n",
    )
    .unwrap();
    run_mode(&noise);
    let key = fs::read_to_string(sshd.dir.path().join("client.pub")).unwrap();
    let line = format!("command=\"{}\" {key}", noise.display());
    fs::write(sshd.dir.path().join("authorized"), line).unwrap();
    let world = World::at(sshd.address());
    let target = world.target();
    bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
}

/// Whatever shell the user has there.
#[tokio::test]
async fn any_login_shell_will_do() {
    for shell in ["fish", "tcsh"] {
        let program = std::path::Path::new("/usr/bin").join(shell);
        assert!(program.exists(), "install {shell}");
        let sshd = Sshd::start("");
        let login = sshd.dir.path().join("login");
        let text = format!(
            "#!/bin/sh\nexec {} -c \"$SSH_ORIGINAL_COMMAND\"\n",
            program.display()
        );
        fs::write(&login, text).unwrap();
        run_mode(&login);
        let key = fs::read_to_string(sshd.dir.path().join("client.pub")).unwrap();
        let line = format!("command=\"{}\" {key}", login.display());
        fs::write(sshd.dir.path().join("authorized"), line).unwrap();
        let mut world = World::at(sshd.address());
        world.binding.hooks = vec![super::common::hook(
            "odd",
            crate::HookPoint::Prepare,
            "test 'it''s !1' = \"its !1\" && echo \\\\ 'a\nb'",
        )];
        let target = world.target();
        bring(&world, &target, 1, &world.release(1, &[("a !b\n'c", "1")])).await;
    }
}

fn run_mode(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_changed_or_unknown_host_key_is_refused() {
    let sshd = Sshd::start("");
    let world = World::at(sshd.address());
    sshd.pin(&sshd.dir.path().join("client.pub"));
    let changed = claim(&world.target(), 1).await.unwrap_err();
    assert_eq!(
        (changed.failure.code, changed.certainty),
        (Code::HostKey, Certainty::NotDone)
    );
    assert!(
        changed.failure.message.contains("is not the one known"),
        "{}",
        changed.failure
    );
    let forget = format!("-R \"[127.0.0.1]:{}\"", sshd.port);
    assert!(changed.failure.next.contains(&forget), "{}", changed.failure.next);
    fs::write(sshd.dir.path().join("known_hosts"), "").unwrap();
    let unknown = claim(&world.target(), 1).await.unwrap_err();
    assert_eq!(unknown.failure.code, Code::HostKey);
    assert!(
        unknown.failure.message.contains("is not known"),
        "{}",
        unknown.failure
    );
    assert!(!world.path().exists());
}

/// `ssh` asks for a password and for a key's passphrase in the same way.
#[tokio::test]
async fn a_password_is_handed_over_and_a_wrong_one_is_said() {
    let sshd = Sshd::start("");
    let protect = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"])
        .arg(sshd.dir.path().join("client"))
        .status()
        .unwrap();
    assert!(protect.success());
    let with = |password: &str| match sshd.address() {
        Address::Ssh(address) => Address::Ssh(SshAddress {
            password: Some(Secret::new(password)),
            ..address
        }),
        Address::Local => unreachable!(),
    };
    let world = World::at(with("open sesame"));
    claim(&world.target(), 1).await.unwrap();
    let world = World::at(with("open simsim"));
    let refused = claim(&world.target(), 1).await.unwrap_err();
    assert_eq!(refused.failure.code, Code::PermissionDenied);
    assert!(!format!("{refused:?}").contains("simsim"));
}

#[tokio::test]
async fn no_key_and_no_host_are_told_apart() {
    let mut sshd = Sshd::start("");
    fs::write(sshd.dir.path().join("authorized"), "").unwrap();
    let world = World::at(sshd.address());
    let refused = claim(&world.target(), 1).await.unwrap_err();
    assert_eq!(
        (refused.failure.code, refused.cause),
        (Code::PermissionDenied, Cause::Final)
    );
    sshd.stop();
    let gone = claim(&world.target(), 1).await.unwrap_err();
    assert!(gone.failure.message.contains("nothing listens there"), "{gone}");
    let checks = examined(&world.target()).await;
    assert!(checks[0].detail.contains("Connection refused"), "{checks:?}");
    assert_eq!(
        (gone.cause, gone.certainty),
        (Cause::Unreachable, Certainty::NotDone)
    );
    let seen = world.target().observe(&[slice()]).await.unwrap().remove(0);
    assert_eq!(seen.runs.unwrap_err().code, Code::Unreachable);
}

/// A connection that broke is made anew; what was under way is unknown.
#[tokio::test]
async fn a_cut_connection_is_made_anew() {
    let sshd = Sshd::start("");
    let mut world = World::at(sshd.address());
    // The restart ends the session it runs in, as one does that restarts the network.
    world.binding.restart = Some(super::common::shell(
        "p=$$; until [ \"$(cat /proc/$p/comm)\" = sshd ]; do p=$(cut -d' ' -f4 /proc/$p/stat); done; kill -KILL $p",
    ));
    let target = world.target();
    let first = world.release(1, &[("a", "1")]);
    let op = world.op(&claim(&target, 1).await.unwrap());
    let mut step = super::common::step(&target, &first).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let lost = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (lost.certainty, lost.cause),
        (Certainty::Unknown, Cause::Unreachable),
        "{lost:?}"
    );
    // The step itself ran on, on the host.
    let until = std::time::Instant::now() + PATIENCE;
    while target.verify(&op, &slice(), &prepared.will_be).await.is_err() {
        assert!(std::time::Instant::now() < until, "{:?}", seen(&target).await);
    }
    assert_eq!(seen(&target).await, prepared.will_be);
}

fn hosts() -> (Sshd, Vec<std::sync::Arc<dyn deploy_core::port::probe::HostExec>>) {
    let sshd = Sshd::start("");
    let connections = Connections::default();
    let execs = vec![
        connections.host_exec(&Address::Local),
        connections.host_exec(&sshd.address()),
    ];
    (sshd, execs)
}

#[tokio::test]
async fn commands_run_on_a_host_and_tell_how_they_ended() {
    let (_sshd, execs) = hosts();
    for exec in execs {
        let mut command = HostCommand::new(Command::Shell("pwd; cat; echo \"$A\" >&2; exit 3".to_owned()));
        command.dir = Some("/usr".to_owned());
        command.env = vec![("A".to_owned(), "a b'\"$".to_owned())];
        command.stdin = b"in\0put".to_vec();
        let output = exec.run(&command, PATIENCE).await.unwrap();
        assert_eq!(output.status, 3);
        assert_eq!(output.stdout, b"/usr\nin\0put");
        assert_eq!(output.stderr, b"a b'\"$\n");

        let flood = HostCommand::new(Command::Argv(
            ["sh", "-c", "yes | head -c 999999"].map(str::to_owned).into(),
        ));
        assert_eq!(exec.run(&flood, PATIENCE).await.unwrap().stdout.len(), 64 * 1024);
        let slow = HostCommand::new(Command::Shell("sleep 60".to_owned()));
        assert_eq!(
            exec.run(&slow, Duration::from_secs(1)).await,
            Err(HostExecError::TimedOut)
        );
        let leaves = HostCommand::new(Command::Shell("sleep 60 & echo done".to_owned()));
        assert_eq!(exec.run(&leaves, PATIENCE).await.unwrap().stdout, b"done\n");
        let none = HostCommand::new(Command::Argv(vec!["no-such-program".to_owned()]));
        assert!(matches!(
            exec.run(&none, PATIENCE).await,
            Err(HostExecError::Refused(_))
        ));
        let mut nowhere = HostCommand::new(Command::Shell("true".to_owned()));
        nowhere.dir = Some("/proc/no/such".to_owned());
        let answer = exec.run(&nowhere, PATIENCE).await;
        assert!(matches!(answer, Err(HostExecError::Refused(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn ports_are_reached_as_the_host_sees_them() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (_sshd, execs) = hosts();
    assert_eq!(
        execs[0].forward("localhost", 1, PATIENCE).await.unwrap().reach(),
        &Reach::Direct
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
    });
    let forward = execs[1].forward("127.0.0.1", port, PATIENCE).await.unwrap();
    let Reach::Socket(socket) = forward.reach().clone() else {
        panic!("{forward:?}");
    };
    let mut text = String::new();
    let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
    serving.await.unwrap();
    drop(forward);
    assert!(tokio::net::UnixStream::connect(&socket).await.is_err());
}

#[tokio::test]
async fn a_host_that_is_not_there_says_so_to_whoever_looks_from_it() {
    let address = Address::Ssh(SshAddress {
        destination: "ssh://127.0.0.1:1".to_owned(),
        config_file: None,
        password: None,
    });
    let exec = Connections::default().host_exec(&address);
    let command = HostCommand::new(Command::Shell("true".to_owned()));
    assert!(matches!(
        exec.run(&command, PATIENCE).await,
        Err(HostExecError::Unreachable(_))
    ));
    assert!(matches!(
        exec.forward("localhost", 80, PATIENCE).await,
        Err(HostExecError::Unreachable(_))
    ));
    let world = World::at(address);
    assert!(matches!(
        examined(&world.target()).await[0].state,
        CheckState::Bad { .. }
    ));
    assert_ne!(seen_is(&world).await, Some(Runs::Nothing));
}

async fn seen_is(world: &World) -> Option<Runs> {
    world
        .target()
        .observe(&[slice()])
        .await
        .unwrap()
        .remove(0)
        .runs
        .ok()
}

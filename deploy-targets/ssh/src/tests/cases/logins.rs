//! Who is let in, by which shell, and what is said on the way: the steps run under any shell, and what keeps them out is named.

use super::super::common::{claim, seen, slice};
use super::machine::{Machine, Setting, address};
use deploy_core::failure::Code;
use deploy_core::port::target::{Cause, Certainty, Runs, Target as _, TargetError};
use deploy_tests::wait;
use std::fs;
use std::io::Read as _;
use std::net::TcpStream;

/// Why nobody gets anywhere on such a host; nothing was written there.
async fn kept_out(machine: &Machine) -> TargetError {
    let error = claim(&machine.target(), 1).await.expect_err("it got in");
    assert_eq!(error.certainty, Certainty::NotDone, "{error:?}");
    assert_eq!(fs::read_dir(machine.world.path()).unwrap().count(), 0);
    error
}

#[tokio::test]
async fn every_login_shell_will_do() {
    for shell in [
        "/bin/dash",
        "/bin/bash",
        "/usr/bin/fish",
        "/usr/bin/tcsh",
        "$D/ash",
    ] {
        let machine = Machine::new(Setting {
            shell: Some(shell),
            mounts: "cp \"$(command -v busybox)\" \"$D/ash\"",
            ..Setting::default()
        });
        machine.first().await;
        machine
            .second()
            .await
            .unwrap_or_else(|error| panic!("{shell}: {error:?}"));
    }
}

/// Whatever startup files print, where the shell reads them for a command, and a banner.
#[tokio::test]
async fn noise_of_every_login_shell_is_passed_over() {
    let noise = "echo 'Welcome! @0 exit 0'\necho oops >/dev/stderr\nseq 9999\nprintf 'no newline @'\n";
    for (shell, file) in [
        ("/bin/bash", ".bashrc"),
        ("/usr/bin/fish", ".config/fish/config.fish"),
        ("/usr/bin/tcsh", ".tcshrc"),
    ] {
        let machine = Machine::new(Setting {
            shell: Some(shell),
            mounts: "echo 'Authorized use only' >\"$D/banner\"",
            sshd: "Banner $D/banner",
        });
        let file = machine.world.dir.path().join("home").join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, noise).unwrap();
        machine.first().await;
        machine
            .second()
            .await
            .unwrap_or_else(|error| panic!("{shell}: {error:?}"));
        assert!(matches!(seen(&machine.target()).await, Runs::Release { .. }));
    }
}

#[tokio::test]
async fn a_shell_that_runs_no_commands_is_named() {
    for (shell, says) in [
        ("/usr/sbin/nologin", "This account is currently not available"),
        ("/usr/bin/git-shell", "unrecognized command"),
        ("/bin/false", "runs no commands"),
    ] {
        let machine = Machine::new(Setting {
            shell: Some(shell),
            ..Setting::default()
        });
        let error = kept_out(&machine).await;
        assert_eq!(
            (error.failure.code, error.cause),
            (Code::PermissionDenied, Cause::Final),
            "{shell}: {error:?}"
        );
        assert!(error.failure.message.contains(says), "{shell}: {error}");
        assert!(error.failure.next.contains("alice@web true"), "{error:?}");
    }
}

#[tokio::test]
async fn a_forced_command_is_named() {
    for forced in [
        "ForceCommand echo only backups here",
        "ForceCommand internal-sftp",
    ] {
        let machine = Machine::new(Setting {
            sshd: forced,
            ..Setting::default()
        });
        let error = kept_out(&machine).await;
        assert_eq!(error.failure.code, Code::PermissionDenied, "{forced}: {error:?}");
        assert!(error.failure.next.contains("forced command"), "{error:?}");
        if forced.contains("echo") {
            assert!(error.failure.message.contains("only backups here"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_wrong_user_and_a_password_that_nobody_is_there_to_type() {
    let passwords = "Match all\n PasswordAuthentication yes\n KbdInteractiveAuthentication yes";
    let mut machine = Machine::new(Setting {
        sshd: passwords,
        ..Setting::default()
    });
    machine.world.binding.hosts[0].address = address(&machine.sshd, Some("nobody-of-that-name"));
    let error = kept_out(&machine).await;
    assert_eq!(error.failure.code, Code::PermissionDenied, "{error:?}");
    assert!(error.failure.message.contains("nobody-of-that-name"), "{error}");
    // No key: it would ask for the password.
    machine.world.binding.hosts[0].address = address(&machine.sshd, None);
    fs::write(machine.sshd.dir.path().join("authorized"), "").unwrap();
    let error = kept_out(&machine).await;
    assert_eq!(error.failure.code, Code::PermissionDenied, "{error:?}");
    assert!(error.failure.message.contains("password"), "{error}");
    assert!(error.failure.next.contains("ssh-copy-id"), "{error:?}");
}

/// `rsync` is none of the tools that a host needs.
#[tokio::test]
async fn a_host_without_rsync_will_do_and_without_tar_it_says_so() {
    let machine = Machine::mounted("mount --bind /dev/null \"$(readlink -f \"$(command -v rsync)\")\"");
    machine.first().await;
    machine.root("mount --bind /dev/null \"$(readlink -f \"$(command -v tar)\")\"");
    let error = machine.refused("prepare", Code::ToolMissing).await;
    assert!(error.failure.next.contains("apt-get install tar"), "{error:?}");
}

#[tokio::test]
async fn a_login_without_a_path_to_the_tools_says_so() {
    let machine = Machine::new(Setting {
        sshd: "SetEnv PATH=/no/such/folder",
        ..Setting::default()
    });
    let error = kept_out(&machine).await;
    assert_eq!(error.failure.code, Code::ToolMissing, "{error:?}");
    assert!(
        error.failure.next.contains("apt-get install coreutils"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_takes_no_more_sessions_is_tried_again() {
    let machine = Machine::new(Setting {
        sshd: "MaxSessions 1",
        ..Setting::default()
    });
    machine.first().await;
    let targets: Vec<_> = (0..6).map(|_| machine.target()).collect();
    let looks = targets.iter().map(async |target| {
        let error = target
            .plan(&slice(), &machine.world.release(1, &[("page", "one")]))
            .await
            .err()?;
        Some((error.certainty, error.cause, error.failure.code))
    });
    let answers = crate::together::all(looks.map(Box::pin).collect()).await;
    assert!(answers.iter().all(Option::is_none), "{answers:?}");
    // As the engine does: what was not done and may go better is tried again.
    let patiently = async {
        while let Err((step, error)) = machine.second().await {
            assert_eq!(
                (error.certainty, error.cause),
                (Certainty::NotDone, Cause::Transient),
                "{step}: {error:?}"
            );
        }
    };
    tokio::time::timeout(wait::PATIENCE, patiently).await.unwrap();
    assert_eq!(machine.serves(), "two");
}

#[tokio::test]
async fn a_server_that_takes_no_more_connections_is_tried_again() {
    let machine = Machine::new(Setting {
        sshd: "MaxStartups 1:100:1\nLoginGraceTime 60",
        ..Setting::default()
    });
    // Somebody who has connected and says nothing.
    let silent = wait::until_some(wait::PATIENCE, "the server to greet", || {
        let mut stream = TcpStream::connect(("127.0.0.1", machine.sshd.port)).ok()?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).ok()?;
        (greeting == *b"SSH-").then_some(stream)
    });
    let error = kept_out(&machine).await;
    assert_eq!(
        (error.cause, error.failure.code),
        (Cause::Transient, Code::Unreachable),
        "{error:?}"
    );
    drop(silent);
    let target = machine.target();
    wait::until(wait::PATIENCE, "a connection is taken", || {
        let look = std::process::Command::new("ssh")
            .arg("-F")
            .arg(machine.sshd.config())
            .args(["-o", "BatchMode=yes", "web", "true"])
            .status();
        look.unwrap().success()
    });
    claim(&target, 1).await.unwrap();
}

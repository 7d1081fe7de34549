//! Hosts behind a jump host, and keys in an agent, over real sshds: the good way, and why there is none.

use super::common::{World, bring, claim, examined, seen};
use super::sshd::Sshd;
use crate::{Address, SshAddress};
use deploy_core::failure::Code;
use deploy_core::port::target::{Cause, Certainty, Runs, TargetError};
use deploy_tests::wait;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `inner`, which is reached over `bastion`.
struct Both {
    bastion: Sshd,
    inner: Sshd,
}

impl Both {
    fn start() -> Self {
        Self {
            bastion: Sshd::start(""),
            inner: Sshd::start(""),
        }
    }

    /// By a configuration in which each has the key, or the agent, that these lines say.
    fn world(&self, keys: impl Fn(&Sshd) -> String) -> World {
        let entry = |name: &str, sshd: &Sshd, more: &str| {
            format!(
                "Host {name}\n HostName 127.0.0.1\n Port {}\n UserKnownHostsFile {}/known_hosts\n{} BatchMode yes\n{more}\n",
                sshd.port,
                sshd.dir.path().display(),
                keys(sshd),
            )
        };
        let text = entry("bastion", &self.bastion, "") + &entry("inner", &self.inner, " ProxyJump bastion\n");
        let file = self.inner.dir.path().join("jumping");
        fs::write(&file, text).unwrap();
        World::at(Address::Ssh(SshAddress {
            destination: "inner".to_owned(),
            config_file: Some(file),
            password: None,
        }))
    }
}

fn by_its_key(sshd: &Sshd) -> String {
    let folder = sshd.dir.path().display();
    format!(" IdentityFile {folder}/client\n IdentitiesOnly yes\n IdentityAgent none\n")
}

async fn refused(world: &World) -> TargetError {
    let error = claim(&world.target(), 1).await.expect_err("it got in");
    assert_eq!(error.certainty, Certainty::NotDone, "{error:?}");
    assert!(!world.path().exists());
    error
}

async fn goes(world: &World) {
    let target = world.target();
    bring(world, &target, 1, &world.release(1, &[("page", "one")])).await;
    assert!(matches!(seen(&target).await, Runs::Release { .. }));
}

#[tokio::test]
async fn a_jump_host_is_gone_through() {
    let both = Both::start();
    goes(&both.world(by_its_key)).await;
    for sshd in [&both.bastion, &both.inner] {
        assert!(sshd.log().contains("Accepted publickey"), "{}", sshd.log());
    }
}

#[tokio::test]
async fn a_jump_host_that_lets_nobody_in_is_named() {
    let both = Both::start();
    let world = both.world(|sshd| {
        if sshd.port == both.bastion.port {
            " IdentityFile /no/such/key\n IdentitiesOnly yes\n IdentityAgent none\n".to_owned()
        } else {
            by_its_key(sshd)
        }
    });
    let error = refused(&world).await;
    assert_eq!(
        (error.failure.code, error.cause),
        (Code::PermissionDenied, Cause::Final),
        "{error:?}"
    );
    let message = &error.failure.message;
    assert!(
        message.contains("on the way to inner, the jump host: bastion lets nobody in"),
        "{message}"
    );
    assert!(error.failure.next.contains("jumping bastion true"), "{error:?}");
    assert!(error.failure.next.contains("ssh-add"), "{error:?}");
    let checks = examined(&world.target()).await;
    assert!(checks[0].detail.contains("bastion lets nobody in"), "{checks:?}");
}

#[tokio::test]
async fn a_jump_host_with_another_key_is_named() {
    let both = Both::start();
    let world = both.world(by_its_key);
    both.bastion.pin(&both.bastion.dir.path().join("client.pub"));
    let error = refused(&world).await;
    assert_eq!(
        (error.failure.code, error.cause),
        (Code::HostKey, Cause::Final),
        "{error:?}"
    );
    let message = &error.failure.message;
    assert!(
        message.contains("the jump host: the host key of bastion is not the one known"),
        "{message}"
    );
    let next = &error.failure.next;
    assert!(
        next.contains(&format!("[127.0.0.1]:{}", both.bastion.port)),
        "{next}"
    );
    assert!(next.contains("jumping bastion true"), "{next}");

    fs::write(both.bastion.dir.path().join("known_hosts"), "").unwrap();
    let error = refused(&world).await;
    assert_eq!(error.failure.code, Code::HostKey, "{error:?}");
    assert!(
        error.failure.message.contains("of bastion is not known"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_jump_host_that_is_down_and_one_that_gets_no_further_are_told_apart() {
    let unreachable = (Code::Unreachable, Cause::Unreachable);
    let mut both = Both::start();
    let world = both.world(by_its_key);
    both.inner.stop();
    let error = refused(&world).await;
    assert_eq!((error.failure.code, error.cause), unreachable, "{error:?}");
    let message = &error.failure.message;
    assert!(
        message.contains("seen from the jump host bastion: inner cannot be reached: nothing listens there"),
        "{message}"
    );
    both.bastion.stop();
    let error = refused(&world).await;
    assert_eq!((error.failure.code, error.cause), unreachable, "{error:?}");
    let message = &error.failure.message;
    assert!(
        message.contains("the jump host: bastion cannot be reached: nothing listens there"),
        "{message}"
    );
    assert!(error.failure.next.contains("jumping bastion true"), "{error:?}");
}

#[tokio::test]
async fn a_jump_host_that_passes_nothing_on_is_named() {
    let both = Both {
        bastion: Sshd::start("AllowTcpForwarding no"),
        inner: Sshd::start(""),
    };
    let error = refused(&both.world(by_its_key)).await;
    assert_eq!(error.failure.code, Code::PermissionDenied, "{error:?}");
    assert!(
        error
            .failure
            .message
            .contains("the jump host bastion passes no connection on to inner"),
        "{error:?}"
    );
}

/// The host behind is what refuses: that is said of it, and not of the jump host.
#[tokio::test]
async fn what_the_host_behind_refuses_is_not_laid_at_the_jump_hosts_door() {
    let both = Both::start();
    let world = both.world(by_its_key);
    both.inner.pin(&both.inner.dir.path().join("client.pub"));
    let error = refused(&world).await;
    assert_eq!(error.failure.code, Code::HostKey, "{error:?}");
    assert!(
        error.failure.message.starts_with("the host key of inner"),
        "{error:?}"
    );
    both.inner.pin(&both.inner.dir.path().join("host.pub"));
    fs::write(both.inner.dir.path().join("authorized"), "").unwrap();
    let error = refused(&world).await;
    assert_eq!(error.failure.code, Code::PermissionDenied, "{error:?}");
    assert!(
        error.failure.message.starts_with("inner lets nobody in"),
        "{error:?}"
    );
}

/// An agent of our own; it ends when dropped.
struct Agent(Child);

impl Agent {
    fn start(socket: &Path, keys: &[&Sshd]) -> Self {
        let agent = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("install openssh-client");
        let agent = Self(agent);
        wait::until(wait::PATIENCE, "the agent's socket", || socket.exists());
        let added = Command::new("ssh-add")
            .arg("-q")
            .args(keys.iter().map(|sshd| sshd.dir.path().join("client")))
            .env("SSH_AUTH_SOCK", socket)
            .status();
        assert!(added.unwrap().success());
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The keys are in the agent alone, on the way and at its end.
#[tokio::test]
async fn keys_in_an_agent_open_both() {
    let both = Both::start();
    let socket = both.inner.dir.path().join("agent");
    let agent = Agent::start(&socket, &[&both.bastion, &both.inner]);
    let by_agent = |_: &Sshd| {
        format!(
            " IdentityFile /no/such/key\n IdentityAgent {}\n",
            socket.display()
        )
    };
    goes(&both.world(by_agent)).await;
    drop(agent);
    let error = refused(&both.world(by_agent)).await;
    assert_eq!(error.failure.code, Code::PermissionDenied, "{error:?}");
    assert!(
        error.failure.message.contains("bastion lets nobody in"),
        "{error:?}"
    );
    assert!(error.failure.next.contains("ssh-add"), "{error:?}");
}

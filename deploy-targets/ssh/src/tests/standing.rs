//! Steps that read nothing are told to a shell that stays.

use super::common::{World, seen, slice};
use super::sshd::Sshd;
use deploy_core::port::target::Target as _;
use deploy_tests::procs;
use rustix::process::Signal;

fn sessions(sshd: &Sshd) -> usize {
    sshd.log().matches("Starting session").count()
}

#[tokio::test]
async fn steps_that_read_nothing_are_one_session() {
    let sshd = Sshd::start("LogLevel VERBOSE");
    let world = World::at(sshd.address());
    let target = world.target();
    let was = seen(&target).await;
    for _ in 0..3 {
        assert_eq!(seen(&target).await, was);
    }
    assert_eq!(sessions(&sshd), 1);
}

/// A shell that was ended while it waited ran nothing: the step is told to another one.
#[tokio::test]
async fn a_shell_that_ended_while_it_waited_is_missed_by_nobody() {
    let sshd = Sshd::start("LogLevel VERBOSE");
    let world = World::at(sshd.address());
    let target = world.target();
    let was = seen(&target).await;
    let shells: Vec<_> = procs::descendants(sshd.pid())
        .into_iter()
        .filter(|pid| procs::name(*pid).is_some_and(|name| name == "sh"))
        .collect();
    assert_eq!(shells.len(), 1);
    procs::signal(shells[0], Signal::KILL);
    assert_eq!(seen(&target).await, was);
    assert_eq!(sessions(&sshd), 2);
}

/// It ends with whoever asked, and is no process of ours that is left there.
#[tokio::test]
async fn it_ends_with_its_deployer() {
    let sshd = Sshd::start("");
    let mut world = World::at(sshd.address());
    {
        let target = world.target();
        assert!(target.observe(&[slice()]).await.unwrap()[0].runs.is_ok());
        world.connections = crate::Connections::default();
    }
    deploy_tests::wait::until(deploy_tests::wait::PATIENCE, "all sessions to end", || {
        procs::descendants(sshd.pid()).is_empty()
    });
}

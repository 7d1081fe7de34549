//! Links that are cut, or hang, at the moments that matter: while a release is sent, and while the host switches.

use super::super::common::{bring, claim, deployment, end, place, request, seen, shell, slice, step};
use super::machine::Machine;
use deploy_core::port::target::{Cause, Certainty, Op, ProgressSink, Target as _};
use deploy_tests::{procs, wait};
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Does something to the sessions of a host while a release is being sent: it has begun to receive, and its end was not sent.
#[derive(Debug)]
struct Midway {
    aside: PathBuf,
    sshd: u32,
    signal: Signal,
}

impl ProgressSink for Midway {
    fn step(&self, _: u64, _: u64, note: &str) {
        if note == "upload" {
            wait::until(wait::PATIENCE, "the host to receive", || {
                fs::read_dir(&self.aside).is_ok_and(|entries| entries.count() > 0)
            });
            for session in sessions(self.sshd) {
                procs::signal(session, self.signal);
            }
        }
    }
    fn line(&self, _: &str) {}
}

/// The sshd processes of connections.
fn sessions(sshd: u32) -> Vec<u32> {
    let of_ssh = |pid: &u32| procs::name(*pid).is_some_and(|name| name.starts_with("sshd"));
    procs::descendants(sshd).into_iter().filter(of_ssh).collect()
}

fn midway(machine: &Machine, op: Op, signal: Signal) -> Op {
    Op {
        progress: Arc::new(Midway {
            aside: machine.at(".deploy/tmp"),
            sshd: machine.sshd.pid(),
            signal,
        }),
        ..op
    }
}

fn complete(machine: &Machine) -> usize {
    let releases = fs::read_dir(machine.at("releases")).unwrap().flatten();
    releases
        .filter(|entry| entry.path().join(".deploy/complete").exists())
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_while_a_release_is_sent() {
    let machine = Machine::mounted("");
    let was = machine.first().await;
    let target = machine.target();
    let op = midway(
        &machine,
        machine.world.op(&claim(&target, 2).await.unwrap()),
        Signal::KILL,
    );
    let to = machine.world.release(2, &[("page", "two")]);
    let mut step = step(&target, &to).await;
    let error = target.prepare(&op, &step).await.unwrap_err();
    assert_eq!(error.cause, Cause::Unreachable, "{error:?}");
    assert_eq!((complete(&machine), machine.serves().as_str()), (1, "one"));
    // Whoever takes it up goes on; nothing is counted twice.
    let mut wants = request(2);
    wants.may_take = vec![deployment(2)];
    let op = machine
        .world
        .op(&target.claim(&place(&target).await, &wants).await.unwrap());
    assert_eq!(seen(&target).await, was);
    step.checkpoint = Some(target.prepare(&op, &step).await.unwrap().checkpoint);
    target.activate(&op, &step).await.unwrap();
    assert_eq!((complete(&machine), machine.serves().as_str()), (2, "two"));
    assert!(fs::read_dir(machine.at("releases")).unwrap().count() == 2);
}

/// After all was sent, and before the switch: it is there already.
#[tokio::test]
async fn cut_between_sending_and_the_switch() {
    let machine = Machine::mounted("");
    machine.first().await;
    let target = machine.target();
    let op = machine.world.op(&claim(&target, 2).await.unwrap());
    let to = machine.world.release(2, &[("page", "two")]);
    target.prepare(&op, &step(&target, &to).await).await.unwrap();
    for session in sessions(machine.sshd.pid()) {
        procs::signal(session, Signal::KILL);
    }
    // The same release, as another deployment that has nothing to send it from.
    let mut wants = request(3);
    wants.may_take = vec![deployment(2)];
    let mut there = (*to).clone();
    there.local = None;
    let there = Arc::new(there);
    let taken = async {
        loop {
            match target.claim(&place(&target).await, &wants).await {
                Ok(claim) => return claim,
                // The first to use the connection learns that it is gone.
                Err(error) => assert_eq!(error.failure.code, deploy_core::failure::Code::Unreachable),
            }
        }
    };
    let op = machine
        .world
        .op(&tokio::time::timeout(wait::PATIENCE, taken).await.unwrap());
    let mut step = step(&target, &there).await;
    step.checkpoint = Some(target.prepare(&op, &step).await.unwrap().checkpoint);
    target.activate(&op, &step).await.unwrap();
    end(&target, &op).await;
    assert_eq!((complete(&machine), machine.serves().as_str()), (2, "two"));
}

/// The link hangs, somebody else goes on, and then the first one's bytes arrive after all: they change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_wakes_up_after_another_took_over_changes_nothing() {
    let machine = Machine::mounted("");
    machine.first().await;
    let target = machine.target();
    let op = midway(
        &machine,
        machine.world.op(&claim(&target, 2).await.unwrap()),
        Signal::STOP,
    );
    let first = step(&target, &machine.world.release(2, &[("page", "two")])).await;
    let error = target.prepare(&op, &first).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::Unknown, "{error:?}");
    let stopped = sessions(machine.sshd.pid());
    let mut other = request(3);
    other.may_take = vec![deployment(2)];
    // Another deployer, with a connection of its own.
    let mut world = super::super::common::World::at(machine.world.binding.hosts[0].address.clone());
    world.binding.hosts[0]
        .path
        .clone_from(&machine.world.binding.hosts[0].path);
    let theirs = world.target();
    let op = world.op(&theirs.claim(&place(&theirs).await, &other).await.unwrap());
    let mut step = step(&theirs, &world.release(3, &[("page", "three")])).await;
    step.checkpoint = Some(theirs.prepare(&op, &step).await.unwrap().checkpoint);
    let three = theirs.activate(&op, &step).await.unwrap();
    for session in stopped {
        procs::signal(session, Signal::CONT);
    }
    wait::until(wait::PATIENCE, "the woken step to end", || {
        fs::read_dir(machine.at(".deploy/tmp")).map_or(0, Iterator::count) == 0
    });
    theirs.verify(&op, &slice(), &three).await.unwrap();
    assert_eq!((complete(&machine), machine.serves().as_str()), (2, "three"));
    assert_eq!(fs::read_dir(machine.at("releases")).unwrap().count(), 2);
}

/// The activation restarts the server it came by, and ends its own session with it: the outcome is looked up, not guessed.
#[tokio::test]
async fn the_switch_restarts_sshd_itself() {
    let mut machine = Machine::mounted("");
    machine.first().await;
    let mine = "p=$$; until [ \"$(cat /proc/$p/comm)\" = sshd ]; do p=$(cut -d' ' -f4 /proc/$p/stat); done; kill -KILL $p";
    machine.world.binding.restart = Some(shell(&format!("kill -HUP {}; {mine}", machine.sshd.pid())));
    let target = machine.target();
    let op = machine.world.op(&claim(&target, 2).await.unwrap());
    let mut step = step(&target, &machine.world.release(2, &[("page", "two")])).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let error = target.activate(&op, &step).await.unwrap_err();
    assert_eq!(
        (error.certainty, error.cause),
        (Certainty::Unknown, Cause::Unreachable),
        "{error:?}"
    );
    // The step itself ran on; no orphan keeps the lock.
    let learned = async { while target.verify(&op, &slice(), &prepared.will_be).await.is_err() {} };
    tokio::time::timeout(wait::PATIENCE, learned).await.unwrap();
    end(&target, &op).await;
    assert_eq!(machine.serves(), "two");
    machine.world.binding.restart = None;
    let target = machine.target();
    let three = machine.world.release(3, &[("page", "three")]);
    bring(&machine.world, &target, 3, &three).await;
    assert_eq!(machine.serves(), "three");
}

//! Kill it anywhere: a SIGKILL at every failpoint of a run, and at random moments, each followed by
//! `deploy resume` in another process, ends wholly new or wholly old. Killed are runs that go forward, that turn back, and that were
//! asked for by `deploy rollback`; these only ever go on.
//!
//! By default a run's points are sampled: on one local host the first and the last time each is passed (where it
//! is killed twice, a fourth of the points), on three hosts and over ssh a part of the points, so that all of it takes minutes. Hosts
//! with systemd, which restart by a unit and revert by one, are killed at each point once, and three of them at a part of the points that
//! is another one in each run. `DEPLOY_SWEEP=full` kills at every single pass everywhere. `DEPLOY_POINT=name:nth` does one kill alone, on
//! each kind of host; `DEPLOY_SEED=n` repeats what was by chance.

mod listed;
mod random;
mod round;
mod sweep;
mod trouble;

use std::panic::resume_unwind;
use std::thread;

use deploy_tests::shop::Where::{Local, Ssh, Systemd};

use self::sweep::{Sample, sweep};

#[test]
fn at_every_point_on_one_local_host() {
    let (edges, swept) = thread::scope(|scope| {
        let edges = scope.spawn(listed::at_the_edges);
        let swept = sweep(Local, 1, Sample::Passes);
        (edges.join(), swept)
    });
    let edges = edges.unwrap_or_else(|panic| resume_unwind(panic));
    listed::complete(&edges.into_iter().chain(swept).collect());
}

#[test]
fn on_three_local_hosts() {
    sweep(Local, 3, Sample::EveryNth(8));
}

#[test]
fn over_ssh() {
    sweep(Ssh, 1, Sample::EveryNth(6));
}

#[test]
fn on_three_hosts_over_ssh() {
    sweep(Ssh, 3, Sample::EveryNth(12));
}

#[test]
fn over_ssh_where_a_host_is_lost() {
    trouble::where_a_host_is_lost();
}

#[test]
fn on_a_host_with_systemd() {
    thread::scope(|scope| {
        let edges = scope.spawn(listed::the_first_time_with_systemd);
        sweep(Systemd, 1, Sample::Once);
        edges.join().unwrap_or_else(|panic| resume_unwind(panic));
    });
}

#[test]
fn on_three_hosts_with_systemd() {
    sweep(Systemd, 3, Sample::OneOf(20));
}

#[test]
fn at_random_moments() {
    random::kills(Local, 1);
}

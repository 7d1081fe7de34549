//! What a deployment takes: connections, commands (round trips), bytes, processes and flushes on a host, where `strace` is there to
//! count them; and processes, open files and memory of ours while it runs on many hosts.

use super::place::{Place, Size};
use crate::figure::Figure;
use deploy_tests::{process, procs, sshd, wait};
use rustix::process::Signal;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One deployment, counted at the first host.
pub(crate) fn of(place: &Place, on: &str) -> Vec<Figure> {
    let Some(strace) = process::find("strace") else {
        return Vec::new();
    };
    let pid = place.fleet.hosts()[0].pid();
    let trace = place.scratch.root().join("trace");
    let mut command = Command::new(strace);
    command
        .args(["-f", "-qq", "-yy", "-s", "40", "-e", "signal=none", "-o"])
        .arg(&trace)
        .args([
            "-e",
            "trace=accept,accept4,execve,clone,clone3,fork,vfork,fsync,syncfs,read,write",
            "-p",
        ])
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut tracer = command.spawn().expect("strace can be started");
    wait::until(wait::PATIENCE, "strace to hold the listener", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.contains("TracerPid:\t0")
    });
    super::up(place);
    wait::until(wait::PATIENCE, "the connection's end", || {
        procs::descendants(pid).is_empty()
    });
    procs::signal(tracer.id(), Signal::INT);
    let _ended = tracer.wait();
    let text = fs::read_to_string(&trace).unwrap_or_default();
    let count = |what: &[&str]| {
        text.lines()
            .filter(|line| what.iter().any(|what| line.contains(what)))
            .count()
    };
    // What a call that was cut in two ended with is on the line where it goes on.
    let bytes = |call: &str| -> u64 {
        let lines = text
            .lines()
            .filter(|line| line.contains(call) && line.contains("<TCP:["));
        lines
            .filter_map(|line| line.rsplit_once(" = ")?.1.parse::<u64>().ok())
            .sum()
    };
    let one = |name: &str, unit, value: f64| Figure::of(&format!("  {name}, {on}"), unit, vec![value]);
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let figures = vec![
        one("connections", "", count(&["accept(", "accept4("]) as f64),
        one("commands", "", count(&["[\"timeout\", \"-k\""]) as f64),
        one("sent to a host", "kB", bytes(" read(") as f64 / 1000.0),
        one("answered by a host", "kB", bytes(" write(") as f64 / 1000.0),
        one(
            "processes on a host",
            "",
            count(&[" clone(", " clone3(", " fork(", " vfork("]) as f64,
        ),
        one("programs on a host", "", count(&[" execve("]) as f64),
        one("flushes on a host", "", count(&[" fsync(", " syncfs("]) as f64),
    ];
    figures
}

/// A small release on many hosts: how much of this machine it takes at most, and how long.
pub(crate) fn many(count: usize) -> Vec<Figure> {
    let mut place = Place::new(count, Size::SMALL);
    super::up(&place);
    place.change_one();
    let mark = format!("{}={}", sshd::MARK, place.scratch.root().display());
    let mut running = place.scratch.spawn(&super::UP);
    let (mut most, mut files, mut memory, mut own) = (0usize, 0usize, 0u64, 0u64);
    let mut look = || {
        let all = procs::with_mark(&mark);
        most = most.max(all.len());
        let mut sum = 0;
        for pid in &all {
            let size = resident(*pid);
            sum += size;
            if procs::name(*pid).is_some_and(|name| name == "deploy") {
                own = own.max(size);
                let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
                files = files.max(open);
            }
        }
        memory = memory.max(sum);
    };
    while !running.ended() {
        look();
        std::thread::sleep(Duration::from_millis(100));
    }
    let took = running.wait(wait::PATIENCE).expect_code(0).took;
    let one = |name: &str, unit, value: f64| Figure::of(&format!("{count} hosts: {name}"), unit, vec![value]);
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let figures = vec![
        one("a small release", "ms", took.as_secs_f64() * 1000.0),
        one("processes at most, here", "", most as f64),
        one("files open at most, of deploy", "", files as f64),
        one("memory at most, of deploy", "MB", own as f64 / 1000.0),
        one("memory at most, with its ssh", "MB", memory as f64 / 1000.0),
    ];
    figures
}

/// Resident memory in kB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

//! The machine's processes, read from `/proc`, and signals to them.
//!
//! Fixtures find what they started in two ways: as descendants of a process they know, and by a mark in the
//! environment, which also finds daemons that left the process tree. Nothing is ever chosen by its name.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The processes below `root`, children before grandchildren, without `root` itself.
pub fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in all() {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = children.get(&root).cloned().unwrap_or_default();
    let mut next = 0;
    while next < found.len() {
        if let Some(more) = children.get(&found[next]) {
            found.extend(more);
        }
        next += 1;
    }
    found
}

/// The processes whose environment holds exactly `mark` (`NAME=value`) as one of its entries.
pub fn with_mark(mark: &str) -> Vec<u32> {
    let has_mark = |pid: &u32| {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == mark.as_bytes())
        })
    };
    all().into_iter().filter(has_mark).collect()
}

/// The short name of the program that `pid` runs, if there is such a process.
pub fn name(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .ok()
        .map(|name| name.trim().to_owned())
}

/// The most memory, in KiB, that `pid` has held at once so far; `None` once it has ended.
pub fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Whether `pid` runs: a process that has ended and waits to be collected does not.
pub fn runs(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Whether `pid` is stopped by a signal.
pub fn stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// Sends `signal` to one process; one that has ended is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = checked(pid) {
        let _gone = kill_process(pid, signal);
    }
}

/// Sends `signal` to a whole process group; one that has ended is no error.
pub fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = checked(group) {
        let _gone = kill_process_group(group, signal);
    }
}

/// Neither 0 ("my own group") nor 1 is ever meant by a fixture.
fn checked(pid: u32) -> Option<Pid> {
    i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .and_then(Pid::from_raw)
}

/// When the process was started, in ticks since the machine's start: with its id, this names it for good.
pub fn started(pid: u32) -> Option<u64> {
    after_name(pid)?.split(' ').nth(19)?.parse().ok()
}

fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted: the fixtures are for Linux");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn state(pid: u32) -> Option<char> {
    after_name(pid)?.chars().next()
}

fn parent(pid: u32) -> Option<u32> {
    after_name(pid)?.split(' ').nth(1)?.parse().ok()
}

/// `/proc/PID/stat` behind the program's name, which may itself hold spaces and brackets.
fn after_name(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::wait;

    #[test]
    fn finds_children_by_tree_and_by_mark_and_sees_them_stop_and_end() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600; true"])
            .env("DEPLOY_TEST_MARK", "procs")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id();
        wait::until(wait::PATIENCE, "the shell's own child", || {
            !descendants(pid).is_empty()
        });
        let below = descendants(pid);
        assert!(descendants(std::process::id()).contains(&pid));
        wait::until(wait::PATIENCE, "both under the mark", || {
            let marked = with_mark("DEPLOY_TEST_MARK=procs");
            marked.contains(&pid) && marked.contains(&below[0])
        });
        assert!(with_mark("DEPLOY_TEST_MARK=proc").is_empty());

        signal(pid, Signal::STOP);
        wait::until(wait::PATIENCE, "stopped", || stopped(pid));
        signal(below[0], Signal::KILL);
        signal(pid, Signal::KILL);
        child.wait().unwrap();
        assert!(!runs(pid));
    }
}

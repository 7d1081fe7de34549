//! Leaving nothing behind: ends every process that carries this demo's mark in its environment, and removes its folder.
//! Processes are found by the mark alone, never by name, and only where the kernel lets their environment be read.

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The variable that marks all processes of a demo; its value is the demo's folder.
pub(super) const MARK: &str = "DEPLOY_DEMO";
/// How long ending and removing may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends what the demo in `folder` left running, and removes the folder. What cannot be removed stays: the caller looks.
pub(super) fn sweep(folder: &Path) {
    let begun = Instant::now();
    loop {
        let left = marked(folder);
        for pid in &left {
            // It may be gone by now; then there is nothing to end.
            let _gone = kill_process(*pid, Signal::KILL);
        }
        // A process that was just ended may have been writing: removing is tried until nothing is left of either.
        let removed = std::fs::remove_dir_all(folder).is_ok() || !folder.exists();
        if (left.is_empty() && removed) || begun.elapsed() > PATIENCE {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The processes with the mark of `folder`, without this one.
pub(super) fn marked(folder: &Path) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let me = rustix::process::getpid();
    let mark = [MARK.as_bytes(), b"=", folder.as_os_str().as_bytes()].concat();
    entries
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(|pid| *pid != me && carries(*pid, &mark))
        .collect()
}

fn carries(pid: Pid, mark: &[u8]) -> bool {
    let path = format!("/proc/{}/environ", pid.as_raw_nonzero());
    std::fs::read(OsStr::new(&path)).is_ok_and(|variables| {
        variables
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn ends_what_carries_the_mark_and_nothing_else() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sleeps = |folder: &Path| Command::new("sleep").arg("60").env(MARK, folder).spawn().unwrap();
        let (mut marked_one, mut bystander) = (sleeps(ours.path()), sleeps(other.path()));
        sweep(ours.path());
        assert!(!ours.path().exists() && other.path().exists());
        // Ended by us: no need to wait the minute.
        assert!(!marked_one.wait().unwrap().success());
        assert!(bystander.try_wait().unwrap().is_none());
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }
}

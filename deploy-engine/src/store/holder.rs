//! Which process keeps a state locked, as the kernel tells it: so that somebody who waits in vain learns for whom.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The byte of the log's index that a writer locks: `WAL_WRITE_LOCK` of SQLite's file format, section "WAL-Index Locking".
const WRITER: u64 = 120;

/// A process that is in the middle of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its program's name.
    pub program: String,
    /// Whether it is stopped (Ctrl-Z, SIGSTOP, a debugger), so that waiting for it does not help.
    pub stopped: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stopped = if self.stopped { ", which is stopped" } else { "" };
        write!(f, "{} (pid {}){stopped}", self.program, self.pid)
    }
}

impl Holder {
    /// Who writes to a state at this moment; `None` if nobody does, or it cannot be told from here (no `/proc`, another
    /// process-id namespace).
    pub fn of(state: &Path) -> Option<Self> {
        let mut index = state.as_os_str().to_owned();
        index.push("-shm");
        let index = fs::metadata(index).ok()?;
        let locks = fs::read_to_string("/proc/locks").ok()?;
        let pid = writer(&locks, index.dev(), index.ino())?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let program = stat.split_once('(')?.1.rsplit_once(')')?.0.to_owned();
        let stopped = matches!(super::process::parse_stat(&stat)?.0, 'T' | 't');
        Some(Self {
            pid,
            program,
            stopped,
        })
    }
}

/// The process that holds the writer's byte of this file. A line, as `proc_locks(5)` has it:
/// `1: POSIX  ADVISORY  WRITE 32361 fe:00:5693492 120 120`. One that waits has `->` before its kind.
fn writer(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [_, "POSIX" | "OFDLCK", _, "WRITE", pid, at, from, to] = fields[..] else {
            return None;
        };
        let within = from.parse::<u64>().ok()? <= WRITER && to.parse::<u64>().map_or(true, |to| WRITER <= to);
        (at == file && within).then(|| pid.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_is_found_among_readers_waiters_and_other_files() {
        let locks = "\
1: FLOCK  ADVISORY  WRITE 1 fe:00:77 0 EOF
2: POSIX  ADVISORY  READ 2 fe:00:77 124 124
3: POSIX  ADVISORY  WRITE 3 fe:00:78 120 120
4: POSIX  ADVISORY  WRITE 4 fe:00:77 123 123
5: POSIX  ADVISORY  WRITE 5 fe:00:77 120 120
5: -> POSIX  ADVISORY  WRITE 6 fe:00:77 120 120
";
        assert_eq!(writer(locks, rustix::fs::makedev(0xfe, 0), 77), Some(5));
        assert_eq!(writer(locks, rustix::fs::makedev(0xfe, 0), 79), None);
        let all = "1: POSIX  ADVISORY  WRITE 9 fe:00:77 0 EOF\n";
        assert_eq!(writer(all, rustix::fs::makedev(0xfe, 0), 77), Some(9));
    }
}

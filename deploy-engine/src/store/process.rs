//! Which process holds a lease, and whether it is still there. An answer is given only about processes that this one can see:
//! of the same boot of the same kernel and in the same process-id namespace. About all others nothing is known.

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A process, told apart from any other that ever had its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// Its machine's name, for people.
    pub host: String,
    /// Its id.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot.
    pub started: Option<u64>,
    /// This boot of this kernel, and the namespaces in which `pid` and `started` mean something; `None` where the system
    /// does not tell.
    pub scope: Option<String>,
}

/// What is known about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It does not exist any more.
    Gone,
    /// It exists and could act at any moment.
    Runs,
    /// It is stopped, or cannot be seen from here.
    Unknown,
}

fn line(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// State letter and start time out of `/proc/PID/stat`. The program's name in it may hold anything, so count from its end.
pub(super) fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn scope() -> Option<String> {
    let boot = line("/proc/sys/kernel/random/boot_id")?;
    let pids = fs::read_link("/proc/self/ns/pid").ok()?;
    let time = fs::read_link("/proc/self/ns/time").unwrap_or_default();
    Some(format!("{boot} {} {}", pids.display(), time.display()))
}

impl Process {
    /// This one.
    pub(super) fn me() -> Self {
        Self {
            host: line("/proc/sys/kernel/hostname").unwrap_or_else(|| "unknown".to_owned()),
            pid: std::process::id(),
            started: line("/proc/self/stat").and_then(|stat| Some(parse_stat(&stat)?.1)),
            scope: scope(),
        }
    }

    /// What is known about it, seen from `me`.
    pub(super) fn life(&self, me: &Process) -> Life {
        let (Some(scope), Some(started)) = (&self.scope, self.started) else {
            return Life::Unknown;
        };
        if me.scope.as_ref() != Some(scope) {
            return Life::Unknown;
        }
        let stat = match fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => stat,
            // Anything but "no such process" is our own trouble (no file descriptors left, /proc hidden from us) and no
            // evidence; that we can see ourselves tells a hidden /proc from a missing process.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && Path::new("/proc/1").exists() => {
                return Life::Gone;
            }
            Err(_) => return Life::Unknown,
        };
        match parse_stat(&stat) {
            Some((_, other)) if other != started => Life::Gone,
            Some(('Z' | 'X' | 'x', _)) => Life::Gone,
            Some(('T' | 't', _)) | None => Life::Unknown,
            Some(_) => Life::Runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_name_of_a_program_cannot_forge_its_state() {
        let stat = "7 (a) Z 1 (b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(parse_stat(stat), Some(('S', 4711)));
        assert_eq!(parse_stat("7 (a"), None);
    }

    #[test]
    fn life_is_known_of_visible_processes_only() {
        let me = Process::me();
        assert_eq!(me.life(&me), Life::Runs);
        let elsewhere = Process {
            scope: Some("another boot".to_owned()),
            ..me.clone()
        };
        assert_eq!(elsewhere.life(&me), Life::Unknown);
        let reused = Process {
            started: me.started.map(|ticks| ticks + 1),
            ..me.clone()
        };
        assert_eq!(reused.life(&me), Life::Gone);

        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let started = parse_stat(&fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap())
            .unwrap()
            .1;
        let other = Process {
            pid: child.id(),
            started: Some(started),
            ..me.clone()
        };
        assert_eq!(other.life(&me), Life::Runs);
        child.kill().unwrap();
        // Not waited for yet: a zombie until then, and gone already.
        let mut looks = 0;
        while other.life(&me) != Life::Gone {
            looks += 1;
            assert!(looks < 1000, "never seen to be gone");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.wait().unwrap();
        assert_eq!(other.life(&me), Life::Gone);
    }
}

//! What `deploy doctor` says of a host: reach, rights, room, clock, tools and the restart command, each with its fix. Changes nothing.

mod proxy;
mod restart;

pub(crate) use restart::after_sudo;

use crate::config::Proxy;
use crate::host::{DOCTOR, Host, Request};
use crate::transport::Reply;
use crate::words;
use deploy_core::command::Command;
use deploy_core::failure::printable;
use deploy_core::id::HostName;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LIMIT: Duration = Duration::from_secs(30);
/// Below this, in KiB, most releases do not fit.
const LITTLE_ROOM: u64 = 256 * 1024;
const FEW_INODES: u64 = 10_000;
/// A clock this far off confuses certificates and logs.
const SKEW: Duration = Duration::from_secs(30);

/// One thing that was looked at on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Where.
    pub host: HostName,
    /// What: `reach`, `rights`, `room`, `clock`, `tools`, `restart` or `proxy`.
    pub name: &'static str,
    /// How it is.
    pub state: CheckState,
    /// What was found.
    pub detail: String,
}

impl Check {
    /// Whether it is the same for every service on the host.
    pub fn is_of_host(&self) -> bool {
        matches!(self.name, "reach" | "clock" | "tools")
    }
}

/// How a thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckState {
    /// As it should be.
    Well,
    /// It works so far; this would be better.
    Warning {
        /// What to do.
        fix: String,
    },
    /// A deployment would fail.
    Bad {
        /// What to do.
        fix: String,
    },
}

/// Looks at one host. `restart`: the command that a deployment would run there; `proxy`: what would lead requests to it.
pub(crate) async fn look(host: &Host, restart: Option<&Command>, proxy: Option<&Proxy>) -> Vec<Check> {
    let asked = SystemTime::now();
    let program = restart.map(restart::program);
    let (program, sudo) = program.unwrap_or_default();
    let request = Request::new(LIMIT)
        .arg(program.as_deref().unwrap_or_default())
        .arg(words::list(sudo.unwrap_or_default()));
    let reply = match host.run(DOCTOR, request).await {
        Ok(reply) => reply,
        Err(error) => {
            let fix = error.failure.next.clone();
            let message = error.failure.message.clone();
            return vec![check(host, "reach", CheckState::Bad { fix }, message)];
        }
    };
    let took = asked.elapsed().unwrap_or_default();
    let user = reply.word("user").unwrap_or("somebody");
    let reach = format!("as {user}, in {} ms", took.as_millis());
    let mut checks = vec![check(host, "reach", CheckState::Well, reach)];
    checks.extend(rights(host, &reply, user));
    checks.extend(Room::read(&reply).map(|room| room.check(host)));
    checks.extend(clock(host, &reply, asked, took));
    checks.extend(tools(host, &reply));
    checks.extend(restart_found(host, &reply, program.as_deref(), user));
    if let Some(proxy) = proxy {
        checks.extend(proxy::look(host, proxy, user).await);
    }
    checks
}

fn check(host: &Host, name: &'static str, state: CheckState, detail: String) -> Check {
    Check {
        host: host.binding.name.clone(),
        name,
        state,
        detail,
    }
}

fn rights(host: &Host, reply: &Reply, user: &str) -> Vec<Check> {
    let one = |words: &[String]| {
        let (may, path) = words.split_first()?;
        let path = path.join(" ");
        Some(if may == "yes" {
            check(host, "rights", CheckState::Well, format!("{path} may be written"))
        } else {
            let fix = format!("on the host: chown {user} {path}");
            let detail = format!("{path} may not be written");
            check(host, "rights", CheckState::Bad { fix }, detail)
        })
    };
    reply.all("rights").filter_map(one).collect()
}

/// Room where a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    kib: u64,
    /// Where the file system has a fixed number of them.
    inodes: Option<u64>,
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.kib < 10 * 1024 {
            write!(f, "{} KiB", self.kib)?;
        } else {
            write!(f, "{} MiB", self.kib / 1024)?;
        }
        match self.inodes {
            Some(inodes) => write!(f, " and {inodes} inodes free"),
            None => f.write_str(" free"),
        }
    }
}

impl Room {
    fn read(reply: &Reply) -> Option<Self> {
        let inodes = number(reply, "inodes").filter(|inodes| *inodes > 0);
        // Some file systems have no fixed number of them and say 0 always.
        Some(Self {
            kib: number(reply, "free")?,
            inodes,
        })
    }

    fn check(self, host: &Host) -> Check {
        let few = self.inodes.is_some_and(|inodes| inodes < FEW_INODES);
        let state = if self.kib < LITTLE_ROOM || few {
            let what = if few { "remove small files" } else { "free space" };
            let fix = format!("{what} there, or lower `keep`");
            CheckState::Warning { fix }
        } else {
            CheckState::Well
        };
        check(host, "room", state, self.to_string())
    }
}

/// How much room a host has where the path is; `None` if it does not tell.
pub(crate) async fn room(host: &Host) -> Option<Room> {
    let request = Request::new(LIMIT).arg("").arg("");
    let reply = host.run(DOCTOR, request).await.ok()?;
    Room::read(&reply)
}

fn number(reply: &Reply, name: &str) -> Option<u64> {
    reply.word(name)?.parse().ok()
}

fn clock(host: &Host, reply: &Reply, asked: SystemTime, took: Duration) -> Option<Check> {
    let there = UNIX_EPOCH + Duration::from_secs(number(reply, "clock")?);
    let (off, which) = match there.duration_since(asked) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    // Whole seconds are told, and the answer took its time.
    let detail = match off.saturating_sub(took + Duration::from_secs(1)).as_secs() {
        0 => "as ours".to_owned(),
        _ => format!("{} s {which} ours", off.as_secs()),
    };
    let state = if off > SKEW + took {
        let fix = "on the host: turn on time synchronisation (timedatectl set-ntp true)".to_owned();
        CheckState::Warning { fix }
    } else {
        CheckState::Well
    };
    Some(check(host, "clock", state, detail))
}

fn tools(host: &Host, reply: &Reply) -> Vec<Check> {
    let missing: Vec<_> = reply
        .all("missing")
        .filter_map(|words| Some((words.first()?, words.get(1)?)))
        .map(|(tool, package)| {
            let fix = format!("on the host: apt-get install {package}");
            check(host, "tools", CheckState::Bad { fix }, format!("no `{tool}`"))
        })
        .collect();
    if missing.is_empty() {
        vec![check(host, "tools", CheckState::Well, "all there".to_owned())]
    } else {
        missing
    }
}

fn restart_found(host: &Host, reply: &Reply, program: Option<&str>, user: &str) -> Option<Check> {
    let program = printable(program?, 100);
    let (state, detail) = match (reply.word("restart")?, reply.word("sudo")) {
        ("yes", Some("no")) => {
            let fix = format!("on the host, with visudo: {user} ALL=(root) NOPASSWD: and the whole command");
            let detail = format!("sudo does not let {user} run the restart command without a password");
            (CheckState::Bad { fix }, detail)
        }
        ("yes", _) => (CheckState::Well, format!("`{program}` is there")),
        _ => {
            let fix = "install it there, or correct `restart` in the manifest".to_owned();
            let detail = format!("there is no `{program}`, which the restart command begins with");
            (CheckState::Bad { fix }, detail)
        }
    };
    Some(check(host, "restart", state, detail))
}

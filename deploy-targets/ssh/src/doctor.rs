//! What `deploy doctor` says of a host: reach, rights, room, clock and tools, each with its fix. Changes nothing.

use crate::host::{DOCTOR, Host, Request};
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
    /// What: `reach`, `rights`, `room`, `clock` or `tools`.
    pub name: &'static str,
    /// How it is.
    pub state: CheckState,
    /// What was found.
    pub detail: String,
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

/// Looks at one host.
pub(crate) async fn look(host: &Host) -> Vec<Check> {
    let check = |name, state, detail: String| Check {
        host: host.binding.name.clone(),
        name,
        state,
        detail,
    };
    let asked = SystemTime::now();
    let reply = match host.run(DOCTOR, Request::new(LIMIT)).await {
        Ok(reply) => reply,
        Err(error) => {
            let fix = error.failure.next.clone();
            return vec![check(
                "reach",
                CheckState::Bad { fix },
                error.failure.message.clone(),
            )];
        }
    };
    let took = asked.elapsed().unwrap_or_default();
    let user = reply.word("user").unwrap_or("somebody");
    let mut checks = vec![check(
        "reach",
        CheckState::Well,
        format!("as {user}, in {} ms", took.as_millis()),
    )];
    checks.extend(reply.all("rights").filter_map(|words| {
        let (may, path) = words.split_first()?;
        let path = path.join(" ");
        Some(if may == "yes" {
            check("rights", CheckState::Well, format!("{path} may be written"))
        } else {
            let fix = format!("on the host: chown {user} {path}");
            check(
                "rights",
                CheckState::Bad { fix },
                format!("{path} may not be written"),
            )
        })
    }));
    let number = |name| reply.word(name).and_then(|text| text.parse::<u64>().ok());
    if let Some(free) = number("free") {
        let detail = format!("{} MiB free", free / 1024);
        let state = if free < LITTLE_ROOM {
            let fix = "free space there, or lower `keep`".to_owned();
            CheckState::Warning { fix }
        } else {
            CheckState::Well
        };
        checks.push(check("room", state, detail));
    }
    // Some file systems have no fixed number of them and say 0.
    if let Some(inodes) = number("inodes").filter(|inodes| (1..FEW_INODES).contains(inodes)) {
        let fix = "remove small files there, or lower `keep`".to_owned();
        checks.push(check(
            "room",
            CheckState::Warning { fix },
            format!("{inodes} inodes free"),
        ));
    }
    if let Some(there) = number("clock") {
        let there = UNIX_EPOCH + Duration::from_secs(there);
        let off = there
            .duration_since(asked)
            .unwrap_or_else(|earlier| earlier.duration());
        let state = if off > SKEW + took {
            let fix = "on the host: turn on time synchronisation (timedatectl set-ntp true)".to_owned();
            CheckState::Warning { fix }
        } else {
            CheckState::Well
        };
        checks.push(check(
            "clock",
            state,
            format!("within {} s of ours", off.as_secs().max(1)),
        ));
    }
    let missing: Vec<_> = reply
        .all("missing")
        .filter_map(|words| Some((words.first()?, words.get(1)?)))
        .collect();
    if missing.is_empty() {
        checks.push(check("tools", CheckState::Well, "all there".to_owned()));
    }
    for (tool, package) in missing {
        let fix = format!("on the host: apt-get install {package}");
        checks.push(check("tools", CheckState::Bad { fix }, format!("no `{tool}`")));
    }
    checks
}

//! Points at which a test may kill this process, as a power loss would: no destructor runs, nothing is flushed.
//!
//! Compiled into every build, so that what is tested is what is shipped; without the two variables a hit is one atomic load.
//! `DEPLOY_FAILPOINT=name:nth` kills at the nth hit of `name` (the first, without `:nth`). `DEPLOY_FAILPOINT_LOG=FILE` appends
//! the name of every hit, so that a sweep can enumerate the points of a run. Each part of the engine lists its own points.

use std::fs::File;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Variable that arms one point.
pub const ARM: &str = "DEPLOY_FAILPOINT";
/// Variable that names the log of hits.
pub const LOG: &str = "DEPLOY_FAILPOINT_LOG";

struct Armed {
    name: String,
    left: AtomicU32,
}

#[derive(Default)]
struct Setup {
    armed: Option<Armed>,
    log: Option<File>,
}

static SETUP: OnceLock<Option<Setup>> = OnceLock::new();

/// Reads the variables. A log that cannot be opened is reported by being absent: the sweep that asked for it fails.
fn setup() -> Option<Setup> {
    let armed = std::env::var(ARM).ok().map(|text| parse(&text));
    let log =
        std::env::var_os(LOG).and_then(|path| File::options().append(true).create(true).open(path).ok());
    (armed.is_some() || log.is_some()).then_some(Setup { armed, log })
}

fn parse(text: &str) -> Armed {
    let (name, nth) = match text.rsplit_once(':').map(|(name, nth)| (name, nth.parse())) {
        Some((name, Ok(nth))) => (name, nth),
        _ => (text, 1),
    };
    Armed {
        name: name.to_owned(),
        left: AtomicU32::new(nth),
    }
}

/// Passes the point `name`; does not return if this is the hit that was asked for.
pub fn hit(name: &'static str) {
    let Some(setup) = SETUP.get_or_init(setup) else {
        return;
    };
    if let Some(log) = &setup.log {
        // One write of one short line to a file opened for appending: lines of several processes do not mix.
        let _ = (&*log).write_all(format!("{name}\n").as_bytes());
    }
    if let Some(armed) = &setup.armed
        && armed.name == name
        && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        die();
    }
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // SIGKILL cannot be caught; where sending it to oneself is forbidden, aborting comes closest.
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_or_without_its_turn() {
        for (text, name, nth) in [
            ("store.append.before", "store.append.before", 1),
            ("store.append.before:3", "store.append.before", 3),
            ("a:b", "a:b", 1),
        ] {
            let armed = parse(text);
            assert_eq!((armed.name.as_str(), armed.left.into_inner()), (name, nth));
        }
    }
}

//! What goes on before there is a deployment to tell of: artifacts are built, checks run, hosts looked at. Said only where it takes its
//! time, and again after a while. Time comes in with every call.

use super::pulse::SILENCE;
use deploy_core::failure::printable;
use deploy_core::time::{Timestamp, format_duration};
use deploy_engine::api::Before;
use serde::Serialize;
use std::time::Duration;

/// What takes no longer is not worth a line.
const SOON: Duration = Duration::from_secs(2);

/// How much of a line that a command wrote is shown, in characters.
const LINE: usize = 100;

/// How many hosts are named.
const NAMED: usize = 4;

/// What goes on, since when, and when that was said last.
#[derive(Debug, Default)]
pub(crate) struct Prelude {
    now: Option<(Before, Timestamp)>,
    said: Option<Timestamp>,
}

impl Prelude {
    /// This goes on now: the same as before, with another line, or something else.
    pub(crate) fn on(&mut self, before: Before, now: Timestamp) {
        let since = match &self.now {
            Some((known, since)) if same(known, &before) => *since,
            _ => {
                self.said = None;
                now
            }
        };
        self.now = Some((before, since));
    }

    /// It is over: there is something else to tell of.
    pub(crate) fn over(&mut self) {
        *self = Self::default();
    }

    /// What has to be said now, and since when it goes on.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<(&Before, Timestamp)> {
        let (before, since) = self.now.as_ref()?;
        let heard = match self.said {
            Some(said) => now.since(said) >= SILENCE,
            None => now.since(*since) >= SOON,
        };
        if !heard {
            return None;
        }
        self.said = Some(now);
        Some((before, *since))
    }
}

/// Whether it is the same thing, however far.
fn same(one: &Before, other: &Before) -> bool {
    match (one, other) {
        (Before::Builds { artifact, .. }, Before::Builds { artifact: other, .. }) => artifact == other,
        (Before::Checks { check, .. }, Before::Checks { check: other, .. }) => check == other,
        (Before::LooksAt { hosts }, Before::LooksAt { hosts: other }) => hosts == other,
        _ => false,
    }
}

/// For people: what, for how long, and what was heard of it last.
pub(crate) fn text(before: &Before, since: Timestamp, now: Timestamp) -> String {
    let (what, line) = match before {
        Before::Builds { artifact, line } => (format!("building {artifact}"), line.as_str()),
        Before::Checks { check, line } => (format!("running the check {check}"), line.as_str()),
        Before::LooksAt { hosts } => {
            let named: Vec<&str> = hosts.iter().take(NAMED).map(AsRef::as_ref).collect();
            let more = match hosts.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            (format!("looking at {}{more}", named.join(", ")), "")
        }
    };
    let seconds = Duration::from_secs(now.since(since).as_secs());
    let took = format_duration(seconds);
    match printable(line.trim(), LINE) {
        line if line.is_empty() => format!("{what} for {took}"),
        line => format!("{what} for {took}: {line}"),
    }
}

/// For programs: a line between events, of a type of its own.
pub(crate) fn object(before: &Before, now: Timestamp) -> impl Serialize + '_ {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        before: &'a Before,
        at: Timestamp,
    }
    Line { before, at: now }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builds(line: &str) -> Before {
        Before::Builds {
            artifact: "web".to_owned(),
            line: line.to_owned(),
        }
    }

    #[test]
    fn what_takes_its_time_is_said_and_again_after_a_while() {
        let start = Timestamp(1_000_000);
        let at = |seconds| start.after(Duration::from_secs(seconds));
        let mut prelude = Prelude::default();
        assert_eq!(prelude.due(at(0)), None);
        prelude.on(builds(""), at(0));
        assert_eq!(prelude.due(at(1)), None);
        prelude.on(builds("compiling"), at(1));
        assert_eq!(prelude.due(at(2)), Some((&builds("compiling"), at(0))));
        prelude.on(builds("linking"), at(3));
        assert_eq!(prelude.due(at(11)), None);
        assert_eq!(prelude.due(at(12)), Some((&builds("linking"), at(0))));
        prelude.on(Before::LooksAt { hosts: vec![] }, at(13));
        assert_eq!(prelude.due(at(14)), None);
        assert!(prelude.due(at(15)).is_some());
        prelude.over();
        assert_eq!(prelude.due(at(99)), None);
    }

    #[test]
    fn it_says_what_for_how_long_and_what_was_heard_last() {
        let now = Timestamp(0).after(Duration::from_millis(12_345));
        let text = |before: &Before| text(before, Timestamp(0), now);
        assert_eq!(text(&builds("")), "building web for 12s");
        assert_eq!(
            text(&builds("  npm \u{1b}[2Jci\n")),
            "building web for 12s: npm [2Jci"
        );
        let hosts = |count: usize| Before::LooksAt {
            hosts: (1..=count)
                .map(|number| format!("web-{number}").parse().expect("a name"))
                .collect(),
        };
        assert_eq!(text(&hosts(1)), "looking at web-1 for 12s");
        assert_eq!(
            text(&hosts(6)),
            "looking at web-1, web-2, web-3, web-4 and 2 more for 12s"
        );
        let line = serde_json::to_string(&object(&hosts(1), now)).expect("JSON");
        assert_eq!(
            line,
            r#"{"type":"looks_at","hosts":["web-1"],"at":"1970-01-01T00:00:12.345Z"}"#
        );
    }
}

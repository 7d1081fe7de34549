//! Health as values: what to look at ([`ProbeSpec`]), what one look saw ([`Look`]), and the fold of looks over a window ([`Window`]).
//! Pure: times come in as durations since the watch began. Looking itself is an adapter's work, behind [`crate::port::probe`].

mod vigil;
mod window;

pub use vigil::{Finding, Vigil, Watch};
pub use window::{Fault, Late, Pace, State, Window};

use crate::command::Command;
use crate::failure::{Code, printable};
use crate::port::target::HealthSeen;
use crate::time::{human, optional_human};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The longest excerpt of an answer that a reason carries, in characters.
pub const EXCERPT: usize = 300;

/// One probe of one slice, ready to be done: every `${…}` is expanded, so a secret may be in it. It is not for the journal, and
/// `Debug` shows its name and times only.
#[derive(Clone, PartialEq)]
pub struct ProbeSpec {
    /// Its name in the manifest: `ready`.
    pub name: String,
    /// What to do.
    pub kind: ProbeKind,
    /// Where to do it.
    pub from: Vantage,
    /// What a healthy answer is.
    pub expect: Expect,
    /// Which version must answer.
    pub version: Option<VersionCheck>,
    /// How long it must be healthy without a break. Zero: one pass is enough.
    pub healthy_for: Duration,
    /// Time limit of one look, all of it: name, connection, answer, last byte.
    pub timeout: Duration,
    /// From the start of one look to the start of the next.
    pub interval: Duration,
    /// Time limit of it all.
    pub deadline: Duration,
}

impl ProbeSpec {
    /// The times that its window goes by.
    pub const fn pace(&self) -> Pace {
        Pace {
            healthy_for: self.healthy_for,
            interval: self.interval,
            timeout: self.timeout,
            deadline: self.deadline,
        }
    }
}

impl fmt::Debug for ProbeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeSpec")
            .field("name", &self.name)
            .field("from", &self.from)
            .field("pace", &self.pace())
            .finish_non_exhaustive()
    }
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// One GET request; redirects are answers, not followed.
    Http {
        /// An `http` or `https` URL.
        url: String,
    },
    /// A connection that opens.
    Tcp {
        /// `host:port`, `[v6]:port`.
        addr: String,
    },
    /// A command whose exit status is judged, and its standard output as a body is.
    Command {
        /// What to run.
        line: Command,
        /// The folder to run it in.
        dir: Option<String>,
    },
}

/// Where a look is done from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vantage {
    /// This machine.
    Here,
    /// The host of the slice, through its connection.
    Host,
}

/// What a healthy answer is. Empty: any 2xx (a command: 0), and a body that does not say that something is wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// Any of these HTTP statuses, or exit statuses of a command; empty means 200 to 299, or 0.
    pub status: Vec<u16>,
    /// Values in a JSON body, by pointer (RFC 6901: `/metrics/instances/running`).
    pub json: BTreeMap<String, JsonRule>,
    /// A pattern that the body contains.
    pub body: Option<String>,
    /// The longest a look may take.
    pub latency: Option<Duration>,
}

/// What one value in a JSON body must be.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonRule {
    /// Equal to one of these. A number or a boolean equals a text that spells it.
    AnyOf(Vec<serde_json::Value>),
    /// A number within these bounds, both included. A text that begins with a number counts as that number: `"120MB"` is 120.
    Range {
        /// Not below.
        min: Option<f64>,
        /// Not above.
        max: Option<f64>,
    },
}

/// Which version must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionCheck {
    /// Where the answer says it.
    pub at: VersionAt,
    /// What it must say, exactly.
    pub equals: String,
}

/// Where an answer says its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionAt {
    /// In the JSON body, by pointer.
    Json(String),
    /// In a header of the HTTP answer.
    Header(String),
}

/// What one look saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Whether that is healthy.
    pub verdict: Verdict,
    /// How long it took.
    #[serde(with = "human")]
    pub latency: Duration,
    /// How long the service says that it has been running.
    #[serde(default, with = "optional_human", skip_serializing_if = "Option::is_none")]
    pub uptime: Option<Duration>,
    /// What is worth saying and changes no verdict: one sentence fragment each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Look {
    /// A look without findings.
    pub const fn new(verdict: Verdict, latency: Duration) -> Self {
        Self {
            verdict,
            latency,
            uptime: None,
            notes: Vec::new(),
        }
    }

    /// The finding that what answers was started before this release was switched to, `since_switch` ago: then it is an old process.
    /// Ten seconds are allowed for clocks and rounding.
    pub fn older_than_switch(&self, since_switch: Duration) -> Option<String> {
        let uptime = self.uptime?;
        (uptime > since_switch + Duration::from_secs(10)).then(|| {
            format!(
                "says it has been up for {} s, but was switched {} s ago: it may be an old process",
                uptime.as_secs(),
                since_switch.as_secs()
            )
        })
    }
}

/// The judgement of one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected.
    Healthy,
    /// It was reached and is not as expected. Also when nothing listens, or it does not answer in time, where a machine was reached.
    Unhealthy(Reason),
    /// It was not reached, which says nothing about it.
    Unreachable(Reason),
}

impl Verdict {
    /// Why it is not healthy.
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Healthy => None,
            Self::Unhealthy(reason) | Self::Unreachable(reason) => Some(reason),
        }
    }

    /// In the words that observations use: what could not be reached is unknown.
    pub const fn seen(&self) -> HealthSeen {
        match self {
            Self::Healthy => HealthSeen::Healthy,
            Self::Unhealthy(_) => HealthSeen::Unhealthy,
            Self::Unreachable(_) => HealthSeen::Unknown,
        }
    }
}

/// Why a look is not healthy, for people, safe to print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The kind of it.
    pub code: Code,
    /// One sentence fragment that counts can follow: `503, wanted 200`.
    pub what: String,
    /// The beginning of what it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Reason {
    /// A reason; control characters are removed and length is bounded here.
    pub fn new(code: Code, what: impl AsRef<str>) -> Self {
        Self {
            code,
            what: printable(what.as_ref(), EXCERPT),
            body: None,
        }
    }

    /// Adds the beginning of an answer, unless it is blank.
    #[must_use]
    pub fn with_body(mut self, body: &str) -> Self {
        let one_line = body.split_whitespace().collect::<Vec<_>>().join(" ");
        self.body = Some(printable(&one_line, EXCERPT)).filter(|body| !body.is_empty());
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_printable_line() {
        let reason = Reason::new(Code::Unhealthy, "503\u{1b}[2J\nfake")
            .with_body(&format!("a\n  b\r{}", "x".repeat(999)));
        assert_eq!(reason.what, "503[2Jfake");
        let body = reason.body.expect("not blank");
        assert!(body.starts_with("a b x"));
        assert_eq!(body.chars().count(), EXCERPT);
    }

    #[test]
    fn a_spec_shows_no_secret() {
        let spec = ProbeSpec {
            name: "ready".to_owned(),
            kind: ProbeKind::Http {
                url: "http://localhost:4000/health?key=hunter2".to_owned(),
            },
            from: Vantage::Host,
            expect: Expect {
                status: vec![200],
                json: [("/status".to_owned(), JsonRule::AnyOf(vec!["UP".into()]))].into(),
                latency: Some(Duration::from_millis(500)),
                ..Expect::default()
            },
            version: Some(VersionCheck {
                at: VersionAt::Json("/version".to_owned()),
                equals: "hunter2".to_owned(),
            }),
            healthy_for: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            interval: Duration::from_secs(1),
            deadline: Duration::from_mins(1),
        };
        let shown = format!("{spec:?}");
        assert!(shown.contains("ready") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn an_uptime_from_before_the_switch_is_a_finding() {
        let mut look = Look::new(Verdict::Healthy, Duration::ZERO);
        assert_eq!(look.older_than_switch(Duration::ZERO), None);
        look.uptime = Some(Duration::from_secs(84_001));
        assert!(look.older_than_switch(Duration::from_secs(84_001)).is_none());
        assert!(
            look.older_than_switch(Duration::from_secs(30))
                .is_some_and(|note| note.contains("84001 s"))
        );
    }
}

//! What a look at a host told, read into types.

use crate::error;
use crate::host::{Host, LOOK, Request};
use crate::inside;
use crate::transport::Reply;
use deploy_core::failure::printable;
use deploy_core::id::Fingerprint;
use deploy_core::model::ReleaseRef;
use deploy_core::port::target::{Held, Inside, Runs, TargetError};
use deploy_core::tree::Listing;
use std::sync::Arc;
use std::time::Duration;

/// How long a look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// One look at a host.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) runs: Runs,
    pub(crate) held: Option<Held>,
    /// A switch began whose restart has not ended.
    pub(crate) moving: Option<Moving>,
    /// How long until what is armed goes back; zero where it is due.
    pub(crate) armed: Option<Duration>,
    /// What the place did by itself under the claim in force.
    pub(crate) reverted: Option<Reverted>,
    /// How what runs differs from what was put there, and what is there besides.
    pub(crate) inside: Inside,
    /// The release that `current` names, if it is one of ours.
    pub(crate) at: Option<String>,
    pub(crate) kept: Vec<Kept>,
    /// The release whose listing was asked for, if it is there.
    pub(crate) base: Option<Arc<Base>>,
}

/// A switch that has not ended: it was cut short, or a command of it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moving {
    /// Which command failed and how, as people read it; `None` where nothing is known: it was cut short.
    pub(crate) stopped: Option<String>,
}

impl Moving {
    fn read(reply: &Reply) -> Option<Self> {
        reply.get("moving")?;
        let stopped = reply.get("stopped").and_then(|words| {
            let [step, status, log @ ..] = words else {
                return None;
            };
            let ended = error::ended(status);
            Some(match step.as_str() {
                "proxy" => format!("the proxy's reload {ended}"),
                "restart" => {
                    let log = printable(&log.join(" "), 300);
                    format!("the restart command {ended}; the end of its output is there in {log}")
                }
                _ => format!("a hook at `after` {ended}"),
            })
        });
        Some(Self { stopped })
    }

    /// Why it has not ended.
    pub(crate) fn why(&self, host: &str) -> String {
        match &self.stopped {
            Some(stopped) => format!("the switch on {host} did not end: {stopped}"),
            None => format!("the switch on {host} was cut short before its restart had ended"),
        }
    }
}

/// What a place did by itself, because nobody confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reverted {
    /// The host had started anew; else its time was over.
    pub(crate) by_a_start: bool,
    /// What came of it, as `script/revert.sh` calls it.
    pub(crate) ended: String,
}

impl Reverted {
    fn read(reply: &Reply) -> Option<Self> {
        let [why, ended] = reply.get("reverted")? else {
            return None;
        };
        Some(Self {
            by_a_start: why == "boot",
            ended: ended.clone(),
        })
    }

    fn said(&self, host: &str) -> String {
        let why = if self.by_a_start {
            "it started anew before it was confirmed"
        } else {
            "it was not confirmed in time"
        };
        let what = match self.ended.as_str() {
            "back" => "went back by itself",
            "stayed" => "was not switched yet, and was disarmed",
            "overtaken" => "did not go back by itself, for somebody else had changed it",
            "lost" => "could not go back by itself, for its checkpoint is gone or damaged",
            _ => "went back by itself, but that has not ended",
        };
        format!("{host} {what}: {why}")
    }
}

/// A complete release on the host.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) id: String,
    /// The releases it is, first the one it was sent for.
    pub(crate) refs: Vec<ReleaseRef>,
}

/// What is known of a release's content: for one id always the same.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) id: String,
    pub(crate) listing: Listing,
    /// What its hooks were.
    pub(crate) hooks: Vec<u8>,
}

/// How closely a look compares what runs with what was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// By size, mode and time of change; only what differs there is read.
    Quick,
    /// The same, and what is there besides is listed.
    Close,
}

/// Looks. `wanted` names the release whose listing is to come along: `current`, an id, or none.
pub(crate) async fn look(host: &Host, wanted: &str) -> Result<Seen, TargetError> {
    look_into(host, wanted, Depth::Quick, LOOK_LIMIT).await
}

/// The same, as closely as is said.
pub(crate) async fn look_into(
    host: &Host,
    wanted: &str,
    depth: Depth,
    limit: Duration,
) -> Result<Seen, TargetError> {
    let depth = match depth {
        Depth::Quick => "quick",
        Depth::Close => "close",
    };
    let reply = host.run(LOOK, Request::new(limit).arg(wanted).arg(depth)).await?;
    Ok(read(&reply))
}

/// What a step told that ends with a look; `None` where it ended before that.
pub(crate) fn answered(reply: &Reply) -> Option<Seen> {
    reply.get("layout")?;
    Some(read(reply))
}

/// A reference as a release's folder has it.
pub(crate) fn reference(words: &[String]) -> Option<ReleaseRef> {
    Some(ReleaseRef {
        digest: words.first()?.parse().ok()?,
        number: words.get(1)?.parse().ok()?,
    })
}

/// A fingerprint as a step said it, with the release it is.
pub(crate) fn runs(fingerprint: Option<&str>, release: Option<ReleaseRef>) -> Runs {
    match fingerprint.and_then(|text| Fingerprint::new(text).ok()) {
        Some(fingerprint) => Runs::Release { fingerprint, release },
        None => Runs::Nothing,
    }
}

/// The fingerprint as steps take it; empty for nothing.
pub(crate) fn fingerprint(runs: &Runs) -> &str {
    match runs {
        Runs::Nothing => "",
        Runs::Release { fingerprint, .. } => fingerprint.as_str(),
    }
}

fn read(reply: &Reply) -> Seen {
    let mut kept: Vec<Kept> = Vec::new();
    for record in &reply.records {
        match record[0].as_str() {
            "release" if record.len() == 2 => kept.push(Kept {
                id: record[1].clone(),
                refs: Vec::new(),
            }),
            "ref" => {
                if let (Some(last), Some(reference)) = (kept.last_mut(), reference(&record[1..])) {
                    last.refs.push(reference);
                }
            }
            _ => {}
        }
    }
    let told = reply.word("runs");
    let release = kept
        .iter()
        .find(|kept| Some(kept.id.as_str()) == told)
        .and_then(|kept| kept.refs.first().copied());
    let base = reply.word("base").and_then(|id| {
        Some(Arc::new(Base {
            id: id.to_owned(),
            listing: Listing::parse(reply.files.get("listing")?)?,
            hooks: reply.files.get("hooks").cloned().unwrap_or_default(),
        }))
    });
    Seen {
        runs: runs(told, release),
        held: error::holder(reply),
        moving: Moving::read(reply),
        armed: reply
            .word("armed")
            .and_then(|left| left.parse().ok())
            .map(Duration::from_secs),
        reverted: Reverted::read(reply),
        inside: Inside {
            edited: inside::edited(reply),
            besides: inside::besides(reply),
            left: inside::left(reply),
            at: inside::at(reply),
            unfinished: None,
        },
        at: reply.word("at").map(str::to_owned),
        kept,
        base,
    }
}

impl Seen {
    /// What of its last move is not as its deployment left it, if anything.
    pub(crate) fn unfinished(&self, host: &str) -> Option<String> {
        let said = [
            self.reverted.as_ref().map(|reverted| reverted.said(host)),
            self.moving.as_ref().map(|moving| moving.why(host)),
        ];
        let said: Vec<_> = said.into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// The releases that can be gone back to without sending anything, newest first by their numbers.
    pub(crate) fn kept_refs(&self) -> Vec<ReleaseRef> {
        let mut refs: Vec<_> = self
            .kept
            .iter()
            .flat_map(|kept| kept.refs.iter().copied())
            .collect();
        refs.sort_by_key(|reference| std::cmp::Reverse(reference.number));
        refs.dedup();
        refs
    }

    /// Whether that release is there, whole.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.kept.iter().any(|kept| kept.id == id)
    }
}

//! What is known about the whole project: its releases and what bars them, and evidence that holds in every environment.

use super::evidence::{Ledger, Revoked};
use crate::digest::Digest;
use crate::event::{Event, EventKind};
use crate::id::{Actor, ProjectName, ReleaseNumber, Seq, StoreId};
use crate::model::{Release, ReleaseRef};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A fold over the project's stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectView {
    /// The id of the state, once it was made.
    pub store: Option<StoreId>,
    /// The project that the state belongs to.
    pub project: Option<ProjectName>,
    /// All releases, by number.
    pub releases: BTreeMap<ReleaseNumber, Known>,
    /// Evidence that holds everywhere.
    pub evidence: Ledger,
    /// The last event of the stream; 0 if there is none.
    pub last: Seq,
    /// The latest time that any of its events has.
    latest: Option<Timestamp>,
    digests: BTreeMap<Digest, ReleaseNumber>,
}

/// A release and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The release, with all the commits that came to the same content.
    pub release: Release,
    /// When it was made.
    pub made_at: Timestamp,
    /// Where the log says that it was made.
    pub made: Seq,
    /// Where the log last says that a commit came to this content: a revert makes an old release new again.
    pub renewed: Seq,
    /// Why it is barred, if it is.
    pub yanked: Option<Yank>,
}

/// A barred release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yank {
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// Why a text does not name one release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchRelease {
    /// Several fit.
    #[error("`{}` fits several releases: {}", .text.escape_debug(), .fits.join(", "))]
    Ambiguous {
        /// As given.
        text: String,
        /// Those that fit: `v41 3f9ac1e`.
        fits: Vec<String>,
    },
    /// None fits.
    #[error("no release is `{}`; there {}", .text.escape_debug(), there_is(.newest))]
    NotFound {
        /// As given.
        text: String,
        /// The newest that there are: `v41 3f9ac1e`.
        newest: Vec<String>,
    },
}

fn there_is(newest: &[String]) -> String {
    if newest.is_empty() {
        "is none yet: `deploy up` makes one".to_owned()
    } else {
        format!("is {}", newest.join(", "))
    }
}

impl ProjectView {
    /// Folds the project's stream from its first event.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut view = Self::default();
        for event in events {
            view.apply(event);
        }
        view
    }

    /// Takes one more event.
    pub fn apply(&mut self, event: &Event) {
        self.last = event.seq;
        let at = self.latest.map_or(event.at, |latest| latest.max(event.at));
        self.latest = Some(at);
        match &event.kind {
            EventKind::StateCreated { store, project } => {
                self.store = Some(store.clone());
                self.project = Some(project.clone());
            }
            EventKind::ReleaseMade { release } => {
                self.digests.insert(release.digest(), release.number);
                self.releases.insert(
                    release.number,
                    Known {
                        release: (**release).clone(),
                        made_at: event.at,
                        made: event.seq,
                        renewed: event.seq,
                        yanked: None,
                    },
                );
            }
            EventKind::SourceAdded {
                release,
                source,
                version,
            } => {
                if let Some(known) = self.releases.get_mut(release) {
                    if !known
                        .release
                        .sources
                        .iter()
                        .any(|old| old.commit == source.commit)
                    {
                        known.release.sources.push(source.clone());
                    }
                    known.release.version = version.clone().or_else(|| known.release.version.take());
                    known.renewed = event.seq;
                }
            }
            EventKind::Yanked { release, reason } => {
                if let Some(known) = self.releases.get_mut(&release.number) {
                    known.yanked = Some(Yank {
                        reason: reason.clone(),
                        by: event.actor.clone(),
                        at: event.at,
                    });
                }
            }
            EventKind::Unyanked { release } => {
                if let Some(known) = self.releases.get_mut(&release.number) {
                    known.yanked = None;
                }
            }
            EventKind::EvidenceGiven { evidence } => self.evidence.give(event, at, evidence),
            EventKind::EvidenceRevoked {
                name,
                release,
                reason,
            } => self.evidence.revoke(
                name,
                Revoked {
                    seq: event.seq,
                    at,
                    release: release.digest,
                    reason: reason.clone(),
                },
            ),
            _ => {}
        }
    }

    /// A release by number.
    pub fn release(&self, number: ReleaseNumber) -> Option<&Release> {
        self.releases.get(&number).map(|known| &known.release)
    }

    /// A release by digest.
    pub fn by_digest(&self, digest: Digest) -> Option<&Release> {
        self.release(*self.digests.get(&digest)?)
    }

    /// The newest release made from a commit.
    pub fn by_commit(&self, commit: &crate::id::CommitId) -> Option<&Release> {
        self.newest_first()
            .map(|known| &known.release)
            .find(|release| release.sources.iter().any(|source| source.commit == *commit))
    }

    /// Why a release is barred, if it is.
    pub fn yanked(&self, release: ReleaseRef) -> Option<&Yank> {
        self.releases.get(&release.number)?.yanked.as_ref()
    }

    /// All releases, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Known> {
        self.releases.values().rev()
    }

    /// The number that the next release gets.
    pub fn next_number(&self) -> ReleaseNumber {
        ReleaseNumber(self.releases.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    /// The release that a text names: `v41`, a version (git tag), a commit or a digest, or the beginning of either (at least four
    /// digits). `sha256:` before it says that it is a digest.
    ///
    /// # Errors
    /// [`NoSuchRelease`] with what there is.
    pub fn resolve(&self, text: &str) -> Result<&Release, NoSuchRelease> {
        let text = text.trim();
        let exact = text
            .parse::<ReleaseNumber>()
            .ok()
            .and_then(|number| self.release(number))
            .or_else(|| text.parse().ok().and_then(|digest| self.by_digest(digest)));
        if let Some(release) = exact {
            return Ok(release);
        }
        let versions = self.fitting(|release| release.version.as_deref() == Some(text));
        let (digits, of_commits) = text
            .strip_prefix("sha256:")
            .map_or((text, true), |digits| (digits, false));
        let hex = digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = if versions.is_empty() && hex {
            let prefix = digits.to_ascii_lowercase();
            self.fitting(|release| {
                let mut commits = release.sources.iter().map(|source| source.commit.as_str());
                of_commits && commits.any(|commit| commit.starts_with(&prefix))
                    || release.digest().to_string().starts_with(&prefix)
            })
        } else {
            versions
        };
        match fits.as_slice() {
            [one] => Ok(one),
            [] => Err(NoSuchRelease::NotFound {
                text: text.to_owned(),
                newest: self
                    .newest_first()
                    .take(5)
                    .map(|known| label(&known.release))
                    .collect(),
            }),
            many => Err(NoSuchRelease::Ambiguous {
                text: text.to_owned(),
                fits: many.iter().map(|release| label(release)).collect(),
            }),
        }
    }

    fn fitting(&self, fits: impl Fn(&Release) -> bool) -> Vec<&Release> {
        self.newest_first()
            .map(|known| &known.release)
            .filter(|release| fits(release))
            .collect()
    }
}

/// A release as people read it: `v41 3f9ac1e`, or `v41` where no commit is known.
pub fn label(release: &Release) -> String {
    match release.commit() {
        Some(commit) => format!("{} {}", release.number, commit.short()),
        None => release.number.to_string(),
    }
}

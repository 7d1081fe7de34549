//! Releases: immutable, content-addressed, with one artifact or `absent` for every service, and nothing of any one environment.
//! The digest is computed here, never passed in.

use crate::digest::Digest;
use crate::id::{CommitId, ReleaseNumber, ServiceName};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a service is in a release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Entry {
    /// Never deployed in what this release was made from (a partial release). Absent is not verified.
    Absent,
    /// Configured, and not made: the program that made the release has no such kind of target. What has such an entry cannot go
    /// forward into an environment where the service is enabled; it is never taken for [`Self::Absent`].
    NotMade,
    /// An artifact.
    Artifact(ArtifactRef),
}

/// An immutable thing by digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "artifact")]
pub enum ArtifactRef {
    /// A tree of files; the digest is that of its listing ([`crate::tree::Listing`]).
    Tree {
        /// Digest of the listing.
        digest: Digest,
    },
    /// A container image.
    Image {
        /// Where it can be pulled from, with its digest or, said out loud, a bare tag.
        reference: String,
        /// The digest of what was resolved.
        digest: Digest,
    },
    /// A disk image.
    Disk {
        /// Digest of the image.
        digest: Digest,
    },
    /// A set of migrations or unrendered manifests: a tree that a target interprets.
    Set {
        /// Digest of the listing.
        digest: Digest,
    },
}

impl ArtifactRef {
    /// The digest of the content.
    pub const fn digest(&self) -> Digest {
        match self {
            Self::Tree { digest }
            | Self::Image { digest, .. }
            | Self::Disk { digest }
            | Self::Set { digest } => *digest,
        }
    }
}

/// A commit that a release came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The commit.
    pub commit: CommitId,
    /// The branch it was made on, if known.
    pub branch: Option<String>,
    /// First line of the commit's message.
    pub subject: String,
    /// Who wrote it: may not approve where `not_author` holds.
    pub author: String,
    /// Who committed it; the same rule holds.
    pub committer: String,
    /// When it was committed.
    pub committed_at: Timestamp,
}

/// One release of the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number in this project, as the journal gave it.
    pub number: ReleaseNumber,
    /// What each service is.
    pub entries: BTreeMap<ServiceName, Entry>,
    /// Digest of the project's own configuration files (manifest, env files, scripts) of all environments.
    pub files: Digest,
    /// The commits with exactly this content, first the one it was made from: a merge commit with the same inputs is the same
    /// release with a further provenance.
    pub sources: Vec<Source>,
    /// The git tag, if the commit has one.
    pub version: Option<String>,
    /// Made by `deploy dev` from a work tree: never promotable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub development: bool,
}

impl Release {
    /// The digest: of the entries and the configuration files, not of provenance.
    pub fn digest(&self) -> Digest {
        Digest::of_json(&("deploy.release/1", &self.entries, self.files, self.development))
    }

    /// Digest and number.
    pub fn to_ref(&self) -> ReleaseRef {
        ReleaseRef {
            digest: self.digest(),
            number: self.number,
        }
    }

    /// The commit it was made from first.
    pub fn commit(&self) -> Option<&CommitId> {
        self.sources.first().map(|source| &source.commit)
    }

    /// The people who may not approve it where `not_author` holds.
    pub fn authors(&self) -> BTreeSet<&str> {
        self.sources
            .iter()
            .flat_map(|source| [source.author.as_str(), source.committer.as_str()])
            .collect()
    }
}

/// A release, named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// What identifies it.
    pub digest: Digest,
    /// What people call it.
    pub number: ReleaseNumber,
}

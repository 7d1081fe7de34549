//! The phase of a deployment: a word for people, made by [`super::DeploymentView`] from its slices. The machine has none.

use crate::machine::Outcome;
use serde::{Deserialize, Serialize};

/// The phase of a deployment, in the words that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asked for; to be planned and judged.
    Requested,
    /// Gates that people or time can open do not hold.
    Waiting,
    /// All gates hold; places are being claimed and looked at.
    Gated,
    /// Slices are being prepared.
    Preparing,
    /// All of them are.
    Prepared,
    /// Slices are being moved.
    Activating,
    /// Somebody stopped it before the next slice.
    Paused,
    /// Every slice is verified.
    Verified,
    /// Past the commit point.
    Committed,
    /// Watched a while longer.
    Baking,
    /// Cleaning up.
    Finishing,
    /// It will go back.
    TurnedBack,
    /// It is going back.
    Restoring,
    /// The new release everywhere.
    Succeeded,
    /// The old one everywhere, verified.
    RolledBack,
    /// Named slices are not where they should be.
    NeedsHuman,
    /// A gate does not hold, and waiting does not open it.
    Refused,
    /// Failed before anything that serves changed.
    Failed,
    /// Cancelled before anything that serves changed.
    Cancelled,
    /// A newer one took its place.
    Superseded,
}

impl Phase {
    /// The word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Waiting => "waiting",
            Self::Gated => "gated",
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Activating => "activating",
            Self::Paused => "paused",
            Self::Verified => "verified",
            Self::Committed => "committed",
            Self::Baking => "baking",
            Self::Finishing => "finishing",
            Self::TurnedBack => "turned_back",
            Self::Restoring => "restoring",
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled_back",
            Self::NeedsHuman => "needs_human",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

impl From<Outcome> for Phase {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::NeedsHuman => Self::NeedsHuman,
            Outcome::Refused => Self::Refused,
            Outcome::Failed => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Superseded => Self::Superseded,
        }
    }
}

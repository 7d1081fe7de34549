//! One slice of a deployment, as readers see it.

use crate::failure::Failure;
use crate::id::{PlaceIx, ServiceName, SliceName};
use crate::machine::{Failed, Sight, SliceSight, Verb};
use crate::model::ReleaseRef;
use crate::port::target::{Checkpoint, HealthSeen, Runs};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What runs in a slice, relative to its deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// What ran before.
    Old,
    /// The release.
    New,
    /// Nothing: it failed within its service's failure budget, was stopped, and is left out.
    Excluded,
    /// Something that somebody else put there.
    Other,
    /// Not known: it is being moved, or could not be looked at.
    Unknown,
}

/// Where a slice is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Not touched.
    Waiting,
    /// Prepared, not touched.
    Prepared,
    /// Being moved, or it may have been.
    Activating,
    /// Moved, not yet believed.
    Verifying,
    /// On the release and healthy.
    Verified,
    /// And disarmed.
    Confirmed,
    /// It failed within the budget and is being stopped, or may have been.
    Stopping,
    /// Stopped, seen not to serve, and left out.
    Excluded,
    /// Being put back.
    Restoring,
    /// Put back, not yet believed.
    Restored,
    /// Where it was, and no less healthy.
    Back,
    /// A step failed.
    Failed,
    /// What it runs could not be learned.
    Unknown,
    /// Somebody else changed it.
    Overtaken,
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceView {
    /// Its service.
    pub service: ServiceName,
    /// Its target's kind: `ssh`.
    pub target: String,
    /// Its name.
    pub slice: SliceName,
    /// Where it writes.
    pub place: PlaceIx,
    /// What runs, relative to the deployment.
    pub running: Running,
    /// What runs, as last told.
    pub runs: Option<Runs>,
    /// The release that runs, where that is known.
    pub release: Option<ReleaseRef>,
    /// The release that ran before, where that is known.
    pub was: Option<ReleaseRef>,
    /// Where it is on its way.
    pub progress: Progress,
    /// What it will run when activated, once prepared.
    pub will_be: Option<Runs>,
    /// Its unit's checkpoint, once taken.
    pub checkpoint: Option<Checkpoint>,
    /// Whether activating it changes anything: `None` until preparing told.
    pub changes: Option<bool>,
    /// Health, as last seen.
    pub health: HealthSeen,
    /// What the last look said: `healthy 10s`.
    pub note: Option<String>,
    /// Whether a revert is armed, as last known: from the intent on it may be.
    pub armed: bool,
    /// Whether this deployment may have changed it.
    pub touched: bool,
    /// The last step that failed on it.
    pub failed_step: Option<Verb>,
    /// The last failure on it.
    pub failure: Option<Failure>,
    /// When it was last looked at or moved.
    pub seen_at: Option<Timestamp>,
    /// When its first step on the way forward began.
    pub began_at: Option<Timestamp>,
    /// When it was last verified, forward or back.
    pub verified_at: Option<Timestamp>,
}

/// How far a deployment has come, as far as names of releases are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before its commit point.
    Uncommitted,
    /// Past it.
    Committed,
    /// It turned back.
    Back,
}

impl Stage {
    /// As what a slice counts that this deployment does not move, since it runs already what the release brings.
    pub(super) const fn left_alone(self) -> Running {
        match self {
            Self::Committed => Running::New,
            Self::Uncommitted | Self::Back => Running::Old,
        }
    }
}

impl SliceView {
    /// What a survey saw of it.
    pub(super) fn sighted(
        &mut self,
        sight: SliceSight,
        runs: Option<&Runs>,
        to: ReleaseRef,
        stage: Stage,
        at: Timestamp,
    ) {
        self.running = match sight.runs {
            // Where nothing ran before, being stopped looks like that.
            Sight::Old if self.progress == Progress::Excluded && stage != Stage::Back => Running::Excluded,
            Sight::Old => Running::Old,
            // What was before and what the release brings are the same content: which of them it is called is no matter of looking.
            Sight::Both if !self.touched => stage.left_alone(),
            Sight::New if self.is_left_alone() => stage.left_alone(),
            Sight::Both if stage == Stage::Back => Running::Old,
            Sight::New | Sight::Both => Running::New,
            Sight::Gone if stage == Stage::Back => Running::Unknown,
            Sight::Gone => Running::Excluded,
            Sight::Foreign => Running::Other,
            Sight::Unreachable => Running::Unknown,
        };
        // Whoever is away may come back with what was armed.
        if sight.runs != Sight::Unreachable {
            self.armed = sight.armed;
        }
        match runs {
            Some(runs) => self.runs(runs, to),
            None => self.release = self.meant(to),
        }
        self.seen_at = Some(at);
    }

    /// Whether this deployment has nothing to do there: it runs already what the release brings.
    pub(super) fn is_left_alone(&self) -> bool {
        self.changes == Some(false) && !self.touched
    }

    pub(super) fn runs(&mut self, runs: &Runs, to: ReleaseRef) {
        self.release = match runs {
            Runs::Nothing => None,
            // The target names the release that brought this content first, and the same content may have come with later ones: what
            // the deployment knows of where it comes from and goes to comes first.
            Runs::Release { release, .. } => self.meant(to).or(*release),
        };
        self.runs = Some(runs.clone());
    }

    /// The release that it runs by what is known of the deployment.
    pub(super) fn meant(&self, to: ReleaseRef) -> Option<ReleaseRef> {
        match self.running {
            Running::Old => self.was,
            Running::New => Some(to),
            Running::Excluded | Running::Other | Running::Unknown => None,
        }
    }

    pub(super) fn failed(&mut self, step: Verb, how: Failed, failure: &Failure, at: Timestamp) {
        self.failed_step = Some(step);
        self.failure = Some(failure.clone());
        self.seen_at = Some(at);
        match how {
            Failed::Unhealthy => self.health = HealthSeen::Unhealthy,
            Failed::Unknown | Failed::Fenced | Failed::Unreachable => {
                self.health = HealthSeen::Unknown;
                if matches!(step, Verb::Activate | Verb::Restore) {
                    self.running = Running::Unknown;
                }
            }
            Failed::Overtaken => {
                self.running = Running::Other;
                self.progress = Progress::Overtaken;
                return;
            }
            Failed::NotDone | Failed::CheckpointLost => {}
        }
        self.progress = Progress::Failed;
    }

    /// Whether it is where going forward wants it: on the release and well, or left out.
    pub(super) const fn is_settled(&self) -> bool {
        matches!(
            self.progress,
            Progress::Verified | Progress::Confirmed | Progress::Excluded
        )
    }

    /// What it runs, in words: `v41`, `nothing`, `nothing (excluded)`, `something else`, `unknown`.
    pub fn runs_in_words(&self) -> String {
        in_words(self.running, self.release, self.runs.as_ref())
    }
}

/// What runs, in words.
pub(super) fn in_words(running: Running, release: Option<ReleaseRef>, runs: Option<&Runs>) -> String {
    match (running, release, runs) {
        (Running::Unknown, ..) => "unknown".to_owned(),
        (_, Some(release), _) => release.number.to_string(),
        (Running::Excluded, ..) => "nothing (excluded)".to_owned(),
        (_, None, Some(Runs::Nothing)) => "nothing".to_owned(),
        (Running::Other, ..) => "something that deploy did not put there".to_owned(),
        (Running::Old, ..) => "what ran before".to_owned(),
        (Running::New, ..) => "the new release".to_owned(),
    }
}

/// A slice that is not where it should be, for the human who is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// Its service.
    pub service: ServiceName,
    /// Its name.
    pub slice: SliceName,
    /// What it runs, in words.
    pub runs: String,
    /// Why it is not where it should be.
    pub why: String,
    /// The exact next command.
    pub next: String,
    /// The latest time at which it may still change by itself (an armed revert); `None` if it will not. A machine that is off is an
    /// exception: what is armed there acts when it starts anew.
    pub may_change_until: Option<Timestamp>,
}

//! The machine's own state: ids, epochs, counters, enums. No text, so that it hashes and compares cheaply; what people read is in
//! the events and in [`crate::view`].

use crate::id::{Attempt, Epoch, PlaceIx, SliceIx, UnitIx};
use crate::machine::Outcome;
use crate::plan::{Change, Plan};
use crate::time::Timestamp;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// What it is doing.
    pub stage: Stage,
    /// The current attempt; 0 before the first.
    pub attempt: Attempt,
    /// How far it has come. Only grows, but for a new plan before anything was touched.
    pub reach: Reach,
    /// Which way. Never returns to `Forward`.
    pub direction: Direction,
    /// Which way the current attempt was begun to go. Where it differs, the next attempt begins before anything else happens.
    pub claimed_for: Direction,
    /// Whether it ever turned back.
    pub turned_back: bool,
    /// Whether new slices may be started.
    pub pace: Pace,
    /// By [`PlaceIx`].
    pub places: Vec<PlaceState>,
    /// By [`SliceIx`].
    pub slices: Vec<SliceState>,
    /// Units whose checkpoint is in the journal, by [`UnitIx`].
    pub checkpoints: Vec<bool>,
    /// Attempts begun in this direction because of unknown or fenced outcomes.
    pub tries: u8,
    /// When [`crate::machine::Input::Elapsed`] is due.
    pub due: Option<Timestamp>,
}

/// What the deployment is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Requested: to be planned and judged.
    Open,
    /// Gates do not hold; nothing runs until somebody asks.
    Waiting,
    /// Gates hold; the first attempt is about to begin.
    Ready,
    /// Under way.
    Moving(Step),
    /// Releasing claims, then `Open` or `Waiting`.
    StandingDown(Then),
    /// Releasing claims, then the end.
    Closing(Outcome),
    /// Over.
    Ended(Outcome),
}

/// What follows on standing down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// Plan again.
    Open,
    /// Wait for people or time.
    Waiting,
}

/// What an attempt is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Taking every claim.
    Claiming,
    /// Looking at everything under them.
    Surveying,
    /// Preparing every slice.
    Preparing,
    /// Judging the gates again.
    Judging,
    /// Moving and verifying, wave by wave, batch by batch.
    Activating,
    /// The last look.
    Looking,
    /// Disarming.
    Confirming,
    /// Watching.
    Baking,
    /// Cleaning up.
    Finishing,
    /// Putting back.
    Restoring,
    /// The last look, at everything that is back and everything that was never touched.
    LookingBack,
    /// Disarming what a service with `on_failure = "hold"` left.
    Holding,
}

/// How far a deployment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Nothing is prepared.
    Nothing,
    /// Everything is.
    Prepared,
    /// What serves may be changed.
    Activating,
    /// Past the commit point.
    Committed,
    /// And watched for long enough.
    Baked,
    /// Nothing turns back any more.
    Finishing,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the release.
    Forward,
    /// Turned back; final.
    Back,
    /// Held for a human as it stands, disarmed; final. By `on_failure = "hold"`, by a foreign change after the commit point, or
    /// because going back cannot go on.
    Held,
}

/// Whether new slices may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pace {
    /// Yes.
    Going,
    /// Somebody paused it.
    Paused,
}

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlaceState {
    /// The last epoch known.
    pub epoch: Option<Epoch>,
    /// The claim, in this attempt.
    pub hold: Hold,
}

/// The claim of a place, in this attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// Not taken yet, or given back.
    Free,
    /// Ours.
    Held,
    /// Could not be had: it cannot be reached, or something is broken there.
    Lost,
    /// Somebody else has it: a foreign change of all that is there.
    Taken,
    /// Cleaned up and given back for good.
    Finished,
}

/// A slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SliceState {
    /// Where it is.
    pub at: At,
    /// Whether it is prepared.
    pub prepared: bool,
    /// Whether activating it changes anything. Assumed until preparing has told.
    pub moves: bool,
    /// Whether a revert is armed, as last known.
    pub armed: bool,
}

/// Where a slice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// Never touched by this deployment (or proven never to have moved).
    Untouched,
    /// An activation may be running, or may have run.
    Intended,
    /// The target says it moved.
    Activated,
    /// Observed on the release, and healthy.
    Verified,
    /// And disarmed.
    Confirmed,
    /// It failed within its service's budget. A stop may be running, or may have run.
    ExclusionIntended,
    /// Stopped, disarmed and observed not serving: the deployment goes on without it.
    Excluded,
    /// Observed on the release, or armed: to be put back when nothing that needs it is on the release.
    ToRestore,
    /// A restore may be running, or may have run.
    RestoreIntended,
    /// Observed off the release.
    Restored,
    /// And no less healthy than before.
    Back,
    /// It could not be learned in time.
    Unknown,
    /// Somebody else changed it.
    Overtaken,
    /// A step on it failed for good.
    Stuck,
}

impl State {
    /// Of a deployment that has just been planned.
    pub fn new(plan: &Plan) -> Self {
        let change = |slice: SliceIx| plan.service(plan.slice(slice).service).change;
        Self {
            stage: Stage::Open,
            attempt: Attempt(0),
            reach: Reach::Nothing,
            direction: Direction::Forward,
            claimed_for: Direction::Forward,
            turned_back: false,
            pace: Pace::Going,
            places: vec![
                PlaceState {
                    epoch: None,
                    hold: Hold::Free
                };
                plan.places.len()
            ],
            slices: plan
                .slice_indices()
                .map(|slice| SliceState {
                    // Nothing is asked of what only leaves: it is removed in the end.
                    at: if change(slice) == Change::Remove {
                        At::Verified
                    } else {
                        At::Untouched
                    },
                    prepared: change(slice) != Change::Move,
                    moves: change(slice) == Change::Move,
                    armed: false,
                })
                .collect(),
            checkpoints: vec![false; plan.units.len()],
            tries: 0,
            due: None,
        }
    }

    /// A slice.
    pub fn slice(&self, ix: SliceIx) -> SliceState {
        self.slices[ix.at()]
    }

    /// A place.
    pub fn place(&self, ix: PlaceIx) -> PlaceState {
        self.places[ix.at()]
    }

    /// Whether a unit's checkpoint is in the journal.
    pub fn has_checkpoint(&self, ix: UnitIx) -> bool {
        self.checkpoints[ix.at()]
    }

    /// Whether any slice may have been changed by this deployment.
    pub fn touched(&self) -> bool {
        self.slices.iter().any(|slice| slice.touched())
    }
}

impl SliceState {
    /// Whether this deployment may have changed it.
    pub fn touched(self) -> bool {
        self.moves && self.at != At::Untouched
    }

    /// Whether it is where going back wants it: never touched, or observed there and well.
    pub fn is_back(self) -> bool {
        match self.at {
            At::Untouched | At::Back => true,
            At::Verified | At::Confirmed | At::Activated | At::Intended => !self.moves,
            At::ExclusionIntended
            | At::Excluded
            | At::ToRestore
            | At::RestoreIntended
            | At::Restored
            | At::Unknown
            | At::Overtaken
            | At::Stuck => false,
        }
    }

    /// Whether it is observed off the release, so that what it needs may be put back.
    pub fn is_off(self) -> bool {
        self.is_back() || self.at == At::Restored
    }

    /// Whether it is where going forward wants it.
    pub fn is_verified(self) -> bool {
        matches!(self.at, At::Verified | At::Confirmed)
    }

    /// Whether nothing more is asked of it on the way forward: it is there, or left out.
    pub fn is_settled(self) -> bool {
        self.is_verified() || self.at == At::Excluded
    }

    /// Whether it uses up its service's failure budget.
    pub fn is_left_out(self) -> bool {
        matches!(self.at, At::ExclusionIntended | At::Excluded)
    }
}

//! What is going on right now, by slice: a fold over events and progress, for the lines that a terminal redraws. Nothing in it is
//! ever needed: what matters is in the story.

use deploy_core::event::{Event, EventKind};
use deploy_core::id::SliceIx;
use deploy_core::machine::{Effect, Work};
use deploy_core::plan::{Change, Plan};
use std::collections::BTreeMap;

/// What something is at: a slice, or the deployment as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// No one slice.
    Whole,
    /// A slice.
    Slice(SliceIx),
}

/// What it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doing {
    /// In a word: `verifying`.
    pub(crate) verb: &'static str,
    /// How far, or what was seen last.
    pub(crate) note: String,
}

/// The fold.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    doing: BTreeMap<Subject, Doing>,
    moving: Vec<SliceIx>,
    back: bool,
    /// Who was waited for last.
    queue: Option<String>,
}

impl Activity {
    /// What is going on, in the plan's order.
    pub(crate) fn doing(&self) -> &BTreeMap<Subject, Doing> {
        &self.doing
    }

    /// Takes an event.
    pub(crate) fn on(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Planned { plan, .. } => self.moving = moving(plan),
            EventKind::Requested { .. } => self.whole("planning"),
            EventKind::Gated { .. } => self.whole("claiming"),
            EventKind::AttemptBegun { .. } => self.whole("claiming and looking"),
            EventKind::Surveyed { .. } => {
                self.doing.clear();
                if !self.back {
                    for slice in self.moving.clone() {
                        self.slice(slice, "preparing");
                    }
                }
            }
            EventKind::BatchIntended { slices } => {
                for slice in slices {
                    self.slice(*slice, "activating");
                }
            }
            EventKind::ExclusionIntended { slice } => self.slice(*slice, "stopping"),
            EventKind::RestoreIntended { slices } => {
                for slice in slices {
                    self.slice(*slice, "putting back");
                }
            }
            EventKind::SliceActivated { slice, .. } | EventKind::SliceRestored { slice, .. } => {
                self.slice(*slice, "verifying");
            }
            EventKind::SlicePrepared { slice, .. }
            | EventKind::SliceVerified { slice, .. }
            | EventKind::SliceFailed { slice, .. }
            | EventKind::SliceExcluded { slice, .. }
            | EventKind::SliceBack { slice, .. }
            | EventKind::SliceUnknown { slice, .. }
            | EventKind::SliceOvertaken { slice } => {
                self.doing.remove(&Subject::Slice(*slice));
            }
            EventKind::TurnedBack { .. } => {
                self.back = true;
                self.whole("going back");
            }
            EventKind::AllBack { .. } => self.whole("looking at every slice"),
            EventKind::Committed => self.whole("confirming"),
            EventKind::BakeBegun { .. } => self.whole("watching"),
            EventKind::FinishBegun => self.whole("cleaning up"),
            EventKind::Closing { .. } => self.whole("releasing"),
            EventKind::AllPrepared | EventKind::Waiting { .. } | EventKind::Ended { .. } => {
                self.doing.clear();
            }
            _ => {}
        }
    }

    /// Takes a line of progress.
    pub(crate) fn progress(&mut self, effect: Effect, note: &str, done: u64, total: u64) {
        let (subject, verb) = match effect.work {
            Work::Prepare(slice) => (Subject::Slice(slice), "preparing"),
            Work::Activate(slice) => (Subject::Slice(slice), "activating"),
            Work::Verify(slice) | Work::VerifyOld(slice) => (Subject::Slice(slice), "verifying"),
            Work::Confirm(slice) => (Subject::Slice(slice), "confirming"),
            Work::Stop(slice) => (Subject::Slice(slice), "stopping"),
            Work::Restore(slice) => (Subject::Slice(slice), "putting back"),
            _ => return,
        };
        let share = done
            .saturating_mul(100)
            .checked_div(total)
            .map(|share| format!("{share}% "))
            .unwrap_or_default();
        self.doing.insert(
            subject,
            Doing {
                verb,
                note: format!("{share}{note}"),
            },
        );
    }

    /// Takes who is waited for before anything begins; whether that is news. The line that is redrawn has no room for it.
    pub(crate) fn waits(&mut self, note: &str) -> bool {
        self.whole("waiting");
        self.queue.replace(note.to_owned()).as_deref() != Some(note)
    }

    fn whole(&mut self, verb: &'static str) {
        self.doing.clear();
        let note = String::new();
        self.doing.insert(Subject::Whole, Doing { verb, note });
    }

    fn slice(&mut self, slice: SliceIx, verb: &'static str) {
        self.doing.remove(&Subject::Whole);
        self.doing.insert(
            Subject::Slice(slice),
            Doing {
                verb,
                note: String::new(),
            },
        );
    }
}

fn moving(plan: &Plan) -> Vec<SliceIx> {
    let moves = |slice: &SliceIx| plan.service(plan.slice(*slice).service).change == Change::Move;
    plan.slice_indices().filter(moves).collect()
}

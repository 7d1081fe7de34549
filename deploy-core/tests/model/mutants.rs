//! Deliberate mistakes of design, each behind a switch of the checker: wrappers that drop or alter what the shipped machine or
//! the places do. Nothing of this is in the shipped code.

use crate::invariants::Invariant;
use crate::world::World;
use deploy_core::event::EventKind;
use deploy_core::id::SliceIx;
use deploy_core::machine::state::{At, Stage, Step};
use deploy_core::machine::{Machine, Sight, Work};

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mutant {
    /// Places do not compare the claim that a write carries.
    NoClaimCompare,
    /// An effect is started before the event that records its intent is stored.
    EffectBeforeIntent,
    /// A slice is confirmed as soon as it is verified.
    ConfirmEarly,
    /// An approval counts for any plan.
    ApprovalUnbound,
    /// After a crash it goes forward, whatever was seen.
    AlwaysForward,
    /// Everything is put back at once, in any order.
    RestoreAtOnce,
    /// A takeover takes the checkpoints again.
    CheckpointRetaken,
    /// Answers of an older attempt count.
    LateAnswers,
    /// Who lost the lease can still write to the journal.
    StaleAppends,
    /// An unknown outcome is tried again without looking.
    BlindRetry,
    /// The last look is taken as read.
    CommitWithoutLook,
    /// The last look of going back is taken as read.
    RolledBackUnlooked,
    /// Places do not compare what runs with what is expected.
    NoFingerprint,
    /// The commit point does not read the inbox.
    CommitUnheard,
    /// What was to be stopped is believed to be, and nobody looks.
    ExcludedUnseen,
}

impl Mutant {
    pub(crate) const ALL: [Self; 15] = [
        Self::NoClaimCompare,
        Self::EffectBeforeIntent,
        Self::ConfirmEarly,
        Self::ApprovalUnbound,
        Self::AlwaysForward,
        Self::RestoreAtOnce,
        Self::CheckpointRetaken,
        Self::LateAnswers,
        Self::StaleAppends,
        Self::BlindRetry,
        Self::CommitWithoutLook,
        Self::RolledBackUnlooked,
        Self::NoFingerprint,
        Self::CommitUnheard,
        Self::ExcludedUnseen,
    ];
}

impl Mutant {
    /// The invariant that is about it.
    pub(crate) fn caught_by(self) -> Invariant {
        match self {
            Self::NoClaimCompare => Invariant::NoWriteWithoutClaim,
            Self::EffectBeforeIntent => Invariant::IntentFirst,
            Self::ConfirmEarly => Invariant::ConfirmAfterCommit,
            Self::ApprovalUnbound => Invariant::ApprovedPlan,
            Self::AlwaysForward => Invariant::UncleanTurnsBack,
            Self::RestoreAtOnce => Invariant::RestoreInOrder,
            Self::CheckpointRetaken => Invariant::CheckpointKept,
            Self::LateAnswers => Invariant::NothingForwardAfterBack,
            Self::CommitWithoutLook => Invariant::CommitSeen,
            Self::RolledBackUnlooked => Invariant::RolledBackSeen,
            Self::StaleAppends => Invariant::OneJournalWriter,
            Self::BlindRetry => Invariant::UnknownIsLookedAt,
            Self::NoFingerprint => Invariant::ForeignKept,
            Self::CommitUnheard => Invariant::RequestsHeard,
            Self::ExcludedUnseen => Invariant::ExcludedIsStopped,
        }
    }
}

/// Work that a mistaken driver starts although the machine does not list it.
pub(crate) fn extra_work(mutant: Option<Mutant>, machine: &Machine) -> Vec<Work> {
    let state = machine.state();
    let slices = |at: At| {
        (0u16..)
            .zip(&state.slices)
            .filter(move |(_, slice)| slice.at == at)
            .map(|(slice, _)| SliceIx(slice))
    };
    match (mutant, state.stage) {
        (Some(Mutant::ConfirmEarly), Stage::Moving(Step::Activating)) => slices(At::Verified)
            .filter(|slice| state.slice(*slice).armed)
            .map(Work::Confirm)
            .collect(),
        (Some(Mutant::EffectBeforeIntent), Stage::Moving(Step::Judging)) => vec![Work::Activate(SliceIx(0))],
        _ => Vec::new(),
    }
}

/// What a mistaken machine decides instead.
pub(crate) fn alter(mutant: Option<Mutant>, events: &mut Vec<EventKind>) {
    match mutant {
        Some(Mutant::AlwaysForward) => {
            if matches!(events.first(), Some(EventKind::Surveyed { .. }))
                && let Some(turn) = events
                    .iter()
                    .position(|event| matches!(event, EventKind::TurnedBack { .. }))
            {
                events.truncate(turn);
            }
        }
        Some(Mutant::RestoreAtOnce) => {
            let sights = events.iter().find_map(|event| match event {
                EventKind::Surveyed { seen, .. } => Some(seen.clone()),
                _ => None,
            });
            for event in events {
                if let (EventKind::RestoreIntended { slices }, Some(sights)) = (event, &sights) {
                    let new = (0u16..).zip(sights).filter(|(_, sight)| sight.runs == Sight::New);
                    *slices = new.map(|(slice, _)| SliceIx(slice)).collect();
                }
            }
        }
        _ => {}
    }
}

/// A takeover that takes the checkpoints again.
pub(crate) fn retake(world: &mut World, side: u8) {
    for slice in 0..crate::world::SLICES {
        if world.side(side).checkpoints[slice].is_some() {
            let runs = world.slices[slice].runs;
            world.side_mut(side).checkpoints[slice] = Some(runs);
        }
    }
}

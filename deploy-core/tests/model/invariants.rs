//! The protocol's sentences, each as a check of one step: of a write that a place accepts, or of an event that the journal takes.
//! They look at what is really so, never at what the machine believes, wherever the sentence is about the world.

use crate::config::Config;
use crate::target::Call;
use crate::world::{GONE, PLACE_OF, SLICES, Value, World, release_of};
use deploy_core::event::EventKind;
use deploy_core::id::{ServiceIx, SliceIx};
use deploy_core::machine::state::{At, Direction, Hold, Pace, Reach, Stage, Step};
use deploy_core::machine::{Failed, Machine, Outcome, Sight, Work};
use deploy_core::plan::Kind;
use std::fmt;

macro_rules! invariants {
    ($($name:ident = $sentence:literal,)*) => {
        /// What must hold in every run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Invariant { $($name,)* }
        impl fmt::Display for Invariant {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $sentence,)* })
            }
        }
        impl Invariant { pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*]; }
    };
}

invariants! {
    NeverPanics = "the machine never panics",
    EveryPrefixFolds = "the machine applies all that it decides, and every prefix of the journal folds",
    NothingForwardAfterBack = "nothing goes forward after it turned back",
    TurnedBackIsFinal = "a direction never changes back",
    NoWriteWithoutClaim = "no write is accepted without the current claim",
    OneWriter = "only who took the newest claim writes to a place",
    OneJournalWriter = "only the holder of the lease writes to the journal",
    IntentFirst = "no effect without a durable intent",
    CheckpointOnce = "no checkpoint is taken twice, or after its unit was touched",
    CheckpointKept = "what is put back is what ran before",
    ConfirmAfterCommit = "nothing is confirmed before the commit point, unless it is held",
    RestoreInOrder = "nothing is put back under something that needs it and is on the release",
    ActivateInOrder = "nothing moves before what it needs is verified whole",
    OneBatch = "one batch of a service moves at a time",
    PreparedFirst = "nothing that serves changes before everything is prepared",
    CommitSeen = "committed is written when every slice was seen on the release, by a last look of this attempt",
    RolledBackSeen = "rolled back is written when every slice was seen as it was, by a last look of this attempt",
    RequestsHeard = "a request that came in before the commit point is heard before it",
    ApprovedPlan = "activation begins only with the plan that was approved",
    UncleanTurnsBack = "what cannot be proven clean turns back",
    UnknownIsLookedAt = "an unknown outcome leads to a new claim and a look, never to a blind retry",
    ForeignKept = "a foreign change is never overwritten",
    EpochsRise = "epochs rise in every place",
    PauseHolds = "a paused deployment starts no slice",
    SucceededIsNew = "succeeded means the release everywhere",
    RolledBackIsOld = "rolled back means what was before, everywhere",
    StraysAreNamed = "needs_human names every slice that is off",
    EndsDisarmed = "no end while a slice that can be reached is armed",
    EarlyEndsChangeNothing = "an end before activation changes nothing",
    OneEnd = "an end comes once, and nothing after it",
    WithinBudget = "no more slices of a service are left out than its failure budget",
    ExcludedIsStopped = "nothing that is left out serves at the commit point",
    UnreachableIsNoFailure = "what cannot be reached, or is not known, is never left out",
    AnEndIsReachable = "once faults stop, an end can be reached",
}

/// One that does not hold, and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) detail: String,
}

pub(crate) fn broken<T>(invariant: Invariant, detail: impl Into<String>) -> Result<T, Violation> {
    Err(Violation {
        invariant,
        detail: detail.into(),
    })
}

fn ensure(holds: bool, invariant: Invariant, detail: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        broken(invariant, detail())
    }
}

/// Before any write that a place accepts.
pub(crate) fn on_claim(world: &World, call: &Call, at: usize) -> Result<(), Violation> {
    let place = &world.places[at];
    let ours = place.store == call.side && place.held && Some(place.epoch) == call.epochs[at];
    ensure(ours, Invariant::NoWriteWithoutClaim, || {
        format!(
            "{:?} was accepted with the claim {:?}; the place is at epoch {}",
            call.work, call.epochs[at], place.epoch
        )
    })?;
    // Giving a claim back under an older process's name takes a right away and gives none.
    let gives_back = matches!(call.work, Work::Release(_));
    ensure(
        place.claimer == call.from || gives_back,
        Invariant::OneWriter,
        || format!("{:?}", call.work),
    )
}

/// Before a driver starts an effect.
pub(crate) fn on_start(world: &World, side: u8, work: Work) -> Result<(), Violation> {
    let (Work::Activate(slice) | Work::Restore(slice) | Work::Stop(slice)) = work else {
        return Ok(());
    };
    let clear = world.slices[slice.at()].unclear & (1 << side) == 0;
    ensure(clear, Invariant::UnknownIsLookedAt, || format!("{work:?}"))
}

/// A checkpoint is about to be taken.
pub(crate) fn on_checkpoint(world: &World, call: &Call, unit: usize) -> Result<(), Violation> {
    let side = world.side(call.side);
    let touched = side.intended != 0;
    ensure(
        !touched && side.in_journal & (1 << unit) == 0,
        Invariant::CheckpointOnce,
        || format!("unit {unit}"),
    )
}

pub(crate) fn on_activate(
    world: &World,
    config: &Config,
    call: &Call,
    slice: SliceIx,
) -> Result<(), Violation> {
    let side = world.side(call.side);
    let truth = world.slices[slice.at()];
    let bit = 1u8 << slice.at();
    let what = || format!("slice {slice}");
    ensure(side.intended & bit != 0, Invariant::IntentFirst, what)?;
    ensure(
        !world.places[PLACE_OF[slice.at()]].claimed_going_back,
        Invariant::NothingForwardAfterBack,
        what,
    )?;
    ensure(
        side.machine.state().reach >= Reach::Activating,
        Invariant::PreparedFirst,
        what,
    )?;
    ensure(foreign_ok(truth.runs, call, slice), Invariant::ForeignKept, what)?;
    // Who was fenced off nowhere may still write where the newer holder could not claim.
    let place = PLACE_OF[slice.at()];
    let known = side.machine.state().places[place];
    let current = known.hold == Hold::Held && known.epoch == call.epochs[place];
    // A rollback goes on past a change that somebody makes meanwhile.
    if current && slice.at() >= 2 && config.kind != Kind::Rollback {
        for other in 0..2 {
            let truth = world.slices[other];
            ensure(
                truth.runs == release_of(call.side)
                    || truth.runs == GONE
                    || truth.unseen & (1 << call.side) != 0,
                Invariant::ActivateInOrder,
                || format!("slice {slice} moves while slice {other} runs {}", truth.runs),
            )?;
        }
    }
    Ok(())
}

fn foreign_ok(runs: Value, call: &Call, slice: SliceIx) -> bool {
    runs == release_of(call.side) || runs == call.base[slice.at()] || runs == GONE
}

pub(crate) fn on_confirm(world: &World, call: &Call, slice: SliceIx) -> Result<(), Violation> {
    let state = world.side(call.side).machine.state();
    ensure(
        state.reach >= Reach::Committed || state.direction == Direction::Held,
        Invariant::ConfirmAfterCommit,
        || format!("slice {slice}"),
    )
}

pub(crate) fn on_stop(world: &World, call: &Call, slice: SliceIx) -> Result<(), Violation> {
    let stopping = world.side(call.side).stopping & (1 << slice.at()) != 0;
    ensure(stopping, Invariant::IntentFirst, || {
        format!("slice {slice} is stopped")
    })
}

/// After a whole decision: only what is known to have failed is left out.
pub(crate) fn on_exclusion(events: &[EventKind]) -> Result<(), Violation> {
    for (at, event) in events.iter().enumerate() {
        let EventKind::ExclusionIntended { slice } = event else {
            continue;
        };
        let because = events[..at].iter().rev().find_map(|event| match event {
            EventKind::SliceFailed { slice: of, how, .. } if of == slice => Some(*how),
            _ => None,
        });
        ensure(
            matches!(because, Some(Failed::NotDone | Failed::Unhealthy)),
            Invariant::UnreachableIsNoFailure,
            || format!("slice {slice} is left out because of {because:?}"),
        )?;
    }
    Ok(())
}

/// What is left out in a fold: within the budget of its service.
fn within_budget(config: &Config, machine: &Machine) -> Result<(), Violation> {
    for (at, service) in machine.plan().services.iter().enumerate() {
        let left_out = service
            .batches
            .iter()
            .flatten()
            .filter(|slice| machine.state().slice(**slice).is_left_out())
            .count();
        let budget = if config.keeps_a && at == 0 {
            0
        } else {
            config.max_failures
        };
        ensure(left_out <= usize::from(budget), Invariant::WithinBudget, || {
            format!("{left_out} slices of {}", service.name)
        })?;
    }
    Ok(())
}

/// What a restore puts back.
pub(crate) fn on_restore(
    world: &World,
    config: &Config,
    call: &Call,
    slice: SliceIx,
) -> Result<Value, Violation> {
    let side = world.side(call.side);
    let truth = world.slices[slice.at()];
    let what = || format!("slice {slice}");
    ensure(
        side.restoring & (1 << slice.at()) != 0,
        Invariant::IntentFirst,
        what,
    )?;
    ensure(
        world.places[PLACE_OF[slice.at()]].claimed_going_back,
        Invariant::NothingForwardAfterBack,
        || format!("slice {slice} is put back under a claim of going forward"),
    )?;
    ensure(foreign_ok(truth.runs, call, slice), Invariant::ForeignKept, what)?;
    if slice.at() < 2 && !config.keeps_a {
        for other in 2..SLICES {
            ensure(
                world.slices[other].runs != release_of(call.side)
                    || call.base[other] == release_of(call.side),
                Invariant::RestoreInOrder,
                || format!("slice {slice} goes back while slice {other} is on the release"),
            )?;
        }
    }
    let kept = side.checkpoints[slice.at()];
    ensure(
        kept == Some(call.base[slice.at()]),
        Invariant::CheckpointKept,
        || {
            format!(
                "slice {slice}: the checkpoint holds {kept:?}, before it ran {}",
                call.base[slice.at()]
            )
        },
    )?;
    Ok(kept.unwrap_or(call.base[slice.at()]))
}

/// An event that the journal took: `before` and `after` are its folds.
pub(crate) fn on_event(
    world: &World,
    config: &Config,
    side: u8,
    before: &Machine,
    after: &Machine,
    event: &EventKind,
) -> Result<(), Violation> {
    let (was, is) = (before.state(), after.state());
    ensure(before.ended().is_none(), Invariant::OneEnd, || {
        format!("{event:?}")
    })?;
    ensure(
        was.direction <= is.direction || is.direction == Direction::Held,
        Invariant::TurnedBackIsFinal,
        || format!("{:?} → {:?}", was.direction, is.direction),
    )?;
    match event {
        EventKind::Claimed { place, epoch, .. } => ensure(
            was.place(*place).epoch < Some(*epoch),
            Invariant::EpochsRise,
            || format!("place {place}"),
        ),
        EventKind::ActivationBegun { .. } => {
            let of = world.side(side);
            ensure(
                !config.approval || of.approved == Some(of.base),
                Invariant::ApprovedPlan,
                || format!("approved {:?}, activating {:?}", of.approved, of.base),
            )
        }
        EventKind::BatchIntended { slices } => batch(config, before, after, slices),
        EventKind::ExclusionIntended { .. } => within_budget(config, after),
        EventKind::Committed => {
            for slice in (0..SLICES).filter(|slice| was.slices[*slice].at == At::Excluded) {
                let truth = world.slices[slice];
                ensure(
                    truth.runs == GONE || truth.unseen & (1 << side) != 0,
                    Invariant::ExcludedIsStopped,
                    || format!("slice {slice} runs {}", truth.runs),
                )?;
            }
            looked(world, side, before, Invariant::CommitSeen)?;
            ensure(
                world.side(side).inbox.is_empty(),
                Invariant::RequestsHeard,
                || format!("{:?}", world.side(side).inbox),
            )
        }
        EventKind::Closing {
            outcome: Outcome::RolledBack,
            ..
        } => {
            looked(world, side, before, Invariant::RolledBackSeen)?;
            disarmed(world, side, after, Outcome::RolledBack)
        }
        EventKind::Closing { outcome, .. } if is.reach >= Reach::Activating => {
            disarmed(world, side, after, *outcome)
        }
        EventKind::Ended { outcome, strays, .. } => ended(world, config, side, before, *outcome, strays),
        _ => Ok(()),
    }
}

/// There was a last look at everything, in this attempt, and all was as it should be.
fn looked(world: &World, side: u8, before: &Machine, invariant: Invariant) -> Result<(), Violation> {
    let (looked, attempt) = (world.side(side).looked, before.state().attempt);
    ensure(looked == Some(attempt), invariant, || {
        format!("looked in {looked:?}, this is {attempt:?}")
    })
}

fn batch(config: &Config, before: &Machine, after: &Machine, slices: &[SliceIx]) -> Result<(), Violation> {
    let (was, is) = (before.state(), after.state());
    ensure(
        was.direction == Direction::Forward,
        Invariant::NothingForwardAfterBack,
        || format!("{slices:?}"),
    )?;
    ensure(was.pace == Pace::Going, Invariant::PauseHolds, || {
        format!("{slices:?}")
    })?;
    let plan = before.plan();
    for (at, service) in plan.services.iter().enumerate() {
        let moving = |batch: &Vec<SliceIx>| {
            batch
                .iter()
                .any(|slice| matches!(is.slice(*slice).at, At::Intended | At::Activated))
        };
        ensure(
            service.batches.iter().filter(|batch| moving(batch)).count() <= 1,
            Invariant::OneBatch,
            || service.name.to_string(),
        )?;
        let started = slices.iter().any(|slice| plan.slice(*slice).service.at() == at);
        let first = if config.kind == Kind::Rollback {
            (1, 0)
        } else {
            (0, 1)
        };
        if started && at == first.1 {
            let needed = plan.service(ServiceIx(first.0)).batches.iter().flatten();
            let whole = needed.clone().all(|slice| was.slice(*slice).is_settled());
            ensure(whole, Invariant::ActivateInOrder, || service.name.to_string())?;
        }
    }
    Ok(())
}

/// After a whole decision: a survey that is not clean has turned back.
pub(crate) fn on_survey(before: &Machine, after: &Machine, events: &[EventKind]) -> Result<(), Violation> {
    let (was, is) = (before.state(), after.state());
    let Some(EventKind::Surveyed { seen, .. }) = events.first() else {
        return Ok(());
    };
    if was.reach != Reach::Activating
        || was.direction != Direction::Forward
        || before.plan().kind == Kind::Rollback
    {
        return Ok(());
    }
    let unclean = seen.iter().zip(&was.slices).find(|(sight, slice)| {
        slice.touched()
            && match sight.runs {
                Sight::Unreachable | Sight::Foreign => true,
                Sight::Old => matches!(
                    slice.at,
                    At::Activated | At::Verified | At::Confirmed | At::Excluded
                ),
                Sight::New if slice.at == At::Excluded => true,
                Sight::New => {
                    before.plan().services[0].abilities.arms && !sight.armed && !slice.is_left_out()
                }
                Sight::Gone => !slice.is_left_out(),
                Sight::Both => false,
            }
    });
    ensure(
        unclean.is_none() || is.direction != Direction::Forward,
        Invariant::UncleanTurnsBack,
        || format!("{unclean:?}"),
    )
}

fn disarmed(world: &World, side: u8, machine: &Machine, outcome: Outcome) -> Result<(), Violation> {
    for (slice, at) in PLACE_OF.into_iter().enumerate() {
        let place = &world.places[at];
        let known = machine.state().places[at];
        let ours = known.hold == Hold::Held
            && place.store == side
            && place.held
            && place.reachable
            && known.epoch == Some(place.epoch);
        ensure(
            !(ours && world.slices[slice].armed && !world.slices[slice].stubborn),
            Invariant::EndsDisarmed,
            || format!("{outcome:?} while slice {slice} is armed"),
        )?;
    }
    Ok(())
}

fn ended(
    world: &World,
    config: &Config,
    side: u8,
    before: &Machine,
    outcome: Outcome,
    strays: &[SliceIx],
) -> Result<(), Violation> {
    let of = world.side(side);
    let state = before.state();
    let new = release_of(side);
    let unseen = |slice: usize| world.slices[slice].unseen & (1 << side) != 0;
    let runs = |slice: usize| world.slices[slice].runs;
    match outcome {
        Outcome::Succeeded => {
            for slice in 0..SLICES {
                let kept = config.keeps_a && slice < 2;
                // What is left out is named, also in success.
                let left_out = state.slices[slice].at == At::Excluded
                    && runs(slice) == GONE
                    && strays.iter().any(|stray| stray.at() == slice);
                ensure(
                    runs(slice) == new || kept || left_out || unseen(slice),
                    Invariant::SucceededIsNew,
                    || format!("slice {slice} runs {}", runs(slice)),
                )?;
                ensure(
                    !world.slices[slice].armed || unseen(slice),
                    Invariant::EndsDisarmed,
                    || format!("slice {slice}"),
                )?;
            }
        }
        Outcome::RolledBack => {
            for slice in 0..SLICES {
                ensure(
                    runs(slice) == of.base[slice] || unseen(slice),
                    Invariant::RolledBackIsOld,
                    || format!("slice {slice} runs {}", runs(slice)),
                )?;
                ensure(
                    !world.slices[slice].armed || unseen(slice),
                    Invariant::EndsDisarmed,
                    || format!("slice {slice}"),
                )?;
            }
        }
        Outcome::NeedsHuman => {
            let forward = state.direction == Direction::Forward
                || state.reach >= Reach::Committed && !state.turned_back;
            for slice in 0..SLICES {
                let kept = config.keeps_a && slice < 2;
                let wanted = if forward && !kept { new } else { of.base[slice] };
                let named = strays.iter().any(|stray| stray.at() == slice);
                ensure(
                    runs(slice) == wanted || named || unseen(slice),
                    Invariant::StraysAreNamed,
                    || format!("slice {slice} runs {} and is not among {strays:?}", runs(slice)),
                )?;
            }
        }
        Outcome::Refused | Outcome::Failed | Outcome::Cancelled | Outcome::Superseded => {
            ensure(of.intended == 0, Invariant::EarlyEndsChangeNothing, || {
                format!("{outcome:?}")
            })?;
        }
    }
    let over = matches!(
        state.stage,
        Stage::Closing(_) | Stage::Moving(Step::Finishing) | Stage::Open | Stage::Waiting
    );
    ensure(over || of.abandoned, Invariant::OneEnd, || {
        format!("{outcome:?} from {:?}", state.stage)
    })
}

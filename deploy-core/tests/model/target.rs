//! The fake places. Each verb does here what design and port say that a target does, at one instant; what may be late, lost or
//! doubled on the way is the network's affair (`steps.rs`).

use crate::config::Config;
use crate::invariants::{self, Violation};
use crate::mutants::Mutant;
use crate::world::{Ans, Base, GONE, PLACE_OF, PLACES, SLICES, Truth, World, place_of, release_of};
use deploy_core::id::{Attempt, Epoch, SliceIx};
use deploy_core::machine::state::{At, Direction, Hold, Reach, Stage};
use deploy_core::machine::{Failed, Machine, Refusal, Sight, SliceSight, Work};

/// A verb as it reaches a place: what the caller knew when it sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) from: u8,
    pub(crate) side: u8,
    pub(crate) attempt: Attempt,
    pub(crate) work: Work,
    /// The claims it carries.
    pub(crate) epochs: [Option<Epoch>; PLACES],
    pub(crate) base: Base,
}

impl Call {
    pub(crate) fn new(from: u8, side: u8, knows: &Machine, base: Base, work: Work) -> Self {
        let state = knows.state();
        Self {
            from,
            side,
            attempt: state.attempt,
            work,
            epochs: [0, 1].map(|place| {
                let place: &deploy_core::machine::state::PlaceState = &state.places[place];
                (place.hold == Hold::Held || matches!(work, Work::Claim(_)))
                    .then_some(place.epoch)
                    .flatten()
            }),
            base,
        }
    }
}

fn fails(how: Failed) -> Ans {
    Ans::Failed { how, slice: None }
}

/// What runs in a slice, as a side sees it.
pub(crate) fn sight(world: &World, side: u8, base: Base, slice: usize) -> Sight {
    let runs = world.slices[slice].runs;
    let new = release_of(side);
    if !world.places[PLACE_OF[slice]].reachable {
        Sight::Unreachable
    } else if runs == new && base[slice] == new {
        Sight::Both
    } else if runs == new {
        Sight::New
    } else if runs == base[slice] {
        Sight::Old
    } else if runs == GONE && world.side(side).stopping & (1 << slice) != 0 {
        Sight::Gone
    } else {
        Sight::Foreign
    }
}

fn seen(world: &World, call: &Call) -> [SliceSight; SLICES] {
    [0, 1, 2, 3].map(|slice| SliceSight {
        runs: sight(world, call.side, call.base, slice),
        armed: world.slices[slice].armed && world.places[PLACE_OF[slice]].reachable,
        healthy: world.slices[slice].healthy && world.places[PLACE_OF[slice]].reachable,
    })
}

/// Whether a claim that the caller believes to hold is another's by now.
fn fenced_anywhere(world: &World, call: &Call) -> bool {
    (0..PLACES).any(|place| {
        let now = &world.places[place];
        call.epochs[place]
            .is_some_and(|epoch| now.reachable && !(now.store == call.side && now.held && now.epoch == epoch))
    })
}

/// Does it, and says what the target would answer.
pub(crate) fn perform(world: &mut World, config: &Config, call: &Call) -> Result<Ans, Violation> {
    match call.work {
        Work::Judge => Ok(judge(world, config, call)),
        Work::Claim(place) => Ok(claim(world, config, call, place.at())),
        Work::Survey => {
            if fenced_anywhere(world, call) {
                return Ok(fails(Failed::Fenced));
            }
            let seen = seen(world, call);
            // What another deployment has armed moves yet: plan again when it has.
            let outdated = (0..SLICES).any(|slice| {
                matches!(seen[slice].runs, Sight::Foreign | Sight::New) || world.slices[slice].armed
            });
            Ok(Ans::Seen {
                seen,
                outdated,
                fresh: true,
            })
        }
        Work::Look => Ok(look(world, config, call)),
        Work::Verify(slice) => Ok(match sight(world, call.side, call.base, slice.at()) {
            Sight::Unreachable => fails(Failed::Unreachable),
            Sight::Foreign => fails(Failed::Overtaken),
            Sight::Old | Sight::Gone => fails(Failed::NotDone),
            Sight::New | Sight::Both if world.slices[slice.at()].healthy => Ans::Done,
            Sight::New | Sight::Both => fails(Failed::Unhealthy),
        }),
        Work::VerifyOld(slice) => Ok(match sight(world, call.side, call.base, slice.at()) {
            Sight::Unreachable => fails(Failed::Unreachable),
            Sight::Foreign => fails(Failed::Overtaken),
            Sight::New | Sight::Gone => fails(Failed::NotDone),
            Sight::Old | Sight::Both => Ans::Done,
        }),
        Work::Reach => Ok(Ans::Done),
        Work::KeepArmed | Work::Watch | Work::Bake => Ok(complaint(world, call).unwrap_or(Ans::Done)),
        Work::Stop(_) if config.mutant == Some(Mutant::ExcludedUnseen) => Ok(Ans::Done),
        Work::Prepare(_)
        | Work::Activate(_)
        | Work::Stop(_)
        | Work::Confirm(_)
        | Work::Restore(_)
        | Work::Finish(_)
        | Work::Release(_) => write(world, config, call),
    }
}

/// The last look, in the direction in which its deployment goes.
fn look(world: &mut World, config: &Config, call: &Call) -> Ans {
    let back = going_back(world, call.side);
    let (wanted, mistake, armed) = if back {
        (Sight::Old, Mutant::RolledBackUnlooked, false)
    } else {
        (Sight::New, Mutant::CommitWithoutLook, config.arms())
    };
    let answer = |seen| Ans::Seen {
        seen,
        outdated: false,
        fresh: true,
    };
    if config.mutant == Some(mistake) {
        let sight = SliceSight {
            runs: wanted,
            armed,
            healthy: true,
        };
        return answer([sight; SLICES]);
    }
    if fenced_anywhere(world, call) {
        return fails(Failed::Fenced);
    }
    let mut seen = seen(world, call);
    let excluded: [bool; SLICES] =
        std::array::from_fn(|slice| world.side(call.side).machine.state().slices[slice].at == At::Excluded);
    if config.mutant == Some(Mutant::ExcludedUnseen) {
        for (sight, excluded) in seen.iter_mut().zip(excluded) {
            if excluded {
                sight.runs = Sight::Gone;
            }
        }
    }
    let whole = |(sight, excluded): (&SliceSight, bool)| match sight.runs {
        Sight::Gone => excluded && !back,
        runs => runs == wanted || runs == Sight::Both,
    };
    if seen.iter().zip(excluded).all(whole) {
        world.side_mut(call.side).looked = Some(call.attempt);
    }
    answer(seen)
}

fn judge(world: &World, config: &Config, call: &Call) -> Ans {
    let side = world.side(call.side);
    if world.places.iter().any(|place| !place.reachable) {
        return fails(Failed::Unreachable);
    }
    let base = if matches!(side.machine.state().stage, Stage::Moving(_)) {
        side.base
    } else {
        std::array::from_fn(|slice| world.slices[slice].runs)
    };
    let approved = !config.approval
        || match config.mutant {
            Some(Mutant::ApprovalUnbound) => side.approved.is_some(),
            _ => side.approved == Some(base),
        };
    let evidence = side.evidence;
    if approved {
        Ans::Holds { base, evidence }
    } else {
        Ans::Waits { base, evidence }
    }
}

fn going_back(world: &World, side: u8) -> bool {
    world.side(side).machine.state().direction != Direction::Forward
}

fn claim(world: &mut World, config: &Config, call: &Call, at: usize) -> Ans {
    let going_back = going_back(world, call.side);
    let early = world.side(call.side).machine.state().reach < Reach::Activating;
    let place = &mut world.places[at];
    if !place.reachable {
        return Ans::Refused(Refusal::Unreachable);
    }
    let foreign = place.store != call.side && place.store != crate::world::NOBODY;
    if foreign && !(config.adopts[usize::from(call.side)] && early) {
        return Ans::Refused(Refusal::Held);
    }
    place.epoch = place.epoch.max(call.epochs[at].unwrap_or_default()).next();
    place.store = call.side;
    place.held = true;
    place.claimer = call.from;
    place.claimed_going_back = going_back;
    let epoch = place.epoch;
    for (slice, truth) in world.slices.iter_mut().enumerate() {
        if PLACE_OF[slice] == at {
            truth.unclear &= !(1 << call.side);
        }
    }
    Ans::Claimed(epoch)
}

/// What those who watch all slices would complain of.
pub(crate) fn complaint(world: &World, call: &Call) -> Option<Ans> {
    let side = world.side(call.side);
    let state = side.machine.state();
    if fenced_anywhere(world, call) {
        return Some(fails(Failed::Fenced));
    }
    (0..SLICES).find_map(|slice| {
        let known = state.slices[slice];
        let truth = world.slices[slice];
        let how = match call.work {
            Work::KeepArmed if !known.armed => None,
            Work::KeepArmed if truth.armed => None,
            Work::KeepArmed if !world.places[PLACE_OF[slice]].reachable => Some(Failed::Unreachable),
            Work::KeepArmed => Some(Failed::NotDone),
            Work::Watch if !known.is_verified() => None,
            _ => match sight(world, call.side, call.base, slice) {
                Sight::Unreachable => Some(Failed::Unreachable),
                Sight::Foreign => Some(Failed::Overtaken),
                _ if known.at == At::Excluded => None,
                Sight::Old | Sight::Gone => Some(Failed::NotDone),
                Sight::New | Sight::Both => (!truth.healthy).then_some(Failed::Unhealthy),
            },
        };
        let slice = SliceIx(u16::try_from(slice).expect("small"));
        how.map(|how| Ans::Failed {
            how,
            slice: Some(slice),
        })
    })
}

fn write(world: &mut World, config: &Config, call: &Call) -> Result<Ans, Violation> {
    let at = place_of(call.work).expect("a write goes to one place");
    let place = world.places[at];
    if !place.reachable {
        return Ok(fails(Failed::Unreachable));
    }
    let ours = place.store == call.side && place.held && Some(place.epoch) == call.epochs[at];
    if !ours && config.mutant != Some(Mutant::NoClaimCompare) {
        return Ok(fails(Failed::Fenced));
    }
    invariants::on_claim(world, call, at)?;
    let new = release_of(call.side);
    match call.work {
        Work::Finish(_) | Work::Release(_) => {
            world.places[at].held = false;
            Ok(Ans::Done)
        }
        Work::Prepare(slice) => {
            let runs = world.slices[slice.at()].runs;
            let unit = config.plan(call.side, call.base).slice(slice).unit.at();
            let known = world.side(call.side).in_journal & (1 << unit) != 0;
            if runs != call.base[slice.at()] {
                return Ok(fails(Failed::Overtaken));
            }
            if !known {
                invariants::on_checkpoint(world, call, unit)?;
                let plan = config.plan(call.side, call.base);
                for other in plan
                    .slice_indices()
                    .filter(|other| plan.slice(*other).unit.at() == unit)
                {
                    let runs = world.slices[other.at()].runs;
                    world.side_mut(call.side).checkpoints[other.at()] = Some(runs);
                }
            }
            Ok(Ans::Prepared { changes: runs != new })
        }
        Work::Activate(slice) => {
            let truth = world.slices[slice.at()];
            let expected = truth.runs == call.base[slice.at()] || truth.runs == new;
            if !expected && config.mutant != Some(Mutant::NoFingerprint) {
                return Ok(fails(Failed::Overtaken));
            }
            invariants::on_activate(world, config, call, slice)?;
            let armed = config.arms();
            if truth.runs == new {
                return Ok(Ans::Moved { armed: truth.armed });
            }
            others_see(world, call.side, slice.at());
            let truth = &mut world.slices[slice.at()];
            *truth = Truth {
                runs: new,
                armed,
                ..*truth
            };
            Ok(Ans::Moved { armed })
        }
        Work::Stop(slice) => {
            let truth = world.slices[slice.at()];
            let expected = truth.runs == call.base[slice.at()] || truth.runs == new || truth.runs == GONE;
            if !expected {
                return Ok(fails(Failed::Overtaken));
            }
            invariants::on_stop(world, call, slice)?;
            others_see(world, call.side, slice.at());
            let truth = &mut world.slices[slice.at()];
            *truth = Truth {
                runs: GONE,
                armed: false,
                ..*truth
            };
            Ok(Ans::Done)
        }
        Work::Confirm(slice) => {
            invariants::on_confirm(world, call, slice)?;
            let truth = &mut world.slices[slice.at()];
            truth.armed = false;
            Ok(if truth.runs == new {
                Ans::Done
            } else {
                fails(if truth.runs == call.base[slice.at()] {
                    Failed::NotDone
                } else {
                    Failed::Overtaken
                })
            })
        }
        Work::Restore(slice) => {
            let truth = world.slices[slice.at()];
            let expected = truth.runs == call.base[slice.at()] || truth.runs == new || truth.runs == GONE;
            if !expected && config.mutant != Some(Mutant::NoFingerprint) {
                return Ok(fails(Failed::Overtaken));
            }
            let runs = invariants::on_restore(world, config, call, slice)?;
            others_see(world, call.side, slice.at());
            let truth = &mut world.slices[slice.at()];
            *truth = Truth {
                runs,
                armed: false,
                healthy: true,
                ..*truth
            };
            Ok(Ans::Moved { armed: false })
        }
        _ => unreachable!("not a write"),
    }
}

/// A change by one side is somebody else's for every other.
fn others_see(world: &mut World, side: u8, slice: usize) {
    for other in 0..2 {
        if other != side {
            world.slices[slice].unseen |= 1 << other;
        }
    }
}

/// An activation that was cut off: the revert is armed, and nothing has moved.
pub(crate) fn half(world: &mut World, config: &Config, call: &Call) {
    let Work::Activate(slice) = call.work else { return };
    let at = PLACE_OF[slice.at()];
    let place = &world.places[at];
    let ours = place.store == call.side && place.held && Some(place.epoch) == call.epochs[at];
    let truth = &mut world.slices[slice.at()];
    if ours && place.reachable && truth.runs == call.base[slice.at()] && config.arms() {
        truth.armed = true;
    }
}

/// An armed revert fires. It compares what runs, too: a foreign change is left alone.
pub(crate) fn fire(world: &mut World, slice: usize) {
    let runs = world.slices[slice].runs;
    let owner = (0u8..)
        .zip(&world.sides)
        .find(|(side, _)| release_of(*side) == runs);
    let back_to = owner.map_or(runs, |(_, side)| side.base[slice]);
    let truth = &mut world.slices[slice];
    truth.armed = false;
    truth.healthy = true;
    truth.runs = back_to;
    truth.unseen = 0b11;
    let place = &mut world.places[PLACE_OF[slice]];
    place.epoch = place.epoch.next();
}

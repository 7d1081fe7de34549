//! The planner: from what is wanted and what was seen to the plan. Pure; no choice is left to its execution. The linter does not
//! share any of this.
//!
//! A rollback is held up by nothing that can be said instead: what would be a problem going forward (a slice that cannot be
//! reached, `needs` on something that is not there) is a notice there.

use super::base::{base, way_back};
use super::choose::Chosen;
use super::input::{PlanInput, ServiceInput, SliceInput, StrategyInput};
use super::notice::{names, of};
use super::problem::{MOST_SLICES, PlanProblem};
use super::strategy::{Grouping, Now, allowed, group};
use super::waves::{Node, sort};
use super::{Change, Kind, Limits, Plan, PlannedService, PlannedSlice};
use crate::id::{Fingerprint, PlaceId, PlaceIx, ServiceIx, ServiceName, SliceIx, SliceName, UnitId, UnitIx};
use crate::port::target::{Difference, Runs};
use crate::time::format_duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Makes the plan.
///
/// # Errors
/// All problems at once; none of them is a matter of waiting but [`PlanProblem::Armed`] and [`PlanProblem::Unreachable`].
pub fn build(input: &PlanInput<'_>) -> Result<Plan, Vec<PlanProblem>> {
    let mut planner = Planner {
        input,
        rollback: input.kind == Kind::Rollback,
        problems: Vec::new(),
        notices: Vec::new(),
    };
    let plan = planner.plan();
    match plan {
        Some(plan) if planner.problems.is_empty() => Ok(plan),
        _ => Err(planner.problems),
    }
}

/// A plan in the making: what is wrong and what is to be said is collected on the way.
pub(super) struct Planner<'a> {
    pub(super) input: &'a PlanInput<'a>,
    pub(super) rollback: bool,
    pub(super) problems: Vec<PlanProblem>,
    pub(super) notices: Vec<String>,
}

impl Planner<'_> {
    /// `None` where a problem makes going on pointless.
    fn plan(&mut self) -> Option<Plan> {
        self.check_whole(&self.input.limits);
        let (chosen, left_out) = self.choose();
        let slices: usize = chosen.iter().map(|chosen| chosen.service.slices.len()).sum();
        if slices == 0 {
            if self.problems.is_empty() {
                self.problems.push(PlanProblem::Empty);
            }
            return None;
        }
        if slices > MOST_SLICES {
            self.problems.push(PlanProblem::TooManySlices { slices });
            return None;
        }
        let needs = self.needs(&chosen, &left_out);
        let nodes: Vec<_> = chosen
            .iter()
            .zip(needs)
            .map(|(chosen, needs)| Node {
                name: &chosen.service.name,
                last: chosen.change == Change::Remove,
                needs,
            })
            .collect();
        let order = match sort(&nodes) {
            Ok(order) => order,
            Err(circle) => {
                let services = circle.into_iter().map(|at| nodes[at].name.clone()).collect();
                self.problems.push(PlanProblem::Cycle { services });
                return None;
            }
        };
        let base = base(&self.input.facts, &chosen.iter().map(|chosen| chosen.service));
        self.say_base(&base);
        let (places, units) = self.places_and_units(&chosen);
        let mut plan = Plan {
            kind: self.input.kind,
            environment: self.input.environment.clone(),
            release: self.input.reference,
            base,
            config: self.input.config,
            places: places.keys().map(|place| (*place).clone()).collect(),
            units: units.keys().map(|unit| (*unit).clone()).collect(),
            services: Vec::with_capacity(chosen.len()),
            slices: Vec::with_capacity(slices),
            limits: self.input.limits,
            notices: Vec::new(),
            differences: Vec::new(),
        };
        let mut position = vec![ServiceIx(0); chosen.len()];
        for (ix, at) in (0..=u16::MAX).map(ServiceIx).zip(&order) {
            position[*at] = ix;
        }
        for at in &order {
            let mut needs: Vec<_> = nodes[*at].needs.iter().map(|need| position[*need]).collect();
            needs.sort_unstable();
            self.add(&mut plan, &chosen[*at], needs, &places, &units);
        }
        self.disarm(&mut plan);
        plan.notices = std::mem::take(&mut self.notices);
        Some(plan)
    }

    fn check_whole(&mut self, limits: &Limits) {
        let zero = [
            ("activation", limits.activation == Duration::ZERO),
            ("going_back", limits.going_back == Duration::ZERO),
            ("attempts", limits.attempts == 0),
        ];
        for (limit, _) in zero.into_iter().filter(|(_, zero)| *zero) {
            self.problems.push(PlanProblem::ZeroLimit { limit });
        }
        if let Some(floor) = self.input.floor
            && self.rollback
            && self.input.reference.number < floor
        {
            self.problems.push(PlanProblem::BelowFloor {
                release: self.input.reference.number,
                floor,
            });
        }
    }

    /// All places and units with their indices, each in the order of its name.
    fn places_and_units<'b>(
        &mut self,
        chosen: &[Chosen<'b>],
    ) -> (BTreeMap<&'b PlaceId, PlaceIx>, BTreeMap<&'b UnitId, UnitIx>) {
        let mut places = BTreeMap::new();
        let mut units: BTreeMap<&UnitId, &PlaceId> = BTreeMap::new();
        let mut owners: BTreeMap<&UnitId, &ServiceName> = BTreeMap::new();
        let slices = chosen.iter().flat_map(|chosen| {
            chosen
                .service
                .slices
                .iter()
                .map(move |slice| (&chosen.service.name, slice))
        });
        for (service, slice) in slices {
            let (place, unit) = (&slice.spec.place, &slice.spec.unit);
            let owner = *owners.entry(unit).or_insert(service);
            if owner != service {
                self.problems.push(PlanProblem::UnitOfTwoServices {
                    unit: unit.clone(),
                    first: owner.clone(),
                    second: service.clone(),
                });
            }
            places.insert(place, PlaceIx(0));
            let first = *units.entry(unit).or_insert(place);
            if first != place {
                self.problems.push(PlanProblem::UnitInTwoPlaces {
                    unit: unit.clone(),
                    first: first.clone(),
                    second: place.clone(),
                });
            }
        }
        for (index, at) in (0..=u16::MAX).zip(places.values_mut()) {
            *at = PlaceIx(index);
        }
        let units = units.into_keys().zip((0..=u16::MAX).map(UnitIx)).collect();
        (places, units)
    }

    /// Adds one service with its slices.
    fn add(
        &mut self,
        plan: &mut Plan,
        chosen: &Chosen<'_>,
        needs: Vec<ServiceIx>,
        places: &BTreeMap<&PlaceId, PlaceIx>,
        units: &BTreeMap<&UnitId, UnitIx>,
    ) {
        let Chosen { service, change } = *chosen;
        self.check_slices(service);
        if change != Change::Remove {
            self.check_places(service);
        }
        let ix = ServiceIx(u16::try_from(plan.services.len()).expect("no more services than slices"));
        let first = plan.slices.len();
        for slice in &service.slices {
            let now = now(slice);
            plan.slices.push(PlannedSlice {
                name: slice.spec.name.clone(),
                service: ix,
                place: places[&slice.spec.place],
                unit: units[&slice.spec.unit],
                way_back: way_back(plan.kind, change, &now, service.abilities),
                now,
                hold: Duration::ZERO,
            });
            let named = |difference| Difference {
                service: Some(service.name.clone()),
                ..difference
            };
            plan.differences.extend(slice.difference.clone().map(named));
        }
        let grouping = self.grouping(service, change);
        for (batch, hold) in grouping.batches.iter().zip(&grouping.holds) {
            for at in batch {
                plan.slices[first + at].hold = *hold;
            }
        }
        let max_failures = self.budget(service, change, &grouping);
        let index = |at: usize| SliceIx(u16::try_from(first + at).expect("the slices were counted"));
        plan.services.push(PlannedService {
            name: service.name.clone(),
            target: service.target.clone(),
            change,
            needs,
            batches: grouping
                .batches
                .into_iter()
                .map(|batch| batch.into_iter().map(index).collect())
                .collect(),
            on_failure: service.on_failure,
            max_failures,
            bake: if self.rollback {
                Duration::ZERO
            } else {
                service.bake
            },
            abilities: service.abilities,
            interrupts: grouping.interrupts,
        });
        if change == Change::Move {
            let interrupts = grouping.interrupts && !plan.leaves(ix);
            self.say_service(service, interrupts, &plan.slices[first..]);
        }
    }

    fn check_slices(&mut self, service: &ServiceInput) {
        let mut seen = BTreeSet::new();
        let mut unreachable: Vec<&SliceName> = Vec::new();
        for slice in &service.slices {
            let name = &slice.spec.name;
            if !seen.insert(name) {
                self.problems.push(PlanProblem::SliceTwice {
                    service: service.name.clone(),
                    slice: name.clone(),
                });
            }
            match (&slice.seen.runs, slice.seen.armed) {
                (Err(_), _) if self.rollback => unreachable.push(name),
                (Err(failure), _) => self.problems.push(PlanProblem::Unreachable {
                    service: service.name.clone(),
                    slice: name.clone(),
                    failure: Box::new(failure.clone()),
                }),
                (Ok(_), Some(fires_in)) if self.rollback => self.notices.push(of(
                    &service.name,
                    format!(
                        "{name} may still go back by itself, in {}, under an older claim",
                        format_duration(fires_in)
                    ),
                )),
                (Ok(_), Some(fires_in)) => self.problems.push(PlanProblem::Armed {
                    service: service.name.clone(),
                    slice: name.clone(),
                    fires_in,
                }),
                (Ok(_), None) => {}
            }
        }
        if !unreachable.is_empty() {
            self.notices.push(of(
                &service.name,
                format!(
                    "{} cannot be looked at now: what runs there is not known, and what it needs waits for it",
                    names(&unreachable)
                ),
            ));
        }
    }

    fn grouping(&mut self, service: &ServiceInput, change: Change) -> Grouping {
        if change != Change::Move {
            return Grouping {
                batches: vec![(0..service.slices.len()).collect()],
                holds: Vec::new(),
                interrupts: false,
                cut: None,
            };
        }
        let seen: Vec<_> = service
            .slices
            .iter()
            .map(|slice| match slice.seen.runs {
                Ok(Runs::Nothing) => Now::Nothing,
                Ok(Runs::Release { .. }) => Now::Something,
                Err(_) => Now::Unknown,
            })
            .collect();
        let mut grouping = group(&service.strategy, &seen);
        if self.rollback && grouping.holds.iter().any(|hold| !hold.is_zero()) {
            grouping.holds.fill(Duration::ZERO);
            let said = "the canary's steps do not wait while rolling back";
            self.notices.push(of(&service.name, said));
        }
        if let Some(asked) = grouping.cut {
            self.notices.push(of(
                &service.name,
                format!("a batch of {asked} would take all slices at once: one is left to serve"),
            ));
        }
        grouping
    }

    /// How many slices of a service may fail without turning back: never all of them, and none in a rollback, which goes on past any.
    fn budget(&mut self, service: &ServiceInput, change: Change, grouping: &Grouping) -> u16 {
        let StrategyInput::Rolling {
            max_failures: Some(asked),
            ..
        } = service.strategy
        else {
            return 0;
        };
        if self.rollback || change != Change::Move {
            return 0;
        }
        if !service.abilities.stops {
            self.problems.push(PlanProblem::CannotStop {
                service: service.name.clone(),
                target: service.target.clone(),
            });
            return 0;
        }
        let count = service.slices.len();
        let budget = allowed(asked, count);
        let widest = grouping.batches.iter().map(Vec::len).max().unwrap_or_default();
        self.say_budget(service, asked, budget, widest);
        u16::try_from(budget).unwrap_or(u16::MAX)
    }

    /// A slice is armed only if everything that needs it can be: a revert that fires must not leave what needs it on the release.
    /// A rollback arms nothing.
    fn disarm(&mut self, plan: &mut Plan) {
        let mut unarmed: BTreeMap<usize, ServiceName> = BTreeMap::new();
        for at in (0..plan.services.len()).rev() {
            let service = &mut plan.services[at];
            if self.rollback {
                service.abilities.arms = false;
                continue;
            }
            let blocker = match unarmed.get(&at) {
                Some(blocker) => {
                    if service.abilities.arms && service.change == Change::Move {
                        self.notices.push(of(
                            &service.name,
                            format!("not armed, because {blocker} needs it and cannot arm a revert"),
                        ));
                    }
                    service.abilities.arms = false;
                    Some(blocker.clone())
                }
                None if service.change == Change::Move && !service.abilities.arms => {
                    Some(service.name.clone())
                }
                None => None,
            };
            if let Some(blocker) = blocker {
                for need in service.needs.clone() {
                    unarmed.entry(need.at()).or_insert_with(|| blocker.clone());
                }
            }
        }
    }
}

/// What runs in a slice. Where that cannot be learned, what ran there last; else a fingerprint that nothing has, so that nothing
/// is taken for it.
fn now(slice: &SliceInput) -> Runs {
    match (&slice.seen.runs, &slice.last_known) {
        (Ok(runs), _) | (Err(_), Some(runs)) => runs.clone(),
        (Err(_), None) => Runs::Release {
            fingerprint: Fingerprint::new("not known").expect("a label"),
            release: None,
        },
    }
}

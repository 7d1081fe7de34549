//! Which services are part of a plan, what happens to each, and whom it waits for.
//!
//! - Absent from the release: left alone as it runs, and not part of the plan. So a rollback to a release from before a service
//!   was added leaves that service running, and says so: removing it is `deploy retire`, never a side effect of going back.
//! - Not made, by a program that lacked its kind of target: a problem going forward; going back it is as absent.
//! - Dropped from the manifest: removed at the end, where the target can; else left alone, and said.
//! - Every slice known to run what is wanted: kept, which means looked at. Everything else moves.

use super::Change;
use super::build::Planner;
use super::input::{ServiceInput, SliceInput};
use super::notice::of;
use super::problem::PlanProblem;
use crate::id::ServiceName;
use crate::model::Entry;
use crate::port::target::Runs;
use std::collections::{BTreeMap, BTreeSet};

/// A service that is part of the plan.
pub(super) struct Chosen<'a> {
    pub(super) service: &'a ServiceInput,
    pub(super) change: Change,
}

/// Why a service of the environment is not part of the plan.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftOut {
    Absent,
    NotMade,
    Dropped,
    Disabled,
}

impl<'a> Planner<'a> {
    /// Which services are part of the plan, by name, and why the others are not.
    pub(super) fn choose(&mut self) -> (Vec<Chosen<'a>>, BTreeMap<&'a ServiceName, LeftOut>) {
        let mut left_out: BTreeMap<_, _> = self
            .input
            .disabled
            .iter()
            .map(|name| (name, LeftOut::Disabled))
            .collect();
        let mut services: Vec<_> = self.input.services.iter().collect();
        services.sort_by_key(|service| &service.name);
        for pair in services.windows(2) {
            if pair[0].name == pair[1].name {
                let service = pair[0].name.clone();
                self.problems.push(PlanProblem::ServiceTwice { service });
            }
        }
        let mut chosen = Vec::new();
        for service in services {
            if left_out.contains_key(&service.name) {
                continue;
            }
            match self.change(service) {
                Ok(change) => chosen.push(Chosen { service, change }),
                Err(why) => {
                    left_out.insert(&service.name, why);
                }
            }
        }
        (chosen, left_out)
    }

    fn change(&mut self, service: &ServiceInput) -> Result<Change, LeftOut> {
        let nothing = |slice: &SliceInput| slice.seen.runs == Ok(Runs::Nothing);
        let gone = service.slices.iter().all(nothing);
        if service.dropped {
            if gone {
                return Err(LeftOut::Dropped);
            }
            if !service.abilities.removes {
                let text = format!(
                    "dropped, but {} cannot remove it: left as it runs",
                    service.target
                );
                self.notices.push(of(&service.name, text));
                return Err(LeftOut::Dropped);
            }
            self.notices.push(of(
                &service.name,
                "dropped: removed at the end, without a way back",
            ));
            return Ok(Change::Remove);
        }
        match self.input.release.entries.get(&service.name) {
            Some(Entry::Artifact(_)) => {}
            Some(Entry::NotMade) if !self.rollback => {
                let service = service.name.clone();
                let release = self.input.reference.number;
                self.problems.push(PlanProblem::NotMade { service, release });
                return Err(LeftOut::NotMade);
            }
            Some(Entry::Absent | Entry::NotMade) | None => {
                if !gone {
                    let text = format!(
                        "not part of {}: left as it runs; `deploy retire {} -e {}` removes it",
                        self.input.reference.number, service.name, self.input.environment
                    );
                    self.notices.push(of(&service.name, text));
                }
                return Err(LeftOut::Absent);
            }
        }
        if service.slices.is_empty() {
            let service = service.name.clone();
            self.problems.push(PlanProblem::NoSlice { service });
        }
        let there = |slice: &SliceInput| matches!((&slice.seen.runs, &slice.wanted), (Ok(now @ Runs::Release { .. }), Some(wanted)) if now == wanted);
        Ok(if service.slices.iter().all(there) {
            Change::Keep
        } else {
            Change::Move
        })
    }

    /// For each chosen service the positions of those it needs.
    pub(super) fn needs(
        &mut self,
        chosen: &[Chosen<'_>],
        left_out: &BTreeMap<&ServiceName, LeftOut>,
    ) -> Vec<BTreeSet<usize>> {
        let mut all = Vec::with_capacity(chosen.len());
        for of_one in chosen {
            let mut resolved = BTreeSet::new();
            // What is removed at the end is only looked at before: in no order.
            let wanted: BTreeSet<_> = match of_one.change {
                Change::Remove => BTreeSet::new(),
                Change::Move | Change::Keep => of_one.service.needs.iter().collect(),
            };
            for need in wanted {
                let found = chosen.binary_search_by_key(&need, |chosen| &chosen.service.name);
                let (service, needs) = (of_one.service.name.clone(), need.clone());
                let (why, problem) = match (found, left_out.get(need)) {
                    (Ok(at), _) if chosen[at].change != Change::Remove => {
                        resolved.insert(at);
                        continue;
                    }
                    (Ok(_), _) | (Err(_), Some(LeftOut::Dropped)) => {
                        ("dropped", Some(PlanProblem::NeedsDropped { service, needs }))
                    }
                    (Err(_), Some(LeftOut::Absent)) => (
                        "absent from the release",
                        Some(PlanProblem::NeedsAbsent { service, needs }),
                    ),
                    // That is said of the service itself.
                    (Err(_), Some(LeftOut::NotMade)) => continue,
                    (Err(_), Some(LeftOut::Disabled)) => ("disabled here", None),
                    (Err(_), None) => (
                        "no service here",
                        Some(PlanProblem::UnknownNeed { service, needs }),
                    ),
                };
                match problem {
                    Some(problem) if !self.rollback => self.problems.push(problem),
                    _ => self.notices.push(of(
                        &of_one.service.name,
                        format!("needs {need}, which is {why}: it does not wait for it"),
                    )),
                }
            }
            all.push(resolved);
        }
        all
    }
}

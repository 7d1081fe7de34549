//! Surveys and looks: what every slice runs, told relative to the deployment.

use super::facts::Facts;
use super::gone;
use super::health;
use super::retry::{Patience, retry};
use super::wiring::Bound;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{PlaceIx, SliceIx, SliceName};
use deploy_core::machine::state::Hold;
use deploy_core::machine::{Answer, Failed, Machine, Sight, SliceSight};
use deploy_core::plan::{Kind, Plan};
use deploy_core::port::target::{Claim, Runs, SliceSeen};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// What a survey needs, owned, so that it can run by itself.
pub(super) struct Scope {
    pub(super) plan: std::sync::Arc<Plan>,
    pub(super) bound: std::sync::Arc<Vec<Bound>>,
    pub(super) facts: Facts,
    /// The claims in force, by place; none where it could not be had.
    pub(super) claims: Vec<Option<Claim>>,
    /// Nothing was touched yet: what runs must be what the plan saw.
    pub(super) untouched: bool,
    /// What has to be left until a revert for its slice to count as armed.
    pub(super) to_spare: Duration,
    pub(super) patience: Patience,
    /// Counts suspension: a machine that slept has looked at nothing.
    pub(super) clock: std::sync::Arc<dyn crate::clock::Clock>,
}

impl Scope {
    /// The claims that the machine holds.
    pub(super) fn claims(machine: &Machine, claim: impl Fn(PlaceIx) -> Option<Claim>) -> Vec<Option<Claim>> {
        (0u16..)
            .zip(&machine.state().places)
            .map(|(at, place)| {
                if place.hold == Hold::Held {
                    claim(PlaceIx(at))
                } else {
                    None
                }
            })
            .collect()
    }

    /// Looks at every slice, all services at once. With `health`, one look of every probe too, and of what was stopped, that nothing
    /// answers there. What is seen is fresh if it began less
    /// than the shortest remaining deadline ago: nothing that was armed can have gone back since.
    pub(super) async fn look(&self, health: bool) -> Answer {
        let began = self.clock.steady();
        let seen = match self.observe().await {
            Ok(seen) => seen,
            Err(failure) => {
                return Answer::Failed {
                    how: Failed::Unreachable,
                    slice: None,
                    failure,
                };
            }
        };
        let mut sights = Vec::with_capacity(self.plan.slices.len());
        let mut runs = Vec::with_capacity(self.plan.slices.len());
        let (mut outdated, mut trouble, mut unfinished, mut shortest) = (false, None, None, None);
        for slice in self.plan.slice_indices() {
            let planned = self.plan.slice(slice);
            let service = self.plan.service(planned.service);
            let seen = seen.get(&(planned.service.at(), planned.name.clone()));
            let (sight, what) = match seen.map(|seen| (&seen.runs, seen)) {
                Some((Ok(what), seen)) => {
                    if let Some(claim) = &self.claims[planned.place.at()]
                        && let Err(failure) = still_ours(claim, seen)
                    {
                        return Answer::Failed {
                            how: Failed::Fenced,
                            slice: Some(slice),
                            failure,
                        };
                    }
                    outdated |= !what.is_same(&planned.now);
                    unfinished = unfinished.or_else(|| {
                        let why = seen.inside.unfinished.as_ref()?;
                        let next = "deploy status --refresh looks at what runs now";
                        let failure = Failure::new(Code::RemoteFailed, why.clone(), next);
                        Some(failure.on(&service.name, Some(&planned.name)))
                    });
                    (self.sight(slice, what), Some(what.clone()))
                }
                Some((Err(failure), _)) => {
                    trouble.get_or_insert_with(|| failure.clone().on(&service.name, Some(&planned.name)));
                    (Sight::Unreachable, None)
                }
                None => {
                    trouble.get_or_insert_with(|| {
                        Failure::new(
                            Code::Overtaken,
                            "the slice is not there any more",
                            "deploy plan shows what is",
                        )
                        .on(&service.name, Some(&planned.name))
                    });
                    (Sight::Foreign, None)
                }
            };
            let left = seen.and_then(|seen| seen.armed);
            shortest = shortest.into_iter().chain(left).min();
            // What an older deployment armed moves yet. A rollback goes over it.
            outdated |= left.is_some() && self.plan.kind != Kind::Rollback;
            let armed = left.is_some_and(|left| left > self.to_spare);
            sights.push(SliceSight {
                runs: sight,
                armed,
                healthy: true,
            });
            runs.push(what);
        }
        if health {
            for (slice, not_well) in self.unwell().await {
                // Where nobody could look, nobody has seen that it is unwell.
                if not_well.how == Failed::Unreachable {
                    sights[slice.at()].runs = Sight::Unreachable;
                } else {
                    sights[slice.at()].healthy = false;
                }
                let planned = self.plan.slice(slice);
                trouble.get_or_insert_with(|| {
                    not_well
                        .failure
                        .on(&self.plan.service(planned.service).name, Some(&planned.name))
                });
            }
        }
        let fresh = shortest.is_none_or(|left| self.clock.steady().since(began) < left);
        Answer::Seen {
            seen: sights,
            runs,
            outdated: self.untouched && outdated,
            fresh,
            failure: trouble.or(unfinished),
        }
    }

    /// Returns once every slice can be looked at.
    pub(super) async fn until_reachable(&self) -> Answer {
        loop {
            let all = self
                .observe()
                .await
                .is_ok_and(|seen| seen.values().all(|seen| seen.runs.is_ok()));
            if all {
                return Answer::Done { warning: None };
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    async fn observe(&self) -> Result<BTreeMap<(usize, SliceName), SliceSeen>, Failure> {
        let mut tasks = JoinSet::new();
        for (at, (bound, service)) in self.bound.iter().zip(&self.plan.services).enumerate() {
            let names: Vec<_> = service
                .batches
                .iter()
                .flatten()
                .map(|slice| self.plan.slice(*slice).name.clone())
                .collect();
            let (target, patience) = (std::sync::Arc::clone(&bound.target), self.patience);
            tasks.spawn(async move { (at, observe_patiently(&*target, &names, patience).await) });
        }
        let mut all = BTreeMap::new();
        while let Some(joined) = tasks.join_next().await {
            let (at, seen) = joined.map_err(|error| {
                Failure::new(Code::Defect, "a look ended in a panic", "please report it").caused_by(&error)
            })?;
            for seen in seen? {
                all.insert((at, seen.slice.clone()), seen);
            }
        }
        Ok(all)
    }

    async fn unwell(&self) -> Vec<(SliceIx, health::NotWell)> {
        let mut tasks = JoinSet::new();
        for slice in self.plan.slice_indices() {
            let planned = self.plan.slice(slice);
            let Some(eyes) = self.bound[planned.service.at()].eyes.get(&planned.name).cloned() else {
                continue;
            };
            let eyes = self.facts.turned(&self.plan, slice, eyes);
            let stopped = self.facts.stopping.contains(&slice);
            tasks.spawn(async move {
                let not_well = if stopped {
                    gone::still_silent(&eyes).await.err()
                } else {
                    health::look(&*eyes.probe, &eyes.new).await.not_well()
                };
                (slice, not_well)
            });
        }
        let mut unwell = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            if let Ok((slice, Some(not_well))) = joined {
                unwell.push((slice, not_well));
            }
        }
        unwell.sort_by_key(|(slice, _)| *slice);
        unwell
    }

    /// What runs, relative to this deployment.
    fn sight(&self, slice: SliceIx, what: &Runs) -> Sight {
        let old = what.is_same(self.facts.old(&self.plan, slice));
        let new = self
            .facts
            .will_be
            .get(&slice)
            .is_some_and(|will_be| what.is_same(will_be));
        match (old, new) {
            (true, true) => Sight::Both,
            (true, false) => Sight::Old,
            (false, true) => Sight::New,
            (false, false) if *what == Runs::Nothing && self.facts.stopping.contains(&slice) => Sight::Gone,
            (false, false) => Sight::Foreign,
        }
    }
}

/// A foreign, lower or missing claim during a deployment is a foreign change.
fn still_ours(claim: &Claim, seen: &SliceSeen) -> Result<(), Failure> {
    let held = seen.held.as_ref();
    let ours = held.is_some_and(|held| {
        held.store == claim.store
            && held.deployment.as_ref() == Some(&claim.deployment)
            && held.epoch == claim.epoch
    });
    if ours {
        return Ok(());
    }
    let who = held.map_or_else(|| "nobody".to_owned(), |held| held.note.who.clone());
    Err(Failure::new(
        Code::Fenced,
        format!(
            "the claim on slice {} is not ours any more: {who} holds it",
            seen.slice
        ),
        "deploy status --refresh looks at what runs now",
    ))
}

/// Observes, again while some slice cannot be reached and patience for that lasts.
async fn observe_patiently(
    target: &dyn deploy_core::port::target::Target,
    names: &[SliceName],
    patience: Patience,
) -> Result<Vec<SliceSeen>, Failure> {
    let end = tokio::time::Instant::now() + patience.for_unreachable();
    loop {
        let seen = retry(patience, || target.observe(names))
            .await
            .map_err(|error| *error.failure)?;
        if seen.iter().all(|seen| seen.runs.is_ok()) || tokio::time::Instant::now() >= end {
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

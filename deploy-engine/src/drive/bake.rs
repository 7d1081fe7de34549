//! Watching: what was verified while others still move, and everything while baking.

use super::facts::Facts;
use super::health::{self, NotWell};
use super::wiring::Bound;
use deploy_core::failure::Failure;
use deploy_core::health::{Finding, ProbeSpec, Vigil, Watch};
use deploy_core::id::SliceIx;
use deploy_core::machine::Answer;
use deploy_core::plan::Plan;
use deploy_core::port::probe::Probe;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What is watched.
pub(super) struct Watched {
    pub(super) plan: Arc<Plan>,
    pub(super) bound: Arc<Vec<Bound>>,
    pub(super) slices: Vec<SliceIx>,
    pub(super) facts: Facts,
}

impl Watched {
    /// Looks until something is not well; never ends otherwise. What cannot be reached is not called unhealthy.
    pub(super) async fn until_unwell(&self) -> Answer {
        match self.first_unwell(Watch::WhileOthersMove).await {
            Some((slice, not_well)) => {
                let failure = self.named(slice, not_well.failure);
                Answer::Failed {
                    how: not_well.how,
                    slice: Some(slice),
                    failure,
                }
            }
            None => std::future::pending().await,
        }
    }

    /// Watches each slice for what is left of its service's bake; what cannot be looked at extends that, up to `limit`.
    pub(super) async fn bake(&self, left: Duration, limit: Duration) -> Answer {
        if let Some((slice, not_well)) = self.first_unwell(Watch::Bake { left, limit }).await {
            let failure = self.named(slice, not_well.failure);
            return Answer::Failed {
                how: not_well.how,
                slice: Some(slice),
                failure,
            };
        }
        Answer::Done { warning: None }
    }

    async fn first_unwell(&self, watch: Watch) -> Option<(SliceIx, NotWell)> {
        let mut tasks = JoinSet::new();
        for slice in &self.slices {
            let planned = self.plan.slice(*slice);
            let Some(eyes) = self.bound[planned.service.at()].eyes.get(&planned.name).cloned() else {
                continue;
            };
            let eyes = self.facts.turned(&self.plan, *slice, eyes);
            if eyes.new.is_empty() {
                continue;
            }
            let slice = *slice;
            tasks.spawn(async move { (slice, watch_one(&*eyes.probe, &eyes.new, watch).await) });
        }
        if tasks.is_empty()
            && let Watch::Bake { left, .. } = watch
        {
            tokio::time::sleep(left).await;
        }
        while let Some(joined) = tasks.join_next().await {
            if let Ok((slice, Some(not_well))) = joined {
                return Some((slice, not_well));
            }
        }
        None
    }

    fn named(&self, slice: SliceIx, failure: Failure) -> Failure {
        let planned = self.plan.slice(slice);
        failure.on(&self.plan.service(planned.service).name, Some(&planned.name))
    }
}

/// Looks until the vigil is over; why it is not well, if that is why.
pub(super) async fn watch_one(probe: &dyn Probe, specs: &[ProbeSpec], watch: Watch) -> Option<NotWell> {
    let interval = specs.iter().map(|spec| spec.interval).min();
    let interval = interval.unwrap_or(Duration::from_secs(1));
    let began = Instant::now();
    let mut vigil = Vigil::new(watch);
    loop {
        let looked = health::look(probe, specs).await;
        match vigil.take(began.elapsed(), looked.verdict()) {
            Finding::GoesOn => {}
            Finding::Well => return None,
            Finding::NotWell => return looked.not_well(),
        }
        tokio::time::sleep(pause(interval, watch, began.elapsed())).await;
    }
}

/// Until the next look: an interval, but a bake ends when it is over, however rarely is looked.
fn pause(interval: Duration, watch: Watch, since: Duration) -> Duration {
    match watch {
        Watch::Bake { left, .. } if since < left => interval.min(left.saturating_sub(since)),
        Watch::Bake { .. } | Watch::WhileOthersMove => interval,
    }
}

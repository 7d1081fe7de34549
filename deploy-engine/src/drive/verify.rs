//! Looking at one slice after it moved, in either direction: the platform's word, then a window of unbroken passes. Also the last
//! look of going back, at every slice, those included that nobody touched.

use super::bake::watch_one;
use super::calls::{SHORT_LIMIT, failed, limited, told};
use super::facts::Facts;
use super::gone::{self, Gone};
use super::health::{self, NotWell};
use super::retry::{Patience, retry};
use super::runner::Runner;
use super::wiring::{Bound, Eyes};
use deploy_core::failure::{Code, Failure};
use deploy_core::health::{ProbeSpec, Watch};
use deploy_core::id::{SliceIx, SliceName};
use deploy_core::machine::{Answer, Effect, Failed, Machine};
use deploy_core::port::probe::Probe;
use deploy_core::port::target::{Checkpoint, HealthSeen, Inside, Op, Runs, Target};
use deploy_core::time::format_duration;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What a slice is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The release.
    New,
    /// What ran before.
    Old,
}

/// How a slice is looked at, and what is asked of it.
struct Looking {
    eyes: Option<Eyes>,
    side: Side,
    /// Nothing ran before, so that nothing may answer now.
    nothing: bool,
    switched: Option<Duration>,
    /// How long it is watched in all, where that is longer than its probes ask for.
    hold: Duration,
}

impl Looking {
    fn specs<'a>(&self, eyes: &'a Eyes) -> &'a [ProbeSpec] {
        match self.side {
            Side::New => &eyes.new,
            Side::Old => &eyes.old,
        }
    }

    fn probe<'a>(&self, eyes: &'a Eyes) -> &'a dyn Probe {
        match self.side {
            Side::New => &*eyes.probe,
            Side::Old => &*eyes.old_probe,
        }
    }

    /// Watches what settled for what is left of its hold: a few bad looks in a row end it at once, one breaks nothing.
    async fn held(
        &self,
        eyes: &Eyes,
        note: String,
        on_look: &mut (dyn FnMut(String) + Send),
    ) -> Result<String, NotWell> {
        let specs = self.specs(eyes);
        let longest = |of: fn(&ProbeSpec) -> Duration| specs.iter().map(of).max().unwrap_or_default();
        let left = self.hold.saturating_sub(longest(|spec| spec.healthy_for));
        if left.is_zero() {
            return Ok(note);
        }
        let hold = format_duration(self.hold);
        on_look(format!("{note}; watched until {hold} are over"));
        let watch = Watch::Bake {
            left,
            limit: left.saturating_add(longest(|spec| spec.deadline)),
        };
        match watch_one(self.probe(eyes), specs, watch).await {
            None => Ok(format!("{note}; watched for {hold}")),
            Some(not_well) => Err(not_well),
        }
    }

    /// Whether a probe sees the version that answers: then no list of processes says more.
    fn proves_version(&self) -> bool {
        let eyes = self.eyes.iter();
        eyes.flat_map(|eyes| self.specs(eyes))
            .any(|spec| spec.version.is_some())
    }

    /// Looks until every window is full; health, and what to say of it.
    async fn settle(
        &self,
        on_look: &mut (dyn FnMut(String) + Send),
    ) -> Result<(HealthSeen, String), NotWell> {
        let Some(eyes) = &self.eyes else {
            // Nobody but people can tell; the time is theirs.
            tokio::time::sleep(self.hold).await;
            let note = match self.side {
                Side::New => "no health check: only the platform was asked",
                Side::Old => "as it was",
            };
            return Ok((HealthSeen::Unknown, note.to_owned()));
        };
        let (health, note) = if self.nothing {
            let note = match gone::wait(eyes).await? {
                Gone::Seen => "nothing runs, and nothing of the release answers",
                Gone::NotTold => {
                    "nothing runs, as the platform says; no probe can tell whether something still answers"
                }
            };
            (HealthSeen::Stopped, note.to_owned())
        } else {
            let specs = self.specs(eyes);
            if specs.is_empty() {
                tokio::time::sleep(self.hold).await;
            }
            let (health, note) = health::settle(self.probe(eyes), specs, self.switched, on_look).await?;
            if specs.is_empty() {
                (health, note)
            } else {
                (health, self.held(eyes, note, on_look).await?)
            }
        };
        let untold = eyes.untold(self.side == Side::New);
        Ok(if untold.is_empty() {
            (health, note)
        } else {
            (
                HealthSeen::Unknown,
                format!("{note}; cannot be told: {}", untold.join("; ")),
            )
        })
    }

    /// Looks again at what settled before: one pass is enough, and one bad look condemns nothing.
    async fn again(&self) -> Result<(), NotWell> {
        let Some(eyes) = &self.eyes else { return Ok(()) };
        if self.nothing {
            return gone::still_gone(eyes).await;
        }
        let specs = self.specs(eyes);
        let deadlines = specs.iter().map(|spec| spec.deadline);
        let watch = Watch::Bake {
            left: Duration::ZERO,
            limit: deadlines.max().unwrap_or_default(),
        };
        watch_one(self.probe(eyes), specs, watch)
            .await
            .map_or(Ok(()), Err)
    }
}

impl Runner {
    fn looking(&self, slice: SliceIx, side: Side, machine: &Machine, facts: &Facts) -> Looking {
        let eyes = self.eyes(slice).map(|eyes| facts.turned(&self.plan, slice, eyes));
        let was = facts.checkpoint(&self.plan, slice);
        let nothing = *facts.old(&self.plan, slice) == Runs::Nothing && machine.state().slice(slice).moves;
        match side {
            Side::New => Looking {
                eyes,
                side,
                nothing: false,
                switched: machine.state().slice(slice).moves.then_some(Duration::ZERO),
                hold: self.plan.slice(slice).hold,
            },
            // Going back need not be better than it was.
            Side::Old => {
                let healthy = was.is_some_and(|was: &Checkpoint| was.health == HealthSeen::Healthy);
                Looking {
                    eyes: eyes.filter(|_| healthy || nothing),
                    side,
                    nothing,
                    switched: None,
                    hold: Duration::ZERO,
                }
            }
        }
    }

    /// Whether a slice runs what it should, and is well.
    pub(super) fn verify(
        &self,
        effect: Effect,
        slice: SliceIx,
        side: Side,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (bound, op, name) = self.on_slice(effect, slice, machine, SHORT_LIMIT);
        let old = || facts.old(&self.plan, slice);
        let wanted = match side {
            Side::New => facts.will_be.get(&slice).unwrap_or_else(old),
            Side::Old => old(),
        }
        .clone();
        let looking = self.looking(slice, side, machine, facts);
        // What the step itself said is worth more than what is found of it afterwards.
        let suspicion = facts.suspicions.get(&slice).cloned();
        let sink = Arc::clone(&op.progress);
        Box::pin(async move {
            let inside = match platform_says(&*bound.target, &op, &name, &wanted).await {
                Ok(inside) => inside,
                Err(answer) => {
                    return match (answer, suspicion) {
                        (
                            Answer::Failed {
                                how: how @ Failed::NotDone,
                                slice,
                                ..
                            },
                            Some(failure),
                        ) => Answer::Failed { how, slice, failure },
                        (answer, _) => answer,
                    };
                }
            };
            match looking.settle(&mut |line| sink.step(0, 0, &line)).await {
                Ok((health, note)) => {
                    let mut note = with_edits(note, &inside);
                    // What was draining at the first look has had the probes' whole window to end.
                    if !looking.proves_version()
                        && !inside.left.is_empty()
                        && let Ok(later) = platform_says(&*bound.target, &op, &name, &wanted).await
                    {
                        note = with_left(note, &later);
                    }
                    Answer::Verified { health, note }
                }
                Err(not_well) => Answer::Failed {
                    how: not_well.how,
                    slice: Some(slice),
                    failure: not_well.failure,
                },
            }
        })
    }

    /// The last look of going back: health first, of all that was well before (what was put back may have suffered since, while
    /// others were), and that nothing answers where nothing ran; then what runs everywhere, under our claims.
    pub(super) fn look_back(
        &self,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let scope = self.scope(machine, facts);
        let looks: Vec<_> = self
            .plan
            .slice_indices()
            .map(|slice| {
                let looking = self.looking(slice, Side::Old, machine, facts);
                (slice, machine.state().slice(slice).touched(), looking)
            })
            .filter(|(slice, touched, looking)| {
                // Where nothing ran and nobody touched anything, there is nothing to answer for.
                looking.eyes.is_some() && (*touched || *facts.old(&self.plan, *slice) != Runs::Nothing)
            })
            .collect();
        let plan = Arc::clone(&self.plan);
        Box::pin(async move {
            let mut tasks = JoinSet::new();
            for (slice, touched, looking) in looks {
                tasks.spawn(async move {
                    let looked = if touched {
                        looking.again().await
                    } else {
                        // Nobody has looked since it was surveyed.
                        looking.settle(&mut |_| {}).await.map(drop)
                    };
                    (slice, looked)
                });
            }
            let mut unwell = Vec::new();
            while let Some(joined) = tasks.join_next().await {
                // What cannot be looked at is not called unhealthy: the platform is asked below.
                if let Ok((slice, Err(not_well))) = joined
                    && not_well.how != Failed::Unreachable
                {
                    unwell.push((slice, not_well.failure));
                }
            }
            unwell.sort_by_key(|(slice, _)| *slice);
            let mut answer = scope.look(false).await;
            if let Answer::Seen { seen, failure, .. } = &mut answer {
                for (slice, why) in unwell {
                    seen[slice.at()].healthy = false;
                    let planned = plan.slice(slice);
                    let service = &plan.service(planned.service).name;
                    failure.get_or_insert_with(|| why.on(service, Some(&planned.name)));
                }
            }
            answer
        })
    }

    pub(super) fn eyes(&self, slice: SliceIx) -> Option<Eyes> {
        let planned = self.plan.slice(slice);
        let bound: &Bound = &self.bound[planned.service.at()];
        bound.eyes.get(&planned.name).cloned()
    }

    /// Health before anything is touched, recorded once with the checkpoint.
    pub(super) fn health_before(&self, slice: SliceIx) -> impl Future<Output = HealthSeen> + Send + use<> {
        let eyes = self.eyes(slice);
        async move {
            match eyes {
                Some(eyes) => health::look(&*eyes.old_probe, &eyes.old).await.word().0,
                None => HealthSeen::Unknown,
            }
        }
    }
}

/// A note of what was verified, with what is not as it was put there: no failure, and nothing to keep quiet about.
fn with_edits(note: String, inside: &Inside) -> String {
    if inside.edited.is_empty() {
        return note;
    }
    let edited = Inside::few(&inside.edited);
    format!("{note}; changed since it was put there: {edited}")
}

/// The same with what still runs from another release, where no probe proves which version answers. A process may be about to end,
/// or be somebody's shell: it is told, and no failure.
fn with_left(note: String, inside: &Inside) -> String {
    if inside.left.is_empty() {
        return note;
    }
    let left = Inside::few(&inside.left);
    format!("{note}; but {left}, and no probe has `version`")
}

/// What the platform says runs: what is inside it, or an answer where it is not what is wanted.
async fn platform_says(
    target: &dyn Target,
    op: &Op,
    slice: &SliceName,
    wanted: &Runs,
) -> Result<Inside, Answer> {
    let verb = retry(Patience::Transient(op.limit), || target.verify(op, slice, wanted));
    let seen = limited(op.limit, verb).await.map_err(failed)?;
    match seen.runs {
        Ok(runs) if runs.is_same(wanted) => Ok(seen.inside),
        Ok(runs) => Err(Answer::Failed {
            how: Failed::Overtaken,
            slice: None,
            failure: Failure::new(
                Code::Overtaken,
                format!("slice {slice} runs {} and not {}", told(&runs), told(wanted)),
                "find out who changed it: deploy status --refresh",
            ),
        }),
        Err(failure) => Err(Answer::Failed {
            how: Failed::Unreachable,
            slice: None,
            failure,
        }),
    }
}

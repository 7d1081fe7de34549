//! How many steps the machine takes in a second: a deployment of one service with sixteen slices, or as many as the first argument
//! says, from its plan to success, with every effect answered at once. A step is one answer: `outstanding`, `decide`, and `apply`
//! of what follows.
//!
//! `cargo run --release -p deploy-core --example steps_per_second` prints one line of JSON for each way of driving.

use deploy_core::digest::Digest;
use deploy_core::event::{Event, Recorded};
use deploy_core::gate::Verdict;
use deploy_core::id::{
    Actor, EnvName, Epoch, Fingerprint, PlaceId, ReleaseNumber, Seq, ServiceName, SliceName, UnitId,
};
use deploy_core::machine::{Answer, Effect, Input, Machine, Outcome, Sight, SliceSight, Work};
use deploy_core::model::{ArtifactRef, Entry, Release};
use deploy_core::plan::{
    self, BaseFacts, Kind, Limits, OnFailure, Plan, PlanInput, ServiceInput, SliceInput,
};
use deploy_core::port::target::{
    Abilities, Checkpoint, Fence, HealthSeen, Inside, Runs, SliceSeen, SliceSpec,
};
use deploy_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SPAN: Duration = Duration::from_secs(2);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn plan(slices: usize) -> Result<Plan> {
    let old = Runs::Release {
        fingerprint: Fingerprint::new("old")?,
        release: None,
    };
    let slice = |number: usize| -> Result<SliceInput> {
        let name = SliceName::new(format!("web-{number}"))?;
        Ok(SliceInput {
            spec: SliceSpec {
                name: name.clone(),
                place: PlaceId::new(format!("ssh:{name}:/opt/shop"))?,
                unit: UnitId::new(format!("{name}:/opt/shop"))?,
            },
            seen: SliceSeen {
                inside: Inside::default(),
                slice: name,
                runs: Ok(old.clone()),
                held: None,
                armed: None,
                unbroken_since: None,
                kept: Vec::new(),
            },
            last_known: None,
            wanted: None,
            difference: None,
        })
    };
    let name = ServiceName::new("web")?;
    let release = Release {
        number: ReleaseNumber(42),
        entries: BTreeMap::from([(
            name.clone(),
            Entry::Artifact(ArtifactRef::Tree {
                digest: Digest::of("tree"),
            }),
        )]),
        files: Digest::of("deploy.toml"),
        sources: Vec::new(),
        version: None,
        development: false,
    };
    let service = ServiceInput {
        name,
        target: "ssh".to_owned(),
        needs: Vec::new(),
        strategy: "25%".parse().map(|batch| plan::StrategyInput::Rolling {
            batch,
            max_failures: None,
        })?,
        on_failure: OnFailure::Rollback,
        bake: Duration::from_mins(1),
        abilities: Abilities {
            fence: Fence::Lock,
            arms: true,
            removes: true,
            unbroken_since: false,
            stops: false,
        },
        slices: (0..slices).map(slice).collect::<Result<_>>()?,
        dropped: false,
    };
    let input = PlanInput {
        kind: Kind::Deploy,
        environment: EnvName::new("production")?,
        release: &release,
        reference: release.to_ref(),
        config: Digest::of("configuration"),
        limits: Limits {
            activation: Duration::from_mins(15),
            going_back: Duration::from_mins(10),
            bake: Duration::from_mins(5),
            attempts: 3,
        },
        services: vec![service],
        disabled: BTreeSet::new(),
        facts: BaseFacts::default(),
        floor: None,
    };
    plan::build(&input).map_err(|problems| format!("{problems:?}").into())
}

/// What every effect answers when all goes well; `None` for those that answer only when something does not.
fn answer(slices: usize, effect: Effect, checkpoint: &Checkpoint, new: &Runs) -> Option<Answer> {
    let seen = |runs, armed| Answer::Seen {
        seen: vec![
            SliceSight {
                runs,
                armed,
                healthy: true
            };
            slices
        ],
        runs: vec![None; slices],
        outdated: false,
        fresh: true,
        failure: None,
    };
    Some(match effect.work {
        Work::Judge => Answer::Judged {
            verdict: Verdict::Holds,
            replanned: None,
        },
        Work::Claim(_) => Answer::Claimed {
            epoch: Epoch(u64::from(effect.attempt.0)),
            adopted: None,
        },
        Work::Survey => seen(Sight::Old, false),
        Work::Look => seen(Sight::New, true),
        Work::Prepare(_) => Answer::Prepared {
            checkpoint: checkpoint.clone(),
            will_be: new.clone(),
            changes: true,
            note: None,
        },
        Work::Activate(_) | Work::Restore(_) => Answer::Moved {
            runs: new.clone(),
            armed: true,
        },
        Work::KeepArmed | Work::Watch => return None,
        Work::Verify(_) | Work::VerifyOld(_) => Answer::Verified {
            health: HealthSeen::Healthy,
            note: String::new(),
        },
        _ => Answer::Done { warning: None },
    })
}

/// Drives one deployment to its end and counts answers, decisions and events.
fn drive(
    plan: &Arc<Plan>,
    actor: &Actor,
    at_once: bool,
    checkpoint: &Checkpoint,
    new: &Runs,
) -> Result<[u64; 3]> {
    let mut machine = Machine::new(Arc::clone(plan));
    let mut counts = [0; 3];
    // A journal's hash is not the machine's work.
    let hash = checkpoint.digest;
    while machine.ended().is_none() {
        let inputs: Vec<_> = machine
            .outstanding()
            .into_iter()
            .filter_map(|effect| {
                answer(plan.slices.len(), effect, checkpoint, new)
                    .map(|answer| Input::Answered { effect, answer })
            })
            .take(if at_once { usize::MAX } else { 1 })
            .collect();
        let decision = machine.decide(Timestamp(0), &inputs)?;
        counts[0] += inputs.len() as u64;
        counts[1] += 1;
        for kind in decision.events {
            counts[2] += 1;
            let event = Event {
                seq: Seq(counts[2]),
                at: Timestamp(0),
                environment: None,
                deployment: None,
                actor: actor.clone(),
                schema: deploy_core::event::SCHEMA,
                kind,
            };
            machine.apply(&Recorded::stored(event, hash))?;
        }
    }
    match machine.ended() {
        Some(Outcome::Succeeded) => Ok(counts),
        other => Err(format!("it ended as {other:?}").into()),
    }
}

/// How long this thread has run, where the system tells: a busy machine is none of the machine's own cost.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn main() -> Result<()> {
    let plan = Arc::new(plan(
        std::env::args().nth(1).map_or(Ok(16), |count| count.parse())?,
    )?);
    let actor = Actor::new("bench")?;
    let new = Runs::Release {
        fingerprint: Fingerprint::new("new")?,
        release: None,
    };
    let checkpoint = Checkpoint {
        reference: "checkpoint".to_owned(),
        digest: Digest::of("checkpoint"),
        was: plan.slices[0].now.clone(),
        health: HealthSeen::Healthy,
    };
    for (driving, at_once) in [("one answer a decision", false), ("all answers a decision", true)] {
        let mut totals = [0_u64; 3];
        let mut deployments = 0_u64;
        let (begun, ran) = (Instant::now(), processor_time());
        while begun.elapsed() < SPAN {
            let counts = drive(&plan, &actor, at_once, &checkpoint, &new)?;
            totals
                .iter_mut()
                .zip(counts)
                .for_each(|(total, count)| *total += count);
            deployments += 1;
        }
        let spent = begun.elapsed().as_micros().max(1);
        let rate = |count: u64| u128::from(count) * 1_000_000 / spent;
        let busy = match (processor_time(), ran) {
            (Some(now), Some(then)) => now.saturating_sub(then).as_micros().max(1),
            _ => spent,
        };
        println!(
            "{{\"driving\":\"{driving}\",\"steps_per_second\":{},\"steps_per_processor_second\":{},\"decisions_per_second\":{},\"events_per_second\":{},\"deployments_per_second\":{}}}",
            rate(totals[0]),
            u128::from(totals[0]) * 1_000_000 / busy,
            rate(totals[1]),
            rate(totals[2]),
            rate(deployments)
        );
    }
    Ok(())
}

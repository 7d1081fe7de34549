//! Drives the machine through a plan with every effect answered well.

use crate::digest::Digest;
use crate::event::{Event, EventKind, Recorded, SCHEMA};
use crate::gate::Verdict;
use crate::id::{Actor, Epoch, Fingerprint, Seq, SliceIx};
use crate::machine::{Answer, Effect, Input, Machine, Outcome, Sight, SliceSight, Work};
use crate::plan::{Change, Plan};
use crate::port::target::{Checkpoint, HealthSeen, Runs};
use crate::time::Timestamp;
use std::sync::Arc;

/// How it ended, and which slices were moved in which order. More steps than any plan here can need are no end.
pub(super) fn drive(plan: &Plan) -> (Option<Outcome>, Vec<SliceIx>) {
    let mut machine = Machine::new(Arc::new(plan.clone()));
    let mut moved = Vec::new();
    let mut seq = 0;
    for _ in 0..1000 {
        let input = machine
            .outstanding()
            .into_iter()
            .find_map(|effect| answer(plan, effect).map(|answer| Input::Answered { effect, answer }));
        let Some(input) = input else { break };
        let decision = machine.decide(Timestamp(0), &[input]).expect("the answer fits");
        for kind in decision.events {
            if let EventKind::BatchIntended { slices } = &kind {
                moved.extend(slices);
            }
            seq += 1;
            let event = Event {
                seq: Seq(seq),
                at: Timestamp(0),
                environment: None,
                deployment: None,
                actor: Actor::new("test").expect("a label"),
                schema: SCHEMA,
                kind,
            };
            machine
                .apply(&Recorded::stored(event, Digest::of("")))
                .expect("it follows");
        }
    }
    (machine.ended(), moved)
}

/// `None` for effects that answer only when something is wrong.
fn answer(plan: &Plan, effect: Effect) -> Option<Answer> {
    let new = || Runs::Release {
        fingerprint: Fingerprint::new("the release").expect("a label"),
        release: Some(plan.release),
    };
    let seen = |moved: Sight| {
        let sight = |slice| {
            let service = plan.service(plan.slice(slice).service);
            let moves = service.change == Change::Move;
            SliceSight {
                runs: if moves { moved } else { Sight::Both },
                armed: moves && moved == Sight::New && service.abilities.arms,
                healthy: true,
            }
        };
        Answer::Seen {
            seen: plan.slice_indices().map(sight).collect(),
            runs: vec![None; plan.slices.len()],
            outdated: false,
            fresh: true,
            failure: None,
        }
    };
    Some(match effect.work {
        Work::Judge => Answer::Judged {
            verdict: Verdict::Holds,
            replanned: None,
        },
        Work::Claim(_) => Answer::Claimed {
            epoch: Epoch(1),
            adopted: None,
        },
        Work::Survey => seen(Sight::Old),
        Work::Look => seen(Sight::New),
        Work::Prepare(slice) => Answer::Prepared {
            checkpoint: Checkpoint {
                reference: "checkpoint".to_owned(),
                digest: Digest::of("checkpoint"),
                was: plan.slice(slice).now.clone(),
                health: HealthSeen::Healthy,
            },
            will_be: new(),
            changes: true,
            note: None,
        },
        Work::Activate(slice) => Answer::Moved {
            runs: new(),
            armed: plan.service(plan.slice(slice).service).abilities.arms,
        },
        Work::KeepArmed | Work::Watch => return None,
        Work::Verify(_) | Work::VerifyOld(_) => Answer::Verified {
            health: HealthSeen::Healthy,
            note: String::new(),
        },
        _ => Answer::Done { warning: None },
    })
}

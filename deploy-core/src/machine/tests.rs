//! Stories: what happens, told input by input. Each is told again with a crash after every event: fold what is stored, take up, and
//! the rest of the story ends in one of the ends that design allows. Exhaustive checks are in `tests/model`.

mod keeping;
mod looking_back;

use super::state::{At, Direction, Reach, Stage, Step};
use super::{
    Answer, Ask, Effect, Failed, Guard, Input, Machine, Outcome, Refusal, Rejected, Sight, SliceSight,
    TurnReason, Work,
};
use crate::digest::Digest;
use crate::event::{AttemptReason, Driver, Event, EventKind, Recorded, SCHEMA};
use crate::failure::{Code, Failure};
use crate::gate::{GateKind, Opens, Unmet, Verdict};
use crate::id::{
    Actor, Attempt, DeploymentId, EnvName, Epoch, Fingerprint, PlaceId, PlaceIx, ReleaseNumber, Seq,
    ServiceIx, ServiceName, SliceIx, SliceName, UnitId, UnitIx,
};
use crate::model::ReleaseRef;
use crate::plan::{Base, Change, Kind, Limits, OnFailure, Plan, PlannedService, PlannedSlice, WayBack};
use crate::port::target::{Abilities, Checkpoint, Fence, HealthSeen, Runs};
use crate::time::Timestamp;
use crate::view::DeploymentView;
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_000_000);

fn runs() -> Runs {
    Runs::Release {
        fingerprint: Fingerprint::new("r").expect("a fingerprint"),
        release: None,
    }
}

/// `db` and `web`, which needs it: `slices` of each, one place for each slice.
fn plan(kind: Kind, slices: u16) -> Plan {
    let release = ReleaseRef {
        digest: Digest::of("2"),
        number: ReleaseNumber(2),
    };
    let service = |name: &str, needs: Vec<ServiceIx>, first: u16| PlannedService {
        name: ServiceName::new(name).expect("a name"),
        target: "fake".to_owned(),
        change: Change::Move,
        needs,
        batches: (first..first + slices)
            .map(|slice| vec![SliceIx(slice)])
            .collect(),
        on_failure: OnFailure::Rollback,
        max_failures: 0,
        bake: Duration::ZERO,
        abilities: Abilities {
            fence: Fence::Write,
            arms: kind != Kind::Rollback,
            removes: true,
            unbroken_since: false,
            stops: false,
        },
        interrupts: false,
    };
    Plan {
        kind,
        environment: EnvName::new("production").expect("a name"),
        release,
        base: Base::Uniform,
        config: Digest::of("c"),
        places: (0..slices)
            .map(|place| PlaceId::new(format!("place {place}")).expect("a name"))
            .collect(),
        units: (0..2 * slices)
            .map(|unit| UnitId::new(format!("unit {unit}")).expect("a name"))
            .collect(),
        services: vec![
            service("db", vec![], 0),
            service("web", vec![ServiceIx(0)], slices),
        ],
        slices: (0..2 * slices)
            .map(|slice| PlannedSlice {
                name: SliceName::new(format!("s{slice}")).expect("a name"),
                service: ServiceIx(slice / slices),
                place: PlaceIx(slice % slices),
                unit: UnitIx(slice),
                now: runs(),
                way_back: WayBack::Checkpoint,
                hold: Duration::ZERO,
            })
            .collect(),
        limits: Limits {
            activation: Duration::from_mins(1),
            going_back: Duration::from_mins(1),
            bake: Duration::from_mins(1),
            attempts: 2,
        },
        notices: vec![],
        differences: vec![],
    }
}

/// A deployment with a simple world around it: every effect does its work unless the story says otherwise.
#[derive(Clone)]
struct Story {
    machine: Machine,
    journal: Vec<Recorded>,
    sights: Vec<SliceSight>,
    epoch: u64,
    arms: bool,
    /// What the next effect of this kind answers instead.
    twists: Vec<(Work, Answer)>,
    /// What has been done, in order.
    done: Vec<Work>,
}

fn recorded(kind: EventKind, seq: u64) -> Recorded {
    Recorded::stored(
        Event {
            seq: Seq(seq),
            at: NOW,
            environment: None,
            deployment: None,
            actor: Actor::new("alice").expect("a name"),
            schema: SCHEMA,
            kind,
        },
        Digest::of("h"),
    )
}

fn failure() -> Failure {
    Failure::new(Code::RemoteFailed, "it failed", "look")
}

fn fails(how: Failed) -> Answer {
    Answer::Failed {
        how,
        slice: None,
        failure: failure(),
    }
}

fn done() -> Answer {
    Answer::Done { warning: None }
}

fn waits() -> Answer {
    Answer::Judged {
        verdict: Verdict::Waits {
            unmet: vec![Unmet {
                gate: GateKind::Approval,
                reason: "nobody approved".to_owned(),
                earliest: None,
                opens: Opens::ByPeople,
                next: "deploy approve".to_owned(),
            }],
        },
        replanned: None,
    }
}

impl Story {
    fn of(plan: Plan) -> Self {
        let arms = plan.kind != Kind::Rollback;
        let sight = SliceSight {
            runs: Sight::Old,
            armed: false,
            healthy: true,
        };
        let sights = vec![sight; plan.slices.len()];
        let digest = plan.digest();
        let planned = EventKind::Planned {
            plan: Box::new(plan.clone()),
            digest,
        };
        Self {
            machine: Machine::new(Arc::new(plan)),
            journal: vec![recorded(planned, 1)],
            sights,
            epoch: 0,
            arms,
            twists: vec![],
            done: vec![],
        }
    }

    fn twist(mut self, work: Work, answer: Answer) -> Self {
        self.twists.push((work, answer));
        self
    }

    fn feed(&mut self, input: &Input) -> Result<Guard, Rejected> {
        self.feed_at(NOW, input)
    }

    fn feed_at(&mut self, now: Timestamp, input: &Input) -> Result<Guard, Rejected> {
        let decision = self.machine.decide(now, std::slice::from_ref(input))?;
        for kind in decision.events {
            let event = recorded(kind, self.journal.len() as u64 + 1);
            self.machine.apply(&event).expect("it applies what it decides");
            self.journal.push(event);
        }
        Ok(decision.guard)
    }

    fn ask(&mut self, ask: Ask) -> Result<Guard, Rejected> {
        self.feed(&Input::Asked { ask, by: None })
    }

    fn take(&mut self) {
        let driver = Driver {
            who: "bob".to_owned(),
            version: "1".to_owned(),
        };
        let _ = self.feed(&Input::Taken { driver });
    }

    /// Kills whoever drives: only what is stored is left, and the next one takes it up.
    fn crash(&mut self) {
        self.machine = Machine::load(&self.journal).expect("every prefix folds");
        self.take();
    }

    fn answer(&mut self, work: Work) -> Answer {
        if let Some(at) = self.twists.iter().position(|(twisted, _)| *twisted == work) {
            return self.twists.remove(at).1;
        }
        match work {
            Work::Judge => Answer::Judged {
                verdict: Verdict::Holds,
                replanned: None,
            },
            Work::Claim(_) => {
                self.epoch += 1;
                Answer::Claimed {
                    epoch: Epoch(self.epoch),
                    adopted: None,
                }
            }
            Work::Survey | Work::Look => Answer::Seen {
                seen: self.sights.clone(),
                runs: vec![],
                outdated: false,
                fresh: true,
                failure: None,
            },
            Work::Prepare(_) => Answer::Prepared {
                checkpoint: Checkpoint {
                    reference: "c".to_owned(),
                    digest: Digest::of("c"),
                    was: runs(),
                    health: HealthSeen::Healthy,
                },
                will_be: runs(),
                changes: true,
                note: None,
            },
            Work::Activate(slice) => {
                self.sights[slice.at()].runs = Sight::New;
                self.sights[slice.at()].armed = self.arms;
                Answer::Moved {
                    runs: runs(),
                    armed: self.arms,
                }
            }
            Work::Restore(slice) => {
                self.sights[slice.at()].runs = Sight::Old;
                self.sights[slice.at()].armed = false;
                Answer::Moved {
                    runs: runs(),
                    armed: false,
                }
            }
            Work::Confirm(slice) => {
                self.sights[slice.at()].armed = false;
                done()
            }
            Work::Verify(_) | Work::VerifyOld(_) => Answer::Verified {
                health: HealthSeen::Healthy,
                note: "ok".to_owned(),
            },
            _ => done(),
        }
    }

    /// One effect: the first that is outstanding and is not a watch.
    fn step(&mut self) -> bool {
        let quiet = |work: Work| matches!(work, Work::KeepArmed | Work::Watch);
        let twisted = |story: &Self, work: Work| story.twists.iter().any(|(twist, _)| *twist == work);
        let outstanding = self.machine.outstanding();
        let Some(effect) = outstanding
            .into_iter()
            .find(|effect| !quiet(effect.work) || twisted(self, effect.work))
        else {
            return false;
        };
        let answer = self.answer(effect.work);
        self.done.push(effect.work);
        let _ = self.feed(&Input::Answered { effect, answer });
        true
    }

    fn until(&mut self, stop: impl Fn(&Machine) -> bool) -> &mut Self {
        for _ in 0..300 {
            if stop(&self.machine) || !self.step() {
                return self;
            }
        }
        panic!("it does not come to rest: {:?}", self.machine.state());
    }

    fn run(&mut self) -> Option<Outcome> {
        self.until(|machine| machine.ended().is_some());
        self.machine.ended()
    }

    fn at(&self, slice: u16) -> At {
        self.machine.state().slice(SliceIx(slice)).at
    }

    fn names(&self) -> Vec<String> {
        self.journal
            .iter()
            .map(|event| {
                let json = serde_json::to_value(&event.event().kind).expect("events serialize");
                json["type"].as_str().expect("a tag").to_owned()
            })
            .collect()
    }

    /// The same story with a crash after `after` effects, for every `after`; its ends.
    fn with_crashes(&self) -> Vec<Outcome> {
        let mut whole = self.clone();
        whole.run();
        (0..=whole.done.len())
            .map(|after| {
                let mut story = self.clone();
                for _ in 0..after {
                    story.step();
                }
                if story.machine.ended().is_none() {
                    story.crash();
                }
                let end = story.run().expect("it ends after a crash, too");
                let folded = Machine::load(&story.journal).expect("the journal folds");
                assert_eq!(folded, story.machine, "crash after {after}");
                end
            })
            .collect()
    }
}

fn in_step(step: Step) -> impl Fn(&Machine) -> bool {
    move |machine| machine.state().stage == Stage::Moving(step)
}

#[test]
fn happy() {
    let story = Story::of(plan(Kind::Deploy, 1));
    let mut whole = story.clone();
    assert_eq!(whole.run(), Some(Outcome::Succeeded));
    insta::assert_snapshot!(whole.names().join("\n"), @r"
    planned
    gated
    attempt_begun
    claimed
    surveyed
    slice_prepared
    slice_prepared
    all_prepared
    activation_begun
    batch_intended
    slice_activated
    slice_verified
    batch_intended
    slice_activated
    slice_verified
    committed
    slice_confirmed
    slice_confirmed
    finish_begun
    place_finished
    ended
    ");
    assert!(story.with_crashes().iter().all(|end| *end == Outcome::Succeeded));
}

/// What a story of one failing step comes to, in the whole and with a crash at every point.
#[test]
fn failures_lead_where_design_says() {
    use Outcome::{Failed as Early, NeedsHuman, RolledBack, Succeeded};
    let (db, web) = (SliceIx(0), SliceIx(2));
    for (work, answer, end) in [
        (
            Work::Claim(PlaceIx(1)),
            Answer::ClaimRefused {
                refusal: Refusal::Held,
                failure: failure(),
            },
            Early,
        ),
        (
            Work::Claim(PlaceIx(0)),
            Answer::ClaimRefused {
                refusal: Refusal::Unreachable,
                failure: failure(),
            },
            Early,
        ),
        (Work::Prepare(web), fails(Failed::NotDone), Early),
        (Work::Prepare(web), fails(Failed::Unknown), Succeeded),
        (Work::Activate(web), fails(Failed::NotDone), RolledBack),
        (Work::Activate(web), fails(Failed::Unknown), Succeeded),
        (Work::Activate(web), fails(Failed::Fenced), Succeeded),
        (Work::Verify(web), fails(Failed::Unhealthy), RolledBack),
        (Work::Verify(db), fails(Failed::Unreachable), RolledBack),
        (Work::Confirm(db), fails(Failed::Unknown), Succeeded),
        (Work::Finish(PlaceIx(0)), fails(Failed::NotDone), NeedsHuman),
        (Work::Finish(PlaceIx(0)), fails(Failed::Unknown), Succeeded),
    ] {
        let story = Story::of(plan(Kind::Deploy, 2)).twist(work, answer.clone());
        assert_eq!(story.clone().run(), Some(end), "{work:?} {answer:?}");
        for crashed in story.with_crashes() {
            // A crash may come before the failure and outlive it; it never makes a third end.
            assert!(
                [end, Succeeded].contains(&crashed),
                "{work:?} {answer:?}: {crashed:?}"
            );
        }
    }
}

#[test]
fn going_back_is_in_reverse_order_of_need() {
    let mut story =
        Story::of(plan(Kind::Deploy, 1)).twist(Work::Verify(SliceIx(1)), fails(Failed::Unhealthy));
    assert_eq!(story.run(), Some(Outcome::RolledBack));
    let restores: Vec<_> = story
        .done
        .iter()
        .filter(|work| matches!(work, Work::Restore(_)))
        .collect();
    assert_eq!(restores, [&Work::Restore(SliceIx(1)), &Work::Restore(SliceIx(0))]);
    // Turning back took new claims before anything was put back.
    let names = story.names();
    let turned = names
        .iter()
        .position(|name| name == "turned_back")
        .expect("it turned back");
    assert_eq!(
        names[turned..turned + 4],
        ["turned_back", "attempt_begun", "claimed", "surveyed"]
    );
}

#[test]
fn cancel_at_each_stage() {
    let whole = {
        let mut story = Story::of(plan(Kind::Deploy, 1));
        story.run();
        story.done.len()
    };
    for after in 0..whole {
        let mut story = Story::of(plan(Kind::Deploy, 1));
        for _ in 0..after {
            story.step();
        }
        let reach = story.machine.state().reach;
        let mut view = DeploymentView::new(
            DeploymentId::new("01J".to_owned() + &"0".repeat(23)).expect("an id"),
            NOW,
        );
        story.journal.iter().for_each(|stored| view.apply(stored.event()));
        let answer = story.ask(Ask::Cancel);
        assert_eq!(
            view.can_be_cancelled(),
            answer.is_ok(),
            "people are told the same, after {after}"
        );
        let end = story.run();
        match reach {
            Reach::Nothing | Reach::Prepared => assert_eq!(end, Some(Outcome::Cancelled), "after {after}"),
            Reach::Activating | Reach::Committed | Reach::Baked => {
                assert_eq!(end, Some(Outcome::RolledBack), "after {after}");
            }
            Reach::Finishing => {
                assert_eq!(answer, Err(Rejected::Finishing));
                assert_eq!(end, Some(Outcome::Succeeded));
            }
        }
    }
}

#[test]
fn a_pause_starts_no_slice_and_does_not_eat_the_deadline() {
    let mut story = Story::of(plan(Kind::Deploy, 1));
    story.until(in_step(Step::Activating));
    assert_eq!(story.ask(Ask::Pause), Ok(Guard::Nothing));
    assert_eq!(story.ask(Ask::Pause), Err(Rejected::NoChange));
    story.until(|_| false);
    assert_eq!((story.at(0), story.at(1)), (At::Verified, At::Untouched));
    let late = NOW.after(Duration::from_hours(1));
    assert_eq!(story.feed_at(late, &Input::Elapsed), Err(Rejected::NoChange));
    story
        .feed_at(
            late,
            &Input::Asked {
                ask: Ask::Continue,
                by: None,
            },
        )
        .expect("it goes on");
    assert_eq!(story.machine.wake_at(), Some(late.after(Duration::from_mins(1))));
    assert_eq!(story.run(), Some(Outcome::Succeeded));
}

#[test]
fn waiting_releases_the_claims_and_goes_on_when_asked() {
    let mut story = Story::of(plan(Kind::Deploy, 1));
    story.until(in_step(Step::Judging));
    story.twists.push((Work::Judge, waits()));
    story.until(|machine| machine.state().stage == Stage::Waiting);
    assert_eq!(story.done.last(), Some(&Work::Release(PlaceIx(0))));
    assert_eq!(story.machine.outstanding(), []);
    story.ask(Ask::Recheck).expect("an approval came in");
    assert_eq!(story.run(), Some(Outcome::Succeeded));
}

#[test]
fn an_outdated_plan_is_made_anew_before_anything_is_touched() {
    let mut story = Story::of(plan(Kind::Deploy, 1));
    let outdated = Answer::Seen {
        seen: story.sights.clone(),
        runs: vec![],
        outdated: true,
        fresh: true,
        failure: None,
    };
    story.twists.push((Work::Survey, outdated));
    story.until(|machine| machine.state().stage == Stage::Open && machine.state().attempt == Attempt(1));
    assert!(story.names().contains(&"plan_outdated".to_owned()));
    let mut other = plan(Kind::Deploy, 1);
    other.base = Base::Mixed;
    let digest = other.digest();
    let replanned = Answer::Judged {
        verdict: Verdict::Holds,
        replanned: Some(Box::new(other)),
    };
    story.twists.push((Work::Judge, replanned));
    story.until(in_step(Step::Claiming));
    assert_eq!(story.machine.plan().digest(), digest);
    assert_eq!(story.run(), Some(Outcome::Succeeded));
}

#[test]
fn hold_leaves_everything_disarmed_for_a_human() {
    let mut plan = plan(Kind::Deploy, 1);
    plan.services[1].on_failure = OnFailure::Hold;
    let mut story = Story::of(plan).twist(Work::Verify(SliceIx(1)), fails(Failed::Unhealthy));
    assert_eq!(story.run(), Some(Outcome::NeedsHuman));
    assert!(
        story
            .sights
            .iter()
            .all(|sight| sight.runs == Sight::New && !sight.armed)
    );
    assert!(
        story
            .with_crashes()
            .iter()
            .all(|end| [Outcome::NeedsHuman, Outcome::Succeeded].contains(end))
    );
}

#[test]
fn a_rollback_goes_in_reverse_order_and_past_what_it_cannot_reach() {
    let mut story = Story::of(plan(Kind::Rollback, 1));
    assert_eq!(story.run(), Some(Outcome::Succeeded));
    let moved: Vec<_> = story
        .done
        .iter()
        .filter(|work| matches!(work, Work::Activate(_)))
        .collect();
    assert_eq!(moved, [&Work::Activate(SliceIx(1)), &Work::Activate(SliceIx(0))]);

    // `web` in the second place cannot be reached: it holds up `db` alone, and nothing turns back.
    let refused = Answer::ClaimRefused {
        refusal: Refusal::Unreachable,
        failure: failure(),
    };
    let mut story = Story::of(plan(Kind::Rollback, 2)).twist(Work::Claim(PlaceIx(1)), refused);
    assert_eq!(story.run(), Some(Outcome::NeedsHuman));
    assert_eq!(story.at(2), At::Verified);
    assert_eq!((story.at(0), story.at(3)), (At::Untouched, At::Unknown));
    assert!(!story.names().contains(&"turned_back".to_owned()));
}

#[test]
fn bake_turns_back_on_a_verdict_and_asks_a_human_when_unclear() {
    let mut baking = plan(Kind::Deploy, 1);
    baking.services[1].bake = Duration::from_secs(5);
    let story = Story::of(baking);
    assert_eq!(story.clone().run(), Some(Outcome::Succeeded));
    for (how, end) in [
        (Failed::Unhealthy, Outcome::RolledBack),
        (Failed::Unreachable, Outcome::NeedsHuman),
    ] {
        assert_eq!(
            story.clone().twist(Work::Bake, fails(how)).run(),
            Some(end),
            "{how:?}"
        );
    }
    let mut story = story;
    story.until(in_step(Step::Baking));
    let due = story.machine.wake_at().expect("a bake ends");
    assert_eq!(story.feed(&Input::Elapsed), Err(Rejected::NoChange));
    story.feed_at(due, &Input::Elapsed).expect("it is due");
    assert_eq!(story.run(), Some(Outcome::NeedsHuman));
}

#[test]
fn a_revert_that_fires_while_confirming_turns_back() {
    let mut story = Story::of(plan(Kind::Deploy, 1));
    story.until(in_step(Step::Confirming));
    story.sights[1] = SliceSight {
        runs: Sight::Old,
        armed: false,
        healthy: true,
    };
    story
        .twists
        .push((Work::Confirm(SliceIx(1)), fails(Failed::Fenced)));
    assert_eq!(story.run(), Some(Outcome::RolledBack));
    let turned = story.journal.iter().find_map(|event| match event.event().kind {
        EventKind::TurnedBack { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(turned, Some(TurnReason::Reverted));
}

#[test]
fn going_back_waits_for_what_cannot_be_reached_until_its_time_is_over() {
    let mut story =
        Story::of(plan(Kind::Deploy, 1)).twist(Work::Verify(SliceIx(1)), fails(Failed::Unhealthy));
    story.until(|machine| machine.state().direction == Direction::Back);
    story.sights[1].runs = Sight::Unreachable;
    story.until(|machine| {
        machine
            .outstanding()
            .iter()
            .any(|effect| effect.work == Work::Reach)
    });
    // `db` stays: `web`, which needs it, may be on the release still.
    assert_eq!(story.at(0), At::ToRestore);
    let mut reached = story.clone();
    reached.sights[1].runs = Sight::New;
    assert_eq!(reached.run(), Some(Outcome::RolledBack));
    let due = story.machine.wake_at().expect("going back has a deadline");
    story.feed_at(due, &Input::Elapsed).expect("it is due");
    assert_eq!(story.run(), Some(Outcome::NeedsHuman));
    assert!(
        !story.sights[0].armed,
        "nothing that can be reached moves after the end"
    );
    let Some(EventKind::Ended { strays, .. }) = story.journal.last().map(|event| &event.event().kind) else {
        panic!("it ended");
    };
    assert_eq!(strays, &[SliceIx(0), SliceIx(1)]);
}

#[test]
fn answers_of_an_older_attempt_are_late() {
    let mut story = Story::of(plan(Kind::Deploy, 1));
    story.until(in_step(Step::Activating));
    let effect = Effect {
        attempt: story.machine.state().attempt,
        work: Work::Activate(SliceIx(0)),
    };
    story.take();
    let moved = Answer::Moved {
        runs: runs(),
        armed: true,
    };
    assert_eq!(
        story.feed(&Input::Answered {
            effect,
            answer: moved
        }),
        Err(Rejected::Late)
    );
}

#[test]
fn the_commit_point_reads_the_inbox_and_needs_a_fresh_look() {
    let mut story = Story::of(plan(Kind::Deploy, 1));
    story.until(in_step(Step::Looking));
    let effect = Effect {
        attempt: story.machine.state().attempt,
        work: Work::Look,
    };
    let look = |fresh: bool, seen: Vec<SliceSight>| Input::Answered {
        effect,
        answer: Answer::Seen {
            seen,
            runs: vec![],
            outdated: false,
            fresh,
            failure: None,
        },
    };
    let seen = story.sights.clone();
    assert_eq!(story.feed(&look(false, seen.clone())), Err(Rejected::Stale));
    assert_eq!(story.feed(&look(true, vec![])), Err(Rejected::Mismatch));
    assert_eq!(story.feed(&look(true, seen)), Ok(Guard::Inbox));
    assert_eq!(story.machine.state().reach, Reach::Committed);
}

#[test]
fn a_journal_that_no_machine_wrote_is_refused() {
    let mut story = Story::of(plan(Kind::Deploy, 1));
    story.run();
    for at in 1..story.journal.len() {
        let mut torn = story.journal.clone();
        torn.remove(at);
        if at + 1 < story.journal.len() {
            assert!(
                Machine::load(&torn).is_err(),
                "without {:?}",
                story.journal[at].event().kind
            );
        }
    }
    assert!(Machine::load(&story.journal[1..]).is_err());
    assert!(Machine::load(&[]).is_err());
}

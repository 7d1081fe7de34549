//! C25 to C33: several deployments at once, and one after the other.

use crate::digest::Digest;
use crate::event::EventKind;
use crate::failure::Code;
use crate::fixture::{World, actor, at, env, failure, group, minutes, plan, source};
use crate::gate::rules::ApprovalRule;
use crate::gate::{GateKind, Opens, Rules, Trigger, Verdict, judge};
use crate::id::{DeploymentId, PlaceIx};
use crate::machine::state::{Hold, Reach};
use crate::machine::{Answer, Ask, Effect, Input, Machine, Outcome, Refusal, Rejected, Work};
use crate::plan::{Base, Kind};
use crate::view::result::{OutcomeWord, Retry, ending};
use crate::view::{Current, Phase};

fn held(_: &Machine, effect: Effect) -> Option<Answer> {
    matches!(effect.work, Work::Claim(_)).then(|| Answer::ClaimRefused {
        refusal: Refusal::Held,
        failure: failure(Code::ClaimHeld, "ann@laptop holds it since 07:00"),
    })
}

/// Production waits for an approval.
fn approving() -> World {
    let mut world = World::new();
    let rule = ApprovalRule {
        count: 1,
        from: [group("managers")].into(),
        not_author: false,
    };
    let rules = Rules {
        approvals: [("release".to_owned(), rule)].into(),
        ..Rules::default()
    };
    world.rules.insert(env("production"), rules);
    world.groups.insert(group("managers"), [actor("bob")].into());
    world
}

fn supersede(world: &mut World, id: &DeploymentId, by: &DeploymentId) -> Result<(), Rejected> {
    let asked = Input::Asked {
        ask: Ask::Supersede,
        by: Some(by.clone()),
    };
    world.feed(id, &[asked]).map(|_| ())
}

#[test]
pub(super) fn c25() {
    let mut world = World::new();
    let v1 = world.make(1);
    let first = world.ask("production", Kind::Deploy, &v1, "ann");
    let second = world.ask("production", Kind::Deploy, &v1, "bob");
    world.run_until(&first, &mut |_, _| None, |machine| machine.state().touched());
    world.run_with(&second, &mut held);
    let refused = ending(&world.view(&second));
    assert_eq!(
        (refused.outcome, refused.code, refused.retry),
        (OutcomeWord::Failed, 5, Retry::Same)
    );
    assert!(!world.view(&second).changed());
    let view = world.environment("production");
    assert_eq!(view.active().map(|active| &active.id), Some(&first));
    assert_eq!(
        view.by_key(first.as_str()),
        Some(&first),
        "the same key is the same deployment"
    );
    assert_eq!(view.by_key("another"), None);
    world.run(&first);
    assert_eq!(world.machine(&first).ended(), Some(Outcome::Succeeded));
}

#[test]
pub(super) fn c26() {
    let mut world = approving();
    let (v1, v2) = (world.make(1), world.make(2));
    let old = world.ask("production", Kind::Deploy, &v1, "ann");
    world.run(&old);
    let new = world.ask("production", Kind::Deploy, &v2, "ann");
    supersede(&mut world, &old, &new).expect("it waits");
    let view = world.view(&old);
    assert_eq!(view.outcome, Some(Outcome::Superseded));
    assert_eq!(view.superseded_by.as_ref(), Some(&new));
    assert_eq!(ending(&view).code, 12);

    world.approve(&new, "bob");
    world.run_until(&new, &mut |_, _| None, |machine| machine.state().touched());
    let newer = world.ask("production", Kind::Deploy, &v2, "ann");
    assert_eq!(
        supersede(&mut world, &new, &newer),
        Err(Rejected::NoChange),
        "it runs"
    );
    world.run(&new);
    let back = world.ask("production", Kind::Rollback, &v1, "ann");
    assert_eq!(
        supersede(&mut world, &back, &newer),
        Err(Rejected::NoChange),
        "a rollback"
    );
}

#[test]
pub(super) fn c27() {
    let mut world = approving();
    let v1 = world.make(1);
    let id = world.ask("production", Kind::Deploy, &v1, "ann");
    world.run(&id);
    assert_eq!(world.machine(&id).outstanding(), []);
    let free = |world: &World| {
        world
            .machine(&id)
            .state()
            .places
            .iter()
            .all(|place| place.hold != Hold::Held)
    };
    assert!(free(&world));

    world.approve(&id, "bob");
    world.asked(&id, Ask::Recheck).expect("it waits");
    world.run_until(&id, &mut |_, _| None, |machine| {
        machine.state().reach == Reach::Prepared
    });
    assert!(!free(&world));
    // While it was prepared somebody changed what runs: another base, another plan, and nobody has approved that one.
    let base = Base::Uniform;
    let other = plan(Kind::Deploy, &env("production"), v1.to_ref(), &base);
    assert_ne!(other.digest(), world.machine(&id).plan().digest());
    let judging = world.effect(&id, Work::Judge);
    let verdict = world.gates(&id, |input| {
        let plan = input.plan.map(|facts| crate::gate::PlanFacts {
            digest: other.digest(),
            ..facts
        });
        judge(&crate::gate::GateInput { plan, ..*input })
    });
    assert_eq!(verdict.unmet()[0].gate, GateKind::Approval);
    let answer = Answer::Judged {
        verdict,
        replanned: None,
    };
    world.answer(&id, judging, answer).expect("it was asked");
    world.run(&id);
    assert_eq!(world.view(&id).phase(), Phase::Waiting);
    assert!(free(&world), "claims are given back to wait");
}

#[test]
pub(super) fn c28() {
    let mut world = World::new();
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("production", &v1);
    world.deploy("production", &v2);
    let id = world.ask("production", Kind::Deploy, &v1, "ann");
    let unmet = world.unmet(&id);
    assert_eq!((unmet[0].gate, unmet[0].opens), (GateKind::Order, Opens::Never));
    assert_eq!(unmet[0].next, "deploy rollback -e production --to v1");
    let back = world.ask("production", Kind::Rollback, &v1, "ann");
    assert_eq!(world.verdict(&back), Verdict::Holds);

    // A revert: a new commit, the same content.
    let added = EventKind::SourceAdded {
        release: v1.number,
        source: source('d', "ann"),
        version: None,
    };
    world.tell_project("ci", added);
    assert_eq!(world.verdict(&id), Verdict::Holds);
}

#[test]
pub(super) fn c29() {
    let mut world = approving();
    let v1 = world.make(1);
    world.verified("production", v1.to_ref(), crate::gate::Finding::Passed);
    let before = world.environment("production");
    let id = world.ask("production", Kind::Deploy, &v1, "ann");
    world.run(&id);
    world.asked(&id, Ask::Cancel).expect("it waits");
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Cancelled));
    let after = world.environment("production");
    assert_eq!(
        (after.current, &after.stays),
        (before.current, &before.stays),
        "nothing else changed"
    );
    assert!(after.unended.is_empty());
    assert_eq!(
        world.asked(&id, Ask::Cancel),
        Err(Rejected::Over),
        "twice is once"
    );

    let id = world.ask("production", Kind::Deploy, &v1, "ann");
    world.approve(&id, "bob");
    world.run_until(&id, &mut |_, _| None, |machine| {
        machine.state().reach == Reach::Finishing
    });
    assert_eq!(
        world.asked(&id, Ask::Cancel),
        Err(Rejected::Finishing),
        "too late"
    );
}

#[test]
pub(super) fn c30() {
    let mut world = World::new();
    let v1 = world.make(1);
    world.deploy("staging", &v1);
    let since = |world: &World| {
        let view = world.environment("staging");
        view.stays.counting(v1.digest()).and_then(|stay| stay.since)
    };
    let first = since(&world);
    world.wait(minutes(5));
    let again = world.ask("staging", Kind::Deploy, &v1, "ann");
    world.run_with(&again, &mut |machine, effect| match effect.work {
        Work::Prepare(slice) => Some(Answer::Prepared {
            checkpoint: crate::port::target::Checkpoint {
                reference: "checkpoint".to_owned(),
                digest: Digest::of("checkpoint"),
                was: machine.plan().slice(slice).now.clone(),
                health: crate::port::target::HealthSeen::Healthy,
            },
            will_be: machine.plan().slice(slice).now.clone(),
            changes: false,
            note: None,
        }),
        Work::Look => Some(Answer::Seen {
            seen: vec![
                crate::machine::SliceSight {
                    runs: crate::machine::Sight::Both,
                    armed: false,
                    healthy: true
                };
                4
            ],
            runs: vec![None; 4],
            outdated: false,
            fresh: true,
            failure: None,
        }),
        _ => None,
    });
    assert_eq!(world.machine(&again).ended(), Some(Outcome::Succeeded));
    assert!(!world.view(&again).changed());
    assert_eq!(since(&world), first, "nothing changed: the soak goes on");
    world.wait(minutes(5));
    world.deploy("staging", &v1);
    assert_eq!(
        since(&world),
        Some(world.now),
        "it was moved: the soak starts again"
    );
}

#[test]
pub(super) fn c31() {
    let mut world = World::new();
    let v1 = world.make(1);
    let frozen = EventKind::AutomaticPromotionFrozen {
        reason: "v1 failed its health verdict".to_owned(),
    };
    world.tell("production", "engine", None, frozen);
    let id = world.ask("production", Kind::Promote, &v1, "ann");
    let verdict = |world: &World, trigger| {
        world.gates(&id, |input| judge(&crate::gate::GateInput { trigger, ..*input }))
    };
    let automatic = verdict(&world, Trigger::Automatic);
    assert_eq!(automatic.unmet()[0].gate, GateKind::AutomaticPromotion);
    assert_eq!(verdict(&world, Trigger::Command), Verdict::Holds, "a person may");
}

#[test]
pub(super) fn c32() {
    let mut world = World::new();
    let rules = Rules {
        after: [env("development")].into(),
        ..Rules::default()
    };
    world.rules.insert(env("staging"), rules);
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("development", &v1);
    let id = world.ask("staging", Kind::Promote, &v1, "ann");
    world.deploy("development", &v2);
    assert_eq!(world.verdict(&id), Verdict::Holds, "earned is earned");
    // And a deployment there that fails before it changed anything takes nothing either.
    let failed = world.ask("development", Kind::Deploy, &v2, "ann");
    world.run_with(&failed, &mut held);
    assert_eq!(world.verdict(&id), Verdict::Holds);
}

#[test]
pub(super) fn c33() {
    let mut world = World::new();
    let v1 = world.make(1);
    let shared = |world: &mut World, place: &str| {
        world.ask_with(place, Kind::Deploy, &v1, "ann", |mut plan| {
            plan.places = (1..5)
                .map(|at| format!("ssh:host-{at}:/opt/shop").parse().expect("a place"))
                .collect();
            plan
        })
    };
    let (blue, green) = (shared(&mut world, "blue"), shared(&mut world, "green"));
    world.run_until(&blue, &mut |_, _| None, |machine| machine.state().touched());
    assert_eq!(
        world.effect(&blue, Work::Activate(crate::id::SliceIx(0))).attempt,
        crate::id::Attempt(1)
    );
    world.run_until(&green, &mut |_, _| None, |machine| {
        machine
            .outstanding()
            .iter()
            .any(|effect| matches!(effect.work, Work::Claim(_)))
    });
    let claims = world.machine(&green).outstanding();
    assert_eq!(claims.len(), 1, "the first place alone: who has it, has them all");
    assert_eq!(claims[0].work, Work::Claim(PlaceIx(0)));
    world.run_with(&green, &mut held);
    assert_eq!(ending(&world.view(&green)).code, 5);
    assert_eq!(world.environment("green").current, Current::Nothing);
    assert!(at("2026-11-21T07:00:00Z") <= world.now);
}

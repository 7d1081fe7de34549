//! C34 to C44: going back.

use crate::event::EventKind;
use crate::fixture::{World, actor, env, fails, group, minutes};
use crate::gate::rules::ApprovalRule;
use crate::gate::{GateKind, Rules, Verdict, window::Window};
use crate::id::{DeploymentId, SliceIx};
use crate::machine::{Answer, Ask, Effect, Failed, Machine, Outcome, Rejected, Work};
use crate::model::Release;
use crate::plan::Kind;
use crate::view::NoWayBack;
use crate::view::result::{OutcomeWord, ending};
use crate::view::{Current, Phase, Running};

/// Production runs v1, then v2, then v3.
fn three() -> (World, [Release; 3]) {
    let mut world = World::new();
    let releases = [1, 2, 3].map(|number| world.make(number));
    for release in &releases {
        world.deploy("production", release);
        world.wait(minutes(1));
    }
    (world, releases)
}

/// The order in which slices were put back.
fn restored(world: &World, id: &DeploymentId) -> Vec<u16> {
    world.streams[&env("production")]
        .iter()
        .filter(|event| event.deployment.as_ref() == Some(id))
        .filter_map(|event| match &event.kind {
            EventKind::SliceRestored { slice, .. } => Some(slice.0),
            _ => None,
        })
        .collect()
}

#[test]
pub(super) fn c34() {
    let mut world = World::new();
    let v1 = world.make(1);
    let id = world.ask("production", Kind::Deploy, &v1, "ann");
    // The last slice was begun, and nobody knows whether it moved.
    world.run_until(&id, &mut |_, _| None, |machine| {
        machine
            .outstanding()
            .iter()
            .any(|effect| effect.work == Work::Activate(SliceIx(3)))
    });
    let late = world.effect(&id, Work::Activate(SliceIx(3)));
    world.sights(&id)[3].runs = crate::machine::Sight::New;
    world.asked(&id, Ask::Cancel).expect("it runs");
    assert_eq!(world.view(&id).phase(), Phase::TurnedBack);
    let done = Answer::Moved {
        runs: crate::fixture::runs(v1.to_ref()),
        armed: true,
    };
    assert_eq!(
        world.answer(&id, late, done),
        Err(Rejected::Late),
        "fenced off by a newer claim"
    );
    world.run(&id);
    assert_eq!(world.machine(&id).ended(), Some(Outcome::RolledBack));
    let order = restored(&world, &id);
    assert_eq!(order.len(), 4, "also what may have moved");
    let web_last = order.iter().rposition(|slice| *slice >= 2);
    let api_first = order.iter().position(|slice| *slice < 2);
    assert!(
        web_last < api_first,
        "what needs api is off before api is put back: {order:?}"
    );
}

#[test]
pub(super) fn c35() {
    let (mut world, [v1, v2, v3]) = three();
    let to = |world: &World| {
        world
            .environment("production")
            .destination(None, &world.project())
    };
    assert_eq!(to(&world), Ok(v2.to_ref()));
    let yanked = EventKind::Yanked {
        release: v2.to_ref(),
        reason: "a leak".to_owned(),
    };
    world.tell_project("ann", yanked);
    assert_eq!(to(&world), Ok(v1.to_ref()), "a barred one is passed over");
    world.verified("production", v1.to_ref(), crate::gate::Finding::Failed);
    assert!(
        matches!(to(&world), Err(NoWayBack::Nothing { .. })),
        "nor one that counts no more"
    );

    let named = |world: &World, to: &Release| {
        world
            .environment("production")
            .destination(Some(to.to_ref()), &world.project())
    };
    assert_eq!(named(&world, &v2), Ok(v2.to_ref()), "named, it is meant");
    assert!(matches!(named(&world, &v3), Err(NoWayBack::Same { .. })));
    let v4 = world.make(4);
    assert!(matches!(named(&world, &v4), Err(NoWayBack::NeverHere { .. })));
}

#[test]
pub(super) fn c36() {
    let (mut world, [v1, v2, v3]) = three();
    world.roll_back("production", &v2);
    let view = world.environment("production");
    assert_eq!(
        view.destination(None, &world.project()),
        Ok(v1.to_ref()),
        "not forth and back"
    );
    assert!(matches!(
        view.destination(Some(v3.to_ref()), &world.project()),
        Err(NoWayBack::Newer { .. })
    ));

    let rules = Rules {
        after: [env("staging")].into(),
        ..Rules::default()
    };
    world.rules.insert(env("production"), rules);
    let forth = world.ask("production", Kind::Promote, &v3, "ann");
    assert_eq!(world.unmet(&forth)[0].gate, GateKind::Upstream, "all gates apply");

    let back = world.ask("production", Kind::Rollback, &v1, "ann");
    world.run_with(&back, &mut |_, effect| {
        matches!(effect.work, Work::Verify(_)).then(|| fails(Failed::Unhealthy))
    });
    let view = world.view(&back);
    assert_eq!(view.outcome, Some(Outcome::NeedsHuman));
    assert_eq!(view.turned_back, None, "no rollback of a rollback");
    assert_eq!(world.environment("production").current, Current::Unknown);
}

#[test]
pub(super) fn c37() {
    let (mut world, [_, v2, _]) = three();
    let back = world.ask("production", Kind::Rollback, &v2, "ann");
    let broken = SliceIx(2);
    world.run_with(&back, &mut |_, effect| {
        (effect.work == Work::Activate(broken)).then(|| fails(Failed::NotDone))
    });
    let view = world.view(&back);
    assert_eq!(
        ending(&view).outcome,
        OutcomeWord::NeedsHuman,
        "never succeeded, never hanging"
    );
    assert!(!view.strays.is_empty());
    let stray = &view.strays[0];
    assert!(view.strays.iter().any(|stray| stray.why == "it did not work"));
    assert!(stray.next.starts_with("deploy "), "{stray:?}");
    // Prepared all the same: the others were not given up because one failed.
    assert!(view.slices.iter().all(|slice| slice.checkpoint.is_some()));
}

#[test]
pub(super) fn c38() {
    let mut world = World::new();
    let v1 = world.make(1);
    let id = world.ask("production", Kind::Deploy, &v1, "ann");
    world.run_until(&id, &mut |_, _| None, |machine| machine.state().touched());
    world.asked(&id, Ask::Cancel).expect("it runs");
    let before = world.machine(&id).clone();
    for ask in [Ask::Cancel, Ask::Pause, Ask::Continue] {
        assert!(world.asked(&id, ask).is_err(), "{ask:?}");
    }
    assert_eq!(world.asked(&id, Ask::Cancel), Err(Rejected::GoingBack));
    assert_eq!(*world.machine(&id), before);
}

#[test]
pub(super) fn c39() {
    let mut world = World::new();
    let v1 = world.make(1);
    let id = world.ask("production", Kind::Deploy, &v1, "ann");
    world.run_until(&id, &mut |_, _| None, |machine| {
        machine
            .outstanding()
            .iter()
            .any(|effect| matches!(effect.work, Work::Verify(_)))
    });
    let verify = world.effect(&id, Work::Verify(SliceIx(0)));
    world.asked(&id, Ask::Cancel).expect("it runs");
    let before = world.machine(&id).clone();
    assert_eq!(
        world.answer(&id, verify, fails(Failed::Unhealthy)),
        Err(Rejected::Late)
    );
    assert_eq!(*world.machine(&id), before);
}

#[test]
pub(super) fn c40() {
    let (mut world, [_, v2, _]) = three();
    world.roll_back("production", &v2);
    let frozen = EventKind::AutomaticPromotionFrozen {
        reason: "rolled back to v2".to_owned(),
    };
    world.tell("production", "engine", None, frozen);
    let view = world.environment("production");
    assert_eq!(view.unfreeze().as_deref(), Some("deploy unfreeze -e production"));
    world.wait(minutes(100_000));
    assert!(
        world.environment("production").automatic_frozen.is_some(),
        "time does not lift it"
    );
    world.tell("production", "ann", None, EventKind::Unfrozen);
    assert_eq!(world.environment("production").unfreeze(), None);
}

#[test]
pub(super) fn c41() {
    let (mut world, [_, _, v3]) = three();
    let before = world.environment("production");
    let yanked = EventKind::Yanked {
        release: v3.to_ref(),
        reason: "a leak".to_owned(),
    };
    world.tell_project("ann", yanked);
    for place in ["production", "elsewhere"] {
        let id = world.ask(place, Kind::Promote, &v3, "ann");
        let unmet = world.unmet(&id);
        assert_eq!(
            (unmet[0].gate, unmet[0].next.as_str()),
            (GateKind::Yank, "deploy yank v3 --undo")
        );
        world.asked(&id, Ask::Cancel).expect("it did not start");
    }
    assert_eq!(
        world.environment("production").current,
        before.current,
        "what runs is not touched"
    );
    world.tell_project("ann", EventKind::Unyanked { release: v3.to_ref() });
    let id = world.ask("elsewhere", Kind::Promote, &v3, "ann");
    assert_eq!(world.verdict(&id), Verdict::Holds);
}

#[test]
pub(super) fn c44() {
    let (mut world, [_, v2, _]) = three();
    let everything = Rules {
        branches: Some(["master".to_owned()].into()),
        after: [env("staging")].into(),
        soak: minutes(10),
        checks: [(
            crate::fixture::evidence("tests"),
            crate::gate::rules::CheckRule::default(),
        )]
        .into(),
        approvals: [(
            "release".to_owned(),
            ApprovalRule {
                count: 2,
                from: [group("managers")].into(),
                not_author: true,
            },
        )]
        .into(),
        freezes: [(
            "always".to_owned(),
            Window::Once {
                from: crate::time::Timestamp(0),
                to: crate::time::Timestamp(i64::MAX),
            }
            .into(),
        )]
        .into(),
        ..Rules::default()
    };
    world.rules.insert(env("production"), everything);
    assert_eq!(
        world
            .verdict(&world.environment("production").ended[2].deployment.clone())
            .unmet()
            .len(),
        5
    );
    let back = world.ask("production", Kind::Rollback, &v2, actor("dan").as_str());
    assert_eq!(world.verdict(&back), Verdict::Holds);
    let slow: fn(&Machine, Effect) -> Option<Answer> = |_, _| None;
    world.run_with(&back, &mut { slow });
    assert_eq!(world.machine(&back).ended(), Some(Outcome::Succeeded));
    let view = world.view(&back);
    assert!(view.slices.iter().all(|slice| slice.running == Running::New));
}

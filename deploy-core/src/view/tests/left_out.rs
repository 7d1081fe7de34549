//! A slice that fails within its service's budget, as readers see it: named with what it runs and the next command, wherever a
//! deployment or its environment is told.

use super::*;
use crate::plan::OnFailure;
use crate::port::target::HealthSeen;
use crate::view::slice::Progress;

const WEB_2: SliceIx = SliceIx(3);

/// v2 is promoted over v1; `web` may lose as many slices.
fn second_with(max_failures: u16) -> (World, DeploymentId) {
    let mut world = World::new();
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("production", &v1);
    world.wait(minutes(5));
    let id = world.ask_with("production", Kind::Promote, &v2, "dan", |mut plan| {
        plan.services[1].max_failures = max_failures;
        plan.services[1].abilities.stops = true;
        plan
    });
    (world, id)
}

#[test]
fn a_success_without_a_slice_names_it_everywhere() {
    let (mut world, id) = second_with(1);
    world.run_with(&id, &mut unhealthy(3));
    let view = world.view(&id);
    assert_eq!(view.outcome, Some(Outcome::Succeeded));
    assert_eq!(view.failure, None);
    assert_eq!(view.slices[3].progress, Progress::Excluded);
    let told = result(&view, &world.project());
    insta::assert_json_snapshot!((&told.ending, &told.strays, &told.services[1]));
    assert_eq!(told.services[1].release, None, "not all of it is there");

    let environment = world.environment("production");
    let told = status([&environment], &world.project(), &BTreeMap::new());
    let production = &told.environments[0];
    assert_eq!(production.state, EnvState::Steady);
    assert_eq!(
        production.next.as_deref(),
        Some("deploy promote -e production --release v2")
    );
    let web = &production.services[1];
    assert_eq!((web.drift, web.health), (Drift::Drifted, HealthSeen::Stopped));
    assert_eq!(web.slices[1].runs, "nothing (excluded)");
    let page = page([&environment], &world.project(), None, 1);
    assert_eq!(page.deployments[0].excluded, ["web host-4"]);
    // What it is evidence of says so too.
    let ended = world.streams[&env("production")]
        .iter()
        .rev()
        .find(|event| matches!(event.kind, EventKind::Ended { .. }))
        .expect("it has ended");
    let plan = world.machine(&id).plan();
    let follows = crate::machine::consequences(plan, ended.at, std::slice::from_ref(&ended.kind));
    let [EventKind::EvidenceGiven { evidence }] = &follows[..] else {
        panic!("{follows:?}")
    };
    assert!(
        evidence
            .note
            .ends_with("left out within the failure budget: web host-4"),
        "{}",
        evidence.note
    );

    // Mended, and taken along by the next: nothing more to say.
    world.deploy(
        "production",
        &world.project().newest_first().next().expect("v2").release.clone(),
    );
    let environment = world.environment("production");
    let told = status([&environment], &world.project(), &BTreeMap::new());
    assert_eq!(told.environments[0].next, None);
}

/// What goes back for another reason says that one, and brings the stopped slice back with all others.
#[test]
fn the_failure_beyond_the_budget_is_the_one_that_is_told() {
    let (mut world, id) = second_with(1);
    let mut first = unhealthy(2);
    world.run_with(&id, &mut |machine, effect| match effect.work {
        Work::Activate(WEB_2) => Some(Answer::Failed {
            how: Failed::NotDone,
            slice: None,
            failure: failure(Code::HookFailed, "the hook before ended with status 1"),
        }),
        _ => first(machine, effect),
    });
    let view = world.view(&id);
    assert_eq!(view.outcome, Some(Outcome::RolledBack));
    let why = view.failure.as_ref().expect("it says why");
    assert_eq!(
        why.slice.as_ref().map(crate::id::SliceName::as_str),
        Some("host-4")
    );
    assert!(view.excluded().next().is_none());
    assert!(
        world
            .machine(&id)
            .state()
            .slices
            .iter()
            .all(|slice| slice.is_back())
    );
}

#[test]
fn what_cannot_be_reached_or_is_not_known_is_never_left_out() {
    for how in [
        Failed::Unreachable,
        Failed::Overtaken,
        Failed::Unknown,
        Failed::Fenced,
    ] {
        let (mut world, id) = second_with(2);
        world.run_with(&id, &mut |_, effect| {
            (effect.work == Work::Verify(WEB_2)).then(|| fails(how))
        });
        let view = world.view(&id);
        assert_ne!(view.outcome, Some(Outcome::Succeeded), "{how:?}");
        let excluded =
            |event: &&crate::event::Event| matches!(event.kind, EventKind::ExclusionIntended { .. });
        assert_eq!(
            world.streams[&env("production")].iter().filter(excluded).count(),
            0,
            "{how:?}"
        );
    }
}

/// A host that fails is left out first; only what is too much holds the deployment.
#[test]
fn a_budget_comes_before_what_a_failure_does() {
    let (mut world, id) = second_with(1);
    let hold = world.ask_with(
        "development",
        Kind::Deploy,
        &world.project().newest_first().next().expect("v2").release.clone(),
        "dan",
        |mut plan| {
            plan.services[1].max_failures = 1;
            plan.services[1].on_failure = OnFailure::Hold;
            plan
        },
    );
    world.run_with(&hold, &mut unhealthy(3));
    assert_eq!(world.view(&hold).outcome, Some(Outcome::Succeeded));
    world.run_with(&id, &mut |_, effect| {
        matches!(effect.work, Work::Verify(SliceIx(2 | 3))).then(|| fails(Failed::Unhealthy))
    });
    assert_eq!(world.view(&id).outcome, Some(Outcome::RolledBack));
}

#[test]
fn a_slice_that_cannot_be_stopped_turns_all_back() {
    let (mut world, id) = second_with(1);
    let mut first = unhealthy(3);
    world.run_with(&id, &mut |machine, effect| match effect.work {
        Work::Stop(_) => Some(fails(Failed::NotDone)),
        _ => first(machine, effect),
    });
    let view = world.view(&id);
    assert_eq!(view.outcome, Some(Outcome::RolledBack));
    assert_eq!(view.slices[3].progress, Progress::Back);
}

/// The last look finds something answering where it was stopped.
#[test]
fn what_was_stopped_and_answers_again_is_not_committed() {
    let (mut world, id) = second_with(1);
    let mut first = unhealthy(3);
    world.run_until(&id, &mut first, |machine| {
        machine.state().slice(WEB_2).is_settled()
    });
    world.sights(&id)[3].healthy = false;
    world.run_until(&id, &mut first, |machine| machine.state().turned_back);
    world.sights(&id)[3].healthy = true;
    world.run(&id);
    assert_eq!(world.view(&id).outcome, Some(Outcome::RolledBack));
}

/// Where nothing ran before, a stopped slice looks as it did; whoever takes the deployment up knows better, and names it.
#[test]
fn a_first_deployment_without_a_slice_names_it_also_after_a_takeover() {
    let mut world = World::new();
    let v1 = world.make(1);
    let id = world.ask_with("development", Kind::Deploy, &v1, "dan", |mut plan| {
        plan.services[0].max_failures = 1;
        plan
    });
    let mut first = unhealthy(0);
    world.run_until(&id, &mut first, |machine| {
        machine.state().slice(SliceIx(0)).is_settled()
    });
    world.sights(&id)[0].runs = crate::machine::Sight::Old;
    world.take_over(&id).expect("the first one is gone");
    world.run(&id);
    let view = world.view(&id);
    assert_eq!(view.outcome, Some(Outcome::Succeeded));
    let excluded: Vec<_> = view.excluded().map(|slice| slice.slice.to_string()).collect();
    assert_eq!(excluded, ["host-1"]);
}

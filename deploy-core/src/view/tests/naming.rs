//! By which release a slice is called, at every moment of a deployment: the new one is claimed by nothing that it does not move until
//! the commit point, and the old one is named again everywhere once it went back.

use super::*;
use crate::fixture::runs;
use crate::machine::{Effect, Machine};
use crate::model::ReleaseRef;
use crate::plan::Base;
use crate::port::target::{Checkpoint, HealthSeen};
use std::time::Duration;

/// What a story does besides what goes well.
type Story = fn(&Machine, Effect) -> Option<Answer>;

/// `api` (slices 0 and 1) has the same content in all releases, and its host calls it v1; v2 serves, v3 comes and changes `web`.
fn third(base: impl FnOnce(ReleaseRef) -> Base) -> (World, DeploymentId, [ReleaseRef; 3]) {
    let mut world = World::new();
    let [v1, v2, v3] = [1, 2, 3].map(|number| world.make(number));
    world.deploy("production", &v1);
    world.deploy("production", &v2);
    let base = base(v2.to_ref());
    let id = world.ask_with("production", Kind::Promote, &v3, "dan", |mut plan| {
        plan.base = base;
        for slice in &mut plan.slices {
            slice.now = runs(v1.to_ref());
        }
        plan.services[1].bake = minutes(1);
        plan
    });
    for sight in &mut world.sights(&id)[..2] {
        sight.runs = crate::machine::Sight::Both;
    }
    (world, id, [v1.to_ref(), v2.to_ref(), v3.to_ref()])
}

fn prepared_as_it_is(machine: &Machine, effect: Effect) -> Option<Answer> {
    let Work::Prepare(slice @ SliceIx(0 | 1)) = effect.work else {
        return None;
    };
    let now = machine.plan().slice(slice).now.clone();
    Some(Answer::Prepared {
        checkpoint: Checkpoint {
            reference: "checkpoint".to_owned(),
            digest: crate::digest::Digest::of("checkpoint"),
            was: now.clone(),
            health: HealthSeen::Healthy,
        },
        will_be: now,
        changes: false,
        note: None,
    })
}

fn fails_at(effect: Effect, work: Work) -> Option<Answer> {
    (effect.work == work).then(|| Answer::Failed {
        how: Failed::Unhealthy,
        slice: None,
        failure: failure(Code::Unhealthy, "ready: 503"),
    })
}

const STORIES: [(&str, Outcome, Story); 5] = [
    ("goes well", Outcome::Succeeded, |_, _| None),
    ("cannot be prepared", Outcome::Failed, |_, effect| {
        (effect.work == Work::Prepare(SliceIx(3))).then(|| fails(Failed::NotDone))
    }),
    ("its first slice is unwell", Outcome::RolledBack, |_, effect| {
        fails_at(effect, Work::Verify(SliceIx(2)))
    }),
    (
        "what it does not move is unwell",
        Outcome::RolledBack,
        |_, effect| fails_at(effect, Work::Verify(SliceIx(1))),
    ),
    ("it is unwell while baking", Outcome::RolledBack, |_, effect| {
        (effect.work == Work::Bake).then(|| Answer::Failed {
            how: Failed::Unhealthy,
            slice: Some(SliceIx(2)),
            failure: failure(Code::Unhealthy, "ready: 503"),
        })
    }),
];

fn numbers(releases: impl IntoIterator<Item = Option<ReleaseRef>>) -> Vec<u32> {
    let numbers = releases
        .into_iter()
        .map(|release| release.map_or(0, |release| release.number.0));
    numbers.collect()
}

#[test]
fn nothing_that_stays_is_called_the_new_release_before_the_commit_point_or_after_it_turned_back() {
    for (name, outcome, story) in STORIES {
        for killed in [false, true] {
            let (mut world, id, [_, v2, v3]) = third(Base::Release);
            let mut answers = |machine: &Machine, effect: Effect| {
                story(machine, effect).or_else(|| prepared_as_it_is(machine, effect))
            };
            if killed {
                world.run_until(&id, &mut answers, |machine| machine.state().touched());
                let _over = world.take_over(&id);
            }
            world.run_with(&id, &mut answers);
            assert_eq!(world.machine(&id).ended(), Some(outcome), "{name}");

            let stream = world.streams[&env("production")].clone();
            let mut environment = EnvironmentView::new(env("production"));
            let (mut committed, mut back) = (false, false);
            for event in &stream {
                environment.apply(event);
                if event.deployment.as_ref() != Some(&id) {
                    continue;
                }
                committed |= event.kind == EventKind::Committed;
                back |= matches!(event.kind, EventKind::TurnedBack { .. });
                let Some(view) =
                    DeploymentView::fold(&id, stream.iter().filter(|past| past.seq <= event.seq))
                else {
                    continue;
                };
                let wanted = if committed && !back { v3 } else { v2 };
                for slice in view.slices.iter().filter(|slice| !slice.touched) {
                    if slice.changes != Some(false) && committed {
                        continue;
                    }
                    assert_eq!(
                        slice.release,
                        Some(wanted),
                        "{name}: {} of {} after {:?}",
                        slice.slice,
                        slice.service,
                        event.kind
                    );
                }
                let observed = environment.observed.values().flat_map(BTreeMap::values);
                let of_api = observed.take(2).map(|seen| seen.release);
                if !committed {
                    assert_eq!(numbers(of_api), [2, 2], "{name}: after {:?}", event.kind);
                }
            }
            let all = if outcome == Outcome::Succeeded { 3 } else { 2 };
            let view = world.view(&id);
            assert_eq!(
                numbers(view.slices.iter().map(|slice| slice.release)),
                [all; 4],
                "{name}"
            );
            let told = result(&view, &world.project());
            for service in told.services {
                assert_eq!(
                    service.release.map(|number| number.0),
                    Some(all),
                    "{name}: {}",
                    service.service
                );
            }
            let told = status(
                [&world.environment("production")],
                &world.project(),
                &BTreeMap::new(),
            );
            for service in &told.environments[0].services {
                assert_eq!(
                    service.release.map(|number| number.0),
                    Some(all),
                    "{name}: {}",
                    service.service
                );
                assert_eq!(service.drift, Drift::None, "{name}: {}", service.service);
            }
        }
    }
}

#[test]
fn from_a_mixture_each_slice_is_called_again_what_its_target_called_it() {
    let (mut world, id, _) = third(|_| Base::Mixed);
    let mut answers = |machine: &Machine, effect: Effect| {
        fails_at(effect, Work::Verify(SliceIx(2))).or_else(|| prepared_as_it_is(machine, effect))
    };
    world.wait(Duration::from_secs(1));
    world.run_with(&id, &mut answers);
    assert_eq!(world.machine(&id).ended(), Some(Outcome::RolledBack));
    let view = world.view(&id);
    assert_eq!(numbers(view.slices.iter().map(|slice| slice.release)), [1; 4]);
}

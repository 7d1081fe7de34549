//! Stories told by real machines, and what readers see of them.

mod left_out;
mod naming;

use super::history::page;
use super::result::{OutcomeWord, Retry, ServiceOutcome, ending, result};
use super::status::{Drift, status};
use super::*;
use crate::event::EventKind;
use crate::failure::Code;
use crate::fixture::{World, actor, at, env, fails, failure, minutes, source};
use crate::gate::{GateKind, Opens, Unmet};
use crate::id::{DeploymentId, Epoch, SliceIx};
use crate::machine::state::{At, Direction};
use crate::machine::{Answer, Ask, Failed, Input, Outcome, Refusal, Sight, Work};
use crate::plan::Kind;
use crate::port::journal::LeaseHolder;
use crate::view::environment::EnvState;
use std::collections::BTreeMap;

/// v1 serves in production; then v2 comes, and does what the story says.
fn second() -> (World, DeploymentId) {
    let mut world = World::new();
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("production", &v1);
    world.wait(minutes(5));
    let id = world.ask("production", Kind::Promote, &v2, "dan");
    (world, id)
}

fn unhealthy(slice: u16) -> impl FnMut(&crate::machine::Machine, crate::machine::Effect) -> Option<Answer> {
    move |_, effect| {
        (effect.work == Work::Verify(SliceIx(slice))).then(|| Answer::Failed {
            how: Failed::Unhealthy,
            slice: None,
            failure: failure(
                Code::Unhealthy,
                "ready: 503 in 12 of 12 probes, wanted 30s healthy",
            ),
        })
    }
}

#[test]
fn the_phases_of_a_good_deployment_come_in_order() {
    use Phase::{
        Activating, Committed, Finishing, Gated, Prepared, Preparing, Requested, Succeeded, Verified,
    };
    let (mut world, id) = second();
    world.run(&id);
    let mut view: Option<DeploymentView> = None;
    let mut phases = vec![Phase::Requested];
    for event in &world.streams[&env("production")] {
        if event.deployment.as_ref() == Some(&id) {
            let view = view.get_or_insert_with(|| DeploymentView::new(id.clone(), event.at));
            view.apply(event);
            if phases.last() != Some(&view.phase()) {
                phases.push(view.phase());
            }
        }
    }
    assert_eq!(
        phases,
        [
            Requested, Gated, Preparing, Prepared, Activating, Verified, Committed, Finishing, Succeeded
        ]
    );
}

/// What is away with a revert armed may come back with it: until when at the latest is told, also where nobody learned whether it was
/// armed.
#[test]
fn what_is_away_armed_is_named_with_the_time_until_it_may_change() {
    let away = SliceIx(3);
    for (last, then) in [
        (Work::Activate(away), At::Intended),
        (Work::Verify(away), At::Activated),
    ] {
        let (mut world, id) = second();
        let mut answers = |_: &crate::machine::Machine, effect: crate::machine::Effect| match effect.work {
            work if work == last => Some(fails(Failed::Unknown)),
            Work::Restore(slice) | Work::Confirm(slice) if slice == away => Some(fails(Failed::Unreachable)),
            _ => None,
        };
        world.run_until(&id, &mut answers, |machine| {
            machine.state().slice(away).at == then
        });
        world.sights(&id)[away.at()].runs = Sight::Unreachable;
        world.run_with(&id, &mut answers);
        world.wait(minutes(30));
        let _ended = world.feed(&id, &[Input::Elapsed]).expect("its time is over");
        world.run_with(&id, &mut answers);
        let view = world.view(&id);
        assert_eq!(view.outcome, Some(Outcome::NeedsHuman), "{last:?}");
        let told = result(&view, &world.project());
        let stray = told.strays.iter().find(|stray| stray.slice.as_str() == "host-4");
        let stray = stray.expect("it is one");
        assert_eq!(stray.runs, "unknown");
        let ended = view.finished_at.expect("it has ended");
        assert_eq!(stray.may_change_until, Some(ended.after(minutes(10))), "{last:?}");
    }
}

#[test]
fn a_rolled_back_deployment_as_json() {
    let (mut world, id) = second();
    world.run_with(&id, &mut unhealthy(2));
    world.wait(minutes(2));
    let view = world.view(&id);
    let result = result(&view, &world.project());
    assert_eq!(result.services[1].outcome, ServiceOutcome::RolledBack);
    insta::assert_json_snapshot!(result);
    assert!(
        world
            .environment("production")
            .stays
            .counting(view.release().expect("asked").digest)
            .is_none()
    );
}

/// What was found unhealthy is barred: taking it forward again is no way out.
#[test]
fn the_way_out_of_nothing_leads_to_no_barred_release() {
    let stuck = |kind, bad: Option<Failed>| {
        let mut world = World::new();
        let v1 = world.make(1);
        let id = world.ask("development", kind, &v1, "dan");
        let mut unhealthy = unhealthy(2);
        world.run_with(&id, &mut |machine, effect| match effect.work {
            Work::Restore(_) => Some(fails(Failed::NotDone)),
            Work::Verify(SliceIx(2)) => {
                bad.map_or_else(|| unhealthy(machine, effect), |how| Some(fails(how)))
            }
            _ => None,
        });
        let view = world.view(&id);
        assert_eq!(view.outcome, Some(Outcome::NeedsHuman));
        let environment = world.environment("development");
        let status = status([&environment], &world.project(), &BTreeMap::new());
        let next = status.environments[0].next.clone().expect("it needs a human");
        assert_eq!(next, view.strays[0].next);
        next
    };
    insta::assert_snapshot!(stuck(Kind::Deploy, None), @"v1 is barred (deploy yank v1 --undo lifts that): commit what mends it, then deploy up -e development");
    insta::assert_snapshot!(stuck(Kind::Promote, None), @"v1 is barred (deploy yank v1 --undo lifts that): bring a mended release through the environments before, then deploy promote -e development");
    insta::assert_snapshot!(stuck(Kind::Deploy, Some(Failed::NotDone)), @"deploy up -e development");
}

/// What kept it out of a place is why the place is not where it should be: the disk, not that nothing was learned.
#[test]
fn a_place_that_let_nobody_in_is_told_with_the_reason() {
    let (mut world, id) = second();
    let mut unhealthy = unhealthy(2);
    let mut full = |machine: &crate::machine::Machine, effect: crate::machine::Effect| match effect.work {
        Work::Claim(_) if machine.state().direction == Direction::Back => Some(Answer::ClaimRefused {
            refusal: Refusal::Broken,
            failure: failure(Code::TargetFull, "no room in /opt/shop on web-1"),
        }),
        _ => unhealthy(machine, effect),
    };
    world.run_with(&id, &mut full);
    // It is tried again until its time is over.
    world.wait(minutes(30));
    let _ended = world.feed(&id, &[Input::Elapsed]).expect("its time is over");
    world.run_with(&id, &mut full);
    let view = world.view(&id);
    assert_eq!(view.outcome, Some(Outcome::NeedsHuman));
    assert!(!view.strays.is_empty());
    for stray in &view.strays {
        assert_eq!(stray.why, "no room in /opt/shop on web-1", "{stray:?}");
    }
}

#[test]
fn codes_say_what_to_do() {
    let claim = |refusal, code| {
        move |_: &crate::machine::Machine, effect: crate::machine::Effect| {
            matches!(effect.work, Work::Claim(_)).then(|| Answer::ClaimRefused {
                refusal,
                failure: failure(code, "no"),
            })
        }
    };
    let (mut held, id_held) = second();
    held.run_with(&id_held, &mut claim(Refusal::Held, Code::ClaimHeld));
    let (mut away, id_away) = second();
    away.run_with(&id_away, &mut claim(Refusal::Unreachable, Code::Unreachable));
    let (mut broken, id_broken) = second();
    broken.run_with(&id_broken, &mut |_, effect| {
        matches!(effect.work, Work::Prepare(_)).then(|| fails(Failed::NotDone))
    });
    let (mut open, id_open) = second();
    open.run_until(&id_open, &mut |_, _| None, |machine| machine.state().touched());
    let (mut cancelled, id_cancelled) = second();
    cancelled
        .asked(&id_cancelled, Ask::Cancel)
        .expect("it did not start");
    let (mut good, id_good) = second();
    good.run(&id_good);
    for (world, id, outcome, code, retry, changed) in [
        (held, id_held, OutcomeWord::Failed, 5, Retry::Same, false),
        (away, id_away, OutcomeWord::Failed, 8, Retry::Same, false),
        (broken, id_broken, OutcomeWord::Failed, 1, Retry::Same, false),
        (open, id_open, OutcomeWord::Open, 9, Retry::Resume, true),
        (
            cancelled,
            id_cancelled,
            OutcomeWord::Cancelled,
            12,
            Retry::Same,
            false,
        ),
        (good, id_good, OutcomeWord::Succeeded, 0, Retry::Never, true),
    ] {
        let view = world.view(&id);
        let ending = ending(&view);
        assert_eq!(
            (ending.outcome, ending.code, ending.retry),
            (outcome, code, retry)
        );
        assert_eq!(view.changed(), changed, "{outcome:?}");
    }
}

#[test]
fn a_refusal_names_the_gravest_gate() {
    let (mut world, id) = second();
    let unmet = |gate, opens| Unmet {
        gate,
        reason: format!("{gate:?}"),
        earliest: None,
        opens,
        next: "do".to_owned(),
    };
    for (gates, code, failure) in [
        (
            vec![unmet(GateKind::Authorization, Opens::Never)],
            7,
            Code::NotAllowed,
        ),
        (
            vec![
                unmet(GateKind::Approval, Opens::ByPeople),
                unmet(GateKind::Yank, Opens::Never),
            ],
            6,
            Code::Yanked,
        ),
    ] {
        let mut view = world.view(&id);
        view.unmet.clone_from(&gates);
        (view.outcome, view.ended) = (Some(Outcome::Refused), true);
        let result = result(&view, &world.project());
        assert_eq!(
            (result.ending.code, result.failure.map(|failure| failure.code)),
            (code, Some(failure))
        );
    }
    world.run(&id);
}

#[test]
fn status_tells_what_runs_and_how_old_that_knowledge_is() {
    let (mut world, id) = second();
    let nobody = BTreeMap::new();
    let of = |world: &World| status([&world.environment("production")], &world.project(), &nobody);
    let before = of(&world);
    let production = &before.environments[0];
    assert_eq!(
        production.release.map(|release| release.to_string()).as_deref(),
        Some("v1")
    );
    assert_eq!(
        production.commit.as_ref().map(crate::id::CommitId::short),
        Some("1111111")
    );
    assert_eq!(
        (production.state, production.deployment.as_ref()),
        (EnvState::Deploying, Some(&id))
    );
    // Nobody holds the lease: it was left, and only somebody who takes it up brings it on.
    let next = |held: &BTreeMap<_, _>| {
        let all = status([&world.environment("production")], &world.project(), held);
        (
            all.environments[0].next.clone(),
            all.environments[0].driver.clone(),
        )
    };
    assert_eq!(
        next(&nobody),
        (Some(format!("deploy resume {}", id.short())), None)
    );
    let holder = LeaseHolder {
        who: "dan@laptop (pid 4711)".to_owned(),
        since: at("2026-11-21T07:00:00Z"),
        deployment: Some(id.clone()),
        step: "verifying web".to_owned(),
    };
    let held = BTreeMap::from([(env("production"), holder)]);
    assert_eq!(
        next(&held),
        (
            Some(format!("deploy watch {}", id.short())),
            Some("dan@laptop (pid 4711)".to_owned())
        )
    );
    assert_eq!(production.observed_at, Some(at("2026-11-21T07:00:00Z")));
    assert!(
        production
            .services
            .iter()
            .all(|service| service.drift == Drift::None)
    );

    world.run_until(&id, &mut |_, _| None, |machine| {
        machine
            .outstanding()
            .iter()
            .any(|effect| matches!(effect.work, Work::Verify(_)))
    });
    let slices = &of(&world).environments[0].services[0].slices.clone();
    assert_eq!(slices[0].release.map(|release| release.0), Some(2));
    assert_eq!(slices[1].release.map(|release| release.0), Some(1));
    world.run(&id);
    let steady = of(&world);
    assert_eq!(steady.environments[0].state, EnvState::Steady);
    insta::assert_json_snapshot!(steady.environments[0].services[0].slices[0], @r#"
    {
      "slice": "host-1",
      "release": "v2",
      "runs": "v2",
      "health": "healthy",
      "drift": "none",
      "observed_at": "2026-11-21T07:05:00.000Z"
    }
    "#);

    // Somebody else changes a slice: the next deployment's look says so.
    let next = world.ask("production", Kind::Deploy, &crate::fixture::release(2), "dan");
    world.run_until(&next, &mut |_, _| None, |machine| machine.state().touched());
    let effect = world.effect(&next, Work::Activate(SliceIx(0)));
    world
        .answer(&next, effect, fails(Failed::Overtaken))
        .expect("it was asked");
    world.sights(&next)[0].runs = crate::machine::Sight::Foreign;
    world.run(&next);
    let drifted = of(&world);
    assert_eq!(drifted.environments[0].services[0].drift, Drift::Drifted);
    assert_eq!(drifted.environments[0].state, EnvState::NeedsHuman);
    assert_eq!(
        drifted.environments[0].next.as_deref(),
        Some("deploy rollback -e production --to v2")
    );
}

#[test]
fn history_comes_in_pages_newest_first() {
    let mut world = World::new();
    let releases = [1, 2, 3].map(|number| world.make(number));
    let ids: Vec<_> = releases
        .iter()
        .map(|release| world.deploy("production", release))
        .collect();
    let (view, project) = (world.environment("production"), world.project());
    let first = page([&view], &project, None, 2);
    let names = |page: &super::history::HistoryPage| {
        page.deployments
            .iter()
            .map(|summary| summary.deployment.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(first.next_cursor.as_ref(), Some(&ids[1]));
    let second = page([&view], &project, first.next_cursor.as_ref(), 2);
    assert_eq!((names(&second), second.next_cursor), (vec![ids[0].clone()], None));
    assert_eq!(
        second.deployments[0]
            .commit
            .as_ref()
            .map(crate::id::CommitId::short),
        Some("1111111")
    );
}

#[test]
fn a_text_names_one_release_or_says_what_there_is() {
    let mut world = World::new();
    assert_eq!(
        world
            .project()
            .resolve("v1")
            .expect_err("there is none")
            .to_string(),
        "no release is `v1`; there is none yet: `deploy up` makes one"
    );
    for number in [1, 2, 17] {
        world.make(number);
    }
    let added = EventKind::SourceAdded {
        release: crate::id::ReleaseNumber(2),
        source: source('e', "ann"),
        version: Some("2.0.0".to_owned()),
    };
    world.tell_project("ci", added);
    let project = world.project();
    let digest = crate::fixture::release(2).digest();
    for (text, number) in [
        ("v2", 2),
        (" v17 ", 17),
        ("2222", 2),
        ("EEEEeeee", 2),
        ("2.0.0", 2),
        (&digest.to_string(), 2),
        (&format!("sha256:{digest}"), 2),
        (&digest.short(), 2),
        (&digest.short().to_uppercase(), 2),
        (&format!("sha256:{}", digest.short()), 2),
    ] {
        assert_eq!(
            project.resolve(text).map(|release| release.number.0),
            Ok(number),
            "{text}"
        );
    }
    assert!(
        matches!(project.resolve("222"), Err(NoSuchRelease::NotFound { .. })),
        "too short"
    );
    assert!(
        project.resolve("sha256:2222").is_err(),
        "the beginning of a commit, and of no digest"
    );
    // v1 and v17 come from the same commit.
    let message = project.resolve("1111").expect_err("two fit").to_string();
    assert_eq!(message, "`1111` fits several releases: v17 1111111, v1 1111111");
    assert_eq!(project.next_number().0, 18);
}

#[test]
fn a_fold_may_be_stored_and_gone_on_with() {
    let (mut world, id) = second();
    world.run_until(&id, &mut |_, _| None, |machine| machine.state().touched());
    let half = world.environment("production");
    let text = serde_json::to_string(&half).expect("our own types serialize");
    let mut again: EnvironmentView = serde_json::from_str(&text).expect("our own text");
    assert_eq!(again, half);
    let text = serde_json::to_string(&world.project()).expect("our own types serialize");
    let project: ProjectView = serde_json::from_str(&text).expect("our own text");
    assert_eq!(project, world.project());
    world.run(&id);
    let last = again.last;
    for event in world.streams[&env("production")]
        .iter()
        .filter(|event| event.seq > last)
    {
        again.apply(event);
    }
    assert_eq!(
        again,
        world.environment("production"),
        "folding in two pieces is folding once"
    );
}

#[test]
fn an_environment_remembers_what_the_next_deployment_needs() {
    let (mut world, id) = second();
    world.run(&id);
    let view = world.environment("production");
    assert!(
        view.epochs.values().all(|epoch| *epoch == Epoch(2)),
        "{:?}",
        view.epochs
    );
    assert_eq!(view.ended.len(), 2);
    assert_eq!(view.last_moved.as_ref().map(|last| &last.id), Some(&id));
    let stopped = EventKind::FrozenByHand {
        reason: "an incident".to_owned(),
    };
    world.tell("production", "eve", None, stopped);
    let view = world.environment("production");
    assert_eq!(
        view.frozen.as_ref().map(|stopped| &stopped.by),
        Some(&actor("eve"))
    );
    assert_eq!(view.unfreeze().as_deref(), Some("deploy unfreeze -e production"));
}

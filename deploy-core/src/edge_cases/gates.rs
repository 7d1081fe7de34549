//! C12 to C24: gates and evidence.

use crate::event::EventKind;
use crate::fixture::{World, actor, env, evidence, fails, group, minutes};
use crate::gate::rules::{CheckRule, Moved};
use crate::gate::{About, Containment, Evidence, Finding, GateKind, Opens, Rules, Verdict};
use crate::id::DeploymentId;
use crate::machine::{Answer, Ask, Failed, Outcome, Work};
use crate::model::Release;
use crate::plan::Kind;
use crate::port::target::HealthSeen;
use crate::view::NoWayBack;
use crate::view::{Current, Phase};
use std::time::Duration;

/// Production comes after staging and wants ten minutes of soak.
fn soaking() -> World {
    let mut world = World::new();
    let rules = Rules {
        after: [env("staging")].into(),
        soak: minutes(10),
        ..Rules::default()
    };
    world.rules.insert(env("production"), rules);
    world
}

pub(super) fn promote(world: &mut World, release: &Release) -> DeploymentId {
    world.ask("production", Kind::Promote, release, "dan")
}

pub(super) fn gates_of(world: &World, id: &DeploymentId) -> Vec<GateKind> {
    world.unmet(id).iter().map(|rule| rule.gate).collect()
}

pub(super) fn checks(world: &mut World, rule: CheckRule) {
    let rules = Rules {
        checks: [(evidence("tests"), rule)].into(),
        ..Rules::default()
    };
    world.rules.insert(env("production"), rules);
}

pub(super) fn attest(world: &mut World, given: Evidence) {
    world.tell_project("ci", EventKind::EvidenceGiven { evidence: given });
}

#[test]
pub(super) fn c12() {
    let mut world = soaking();
    let (v1, v2) = (world.make(1), world.make(2));
    world.wait(minutes(5));
    world.deploy("staging", &v1);
    let since = world.now;
    let id = promote(&mut world, &v1);
    let unmet = world.unmet(&id);
    assert_eq!((unmet[0].gate, unmet[0].opens), (GateKind::Soak, Opens::ByTime));
    assert_eq!(
        unmet[0].earliest,
        Some(since.after(minutes(10))),
        "from the verification, not from the request"
    );

    // Another release comes between: what is left of the soak is not carried over.
    world.wait(minutes(6));
    world.deploy("staging", &v2);
    world.wait(minutes(6));
    let back = world.deploy("staging", &v2);
    assert!(world.view(&back).ended);
    assert_eq!(
        world.unmet(&id)[0].opens,
        Opens::Never,
        "it does not run there any more"
    );
    // Bad health of the one that runs: its soak starts again when it is well again.
    let id = promote(&mut world, &v2);
    world.verified("staging", v2.to_ref(), Finding::Failed);
    assert_eq!(gates_of(&world, &id), [GateKind::Upstream]);
    world.wait(minutes(1));
    world.verified("staging", v2.to_ref(), Finding::Passed);
    assert_eq!(world.unmet(&id)[0].earliest, Some(world.now.after(minutes(10))));
    world.wait(minutes(10));
    assert_eq!(world.verdict(&id), Verdict::Holds);
}

#[test]
pub(super) fn c13() {
    let mut world = soaking();
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("staging", &v1);
    world.wait(minutes(11));
    world.look("staging", v1.to_ref(), HealthSeen::Healthy);
    world.deploy("staging", &v2);
    let id = promote(&mut world, &v1);
    assert_eq!(
        world.verdict(&id),
        Verdict::Holds,
        "it was seen there for long enough"
    );
    let revoked = EventKind::EvidenceRevoked {
        name: evidence("verified"),
        release: v1.to_ref(),
        reason: "a memory leak".to_owned(),
    };
    world.tell("staging", "eve", None, revoked);
    assert!(world.unmet(&id)[0].reason.contains("a memory leak"));
    world.verified("staging", v1.to_ref(), Finding::Passed);
    assert_eq!(
        gates_of(&world, &id),
        [GateKind::Soak],
        "the old stay counts no more"
    );
}

#[test]
pub(super) fn c14() {
    let all = Rules {
        after: [env("staging"), env("canary")].into(),
        ..Rules::default()
    };
    let one = Rules {
        after: [env("staging")].into(),
        ..Rules::default()
    };
    assert_eq!(Rules::compare(&one, &all).lines[0].moved, Moved::Tighter);
    let left = Rules::compare(&all, &one);
    assert!(left.loosened());
    assert_eq!(left.strictest, all);

    let mut world = World::new();
    world.rules.insert(env("production"), all);
    let v1 = world.make(1);
    world.deploy("staging", &v1);
    let id = promote(&mut world, &v1);
    let unmet = world.unmet(&id);
    assert_eq!(unmet.len(), 1);
    assert!(
        unmet[0].reason.contains("not verified in canary"),
        "every one of them"
    );
}

#[test]
pub(super) fn c15() {
    let mut world = soaking();
    world.rules.entry(env("production")).or_default().soak = Duration::ZERO;
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("staging", &v1);
    world.deploy("staging", &v2);
    let id = promote(&mut world, &v2);
    world.run_until(&id, &mut |_, _| None, |machine| {
        machine.state().reach == crate::machine::state::Reach::Prepared
    });
    world.roll_back("staging", &v1);
    world.run(&id);
    let view = world.view(&id);
    assert_eq!(view.outcome, Some(Outcome::Refused), "judged again at the start");
    assert!(
        view.unmet[0].reason.contains("rolled back from v2 to v1"),
        "{}",
        view.unmet[0].reason
    );
    assert!(!view.changed());
}

#[test]
pub(super) fn c16() {
    let mut world = soaking();
    let v1 = world.make(1);
    world.deploy("staging", &v1);
    let id = promote(&mut world, &v1);
    world.run(&id);
    assert_eq!(world.view(&id).phase(), Phase::Waiting);
    world.verified("staging", v1.to_ref(), Finding::Failed);
    world.wait(minutes(10));
    world.asked(&id, Ask::Recheck).expect("it waits");
    world.run(&id);
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Refused));
}

#[test]
pub(super) fn c17() {
    let mut world = World::new();
    checks(&mut world, CheckRule::default());
    let v1 = world.make(1);
    let id = promote(&mut world, &v1);
    let about = About::Digest(v1.digest());
    let open = world.found("tests", about.clone(), Finding::Inconclusive);
    attest(&mut world, open);
    assert_eq!(
        world.unmet(&id)[0].opens,
        Opens::ByPeople,
        "neither passed nor failed"
    );
    let failed = world.found("tests", about, Finding::Failed);
    attest(&mut world, failed);
    assert_eq!(world.unmet(&id)[0].opens, Opens::Never);

    world.verified("staging", v1.to_ref(), Finding::Passed);
    world.verified("staging", v1.to_ref(), Finding::Inconclusive);
    assert!(
        world.environment("staging").stays.counting(v1.digest()).is_some(),
        "no reason to go back"
    );
}

#[test]
pub(super) fn c18() {
    let mut world = World::new();
    checks(&mut world, CheckRule::default());
    let (v1, v2) = (world.make(1), world.make(2));
    let id = promote(&mut world, &v1);
    let passed = |world: &World, about| world.found("tests", about, Finding::Passed);

    let other = passed(&world, About::Digest(v2.digest()));
    attest(&mut world, other);
    let elsewhere = Evidence {
        environment: Some(env("staging")),
        ..passed(&world, About::Digest(v1.digest()))
    };
    world.tell(
        "staging",
        "ci",
        None,
        EventKind::EvidenceGiven { evidence: elsewhere },
    );
    assert_eq!(
        gates_of(&world, &id),
        [GateKind::Check],
        "another digest, another environment"
    );

    let run = |world: &World, run: &str, finding| Evidence {
        run: Some(run.to_owned()),
        ..world.found("tests", About::Commit(v1.sources[0].commit.clone()), finding)
    };
    let old = run(&world, "1", Finding::Failed);
    world.wait(minutes(1));
    let new = run(&world, "2", Finding::Passed);
    attest(&mut world, new.clone());
    assert_eq!(
        world.verdict(&id),
        Verdict::Holds,
        "a commit's evidence is inherited"
    );
    attest(&mut world, old);
    assert_eq!(
        world.verdict(&id),
        Verdict::Holds,
        "a late report of an older run"
    );
    let doubled = Evidence {
        at: world.now.after(minutes(1)),
        finding: Finding::Failed,
        ..new
    };
    attest(&mut world, doubled);
    assert_eq!(world.verdict(&id), Verdict::Holds, "a run tells its result once");
}

#[test]
pub(super) fn c23() {
    let mut world = World::new();
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("production", &v1);
    world.deploy("production", &v2);
    let rules = Rules {
        branches: Some(["master".to_owned()].into()),
        ..Rules::default()
    };
    world.rules.insert(env("production"), rules);
    let id = promote(&mut world, &v2);
    assert!(world.unmet(&id)[0].reason.contains("not looked at"));
    let unknown = Containment::Unknown {
        why: "the checkout is shallow".to_owned(),
    };
    world.contained_in.insert("master".to_owned(), unknown);
    assert!(world.unmet(&id)[0].reason.contains("the checkout is shallow"));
    world.contained_in.insert("master".to_owned(), Containment::Not);
    assert!(world.unmet(&id)[0].reason.contains("no commit of v2"));
    let back = world.ask("production", Kind::Rollback, &v1, "ann@shop.example");
    assert_eq!(world.verdict(&back), Verdict::Holds, "going back asks none of it");
    let holds = Containment::Contains {
        branch: "master".to_owned(),
        commit: v2.sources[0].commit.clone(),
    };
    world.contained_in.insert("master".to_owned(), holds);
    assert_eq!(world.verdict(&id), Verdict::Holds);
}

#[test]
pub(super) fn c24() {
    let mut world = World::new();
    let v1 = world.make(1);
    let view = world.environment("production");
    let nothing = view.destination(None, &world.project());
    assert_eq!(
        nothing,
        Err(NoWayBack::Nothing {
            environment: env("production")
        })
    );
    let id = promote(&mut world, &v1);
    world.run_with(&id, &mut |_, effect| {
        matches!(effect.work, Work::Verify(_)).then(|| fails(Failed::Unhealthy))
    });
    let view = world.view(&id);
    assert_eq!(
        view.outcome,
        Some(Outcome::RolledBack),
        "what it created is removed"
    );
    assert_eq!(view.slices[0].runs_in_words(), "nothing");
    assert_eq!(world.environment("production").current, Current::Nothing);
}

/// Who may ask is the one thing that a rollback is held up by.
#[test]
fn a_rollback_asks_for_authorization_alone() {
    let mut world = World::new();
    let (v1, v2) = (world.make(1), world.make(2));
    world.deploy("production", &v1);
    world.deploy("production", &v2);
    let rules = Rules {
        allow: [(crate::gate::rules::Act::Rollback, [group("operators")].into())].into(),
        ..Rules::default()
    };
    world.rules.insert(env("production"), rules);
    let id = world.ask("production", Kind::Rollback, &v1, "dan");
    assert_eq!(gates_of(&world, &id), [GateKind::Authorization]);
    world.run(&id);
    assert_eq!(crate::view::result::ending(&world.view(&id)).code, 7);
    world.groups.insert(group("operators"), [actor("dan")].into());
    let id = world.ask("production", Kind::Rollback, &v1, "dan");
    assert_eq!(world.verdict(&id), Verdict::Holds);
    let late = Answer::Judged {
        verdict: Verdict::Holds,
        replanned: None,
    };
    let effect = world.effect(&id, Work::Judge);
    assert!(world.answer(&id, effect, late).is_ok());
}

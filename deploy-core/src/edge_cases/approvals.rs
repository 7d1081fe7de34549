//! C1 to C10: releases and approvals.

use crate::digest::Digest;
use crate::event::{EventKind, RequestOptions};
use crate::fixture::{World, actor, env, fails, group, minutes, release, source};
use crate::gate::rules::{Act, ApprovalRule, Moved};
use crate::gate::{Approval, GateKind, Opens, Rules, Verdict};
use crate::id::DeploymentId;
use crate::machine::{Answer, Ask, Failed, Guard, Outcome, Rejected, Work};
use crate::manifest::StrategyKind;
use crate::model::Source;
use crate::plan::Kind;
use crate::view::Phase;

fn rule(count: u32, from: &[&str], not_author: bool) -> ApprovalRule {
    ApprovalRule {
        count,
        from: from.iter().map(|name| group(name)).collect(),
        not_author,
    }
}

/// A world in which production needs what the rules say, and a deployment of v1 that waits for it.
fn waiting(rules: &[(&str, ApprovalRule)]) -> (World, DeploymentId) {
    let mut world = World::new();
    world.groups = [
        (
            group("managers"),
            ["bob", "cid", "Ann@shop.example", "ann@shop.example"]
                .map(actor)
                .into(),
        ),
        (group("security"), ["eve", "bob"].map(actor).into()),
    ]
    .into();
    let approvals = rules
        .iter()
        .map(|(name, rule)| ((*name).to_owned(), rule.clone()));
    world.rules.insert(
        env("production"),
        Rules {
            approvals: approvals.collect(),
            ..Rules::default()
        },
    );
    let release = world.make(1);
    let id = world.ask("production", Kind::Promote, &release, "dan");
    world.run(&id);
    assert_eq!(world.view(&id).phase(), Phase::Waiting);
    (world, id)
}

fn holds(world: &World, id: &DeploymentId) -> bool {
    world.verdict(id) == Verdict::Holds
}

#[test]
pub(super) fn c01() {
    let (mut world, id) = waiting(&[("release", rule(1, &["managers"], false))]);
    world.approve(&id, "bob");
    assert!(holds(&world, &id));

    let good = world.gates(&id, |input| {
        (input.plan.map(|plan| plan.digest), input.rules.digest())
    });
    for (plan, rules, why) in [
        (Digest::of("another plan"), good.1, "approved another plan"),
        (
            good.0.unwrap_or(good.1),
            Digest::of("other rules"),
            "the rules have changed since",
        ),
    ] {
        let (mut world, id) = waiting(&[("release", rule(1, &["managers"], false))]);
        let approval = Approval {
            by: actor("bob"),
            at: world.now,
            plan,
            rules,
            reason: None,
        };
        world.tell(
            "production",
            "bob",
            Some(&id),
            EventKind::ApprovalGiven { approval },
        );
        let unmet = world.unmet(&id);
        assert!(
            unmet[0].reason.contains(why),
            "void, and visibly so: {}",
            unmet[0].reason
        );
    }
}

#[test]
pub(super) fn c02() {
    let (mut world, id) = waiting(&[("release", rule(1, &[], true))]);
    for involved in [
        "ann@shop.example",
        "ANN@SHOP.example",
        "Ann B. <ann@shop.example>",
        "dan",
    ] {
        world.approve(&id, involved);
        assert!(!holds(&world, &id), "{involved} wrote it or asked for it");
    }
    world.approve(&id, "bob");
    assert!(holds(&world, &id));

    // Each alone, where all three are somebody else: of one commit out of two, too.
    for (who, involved) in [
        ("ann@shop.example", true),
        ("cid@shop.example", true),
        ("eve@shop.example", true),
        ("fay@shop.example", true),
        ("dan@shop.example", true),
        ("bob@shop.example", false),
    ] {
        let mut world = World::new();
        let rules = Rules {
            approvals: [("release".to_owned(), rule(1, &[], true))].into(),
            ..Rules::default()
        };
        world.rules.insert(env("production"), rules);
        let mut release = release(1);
        release.sources = vec![
            written('1', "ann@shop.example", "Cid <cid@shop.example>"),
            written('2', "Eve <eve@shop.example>", "fay@shop.example"),
        ];
        world.tell_project(
            "ci",
            EventKind::ReleaseMade {
                release: Box::new(release.clone()),
            },
        );
        let id = world.ask("production", Kind::Promote, &release, "dan@shop.example");
        world.run(&id);
        world.approve(&id, who);
        assert_eq!(holds(&world, &id), !involved, "{who}");
        let text = world
            .unmet(&id)
            .pop()
            .map(|unmet| unmet.reason)
            .unwrap_or_default();
        assert_eq!(text.contains("(wrote it or asked for it)"), involved, "{text}");
    }
}

/// A commit that one wrote and another put there.
fn written(digit: char, author: &str, committer: &str) -> Source {
    Source {
        committer: committer.to_owned(),
        ..source(digit, author)
    }
}

#[test]
pub(super) fn c03() {
    let (mut world, id) = waiting(&[("release", rule(2, &["managers"], false))]);
    for again in ["bob", "bob", "ann@shop.example"] {
        assert!(!holds(&world, &id));
        world.approve(&id, again);
    }
    assert!(holds(&world, &id), "two people");

    let (mut world, id) = waiting(&[("release", rule(2, &["managers"], false))]);
    world.approve(&id, "ann@shop.example");
    world.approve(&id, "Ann@shop.example");
    assert!(!holds(&world, &id), "two spellings of one address");
}

#[test]
pub(super) fn c04() {
    let (mut world, id) = waiting(&[("release", rule(2, &["managers"], false))]);
    world.approve(&id, "bob");
    world
        .groups
        .entry(group("managers"))
        .or_default()
        .remove(&actor("bob"));
    world.approve(&id, "cid");
    let unmet = world.unmet(&id);
    assert!(
        unmet[0].reason.contains("bob (not in managers)"),
        "{}",
        unmet[0].reason
    );
    world.approve(&id, "ann@shop.example");
    world.asked(&id, Ask::Recheck).expect("it waits");
    world.run_until(&id, &mut |_, _| None, |machine| machine.state().touched());
    world.groups.clear();
    world.run(&id);
    assert_eq!(
        world.machine(&id).ended(),
        Some(Outcome::Succeeded),
        "no effect after the start"
    );
}

#[test]
pub(super) fn c05() {
    let (mut world, id) = waiting(&[("release", rule(1, &["managers"], false))]);
    world.reject(&id, "cid");
    world.approve(&id, "bob");
    assert!(
        matches!(world.verdict(&id), Verdict::Refuses { .. }),
        "an approval after a veto is stored but inert"
    );
    world.approve(&id, "cid");
    assert!(holds(&world, &id), "taken back by the same person");

    world.reject(&id, "cid");
    world.asked(&id, Ask::Recheck).expect("it waits");
    world.run(&id);
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Refused));
    let release = world.make(1);
    let next = world.ask("production", Kind::Promote, &release, "dan");
    let unmet = world.unmet(&next);
    assert_eq!(unmet.len(), 1);
    assert!(
        unmet[0].reason.contains("0 of 1"),
        "starts at zero: {}",
        unmet[0].reason
    );
}

#[test]
pub(super) fn c06() {
    let both = [
        ("release", rule(2, &["managers"], false)),
        ("security", rule(1, &["security"], false)),
    ];
    let (mut world, id) = waiting(&both);
    world.approve(&id, "cid");
    world.approve(&id, "ann@shop.example");
    let unmet = world.unmet(&id);
    assert_eq!(unmet.len(), 1, "two managers are not security");
    assert!(unmet[0].reason.starts_with("security"));
    world.approve(&id, "bob");
    assert!(holds(&world, &id), "bob serves both");
}

#[test]
pub(super) fn c07() {
    let old = Rules {
        soak: minutes(10),
        approvals: [("release".to_owned(), rule(1, &["managers"], true))].into(),
        allow: [(Act::Deploy, [group("managers")].into())].into(),
        ..Rules::default()
    };
    let new = Rules {
        soak: minutes(20),
        approvals: [("release".to_owned(), rule(1, &["managers"], false))].into(),
        ..old.clone()
    };
    let compared = Rules::compare(&old, &new);
    assert_eq!(
        compared.lines.iter().map(|line| line.moved).collect::<Vec<_>>(),
        [Moved::Tighter, Moved::Looser]
    );
    assert_eq!(compared.strictest.soak, new.soak, "tighter at once");
    assert_eq!(compared.strictest.approvals, old.approvals, "looser not yet");
    let old = Rules {
        groups: [(group("managers"), [actor("bob")].into())].into(),
        ..old
    };
    assert!(old.may_be_loosened_by(&actor("bob")));
    assert!(!old.may_be_loosened_by(&actor("dan")));

    // Nobody lets himself in.
    let joined = Rules {
        groups: [(group("managers"), [actor("bob"), actor("dan")].into())].into(),
        ..old.clone()
    };
    let compared = Rules::compare(&old, &joined);
    assert!(compared.loosened());
    assert_eq!(compared.strictest.groups, old.groups);
    assert!(
        !Rules::compare(&joined, &old).loosened(),
        "who leaves has left at once"
    );
    assert_eq!(
        old.digest(),
        joined.digest(),
        "who was eligible is judged by itself"
    );

    // A deployment that waits is judged by the tighter ones, and what was approved under the others is void.
    let (mut world, id) = waiting(&[("release", rule(1, &["managers"], false))]);
    world.approve(&id, "bob");
    world.rules.insert(
        env("production"),
        Rules::compare(&world.rules[&env("production")], &new).strictest,
    );
    assert!(!holds(&world, &id));
}

#[test]
pub(super) fn c08() {
    let (mut world, id) = waiting(&[("release", rule(1, &["managers"], false))]);
    world.asked(&id, Ask::Cancel).expect("it waits");
    world.approve(&id, "bob");
    assert_eq!(
        world.asked(&id, Ask::Recheck),
        Err(Rejected::Over),
        "refused with a reason"
    );
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Cancelled));
    let stored = world.streams[&env("production")].last().expect("it is not lost");
    assert!(matches!(stored.kind, EventKind::ApprovalGiven { .. }));
    assert!(world.view(&id).decisions.is_empty(), "but it decides nothing");
}

#[test]
pub(super) fn c09() {
    let (mut world, id) = waiting(&[("release", rule(1, &["managers"], false))]);
    assert!(!holds(&world, &id));
    world.approve(&id, "bob");
    world.asked(&id, Ask::Recheck).expect("it waits");
    for until in [Phase::Requested, Phase::Prepared] {
        let effect = world.effect(&id, Work::Judge);
        assert_eq!(world.view(&id).phase(), until);
        let answer = Answer::Judged {
            verdict: world.verdict(&id),
            replanned: None,
        };
        let decision = world.answer(&id, effect, answer).expect("it was asked");
        assert_eq!(
            decision.guard,
            Guard::Evidence,
            "the very evidence, in the same transaction"
        );
        let judging = |machine: &crate::machine::Machine| {
            machine
                .outstanding()
                .iter()
                .any(|effect| effect.work == Work::Judge)
        };
        world.run_until(&id, &mut |_, _| None, judging);
    }
}

#[test]
pub(super) fn c10() {
    let (mut world, id) = waiting(&[("release", rule(1, &["managers"], false))]);
    world.approve(&id, "bob");
    world.asked(&id, Ask::Recheck).expect("it waits");
    world.run_with(&id, &mut |_, effect| {
        matches!(effect.work, Work::Prepare(_)).then(|| fails(Failed::NotDone))
    });
    assert_eq!(world.machine(&id).ended(), Some(Outcome::Failed));
    let release = crate::fixture::release(1);
    let same = world.ask("production", Kind::Promote, &release, "dan");
    assert!(
        holds(&world, &same),
        "the very same plan, and nothing was touched"
    );
    let other = world.ask_with("production", Kind::Promote, &release, "dan", |mut plan| {
        plan.config = Digest::of("another configuration");
        plan
    });
    let unmet = world.unmet(&other);
    assert_eq!(
        (unmet[0].gate, unmet[0].opens),
        (GateKind::Approval, Opens::ByPeople)
    );
}

#[test]
pub(super) fn c11() {
    let asked_with = |options: RequestOptions| {
        let mut world = World::new();
        let rules = Rules {
            after: [env("staging")].into(),
            soak: minutes(10),
            approvals: [("release".to_owned(), rule(1, &["managers"], true))].into(),
            ..Rules::default()
        };
        world.rules.insert(env("production"), rules);
        let release = world.make(1);
        let id = world.ask("production", Kind::Promote, &release, "dan");
        let stream = world
            .streams
            .get_mut(&env("production"))
            .expect("it was asked for there");
        for event in stream {
            if let EventKind::Requested { request } = &mut event.kind {
                request.options = options.clone();
            }
        }
        world.unmet(&id)
    };
    // Named one by one: an option that is added has to be asked here whether it waives anything.
    let all = RequestOptions {
        strategy: Some(StrategyKind::AllAtOnce),
        timeout: Some(minutes(600)),
        confirmed: true,
        retire: Some("web".parse().expect("a name")),
        allow_dirty: true,
        version: Some("1.0".to_owned()),
    };
    let none = asked_with(RequestOptions::default());
    assert_eq!(none.len(), 2, "{none:?}");
    assert_eq!(asked_with(all), none);
}

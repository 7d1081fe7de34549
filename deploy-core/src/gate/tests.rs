//! Each gate by its table, all of them together as a person reads them, and the laws that hold for any rules.

mod loosening;
mod soak;

use super::rules::{Act, ApprovalRule, CheckRule, Freeze, Item, Moved, When};
use super::window::{Window, first_free};
use super::*;
use crate::event::EventKind;
use crate::fixture::{World, actor, at, env, evidence, group, minutes};
use crate::id::DeploymentId;
use crate::plan::Kind;
use crate::time::Timestamp;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::Duration;

/// A deployment of v1 to production, under rules.
fn asked(rules: Rules) -> (World, DeploymentId) {
    let mut world = World::new();
    world
        .groups
        .insert(group("managers"), [actor("bob"), actor("cid")].into());
    world.groups.insert(group("deployers"), [actor("dan")].into());
    world.rules.insert(env("production"), rules);
    let release = world.make(1);
    let id = world.ask("production", Kind::Promote, &release, "dan");
    (world, id)
}

fn weekend() -> Window {
    Window::Weekly {
        from: "Fri 16:00".parse().expect("a time"),
        to: "Mon 08:00".parse().expect("a time"),
        tz: "Europe/Berlin".parse().expect("a zone"),
    }
}

fn managers(count: u32) -> ApprovalRule {
    ApprovalRule {
        count,
        from: [group("managers")].into(),
        not_author: true,
    }
}

fn item(text: &str, evidence_name: Option<&str>, when: When) -> Item {
    Item {
        text: text.to_owned(),
        evidence: evidence_name.map(evidence),
        when,
    }
}

fn strict() -> Rules {
    Rules {
        branches: Some(["master".to_owned(), "release/*".to_owned()].into()),
        after: [env("staging"), env("development")].into(),
        soak: minutes(10),
        checks: [
            (evidence("tests"), CheckRule::default()),
            (evidence("image-scan"), CheckRule::default()),
        ]
        .into(),
        checklist: [
            (
                evidence("rollback-plan"),
                item("Rollback plan ready", None, When::Before),
            ),
            (
                evidence("security"),
                item("Security review complete", Some("security-scan"), When::Before),
            ),
            (
                evidence("watch"),
                item("Watch the error rate", None, When::During),
            ),
        ]
        .into(),
        upstream_items: [(
            env("staging"),
            [(
                evidence("sign-off"),
                item("Signed off on staging", None, When::After),
            )]
            .into(),
        )]
        .into(),
        approvals: [("release".to_owned(), managers(2))].into(),
        freezes: [("weekend".to_owned(), weekend().into())].into(),
        allow: [(Act::Deploy, [group("managers")].into())].into(),
        confirm: [Act::Deploy].into(),
        groups: [(group("managers"), [actor("bob"), actor("cid")].into())].into(),
    }
}

fn to_text(unmet: &[Unmet]) -> String {
    unmet.iter().fold(String::new(), |mut text, rule| {
        let opens = match rule.earliest {
            Some(earliest) => format!("{:?} {earliest}", rule.opens),
            None => format!("{:?}", rule.opens),
        };
        let _ = writeln!(
            text,
            "{:?} [{opens}]\n  {}\n  next: {}",
            rule.gate, rule.reason, rule.next
        );
        text
    })
}

#[test]
fn all_that_is_not_met_is_said_at_once() {
    let (mut world, id) = asked(strict());
    let v1 = crate::fixture::release(1);
    world.deploy("staging", &v1);
    world.wait(minutes(4));
    let failed = world.found("image-scan", About::Digest(v1.digest()), Finding::Failed);
    let failed = Evidence {
        note: "2 critical".to_owned(),
        ..failed
    };
    world.tell_project("ci", EventKind::EvidenceGiven { evidence: failed });
    world.approve(&id, "dan");
    let stopped = EventKind::FrozenByHand {
        reason: "checkout is down".to_owned(),
    };
    world.tell("production", "eve", None, stopped);
    let yanked = EventKind::Yanked {
        release: v1.to_ref(),
        reason: "a leak".to_owned(),
    };
    world.tell_project("eve", yanked);
    world.contained_in.insert("master".to_owned(), Containment::Not);
    world
        .contained_in
        .insert("release/*".to_owned(), Containment::Not);
    let verdict = world.gates(&id, |input| {
        let not_acting = ["environments.production.smoke".to_owned()];
        judge(&GateInput {
            not_acting: &not_acting,
            ..*input
        })
    });
    assert!(matches!(verdict, Verdict::Refuses { .. }));
    insta::assert_snapshot!(to_text(verdict.unmet()));
}

#[test]
fn what_holds_says_by_what_evidence() {
    let rules = Rules {
        freezes: [("weekend".to_owned(), weekend().into())].into(),
        approvals: [("release".to_owned(), managers(1))].into(),
        after: [env("staging")].into(),
        soak: minutes(10),
        checks: [(evidence("tests"), CheckRule::default())].into(),
        branches: Some(["master".to_owned()].into()),
        allow: [(Act::Deploy, [group("deployers")].into())].into(),
        ..Rules::default()
    };
    let (mut world, id) = asked(rules);
    let v1 = crate::fixture::release(1);
    world.deploy("staging", &v1);
    world.now = at("2026-11-24T10:00:00Z");
    world.approve(&id, "bob");
    let passed = world.found(
        "tests",
        About::Commit(v1.sources[0].commit.clone()),
        Finding::Passed,
    );
    world.tell_project("ci", EventKind::EvidenceGiven { evidence: passed });
    let contains = Containment::Contains {
        branch: "origin/master".to_owned(),
        commit: v1.sources[0].commit.clone(),
    };
    world.contained_in.insert("master".to_owned(), contains);
    let judged = world.gates(&id, examine);
    let text = judged.iter().fold(String::new(), |mut text, judged| {
        if let Judged::Met { gate, by } = judged {
            let _ = writeln!(text, "{gate:?}: {by}");
        }
        text
    });
    assert_eq!(judged.len(), text.lines().count(), "all hold");
    insta::assert_snapshot!(text, @r"
    Authorization: dan is in deployers
    Branch: 1111111 is in origin/master
    Upstream: verified in staging at 2026-11-21T07:00:00Z
    Soak: healthy in staging for 75h; counted between two healthy looks, nobody looked in between
    Check: tests: 128 tests (by ci at 2026-11-24T10:00:00Z)
    Approval: release: approved by bob
    Freeze: outside of weekend (Fri 16:00 to Mon 08:00 Europe/Berlin)
    ");
}

#[test]
fn authorization_asks_who_is_in_a_group_now() {
    let allow = |groups: &[&str]| Rules {
        allow: [(Act::Deploy, groups.iter().map(|name| group(name)).collect())].into(),
        ..Rules::default()
    };
    for (rules, holds) in [
        (Rules::default(), true),
        (allow(&["deployers"]), true),
        (allow(&["managers", "deployers"]), true),
        (allow(&["managers"]), false),
        (allow(&["nobody-is-here"]), false),
        (allow(&[]), false),
    ] {
        let (world, id) = asked(rules.clone());
        assert_eq!(world.verdict(&id) == Verdict::Holds, holds, "{:?}", rules.allow);
    }
}

#[test]
fn one_allowed_branch_is_enough_and_silence_is_none() {
    let rules = Rules {
        branches: Some(["master".to_owned(), "hotfix/*".to_owned()].into()),
        ..Rules::default()
    };
    let contains = || Containment::Contains {
        branch: "hotfix/7".to_owned(),
        commit: crate::fixture::release(1).sources[0].commit.clone(),
    };
    let unknown = || Containment::Unknown {
        why: "no such branch".to_owned(),
    };
    for (master, hotfix, holds) in [
        (None, None, false),
        (Some(Containment::Not), None, false),
        (Some(Containment::Not), Some(unknown()), false),
        (Some(Containment::Not), Some(contains()), true),
        (None, Some(contains()), true),
    ] {
        let (mut world, id) = asked(rules.clone());
        let facts = [("master", master), ("hotfix/*", hotfix)];
        for (name, fact) in facts {
            if let Some(fact) = fact {
                world.contained_in.insert(name.to_owned(), fact);
            }
        }
        assert_eq!(
            world.verdict(&id) == Verdict::Holds,
            holds,
            "{:?}",
            world.contained_in
        );
    }
}

#[test]
fn evidence_counts_until_it_expires_or_is_revoked() {
    let rule = |valid_for: Option<Duration>| Rules {
        checks: [(
            evidence("tests"),
            CheckRule {
                fail_on: None,
                valid_for,
            },
        )]
        .into(),
        ..Rules::default()
    };
    let hour = Some(minutes(60));
    // Given with its own validity, the rule's validity, how long ago, whether it was revoked since; whether it counts.
    for (own, valid_for, age, revoked, counts) in [
        (None, None, 100_000, false, true),
        (None, hour, 59, false, true),
        (None, hour, 60, false, false),
        (Some(minutes(30)), hour, 29, false, true),
        (Some(minutes(30)), hour, 30, false, false),
        (Some(minutes(90)), hour, 60, false, false),
        (None, None, 1, true, false),
    ] {
        let (mut world, id) = asked(rule(valid_for));
        let v1 = crate::fixture::release(1);
        let given = world.found("tests", About::Digest(v1.digest()), Finding::Passed);
        let given = Evidence {
            valid_until: own.map(|own| world.now.after(own)),
            ..given
        };
        world.tell_project("ci", EventKind::EvidenceGiven { evidence: given });
        if revoked {
            let revoked = EventKind::EvidenceRevoked {
                name: evidence("tests"),
                release: v1.to_ref(),
                reason: "the runner was broken".to_owned(),
            };
            world.tell("production", "eve", None, revoked);
        }
        world.wait(minutes(age));
        let case = format!("{own:?} {valid_for:?} {age} {revoked}");
        assert_eq!(world.verdict(&id) == Verdict::Holds, counts, "{case}");
    }
}

#[test]
fn a_checklist_is_ticked_by_people_or_evidence_where_it_is_due() {
    let (mut world, id) = asked(Rules {
        checklist: strict().checklist,
        upstream_items: strict().upstream_items,
        ..Rules::default()
    });
    let v1 = crate::fixture::release(1);
    let texts = |world: &World| {
        world
            .unmet(&id)
            .iter()
            .map(|rule| rule.next.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        texts(&world),
        [
            "deploy attest 01J0000000 rollback-plan",
            "deploy attest security-scan -e production --release v1",
            "deploy attest sign-off -e staging --release v1",
        ]
    );
    for (name, place) in [
        ("rollback-plan", "production"),
        ("security-scan", "production"),
        ("sign-off", "staging"),
    ] {
        let before = texts(&world).len();
        let ticked = Evidence {
            environment: Some(env(place)),
            ..world.found(name, About::Digest(v1.digest()), Finding::Passed)
        };
        world.tell(place, "eve", None, EventKind::EvidenceGiven { evidence: ticked });
        assert_eq!(texts(&world).len(), before - 1, "{name}");
    }
    assert_eq!(world.verdict(&id), Verdict::Holds);
}

#[test]
fn a_confirmation_names_the_environment() {
    let (world, id) = asked(Rules {
        confirm: [Act::Deploy].into(),
        ..Rules::default()
    });
    let (production, staging) = (env("production"), env("staging"));
    for (given, holds) in [(None, false), (Some(&staging), false), (Some(&production), true)] {
        let verdict = world.gates(&id, |input| {
            judge(&GateInput {
                confirmed: given,
                ..*input
            })
        });
        assert_eq!(verdict == Verdict::Holds, holds, "{given:?}");
    }
}

#[test]
fn development_releases_are_never_promoted() {
    let (world, id) = asked(Rules::default());
    let mut release = crate::fixture::release(1);
    release.development = true;
    let verdict = world.gates(&id, |input| {
        judge(&GateInput {
            release: &release,
            ..*input
        })
    });
    assert_eq!(verdict.unmet()[0].gate, GateKind::Upstream);
}

#[test]
fn each_gate_that_time_opens_says_when_and_time_alone_opens_all() {
    let rules = Rules {
        freezes: [("weekend".to_owned(), weekend().into())].into(),
        after: [env("staging")].into(),
        soak: minutes(3 * 24 * 60),
        ..Rules::default()
    };
    let (mut world, id) = asked(rules);
    let v1 = crate::fixture::release(1);
    world.now = at("2026-11-24T15:30:00Z");
    world.deploy("staging", &v1);
    // The soak ends on a Friday, half an hour into the weekend's freeze; that ends on Monday at eight, in Berlin.
    world.now = world.unmet(&id)[0].earliest.expect("a time");
    assert_eq!(world.now, at("2026-11-27T15:30:00Z"));
    world.now = world.unmet(&id)[0].earliest.expect("a time");
    assert_eq!(world.now, at("2026-11-30T07:00:00Z"));
    assert_eq!(world.verdict(&id), Verdict::Holds);
}

#[test]
fn a_freeze_says_why_and_another_reason_alone_is_not_looser() {
    let rules = |reason: Option<&str>, window: Window| Rules {
        freezes: [(
            "weekend".to_owned(),
            Freeze {
                window,
                reason: reason.map(str::to_owned),
            },
        )]
        .into(),
        ..Rules::default()
    };
    let why = rules(Some("nobody is there to look"), weekend());
    let (mut world, id) = asked(why.clone());
    world.now = at("2026-11-28T12:00:00Z");
    let reason = world.unmet(&id)[0].reason.clone();
    assert!(reason.starts_with("frozen by weekend ("), "{reason}");
    assert!(reason.ends_with(": nobody is there to look"), "{reason}");

    let looser = |old: &Rules, new: &Rules| {
        let compared = Rules::compare(old, new);
        compared.looser().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(looser(&why, &rules(None, weekend())), [""; 0]);
    let once = Window::Once {
        from: Timestamp(0),
        to: Timestamp(1),
    };
    assert_eq!(
        looser(&why, &rules(None, once)),
        ["freeze: weekend is not what it was"]
    );

    let stored = serde_json::to_string(&why).expect("rules are JSON");
    assert_eq!(
        serde_json::from_str::<Rules>(&stored).expect("and are read back"),
        why
    );
    let without = serde_json::to_value(Freeze::from(weekend())).expect("JSON");
    assert_eq!(
        without,
        serde_json::to_value(weekend()).expect("JSON"),
        "as older journals have it"
    );
}

#[test]
fn a_plan_that_fits_between_no_two_freezes_never_goes() {
    let always = Window::Weekly {
        from: "Mon 00:00".parse().expect("a time"),
        to: "Mon 00:00".parse().expect("a time"),
        tz: "UTC".parse().expect("a zone"),
    };
    let (world, id) = asked(Rules {
        freezes: [("always".to_owned(), always.into())].into(),
        ..Rules::default()
    });
    assert_eq!(world.unmet(&id)[0].opens, Opens::Never);
}

#[test]
fn comparing_rules_tells_each_line_and_keeps_the_stricter() {
    let same = Rules::compare(&strict(), &strict());
    assert_eq!((same.lines.len(), same.strictest == strict()), (0, true));
    let none = Rules::compare(&strict(), &Rules::default());
    assert!(none.lines.iter().all(|line| line.moved == Moved::Looser));
    assert_eq!(none.strictest, strict(), "nothing is given up");
    let all = Rules::compare(&Rules::default(), &strict());
    assert!(!all.loosened());
    assert_eq!(all.strictest, strict());
    let lines: Vec<_> = all.lines.into_iter().map(|line| line.text).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    branches: any → master, release/*
    soak: 0s → 10m
    after: development is needed too
    after: staging is needed too
    checks: image-scan is new
    checks: tests is new
    checklist: rollback-plan is new
    checklist: security is new
    checklist: watch is new
    checklist after staging: sign-off is new
    approvals: release is new
    freeze: weekend is new
    allow deploy: anybody → managers
    confirm: deploy needs one
    ");
}

#[test]
fn rules_are_read_as_they_were_written() {
    let text = serde_json::to_string(&strict()).expect("our own types serialize");
    let read: Rules = serde_json::from_str(&text).expect("our own text");
    assert_eq!((&read, read.digest()), (&strict(), strict().digest()));
    assert_ne!(strict().digest(), Rules::default().digest());
}

#[test]
fn times_and_zones_are_checked() {
    for (text, read) in [
        ("Fri 16:00", "Fri 16:00"),
        ("monday 8:05", "Mon 08:05"),
        ("SUN 23:59", "Sun 23:59"),
    ] {
        let time: window::WeekTime = text.parse().expect(text);
        assert_eq!(time.to_string(), read);
    }
    for bad in [
        "",
        "Fri",
        "16:00",
        "Fri 24:00",
        "Fri 16:60",
        "Fri 16:0",
        "Fri 16",
        "Fry 16:00",
        "Fri +1:00",
    ] {
        assert!(bad.parse::<window::WeekTime>().is_err(), "{bad}");
    }
    assert!("Europe/Atlantis".parse::<window::Zone>().is_err());
}

fn any_window() -> impl Strategy<Value = Window> {
    let zones = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
    ]);
    let time = (0usize..7, 0u32..24, 0u32..60).prop_map(|(day, hour, minute)| {
        let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        format!("{} {hour:02}:{minute:02}", days[day])
    });
    (time.clone(), time, zones).prop_map(|(from, to, tz)| Window::Weekly {
        from: from.parse().expect("a time"),
        to: to.parse().expect("a time"),
        tz: tz.parse().expect("a zone"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The instant before a freeze is free, its first is not, its last is not, the one after is free or the next freeze's.
    #[test]
    fn freezes_are_half_open(window in any_window(), start in 1_600_000_000_000i64..2_200_000_000_000) {
        let now = Duration::ZERO;
        let found = window.touches(Timestamp(start), minutes(8 * 24 * 60));
        let interval = found.expect("one begins within eight days");
        prop_assert!(interval.from < interval.to);
        prop_assert!(window.touches(interval.from, now).is_some());
        prop_assert!(window.touches(Timestamp(interval.to.0 - 1), now).is_some());
        if let Some(next) = window.touches(interval.to, now) {
            prop_assert!(next.to > interval.to, "another one");
        }
    }

    /// Whatever is free is touched by nothing, and nothing earlier was free for as long.
    #[test]
    fn the_first_free_time_is_free(
        windows in prop::collection::btree_map("[a-z]", any_window(), 1..4),
        start in 1_600_000_000_000i64..2_200_000_000_000,
        span in 0u64..3000,
    ) {
        let span = minutes(span);
        if let Some(free) = first_free(windows.values(), Timestamp(start), span) {
            prop_assert!(free >= Timestamp(start));
            prop_assert!(windows.values().all(|window| window.touches(free, span).is_none()));
            let before = Timestamp(free.0 - 60_000);
            if before >= Timestamp(start) {
                prop_assert!(windows.values().any(|window| window.touches(before, span).is_some()));
            }
        }
    }

    /// More people who say yes never close the gate.
    #[test]
    fn approvals_only_open(people in prop::collection::vec(0usize..6, 0..8), count in 0u32..4, not_author: bool) {
        let names = ["bob", "cid", "dan", "eve", "ann@shop.example", "fay"];
        let rule = ApprovalRule { count, from: [group("managers")].into(), not_author };
        let (mut world, id) = asked(Rules { approvals: [("release".to_owned(), rule)].into(), ..Rules::default() });
        let mut open = world.verdict(&id) == Verdict::Holds;
        for person in people {
            world.approve(&id, names[person]);
            let now = world.verdict(&id) == Verdict::Holds;
            prop_assert!(now || !open, "{} closed it", names[person]);
            open = now;
        }
    }

    /// Time alone never takes a soak away while nothing contrary happens, and it opens exactly when it said.
    #[test]
    fn soak_only_grows(soak in 1u64..100, waits in prop::collection::vec(0u64..30, 1..8)) {
        let (mut world, id) = asked(Rules { after: [env("staging")].into(), soak: minutes(soak), ..Rules::default() });
        let since = world.now;
        world.verified("staging", crate::fixture::release(1).to_ref(), Finding::Passed);
        for wait in waits {
            world.wait(minutes(wait));
            let open = world.now >= since.after(minutes(soak));
            prop_assert_eq!(world.verdict(&id) == Verdict::Holds, open);
        }
    }

    /// Going from any rules to any others: the stricter of both is never looser than the old ones.
    #[test]
    fn the_stricter_is_never_looser(keep in prop::collection::vec(any::<bool>(), 12), soak in 0u64..20) {
        let mut new = strict();
        new.soak = minutes(soak);
        if !keep[0] { new.branches = None; }
        if !keep[1] { new.after.remove(&env("staging")); }
        if !keep[2] { new.checks.clear(); }
        if !keep[3] { new.checklist.clear(); }
        if !keep[4] { new.upstream_items.clear(); }
        if !keep[5] { new.approvals.clear(); }
        if !keep[6] { new.freezes.clear(); }
        if !keep[7] { new.allow.clear(); }
        if !keep[8] { new.confirm.clear(); }
        if !keep[10] { new.groups.entry(group("managers")).or_default().insert(actor("dan")); }
        if !keep[11] { new.groups.entry(group("managers")).or_default().remove(&actor("bob")); }
        if !keep[9] { new.approvals.insert("release".to_owned(), managers(1)); }
        let strictest = Rules::compare(&strict(), &new).strictest;
        prop_assert!(!Rules::compare(&strict(), &strictest).loosened());
    }
}

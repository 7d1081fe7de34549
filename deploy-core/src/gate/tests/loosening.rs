//! Which way a changed rule moved, judged by what it opens: each line by a table of single changes, and all of them by the verdicts of
//! the gates over small worlds, which know nothing of how two versions are compared.

use super::*;
use crate::fixture::release;
use crate::id::{Actor, GroupName};
use std::collections::{BTreeMap, BTreeSet};

type Change = fn(&mut Rules);

/// One line of the rules, and the ways it can read.
struct Line {
    name: &'static str,
    ways: &'static [Change],
}

fn approval(rules: &mut Rules, name: &str, count: u32, from: &[&str], not_author: bool) {
    let from = from.iter().map(|name| group(name)).collect();
    let rule = ApprovalRule {
        count,
        from,
        not_author,
    };
    rules.approvals.insert(name.to_owned(), rule);
}

fn allow(rules: &mut Rules, act: Act, groups: &[&str]) {
    let groups = groups.iter().map(|name| group(name)).collect();
    rules.allow.insert(act, groups);
}

fn branches(rules: &mut Rules, names: &[&str]) {
    rules.branches = Some(names.iter().map(|name| (*name).to_owned()).collect());
}

fn check(rules: &mut Rules, name: &str, valid_for: Option<u64>) {
    let rule = CheckRule {
        fail_on: None,
        valid_for: valid_for.map(minutes),
    };
    rules.checks.insert(evidence(name), rule);
}

fn ticked(rules: &mut Rules, name: &str, by: Option<&str>, when: When) {
    rules.checklist.insert(evidence(name), item("Ready", by, when));
}

fn upstream(rules: &mut Rules, place: &str, name: &str, by: Option<&str>) {
    let items = rules.upstream_items.entry(env(place)).or_default();
    items.insert(evidence(name), item("Signed off", by, When::After));
}

fn freeze(rules: &mut Rules, name: &str, from: u64, to: u64) {
    let start = crate::fixture::START;
    let window = Window::Once {
        from: start.after(minutes(from)),
        to: start.after(minutes(to)),
    };
    rules.freezes.insert(name.to_owned(), window.into());
}

fn members(rules: &mut Rules, name: &str, who: &[&str]) {
    rules
        .groups
        .insert(group(name), who.iter().map(|who| actor(who)).collect());
}

/// Every line of the rules. A line that is added and not named here fails [`every_line_is_in_the_table`].
const LINES: &[Line] = &[
    Line {
        name: "branches",
        ways: &[
            |_| {},
            |rules| branches(rules, &["master"]),
            |rules| branches(rules, &["develop"]),
            |rules| branches(rules, &["master", "develop"]),
            |rules| branches(rules, &[]),
        ],
    },
    Line {
        name: "after",
        ways: &[
            |_| {},
            |rules| rules.after = [env("staging")].into(),
            |rules| rules.after = [env("development")].into(),
            |rules| rules.after = [env("staging"), env("development")].into(),
        ],
    },
    Line {
        name: "soak",
        ways: &[
            |rules| rules.after = [env("staging")].into(),
            |rules| (rules.after, rules.soak) = ([env("staging")].into(), minutes(2)),
            |rules| (rules.after, rules.soak) = ([env("staging")].into(), minutes(5)),
        ],
    },
    Line {
        name: "checks",
        ways: &[
            |_| {},
            |rules| check(rules, "tests", None),
            |rules| check(rules, "tests", Some(2)),
            |rules| check(rules, "tests", Some(5)),
            |rules| check(rules, "scan", None),
            |rules| {
                check(rules, "tests", None);
                check(rules, "scan", Some(5));
            },
        ],
    },
    Line {
        name: "checklist",
        ways: &[
            |_| {},
            |rules| ticked(rules, "plan", None, When::Before),
            |rules| ticked(rules, "plan", None, When::During),
            |rules| ticked(rules, "plan", None, When::After),
            |rules| ticked(rules, "plan", Some("scan"), When::Before),
            |rules| ticked(rules, "plan", Some("scan"), When::During),
            |rules| ticked(rules, "other", Some("scan"), When::Before),
        ],
    },
    Line {
        name: "upstream_items",
        ways: &[
            |_| {},
            |rules| upstream(rules, "staging", "sign-off", None),
            |rules| upstream(rules, "staging", "sign-off", Some("scan")),
            |rules| upstream(rules, "development", "sign-off", None),
            |rules| {
                upstream(rules, "staging", "sign-off", None);
                upstream(rules, "staging", "watched", Some("scan"));
            },
        ],
    },
    Line {
        name: "approvals",
        ways: &[
            |_| {},
            |rules| approval(rules, "release", 1, &[], false),
            |rules| approval(rules, "release", 2, &[], false),
            |rules| approval(rules, "release", 1, &[], true),
            |rules| approval(rules, "release", 1, &["managers"], false),
            |rules| approval(rules, "release", 2, &["managers"], true),
            |rules| approval(rules, "release", 1, &["managers", "deployers"], false),
            |rules| approval(rules, "release", 1, &["deployers"], false),
            |rules| {
                approval(rules, "release", 1, &["managers"], false);
                approval(rules, "safety", 1, &["deployers"], false);
            },
        ],
    },
    Line {
        name: "freezes",
        ways: &[
            |_| {},
            |rules| freeze(rules, "party", 0, 2),
            |rules| freeze(rules, "party", 4, 8),
            |rules| freeze(rules, "party", 0, 8),
            |rules| freeze(rules, "trip", 0, 2),
        ],
    },
    Line {
        name: "allow",
        ways: &[
            |_| {},
            |rules| allow(rules, Act::Deploy, &["managers"]),
            |rules| allow(rules, Act::Deploy, &["deployers"]),
            |rules| allow(rules, Act::Deploy, &["managers", "deployers"]),
            |rules| allow(rules, Act::Deploy, &[]),
            |rules| allow(rules, Act::Rollback, &["managers"]),
            |rules| allow(rules, Act::Rollback, &["managers", "deployers"]),
        ],
    },
    Line {
        name: "confirm",
        ways: &[
            |_| {},
            |rules| rules.confirm = [Act::Deploy].into(),
            |rules| rules.confirm = [Act::Rollback].into(),
            |rules| rules.confirm = [Act::Deploy, Act::Rollback].into(),
        ],
    },
    Line {
        name: "groups",
        ways: &[
            |rules| allow(rules, Act::Deploy, &["managers"]),
            |rules| {
                allow(rules, Act::Deploy, &["managers"]);
                members(rules, "managers", &["bob"]);
            },
            |rules| {
                allow(rules, Act::Deploy, &["managers"]);
                members(rules, "managers", &["bob", "dan"]);
            },
            |rules| {
                allow(rules, Act::Deploy, &["managers"]);
                members(rules, "managers", &[]);
            },
        ],
    },
];

/// Who is in the groups, where a line does not say otherwise. Only what is named is stored.
fn with_groups(mut rules: Rules) -> Rules {
    let named: BTreeSet<GroupName> = rules.named_groups().into_iter().cloned().collect();
    for (name, who) in [("managers", ["bob", "cid"]), ("deployers", ["dan", "eve"])] {
        if named.contains(&group(name)) && !rules.groups.contains_key(&group(name)) {
            members(&mut rules, name, &who);
        }
    }
    rules
}

fn read(line: usize, way: usize) -> Rules {
    let mut rules = Rules::default();
    LINES[line].ways[way](&mut rules);
    with_groups(rules)
}

/// What happened, as far as some line asks for it.
#[derive(Debug, Clone, Default)]
struct Facts {
    branch: Option<&'static str>,
    verified: &'static [&'static str],
    /// Evidence, and where it was given; nowhere is everywhere.
    found: &'static [(&'static str, Option<&'static str>)],
    minutes: u64,
    approved: &'static [&'static str],
    by: &'static str,
    confirmed: bool,
    back: bool,
}

/// Enough facts for each line that some ways of it are open and others are not.
fn facts() -> Vec<Facts> {
    let usual = Facts {
        by: "dan",
        ..Facts::default()
    };
    let mut all = Vec::new();
    for branch in [None, Some("master"), Some("develop")] {
        all.push(Facts {
            branch,
            ..usual.clone()
        });
    }
    for verified in [&["staging"][..], &["development"], &["staging", "development"]] {
        for minutes in [0, 2, 3, 5] {
            let fact = Facts {
                verified,
                minutes,
                ..usual.clone()
            };
            all.push(fact);
        }
    }
    for found in [
        &[("tests", None)][..],
        &[("scan", None)],
        &[("tests", None), ("scan", None)],
        &[("plan", Some("production"))],
        &[("scan", Some("production"))],
        &[("sign-off", Some("staging"))],
        &[("sign-off", Some("development"))],
        &[("scan", Some("staging"))],
        &[("sign-off", Some("staging")), ("scan", Some("staging"))],
    ] {
        for minutes in [0, 3, 9] {
            let fact = Facts {
                found,
                minutes,
                ..usual.clone()
            };
            all.push(fact);
        }
    }
    for approved in [
        &["bob"][..],
        &["bob", "cid"],
        &["dan"],
        &["eve"],
        &["dan", "eve"],
        &["ann@shop.example"],
        &["bob", "eve"],
        &["fay"],
        &["fay", "gil"],
    ] {
        all.push(Facts {
            approved,
            ..usual.clone()
        });
    }
    for by in ["bob", "dan", "fay"] {
        for confirmed in [false, true] {
            for back in [false, true] {
                let fact = Facts {
                    by,
                    confirmed,
                    back,
                    ..Facts::default()
                };
                all.push(fact);
            }
        }
    }
    all
}

/// Whether a deployment of v1 to production may go, under rules and after what happened.
fn opens(rules: &Rules, facts: &Facts) -> bool {
    let (mut world, id) = {
        let mut world = World::new();
        world.groups.clone_from(&rules.groups);
        world.rules.insert(env("production"), rules.clone());
        let kind = if facts.back { Kind::Rollback } else { Kind::Promote };
        let v1 = world.make(1);
        let id = world.ask("production", kind, &v1, facts.by);
        (world, id)
    };
    let v1 = release(1);
    for (branch, held) in ["master", "develop"].map(|branch| (branch, facts.branch == Some(branch))) {
        let fact = if held {
            Containment::Contains {
                branch: branch.to_owned(),
                commit: v1.sources[0].commit.clone(),
            }
        } else {
            Containment::Not
        };
        world.contained_in.insert(branch.to_owned(), fact);
    }
    for place in facts.verified {
        world.verified(place, v1.to_ref(), Finding::Passed);
    }
    for (name, place) in facts.found {
        let found = world.found(name, About::Digest(v1.digest()), Finding::Passed);
        let given = |evidence| EventKind::EvidenceGiven { evidence };
        match place {
            None => world.tell_project("ci", given(found)),
            Some(place) => {
                let environment = Some(env(place));
                world.tell(place, "eve", None, given(Evidence { environment, ..found }));
            }
        }
    }
    for who in facts.approved {
        world.approve(&id, who);
    }
    world.wait(minutes(facts.minutes));
    let production = env("production");
    world.gates(&id, |input| {
        judge(&GateInput {
            confirmed: facts.confirmed.then_some(&production),
            ..*input
        }) == Verdict::Holds
    })
}

#[test]
fn every_line_is_in_the_table() {
    let lines = serde_json::to_value(Rules::default()).expect("rules are JSON");
    let lines: BTreeSet<_> = lines.as_object().expect("an object").keys().cloned().collect();
    let named: BTreeSet<_> = LINES.iter().map(|line| line.name.to_owned()).collect();
    assert_eq!(named, lines);
}

/// Each line, from every way it can read to every other. What the comparison calls no looser opens nothing that was shut, and what it
/// puts in force until a loosening is authorised never does. And the worlds are rich enough: every two ways of a line differ in one.
#[test]
fn nothing_opens_by_a_change_that_is_not_called_looser() {
    let facts = facts();
    let mut changes = 0;
    for (line, Line { name, ways }) in LINES.iter().enumerate() {
        let versions: Vec<Rules> = (0..ways.len()).map(|way| read(line, way)).collect();
        let verdicts: Vec<Vec<bool>> = versions
            .iter()
            .map(|rules| facts.iter().map(|facts| opens(rules, facts)).collect())
            .collect();
        for (old, before) in versions.iter().zip(&verdicts) {
            for (new, after) in versions.iter().zip(&verdicts) {
                if old == new {
                    continue;
                }
                changes += 1;
                let compared = Rules::compare(old, new);
                let opened = before.iter().zip(after).any(|(before, after)| *after && !before);
                assert!(
                    compared.loosened() || !opened,
                    "{name}: it opens something and is not called looser: {:?}\n{old:?}\n{new:?}",
                    compared.lines
                );
                for (facts, was_open) in facts.iter().zip(before) {
                    assert!(
                        *was_open || !opens(&compared.strictest, facts),
                        "{name}: the stricter of both opens what was shut: {facts:?}\n{old:?}\n{new:?}"
                    );
                }
            }
        }
    }
    assert!(changes > 150, "{changes} changes");
}

/// Single changes, each with its direction.
#[test]
fn each_single_change_has_its_direction() {
    use Moved::{Looser, Tighter};
    let table: &[(&str, Change, Change, Moved)] = &[
        (
            "a branch more",
            |r| branches(r, &["a"]),
            |r| branches(r, &["a", "b"]),
            Looser,
        ),
        (
            "a branch less",
            |r| branches(r, &["a", "b"]),
            |r| branches(r, &["a"]),
            Tighter,
        ),
        (
            "another branch",
            |r| branches(r, &["a"]),
            |r| branches(r, &["b"]),
            Looser,
        ),
        ("any branch", |r| branches(r, &["a"]), |_| {}, Looser),
        ("no longer any branch", |_| {}, |r| branches(r, &["a"]), Tighter),
        (
            "after one more",
            |_| {},
            |r| r.after = [env("staging")].into(),
            Tighter,
        ),
        (
            "after one less",
            |r| r.after = [env("staging")].into(),
            |_| {},
            Looser,
        ),
        (
            "a longer soak",
            |r| r.soak = minutes(1),
            |r| r.soak = minutes(2),
            Tighter,
        ),
        (
            "a shorter soak",
            |r| r.soak = minutes(2),
            |r| r.soak = minutes(1),
            Looser,
        ),
        ("a check more", |_| {}, |r| check(r, "tests", None), Tighter),
        ("a check less", |r| check(r, "tests", None), |_| {}, Looser),
        (
            "valid for less",
            |r| check(r, "t", Some(2)),
            |r| check(r, "t", Some(1)),
            Tighter,
        ),
        (
            "valid for longer",
            |r| check(r, "t", Some(1)),
            |r| check(r, "t", Some(2)),
            Looser,
        ),
        (
            "valid for good",
            |r| check(r, "t", Some(1)),
            |r| check(r, "t", None),
            Looser,
        ),
        (
            "not for good",
            |r| check(r, "t", None),
            |r| check(r, "t", Some(1)),
            Tighter,
        ),
        (
            "failed from another severity on",
            |r| check(r, "t", None),
            |r| {
                let fail_on = Some("high".to_owned());
                r.checks.insert(
                    evidence("t"),
                    CheckRule {
                        fail_on,
                        valid_for: None,
                    },
                );
            },
            Looser,
        ),
        (
            "an item more",
            |_| {},
            |r| ticked(r, "i", None, When::Before),
            Tighter,
        ),
        (
            "an item less",
            |r| ticked(r, "i", None, When::Before),
            |_| {},
            Looser,
        ),
        (
            "ticked by something else",
            |r| ticked(r, "i", None, When::Before),
            |r| ticked(r, "i", Some("e"), When::Before),
            Looser,
        ),
        (
            "due where it gates",
            |r| ticked(r, "i", None, When::During),
            |r| ticked(r, "i", None, When::Before),
            Tighter,
        ),
        (
            "gates no more",
            |r| ticked(r, "i", None, When::Before),
            |r| ticked(r, "i", None, When::During),
            Looser,
        ),
        (
            "gates the next one instead",
            |r| ticked(r, "i", None, When::Before),
            |r| ticked(r, "i", None, When::After),
            Looser,
        ),
        (
            "an item upstream more",
            |_| {},
            |r| upstream(r, "staging", "i", None),
            Tighter,
        ),
        (
            "a second one there",
            |r| upstream(r, "staging", "i", None),
            |r| {
                upstream(r, "staging", "i", None);
                upstream(r, "staging", "j", None);
            },
            Tighter,
        ),
        (
            "an item upstream less",
            |r| upstream(r, "staging", "i", None),
            |_| {},
            Looser,
        ),
        (
            "ticked upstream by something else",
            |r| upstream(r, "staging", "i", None),
            |r| upstream(r, "staging", "i", Some("e")),
            Looser,
        ),
        (
            "a rule of approvals more",
            |_| {},
            |r| approval(r, "a", 1, &[], false),
            Tighter,
        ),
        (
            "a rule of approvals less",
            |r| approval(r, "a", 1, &[], false),
            |_| {},
            Looser,
        ),
        (
            "more people",
            |r| approval(r, "a", 1, &[], false),
            |r| approval(r, "a", 2, &[], false),
            Tighter,
        ),
        (
            "fewer people",
            |r| approval(r, "a", 2, &[], false),
            |r| approval(r, "a", 1, &[], false),
            Looser,
        ),
        (
            "authors count no more",
            |r| approval(r, "a", 1, &[], false),
            |r| approval(r, "a", 1, &[], true),
            Tighter,
        ),
        (
            "authors count",
            |r| approval(r, "a", 1, &[], true),
            |r| approval(r, "a", 1, &[], false),
            Looser,
        ),
        (
            "fewer people, but not the author",
            |r| approval(r, "a", 2, &[], false),
            |r| approval(r, "a", 1, &[], true),
            Looser,
        ),
        (
            "the confirmation of going forward",
            |_| {},
            |r| r.confirm = [Act::Deploy].into(),
            Tighter,
        ),
        (
            "no confirmation of going forward",
            |r| r.confirm = [Act::Deploy].into(),
            |_| {},
            Looser,
        ),
        (
            "the confirmation of going back",
            |_| {},
            |r| r.confirm = [Act::Rollback].into(),
            Tighter,
        ),
        (
            "no confirmation of going back",
            |r| r.confirm = [Act::Rollback].into(),
            |_| {},
            Looser,
        ),
        ("a freeze more", |_| {}, |r| freeze(r, "f", 1, 2), Tighter),
        ("a freeze less", |r| freeze(r, "f", 1, 2), |_| {}, Looser),
        (
            "another freeze of that name",
            |r| freeze(r, "f", 1, 2),
            |r| freeze(r, "f", 1, 3),
            Looser,
        ),
    ];
    let direction = |old: &Rules, new: &Rules| {
        let compared = Rules::compare(old, new);
        let all: BTreeSet<Moved> = compared.lines.iter().map(|line| line.moved).collect();
        assert_eq!(all.len(), 1, "{old:?}\n{new:?}\n{:?}", compared.lines);
        assert_eq!(compared.loosened(), all.contains(&Looser));
        all.into_iter().next()
    };
    for (what, old, new, moved) in table {
        let (mut before, mut after) = (Rules::default(), Rules::default());
        old(&mut before);
        new(&mut after);
        assert_eq!(direction(&before, &after), Some(*moved), "{what}");
    }
    // The groups that a rule names: who they are is the same before and after.
    let groups: BTreeMap<GroupName, BTreeSet<Actor>> =
        ["a", "b"].map(|name| (group(name), [actor(name)].into())).into();
    let naming = |names: Option<&[&str]>, write: fn(&mut Rules, &[&str])| {
        let mut rules = Rules {
            groups: groups.clone(),
            ..Rules::default()
        };
        if let Some(names) = names {
            write(&mut rules, names);
        }
        rules
    };
    let from: fn(&mut Rules, &[&str]) = |rules, names| approval(rules, "x", 1, names, false);
    let forward: fn(&mut Rules, &[&str]) = |rules, names| allow(rules, Act::Deploy, names);
    let back: fn(&mut Rules, &[&str]) = |rules, names| allow(rules, Act::Rollback, names);
    for (write, anybody) in [(from, Some(&[][..])), (forward, None), (back, None)] {
        for (old, new, moved) in [
            (Some(&["a"][..]), Some(&["a", "b"][..]), Looser),
            (Some(&["a", "b"]), Some(&["a"]), Tighter),
            (Some(&["a"]), Some(&["b"]), Looser),
            (anybody, Some(&["a"]), Tighter),
            (Some(&["a"]), anybody, Looser),
        ] {
            let (old, new) = (naming(old, write), naming(new, write));
            assert_eq!(direction(&old, &new), Some(moved), "{old:?}\n{new:?}");
        }
    }
    let who = |who: &[&str]| {
        let mut rules = Rules::default();
        allow(&mut rules, Act::Deploy, &["a"]);
        members(&mut rules, "a", who);
        rules
    };
    assert_eq!(direction(&who(&["x"]), &who(&["x", "y"])), Some(Looser));
    assert_eq!(direction(&who(&["x", "y"]), &who(&["x"])), Some(Tighter));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// All lines at once, any to any: what holds under the stricter of both held under the old ones.
    #[test]
    fn the_stricter_of_both_opens_nothing(
        old in prop::collection::vec(0usize..100, LINES.len()),
        new in prop::collection::vec(0usize..100, LINES.len()),
    ) {
        let all = |ways: &[usize]| {
            let mut rules = Rules::default();
            for (line, way) in LINES.iter().zip(ways) {
                line.ways[way % line.ways.len()](&mut rules);
            }
            with_groups(rules)
        };
        let (old, new) = (all(&old), all(&new));
        let compared = Rules::compare(&old, &new);
        for facts in facts() {
            // Everything that could be asked for, and then less of it.
            let most = Facts {
                branch: facts.branch.or(Some("master")),
                verified: if facts.verified.is_empty() { &["staging", "development"] } else { facts.verified },
                found: if facts.found.is_empty() { ALL_FOUND } else { facts.found },
                approved: if facts.approved.is_empty() { &["bob", "cid", "eve"] } else { facts.approved },
                ..facts.clone()
            };
            prop_assert!(!opens(&compared.strictest, &most) || opens(&old, &most), "{:?}", most);
            if !compared.loosened() {
                prop_assert!(!opens(&new, &most) || opens(&old, &most), "{:?}", most);
            }
        }
    }
}

const ALL_FOUND: &[(&str, Option<&str>)] = &[
    ("tests", None),
    ("scan", None),
    ("plan", Some("production")),
    ("scan", Some("production")),
    ("sign-off", Some("staging")),
    ("sign-off", Some("development")),
    ("scan", Some("staging")),
];

//! What the planner decides, by example.

use super::world::{ABLE, input, name, reference, release_of, service};
use crate::id::{PlaceId, ReleaseNumber, SliceName, UnitId};
use crate::model::Entry;
use crate::plan::{
    Base, Batch, Change, Kind, OnFailure, Percent, Plan, PlanInput, PlanProblem, StrategyInput, WayBack,
    build, lint, render_text,
};
use crate::port::target::{Difference, Fence};
use std::time::Duration;

fn planned(services: &[&str], change: impl FnOnce(&mut PlanInput<'_>)) -> Plan {
    let release = release_of(services);
    let mut input = input(&release, services);
    change(&mut input);
    let plan = build(&input).expect("a plan");
    assert_eq!(lint(&plan), [], "{plan:#?}");
    plan
}

fn refused(services: &[&str], change: impl FnOnce(&mut PlanInput<'_>)) -> Vec<String> {
    let release = release_of(services);
    let mut input = input(&release, services);
    change(&mut input);
    build(&input)
        .expect_err("a problem")
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn way_backs(plan: &Plan) -> String {
    plan.slices
        .iter()
        .map(|slice| match slice.way_back {
            WayBack::Checkpoint => 'c',
            WayBack::Absent => 'a',
            WayBack::None => 'n',
        })
        .collect()
}

#[test]
fn a_whole_promotion_reads_well() {
    let services = [
        "schema: db=v41",
        "web: web-1=v41 web-2=v41 web-3=v41 web-4=- < schema",
        "worker: web-1=v41 < schema",
        "search: only=v41* < web",
        "legacy: web-1=v41",
    ];
    let release = release_of(&services);
    let mut input = input(&release, &services);
    input.services[0].target = "migrations".to_owned();
    input.services[0].abilities.fence = Fence::Write;
    input.services[1].strategy = StrategyInput::Rolling {
        batch: Batch::Percent(Percent::new(50).expect("a share")),
        max_failures: "1".parse().ok(),
    };
    input.services[1].abilities.stops = true;
    input.services[1].bake = Duration::from_mins(2);
    input.services[1].slices[0].difference = Some(Difference {
        service: None,
        slice: input.services[1].slices[0].spec.name.clone(),
        lines: vec![
            "+ 3 files, ~ 1 file, - 0 files".to_owned(),
            "restart: systemctl restart shop-web".to_owned(),
        ],
        bytes: Some(1_250_000),
    });
    input.services[2].needs.push(name("mail"));
    input.services[2].on_failure = OnFailure::Hold;
    input.services[2].abilities.fence = Fence::None;
    input.services[3].target = "k8s".to_owned();
    input.services[4].dropped = true;
    input.disabled.insert(name("mail"));
    let plan = build(&input).expect("a plan");
    assert_eq!(lint(&plan), []);
    insta::assert_snapshot!(render_text(&plan, Some(&release)));
}

#[test]
fn a_first_deployment_and_a_rollback_read_well() {
    let first = planned(&["web: web-1=- web-2=- < schema", "schema: db=-"], |input| {
        input.facts.current = None;
    });
    insta::assert_snapshot!("first", render_text(&first, None));
    let back = planned(&["web: web-1=v43 web-2=? < schema", "schema: db=v43"], |input| {
        input.kind = Kind::Rollback;
        input.facts.current = Some(reference(43));
    });
    insta::assert_snapshot!("rollback", render_text(&back, None));
    let nothing = planned(&["web: web-1=v41*"], |_| {});
    insta::assert_snapshot!("nothing", render_text(&nothing, None));
}

/// Where something runs already, the base decides how it comes back.
#[test]
fn base_and_way_back() {
    let released = Base::Release(reference(41));
    for (services, base, back) in [
        (&["web: a=- b=-"][..], Base::Nothing, "aa"),
        (&["web: a=v41 b=v41"], released.clone(), "cc"),
        (&["web: a=v41 b=-"], released.clone(), "ca"),
        (&["web: a=v41", "new: a=-"], released.clone(), "ac"),
        (&["web: a=v40 b=v40", "api: a=v40"], Base::Uniform, "ccc"),
        (&["web: a=live b=live"], Base::Uniform, "cc"),
        (&["web: a=live", "api: a=v41"], Base::Uniform, "cc"),
        (&["web: a=v41 b=v40"], Base::Mixed, "cc"),
        (&["web: a=v41 b=live"], Base::Mixed, "cc"),
        (&["web: a=v41 b=v40 c=-"], Base::Mixed, "cca"),
        (&["web: a=v41", "api: a=v40"], Base::Mixed, "cc"),
        (&["web: a=v41*", "api: a=v40"], Base::Mixed, "cc"),
    ] {
        let plan = planned(services, |_| {});
        assert_eq!(plan.base, base, "{services:?}");
        assert_eq!(way_backs(&plan), back, "{services:?}");
    }
    let unable = planned(&["web: a=- b=-"], |input| {
        input.services[0].abilities.removes = false;
    });
    assert_eq!(way_backs(&unable), "nn");
    assert_eq!(
        unable.notices[1..],
        ["web: no way back for a and b: a failure needs a human"]
    );
}

/// A service that a release did not change says the release that last moved it; the journal knows better.
#[test]
fn the_journal_knows_which_fingerprints_are_a_release() {
    let services = ["web: a=v41", "api: a=v40"];
    let knows = |input: &mut PlanInput<'_>, web: &str, api: &str| {
        let known = input.facts.fingerprints.entry(reference(41)).or_default();
        for (service, fingerprint) in [("web", web), ("api", api)] {
            let fingerprint = crate::id::Fingerprint::new(fingerprint).expect("a label");
            known.entry(name(service)).or_default().insert(fingerprint);
        }
    };
    let plan = planned(&services, |input| knows(input, "web v41", "api v40"));
    assert_eq!(plan.base, Base::Release(reference(41)));
    // The same release with another configuration has the label, and is not what was verified.
    let plan = planned(&["web: a=v41"], |input| {
        knows(input, "web v41 with other variables", "api v40");
    });
    assert_eq!(plan.base, Base::Uniform);
}

#[test]
fn absent_disabled_dropped_and_kept_services() {
    let plan = planned(
        &[
            "web: a=v41 < api",
            "api: a=v41*",
            "mail: a=v41",
            "off: a=v41",
            "gone: a=-",
            "stays: a=v41",
            "old: a=v41",
        ],
        |input| {
            input.disabled.insert(name("off"));
            for at in [4, 5, 6] {
                input.services[at].dropped = true;
            }
            input.services[5].abilities.removes = false;
            input.services.retain(|service| service.name != name("mail"));
        },
    );
    let changes: Vec<_> = plan
        .services
        .iter()
        .map(|service| (service.name.as_str(), service.change))
        .collect();
    assert_eq!(
        changes,
        [
            ("api", Change::Keep),
            ("web", Change::Move),
            ("old", Change::Remove)
        ]
    );

    let services = ["web: a=v43 < mail", "mail: a=v43"];
    let mut release = release_of(&services);
    release.entries.insert(name("mail"), Entry::Absent);
    let mut input = input(&release, &services);
    assert_eq!(
        build(&input).expect_err("absent is not verified"),
        [PlanProblem::NeedsAbsent {
            service: name("web"),
            needs: name("mail")
        }]
    );
    input.kind = Kind::Rollback;
    let plan = build(&input).expect("a rollback is not held up");
    assert_eq!(lint(&plan), []);
    assert_eq!(plan.services.len(), 1);
    assert_eq!(
        plan.notices[..2],
        [
            "mail: not part of v42: left as it runs; `deploy retire mail -e production` removes it",
            "web: needs mail, which is absent from the release: it does not wait for it",
        ]
    );
}

/// What a program without the kind of a service made says nothing of it: that is not absent, and cannot end well by leaving it out.
#[test]
fn a_service_that_was_not_made_is_refused_forward_and_left_alone_back() {
    let services = ["web: a=v43 < mail", "mail: a=v43"];
    let mut release = release_of(&services);
    release.entries.insert(name("mail"), Entry::NotMade);
    let mut input = input(&release, &services);
    for kind in [Kind::Deploy, Kind::Promote] {
        input.kind = kind;
        let problems = build(&input).expect_err("it would end without mail");
        assert_eq!(problems.len(), 1, "{problems:?}");
        let failure = problems[0].failure();
        assert_eq!(
            failure.message,
            "`mail` is not in v42: the program that made the release has no target of its kind"
        );
        assert!(failure.next.contains("anew"), "{}", failure.next);
    }
    input.kind = Kind::Rollback;
    let plan = build(&input).expect("a rollback is not held up");
    assert_eq!(lint(&plan), []);
    assert_eq!(plan.services.len(), 1);
    assert!(
        plan.notices[0].starts_with("mail: not part of v42"),
        "{:?}",
        plan.notices
    );

    input.kind = Kind::Deploy;
    input.services.retain(|service| service.name != name("mail"));
    input.disabled.insert(name("mail"));
    build(&input).expect("where it is disabled, it is not missed");
}

/// Targets are asked for a plan that people read; what they do not name a change of is shown as unchanged. The digest stays.
#[test]
fn what_no_target_names_a_change_of_is_unchanged() {
    let asked = |lines: [&[&str]; 3], current: u32| {
        planned(&["api: x=v42", "web: x=v42 y=v42"], |input| {
            input.facts.current = Some(reference(current));
            let slices = input.services.iter_mut().flat_map(|service| &mut service.slices);
            for (slice, lines) in slices.zip(lines) {
                slice.difference = Some(Difference {
                    service: None,
                    slice: slice.spec.name.clone(),
                    lines: lines.iter().map(|line| (*line).to_owned()).collect(),
                    bytes: Some(0),
                });
            }
        })
    };
    let plain = planned(&["api: x=v42", "web: x=v42 y=v42"], |input| {
        input.facts.current = Some(reference(42));
    });
    assert!(!plain.changes_nothing(), "nobody was asked");
    let same = asked([&[], &[], &[]], 42);
    assert!(same.changes_nothing());
    assert_eq!(same.digest(), plain.digest());
    insta::assert_snapshot!("unchanged", render_text(&same, None));
    let other = asked([&[], &[], &["+ 1 file, ~ 0 files, - 0 files"]], 42);
    assert!(!other.changes_nothing());
    insta::assert_snapshot!("partly_unchanged", render_text(&other, None));
    assert!(
        !asked([&[], &[], &[]], 41).changes_nothing(),
        "another release becomes current, though no file differs"
    );
}

#[test]
fn places_are_claimed_in_one_order_and_units_are_indexed() {
    let plan = planned(&["web: b=- a=-", "api: a=-"], |input| {
        let place = PlaceId::new("ssh:a:/opt").expect("a place");
        input.services[1].slices[0].spec.place = place.clone();
        input.services[0].slices[1].spec.place = place;
    });
    assert_eq!(
        plan.places.iter().map(PlaceId::as_str).collect::<Vec<_>>(),
        ["ssh:a:/opt", "ssh:b:/opt/web"]
    );
    let of: Vec<_> = plan
        .slices
        .iter()
        .map(|slice| {
            (
                slice.name.as_str(),
                plan.places[slice.place.at()].as_str(),
                plan.units[slice.unit.at()].as_str(),
            )
        })
        .collect();
    assert_eq!(
        of,
        [
            ("a", "ssh:a:/opt", "a:/opt/api"),
            ("b", "ssh:b:/opt/web", "b:/opt/web"),
            ("a", "ssh:a:/opt", "a:/opt/web"),
        ]
    );
}

#[test]
fn what_cannot_be_planned_is_said_all_at_once() {
    type Change = fn(&mut PlanInput<'_>);
    let cases: &[(&[&str], Change, &[&str])] = &[
        (
            &["a: x=- < b", "b: x=- < a"],
            |_| {},
            &["`needs` goes round in a circle: a → b → a"],
        ),
        (
            &["a: x=- < a"],
            |_| {},
            &["`needs` goes round in a circle: a → a"],
        ),
        (
            &["a: x=- < b c"],
            |_| {},
            &[
                "`a` needs `b`, which is no service of this environment",
                "`a` needs `c`, which is no service of this environment",
            ],
        ),
        (
            &["a: x=- < b", "b: x=v41"],
            |input| input.services[1].dropped = true,
            &["`a` needs `b`, which was dropped"],
        ),
        (
            &["a: x=? y=?"],
            |_| {},
            &["`a` on `x`: connection refused", "`a` on `y`: connection refused"],
        ),
        (&["a: x=-", "a: y=-"], |_| {}, &["`a` is given twice"]),
        (&["a: x=- x=-"], |_| {}, &["`a` has two slices named `x`"]),
        (
            &["a: x=-", "b:"],
            |_| {},
            &["`b` has no slice in this environment"],
        ),
        (
            &[],
            |_| {},
            &["no service of the release has a slice in this environment"],
        ),
        (
            &["a: x=-"],
            |input| {
                input.disabled.insert(name("a"));
            },
            &["no service of the release has a slice in this environment"],
        ),
        (
            &["a: x=v41"],
            |input| input.services[0].slices[0].seen.armed = Some(Duration::from_secs(90)),
            &["`a` on `x` may still go back by itself, in 90s"],
        ),
        (
            &["a: x=- y=-"],
            |input| {
                let unit = UnitId::new("disk").expect("a unit");
                for slice in &mut input.services[0].slices {
                    slice.spec.unit = unit.clone();
                }
            },
            &["the restore unit `disk` is in `ssh:x:/opt/a` and in `ssh:y:/opt/a`"],
        ),
        (
            &["a: x=-"],
            |input| {
                input.limits.activation = Duration::ZERO;
                input.limits.attempts = 0;
            },
            &["the limit `activation` is zero", "the limit `attempts` is zero"],
        ),
        (
            &["a: x=v43"],
            |input| {
                input.kind = Kind::Rollback;
                input.floor = Some(ReleaseNumber(43));
            },
            &["v42 is below v43: something was passed since that cannot be undone"],
        ),
    ];
    for (services, change, wanted) in cases {
        assert_eq!(refused(services, change), *wanted, "{services:?}");
    }
}

#[test]
fn every_problem_is_a_failure_with_a_next_step() {
    let release = release_of(&["a: x=? < b"]);
    let problems = build(&input(&release, &["a: x=? < b"])).expect_err("problems");
    let failures: Vec<_> = problems.iter().map(PlanProblem::failure).collect();
    let shown: Vec<_> = failures
        .iter()
        .map(|failure| format!("{} {} → {}", failure.code, failure.message, failure.next))
        .collect();
    assert_eq!(
        shown,
        [
            "DPL0003 `a` needs `b`, which is no service of this environment → `deploy check` names the services",
            "DPL0501 connection refused → deploy doctor",
        ]
    );
    assert!(failures.iter().all(|failure| failure.service == Some(name("a"))));
}

#[test]
fn the_bound_on_slices_is_exact() {
    let many = |count: usize| {
        let mut one = service("a:");
        one.slices = (0..count)
            .map(|at| super::world::slice("a", &format!("s{at}"), "-"))
            .collect();
        one
    };
    let release = release_of(&["a:"]);
    let mut input = input(&release, &[]);
    input.services = vec![many(65_535)];
    let plan = build(&input).expect("as many as there may be");
    assert_eq!(plan.slice_indices().count(), 65_535);
    input.services = vec![many(65_536)];
    assert_eq!(
        build(&input).expect_err("too many"),
        [PlanProblem::TooManySlices { slices: 65_536 }]
    );
}

/// A revert that fires must not leave what needs it on the release.
#[test]
fn armed_only_below_what_can_be_armed() {
    let arms = |plan: &Plan| -> String {
        plan.services
            .iter()
            .map(|service| if service.abilities.arms { 'y' } else { 'n' })
            .collect()
    };
    let services = ["a: x=v41", "b: x=v41 < a", "c: x=v41 < b", "d: x=v41"];
    let all = |input: &mut PlanInput<'_>| input.services.iter_mut().for_each(|of| of.abilities.arms = true);
    assert_eq!(arms(&planned(&services, all)), "yyyy");
    let plan = planned(&services, |input| {
        all(input);
        input.services[2].abilities.arms = false;
    });
    assert_eq!(arms(&plan), "nnny");
    assert!(
        plan.notices
            .contains(&"a: not armed, because c needs it and cannot arm a revert".to_owned())
    );
    // What only stays as it is blocks nothing by itself, but passes on what needs it.
    let kept = ["a: x=v41", "b: x=v41* < a", "c: x=v41 < b"];
    let plan = planned(&kept, |input| {
        all(input);
        input.services[1].abilities.arms = false;
    });
    assert_eq!(arms(&plan), "yny");
    let plan = planned(&kept, |input| {
        all(input);
        input.services[2].abilities.arms = false;
    });
    assert_eq!(arms(&plan), "nnn");
    let back = planned(&services, |input| {
        all(input);
        input.kind = Kind::Rollback;
    });
    assert_eq!(arms(&back), "nnnn");
}

#[test]
fn the_longest_duration_is_all_limits_together() {
    let plan = planned(&["a: x=v41"], |_| {});
    assert_eq!(plan.longest_duration(), Duration::from_mins(25));
    let bake = |input: &mut PlanInput<'_>| input.services[0].bake = Duration::from_mins(2);
    let plan = planned(&["a: x=v41"], bake);
    assert_eq!(plan.longest_duration(), Duration::from_mins(32));
    let plan = planned(&["a: x=v41"], |input| {
        bake(input);
        input.kind = Kind::Rollback;
    });
    assert_eq!(plan.longest_duration(), Duration::from_mins(15));
}

#[test]
fn steps_in_their_waves() {
    let shown = |plan: &Plan| -> Vec<String> {
        plan.steps()
            .iter()
            .map(|step| {
                let slice = plan.slice(step.slice);
                let service = &plan.service(slice.service).name;
                format!(
                    "{}.{} {:?} {service}/{}",
                    step.wave, step.batch, step.verb, slice.name
                )
            })
            .collect()
    };
    let change = |input: &mut PlanInput<'_>| {
        input.services[0].abilities = crate::port::target::Abilities { arms: true, ..ABLE };
        input.services[0].bake = Duration::from_secs(1);
    };
    let services = ["web: a=v41 b=v41 < db", "db: d=v41* "];
    assert_eq!(
        shown(&planned(&services, change)),
        [
            "0.0 Prepare web/a",
            "0.0 Prepare web/b",
            "1.1 Verify db/d",
            "2.1 Activate web/a",
            "2.1 Verify web/a",
            "2.2 Activate web/b",
            "2.2 Verify web/b",
            "0.0 Confirm web/a",
            "0.0 Confirm web/b",
            "0.0 Bake web/a",
            "0.0 Bake web/b",
        ]
    );
    let back = planned(&services, |input| {
        change(input);
        input.kind = Kind::Rollback;
    });
    assert_eq!(
        shown(&back)[2..],
        [
            "1.1 Activate web/a",
            "1.1 Verify web/a",
            "1.2 Activate web/b",
            "1.2 Verify web/b",
            "2.1 Verify db/d",
        ]
    );
}

/// Puts where these slices of web ran into the facts.
fn ran(input: &mut PlanInput<'_>, places: &[(&str, &str)]) {
    let places = places.iter().map(|(slice, place)| {
        (
            SliceName::new(*slice).expect("a name"),
            PlaceId::new(*place).expect("a place"),
        )
    });
    input.facts.places.insert(name("web"), places.collect());
}

/// The new place has nothing to go back to, and nobody would touch the old one.
#[test]
fn a_place_that_changed_is_refused_and_a_rollback_only_says_it() {
    let before = [("a", "ssh:a:/srv/web"), ("b", "ssh:b:/opt/web")];
    assert_eq!(
        refused(&["web: a=- b=v41"], |input| ran(input, &before)),
        [
            "`web` on `a` runs in ssh:a:/srv/web; this configuration puts it in ssh:a:/opt/web: going back could \
             not put ssh:a:/srv/web back"
        ]
    );
    let back = planned(&["web: a=- b=v41"], |input| {
        ran(input, &before);
        input.kind = Kind::Rollback;
    });
    let said =
        "web: a moves from ssh:a:/srv/web to ssh:a:/opt/web: what is in ssh:a:/srv/web is left as it is";
    assert!(
        back.notices.iter().any(|notice| notice == said),
        "{:?}",
        back.notices
    );

    // Another way to write the same host: what ran there last is there.
    planned(&["web: a=v41 b=v41"], |input| {
        ran(input, &before);
        let slice = &mut input.services[0].slices[0];
        slice.last_known = slice.seen.runs.clone().ok();
    });
    // What is removed is not put anywhere.
    planned(&["web: a=v41 b=v41", "api: a=v41"], |input| {
        ran(input, &before);
        input.services[0].dropped = true;
    });
}

#[test]
fn a_host_that_is_not_configured_any_more_is_said() {
    let plan = planned(&["web: a=v41"], |input| {
        ran(
            input,
            &[
                ("a", "ssh:a:/opt/web"),
                ("b", "ssh:b:/opt/web"),
                ("c", "ssh:c:/opt/web"),
            ],
        );
    });
    let said = "web on b and c are not in this configuration any more: what runs there is left as it is";
    assert!(
        plan.notices.iter().any(|notice| notice == said),
        "{:?}",
        plan.notices
    );
}

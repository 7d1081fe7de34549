//! What holds for every plan: random environments, and the linter as the judge.

use super::drive::drive;
use super::world::{input, name, reference, release, slice};
use crate::digest::Digest;
use crate::id::{EnvName, ReleaseNumber, ServiceIx, SliceIx};
use crate::machine::{Outcome, Verb};
use crate::plan::{
    Base, Batch, CanaryStep, Change, Kind, OnFailure, Percent, Plan, PlanInput, PlanProblem, ServiceInput,
    Severity, Step, StrategyInput, WayBack, build, lint, render_text,
};
use crate::port::target::{Abilities, Difference, Fence, Runs};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

const NAMES: [&str; 6] = ["delta", "alpha", "echo", "bravo", "foxtrot", "charlie"];
type Mutate<'a> = &'a dyn Fn(&mut Plan);
const RUNS: [&str; 12] = [
    "-", "-", "-", "v41", "v41", "v41", "v41", "v41*", "v41*", "v40", "live", "?",
];

fn batch() -> impl Strategy<Value = Batch> {
    prop_oneof![
        (1_u16..5).prop_map(|count| Batch::Count(NonZeroU16::new(count).expect("above zero"))),
        (1_u8..=100).prop_map(|share| Batch::Percent(Percent::new(share).expect("a share"))),
    ]
}

fn strategy() -> impl Strategy<Value = StrategyInput> {
    let step = batch().prop_map(|to| CanaryStep {
        to,
        hold: Duration::ZERO,
    });
    prop_oneof![
        (batch(), proptest::option::of(batch()))
            .prop_map(|(batch, max_failures)| StrategyInput::Rolling { batch, max_failures }),
        Just(StrategyInput::Recreate),
        Just(StrategyInput::AllAtOnce),
        (prop::collection::vec(step, 0..3), proptest::option::of(batch()))
            .prop_map(|(steps, batch)| StrategyInput::Canary { steps, batch }),
    ]
}

fn abilities() -> impl Strategy<Value = Abilities> {
    (
        select(vec![Fence::Write, Fence::Lock, Fence::Term, Fence::None]),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(fence, arms, removes)| Abilities {
            fence,
            arms,
            removes,
            unbroken_since: false,
            stops: true,
        })
}

/// One of [`NAMES`]; needs mostly ones before it in that list, which is not the order of their names.
fn service(at: usize, everywhere: Option<&'static str>) -> impl Strategy<Value = ServiceInput> {
    let needs = prop_oneof![
        9 => prop::collection::vec(0..at.max(1), 0..3),
        1 => prop::collection::vec(0..NAMES.len(), 0..3),
    ];
    let one = prop_oneof![3 => Just(None), 1 => select(RUNS.to_vec()).prop_map(Some)];
    let runs = (one, prop::collection::vec(select(RUNS.to_vec()), 1..5)).prop_map(move |(all, runs)| {
        runs.into_iter()
            .map(|one| everywhere.or(all).unwrap_or(one))
            .collect::<Vec<_>>()
    });
    (
        needs,
        runs,
        strategy(),
        abilities(),
        any::<(bool, bool)>(),
        0_u8..10,
    )
        .prop_map(
            move |(needs, runs, strategy, abilities, (hold, bake), dropped)| ServiceInput {
                name: name(NAMES[at]),
                target: "ssh".to_owned(),
                needs: needs
                    .into_iter()
                    .filter(|need| *need != at)
                    .map(|need| name(NAMES[need]))
                    .collect(),
                strategy,
                on_failure: if hold {
                    OnFailure::Hold
                } else {
                    OnFailure::Rollback
                },
                bake: Duration::from_secs(u64::from(bake)),
                abilities,
                slices: runs
                    .iter()
                    .enumerate()
                    .map(|(number, runs)| slice(NAMES[at], &format!("host-{number}"), runs))
                    .collect(),
                dropped: dropped == 0,
            },
        )
}

/// Services, kind, and how they are shuffled.
fn world() -> impl Strategy<Value = (Vec<ServiceInput>, Kind, Vec<ServiceInput>)> {
    let everywhere = prop_oneof![3 => Just(None), 1 => Just(Some("-")), 1 => Just(Some("v41"))];
    let services = (1..=NAMES.len(), everywhere).prop_flat_map(|(count, everywhere)| {
        (0..count)
            .map(|at| service(at, everywhere).boxed())
            .collect::<Vec<_>>()
    });
    let kind = select(vec![Kind::Deploy, Kind::Promote, Kind::Rollback, Kind::Rollback]);
    (services, kind)
        .prop_flat_map(|(services, kind)| (Just(services.clone()), Just(kind), Just(services).prop_shuffle()))
}

fn made(services: &[ServiceInput], kind: Kind) -> Result<Plan, Vec<PlanProblem>> {
    let all: Vec<_> = services.iter().map(|service| service.name.clone()).collect();
    let release = release(&all);
    let mut input: PlanInput<'_> = input(&release, &[]);
    input.kind = kind;
    input.services = services.to_vec();
    input.disabled.insert(name("delta"));
    build(&input)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// What the planner makes, the linter has nothing against; where it makes none, it says why.
    #[test]
    fn every_plan_is_clean((services, kind, _) in world()) {
        match made(&services, kind) {
            Ok(plan) => {
                let errors: Vec<_> =
                    lint(&plan).into_iter().filter(|found| found.severity == Severity::Error).collect();
                prop_assert!(errors.is_empty(), "{:?}\n{:#?}", errors, plan);
                let stored = serde_json::to_string(&plan).expect("a plan is JSON");
                prop_assert_eq!(&serde_json::from_str::<Plan>(&stored).expect("it reads back"), &plan);
                prop_assert_eq!(plan.waves().concat().len(), plan.services.len());
                prop_assert!(render_text(&plan, None).ends_with('\n'));
            }
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }

    /// The machine brings every plan to success when all goes well, and moves slices in the order that readers are told.
    #[test]
    fn every_plan_can_be_finished((services, kind, _) in world()) {
        if let Ok(plan) = made(&services, kind) {
            let (outcome, moved) = drive(&plan);
            prop_assert_eq!(outcome, Some(Outcome::Succeeded));
            let told = |of: &dyn Fn(&Step) -> bool| -> BTreeMap<SliceIx, (u16, u16)> {
                plan.steps().iter().filter(|step| of(step)).map(|step| (step.slice, (step.wave, step.batch))).collect()
            };
            let told = told(&|step| step.verb == Verb::Activate);
            prop_assert_eq!(moved.len(), told.len());
            let at: BTreeMap<_, _> = moved.iter().zip(0..).map(|(slice, at)| (*slice, at)).collect();
            for (slice, place) in &told {
                let service = plan.slice(*slice).service;
                // Of one service, or of services that need one another, what comes earlier in the plan moved earlier.
                for (other, later) in told.iter().filter(|(_, later)| *later > place) {
                    let of_other = plan.slice(*other).service;
                    let ordered = of_other == service || plan.service(of_other).needs.contains(&service)
                        || plan.service(service).needs.contains(&of_other);
                    prop_assert!(!ordered || at[slice] < at[other], "{slice} {place:?} before {other} {later:?}");
                }
            }
        }
    }

    /// A rollback is held up by nothing but a circle, the bounds, or nothing being there.
    #[test]
    fn a_rollback_is_not_held_up((services, _, _) in world()) {
        if let Err(problems) = made(&services, Kind::Rollback) {
            let known = |problem: &PlanProblem| matches!(problem, PlanProblem::Cycle { .. } | PlanProblem::Empty);
            prop_assert!(problems.iter().all(known), "{:?}", problems);
        }
    }

    /// The order in which services are given makes no difference.
    #[test]
    fn the_order_of_services_does_not_matter((services, kind, shuffled) in world()) {
        prop_assert_eq!(made(&services, kind).ok(), made(&shuffled, kind).ok());
    }

    /// The digest covers everything that approvals bind to, and nothing that is only for people.
    #[test]
    fn the_digest_binds_what_it_should((services, kind, _) in world(), at in any::<prop::sample::Index>()) {
        let Ok(plan) = made(&services, kind) else { return Ok(()) };
        let mut same = plan.clone();
        same.notices.reverse();
        same.notices.push("a notice".to_owned());
        same.differences.push(Difference {
            service: None,
            slice: plan.slices[0].name.clone(),
            lines: vec!["+ 1 file".to_owned()],
            bytes: None,
        });
        prop_assert_eq!(plan.digest(), same.digest());

        let slice = at.index(plan.slices.len());
        let service = at.index(plan.services.len());
        let changes: [(&str, Mutate<'_>); 18] = [
            ("kind", &|plan| plan.kind = if plan.kind == Kind::Deploy { Kind::Promote } else { Kind::Deploy }),
            ("environment", &|plan| plan.environment = EnvName::new("elsewhere").expect("a name")),
            ("release", &|plan| plan.release = reference(7)),
            ("release number", &|plan| plan.release.number = ReleaseNumber(7)),
            ("base", &|plan| plan.base = Base::Release(reference(7))),
            ("config", &|plan| plan.config = Digest::of("another")),
            ("limits", &|plan| plan.limits.attempts += 1),
            ("places", &|plan| plan.places.reverse()),
            ("a place", &|plan| plan.slices[slice].place.0 ^= 1),
            ("a unit", &|plan| plan.slices[slice].unit.0 ^= 1),
            ("what runs", &|plan| plan.slices[slice].now = match plan.slices[slice].now {
                Runs::Nothing => plan.slices.iter().map(|slice| &slice.now).find(|now| **now != Runs::Nothing)
                    .cloned().unwrap_or(Runs::Release {
                        fingerprint: crate::id::Fingerprint::new("new").expect("a label"),
                        release: None,
                    }),
                Runs::Release { .. } => Runs::Nothing,
            }),
            ("a way back", &|plan| plan.slices[slice].way_back = match plan.slices[slice].way_back {
                WayBack::None => WayBack::Absent,
                _ => WayBack::None,
            }),
            ("a batch", &|plan| plan.services[service].batches.push(Vec::new())),
            ("needs", &|plan| plan.services[service].needs.push(ServiceIx(0))),
            ("a change", &|plan| plan.services[service].change = match plan.services[service].change {
                Change::Move => Change::Keep,
                _ => Change::Move,
            }),
            ("abilities", &|plan| plan.services[service].abilities.arms ^= true),
            ("a bake", &|plan| plan.services[service].bake += Duration::from_secs(1)),
            ("an interruption", &|plan| plan.services[service].interrupts ^= true),
        ];
        for (what, change) in changes {
            let mut other = plan.clone();
            change(&mut other);
            // Turning a list of one around changes nothing.
            if other != plan {
                prop_assert_ne!(plan.digest(), other.digest(), "{}", what);
            }
        }
    }
}

/// The laws above are about plans: random environments must lead to some, of every kind and with everything in them.
#[test]
fn random_environments_lead_to_plans() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let plans: Vec<_> = (0..1500)
        .filter_map(|_| {
            let (services, kind, _) = world().new_tree(&mut runner).expect("a world").current();
            made(&services, kind).ok()
        })
        .collect();
    let count = |holds: &dyn Fn(&Plan) -> bool| plans.iter().filter(|plan| holds(plan)).count();
    let service = |holds: fn(&crate::plan::PlannedService) -> bool| {
        count(&|plan| plan.kind != Kind::Rollback && plan.services.iter().any(holds))
    };
    let counts = [
        ("forward", count(&|plan| plan.kind != Kind::Rollback)),
        ("rollback", count(&|plan| plan.kind == Kind::Rollback)),
        ("from nothing", count(&|plan| plan.base == Base::Nothing)),
        (
            "from a release",
            count(&|plan| matches!(plan.base, Base::Release(_))),
        ),
        ("from one thing", count(&|plan| plan.base == Base::Uniform)),
        ("from a mixture", count(&|plan| plan.base == Base::Mixed)),
        ("needs", service(|service| !service.needs.is_empty())),
        ("kept", service(|service| service.change == Change::Keep)),
        ("removed", service(|service| service.change == Change::Remove)),
        ("batches", service(|service| service.batches.len() > 1)),
        ("armed", service(|service| service.abilities.arms)),
        ("a budget", service(|service| service.max_failures > 0)),
    ];
    for (what, count) in counts {
        assert!(count >= 10, "{what}: {counts:?}");
    }
}

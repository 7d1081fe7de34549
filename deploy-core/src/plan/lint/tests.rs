//! Every rule has a mutant: a good plan with one thing wrong, which that rule finds.

use super::{Rule, Severity, lint};
use crate::id::{PlaceId, PlaceIx, ServiceIx, SliceIx, UnitId, UnitIx};
use crate::plan::tests::world::{input, release_of};
use crate::plan::{Base, Batch, Change, Kind, Plan, StrategyInput, WayBack, build};
use crate::port::target::{Fence, Runs};
use std::collections::BTreeSet;
use std::time::Duration;

/// `db`, `kept`, `web` (three slices, two batches), then `old`, which is removed; in the order of the plan.
fn good() -> Plan {
    let services = [
        "db: d=v41",
        "kept: k=v41*",
        "web: a=v41 b=v41 c=v41 < db kept",
        "old: o=v41",
    ];
    let release = release_of(&services);
    let mut input = input(&release, &services);
    input.services[3].dropped = true;
    input.services[2].strategy = StrategyInput::Rolling {
        batch: "2".parse::<Batch>().expect("a batch"),
        max_failures: "1".parse().ok(),
    };
    for service in &mut input.services {
        service.abilities.arms = true;
        service.abilities.stops = true;
    }
    build(&input).expect("a plan")
}

fn rollback() -> Plan {
    let services = ["db: d=v43", "web: a=v43 b=v43 < db"];
    let release = release_of(&services);
    let mut input = input(&release, &services);
    input.kind = Kind::Rollback;
    build(&input).expect("a plan")
}

const WEB: usize = 2;
const OLD: usize = 3;

#[test]
fn every_rule_finds_its_mutant() {
    type Mutate = fn(&mut Plan);
    let forward: &[(Rule, Mutate)] = &[
        (Rule::NotEmpty, |plan| {
            *plan = Plan {
                services: Vec::new(),
                slices: Vec::new(),
                places: Vec::new(),
                units: Vec::new(),
                base: Base::Nothing,
                ..plan.clone()
            };
        }),
        (Rule::NotEmpty, |plan| plan.services[WEB].batches.clear()),
        (Rule::Bounded, |plan| {
            plan.units = vec![plan.units[0].clone(); 65_536];
        }),
        (Rule::Indices, |plan| plan.slices[0].place = PlaceIx(99)),
        (Rule::Indices, |plan| plan.slices[0].unit = UnitIx(99)),
        (Rule::Indices, |plan| plan.slices[0].service = ServiceIx(99)),
        (Rule::Indices, |plan| plan.services[0].batches[0][0] = SliceIx(99)),
        (Rule::Indices, |plan| plan.services[0].needs = vec![ServiceIx(99)]),
        (Rule::NamedOnce, |plan| {
            plan.services[0].name = plan.services[WEB].name.clone();
        }),
        (Rule::NamedOnce, |plan| {
            plan.slices[2].name = plan.slices[3].name.clone();
        }),
        (Rule::NeedsAcyclic, |plan| {
            plan.services[0].needs = vec![ServiceIx(2)];
        }),
        (Rule::NeedsAcyclic, |plan| {
            plan.services[1].needs = vec![ServiceIx(1)];
        }),
        (Rule::NeedsBefore, |plan| {
            plan.services[0].needs = vec![ServiceIx(1)];
        }),
        (Rule::NeedsOnce, |plan| {
            plan.services[WEB].needs.push(ServiceIx(0));
        }),
        (Rule::OneBatch, |plan| plan.services[WEB].batches[1].clear()),
        (Rule::OneBatch, |plan| {
            plan.services[WEB].batches[1].push(SliceIx(2));
        }),
        (Rule::OneBatch, |plan| {
            plan.services[WEB].batches[0].swap_with_slice(&mut [SliceIx(0), SliceIx(2)]);
        }),
        (Rule::FullBatches, |plan| {
            plan.services[WEB].batches.push(Vec::new());
        }),
        (Rule::PlacesSorted, |plan| plan.places.swap(0, 1)),
        (Rule::PlacesSorted, |plan| plan.places[1] = plan.places[0].clone()),
        (Rule::UnitsOnce, |plan| plan.units[1] = plan.units[0].clone()),
        (Rule::Used, |plan| {
            plan.places.push(PlaceId::new("zzz").expect("a place"));
        }),
        (Rule::Used, |plan| {
            plan.units.push(UnitId::new("zzz").expect("a unit"));
        }),
        (Rule::UnitOnePlace, |plan| {
            plan.slices[2].unit = plan.slices[3].unit;
        }),
        (Rule::UnitOneService, |plan| {
            plan.slices[0].unit = plan.slices[1].unit;
        }),
        (Rule::KeptStill, |plan| plan.services[1].interrupts = true),
        (Rule::KeptStill, |plan| plan.slices[1].now = Runs::Nothing),
        (Rule::LastSlice, |plan| {
            let all = plan.services[WEB].batches.concat();
            plan.services[WEB].batches = vec![all];
        }),
        (Rule::LastSlice, |plan| plan.services[0].interrupts = false),
        (Rule::InterruptionSaid, |plan| {
            plan.notices.retain(|notice| !notice.contains("interrupted"));
        }),
        (Rule::WayBackFits, |plan| {
            plan.slices[2].way_back = WayBack::Absent;
        }),
        (Rule::WayBackFits, |plan| plan.slices[2].now = Runs::Nothing),
        (Rule::WayBackFits, |plan| {
            plan.slices[1].way_back = WayBack::Absent;
        }),
        (Rule::WayBackFits, |plan| {
            plan.slices[2].now = Runs::Nothing;
            plan.slices[2].way_back = WayBack::Absent;
            plan.services[WEB].abilities.removes = false;
        }),
        (Rule::WayBackSaid, |plan| plan.slices[2].way_back = WayBack::None),
        (Rule::FenceSaid, |plan| {
            plan.services[WEB].abilities.fence = Fence::None;
        }),
        (Rule::ArmedChain, |plan| plan.services[WEB].abilities.arms = false),
        (Rule::BudgetFits, |plan| plan.services[WEB].max_failures = 3),
        (Rule::BudgetFits, |plan| {
            plan.services[WEB].abilities.stops = false;
        }),
        (Rule::BudgetFits, |plan| plan.services[1].max_failures = 1),
        (Rule::BudgetSaid, |plan| {
            plan.notices.retain(|notice| !notice.contains("may fail"));
        }),
        (Rule::LimitsSet, |plan| plan.limits.activation = Duration::ZERO),
        (Rule::LimitsSet, |plan| plan.limits.going_back = Duration::ZERO),
        (Rule::LimitsSet, |plan| plan.limits.attempts = 0),
        (Rule::RemovedNotNeeded, |plan| {
            plan.services[0].change = Change::Remove;
        }),
        (Rule::Removable, |plan| {
            plan.services[OLD].abilities.removes = false;
        }),
        (Rule::Removable, |plan| {
            plan.notices.retain(|notice| !notice.contains("removed"));
        }),
        (Rule::BaseFits, |plan| plan.base = Base::Nothing),
        (Rule::BaseFits, |plan| {
            plan.slices.iter_mut().for_each(|slice| slice.now = Runs::Nothing);
        }),
        (Rule::BaseFits, |plan| {
            plan.base = Base::Uniform;
            plan.slices[2].now = plan.slices[0].now.clone();
        }),
        (Rule::BaseSaid, |plan| plan.base = Base::Uniform),
        (Rule::BaseSaid, |plan| plan.base = Base::Mixed),
    ];
    let back: &[(Rule, Mutate)] = &[
        (Rule::RollbackNoBake, |plan| {
            plan.services[0].bake = Duration::from_secs(1);
        }),
        (Rule::BudgetFits, |plan| plan.services[1].max_failures = 1),
        (Rule::RollbackUnarmed, |plan| {
            plan.services[0].abilities.arms = true;
        }),
        (Rule::WayBackFits, |plan| {
            plan.slices[0].way_back = WayBack::Checkpoint;
        }),
        (Rule::WayBackSaid, |plan| plan.notices.clear()),
    ];
    let mut without_mutant: BTreeSet<_> = Rule::ALL.iter().copied().collect();
    let cases = forward
        .iter()
        .map(|case| (good(), case))
        .chain(back.iter().map(|case| (rollback(), case)));
    for (number, (plan, (rule, mutate))) in cases.enumerate() {
        assert_eq!(lint(&plan), [], "the plan is good before");
        let mut mutant = plan.clone();
        mutate(&mut mutant);
        assert_ne!(plan, mutant, "{number}: {rule}");
        let findings = lint(&mutant);
        assert!(
            findings.iter().any(|found| found.rule == *rule),
            "{number}: {rule}: {findings:?}"
        );
        without_mutant.remove(rule);
    }
    assert_eq!(without_mutant, BTreeSet::new(), "every rule has a mutant");
}

#[test]
fn names_of_rules_are_the_same_in_json_and_print_well() {
    for rule in Rule::ALL {
        assert_eq!(serde_json::to_value(rule).expect("a rule"), rule.name());
    }
    let mut plan = good();
    plan.services[WEB].batches[1].clear();
    let shown: Vec<_> = lint(&plan).iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "web/c: it is in 0 batches instead of one (one-batch)",
            "web: a batch is empty (full-batches)"
        ]
    );
    assert_eq!(lint(&plan)[0].severity, Severity::Error);
}

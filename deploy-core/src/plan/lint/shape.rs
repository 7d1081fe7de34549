//! Rules about the shape of a plan: that it holds together at all. Those after `indices` may rely on every index being valid.

use super::{Found, full_name, services};
use crate::id::{ServiceIx, SliceIx};
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn not_empty(plan: &Plan, found: &mut Found) {
    if plan.slices.is_empty() {
        found.say("plan", "there is no slice");
    }
    for service in &plan.services {
        if service.batches.is_empty() {
            found.say(&service.name, "it has no batch");
        }
    }
}

pub(super) fn bounded(plan: &Plan, found: &mut Found) {
    for (what, count) in [
        ("services", plan.services.len()),
        ("slices", plan.slices.len()),
        ("places", plan.places.len()),
        ("units", plan.units.len()),
    ] {
        if count > usize::from(u16::MAX) {
            found.say("plan", format!("{count} {what} are too many"));
        }
    }
}

pub(super) fn indices(plan: &Plan, found: &mut Found) {
    for slice in &plan.slices {
        if slice.service.at() >= plan.services.len() {
            found.say(&slice.name, format!("there is no service {}", slice.service));
        }
        if slice.place.at() >= plan.places.len() {
            found.say(&slice.name, format!("there is no place {}", slice.place));
        }
        if slice.unit.at() >= plan.units.len() {
            found.say(&slice.name, format!("there is no unit {}", slice.unit));
        }
    }
    for service in &plan.services {
        for need in service
            .needs
            .iter()
            .filter(|need| need.at() >= plan.services.len())
        {
            found.say(
                &service.name,
                format!("it needs service {need}, which is not there"),
            );
        }
        for slice in service.batches.iter().flatten() {
            if slice.at() >= plan.slices.len() {
                found.say(&service.name, format!("slice {slice} of a batch is not there"));
            }
        }
    }
}

pub(super) fn named_once(plan: &Plan, found: &mut Found) {
    let mut names = BTreeSet::new();
    for service in &plan.services {
        if !names.insert(&service.name) {
            found.say(&service.name, "two services have this name");
        }
    }
    let mut names = BTreeSet::new();
    for slice in &plan.slices {
        if !names.insert((slice.service, &slice.name)) {
            found.say(full_name(plan, slice), "two slices have this name");
        }
    }
}

pub(super) fn needs_acyclic(plan: &Plan, found: &mut Found) {
    // Takes away whatever needs nothing that is left, until nothing can be.
    let mut left: BTreeSet<ServiceIx> = plan.service_indices().collect();
    loop {
        let free: Vec<_> = left
            .iter()
            .copied()
            .filter(|ix| !plan.service(*ix).needs.iter().any(|need| left.contains(need)))
            .collect();
        if free.is_empty() {
            break;
        }
        for ix in free {
            left.remove(&ix);
        }
    }
    for ix in left {
        found.say(
            &plan.service(ix).name,
            "it needs itself, directly or through others",
        );
    }
}

pub(super) fn needs_before(plan: &Plan, found: &mut Found) {
    for (ix, service) in services(plan) {
        for need in service.needs.iter().filter(|need| **need >= ix) {
            let text = format!("it needs {}, which comes later", plan.service(*need).name);
            found.say(&service.name, text);
        }
    }
}

pub(super) fn needs_once(plan: &Plan, found: &mut Found) {
    for service in &plan.services {
        let once: BTreeSet<_> = service.needs.iter().collect();
        if once.len() != service.needs.len() {
            found.say(&service.name, "something it needs is listed twice");
        }
    }
}

pub(super) fn one_batch(plan: &Plan, found: &mut Found) {
    let mut times: BTreeMap<SliceIx, usize> = BTreeMap::new();
    for (ix, service) in services(plan) {
        for slice in service.batches.iter().flatten() {
            *times.entry(*slice).or_default() += 1;
            if plan.slice(*slice).service != ix {
                let text = format!("{} is in one of its batches", full_name(plan, plan.slice(*slice)));
                found.say(&service.name, text);
            }
        }
    }
    for slice in plan.slice_indices() {
        let times = times.get(&slice).copied().unwrap_or(0);
        if times != 1 {
            let text = format!("it is in {times} batches instead of one");
            found.say(full_name(plan, plan.slice(slice)), text);
        }
    }
}

pub(super) fn full_batches(plan: &Plan, found: &mut Found) {
    for service in &plan.services {
        if service.batches.iter().any(Vec::is_empty) {
            found.say(&service.name, "a batch is empty");
        }
    }
}

pub(super) fn places_sorted(plan: &Plan, found: &mut Found) {
    for pair in plan.places.windows(2).filter(|pair| pair[0] >= pair[1]) {
        found.say(&pair[1], format!("it does not come after {}", pair[0]));
    }
}

pub(super) fn units_once(plan: &Plan, found: &mut Found) {
    let mut names = BTreeSet::new();
    for unit in plan.units.iter().filter(|unit| !names.insert(*unit)) {
        found.say(unit, "two units have this name");
    }
}

pub(super) fn used(plan: &Plan, found: &mut Found) {
    let places: BTreeSet<_> = plan.slices.iter().map(|slice| slice.place.at()).collect();
    let units: BTreeSet<_> = plan.slices.iter().map(|slice| slice.unit.at()).collect();
    for (at, place) in plan.places.iter().enumerate() {
        if !places.contains(&at) {
            found.say(place, "no slice writes to this place");
        }
    }
    for (at, unit) in plan.units.iter().enumerate() {
        if !units.contains(&at) {
            found.say(unit, "no slice is of this unit");
        }
    }
}

pub(super) fn unit_one_place(plan: &Plan, found: &mut Found) {
    let mut places = BTreeMap::new();
    for slice in &plan.slices {
        if *places.entry(slice.unit).or_insert(slice.place) != slice.place {
            found.say(&plan.units[slice.unit.at()], "this unit is in two places");
        }
    }
}

pub(super) fn unit_one_service(plan: &Plan, found: &mut Found) {
    let mut services = BTreeMap::new();
    for slice in &plan.slices {
        let first = *services.entry(slice.unit).or_insert(slice.service);
        if first != slice.service {
            let text = format!(
                "{} and {} go back together with it",
                plan.service(first).name,
                plan.service(slice.service).name
            );
            found.say(&plan.units[slice.unit.at()], text);
        }
    }
}

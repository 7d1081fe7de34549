//! The rules, one function each, in the order of [`super::Rule`]. Those after `indices` may rely on every index being valid.

use super::Found;
use crate::id::{ServiceIx, SliceIx};
use crate::plan::{Base, Change, Kind, Plan, PlannedService, PlannedSlice, WayBack};
use crate::port::target::{Fence, Runs};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

type Services<'a> = Vec<(ServiceIx, &'a PlannedService)>;

fn services(plan: &Plan) -> Services<'_> {
    plan.service_indices().zip(&plan.services).collect()
}

fn of(plan: &Plan, service: ServiceIx) -> impl Iterator<Item = &PlannedSlice> {
    plan.slices.iter().filter(move |slice| slice.service == service)
}

fn full_name(plan: &Plan, slice: &PlannedSlice) -> String {
    format!("{}/{}", plan.service(slice.service).name, slice.name)
}

/// Whether a notice about a subject has these words.
fn said(plan: &Plan, subject: Option<&dyn Display>, words: &str) -> bool {
    let begin = subject.map(|subject| format!("{subject}: ")).unwrap_or_default();
    plan.notices.iter().any(|notice| {
        notice
            .strip_prefix(&begin)
            .is_some_and(|rest| rest.contains(words))
    })
}

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

pub(super) fn kept_still(plan: &Plan, found: &mut Found) {
    for (ix, service) in services(plan) {
        if service.change == Change::Move {
            continue;
        }
        if service.interrupts {
            found.say(&service.name, "it does not move, but is said to be interrupted");
        }
        if service.change == Change::Keep && of(plan, ix).any(|slice| slice.now == Runs::Nothing) {
            found.say(&service.name, "it is kept, but nothing runs in one of its slices");
        }
    }
}

pub(super) fn last_slice(plan: &Plan, found: &mut Found) {
    for (ix, service) in services(plan) {
        if service.interrupts || service.change != Change::Move {
            continue;
        }
        let before = of(plan, ix).filter(|slice| slice.now != Runs::Nothing).count();
        let (mut old, mut new) = (before, 0);
        for batch in &service.batches {
            let taken = batch
                .iter()
                .filter(|slice| plan.slice(**slice).now != Runs::Nothing)
                .count();
            old = old.saturating_sub(taken);
            if taken > 0 && old + new == 0 {
                found.say(
                    &service.name,
                    "a batch takes its last slice out, and the plan does not say so",
                );
                break;
            }
            new += batch.len();
        }
    }
}

pub(super) fn interruption_said(plan: &Plan, found: &mut Found) {
    for service in plan.services.iter().filter(|service| service.interrupts) {
        if !said(plan, Some(&service.name), "interrupted") {
            found.say(&service.name, "it is interrupted, and no notice says so");
        }
    }
}

pub(super) fn way_back_fits(plan: &Plan, found: &mut Found) {
    for slice in &plan.slices {
        let service = plan.service(slice.service);
        let runs = slice.now != Runs::Nothing;
        let why = match (service.change, slice.way_back) {
            (Change::Keep | Change::Remove, WayBack::Checkpoint) => None,
            (Change::Keep | Change::Remove, _) => Some("it does not move: it comes back to what it is"),
            (Change::Move, WayBack::None) => None,
            (Change::Move, _) if plan.kind == Kind::Rollback => Some("a rollback has no way back"),
            (Change::Move, WayBack::Absent) if runs => Some("it would be removed, but something runs there"),
            (Change::Move, WayBack::Absent) if !service.abilities.removes => Some("its target cannot remove"),
            (Change::Move, WayBack::Absent) => None,
            (Change::Move, WayBack::Checkpoint) if !runs => {
                Some("nothing runs there that it could go back to")
            }
            (Change::Move, WayBack::Checkpoint) if plan.base == Base::Mixed => {
                Some("going back to a mixed base leaves it mixed")
            }
            (Change::Move, WayBack::Checkpoint) => None,
        };
        if let Some(why) = why {
            found.say(full_name(plan, slice), why);
        }
    }
}

pub(super) fn way_back_said(plan: &Plan, found: &mut Found) {
    if plan.kind == Kind::Rollback {
        if !said(plan, None, "does not turn back") {
            found.say("plan", "a rollback does not turn back, and no notice says so");
        }
        return;
    }
    let without: BTreeSet<_> = plan
        .slices
        .iter()
        .filter(|slice| slice.way_back == WayBack::None)
        .map(|slice| slice.service)
        .collect();
    for service in without {
        let name = &plan.service(service).name;
        if !said(plan, Some(name), "no way back") {
            found.say(name, "a slice has no way back, and no notice says so");
        }
    }
}

pub(super) fn fence_said(plan: &Plan, found: &mut Found) {
    for service in &plan.services {
        let unfenced = service.change == Change::Move && service.abilities.fence == Fence::None;
        if unfenced && !said(plan, Some(&service.name), "fence = none") {
            found.say(&service.name, "its target has no fence, and no notice says so");
        }
    }
}

pub(super) fn armed_chain(plan: &Plan, found: &mut Found) {
    for (ix, service) in services(plan) {
        if service.change != Change::Move || service.abilities.arms {
            continue;
        }
        // Everything that this one needs, directly or through others.
        let mut below = BTreeSet::new();
        let mut open = vec![ix];
        while let Some(next) = open.pop() {
            open.extend(
                plan.service(next)
                    .needs
                    .iter()
                    .copied()
                    .filter(|need| below.insert(*need)),
            );
        }
        for need in below {
            let needed = plan.service(need);
            if need != ix && needed.change == Change::Move && needed.abilities.arms {
                let text = format!("it is armed, but {} needs it and is not", service.name);
                found.say(&needed.name, text);
            }
        }
    }
}

pub(super) fn limits_set(plan: &Plan, found: &mut Found) {
    let limits = &plan.limits;
    for (name, zero) in [
        ("activation", limits.activation == Duration::ZERO),
        ("going_back", limits.going_back == Duration::ZERO),
        ("attempts", limits.attempts == 0),
    ] {
        if zero {
            found.say("plan", format!("the limit `{name}` is zero"));
        }
    }
}

pub(super) fn rollback_no_bake(plan: &Plan, found: &mut Found) {
    for service in &plan.services {
        if plan.kind == Kind::Rollback && service.bake > Duration::ZERO {
            found.say(&service.name, "it is watched after a rollback");
        }
    }
}

pub(super) fn rollback_unarmed(plan: &Plan, found: &mut Found) {
    for service in &plan.services {
        if plan.kind == Kind::Rollback && service.abilities.arms {
            found.say(&service.name, "a rollback arms nothing, but this is armed");
        }
    }
}

pub(super) fn removed_not_needed(plan: &Plan, found: &mut Found) {
    for service in &plan.services {
        for need in &service.needs {
            let needed = plan.service(*need);
            if needed.change == Change::Remove {
                found.say(
                    &needed.name,
                    format!("it is removed, but {} needs it", service.name),
                );
            }
        }
    }
}

pub(super) fn removable(plan: &Plan, found: &mut Found) {
    for service in plan
        .services
        .iter()
        .filter(|service| service.change == Change::Remove)
    {
        if !service.abilities.removes {
            found.say(&service.name, "its target cannot remove it");
        }
        if !said(plan, Some(&service.name), "removed") {
            found.say(&service.name, "it is removed, and no notice says so");
        }
    }
}

pub(super) fn base_fits(plan: &Plan, found: &mut Found) {
    let runs = |slice: &PlannedSlice| slice.now != Runs::Nothing;
    match plan.base {
        // A rollback goes on where it cannot look, so that its slices may say what ran there last.
        _ if plan.kind == Kind::Rollback => {}
        Base::Nothing if plan.slices.iter().any(runs) => {
            found.say("plan", "something runs, but the base says nothing does");
        }
        Base::Release(_) | Base::Uniform | Base::Mixed if !plan.slices.iter().any(runs) => {
            found.say("plan", "nothing runs, but the base says something does");
        }
        Base::Uniform => {
            for (ix, service) in services(plan) {
                let fingerprints: BTreeSet<_> = of(plan, ix)
                    .filter_map(|slice| match &slice.now {
                        Runs::Release { fingerprint, .. } => Some(fingerprint),
                        Runs::Nothing => None,
                    })
                    .collect();
                if fingerprints.len() > 1 {
                    found.say(
                        &service.name,
                        "its slices run different things, but the base says they do not",
                    );
                }
            }
        }
        _ => {}
    }
}

pub(super) fn base_said(plan: &Plan, found: &mut Found) {
    let words = match plan.base {
        Base::Mixed => "different things run",
        Base::Uniform => "no release that was verified here",
        Base::Nothing | Base::Release(_) => return,
    };
    if !said(plan, None, words) {
        found.say(
            "plan",
            "what runs is no release verified here, and no notice says so",
        );
    }
}

//! Rules about what a plan does: the sentences of the protocol that can be checked before anything starts. Every index is valid.

use super::{Found, full_name, of, said, services};
use crate::plan::{Base, Change, Kind, Plan, PlannedSlice, WayBack};
use crate::port::target::{Fence, Runs};
use std::collections::BTreeSet;
use std::time::Duration;

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

pub(super) fn budget_fits(plan: &Plan, found: &mut Found) {
    for (ix, service) in services(plan) {
        if service.max_failures == 0 {
            continue;
        }
        if usize::from(service.max_failures) >= of(plan, ix).count() {
            found.say(&service.name, "all of its slices may fail");
        }
        if !service.abilities.stops {
            found.say(
                &service.name,
                "slices of it may fail, and its target cannot stop one",
            );
        }
        if plan.kind == Kind::Rollback || service.change != Change::Move {
            found.say(&service.name, "slices of it may fail, and it does not go forward");
        }
    }
}

pub(super) fn budget_said(plan: &Plan, found: &mut Found) {
    for service in plan.services.iter().filter(|service| service.max_failures > 0) {
        if !said(plan, Some(&service.name), "may fail without turning back") {
            found.say(&service.name, "slices of it may fail, and no notice says so");
        }
    }
}

pub(super) fn interruption_said(plan: &Plan, found: &mut Found) {
    let moves = plan.service_indices().filter(|ix| !plan.leaves(*ix));
    for service in moves
        .map(|ix| plan.service(ix))
        .filter(|service| service.interrupts)
    {
        if !said(plan, Some(&service.name), "interrupted") {
            found.say(&service.name, "it is interrupted, and no notice says so");
        }
    }
}

pub(super) fn way_back_fits(plan: &Plan, found: &mut Found) {
    for slice in &plan.slices {
        let service = plan.service(slice.service);
        let runs = slice.now != Runs::Nothing;
        let moves = service.change == Change::Move;
        let why = match slice.way_back {
            WayBack::Absent | WayBack::None if !moves => {
                Some("it does not move: it comes back to what it is")
            }
            WayBack::Absent | WayBack::Checkpoint if moves && plan.kind == Kind::Rollback => {
                Some("a rollback has no way back")
            }
            WayBack::Absent if runs => Some("it would be removed, but something runs there"),
            WayBack::Absent if !service.abilities.removes => Some("its target cannot remove"),
            WayBack::Checkpoint if moves && !runs => Some("nothing runs there that it could go back to"),
            WayBack::Absent | WayBack::Checkpoint | WayBack::None => None,
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

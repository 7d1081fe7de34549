//! The machine checked exhaustively: a breadth-first search over the shipped `decide` and `apply`, in small worlds of two services
//! with two slices each in two places, with faults at every point.
//!
//! `DEPLOY_MODEL_DEEP=1` searches the same worlds with more faults; `DEPLOY_MODEL_ONLY=NAME,…` only some of them.

mod actions;
mod can_fail;
mod config;
mod driver;
mod faults;
mod invariants;
mod key;
mod mutants;
mod search;
mod steps;
mod target;
mod trace;
mod world;
mod worlds;

use deploy_core::machine::Outcome;
use faults::Fault;
use invariants::Invariant;
use mutants::Mutant;
use std::collections::BTreeSet;

fn deep() -> bool {
    std::env::var_os("DEPLOY_MODEL_DEEP").is_some_and(|deep| deep == "1")
}

/// Every world, every invariant; and everything that can happen does, somewhere.
#[test]
fn every_invariant_holds_in_every_world() {
    // A panic of the machine is a violation with a run of its own; its message is in there.
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::var("DEPLOY_MODEL_ONLY").ok();
    let limit =
        std::env::var("DEPLOY_MODEL_LIMIT").map_or(30_000_000, |limit| limit.parse().expect("a number"));
    let (mut states, mut wrong) = (0, Vec::new());
    let (mut outcomes, mut faults, mut works) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for config in worlds::all(deep()) {
        if only
            .as_deref()
            .is_some_and(|only| !only.split(',').any(|name| name == config.name))
        {
            continue;
        }
        let begun = std::time::Instant::now();
        let found = search::search(&config, limit);
        println!(
            "{:>20}: {:>8} states, {:>8} steps, {:>6.1} s  {:?}",
            config.name,
            found.states,
            found.steps,
            begun.elapsed().as_secs_f32(),
            found.outcomes,
        );
        states += found.states;
        outcomes.extend(found.outcomes);
        faults.extend(found.faults);
        works.extend(found.works);
        if let Some((violation, run)) = found.violation {
            wrong.push(format!(
                "{}:\n{}",
                config.name,
                trace::story(&config, &run, &violation)
            ));
        } else if !found.complete {
            wrong.push(format!("{}: more than {limit} states", config.name));
        } else if !deep() && found.states != config.states {
            wrong.push(format!(
                "{}: {} states, pinned are {}",
                config.name, found.states, config.states
            ));
        }
    }
    println!("{states} states in all");
    let _ = std::panic::take_hook();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if only.is_some() {
        return;
    }
    assert!(
        states >= if deep() { 1_000_000 } else { 100_000 },
        "only {states} states"
    );
    let all = [
        Outcome::Succeeded,
        Outcome::RolledBack,
        Outcome::NeedsHuman,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::Superseded,
    ];
    assert_eq!(outcomes, BTreeSet::from(all), "every outcome is reached");
    assert_eq!(faults, BTreeSet::from(Fault::ALL), "every fault is reached");
    let all = [
        "Activate",
        "Bake",
        "Claim",
        "Confirm",
        "Finish",
        "Judge",
        "KeepArmed",
        "Look",
        "Prepare",
        "Reach",
        "Release",
        "Restore",
        "Stop",
        "Survey",
        "Verify",
        "VerifyOld",
        "Watch",
    ];
    assert_eq!(
        works,
        BTreeSet::from(all.map(str::to_owned)),
        "every effect is reached"
    );
}

/// Each deliberate mistake is caught, by the invariant that is about it; its shortest run is kept for people to read.
#[test]
fn every_mistake_is_caught() {
    for mutant in Mutant::ALL {
        let config = worlds::with_mistake(mutant);
        let found = search::search(&config, 3_000_000);
        let (violation, run) = found
            .violation
            .unwrap_or_else(|| panic!("{mutant:?} is not caught"));
        let expected = mutant.caught_by();
        assert_eq!(
            violation.invariant,
            expected,
            "{mutant:?}:\n{}",
            trace::story(&config, &run, &violation)
        );
        println!("{mutant:?}: {} steps", run.len());
        insta::with_settings!({ description => format!("{mutant:?}"), omit_expression => true }, {
            insta::assert_snapshot!(format!("{mutant:?}"), trace::story(&config, &run, &violation));
        });
    }
}

/// At least twelve; each a sentence.
#[test]
fn invariants_are_sentences() {
    assert!(Invariant::ALL.len() >= 12);
    assert!(
        Invariant::ALL
            .iter()
            .all(|invariant| invariant.to_string().contains(' '))
    );
}

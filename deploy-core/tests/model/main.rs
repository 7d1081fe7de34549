//! The machine checked exhaustively: a breadth-first search over the shipped `decide` and `apply`, in small worlds with faults at
//! every point.

mod config;
mod faults;
mod invariants;
mod mutants;
mod search;
mod steps;
mod target;
mod world;

use config::Config;
use faults::{Budget, Fault};

fn all() -> Vec<Config> {
    use Fault::*;
    vec![
        Config::new("plain", Budget::none()),
        Config::new(
            "crash",
            Budget::of(2)
                .with(Crash, 2)
                .with(Sleep, 1)
                .with(Linger, 1)
                .with(Lose, 1),
        ),
        Config::new("fail", Budget::of(2).with(Crash, 1).with(Fail, 2).with(Sicken, 1)),
        Config::new("fire", Budget::of(2).with(Crash, 1).with(Fire, 2).with(Lose, 1)),
        Config::new(
            "hand",
            Budget::of(2).with(Crash, 1).with(Hand, 2).with(Intrude, 1),
        ),
        Config::new("cut", Budget::of(2).with(Crash, 1).with(Cut, 2).with(Fire, 1)),
        Config::new("ask", Budget::of(2).with(Ask, 2).with(Delay, 1).with(Linger, 1)),
    ]
}

#[test]
fn explore() {
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::var("ONLY").ok();
    for config in all() {
        if only.as_deref().is_some_and(|only| only != config.name) {
            continue;
        }
        let begun = std::time::Instant::now();
        let found = search::search(&config, 20_000_000);
        println!(
            "{}: {} states, {} steps {:?} {:?}",
            config.name,
            found.states,
            found.steps,
            found.outcomes,
            begun.elapsed()
        );
        if let Some((violation, run)) = found.violation {
            for (at, action) in run.iter().enumerate() {
                println!("  {at}. {action:?}");
            }
            println!("  {violation:?}");
        }
    }
}

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
use deploy_core::plan::Kind;
use deploy_core::port::target::Fence;
use faults::{Budget, Fault};

fn all() -> Vec<Config> {
    use Fault::*;
    let of = Config::new;
    vec![
        of("plain", Budget::none()),
        of(
            "crash",
            Budget::of(2)
                .with(Crash, 2)
                .with(Sleep, 1)
                .with(Linger, 1)
                .with(Lose, 1),
        ),
        Config {
            batches: true,
            ..of(
                "crash in batches",
                Budget::of(2).with(Crash, 2).with(Sleep, 1).with(Lose, 1),
            )
        },
        of("fail", Budget::of(2).with(Crash, 1).with(Fail, 2).with(Sicken, 1)),
        of("fire", Budget::of(2).with(Crash, 1).with(Fire, 2).with(Lose, 1)),
        of(
            "hand",
            Budget::of(2).with(Crash, 1).with(Hand, 2).with(Intrude, 1),
        ),
        of("cut", Budget::of(2).with(Crash, 1).with(Cut, 2).with(Fire, 1)),
        of("ask", Budget::of(2).with(Ask, 2).with(Delay, 1).with(Linger, 1)),
        Config {
            arms: false,
            ..of(
                "unarmed",
                Budget::of(2)
                    .with(Crash, 1)
                    .with(Sleep, 1)
                    .with(Lose, 1)
                    .with(Fail, 1)
                    .with(Linger, 1)
                    .with(Cut, 1),
            )
        },
        Config {
            bakes: true,
            ..of(
                "bake",
                Budget::of(2)
                    .with(Crash, 1)
                    .with(Fail, 1)
                    .with(Sicken, 1)
                    .with(Hand, 1)
                    .with(Ask, 1)
                    .with(Cut, 1),
            )
        },
        Config {
            holds: true,
            ..of(
                "hold",
                Budget::of(2)
                    .with(Crash, 1)
                    .with(Fail, 1)
                    .with(Sicken, 1)
                    .with(Fire, 1)
                    .with(Sleep, 1)
                    .with(Linger, 1),
            )
        },
        Config {
            keeps_a: true,
            start: [1, 1, 0, 0],
            ..of(
                "a stays",
                Budget::of(2)
                    .with(Crash, 1)
                    .with(Sicken, 1)
                    .with(Hand, 1)
                    .with(Lose, 1),
            )
        },
        Config {
            start: [1, 0, 0, 0],
            ..of(
                "half there",
                Budget::of(2)
                    .with(Crash, 1)
                    .with(Sicken, 1)
                    .with(Fire, 1)
                    .with(Lose, 1),
            )
        },
        Config {
            shares_unit: true,
            batches: true,
            ..of(
                "one unit",
                Budget::of(2).with(Crash, 1).with(Fail, 1).with(Lose, 1),
            )
        },
        Config {
            approval: true,
            ..of(
                "approval",
                Budget::of(2)
                    .with(Hand, 1)
                    .with(Revoke, 1)
                    .with(Delay, 1)
                    .with(Ask, 1)
                    .with(Crash, 1),
            )
        },
        Config {
            kind: Kind::Rollback,
            ..of(
                "rollback",
                Budget::of(2)
                    .with(Crash, 1)
                    .with(Fail, 1)
                    .with(Cut, 1)
                    .with(Lose, 1)
                    .with(Hand, 1)
                    .with(Ask, 1)
                    .with(Intrude, 1),
            )
        },
        Config {
            fence: Fence::None,
            ..of(
                "no fence",
                Budget::of(2).with(Crash, 1).with(Fail, 1).with(Lose, 1),
            )
        },
        Config {
            stores: 2,
            ..of("two stores", Budget::of(1).with(Crash, 1).with(Lose, 1))
        },
        Config {
            stores: 2,
            adopts: [false, true],
            ..of(
                "adoption",
                Budget::of(1).with(Crash, 1).with(Linger, 1).with(Sleep, 1),
            )
        },
        Config {
            stores: 2,
            adopts: [true, true],
            arms: false,
            ..of("adoption both ways", Budget::of(0))
        },
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

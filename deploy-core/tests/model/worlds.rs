//! The worlds that are searched: which plan, and which faults.

use crate::config::Config;
use crate::faults::Budget;
use crate::faults::Fault::{
    self, Ask, Crash, Cut, Delay, Fail, Fire, Hand, Intrude, Linger, Lose, Revoke, Sicken, Sleep,
};
use crate::mutants::Mutant;
use crate::world::SLICES;
use deploy_core::plan::Kind;
use deploy_core::port::target::Fence;

/// Up to `all` faults of these kinds.
fn of(all: u8, faults: &[Fault]) -> Budget {
    faults
        .iter()
        .fold(Budget::of(all), |budget, fault| budget.with(*fault, all))
}

const ANY: &[Fault] = &[
    Crash, Sleep, Linger, Lose, Delay, Fail, Fire, Hand, Sicken, Cut, Intrude, Ask,
];

/// Those that every run of the tests searches, with how many states each has; and, in a deep search, those that take minutes.
pub(crate) fn all(deep: bool) -> Vec<Config> {
    let world = |name: &'static str, states: usize, budget: Budget| Config {
        states,
        batches: true,
        ..Config::new(name, budget)
    };
    let parallel = |name: &'static str, states: usize, budget: Budget| Config {
        batches: false,
        ..world(name, states, budget)
    };
    let mut worlds = vec![
        parallel("no fault", 3_497, Budget::none()),
        world("any fault", 682_626, of(1, ANY)),
        parallel("in parallel", 113_762, of(1, &[Crash, Lose, Fire])),
        parallel("late and lost answers", 676_657, of(2, &[Delay, Lose])),
        parallel("a late answer and a crash", 1_265_687, of(2, &[Delay, Crash])),
        world("two crashes", 428_305, of(2, &[Crash])),
        Config {
            arms: false,
            ..world("nothing arms", 192_242, of(1, ANY))
        },
        Config {
            bakes: true,
            ..world("bake", 166_813, of(1, &[Crash, Fail, Sicken, Hand, Ask, Cut]))
        },
        Config {
            holds: true,
            ..world("hold", 95_457, of(1, &[Crash, Fail, Sicken, Fire]))
        },
        Config {
            keeps_a: true,
            start: [1, 1, 0, 0],
            ..world("A stays", 76_786, of(1, ANY))
        },
        Config {
            start: [1, 0, 0, 0],
            ..world("half is there", 33_176, of(1, &[Crash, Lose, Fire, Sicken]))
        },
        Config {
            shares_unit: true,
            ..world("one unit", 91_177, of(1, &[Crash, Fail, Lose]))
        },
        Config {
            approval: true,
            ..world("approval", 153_102, of(1, &[Hand, Revoke, Delay, Ask, Crash]))
        },
        Config {
            kind: Kind::Rollback,
            ..world(
                "rollback",
                209_985,
                of(2, &[Crash, Lose, Fail, Cut, Hand, Ask, Intrude]),
            )
        },
        Config {
            max_failures: 1,
            ..world("a budget of one", 473_049, of(2, &[Fail, Cut]))
        },
        Config {
            max_failures: 1,
            ..world("a budget and a crash", 1_026_599, of(2, &[Fail, Crash]))
        },
        Config {
            fence: Fence::None,
            ..world("no fence", 71_755, of(1, &[Crash, Lose, Fail]))
        },
        Config {
            stores: 2,
            ..world("two stores", 244_672, of(1, &[Crash]))
        },
    ];
    if deep {
        worlds.extend([
            Config {
                max_failures: 1,
                ..world(
                    "a budget, and anything",
                    0,
                    of(2, &[Crash, Fail, Sicken, Cut, Lose, Fire, Hand, Ask]),
                )
            },
            Config {
                stores: 2,
                arms: false,
                adopts: [false, true],
                ..world("adoption", 0, Budget::none())
            },
            parallel("any fault, in parallel", 0, of(1, ANY)),
            parallel("a crash and the network", 0, of(2, &[Crash, Lose, Linger])),
            world("two crashes, one asleep", 0, of(2, &[Crash, Sleep])),
            world("a crash and a revert", 0, of(2, &[Crash, Sleep, Fire])),
            world("hands and strangers", 0, of(2, &[Crash, Hand, Intrude])),
            Config {
                stores: 2,
                adopts: [false, true],
                ..world("adoption, armed", 0, Budget::none())
            },
            Config {
                stores: 2,
                adopts: [true, true],
                arms: false,
                ..world("adoption both ways", 0, Budget::none())
            },
        ]);
    }
    worlds
}

/// The smallest world in which a mistake shows.
pub(crate) fn with_mistake(mutant: Mutant) -> Config {
    let (faults, all): (&[Fault], u8) = match mutant {
        Mutant::NoClaimCompare | Mutant::StaleAppends => (&[Sleep], 1),
        Mutant::EffectBeforeIntent
        | Mutant::ConfirmEarly
        | Mutant::RestoreAtOnce
        | Mutant::RolledBackUnlooked
        | Mutant::CommitWithoutLook => (&[], 0),
        Mutant::ApprovalUnbound | Mutant::NoFingerprint => (&[Hand], 1),
        Mutant::AlwaysForward => (&[Fire], 1),
        Mutant::CheckpointRetaken => (&[Crash], 1),
        Mutant::LateAnswers => (&[Delay, Lose], 2),
        Mutant::BlindRetry => (&[Lose], 1),
        Mutant::CommitUnheard => (&[Ask], 1),
        Mutant::ExcludedUnseen => (&[Fail], 1),
    };
    let excludes = mutant == Mutant::ExcludedUnseen;
    Config {
        mutant: Some(mutant),
        approval: mutant == Mutant::ApprovalUnbound,
        max_failures: u16::from(excludes),
        // Nothing needs what fails: it shows at the commit point, and not before.
        keeps_a: excludes,
        start: if excludes { [1, 1, 0, 0] } else { [0; SLICES] },
        ..Config::new("a mistake", of(all, faults))
    }
}

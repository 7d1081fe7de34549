//! The worlds that are searched: which plan, and which faults.

use crate::config::Config;
use crate::faults::Fault::{self, Ask, Crash, Cut, Delay, Fail, Fire, Hand, Intrude, Linger, Lose, Revoke, Sicken, Sleep};
use crate::faults::Budget;
use crate::mutants::Mutant;
use deploy_core::plan::Kind;
use deploy_core::port::target::Fence;

/// Up to `all` faults of these kinds.
fn of(all: u8, faults: &[Fault]) -> Budget {
    faults.iter().fold(Budget::of(all), |budget, fault| budget.with(*fault, all))
}

const ANY: &[Fault] = &[Crash, Sleep, Linger, Lose, Delay, Fail, Fire, Hand, Sicken, Cut, Intrude, Ask];

/// All of them; deep ones with one fault more.
pub fn all(deep: bool) -> Vec<Config> {
    let more = u8::from(deep);
    let any = |all: u8| of(all + more, ANY);
    let world = |name: &'static str, states: usize, budget: Budget| Config { states, ..Config::new(name, budget) };
    vec![
        world("no fault", 0, Budget::none()),
        world("any fault", 0, any(1)),
        world("two crashes", 0, of(2 + more, &[Crash, Sleep])),
        world("crash, then network", 0, of(2, &[Crash, Lose, Linger])),
        Config { batches: true, ..world("batches", 0, any(1)) },
        Config { arms: false, ..world("nothing arms", 0, any(1)) },
        Config { bakes: true, ..world("bake", 0, any(1)) },
        Config { holds: true, ..world("hold", 0, any(1)) },
        Config { keeps_a: true, start: [1, 1, 0, 0], ..world("A stays", 0, any(1)) },
        Config { start: [1, 0, 0, 0], ..world("half is there", 0, any(1)) },
        Config { shares_unit: true, batches: true, ..world("one unit", 0, any(1)) },
        Config { approval: true, ..world("approval", 0, of(1 + more, &[Hand, Revoke, Delay, Ask, Crash])) },
        Config { kind: Kind::Rollback, ..world("rollback", 0, of(2, &[Crash, Lose, Fail, Cut, Hand, Ask, Intrude])) },
        Config { fence: Fence::None, ..world("no fence", 0, of(1 + more, &[Crash, Lose, Fail])) },
        Config { stores: 2, ..world("two stores", 0, of(more, &[Crash, Lose])) },
        Config { stores: 2, adopts: [false, true], ..world("adoption", 0, of(more, &[Crash, Linger])) },
        Config { stores: 2, adopts: [true, true], arms: false, ..world("adoption both ways", 0, Budget::none()) },
    ]
}

/// The smallest world in which a mistake shows.
pub fn with_mistake(mutant: Mutant) -> Config {
    let (faults, all): (&[Fault], u8) = match mutant {
        Mutant::NoClaimCompare | Mutant::StaleAppends => (&[Sleep], 1),
        Mutant::EffectBeforeIntent | Mutant::ConfirmEarly | Mutant::RestoreAtOnce | Mutant::CommitWithoutLook => (&[], 0),
        Mutant::ApprovalUnbound | Mutant::NoFingerprint => (&[Hand], 1),
        Mutant::AlwaysForward => (&[Fire], 1),
        Mutant::CheckpointRetaken => (&[Crash], 1),
        Mutant::LateAnswers => (&[Delay, Lose], 2),
        Mutant::BlindRetry => (&[Lose], 1),
        Mutant::CommitUnheard => (&[Ask], 1),
    };
    Config {
        mutant: Some(mutant),
        approval: mutant == Mutant::ApprovalUnbound,
        ..Config::new("a mistake", of(all, faults))
    }
}

//! From a service as the manifest configures it to what the planner is given: its strategy, what its failure means, how long it is
//! watched.

use super::input::{Batch, CanaryStep, Percent, StrategyInput};
use super::{Kind, OnFailure};
use crate::manifest::{self, Amount, ServiceStrategy, StrategyKind};
use std::num::NonZeroU16;
use std::time::Duration;

impl StrategyInput {
    /// The strategy of a service; `other` is one that was asked for instead, for this deployment alone. A canary without steps tries
    /// one slice first.
    pub fn configured(strategy: &ServiceStrategy, other: Option<StrategyKind>) -> Self {
        match other.unwrap_or(strategy.kind) {
            StrategyKind::Recreate => Self::Recreate,
            StrategyKind::AllAtOnce => Self::AllAtOnce,
            StrategyKind::Canary if strategy.steps.is_empty() => Self::Canary {
                steps: vec![CanaryStep {
                    to: Batch::Count(NonZeroU16::MIN),
                    hold: Duration::ZERO,
                }],
                batch: strategy.within_steps.map(Batch::from),
            },
            StrategyKind::Canary => Self::Canary {
                steps: strategy
                    .steps
                    .iter()
                    .map(|step| CanaryStep {
                        to: step.to.into(),
                        hold: step.hold.get(),
                    })
                    .collect(),
                batch: strategy.within_steps.map(Batch::from),
            },
            // How a slice stands up beside the old one is its target's business; here is how many do it at once.
            StrategyKind::BlueGreen => Self::Rolling {
                batch: strategy.batch.into(),
                max_failures: None,
            },
            StrategyKind::Rolling => Self::Rolling {
                batch: strategy.batch.into(),
                max_failures: (!strategy.max_failures.is_zero()).then(|| strategy.max_failures.into()),
            },
        }
    }
}

impl From<Amount> for Batch {
    fn from(amount: Amount) -> Self {
        match amount {
            Amount::Count(count) => {
                let count = u16::try_from(count).unwrap_or(u16::MAX);
                Self::Count(NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN))
            }
            Amount::Percent(share) => Percent::new(share).map_or(Self::Count(NonZeroU16::MIN), Self::Percent),
        }
    }
}

impl From<manifest::OnFailure> for OnFailure {
    fn from(configured: manifest::OnFailure) -> Self {
        match configured {
            manifest::OnFailure::Rollback => Self::Rollback,
            manifest::OnFailure::Hold => Self::Hold,
        }
    }
}

impl Kind {
    /// How long a service is watched after the commit point: a rollback goes to what was watched before.
    pub const fn bake(self, configured: Duration) -> Duration {
        match self {
            Self::Deploy | Self::Promote => configured,
            Self::Rollback => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_batches_of_at_least_one() {
        assert_eq!(Batch::from(Amount::Count(0)), Batch::Count(NonZeroU16::MIN));
        assert_eq!(Batch::from(Amount::Count(3)).to_string(), "3");
        assert_eq!(Batch::from(Amount::Percent(25)).to_string(), "25%");
        assert_eq!(Batch::from(Amount::Percent(0)), Batch::Count(NonZeroU16::MIN));
    }

    #[test]
    fn a_failure_budget_is_rollings_alone() {
        let written = |kind| ServiceStrategy {
            kind,
            batch: Amount::Count(2),
            max_failures: Amount::Count(1),
            steps: Vec::new(),
            within_steps: None,
            ports: Some((4000, 4001)),
            proxy: None,
            drain: None,
            blue: None,
            green: None,
            service: None,
            label: None,
        };
        let budget = |kind| match StrategyInput::configured(&written(kind), None) {
            StrategyInput::Rolling { max_failures, .. } => max_failures,
            other => panic!("{other:?}"),
        };
        assert!(budget(StrategyKind::Rolling).is_some());
        assert_eq!(budget(StrategyKind::BlueGreen), None);
    }

    #[test]
    fn a_rollback_does_not_bake() {
        let minute = Duration::from_mins(1);
        assert_eq!(Kind::Promote.bake(minute), minute);
        assert_eq!(Kind::Rollback.bake(minute), Duration::ZERO);
    }
}

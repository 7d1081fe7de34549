//! Limits that the machine keeps, and what they are where nobody says otherwise.

use super::{Kind, ServiceInput};
use crate::time::human;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits that the machine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// From the start of activation to the commit point; then it turns back.
    #[serde(with = "human")]
    pub activation: Duration,
    /// For going back; what is not back by then is unknown.
    #[serde(with = "human")]
    pub going_back: Duration,
    /// The longest an unclear health may extend the bake.
    #[serde(with = "human")]
    pub bake: Duration,
    /// How often an unknown outcome or a fenced write may start a new attempt in one direction.
    pub attempts: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            activation: Duration::from_mins(30),
            going_back: Duration::from_mins(5),
            bake: Duration::from_mins(10),
            attempts: 4,
        }
    }
}

impl Limits {
    /// As asked for: `timeout` is the time from the start of activation to the commit point. Where nobody says, what is only waited
    /// for (the steps of canaries) comes on top of the usual; a rollback waits for none.
    pub fn within(timeout: Option<Duration>, kind: Kind, services: &[ServiceInput]) -> Self {
        let usual = Self::default();
        let waits = match kind {
            Kind::Rollback => Duration::ZERO,
            Kind::Deploy | Kind::Promote => services.iter().map(|service| service.strategy.waits()).sum(),
        };
        Self {
            activation: timeout.unwrap_or(usual.activation.saturating_add(waits)),
            ..usual
        }
    }
}

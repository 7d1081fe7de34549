//! The sentences of a plan's notices: what a person should know before saying yes. One place, so that they read alike: the
//! service first, then what is so, then what follows. No rule decides by them, but the linter asks that they are there.

use super::build::Planner;
use super::input::{Batch, ServiceInput, StrategyInput};
use super::{Base, PlannedSlice, WayBack};
use crate::port::target::{Fence, Runs};
use std::fmt::Display;

/// At most four names, then how many more there are.
pub fn names<T: Display>(all: &[T]) -> String {
    let shown: Vec<_> = all.iter().take(4).map(ToString::to_string).collect();
    let more = all.len() - shown.len();
    match (more, shown.as_slice()) {
        (0, [init @ .., last]) if !init.is_empty() => format!("{} and {last}", init.join(", ")),
        (0, _) => shown.concat(),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A sentence about one service.
pub(super) fn of(service: &impl Display, text: impl Display) -> String {
    format!("{service}: {text}")
}

impl Planner<'_> {
    /// What is to be said of a service that moves.
    pub(super) fn say_service(&mut self, service: &ServiceInput, interrupts: bool, slices: &[PlannedSlice]) {
        let mut say = |text: String| self.notices.push(of(&service.name, text));
        if interrupts {
            say(match (&service.strategy, service.slices.len()) {
                (_, 1) => "interrupted for a moment: its only slice moves".to_owned(),
                (StrategyInput::Recreate, _) => "interrupted: recreate stops all slices first".to_owned(),
                _ => "interrupted for a moment: no other slice serves while its last one moves".to_owned(),
            });
        }
        if service.abilities.fence == Fence::None {
            say(format!(
                "fence = none: {} cannot keep a stale deployer from writing; after a takeover what was under way needs a human",
                service.target
            ));
        }
        let without: Vec<_> = slices
            .iter()
            .filter(|slice| slice.way_back == WayBack::None)
            .map(|slice| &slice.name)
            .collect();
        if !without.is_empty() && !self.rollback {
            say(format!(
                "no way back for {}: a failure needs a human",
                names(&without)
            ));
        }
        let adopted: Vec<_> = service
            .slices
            .iter()
            .filter(|slice| {
                slice.seen.held.is_none()
                    && matches!(slice.seen.runs, Ok(Runs::Release { release: None, .. }))
            })
            .map(|slice| &slice.spec.name)
            .collect();
        if !adopted.is_empty() {
            say(format!(
                "what runs on {} was not put there by deploy: it is adopted as it is",
                names(&adopted)
            ));
        }
    }

    /// What is to be said of a failure budget: `widest` is how many slices move at once at the most.
    pub(super) fn say_budget(&mut self, service: &ServiceInput, asked: Batch, budget: usize, widest: usize) {
        let count = service.slices.len();
        let mut say = |text: String| self.notices.push(of(&service.name, text));
        if budget == 0 {
            say(format!(
                "`max_failures = {asked}` of {count} slices is none: the first failure turns back"
            ));
            return;
        }
        let (many, each) = match budget {
            1 => ("1 slice".to_owned(), "it"),
            _ => (format!("{budget} slices"), "each"),
        };
        say(format!(
            "{many} of {count} may fail without turning back: {each} is stopped and left out, to be deployed again"
        ));
        if count > 1 && budget + widest >= count {
            say(format!(
                "with {many} left out, no other serves while the last ones move"
            ));
        }
    }

    /// What is to be said of the whole.
    pub(super) fn say_base(&mut self, base: &Base) {
        match base {
            Base::Mixed if self.rollback => self.notices.push(
                "different things run in this environment, or some that cannot be looked at".to_owned(),
            ),
            Base::Mixed => self.notices.push(
                "different things run in this environment: going back puts back what each slice runs now"
                    .to_owned(),
            ),
            Base::Uniform => self.notices.push(
                "what runs is no release that was verified here: going back puts back what is there now"
                    .to_owned(),
            ),
            Base::Nothing => {
                if let Some(current) = self.input.facts.current {
                    self.notices.push(format!(
                        "nothing runs any more of {}, which was verified here",
                        current.number
                    ));
                }
            }
            Base::Release(_) => {}
        }
        if self.rollback {
            self.notices
                .push("a rollback does not turn back: what fails needs a human".to_owned());
        }
    }
}

//! Slices that ran somewhere else when a deployment moved here last: in another place, or on a host that is not in the configuration
//! any more. A deployment writes to the new place alone, so going back could not make the old one serve again.

use super::build::Planner;
use super::input::ServiceInput;
use super::notice::{names, of};
use super::problem::PlanProblem;
use crate::id::SliceName;

impl Planner<'_> {
    /// Refuses a place that changed where going back would matter, and says what is left as it is.
    pub(super) fn check_places(&mut self, service: &ServiceInput) {
        let Some(ran) = self.input.facts.places.get(&service.name) else {
            return;
        };
        let mut gone: Vec<&SliceName> = Vec::new();
        for (name, from) in ran {
            let Some(slice) = service.slices.iter().find(|slice| slice.spec.name == *name) else {
                gone.push(name);
                continue;
            };
            let to = &slice.spec.place;
            // The same host may be written in two ways: then what ran there last is found there.
            let found = slice.seen.runs.as_ref().ok();
            if to == from || (found.is_some() && found == slice.last_known.as_ref()) {
                continue;
            }
            if self.rollback {
                self.notices.push(of(
                    &service.name,
                    format!("{name} moves from {from} to {to}: what is in {from} is left as it is"),
                ));
            } else {
                self.problems.push(PlanProblem::Elsewhere {
                    environment: self.input.environment.clone(),
                    service: service.name.clone(),
                    slice: name.clone(),
                    from: from.clone(),
                    to: to.clone(),
                });
            }
        }
        if !gone.is_empty() {
            let are = if gone.len() == 1 { "is" } else { "are" };
            self.notices.push(format!(
                "{} on {} {are} not in this configuration any more: what runs there is left as it is",
                service.name,
                names(&gone)
            ));
        }
    }
}

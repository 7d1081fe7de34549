//! Where a rollback goes, and which command gets out of what needs a human.

use super::environment::EnvironmentView;
use super::project::ProjectView;
use crate::id::{EnvName, ReleaseNumber};
use crate::model::ReleaseRef;
use crate::plan::Kind;

/// Why there is nothing to go back to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    /// No earlier release was verified here, or all are barred.
    #[error("no earlier release was verified in {environment}, or all are barred")]
    Nothing {
        /// Where.
        environment: EnvName,
    },
    /// The named one runs already.
    #[error("{release} runs in {environment} already")]
    Same {
        /// Where.
        environment: EnvName,
        /// Which.
        release: ReleaseNumber,
    },
    /// The named one was never verified here: going there is a promotion, with all its gates.
    #[error("{release} was never verified in {environment}: there is no going back to it")]
    NeverHere {
        /// Where.
        environment: EnvName,
        /// Which.
        release: ReleaseNumber,
    },
    /// The named one came after what runs: going there is a promotion, with all its gates.
    #[error("{release} came after what runs in {environment}: that is no rollback")]
    Newer {
        /// Where.
        environment: EnvName,
        /// Which.
        release: ReleaseNumber,
    },
}

/// The command that brings an environment to one release again: back where there is something to go back to, else forward, the way
/// that it was last meant to go. `barred`: the release that would be taken forward, and that no gate lets through any more.
pub(super) fn out(
    environment: &EnvName,
    back: Option<ReleaseNumber>,
    kind: Option<Kind>,
    barred: Option<ReleaseNumber>,
) -> String {
    let forward = match kind {
        Some(Kind::Promote) => "promote",
        _ => "up",
    };
    match (back, barred) {
        (Some(release), _) => format!("deploy rollback -e {environment} --to {release}"),
        (None, None) => format!("deploy {forward} -e {environment}"),
        (None, Some(barred)) => {
            let mended = match kind {
                Some(Kind::Promote) => "bring a mended release through the environments before",
                _ => "commit what mends it",
            };
            format!(
                "{barred} is barred (deploy yank {barred} --undo lifts that): {mended}, then deploy {forward} -e \
                 {environment}"
            )
        }
    }
}

impl EnvironmentView {
    /// The command that gets out of not knowing what runs here: the next deployment looks before it changes anything.
    pub fn way_out(&self, project: &ProjectView) -> String {
        let back = self.destination(None, project).ok();
        let last = self.last_moved.as_ref();
        let barred = last
            .and_then(|last| last.release())
            .filter(|release| project.yanked(*release).is_some());
        let number = |release: ReleaseRef| release.number;
        out(
            &self.name,
            back.map(number),
            last.and_then(|last| last.kind()),
            barred.map(number),
        )
    }

    /// Where a rollback goes: the last release verified here before what runs, not barred, or the one named (which must have been
    /// verified here, and have come before what runs).
    ///
    /// # Errors
    /// [`NoWayBack`].
    pub fn destination(
        &self,
        to: Option<ReleaseRef>,
        project: &ProjectView,
    ) -> Result<ReleaseRef, NoWayBack> {
        let environment = || self.name.clone();
        let current = self.current.release();
        let past = match (self.stays.in_turn(), current) {
            ([past @ .., top], Some(current)) if *top == current => past,
            (all, _) => all,
        };
        let Some(named) = to else {
            return past
                .iter()
                .rev()
                .find(|release| {
                    Some(**release) != current
                        && project.yanked(**release).is_none()
                        && self.stays.counting(release.digest).is_some()
                })
                .copied()
                .ok_or_else(|| NoWayBack::Nothing {
                    environment: environment(),
                });
        };
        let release = named.number;
        if current == Some(named) {
            Err(NoWayBack::Same {
                environment: environment(),
                release,
            })
        } else if self.stays.get(named.digest).is_none() {
            Err(NoWayBack::NeverHere {
                environment: environment(),
                release,
            })
        } else if !past.contains(&named) && current.is_some_and(|current| current.number < release) {
            Err(NoWayBack::Newer {
                environment: environment(),
                release,
            })
        } else {
            Ok(named)
        }
    }
}

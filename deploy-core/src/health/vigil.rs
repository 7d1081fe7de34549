//! The vigil: a pure fold of looks at what was verified already, while others still move or while it bakes. One bad look is not a
//! verdict, as one good one is not.

use super::Verdict;
use std::time::Duration;

/// Looks in a row that have to fail before what was verified counts as not well.
const IN_A_ROW: u32 = 3;

/// How long what was verified is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Until somebody stops it.
    WhileOthersMove,
    /// For a bake.
    Bake {
        /// What is left of it: it ends with the first healthy look after.
        left: Duration,
        /// How long an unclear health extends it at most.
        limit: Duration,
    },
}

/// What a look leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Look again.
    GoesOn,
    /// The bake is over, and it was well to the end.
    Well,
    /// It is not well, or nobody could tell for too long: the last look says which.
    NotWell,
}

/// A fold of looks.
#[derive(Debug, Clone)]
pub struct Vigil {
    watch: Watch,
    unwell: u32,
}

impl Vigil {
    /// Before the first look.
    pub const fn new(watch: Watch) -> Self {
        Self { watch, unwell: 0 }
    }

    /// Takes a look that ended so long after the watch began. What cannot be reached is not called unhealthy: it breaks no row, and
    /// extends a bake.
    pub fn take(&mut self, since: Duration, verdict: &Verdict) -> Finding {
        match verdict {
            Verdict::Healthy => {
                self.unwell = 0;
                match self.watch {
                    Watch::Bake { left, .. } if since >= left => Finding::Well,
                    Watch::Bake { .. } | Watch::WhileOthersMove => Finding::GoesOn,
                }
            }
            Verdict::Unhealthy(_) => {
                self.unwell += 1;
                if self.unwell >= IN_A_ROW {
                    Finding::NotWell
                } else {
                    Finding::GoesOn
                }
            }
            Verdict::Unreachable(_) => match self.watch {
                Watch::Bake { limit, .. } if since >= limit => Finding::NotWell,
                Watch::Bake { .. } | Watch::WhileOthersMove => Finding::GoesOn,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reason;
    use super::*;
    use crate::failure::Code;

    fn told(watch: Watch, looks: &str) -> Vec<Finding> {
        let mut vigil = Vigil::new(watch);
        let reason = || Reason::new(Code::Unhealthy, "503");
        (1u64..)
            .zip(looks.chars())
            .map(|(second, look)| {
                let verdict = match look {
                    '+' => Verdict::Healthy,
                    '-' => Verdict::Unhealthy(reason()),
                    _ => Verdict::Unreachable(reason()),
                };
                vigil.take(Duration::from_secs(second), &verdict)
            })
            .collect()
    }

    #[test]
    fn three_bad_looks_in_a_row_are_a_verdict() {
        use Finding::{GoesOn, NotWell, Well};
        let bake = Watch::Bake {
            left: Duration::from_secs(2),
            limit: Duration::from_secs(4),
        };
        for (watch, looks, last) in [
            (Watch::WhileOthersMove, "++++", GoesOn),
            (Watch::WhileOthersMove, "--+--", GoesOn),
            (Watch::WhileOthersMove, "+---", NotWell),
            (Watch::WhileOthersMove, "-?-?-", NotWell),
            (Watch::WhileOthersMove, "?????", GoesOn),
            (bake, "+", GoesOn),
            (bake, "++", Well),
            (bake, "--", GoesOn),
            (bake, "--+", Well),
            (bake, "???", GoesOn),
            (bake, "???+", Well),
            (bake, "????", NotWell),
        ] {
            assert_eq!(told(watch, looks).last(), Some(&last), "{watch:?} {looks}");
        }
    }
}

//! Batches: which slices of one service move at the same time. Only the grouping; what a batch waits for is the machine's.
//!
//! The last slice that serves is taken out by no batch, unless nothing else is possible or the strategy says so. Slices where
//! nothing runs go first: they take nothing out, and serve by the time the others move.

use super::input::{Batch, CanaryStep, Percent, StrategyInput};
use std::time::Duration;

/// What runs in a slice, as far as grouping is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Now {
    /// Nothing: moving it takes nothing out.
    Nothing,
    /// Something that may serve.
    Something,
    /// It could not be looked at, so that it cannot be counted on.
    Unknown,
}

/// The grouping of one service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grouping {
    /// Positions in the given list, batch after batch.
    pub(super) batches: Vec<Vec<usize>>,
    /// How long each batch is watched before the next.
    pub(super) holds: Vec<Duration>,
    /// Whether a batch takes out what may serve while no other slice is known to.
    pub(super) interrupts: bool,
    /// The batch that was asked for and would have taken all slices at once, where it was cut.
    pub(super) cut: Option<Batch>,
}

/// Groups the slices of one service.
pub(super) fn group(strategy: &StrategyInput, slices: &[Now]) -> Grouping {
    let mut order: Vec<usize> = (0..slices.len()).collect();
    order.sort_by_key(|at| slices[*at]);
    let first_time = slices.iter().all(|now| *now == Now::Nothing);
    let count = slices.len();
    let mut cut = None;
    let at_once = |end| (end, Duration::ZERO);
    let ends: Vec<(usize, Duration)> = match strategy {
        _ if first_time => vec![at_once(count)],
        StrategyInput::Recreate | StrategyInput::AllAtOnce => vec![at_once(count)],
        StrategyInput::Rolling { batch, .. } => {
            let size = size(*batch, count, &mut cut);
            (size..count).step_by(size).chain([count]).map(at_once).collect()
        }
        StrategyInput::Canary { steps, batch } => canary(steps, *batch, count, &mut cut),
    };
    let (mut batches, mut holds) = (Vec::new(), Vec::<Duration>::new());
    let mut begin = 0;
    for (end, hold) in ends {
        if end > begin {
            batches.push(order[begin..end].to_vec());
            holds.push(hold);
            begin = end;
        } else if let Some(before) = holds.last_mut() {
            // So few slices that two steps are one: it is watched for as long as both.
            *before = before.saturating_add(hold);
        }
    }
    Grouping {
        interrupts: interrupts(&batches, slices),
        batches,
        holds,
        cut,
    }
}

/// Where each batch ends, and how long it is watched: the last of a step for as long as the step says.
fn canary(
    steps: &[CanaryStep],
    batch: Option<Batch>,
    count: usize,
    cut: &mut Option<Batch>,
) -> Vec<(usize, Duration)> {
    let mut ends = Vec::new();
    let mut begin = 0;
    let steps = steps.iter().map(|step| (step.to, step.hold));
    for (to, hold) in steps.chain([(Batch::Percent(Percent::ALL), Duration::ZERO)]) {
        let end = size(to, count, cut);
        if let Some(batch) = batch {
            let size = size(batch, count, cut);
            let between = (begin + size..end).step_by(size);
            ends.extend(between.map(|end| (end, Duration::ZERO)));
        }
        ends.push((end, hold));
        begin = begin.max(end);
    }
    ends
}

/// How many of `count` slices: at least one, and not all of several, unless it says `100%`.
fn size(batch: Batch, count: usize, cut: &mut Option<Batch>) -> usize {
    let wanted = match batch {
        Batch::Count(wanted) => usize::from(wanted.get()),
        Batch::Percent(share) => (count * usize::from(share.get())).div_ceil(100),
    };
    let most = match batch {
        Batch::Percent(Percent::ALL) => count,
        _ => count.saturating_sub(1),
    }
    .max(1);
    if wanted > most && count > 1 {
        *cut = Some(batch);
    }
    wanted.clamp(1, most)
}

/// How many of `count` slices may fail: a share is rounded down, and one always has to come through.
pub(super) fn allowed(asked: Batch, count: usize) -> usize {
    let asked = match asked {
        Batch::Count(asked) => usize::from(asked.get()),
        Batch::Percent(share) => count * usize::from(share.get()) / 100,
    };
    asked.min(count.saturating_sub(1))
}

fn interrupts(batches: &[Vec<usize>], slices: &[Now]) -> bool {
    let mut serving: Vec<bool> = slices.iter().map(|now| *now == Now::Something).collect();
    batches.iter().any(|batch| {
        let takes = batch.iter().any(|at| slices[*at] != Now::Nothing);
        let others = (0..slices.len()).any(|at| serving[at] && !batch.contains(&at));
        for at in batch {
            serving[*at] = true;
        }
        takes && !others
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(text: &str) -> StrategyInput {
        let batch = |text: &str| text.parse::<Batch>().expect("a batch");
        match text.split_once(' ') {
            None if text == "recreate" => StrategyInput::Recreate,
            None => StrategyInput::AllAtOnce,
            Some(("rolling", size)) => StrategyInput::Rolling {
                batch: batch(size),
                max_failures: None,
            },
            Some((_, steps)) => StrategyInput::Canary {
                batch: steps.split_once(" by ").map(|(_, size)| batch(size)),
                steps: steps
                    .split(" by ")
                    .next()
                    .expect("there is a first part")
                    .split(' ')
                    .map(|to| CanaryStep {
                        to: batch(to),
                        hold: Duration::ZERO,
                    })
                    .collect(),
            },
        }
    }

    #[test]
    fn budgets_are_rounded_down_and_never_take_all() {
        for (asked, count, wanted) in [
            ("1", 3, 1),
            ("2", 3, 2),
            ("3", 3, 2),
            ("1", 1, 0),
            ("10%", 9, 0),
            ("10%", 10, 1),
            ("10%", 29, 2),
            ("100%", 4, 3),
        ] {
            let asked_for = asked.parse().expect("a budget");
            assert_eq!(allowed(asked_for, count), wanted, "{asked} of {count}");
        }
    }

    /// `x` runs something, `.` nothing, `?` is not known; `!` says that the service is interrupted, `<` that the batch was cut.
    #[test]
    fn strategies() {
        for (how, slices, wanted) in [
            ("rolling 1", "x", "0 !"),
            ("rolling 1", "xxx", "0 1 2"),
            ("rolling 2", "xxxxx", "01 23 4"),
            ("rolling 2", "xx", "0 1 <"),
            ("rolling 9", "xxx", "01 2 <"),
            ("rolling 25%", "xxxx", "0 1 2 3"),
            ("rolling 25%", "xxxxxxxx", "01 23 45 67"),
            ("rolling 26%", "xxxx", "01 23"),
            ("rolling 1%", "xx", "0 1"),
            ("rolling 99%", "xx", "0 1 <"),
            ("rolling 100%", "xxx", "012 !"),
            ("rolling 1", "...", "012"),
            ("rolling 1", "x.x", "1 0 2"),
            ("rolling 1", "x.", "1 0"),
            ("rolling 2", "xx.", "20 1"),
            ("rolling 1", "x??", "0 1 2 !"),
            ("rolling 1", "?x.", "2 1 0"),
            ("rolling 1", "?", "0 !"),
            ("canary 1", "xxxx", "0 123"),
            ("canary 1 50%", "xxxxxx", "0 12 345"),
            ("canary 50% 50%", "xxxx", "01 23"),
            ("canary 10% 5%", "xxx", "0 12"),
            ("canary 100%", "xx", "01 !"),
            ("canary 5", "xx", "0 1 <"),
            ("canary 1 50%", "x", "0 !"),
            ("canary 1 by 2", "xxxxxx", "0 12 34 5"),
            ("canary 1 50% by 1", "xxxxxx", "0 1 2 3 4 5"),
            ("canary 3 by 2", "xxxxxxx", "01 2 34 56"),
            ("canary 1 by 25%", "xxxxxxxxx", "0 123 456 78"),
            ("canary 1 by 9", "xxx", "0 12 <"),
            ("canary 1", "....", "0123"),
            ("recreate", "xx", "01 !"),
            ("recreate", "..", "01"),
            ("all-at-once", "xxx", "012 !"),
            ("all-at-once", "x.", "10 !"),
            ("all-at-once", "...", "012"),
        ] {
            let now: Vec<_> = slices
                .chars()
                .map(|c| match c {
                    'x' => Now::Something,
                    '.' => Now::Nothing,
                    _ => Now::Unknown,
                })
                .collect();
            let grouping = group(&strategy(how), &now);
            let mut shown: Vec<String> = grouping
                .batches
                .iter()
                .map(|batch| batch.iter().map(ToString::to_string).collect())
                .collect();
            shown.extend(grouping.interrupts.then(|| "!".to_owned()));
            shown.extend(grouping.cut.map(|_| "<".to_owned()));
            assert_eq!(shown.join(" "), wanted, "{how} over {slices}");
        }
    }

    #[test]
    fn batches_are_read_as_they_are_written() {
        for text in ["1", "25%", "100%", "65535"] {
            assert_eq!(
                text.parse::<Batch>().map(|batch| batch.to_string()),
                Ok(text.to_owned())
            );
        }
        for bad in ["", "0", "0%", "101%", "-1", "+1", "%", "+5%", "1.5", "65536"] {
            assert!(bad.parse::<Batch>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_canary_is_watched_as_long_as_its_steps_say() {
        let step = |to: &str, minutes| CanaryStep {
            to: to.parse().expect("a batch"),
            hold: Duration::from_mins(minutes),
        };
        let minutes = |slices: usize| {
            let steps = vec![step("1", 5), step("50%", 10)];
            let holds = group(
                &StrategyInput::Canary { steps, batch: None },
                &vec![Now::Something; slices],
            )
            .holds;
            holds
                .into_iter()
                .map(|hold| hold.as_secs() / 60)
                .collect::<Vec<_>>()
        };
        assert_eq!(minutes(6), [5, 10, 0]);
        assert_eq!(minutes(2), [15, 0], "two steps in one");
        assert_eq!(
            minutes(1),
            [15],
            "nothing is left to wait with, and the promise holds"
        );
    }
}

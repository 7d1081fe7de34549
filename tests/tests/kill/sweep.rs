//! The sweep: which points a run passes and how often, which of them are killed at, and what came of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;

use deploy_tests::dice::Dice;
use deploy_tests::process::Output;
use deploy_tests::shop::{Health, Shop, Where};

use crate::round::{self, End, LIMIT, Round, Wrong};

/// How many of a run's passes are killed at, unless all are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sample {
    /// Of each point the first pass and the last; where a run is killed twice, one point of four.
    Passes,
    /// One point of so many, at a pass in the middle.
    EveryNth(usize),
    /// Each point once, at a pass by chance, in whichever course comes to it first; in an order by chance.
    Once,
    /// Of so many points one by chance, at a pass by chance.
    OneOf(usize),
}

/// Where in a run's life it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// A healthy release; the run is killed.
    Forward,
    /// A release that is down; the run is killed, going forward or going back.
    Back,
    /// As `Forward` with a kill half-way, and another in the resume.
    ForwardTwice,
    /// As `Back`, likewise.
    BackTwice,
    /// `deploy rollback` to the release before; that run is killed.
    Rollback,
    /// As `Rollback` with a kill half-way, and another in the resume.
    RollbackTwice,
}

const COURSES: [Course; 6] = [
    Course::Forward,
    Course::Back,
    Course::ForwardTwice,
    Course::BackTwice,
    Course::Rollback,
    Course::RollbackTwice,
];

impl Course {
    fn health(self) -> Health {
        match self {
            Self::Back | Self::BackTwice => Health::Down,
            Self::Forward | Self::ForwardTwice | Self::Rollback | Self::RollbackTwice => Health::Up,
        }
    }

    /// All that comes before the run that is killed first.
    fn begin(self, shop: &Shop) -> Result<Round<'_>, Wrong> {
        match self {
            Self::Rollback | Self::RollbackTwice => Round::begin_rollback(shop),
            _ => Round::begin(shop, self.health()),
        }
    }

    /// The run that is killed first, where there are two.
    fn command(self) -> &'static [&'static str] {
        match self {
            Self::Rollback | Self::RollbackTwice => &["rollback", "-e", "production", "--yes"],
            _ => &["up"],
        }
    }

    /// Where the first of two kills is.
    fn first_kill(self) -> Option<&'static str> {
        match self {
            Self::Forward | Self::Back | Self::Rollback => None,
            Self::ForwardTwice | Self::RollbackTwice => Some("ssh.activate.after:1"),
            Self::BackTwice => Some("effect.restore.before:1"),
        }
    }
}

/// Whether every pass of every point is killed at.
pub(crate) fn full() -> bool {
    std::env::var("DEPLOY_SWEEP").is_ok_and(|value| value == "full")
}

/// Whether one kill alone was asked for.
fn one_point() -> bool {
    std::env::var_os("DEPLOY_POINT").is_some()
}

/// Sweeps all courses on one kind of place; answers the names of the points that killed a run.
///
/// # Panics
/// When a round did not end as it may, with the recipes of all that did not.
pub(crate) fn sweep(place: Where, hosts: usize, sample: Sample) -> BTreeSet<String> {
    let (mut dice, seed) = Dice::seeded();
    let taken = Mutex::default();
    // Several shops side by side: a run mostly waits.
    let shares = [&COURSES[..1], &COURSES[1..2], &COURSES[2..4], &COURSES[4..]];
    let parts: Vec<Part> = thread::scope(|scope| {
        let threads = shares.map(|courses| {
            let (dice, taken) = (dice.split(), &taken);
            scope.spawn(move || Part::of(&Shop::new(place, hosts), sample, courses, dice, taken))
        });
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let wrong: Vec<&str> = parts
        .iter()
        .flat_map(|part| &part.wrong)
        .map(|wrong| wrong.0.as_str())
        .collect();
    let killed: BTreeSet<String> = parts.iter().flat_map(|part| part.killed.clone()).collect();
    let rounds: u32 = parts.iter().map(|part| part.rounds).sum();
    println!(
        "{place:?}, {hosts} hosts: killed {rounds} runs at {} different points; {} ended wrong (DEPLOY_SEED={seed})",
        killed.len(),
        wrong.len()
    );
    let points: Vec<_> = killed.iter().map(String::as_str).collect();
    println!("killed at {}", points.join(" "));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // One point that was asked for may be of another kind of run.
    if !one_point() {
        let taken = lock(&taken);
        let missed: Vec<_> = taken.difference(&killed).collect();
        assert!(missed.is_empty(), "no run was killed at {missed:?}");
        for part in &parts {
            assert!(
                part.rounds > 0,
                "{place:?}, {hosts} hosts: a course killed no run"
            );
        }
    }
    killed
}

#[derive(Default)]
struct Part {
    killed: BTreeSet<String>,
    wrong: Vec<Wrong>,
    rounds: u32,
}

impl Part {
    /// `taken`: the points that some course of this sweep has been killed at, or is about to be.
    fn of(
        shop: &Shop,
        sample: Sample,
        courses: &[Course],
        mut dice: Dice,
        taken: &Mutex<BTreeSet<String>>,
    ) -> Self {
        let mut part = Self::default();
        round::settle(shop);
        for course in courses {
            for point in points(shop, *course, sample, &mut dice) {
                let name = name(&point).to_owned();
                let once = matches!(sample, Sample::Once) && !full() && !one_point();
                if once && !lock(taken).insert(name.clone()) {
                    continue;
                }
                part.kill(shop, *course, &point);
                // A pass that this very run did not come to: the first it comes to.
                if once && !part.killed.contains(&name) {
                    part.kill(shop, *course, &format!("{name}:1"));
                }
            }
        }
        round::settle(shop);
        part
    }

    fn kill(&mut self, shop: &Shop, course: Course, point: &str) {
        match killed_once(shop, course, point) {
            Ok((died, end)) => {
                println!(
                    "{course:?} {point}: {} {end:?}",
                    if died { "killed," } else { "not passed," }
                );
                self.rounds += u32::from(died);
                if died {
                    self.killed.insert(name(point).to_owned());
                }
            }
            Err(wrong) => {
                println!("{course:?} {point}: WRONG");
                self.wrong.push(wrong);
                round::settle(shop);
            }
        }
    }
}

fn lock(taken: &Mutex<BTreeSet<String>>) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of `name:nth`.
fn name(point: &str) -> &str {
    point.rsplit_once(':').map_or(point, |(name, _)| name)
}

fn killed_once(shop: &Shop, course: Course, point: &str) -> Result<(bool, End), Wrong> {
    let mut round = course.begin(shop)?;
    let mut last: Option<Output> = None;
    let mut died = false;
    if let Some(first) = course.first_kill() {
        let (killed, run) = round.killed_at(first, course.command());
        last = (!killed).then_some(run);
        if killed {
            let (killed, run) = round.killed_at(point, &["resume"]);
            died = killed;
            last = (!killed).then_some(run);
        }
    } else {
        let (killed, run) = round.killed_at(point, course.command());
        died = killed;
        last = (!killed).then_some(run).or(last);
    }
    match last {
        Some(run) => round.judge(&run),
        None => round.resume(),
    }
    .map(|end| (died, end))
}

/// The passes at which a course is killed, as `name:nth`: enumerated by a run that lives.
fn points(shop: &Shop, course: Course, sample: Sample, dice: &mut Dice) -> Vec<String> {
    if let Ok(point) = std::env::var("DEPLOY_POINT") {
        return vec![point];
    }
    let passes = passes(shop, course);
    let all = |(name, count): (String, u32)| -> Vec<(String, u32)> {
        (1..=count).map(|nth| (name.clone(), nth)).collect()
    };
    let chosen: Vec<(String, u32)> = match sample {
        _ if full() => passes.into_iter().flat_map(all).collect(),
        Sample::Passes if course.first_kill().is_none() => passes
            .into_iter()
            .flat_map(|(name, count)| {
                BTreeSet::from([1, count])
                    .into_iter()
                    .map(move |nth| (name.clone(), nth))
            })
            .collect(),
        Sample::Passes => some(passes, 4, course),
        Sample::EveryNth(step) => some(passes, step, course),
        Sample::Once => by_chance(passes, dice),
        Sample::OneOf(step) => {
            let number = passes.len().div_ceil(step);
            by_chance(passes, dice).into_iter().take(number).collect()
        }
    };
    chosen
        .into_iter()
        .map(|(name, nth)| format!("{name}:{nth}"))
        .collect()
}

/// One point of `step`, others for each course, at a pass in the middle.
fn some(passes: BTreeMap<String, u32>, step: usize, course: Course) -> Vec<(String, u32)> {
    passes
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % step == course as usize % step)
        .map(|(_, (name, count))| (name, count.div_ceil(2)))
        .collect()
}

/// Each point at one of its passes.
fn by_chance(passes: BTreeMap<String, u32>, dice: &mut Dice) -> Vec<(String, u32)> {
    let shuffled = dice.shuffled(passes).into_iter();
    shuffled
        .map(|(name, count)| {
            let all: Vec<u32> = (1..=count).collect();
            (name, *dice.one_of(&all))
        })
        .collect()
}

/// How often each point is passed by the run that this course kills.
fn passes(shop: &Shop, course: Course) -> BTreeMap<String, u32> {
    let log = shop.scratch.root().join(format!("passes-{course:?}"));
    let mut round = course.begin(shop).unwrap_or_else(|mixed| panic!("{}", mixed.0));
    let mut words = course.command();
    if let Some(first) = course.first_kill() {
        let (killed, run) = round.killed_at(first, words);
        assert!(killed, "{run:?}");
        words = &["resume"];
    }
    let mut command = shop.scratch.command(words);
    command.env("DEPLOY_FAILPOINT_LOG", &log);
    let run = shop.scratch.spawn_command(command).wait(LIMIT);
    let wanted = if course.health() == Health::Up { 0 } else { 3 };
    assert_eq!(run.code, Some(wanted), "{run:?}");
    let mut passes = BTreeMap::new();
    for name in fs::read_to_string(log)
        .expect("the log of points can be read")
        .lines()
    {
        *passes.entry(name.to_owned()).or_insert(0) += 1;
    }
    passes
}

//! Servers over ssh: the whole `deploy up` beside the floor, which only copies and switches, in turns on the same hosts. A ratio is of
//! two runs that followed each other, so that what else the machine does counts on both sides.

mod counts;
mod floor;
mod peers;
mod place;

use crate::figure::Figure;
use place::{Place, Size, time};
use std::time::Duration;

const UP: [&str; 3] = ["up", "-e", "production"];

fn up(place: &Place) -> Duration {
    time(&mut place.scratch.command(&UP))
}

/// Pairs of ours and the floor's.
#[derive(Default)]
struct Pairs {
    ours: Vec<Duration>,
    floor: Vec<Duration>,
}

impl Pairs {
    /// One pair; who begins changes from pair to pair.
    fn take(&mut self, mut ours: impl FnMut() -> Duration, mut floor: impl FnMut() -> Duration) {
        if self.ours.len().is_multiple_of(2) {
            self.floor.push(floor());
            self.ours.push(ours());
        } else {
            self.ours.push(ours());
            self.floor.push(floor());
        }
    }

    fn figures(self, name: &str, goal: Option<&'static str>) -> Vec<Figure> {
        let ratios = self.ours.iter().zip(&self.floor);
        let ratios = ratios.map(|(ours, floor)| ours.as_secs_f64() / floor.as_secs_f64());
        let beside = Figure::of(&format!("{name}, beside the floor"), "×", ratios.collect());
        vec![
            match goal {
                Some(goal) => beside.goal(goal),
                None => beside,
            },
            Figure::of_times(name, &self.ours),
            Figure::of_times("  the floor", &self.floor),
        ]
    }
}

fn hosts(count: usize) -> String {
    if count == 1 {
        "1 host".to_owned()
    } else {
        format!("{count} hosts")
    }
}

/// 1,000 files and 20 MB, one file changed; and nothing changed.
pub(crate) fn one_changed(count: usize, rounds: usize, goal: &'static str) -> Vec<Figure> {
    let mut place = Place::new(count, Size::SOME);
    let (mut changed, mut same) = (Pairs::default(), Pairs::default());
    let mut number = 1;
    floor::deploy(&place, number);
    up(&place);
    for _ in 0..rounds {
        place.change_one();
        number += 1;
        changed.take(|| up(&place), || floor::deploy(&place, number));
        number += 1;
        same.take(|| up(&place), || floor::deploy(&place, number));
    }
    let on = hosts(count);
    let mut figures = changed.figures(&format!("one of 1,000 files changed, {on}"), Some(goal));
    figures.extend(same.figures(&format!("nothing changed, {on}"), Some("≤ 0.33 ×")));
    place.change_one();
    figures.extend(counts::of(&place, &on));
    figures
}

/// One file changed, where releases share no files as the floor's do.
pub(crate) fn one_changed_without_links(rounds: usize) -> Vec<Figure> {
    let mut place = Place::copying(1, Size::SOME);
    let mut pairs = Pairs::default();
    floor::deploy(&place, 1);
    up(&place);
    for number in (2..).take(rounds) {
        place.change_one();
        pairs.take(|| up(&place), || floor::deploy(&place, number));
    }
    pairs.figures("the same, each release with files of its own", None)
}

/// A release from nothing.
pub(crate) fn from_nothing(name: &str, size: Size, rounds: usize) -> Vec<Figure> {
    let mut place = Place::new(1, size);
    let mut pairs = Pairs::default();
    for _ in 0..rounds {
        place.fresh_ground();
        pairs.take(|| up(&place), || floor::deploy(&place, 1));
    }
    pairs.figures(name, Some("≤ 1.0 ×"))
}

/// The same beside other people's tools, each in turns with ours.
fn beside_peers(count: usize, rounds: usize) -> Vec<Figure> {
    let mut place = Place::new(count, Size::SOME);
    let peers = peers::installed();
    let on = hosts(count);
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); peers.len()];
    let mut ours = Vec::new();
    for round in 0..=rounds {
        place.change_one();
        let mine = up(&place);
        if round > 0 {
            ours.push(mine);
        }
        for (peer, times) in peers.iter().zip(&mut times) {
            let took = peer.deploy(&place, u32::try_from(round).unwrap_or_default() + 1);
            if round > 0 {
                times.push(took);
            }
        }
    }
    let mut figures = vec![Figure::of_times(
        &format!("one of 1,000 files changed, {on}, ours"),
        &ours,
    )];
    for (peer, times) in peers.iter().zip(&times) {
        let ratios = times.iter().zip(&ours);
        let ratios = ratios.map(|(theirs, ours)| theirs.as_secs_f64() / ours.as_secs_f64());
        figures.push(
            Figure::of(
                &format!("  {} beside ours, {on}", peer.name),
                "×",
                ratios.collect(),
            )
            .goal("≥ 2.5 ×"),
        );
        figures.push(Figure::of_times(&format!("  {}", peer.name), times));
    }
    figures
}

/// Each part by its name, and `ssh` for all of them.
pub(crate) fn measure(wanted: &dyn Fn(&str) -> bool, take: &mut dyn FnMut(Vec<Figure>)) {
    let wanted = |part: &str| wanted("ssh") || wanted(part);
    if wanted("ssh-1") {
        take(one_changed(1, 11, "≤ 1.0 ×"));
        take(one_changed_without_links(7));
    }
    if wanted("ssh-8") {
        take(one_changed(8, 7, "≤ 1.0 ×"));
    }
    if wanted("ssh-32") {
        take(one_changed(32, 5, "≤ 0.85 ×"));
    }
    if wanted("ssh-new") {
        take(from_nothing("1,000 files from nothing", Size::SOME, 7));
        take(from_nothing(
            "20,000 small files from nothing",
            Size::MANY_SMALL,
            5,
        ));
    }
    if wanted("ssh-peers") {
        for count in [1, 8, 32] {
            take(beside_peers(count, 3));
        }
    }
    if wanted("ssh-200") {
        take(counts::many(200));
    }
}

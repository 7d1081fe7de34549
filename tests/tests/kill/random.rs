//! Kills at random moments, for what lies between the points.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::wait;

use crate::round::{self, LIMIT, Round};
use crate::sweep::full;

/// Kills runs, forward and back by turns, at moments of which the seed is printed.
pub(crate) fn kills(place: Where, hosts: usize) {
    let seed = match std::env::var("DEPLOY_SEED") {
        Ok(seed) => seed.parse().expect("DEPLOY_SEED is a number"),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |now| u64::from(now.subsec_nanos()) | 1),
    };
    println!("DEPLOY_SEED={seed}");
    let mut dice = Dice(seed);
    let shop = Shop::new(place, hosts);
    round::settle(&shop);
    let mut wrong = Vec::new();
    // How long a run takes on this machine, by its kind.
    let mut took = [Duration::ZERO; 2];
    for (kind, health) in [Health::Up, Health::Down].into_iter().enumerate() {
        shop.release(health);
        took[kind] = shop.scratch.deploy_within(LIMIT, &["up"]).took;
    }
    for number in 0..if full() { 100 } else { 10 } {
        let kind = number % 2;
        let health = [Health::Up, Health::Down][kind];
        let moment = took[kind].mul_f64(dice.roll());
        let mut round = match Round::begin(&shop, health) {
            Ok(round) => round,
            Err(mixed) => panic!("before round {number}: {}", mixed.0),
        };
        let mut run = shop.scratch.spawn(&["up"]);
        let began = Instant::now();
        let ended = wait::find_within(moment, || run.ended().then_some(())).is_some();
        let output = if ended { run.wait(LIMIT) } else { run.kill9() };
        round.note(format!("deploy up, killed after {:?}", began.elapsed()));
        let end = if output.signal == Some(9) {
            round.resume()
        } else {
            round.judge(&output)
        };
        println!(
            "round {number}: {health:?} killed after {moment:?}: {:?}",
            end.as_ref().ok()
        );
        if let Err(what) = end {
            wrong.push(what.0);
            round::settle(&shop);
        }
    }
    round::settle(&shop);
    assert!(wrong.is_empty(), "DEPLOY_SEED={seed}\n{}", wrong.join("\n\n"));
}

/// xorshift: enough for moments, and the same for the same seed everywhere.
struct Dice(u64);

impl Dice {
    /// From 0 up to 1.
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }
}

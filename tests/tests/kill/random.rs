//! Kills at random moments, for what lies between the points.

use std::time::{Duration, Instant};

use deploy_tests::dice::Dice;
use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::wait;

use crate::round::{self, LIMIT, Round};
use crate::sweep::full;

/// Kills runs, forward and back by turns, at moments of which the seed is printed.
pub(crate) fn kills(place: Where, hosts: usize) {
    let (mut dice, seed) = Dice::seeded();
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

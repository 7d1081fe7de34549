//! Moments by chance that can be had again: the same for the same seed everywhere.

use std::time::{SystemTime, UNIX_EPOCH};

/// xorshift: enough for moments.
pub struct Dice(u64);

impl Dice {
    /// From `DEPLOY_SEED`, else from the clock; the seed is printed, and returned for messages.
    pub fn seeded() -> (Self, u64) {
        let seed = match std::env::var("DEPLOY_SEED") {
            Ok(seed) => seed.parse().expect("DEPLOY_SEED is a number"),
            Err(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(1, |now| u64::from(now.subsec_nanos()) | 1),
        };
        println!("DEPLOY_SEED={seed}");
        (Self(seed), seed)
    }

    /// From 0 up to 1.
    pub fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }

    /// Dice for somebody else, who throws at the same time: what they throw is settled by the seed, too.
    #[must_use]
    pub fn split(&mut self) -> Self {
        self.roll();
        // Not the same state: they would throw the same.
        Self(self.0.rotate_left(17) | 1)
    }

    /// These in an order by chance.
    pub fn shuffled<T>(&mut self, these: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut thrown: Vec<(f64, T)> = these.into_iter().map(|one| (self.roll(), one)).collect();
        thrown.sort_by(|left, right| left.0.total_cmp(&right.0));
        thrown.into_iter().map(|(_, one)| one).collect()
    }

    /// One of these.
    pub fn one_of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        let mut chosen = &these[0];
        let mut so_far = 1.0;
        for one in &these[1..] {
            so_far += 1.0;
            if self.roll() < 1.0 / so_far {
                chosen = one;
            }
        }
        chosen
    }
}

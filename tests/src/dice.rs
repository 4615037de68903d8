//! Chance, from a seed alone: the same story on every machine and with every version of every library.

use std::time::Duration;

/// `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>): small, and good enough to shuffle with.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed for one purpose: the throws for one purpose do not change those for another.
    pub fn of(seed: u64, purpose: u64) -> Self {
        let mut dice = Self(seed);
        let mixed = dice.throw();
        Self(mixed ^ purpose.wrapping_mul(0xA076_1D64_78BD_642F))
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.throw()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// A place in a list of that length.
    pub fn place(&mut self, len: usize) -> usize {
        let place = self.below(u64::try_from(len).unwrap_or_default());
        usize::try_from(place).unwrap_or_default()
    }

    /// One of these.
    #[expect(clippy::indexing_slicing, reason = "a place is below the length")]
    pub fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.place(these.len())]
    }

    /// One of these, if there is one.
    pub fn pick<'a, T>(&mut self, these: &'a [T]) -> Option<&'a T> {
        these.get(self.place(these.len()))
    }

    /// A fraction from 0 to 1, without 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a fraction needs no more than 53 bits"
    )]
    pub fn unit(&mut self) -> f64 {
        (self.throw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True that many times in a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// True that many times in ten thousand.
    pub fn rarely(&mut self, chance: u64) -> bool {
        self.below(10_000) < chance
    }

    /// Some time from `least` up to `most`, in milliseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
        least.saturating_add(Duration::from_millis(self.below(span.saturating_add(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_throws_the_same() {
        let throws = |seed, purpose| {
            let mut dice = Dice::of(seed, purpose);
            [dice.below(1000), dice.below(1000), dice.below(1000)]
        };
        assert_eq!(throws(7, 1), throws(7, 1));
        assert_ne!(throws(7, 1), throws(8, 1));
        assert_ne!(throws(7, 1), throws(7, 2));
        // Fixed: a seed in a report must bring the same story back.
        assert_eq!(throws(7, 1), [785, 992, 137]);
    }

    #[test]
    fn what_is_thrown_is_within_its_bounds() {
        let mut dice = Dice::of(1, 1);
        let mut seen = [false; 6];
        for _ in 0..200 {
            seen[dice.place(6)] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(dice.below(0), 0);
        assert!(!dice.percent(0) && dice.percent(100));
    }
}

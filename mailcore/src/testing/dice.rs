//! [`Dice`]: small choices that a seed repeats.

use super::SeededEntropy;
use crate::seams::Entropy;

/// Choices from a seed.
#[derive(Debug)]
pub(super) struct Dice(SeededEntropy);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// 64 bits.
    pub(super) fn roll(&self) -> u64 {
        self.0.random_u64()
    }

    /// A number below `limit`; 0 when that is 0.
    pub(super) fn below(&self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    /// A place in a list of `len`.
    pub(super) fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True once in `n` times.
    pub(super) fn once_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Heads.
    pub(super) fn coin(&self) -> bool {
        self.once_in(2)
    }
}

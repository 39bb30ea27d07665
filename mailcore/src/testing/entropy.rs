//! [`SeededEntropy`]: randomness that a seed repeats.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::seams::Entropy;

/// The same octets for the same seed and the same order of calls. Not fit for
/// secrets.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// Randomness from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A step of SplitMix64: a counter, its bits mixed.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, octets: &mut [u8]) {
        for chunk in octets.chunks_mut(8) {
            let random = self.next().to_be_bytes();
            for (octet, random) in chunk.iter_mut().zip(random) {
                *octet = random;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_seed_repeats_a_run_and_ids_do_not_repeat_within_it() {
        let ids = |seed| -> Vec<u128> {
            let entropy = SeededEntropy::new(seed);
            (0..100)
                .map(|_| entropy.id(Timestamp::from_secs(1)))
                .collect()
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        let distinct: std::collections::HashSet<u128> = ids(1).into_iter().collect();
        assert_eq!(distinct.len(), 100);
    }
}

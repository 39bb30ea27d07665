//! Randomness: ids, nonces, jitter. A seeded one makes a run repeatable.

use std::fmt::Debug;

use crate::time::Timestamp;

/// A source of random octets, fit for secrets.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `octets`.
    fn fill(&self, octets: &mut [u8]);

    /// 64 random bits.
    fn random_u64(&self) -> u64 {
        let mut octets = [0; 8];
        self.fill(&mut octets);
        u64::from_be_bytes(octets)
    }

    /// An id that is greater than those of earlier milliseconds and never
    /// repeats: 48 bits of time, 80 of chance (the shape of UUID version 7).
    fn id(&self, now: Timestamp) -> u128 {
        let mut octets = [0; 10];
        self.fill(&mut octets);
        let chance = octets
            .iter()
            .fold(0u128, |sum, &octet| sum << 8 | u128::from(octet));
        let millis = u128::from(now.millis().max(0).cast_unsigned()) & ((1 << 48) - 1);
        millis << 80 | chance
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(
        clippy::panic,
        reason = "without randomness no secret is one: going on would be worse"
    )]
    fn fill(&self, octets: &mut [u8]) {
        if let Err(error) = getrandom::fill(octets) {
            panic!("the operating system gives no randomness: {error}");
        }
    }
}

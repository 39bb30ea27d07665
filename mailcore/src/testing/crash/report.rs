//! What a run of the kit found.

use std::fmt;

/// Problems told of in full; more are only counted.
const MAX_TOLD: usize = 5;
/// Steps told of before a problem.
const MAX_TRAIL: usize = 12;

/// A promise that was not kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Violation {
    /// `MAILCORE_SEED` of the round.
    pub seed: u64,
    /// What the round did to the disk.
    pub round: String,
    /// What was wrong then.
    pub problems: Vec<String>,
    /// What was asked of the store before, the last thing last.
    pub trail: Vec<String>,
}

/// What a run of the kit did and found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// Rounds played, each from an empty disk.
    pub rounds: u64,
    /// Power cuts.
    pub cuts: u64,
    /// Rounds in which operations of the disk failed.
    pub faults: u64,
    /// Changes to the disk in a run of the fixed scenario: places to cut at.
    pub places: u64,
    /// Promises not kept.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Fails the test when a promise was not kept.
    ///
    /// # Panics
    /// When there are violations.
    pub fn assert_kept(&self) {
        assert!(self.violations.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rounds ({} places to cut at), {} power cuts, {} rounds with faults: {} violations",
            self.rounds,
            self.places,
            self.cuts,
            self.faults,
            self.violations.len()
        )?;
        for it in self.violations.iter().take(MAX_TOLD) {
            writeln!(f, "\nMAILCORE_SEED={}: {}", it.seed, it.round)?;
            let from = it.trail.len().saturating_sub(MAX_TRAIL);
            for line in it.trail.iter().skip(from) {
                writeln!(f, "  {line:.400}")?;
            }
            for problem in &it.problems {
                writeln!(f, "  * {problem:.2000}")?;
            }
        }
        Ok(())
    }
}

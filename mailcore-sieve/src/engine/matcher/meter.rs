//! [`Meter`]: what of its steps a run has left.

use thiserror::Error;

/// Octets of text that are looked at for one step.
const OCTETS_A_STEP: u64 = 64;

/// The steps that a run has left, and room to fold text in, which is used again.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    left: u64,
    /// Octets looked at that make no whole step yet.
    octets: u64,
    pub(super) folded: Vec<u8>,
}

/// The run has used all the steps it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the script takes more steps than are allowed: look at less text, or use fewer tests")]
pub struct OutOfSteps;

impl Meter {
    /// A meter with this many steps left.
    pub fn new(steps: u64) -> Self {
        Self {
            left: steps,
            ..Self::default()
        }
    }

    /// The steps left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes `steps` away.
    pub fn charge(&mut self, steps: u64) -> Result<(), OutOfSteps> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(OutOfSteps)
            }
        }
    }

    /// Takes away what looking at so many octets costs. Fractions of a step add
    /// up.
    pub fn charge_octets(&mut self, octets: usize) -> Result<(), OutOfSteps> {
        self.octets = self
            .octets
            .saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
        let steps = self.octets / OCTETS_A_STEP;
        self.octets %= OCTETS_A_STEP;
        if steps == 0 && self.left > 0 {
            return Ok(());
        }
        self.charge(steps.max(1))
    }
}

//! What a disk keeps of what was not synced when its power is cut.

use super::super::dice::Dice;
use super::content::ALL_SECTORS;

/// A way to lose things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All that was not synced.
    All,
    /// Nothing.
    Nothing,
    /// Any sector.
    Sectors,
    /// Any block of 4,096 octets.
    Blocks,
    /// All that came after this operation.
    Later(u64),
}

/// What one cut does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whim {
    way: Way,
    /// Each file and name has a way of its own.
    mixed: bool,
    now: u64,
}

impl Whim {
    pub(super) fn new(dice: &Dice, now: u64) -> Self {
        let mixed = dice.once_in(3);
        let way = Self::way(dice, now);
        Self { way, mixed, now }
    }

    fn way(dice: &Dice, now: u64) -> Way {
        match dice.below(8) {
            0 => Way::All,
            1 | 2 => Way::Nothing,
            3 | 4 => Way::Sectors,
            5 => Way::Blocks,
            // Mostly the last few operations are what counts.
            6 => Way::Later(now.saturating_sub(dice.below(8))),
            _ => Way::Later(dice.below(now + 1)),
        }
    }

    /// The whim for one file.
    pub(super) fn for_one(&self, dice: &Dice) -> Self {
        match self.mixed {
            true => Self {
                way: Self::way(dice, self.now),
                ..*self
            },
            false => *self,
        }
    }

    /// The sectors that are kept of a block written at `at`.
    pub(super) fn sectors(&self, at: u64, dice: &Dice) -> u8 {
        match self.way {
            Way::Sectors => u8::try_from(dice.below(256)).unwrap_or(ALL_SECTORS),
            // The write at the edge is torn.
            Way::Later(edge) if at == edge => u8::try_from(dice.below(256)).unwrap_or(0),
            _ => match self.keeps(at, dice) {
                true => ALL_SECTORS,
                false => 0,
            },
        }
    }

    /// Whether one thing done at `at` is kept.
    pub(super) fn keeps(&self, at: u64, dice: &Dice) -> bool {
        match self.way {
            Way::All => false,
            Way::Nothing => true,
            Way::Sectors | Way::Blocks => dice.coin(),
            Way::Later(edge) => at <= edge,
        }
    }

    /// How many of a series of changes to one thing are kept, the later ones
    /// being lost.
    pub(super) fn prefix(&self, series: impl ExactSizeIterator<Item = u64>, dice: &Dice) -> usize {
        let count = series.len();
        match self.way {
            Way::All => 0,
            Way::Nothing => count,
            Way::Sectors | Way::Blocks => dice.index(count + 1),
            Way::Later(edge) => series.take_while(|at| *at <= edge).count(),
        }
    }
}

//! A file: what the page cache shows, what the medium holds, and what lies
//! between the two.

use std::collections::BTreeMap;

use super::super::dice::Dice;
use super::content::{ALL_SECTORS, BLOCK, Content, SECTOR};
use super::whim::Whim;

/// Lengths remembered since the last sync; the last one stands for all later.
const MAX_LENGTHS: usize = 64;

/// A block that was written since the last sync.
#[derive(Debug, Clone, Copy)]
struct Dirty {
    sectors: u8,
    /// When it was written last, in operations of the disk.
    at: u64,
}

/// A file, with or without a name.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    /// What reads show.
    pub(super) live: Content,
    /// What is certainly there after the power was cut.
    durable: Content,
    dirty: BTreeMap<usize, Dirty>,
    /// Lengths since the last sync, and when each came.
    lengths: Vec<(u64, u64)>,
    /// Handles on it.
    pub(super) open: usize,
}

impl Inode {
    /// A file that is durable as it is.
    pub(super) fn durable(content: Content) -> Self {
        Self {
            live: content.clone(),
            durable: content,
            ..Self::default()
        }
    }

    /// The file without the handles on it.
    pub(super) fn closed(&self) -> Self {
        Self {
            open: 0,
            ..self.clone()
        }
    }

    /// What is certainly on the medium.
    pub(super) fn durable_content(&self) -> Content {
        self.durable.clone()
    }

    /// True for a file that a cut may change.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.lengths.is_empty()
    }

    pub(super) fn write(&mut self, data: &[u8], offset: u64, now: u64) {
        let before = self.live.len();
        let (live, durable, dirty) = (&mut self.live, &self.durable, &mut self.dirty);
        live.write(data, offset, |block, sectors| {
            let entry = dirty.entry(block).or_insert(Dirty {
                sectors: 0,
                at: now,
            });
            entry.sectors |= sectors;
            entry.at = now;
        });
        // Zeros over zeros: only the length is at stake.
        for block in Content::touched(offset, data.len()) {
            if !live.is_data(block) && !durable.is_data(block) {
                dirty.remove(&block);
            }
        }
        if self.live.len() != before {
            self.note_length(now);
        }
    }

    pub(super) fn set_len(&mut self, len: u64, now: u64) {
        self.live.set_len(len);
        self.note_length(now);
    }

    fn note_length(&mut self, now: u64) {
        if self.lengths.len() >= MAX_LENGTHS {
            self.lengths.pop();
        }
        self.lengths.push((now, self.live.len()));
    }

    /// Everything reached the medium.
    pub(super) fn sync(&mut self) {
        self.shrink(self.lengths.len());
        for (block, dirty) in std::mem::take(&mut self.dirty) {
            self.durable.take(&self.live, block, dirty.sectors);
        }
        self.durable.set_len(self.live.len());
        self.lengths.clear();
    }

    /// What was cut off before the `upto`-th length is gone from the medium.
    fn shrink(&mut self, upto: usize) {
        let shortest = self.lengths.iter().take(upto).map(|(_, len)| *len).min();
        if let Some(shortest) = shortest.filter(|it| *it < self.durable.len()) {
            self.durable.set_len(shortest);
        }
    }

    /// The sync failed: some of it reached the medium, and the rest counts as
    /// clean: no later sync writes it, though reads show it (as Linux does).
    pub(super) fn sync_badly(&mut self, dice: &Dice) {
        for (block, dirty) in std::mem::take(&mut self.dirty) {
            let kept = dirty.sectors & octet(dice);
            self.durable.take(&self.live, block, kept);
        }
    }

    /// The file as the power cut leaves it.
    pub(super) fn after_cut(&self, whim: &Whim, dice: &Dice) -> Content {
        let whim = whim.for_one(dice);
        let mut after = self.clone();
        let count = after.lengths.len();
        let chosen = whim.prefix(after.lengths.iter().map(|(at, _)| *at), dice);
        let length = match chosen {
            0 => after.durable.len(),
            n => after.lengths[n.min(count) - 1].1,
        };
        after.shrink(chosen);
        for (block, dirty) in &self.dirty {
            let kept = dirty.sectors & whim.sectors(dirty.at, dice);
            if kept != 0 {
                after.durable.take(&self.live, *block, kept);
            }
        }
        after.durable.set_len(length);
        after.durable
    }

    /// Turns a bit over on the medium and in the cache.
    pub(super) fn flip(&mut self, bit: u64) -> bool {
        let offset = bit / 8;
        let mut octet = [0];
        if self.live.read(&mut octet, offset) == 0 {
            return false;
        }
        octet[0] ^= 1 << (bit % 8);
        self.live.write(&octet, offset, |_, _| {});
        if offset < self.durable.len() {
            self.durable.read(&mut octet, offset);
            octet[0] ^= 1 << (bit % 8);
            self.durable.write(&octet, offset, |_, _| {});
        }
        true
    }
}

fn octet(dice: &Dice) -> u8 {
    const { assert!(BLOCK / SECTOR == 8) };
    u8::try_from(dice.below(u64::from(ALL_SECTORS) + 1)).unwrap_or(ALL_SECTORS)
}

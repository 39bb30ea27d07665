//! A file's octets in blocks that copies share until one of them is written.

use std::sync::Arc;

/// Octets that share their fate on most disks and in page caches.
pub(super) const BLOCK: usize = 4_096;
/// Octets that a disk writes at once or not at all.
pub(super) const SECTOR: usize = 512;
/// All sectors of a block.
pub(super) const ALL_SECTORS: u8 = u8::MAX;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// A block of a file.
#[derive(Debug, Clone)]
pub(super) enum Block {
    /// Never written: reads as zeros and takes no space.
    Hole,
    /// Written with zeros.
    Zeros,
    /// Anything else.
    Data(Arc<[u8; BLOCK]>),
}

impl Block {
    fn octets(&self) -> &[u8; BLOCK] {
        match self {
            Self::Hole | Self::Zeros => &ZEROS,
            Self::Data(octets) => octets,
        }
    }

    fn of(octets: [u8; BLOCK]) -> Self {
        match octets == ZEROS {
            true => Self::Zeros,
            false => Self::Data(Arc::new(octets)),
        }
    }

    pub(super) fn is_hole(&self) -> bool {
        matches!(self, Self::Hole)
    }

    fn is_data(&self) -> bool {
        matches!(self, Self::Data(_))
    }
}

/// A file's octets.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    blocks: Vec<Block>,
    len: u64,
}

fn at(offset: u64) -> (usize, usize) {
    let offset = usize::try_from(offset).expect("a made-up file fits in memory");
    (offset / BLOCK, offset % BLOCK)
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Blocks that take space.
    pub(super) fn used(&self) -> u64 {
        self.blocks.iter().filter(|it| !it.is_hole()).count() as u64
    }

    /// The blocks that octets from `offset` on touch.
    pub(super) fn touched(offset: u64, len: usize) -> std::ops::Range<usize> {
        match len {
            0 => 0..0,
            _ => at(offset).0..at(offset + len as u64 - 1).0 + 1,
        }
    }

    /// True when writing the block takes no more space.
    pub(super) fn holds(&self, block: usize) -> bool {
        self.blocks.get(block).is_some_and(|it| !it.is_hole())
    }

    /// True when the block has other octets than zeros.
    pub(super) fn is_data(&self, block: usize) -> bool {
        self.blocks.get(block).is_some_and(Block::is_data)
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let mut done = 0;
        while done < wanted {
            let (block, start) = at(offset + done as u64);
            let count = (BLOCK - start).min(wanted - done);
            let target = &mut buffer[done..done + count];
            match self.blocks.get(block) {
                Some(block) => target.copy_from_slice(&block.octets()[start..start + count]),
                None => target.fill(0),
            }
            done += count;
        }
        wanted
    }

    /// Writes, and hands each block touched with its sectors to `touched`.
    pub(super) fn write(&mut self, data: &[u8], offset: u64, mut touched: impl FnMut(usize, u8)) {
        let mut done = 0;
        while done < data.len() {
            let (number, start) = at(offset + done as u64);
            let count = (BLOCK - start).min(data.len() - done);
            let piece = &data[done..done + count];
            let block = self.block(number);
            if count == BLOCK && piece == ZEROS {
                *block = Block::Zeros;
            } else if let Block::Data(octets) = block {
                Arc::make_mut(octets)[start..start + count].copy_from_slice(piece);
            } else {
                let mut octets = ZEROS;
                octets[start..start + count].copy_from_slice(piece);
                *block = Block::of(octets);
            }
            touched(number, sectors(start, count));
            done += count;
        }
        self.len = self.len.max(offset + data.len() as u64);
    }

    fn block(&mut self, number: usize) -> &mut Block {
        if number >= self.blocks.len() {
            self.blocks.resize(number + 1, Block::Hole);
        }
        &mut self.blocks[number]
    }

    /// Cuts the file off or extends it with a hole.
    pub(super) fn set_len(&mut self, len: u64) {
        let (block, start) = at(len);
        self.blocks.truncate(block + usize::from(start > 0));
        if start > 0
            && let Some(Block::Data(octets)) = self.blocks.get_mut(block)
        {
            Arc::make_mut(octets)[start..].fill(0);
        }
        self.len = len;
    }

    /// Takes sectors of a block over from `other`; leaves the length alone.
    pub(super) fn take(&mut self, other: &Self, number: usize, mask: u8) {
        let Some(source) = other.blocks.get(number) else {
            return;
        };
        if mask == ALL_SECTORS {
            *self.block(number) = source.clone();
            return;
        }
        let mut octets = *self.block(number).octets();
        for sector in (0..BLOCK / SECTOR).filter(|it| mask & 1 << it != 0) {
            let range = sector * SECTOR..(sector + 1) * SECTOR;
            octets[range.clone()].copy_from_slice(&source.octets()[range]);
        }
        *self.block(number) = Block::of(octets);
    }
}

/// The sectors of a block that a run of octets touches.
fn sectors(start: usize, count: usize) -> u8 {
    let (first, last) = (start / SECTOR, (start + count - 1) / SECTOR);
    (first..=last).fold(0, |mask, sector| mask | 1 << sector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_reads_back_across_blocks_holes_and_cuts() {
        let mut content = Content::default();
        let mut plain = Vec::new();
        for (offset, len, octet) in [
            (0, 10, 1),
            (5_000, 9_000, 2),
            (4_000, 200, 3),
            (8_192, 4_096, 0),
        ] {
            plain.resize(plain.len().max(offset + len), 0);
            plain[offset..offset + len].fill(octet);
            content.write(&vec![octet; len], offset as u64, |_, _| {});
        }
        for len in [plain.len(), 6_001, 9_000] {
            plain.resize(len, 0);
            content.set_len(len as u64);
            let mut read = vec![9; len + 7];
            assert_eq!(content.read(&mut read, 0), len);
            assert_eq!(read[..len], plain);
            assert_eq!(content.read(&mut read, 4_090), len - 4_090);
            assert_eq!(read[..len - 4_090], plain[4_090..]);
        }
    }
}

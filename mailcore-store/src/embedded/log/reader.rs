//! Reading one segment back: frame groups in order, damage named, the torn end
//! dropped.
//!
//! The order of segments is [`super::directory`]'s; what records mean is not
//! known here.

use std::fmt;
use std::io;

use super::frame::{FrameHeader, FrameKind, Lsn, StoreId};
use super::scan::{Scanner, Spot};
use super::segment::{SEGMENT_HEADER, SegmentFile, SegmentId};
use crate::embedded::fs::StoreFile;

/// A frame group: one batch as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) lsn: Lsn,
    pub(crate) file: SegmentFile,
    /// Offsets of the body frames by their index; `None` for a lost one.
    pub(crate) bodies: Vec<Option<u64>>,
    pub(crate) record: Vec<u8>,
    /// Where the next group starts.
    pub(crate) end: u64,
}

/// Something in the store that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The segment it is in.
    pub segment: SegmentId,
    /// First octet.
    pub from: u64,
    /// The octet after the last.
    pub to: u64,
    /// What is lost by it.
    pub loss: Loss,
}

/// What damage takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Whole groups, the first and the last of them.
    Groups(Lsn, Lsn),
    /// The content of one message of a group whose record is sound.
    Body(Lsn, u32),
    /// The segment's header block; its frames are still read.
    Header,
    /// The whole file.
    Segment,
    /// The end of the file, which the index had taken in: what that knows
    /// stands, the content of its messages is lost.
    End,
    /// Nothing known: octets between sound groups.
    Nothing,
    /// The store's format file, which is no segment; the log knows what it said.
    FormatFile,
}

impl Damage {
    /// The format file was not to be trusted.
    pub(crate) const FORMAT_FILE: Self = Self {
        segment: SegmentId(0),
        from: 0,
        to: 0,
        loss: Loss::FormatFile,
    };
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.loss == Loss::FormatFile {
            return f.write_str("the format file is damaged; the log says what it should");
        }
        write!(
            f,
            "segment {:016x}, octets {} to {}: ",
            self.segment.0, self.from, self.to
        )?;
        match self.loss {
            Loss::Groups(first, last) => write!(f, "changes {first} to {last} are lost"),
            Loss::Body(lsn, index) => write!(f, "message body {index} of change {lsn} is lost"),
            Loss::Header => f.write_str("the header block is damaged"),
            Loss::Segment => f.write_str("the file is missing"),
            Loss::End => f.write_str("the file ends before its end; content in it is lost"),
            Loss::Nothing | Loss::FormatFile => f.write_str("unreadable, nothing is missing"),
        }
    }
}

/// How much of a segment counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Up to this offset, as the next segment's header says: all of it was
    /// synced, so all that is bad in it is damage.
    Sealed(u64),
    /// Up to the last sound group; groups up to this one are known to have
    /// been synced from elsewhere.
    Open { vouched: Lsn },
    /// The next segment's header is unreadable: up to the group before this one.
    Before(Lsn),
}

/// Where to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) file: SegmentFile,
    /// A group's start, at least [`SEGMENT_HEADER`].
    pub(crate) from: u64,
    /// The group expected there.
    pub(crate) first: Lsn,
    pub(crate) extent: Extent,
    /// In a compacted segment the last group it stands for: numbers up to that
    /// may be left out.
    pub(crate) last: Option<Lsn>,
}

/// What the reader comes upon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Group(Group),
    Damage(Damage),
}

/// How the segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Where the next group would go.
    pub(crate) offset: u64,
    /// The number the next group gets.
    pub(crate) next: Lsn,
    /// Octets of unfinished groups that were dropped, or that are missing before
    /// the end; 0 for a clean end.
    pub(crate) torn: u64,
}

/// Reads a range, handing each group and each damage to `visit`.
///
/// # Errors
/// When the file cannot be read, a frame is of a newer format, or `visit`
/// fails.
pub(crate) fn read_segment<E: From<io::Error>>(
    file: &dyn StoreFile,
    store: StoreId,
    range: Range,
    visit: &mut dyn FnMut(Item) -> Result<(), E>,
) -> Result<End, E> {
    let length = file.len()?;
    let limit = match range.extent {
        Extent::Sealed(end) => end,
        Extent::Open { .. } | Extent::Before(_) => length,
    };
    let from = range.from.max(SEGMENT_HEADER);
    if length < from {
        let segment = range.file.id;
        visit(Item::Damage(Damage {
            segment,
            from: length,
            to: from,
            loss: Loss::End,
        }))?;
    }
    let synced = match range.extent {
        Extent::Sealed(_) => Lsn(u64::MAX),
        Extent::Open { vouched } => vouched.max(stated(file, store, range.file.id, from, limit)?),
        Extent::Before(next) => Lsn(next.0.saturating_sub(1)),
    };
    let mut assembly = Assembly {
        file: range.file,
        last: range.last,
        synced,
        sealed: !matches!(range.extent, Extent::Open { .. }),
        next: range.first,
        good_end: from,
        partial: None,
        bad: None,
    };
    let mut scanner = Scanner::new(file, store, range.file.id.0, from, limit);
    while let Some(spot) = scanner.next()? {
        if let Extent::Before(next) = range.extent
            && matches!(&spot, Spot::Frame { header, .. } if header.lsn >= next)
        {
            break;
        }
        if !assembly.take(spot, visit)? {
            return Ok(assembly.end(limit));
        }
    }
    assembly.close(limit, visit)
}

/// The highest "synced up to" that any sound header in the range states.
pub(super) fn stated(
    file: &dyn StoreFile,
    store: StoreId,
    segment: SegmentId,
    from: u64,
    limit: u64,
) -> io::Result<Lsn> {
    let mut scanner = Scanner::new(file, store, segment.0, from, limit);
    let mut synced = Lsn(0);
    while let Some(spot) = scanner.next()? {
        if let Spot::Frame { header, .. } = spot {
            synced = synced.max(header.synced);
        }
    }
    Ok(synced)
}

/// The body frames seen of a group whose record has not come yet.
#[derive(Debug)]
struct Partial {
    lsn: Lsn,
    /// Index, offset, length in the file, and whether the payload is sound.
    bodies: Vec<(u32, u64, u64, bool)>,
}

#[derive(Debug)]
struct Assembly {
    file: SegmentFile,
    last: Option<Lsn>,
    synced: Lsn,
    sealed: bool,
    next: Lsn,
    /// Where the last group that counts ends.
    good_end: u64,
    partial: Option<Partial>,
    /// The gap before the frame at hand.
    bad: Option<(u64, u64, bool)>,
}

impl Assembly {
    /// False when the torn end is reached.
    fn take<E>(
        &mut self,
        spot: Spot,
        visit: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<bool, E> {
        match spot {
            Spot::Gap { from, to, blank } => {
                self.bad = Some((from, to, blank));
                Ok(true)
            }
            Spot::Frame { offset, header, .. } if header.lsn < self.next => {
                self.damage(offset, offset + header.span(), Loss::Nothing, visit)?;
                Ok(true)
            }
            Spot::Frame {
                offset,
                header,
                payload,
            } => {
                if self.partial.as_ref().is_some_and(|it| it.lsn != header.lsn) {
                    self.partial = None;
                }
                if self.is_left_out(offset) {
                    self.next = header.lsn;
                }
                let known = self.partial.is_some() || header.lsn == self.next;
                if !known && !self.lose_until(header.lsn, offset, visit)? {
                    return Ok(false);
                }
                match header.kind {
                    FrameKind::Record => self.finish(offset, &header, payload, visit),
                    FrameKind::Body | FrameKind::Extent => {
                        self.remember(offset, &header, payload.is_some());
                        Ok(true)
                    }
                }
            }
        }
    }

    /// Compaction may have left out the groups up to the one that starts here:
    /// no octet is missing before it.
    fn is_left_out(&self, offset: u64) -> bool {
        self.last.is_some() && self.partial.is_none() && offset == self.good_end
    }

    fn remember(&mut self, offset: u64, header: &FrameHeader, sound: bool) {
        let partial = self.partial.get_or_insert_with(|| Partial {
            lsn: header.lsn,
            bodies: Vec::new(),
        });
        partial
            .bodies
            .push((header.index, offset, header.span(), sound));
    }

    /// Groups from the expected one up to `lsn` are not there.
    fn lose_until<E>(
        &mut self,
        lsn: Lsn,
        offset: u64,
        visit: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<bool, E> {
        if self.next > self.synced {
            return Ok(false);
        }
        let last = Lsn(lsn.0.saturating_sub(1));
        self.damage(self.good_end, offset, Loss::Groups(self.next, last), visit)?;
        self.bad = None;
        self.next = lsn;
        self.good_end = offset;
        Ok(true)
    }

    /// A record ends its group.
    fn finish<E>(
        &mut self,
        offset: u64,
        header: &FrameHeader,
        payload: Option<Vec<u8>>,
        visit: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<bool, E> {
        let end = offset + header.span();
        let count = header.index as usize;
        let frames = self.partial.take().map(|it| it.bodies).unwrap_or_default();
        let whole = frames.len() == count && frames.iter().all(|(_, _, _, sound)| *sound);
        if header.lsn > self.synced && !(whole && payload.is_some()) {
            return Ok(false);
        }
        let gap = self.bad.take();
        let Some(record) = payload else {
            self.damage(offset, end, Loss::Groups(header.lsn, header.lsn), visit)?;
            self.next = header.lsn.next();
            self.good_end = end;
            return Ok(true);
        };
        let bodies = self.place_bodies(header, &frames, gap, visit)?;
        if whole && let Some((from, to, _)) = gap {
            self.damage(from, to, Loss::Nothing, visit)?;
        }
        self.next = header.lsn.next();
        self.good_end = end;
        visit(Item::Group(Group {
            lsn: header.lsn,
            file: self.file,
            bodies,
            record,
            end,
        }))?;
        Ok(true)
    }

    /// The group's body frames by index, with the bad ones named.
    fn place_bodies<E>(
        &self,
        header: &FrameHeader,
        frames: &[(u32, u64, u64, bool)],
        gap: Option<(u64, u64, bool)>,
        visit: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<Vec<Option<u64>>, E> {
        // A record cannot name more frames than fit in a segment; a group is
        // read only after its own checksum, so the count is what was written.
        let mut bodies = Vec::new();
        for index in 0..header.index {
            let found = frames.iter().find(|(it, _, _, _)| *it == index);
            match found {
                Some((_, offset, _, true)) => bodies.push(Some(*offset)),
                Some((_, offset, span, false)) => {
                    self.damage(*offset, offset + span, Loss::Body(header.lsn, index), visit)?;
                    bodies.push(Some(*offset));
                }
                None => {
                    let (from, to) =
                        gap.map_or((self.good_end, self.good_end), |(from, to, _)| (from, to));
                    self.damage(from, to, Loss::Body(header.lsn, index), visit)?;
                    bodies.push(None);
                }
            }
        }
        Ok(bodies)
    }

    fn damage<E>(
        &self,
        from: u64,
        to: u64,
        loss: Loss,
        visit: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(Item::Damage(Damage {
            segment: self.file.id,
            from,
            to,
            loss,
        }))
    }

    /// At the limit: what is left over is damage or a torn end.
    fn close<E>(
        mut self,
        limit: u64,
        visit: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<End, E> {
        let left_over = self.good_end < limit;
        if self.sealed && left_over {
            let loss = match self.synced {
                Lsn(u64::MAX) if self.last.is_some_and(|last| last < self.next) => Loss::Nothing,
                Lsn(u64::MAX) => Loss::Groups(self.next, self.last.unwrap_or(self.next)),
                synced if synced >= self.next => Loss::Groups(self.next, synced),
                _ => Loss::Nothing,
            };
            self.damage(self.good_end, limit, loss, visit)?;
            self.good_end = limit;
        } else if !self.sealed && self.synced >= self.next {
            self.damage(
                self.good_end,
                limit,
                Loss::Groups(self.next, self.synced),
                visit,
            )?;
            self.next = self.synced.next();
            // The place is not reused: a blank end tells the writer it may go on.
            return Ok(End {
                offset: self.good_end,
                next: self.next,
                torn: limit.abs_diff(self.good_end),
            });
        }
        Ok(self.end(limit))
    }

    fn end(&self, limit: u64) -> End {
        let blank = self.partial.is_none()
            && self
                .bad
                .is_some_and(|(from, to, blank)| blank && from == self.good_end && to == limit);
        let torn = if blank || self.sealed {
            0
        } else {
            limit.abs_diff(self.good_end)
        };
        End {
            offset: self.good_end,
            next: self.next,
            torn,
        }
    }
}

//! Octets of many messages at once: bodies that lie next to each other in the
//! log are read together.

use std::ops::Range;

use bytes::Bytes;
use mailcore::message::Header;
use mailcore::seams::{Excerpt, StoreError};

use super::{Bodies, BodyPlace, FrameKind, HEADER_LEN, Within};
use crate::embedded::index::read::ContentRow;
use crate::embedded::log::{BLOCK, Lsn, SegmentFile};

/// Octets read from the log at a time.
const RUN: u64 = 128 << 10;
/// Octets between two bodies that are read rather than skipped: about what a
/// read of its own costs.
const GAP: u64 = 8 << 10;

/// What is wanted of one message; `None` for one that is not there.
pub(crate) type Wanted<'a> = Option<(&'a ContentRow, &'a Excerpt)>;

/// A body in the log.
#[derive(Debug, Clone, Copy)]
struct Frame {
    file: SegmentFile,
    offset: u64,
    lsn: Lsn,
    length: usize,
}

impl Frame {
    fn of(wanted: &Wanted<'_>) -> Option<Self> {
        let (content, _) = wanted.as_ref()?;
        let length = usize::try_from(content.body.length).ok()?;
        match BodyPlace::of(&content.body) {
            BodyPlace::Frame { file, offset, lsn } => Some(Self {
                file,
                offset,
                lsn,
                length: length.min(BLOCK),
            }),
            BodyPlace::Extent(_) | BodyPlace::Lost => None,
        }
    }

    fn end(&self) -> u64 {
        self.offset
            .saturating_add((HEADER_LEN + self.length) as u64)
    }
}

/// Excerpts as they come, in one buffer.
#[derive(Debug, Default)]
struct Gathered {
    octets: Vec<u8>,
    places: Vec<Option<Range<usize>>>,
}

impl Gathered {
    /// Takes what is wanted out of a whole body.
    fn take(&mut self, (content, excerpt): (&ContentRow, &Excerpt), body: Option<&[u8]>) {
        let start = self.octets.len();
        let taken = body.and_then(|body| {
            let prefix = content.prefix.as_slice();
            let range = match excerpt {
                Excerpt::Range(range) => range.clone(),
                Excerpt::Header { limit } => {
                    let header = Header::new(body).section_len();
                    let all = (prefix.len() + header) as u64;
                    (all <= *limit).then_some(0..all)?
                }
                _ => return None,
            };
            let split = prefix.len() as u64;
            self.octets.extend_from_slice(cut(prefix, range.clone()));
            let rest = range.start.saturating_sub(split)..range.end.saturating_sub(split);
            self.octets.extend_from_slice(cut(body, rest));
            Some(start..self.octets.len())
        });
        self.places.push(taken);
    }

    fn finish(self) -> Vec<Option<Bytes>> {
        let octets = Bytes::from(self.octets);
        let places = self.places.into_iter();
        places.map(|it| it.map(|it| octets.slice(it))).collect()
    }
}

/// The octets of `range`, cut to their end.
fn cut(octets: &[u8], range: Range<u64>) -> &[u8] {
    let clamp = |at| usize::try_from(at).map_or(octets.len(), |at: usize| at.min(octets.len()));
    let (start, end) = (clamp(range.start), clamp(range.end));
    octets.get(start..end).unwrap_or_default()
}

impl Bodies {
    /// What is wanted of each message, in order; `None` where it can't be had.
    /// Blocks the thread.
    pub(crate) fn gather(&self, wanted: &[Wanted<'_>]) -> Vec<Option<Bytes>> {
        let mut gathered = Gathered::default();
        let mut buffer = Vec::new();
        let mut rest = wanted;
        while let Some((first, others)) = rest.split_first() {
            if let Some(frame) = Frame::of(first) {
                let neighbours = neighbours(frame, others);
                let (run, after) = rest.split_at_checked(neighbours + 1).unwrap_or((rest, &[]));
                self.take_run(frame.file, run, (&mut buffer, &mut gathered));
                rest = after;
            } else {
                match first {
                    Some((content, excerpt)) => {
                        let octets = self.excerpt(content, excerpt).ok().flatten();
                        let start = gathered.octets.len();
                        gathered.octets.extend(octets.iter().flatten());
                        let taken = octets.map(|_| start..gathered.octets.len());
                        gathered.places.push(taken);
                    }
                    None => gathered.places.push(None),
                }
                rest = others;
            }
        }
        gathered.finish()
    }

    /// Reads bodies that lie one after the other in a segment.
    fn take_run(
        &self,
        file: SegmentFile,
        run: &[Wanted<'_>],
        (buffer, gathered): (&mut Vec<u8>, &mut Gathered),
    ) {
        let frames = || run.iter().filter_map(Frame::of);
        let start = frames().next().map_or(0, |it| it.offset);
        let end = frames().next_back().map_or(start, |it| it.end());
        let length = usize::try_from(end - start).unwrap_or(0);
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let room = buffer.get_mut(..length).unwrap_or_default();
        let filled = self.read_run(file, start, room).unwrap_or(0);
        let read = room.get(..filled).unwrap_or_default();
        for (frame, content) in frames().zip(run.iter().flatten()) {
            let at = usize::try_from(frame.offset - start).unwrap_or(usize::MAX);
            let body = read.get(at..).and_then(|octets| {
                let of = (FrameKind::Body, file.id.0);
                self.payload(octets, of, Within::Group(frame.lsn), frame.length)
            });
            gathered.take(*content, body);
        }
    }

    fn read_run(&self, file: SegmentFile, at: u64, room: &mut [u8]) -> Result<usize, StoreError> {
        let path = file.path(&self.log);
        let opened = self.file(&path)?.ok_or_else(|| super::missing(&path))?;
        let read = opened.read_at(room, at);
        read.map_err(|error| StoreError::io(format!("reading {}", path.display()), error))
    }

    /// What is wanted of a message whose body is in no frame.
    fn excerpt(
        &self,
        content: &ContentRow,
        excerpt: &Excerpt,
    ) -> Result<Option<Bytes>, StoreError> {
        let split = content.prefix.len() as u64;
        let length = content.body.length;
        let wanted = match excerpt {
            Excerpt::Range(range) => range.clone(),
            Excerpt::Header { limit } => 0..*limit,
            _ => return Ok(None),
        };
        let end = wanted.end.saturating_sub(split).min(length);
        let range = wanted.start.saturating_sub(split).min(end)..end;
        let mut octets = cut(&content.prefix, wanted).to_vec();
        if !range.is_empty() {
            let place = BodyPlace::of(&content.body);
            octets.extend_from_slice(&self.read_exact(place, length, range)?);
        }
        Ok(match excerpt {
            Excerpt::Header { .. } => {
                let all = octets.len() as u64 == split + length;
                let end = Header::new(&octets).closed_len();
                let end = end.or(all.then_some(octets.len()));
                end.map(|end| Bytes::from(octets).slice(..end))
            }
            _ => Some(Bytes::from(octets)),
        })
    }
}

/// How many of `others` are read together with a frame.
fn neighbours(first: Frame, others: &[Wanted<'_>]) -> usize {
    let mut end = first.end();
    let near = others.iter().take_while(|next| {
        let Some(next) = Frame::of(next) else {
            return false;
        };
        let near = next.file == first.file
            && next.offset >= end
            && next.offset - end <= GAP
            && next.end() - first.offset <= RUN;
        end = next.end();
        near
    });
    near.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::index::read::BodyRow;

    fn content(segment: i64, place: u64, length: u64) -> ContentRow {
        let body = BodyRow {
            id: place,
            segment,
            generation: 0,
            place,
            lsn: 1,
            length,
        };
        let prefix = Vec::new();
        ContentRow { prefix, body }
    }

    #[test]
    fn bodies_are_read_together_while_they_are_near_in_one_file() {
        let rows = [
            content(1, 0, 1_000),
            content(1, 2_000, 1_000),
            content(1, 20_000, 1_000),
            content(2, 21_100, 1_000),
            content(2, 100, 1_000),
            content(2, 1_500, 60_000),
            content(2, 62_000, 60_000),
            content(2, 122_100, 60_000),
        ];
        let whole = Excerpt::Range(0..u64::MAX);
        let wanted: Vec<Wanted<'_>> = rows.iter().map(|row| Some((row, &whole))).collect();
        let run = |at: usize| {
            let first = Frame::of(&wanted[at]).unwrap();
            neighbours(first, &wanted[at + 1..]) + 1
        };
        assert_eq!([run(0), run(2), run(3), run(4), run(7)], [2, 1, 1, 3, 1]);
    }
}

//! What IMAP, POP3, rules and lists of messages need to know of a message
//! without reading it again: [`Summary`].
//!
//! Made once when a message arrives, by [`Scanner`]; its stored form is
//! [`super::summary_codec`]'s.

use std::ops::Range;

use super::header_envelope::{HeaderEnvelope, message_ids};
use super::part::{Part, PartKind};
use super::skeleton::{Limits, Scanner};

/// A message's header envelope and parts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Octets in the message.
    pub size: u64,
    /// Its own header's envelope.
    pub envelope: HeaderEnvelope,
    /// The message ids of References, without brackets: the thread's root and
    /// the latest ones.
    pub references: Vec<Vec<u8>>,
    /// The parts in the order of the message, each before its own: never
    /// empty, the first being the message itself.
    pub parts: Vec<Part>,
}

/// What of a part IMAP fetches (RFC 9051 section 6.4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Section {
    /// `BODY[]`, `BODY[1.2]`: the message, or a part's body.
    Body,
    /// `BODY[HEADER]`, `BODY[3.HEADER]`: a message's header with its empty line.
    Header,
    /// `BODY[TEXT]`, `BODY[3.TEXT]`: a message's body.
    Text,
    /// `BODY[1.MIME]`: a part's own header.
    Mime,
}

/// The summary of a message without octets.
impl Default for Summary {
    fn default() -> Self {
        Self::scan(b"")
    }
}

impl Summary {
    /// Summarizes a message held in memory, within the default limits.
    pub fn scan(octets: &[u8]) -> Self {
        let mut scanner = Scanner::new(Limits::default());
        scanner.push(octets);
        scanner.finish()
    }

    /// Octets of the message's header with its empty line.
    pub fn header_len(&self) -> u64 {
        self.parts.first().map_or(0, |root| root.body_start)
    }

    /// The id in Message-ID, without brackets.
    pub fn message_id(&self) -> Option<&[u8]> {
        self.envelope
            .message_id
            .as_deref()
            .and_then(|value| message_ids(value).next())
    }

    /// The ids in In-Reply-To, without brackets.
    pub fn in_reply_to(&self) -> impl Iterator<Item = &[u8]> {
        message_ids(self.envelope.in_reply_to.as_deref().unwrap_or_default())
    }

    /// The part at `index` of [`Summary::parts`] and its place there.
    fn at(&self, index: usize) -> Option<(usize, &Part)> {
        self.parts.get(index).map(|part| (index, part))
    }

    /// The parts directly within the part at `index`, in order, with their
    /// indices. A message part has one: the root of the message it holds.
    pub fn children(&self, index: usize) -> impl Iterator<Item = (usize, &Part)> {
        let end = self.parts.get(index).map_or(0, |part| part.end);
        let first = self.at(index + 1).filter(|(first, _)| *first < end);
        std::iter::successors(first, move |(_, part)| {
            self.at(part.end).filter(|(at, _)| *at < end)
        })
    }

    /// The part with this number (RFC 9051 section 6.4.5.1): `[1, 2]` is the
    /// second part of the first. A message that is no multipart has one part,
    /// itself. `[]` is the message.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        self.part_index(path)
            .and_then(|index| self.parts.get(index))
    }

    /// As [`Summary::part`], the index in [`Summary::parts`].
    pub fn part_index(&self, path: &[u32]) -> Option<usize> {
        let mut place = Place::Message(0);
        for &number in path {
            place = self.step(place, number)?;
        }
        Some(match place {
            Place::Message(index) | Place::Part(index) => index,
        })
    }

    /// The root of the message that the part with this number holds; `[]` is
    /// this message's own root. None where the part holds no message.
    pub fn nested(&self, path: &[u32]) -> Option<&Part> {
        let index = self.part_index(path)?;
        let part = self.parts.get(index)?;
        match &part.kind {
            _ if path.is_empty() => Some(part),
            PartKind::Message(_) => self.parts.get(index + 1),
            PartKind::Leaf | PartKind::Multipart => None,
        }
    }

    /// Where a section lies; none when the message has no such section.
    pub fn range(&self, path: &[u32], section: Section) -> Option<Range<u64>> {
        match section {
            Section::Body if path.is_empty() => Some(0..self.size),
            Section::Body => self.part(path).map(Part::body_range),
            Section::Mime if path.is_empty() => None,
            Section::Mime => self.part(path).map(Part::header_range),
            Section::Header => self.nested(path).map(Part::header_range),
            Section::Text => self.nested(path).map(Part::body_range),
        }
    }

    fn step(&self, place: Place, number: u32) -> Option<Place> {
        let nth = |index| {
            let before = usize::try_from(number).ok()?.checked_sub(1)?;
            self.children(index)
                .nth(before)
                .map(|(child, _)| Place::Part(child))
        };
        let (index, root) = match place {
            Place::Message(index) => (index, true),
            Place::Part(index) => match self.parts.get(index)?.kind {
                PartKind::Message(_) => (index + 1, true),
                PartKind::Leaf | PartKind::Multipart => (index, false),
            },
        };
        match self.parts.get(index)?.kind {
            PartKind::Multipart => nth(index),
            PartKind::Leaf | PartKind::Message(_) if root && number == 1 => {
                Some(Place::Part(index))
            }
            PartKind::Leaf | PartKind::Message(_) => None,
        }
    }

    /// The summary of this message behind `prefix` octets of whole header
    /// lines ([`Message::with_prefix`](super::Message::with_prefix)). Fields
    /// that the envelope shows must not be among them.
    #[must_use]
    pub fn with_prefix(mut self, prefix: u64) -> Self {
        let shift = |at: &mut u64| *at = at.saturating_add(prefix);
        shift(&mut self.size);
        for (index, part) in self.parts.iter_mut().enumerate() {
            if index > 0 {
                shift(&mut part.header_start);
            }
            shift(&mut part.body_start);
            shift(&mut part.body_end);
        }
        self
    }
}

/// How far a part number has led: a number after a message's root means one
/// of its parts, after a leaf it means nothing.
#[derive(Clone, Copy)]
enum Place {
    Message(usize),
    Part(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Header;
    use crate::message::skeleton::tests::arbitrary_message;
    use proptest::prelude::*;

    proptest! {
        /// Whoever has the header needs no summary to know where it ends.
        #[test]
        fn the_header_ends_where_its_fields_do(octets in arbitrary_message()) {
            let length = Header::new(&octets).section_len();
            prop_assert_eq!(Summary::scan(&octets).header_len(), length as u64);
        }
    }

    /// The message of RFC 3501 section 6.4.5's example.
    const NESTED: &[u8] = b"From: a@b.test\r\n\
Content-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n\
--o\r\n\r\none\r\n\
--o\r\nContent-Type: application/octet-stream\r\n\r\ntwo\r\n\
--o\r\nContent-Type: message/rfc822\r\n\r\n\
Subject: three\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n\
--i\r\n\r\n3.1\r\n--i\r\nContent-Type: a/b\r\n\r\n3.2\r\n--i--\r\n\
--o\r\nContent-Type: multipart/mixed; boundary=j\r\n\r\n\
--j\r\nContent-Type: image/gif\r\n\r\n4.1\r\n\
--j\r\nContent-Type: message/rfc822\r\n\r\nSubject: four\r\n\r\n4.2 text\r\n\
--j--\r\nepilogue\r\n--o--\r\n";

    fn section(path: &[u32], section: Section) -> Option<String> {
        let range = Summary::scan(NESTED).range(path, section)?;
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        Some(String::from_utf8_lossy(&NESTED[range]).into_owned())
    }

    #[test]
    fn sections_of_nested_messages() {
        let text = |path: &[u32], of| section(path, of).unwrap();
        assert_eq!(text(&[1], Section::Body), "one");
        assert_eq!(text(&[1], Section::Mime), "\r\n");
        assert_eq!(text(&[2], Section::Body), "two");
        assert!(text(&[3], Section::Header).starts_with("Subject: three\r\n"));
        assert!(text(&[3], Section::Text).ends_with("--i--"));
        assert_eq!(text(&[3, 1], Section::Body), "3.1");
        assert_eq!(text(&[3, 2], Section::Body), "3.2");
        assert_eq!(text(&[3, 2], Section::Mime), "Content-Type: a/b\r\n\r\n");
        assert_eq!(text(&[4, 1], Section::Body), "4.1");
        assert_eq!(text(&[4, 2], Section::Header), "Subject: four\r\n\r\n");
        assert_eq!(text(&[4, 2, 1], Section::Body), "4.2 text");
        assert_eq!(text(&[4, 2, 1], Section::Mime), "Subject: four\r\n\r\n");
        assert_eq!(text(&[], Section::Body).len(), NESTED.len());
        assert!(text(&[], Section::Text).starts_with("preamble"));
        for missing in [
            &[0][..],
            &[5],
            &[1, 1],
            &[3, 3],
            &[3, 1, 1],
            &[4, 2, 2],
            &[4, 2, 1, 1],
        ] {
            assert_eq!(section(missing, Section::Body), None, "{missing:?}");
        }
        assert_eq!(section(&[1], Section::Header), None);
        assert_eq!(section(&[4], Section::Text), None);
        assert_eq!(section(&[], Section::Mime), None);
    }

    #[test]
    fn plain_message_is_its_own_first_part() {
        let summary = Summary::scan(b"Subject: x\r\n\r\nbody\r\n");
        assert_eq!(summary.range(&[1], Section::Body), Some(14..20));
        assert_eq!(summary.range(&[1], Section::Mime), Some(0..14));
        assert_eq!(summary.range(&[1, 1], Section::Body), None);
        assert_eq!(summary.header_len(), 14);
    }

    #[test]
    fn prefix_shifts_all_but_the_start() {
        let plain = Summary::scan(NESTED);
        let prefix = b"Return-Path: <a@b.test>\r\n";
        let whole = Summary::scan(&[prefix.as_slice(), NESTED].concat());
        assert_eq!(plain.with_prefix(prefix.len() as u64), whole);
    }
}

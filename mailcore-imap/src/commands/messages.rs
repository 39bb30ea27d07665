//! [`Targets`]: the messages a command is about, by sequence number or UID.

use mailcore::mailbox::UidSet;

use crate::codec::{Cursor, ParseError};
use crate::session::Context;
use crate::types::MessageSet;

/// How a command names messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// By sequence number.
    Sequence,
    /// By UID (RFC 3501 section 6.4.8).
    Uid,
}

/// The messages a command is about.
#[derive(Debug)]
pub(crate) enum Targets {
    /// These, all in the view.
    Messages(UidSet),
    /// A sequence number lies beyond the mailbox.
    OutOfRange,
}

impl Targets {
    /// Reads `SP sequence-set`, or `SP "$"`, and looks it up in the view.
    pub(crate) fn parse(
        cursor: &mut Cursor<'_>,
        cx: &mut Context,
        addressing: Addressing,
    ) -> Result<Self, ParseError> {
        Self::parse_as_named(cursor, cx, addressing).map(|(targets, _)| targets)
    }

    /// As [`Targets::parse`], with the UIDs as they were named, whether there
    /// are such messages or not.
    pub(crate) fn parse_as_named(
        cursor: &mut Cursor<'_>,
        cx: &mut Context,
        addressing: Addressing,
    ) -> Result<(Self, UidSet), ParseError> {
        cursor.space()?;
        let set = cursor.message_set()?;
        let Some(selected) = cx.state.selected() else {
            return Ok((Self::OutOfRange, UidSet::EMPTY));
        };
        let view = &selected.view;
        let named = match (set, addressing) {
            // What was expunged meanwhile is not in the view any more.
            (MessageSet::Saved, _) => selected.saved.clone(),
            (MessageSet::Numbers(set), Addressing::Uid) => set.uids(view.last_uid()),
            (MessageSet::Numbers(set), Addressing::Sequence) => match set.resolve(view.exists()) {
                Some(seqs) => view.uids(&seqs),
                None => return Ok((Self::OutOfRange, UidSet::EMPTY)),
            },
        };
        Ok((Self::Messages(view.known(&named)), named))
    }
}

/// Takes UIDs off the front of a set, some at a time.
#[derive(Debug)]
pub(crate) struct Batches {
    ranges: std::vec::IntoIter<(u32, u32)>,
    /// What comes before them, last first.
    ahead: Vec<(u32, u32)>,
}

impl Batches {
    /// All of `uids`.
    pub(crate) fn new(uids: &UidSet) -> Self {
        let ranges: Vec<(u32, u32)> = uids.ranges().map(|(a, b)| (a.value(), b.value())).collect();
        Self {
            ranges: ranges.into_iter(),
            ahead: Vec::new(),
        }
    }

    /// UIDs that are still to come.
    pub(crate) fn left(&self) -> u64 {
        let ranges = self.ranges.as_slice().iter().chain(&self.ahead);
        ranges
            .map(|(first, last)| u64::from(last - first) + 1)
            .sum()
    }

    /// Has these, which were taken last, come again.
    pub(crate) fn put_back(&mut self, uids: &UidSet) {
        let ranges = uids.ranges().rev();
        self.ahead
            .extend(ranges.map(|(first, last)| (first.value(), last.value())));
    }

    /// The next `count` UIDs or fewer; `None` at the end.
    pub(crate) fn next(&mut self, count: u32) -> Option<UidSet> {
        let mut taken = Vec::new();
        let mut room = count;
        while room > 0 {
            let Some((first, last)) = self.ahead.pop().or_else(|| self.ranges.next()) else {
                break;
            };
            let end = last.min(first.saturating_add(room - 1));
            taken.push((first, end));
            room -= end - first + 1;
            if end < last {
                self.ahead.push((end + 1, last));
            }
        }
        let uid = mailcore::mailbox::Uid::new;
        let ranges = taken
            .into_iter()
            .filter_map(|(a, b)| Some((uid(a)?, uid(b)?)));
        let set = UidSet::from_ranges(ranges);
        (!set.is_empty()).then_some(set)
    }
}

//! The messages of a FETCH that are in memory together.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use mailcore::mailbox::{MessageInfo, SystemFlag, Uid, UidSet};
use mailcore::message::{Header, Summary};
use mailcore::seams::Excerpt;

use crate::render::body;
use crate::types::{FetchItem, FetchItems, Section};

/// Messages read at a time when only their rows are needed.
const ROWS: u32 = 1_000;
/// Messages read at a time when their starts are needed.
const STARTS: u32 = 128;
/// Messages read at a time when more is needed.
const SUMMARIES: u32 = 128;
/// Octets of messages whose summaries are read at once, when they are more than
/// [`FEW`]: a summary has hardly more octets than its message, a megabyte at
/// most.
const SUMMARIZED: u64 = 1 << 20;
/// Messages whose summaries are read at once, however large they are.
const FEW: usize = 32;
/// Sections that end within this many octets of a message are read for the
/// whole batch at once: most headers, and small messages.
const MAX_FRONT: u64 = 16 * 1024;
/// Messages of at most so many octets are read for the whole batch at once.
const MAX_WHOLE: u64 = 64 * 1024;
/// Octets of whole messages that are read for a batch.
const MAX_WHOLES: u64 = 512 << 10;
/// Octets of headers that are read for a batch.
const _: () = assert!(MAX_FRONT * (STARTS as u64) <= 2 << 20);
const _: () = assert!(MAX_FRONT * (SUMMARIES as u64) <= 2 << 20);

/// How a batch's octets are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reads {
    /// There are none: the rows say all.
    #[default]
    Rows,
    /// They are whole messages and headers, which need no summary.
    Starts,
    /// By the messages' structure.
    Structure,
}

impl Reads {
    /// What `items` need.
    pub(super) fn of(items: &FetchItems) -> Self {
        if items.need_summary() || items.need_structure() {
            Self::Structure
        } else if items.need_octets() {
            Self::Starts
        } else {
            Self::Rows
        }
    }

    /// Messages of a batch.
    pub(super) fn messages(self) -> u32 {
        match self {
            Self::Rows => ROWS,
            Self::Starts => STARTS,
            Self::Structure => SUMMARIES,
        }
    }
}

/// Messages being written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) reads: Reads,
    /// How many were asked for.
    pub(super) asked: u64,
    /// Those that exist, ascending by UID.
    pub(super) messages: Vec<Fetched>,
    /// Those of which something that was asked for did not come.
    doubtful: Vec<Uid>,
}

/// A message as far as it was read.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) row: MessageInfo,
    /// This FETCH set `\Seen`.
    pub(super) seen_now: bool,
    summary: Option<Arc<Summary>>,
    /// Octets of its header, when they were read.
    header: Option<u64>,
    /// Its first octets.
    pub(super) front: Bytes,
}

impl Fetched {
    pub(super) fn new(row: MessageInfo) -> Self {
        Self {
            row,
            seen_now: false,
            summary: None,
            header: None,
            front: Bytes::new(),
        }
    }

    /// Its summary; an empty message's when the store has lost it meanwhile.
    pub(super) fn summary(&self) -> &Summary {
        static EMPTY: OnceLock<Summary> = OnceLock::new();
        match &self.summary {
            Some(summary) => summary,
            None => EMPTY.get_or_init(Summary::default),
        }
    }

    /// Where a section lies in the message; `None` for a part that is not there.
    pub(super) fn locate(&self, section: &Section) -> Option<Range<u64>> {
        match self.header {
            // Known without a summary.
            _ if section.is_whole() => Some(0..self.row.size),
            Some(header) if section.is_in_header() => Some(0..header),
            _ => body::locate(self.summary(), section),
        }
    }

    /// What to read of its start for `items`, and nothing when all of it is too
    /// much.
    fn start(&self, items: &FetchItems) -> Excerpt {
        let whole = items
            .iter()
            .filter_map(|item| whole_end(self.row.size, item));
        let end = whole.filter(|end| *end <= MAX_WHOLE).max().unwrap_or(0);
        match items.need_header() && end < self.row.size {
            true => Excerpt::Header { limit: MAX_FRONT },
            false => Excerpt::Range(0..end),
        }
    }
}

impl Batch {
    /// One for which `asked` messages are asked for.
    pub(super) fn new(reads: Reads, asked: u64) -> Self {
        Self {
            reads,
            asked,
            ..Self::default()
        }
    }

    /// The UIDs of all.
    pub(super) fn uids(&self) -> UidSet {
        self.messages.iter().map(|it| it.row.uid).collect()
    }

    /// Replaces rows by those that a change of flags gave.
    pub(super) fn merge_rows(&mut self, rows: Vec<MessageInfo>) {
        for row in rows {
            if let Some(message) = self.find(row.uid) {
                message.seen_now = !message.row.flags.contains(SystemFlag::Seen)
                    && row.flags.contains(SystemFlag::Seen);
                message.row = row;
            }
        }
    }

    pub(super) fn merge_summaries(&mut self, summaries: Vec<(Uid, Arc<Summary>)>) {
        for (uid, summary) in summaries {
            if let Some(message) = self.find(uid) {
                message.summary = Some(summary);
            }
        }
        let without = self.messages.iter().filter(|it| it.summary.is_none());
        self.doubtful.extend(without.map(|it| it.row.uid));
    }

    /// Takes out what is beyond the octets read at once; returns its UIDs.
    pub(super) fn shorten(&mut self, items: &FetchItems) -> UidSet {
        let at_once = |mut room: u64, octets: &dyn Fn(&Fetched) -> u64| {
            let kept = self.messages.iter().take_while(|message| {
                let some = room > 0;
                room = room.saturating_sub(octets(message));
                some
            });
            kept.count()
        };
        let kept = match self.reads {
            Reads::Rows => return UidSet::EMPTY,
            Reads::Starts => at_once(MAX_WHOLES, &|message| match message.start(items) {
                Excerpt::Range(range) => range.end,
                _ => 0,
            }),
            Reads::Structure => at_once(SUMMARIZED, &|message| message.row.size).max(FEW),
        };
        self.split_off(kept)
    }

    /// Takes the messages from `at` on out; returns their UIDs.
    fn split_off(&mut self, at: usize) -> UidSet {
        let later = self.messages.drain(at.min(self.messages.len())..);
        later.map(|it| it.row.uid).collect()
    }

    /// The starts that `items` need, for each message in order.
    pub(super) fn starts(&self, items: &FetchItems) -> Vec<(Uid, Excerpt)> {
        if self.reads != Reads::Starts {
            return Vec::new();
        }
        let starts = self.messages.iter();
        needed(starts.map(|it| (it.row.uid, it.start(items))))
    }

    /// Takes them. From the first message on whose header did not come the
    /// batch ends; returns the UIDs of those.
    pub(super) fn merge_starts(
        &mut self,
        starts: Vec<Option<Bytes>>,
        items: &FetchItems,
    ) -> UidSet {
        let mut here = 0;
        for (message, start) in self.messages.iter_mut().zip(starts) {
            if items.need_header() {
                let Some(start) = &start else { break };
                let length = match message.start(items) {
                    Excerpt::Header { .. } => start.len(),
                    _ => Header::new(start).section_len(),
                };
                message.header = Some(length as u64);
            }
            if start.is_none() {
                self.doubtful.push(message.row.uid);
            }
            message.front = start.unwrap_or_default();
            here += 1;
        }
        self.split_off(here)
    }

    /// The fronts that `items` need, for each message in order.
    pub(super) fn fronts(&self, items: &FetchItems) -> Vec<(Uid, Excerpt)> {
        if self.reads != Reads::Structure {
            return Vec::new();
        }
        needed(self.messages.iter().map(|message| {
            let front = Excerpt::Range(0..need(message, items));
            (message.row.uid, front)
        }))
    }

    pub(super) fn merge_fronts(&mut self, fronts: Vec<Option<Bytes>>) {
        for (message, front) in self.messages.iter_mut().zip(fronts) {
            if front.is_none() {
                self.doubtful.push(message.row.uid);
            }
            message.front = front.unwrap_or_default();
        }
    }

    /// The messages to look for once more: they are gone, or damaged.
    pub(super) fn take_doubtful(&mut self) -> UidSet {
        std::mem::take(&mut self.doubtful).into_iter().collect()
    }

    /// Leaves out what is not among `rows` of the messages `asked`; true when
    /// there was any. Clients take a message that is shown without what they
    /// asked for as damaged.
    pub(super) fn leave_out_gone(&mut self, asked: &UidSet, rows: &[MessageInfo]) -> bool {
        let there: UidSet = rows.iter().map(|row| row.uid).collect();
        let gone = asked.difference(&there);
        self.messages.retain(|it| !gone.contains(it.row.uid));
        !gone.is_empty()
    }

    fn find(&mut self, uid: Uid) -> Option<&mut Fetched> {
        let at = self
            .messages
            .binary_search_by_key(&uid, |it| it.row.uid)
            .ok()?;
        self.messages.get_mut(at)
    }
}

/// `wanted`, unless it is nothing.
fn needed(wanted: impl Iterator<Item = (Uid, Excerpt)>) -> Vec<(Uid, Excerpt)> {
    let wanted: Vec<(Uid, Excerpt)> = wanted.collect();
    match wanted.iter().all(|(_, it)| *it == Excerpt::Range(0..0)) {
        true => Vec::new(),
        false => wanted,
    }
}

/// How far an item that is the whole message, or its start, reaches.
fn whole_end(size: u64, item: &FetchItem) -> Option<u64> {
    match item {
        FetchItem::Body(item) if item.section.is_whole() => {
            Some(body::narrow(0..size, item.partial).end)
        }
        FetchItem::Binary(item) if item.section.is_whole() => Some(size),
        _ => None,
    }
}

/// How far the sections that end early reach.
fn need(message: &Fetched, items: &FetchItems) -> u64 {
    let ends = items.iter().filter_map(|item| match item {
        FetchItem::Body(item) => {
            let range = message.locate(&item.section)?;
            let partial = if body::picks_fields(&item.section) {
                None
            } else {
                item.partial
            };
            Some(body::narrow(range, partial).end)
        }
        FetchItem::Binary(item) => Some(message.locate(&item.section)?.end),
        _ => None,
    });
    ends.filter(|end| *end <= MAX_FRONT).max().unwrap_or(0)
}

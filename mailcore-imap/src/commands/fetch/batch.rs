//! The messages of a FETCH that are in memory together.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use mailcore::mailbox::{MessageInfo, SystemFlag, Uid, UidSet};
use mailcore::message::Summary;

use crate::render::body;
use crate::types::{FetchItem, FetchItems, Section};

/// Sections that end within this many octets of a message are read for the
/// whole batch at once: most headers, and small messages.
pub(super) const MAX_FRONT: u64 = 16 * 1024;

/// Messages being written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// How many were asked for.
    pub(super) asked: u64,
    /// Those that exist, ascending by UID.
    pub(super) messages: Vec<Fetched>,
}

/// A message as far as it was read.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) row: MessageInfo,
    /// This FETCH set `\Seen`.
    pub(super) seen_now: bool,
    summary: Option<Arc<Summary>>,
    /// Its first octets.
    pub(super) front: Bytes,
}

impl Fetched {
    pub(super) fn new(row: MessageInfo) -> Self {
        Self {
            row,
            seen_now: false,
            summary: None,
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
        match section.is_whole() {
            // Known without a summary.
            true => Some(0..self.row.size),
            false => body::locate(self.summary(), section),
        }
    }
}

impl Batch {
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
    }

    /// The fronts that `items` need, for each message in order.
    pub(super) fn fronts(&self, items: &FetchItems) -> Vec<(Uid, Range<u64>)> {
        let needs = self
            .messages
            .iter()
            .map(|message| (message.row.uid, 0..need(message, items)));
        let needs: Vec<(Uid, Range<u64>)> = needs.collect();
        if needs.iter().all(|(_, range)| range.is_empty()) {
            Vec::new()
        } else {
            needs
        }
    }

    pub(super) fn merge_fronts(&mut self, fronts: Vec<Option<Bytes>>) {
        for (message, front) in self.messages.iter_mut().zip(fronts) {
            message.front = front.unwrap_or_default();
        }
    }

    fn find(&mut self, uid: Uid) -> Option<&mut Fetched> {
        let at = self
            .messages
            .binary_search_by_key(&uid, |it| it.row.uid)
            .ok()?;
        self.messages.get_mut(at)
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

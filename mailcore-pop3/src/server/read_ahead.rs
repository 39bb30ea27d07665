//! [`ReadAhead`]: small messages read before a client asks for them.
//!
//! A client that fetches a maildrop asks for one message after the other and
//! waits for each. Reading the next ones along with the one that is wanted costs
//! one look into the store for many of them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use mailcore::mailbox::Uid;
use mailcore::message::READ_CHUNK;
use mailcore::seams::{Excerpt, Mailbox};

use crate::maildrop::Entry;

/// Messages read at a time at most.
const MOST: usize = 64;

/// Messages that were read and not asked for yet, and how the client goes about
/// it.
#[derive(Debug)]
pub(super) struct ReadAhead {
    entries: Arc<[Entry]>,
    /// Octets read at a time at most.
    limit: u64,
    ready: VecDeque<(Uid, Bytes)>,
    /// The place of the message after the one asked for last.
    next: usize,
    /// Messages to read at a time: one, until the client goes by their order.
    count: usize,
}

impl ReadAhead {
    /// Reads ahead at most `limit` octets in a maildrop of these messages, which
    /// ascend by UID.
    pub(super) fn new(entries: Arc<[Entry]>, limit: u64) -> Self {
        Self {
            entries,
            limit,
            ready: VecDeque::new(),
            // Nothing follows on what was not asked for.
            next: usize::MAX,
            count: 1,
        }
    }

    /// All octets of a message, when it is small and the client goes by the
    /// order of the messages. `None` has the caller read this one alone, which
    /// also tells why it can't be read.
    pub(super) async fn take(&mut self, mailbox: &dyn Mailbox, uid: Uid) -> Option<Bytes> {
        let at = (self.entries)
            .binary_search_by_key(&uid, |entry| entry.uid)
            .ok()?;
        let follows = at == self.next;
        self.next = at.saturating_add(1);
        while let Some((ready, octets)) = self.ready.pop_front() {
            if ready == uid {
                return Some(octets);
            }
        }
        if !follows {
            self.count = 1;
            return None;
        }
        self.count = self.count.saturating_mul(2).min(MOST);
        let wanted = self.wanted(at);
        // One alone needs no reading ahead.
        if wanted.len() < 2 {
            return None;
        }
        let read = mailbox.excerpts(&wanted).await;
        let read = wanted.into_iter().zip(read);
        self.ready = read.map_while(|((uid, _), it)| Some((uid, it?))).collect();
        self.ready.pop_front().map(|(_, octets)| octets)
    }

    /// The messages from the one at `at` on that are read together.
    fn wanted(&self, at: usize) -> Vec<(Uid, Excerpt)> {
        let mut left = self.limit;
        let entries = self.entries.get(at..).unwrap_or_default();
        let fitting = entries.iter().take(self.count).take_while(|entry| {
            let fits = entry.size <= left.min(READ_CHUNK as u64);
            left = left.saturating_sub(entry.size);
            fits
        });
        let whole = |entry: &Entry| (entry.uid, Excerpt::Range(0..entry.size));
        fitting.map(whole).collect()
    }
}

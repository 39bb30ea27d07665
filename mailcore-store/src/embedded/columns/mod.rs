//! What is known of a mailbox's messages without reading content: [`Columns`],
//! held in memory in pages of 4,096 UIDs, shared by all sessions, and brought up
//! to date with what changed since.
//!
//! Everything here can be dropped at any time: it is read from the index again.
//! A page is copied only when it changes while somebody reads it.

mod by_uid;
mod overview;
mod page;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use mailcore::mailbox::{MessageInfo, ModSeq, SystemFlag, Uid, UidSet};
use rusqlite::Connection;

use super::index::{MailboxState, read};
pub(crate) use by_uid::{Places, Summaries};
pub(crate) use overview::Overview;
pub(crate) use page::Budget;
use page::{Page, page_of, uids_of};

/// Messages that are read from memory on the runtime's own thread.
const AT_ONCE: u64 = 8_192;
/// One message in so many asked for makes it worth to read the whole page.
const WORTH_A_PAGE: u32 = 8;
/// So does one in so many read by itself: looking one up takes about as long as
/// reading so many in a row.
const WORTH_IN_TIME: u32 = 64;

/// A mailbox's messages as of a ModSeq.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) as_of: ModSeq,
    /// Every message there is.
    pub(crate) uids: UidSet,
    pub(crate) first_unseen: Option<Uid>,
    /// Those pages that are held.
    pages: BTreeMap<u32, Arc<Page>>,
    /// How many messages were read of pages that are not held.
    missed: BTreeMap<u32, u32>,
}

/// What reading gave.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) columns: Columns,
    /// The messages asked for.
    pub(crate) messages: Vec<MessageInfo>,
    /// How many messages were looked at to know which there are: what an
    /// overview kept now will save.
    pub(crate) counted: u64,
}

impl Columns {
    /// The columns now, from those that were held, and those messages of
    /// `wanted` that exist, ascending. `None` when there is no such mailbox.
    ///
    /// # Errors
    /// As SQLite's.
    pub(crate) fn read(
        conn: &Connection,
        mailbox: u64,
        held: Option<Self>,
        wanted: &UidSet,
        budget: &Budget,
    ) -> rusqlite::Result<Option<Reading>> {
        let snapshot = conn.unchecked_transaction()?;
        let Some(state) = read::mailbox_by_id(conn, mailbox)? else {
            return Ok(None);
        };
        let (mut columns, counted) = Self::now(conn, &state, held)?;
        let messages = columns.fetch(conn, mailbox, wanted, budget)?;
        snapshot.finish()?;
        Ok(Some(Reading {
            columns,
            messages,
            counted,
        }))
    }

    /// What there is, from what was held, else from what was kept in the index,
    /// else from the messages one by one.
    fn now(
        conn: &Connection,
        state: &MailboxState,
        held: Option<Self>,
    ) -> rusqlite::Result<(Self, u64)> {
        let as_of = state.status().highest_modseq;
        if let Some(mut held) = held.filter(|it| it.as_of <= as_of) {
            held.advance(conn, state.id, as_of)?;
            return Ok((held, 0));
        }
        match Overview::load(conn, state.id, as_of)?.map(Self::from) {
            Some(mut kept) => {
                let changes = kept.advance(conn, state.id, as_of)?;
                Ok((kept, changes))
            }
            None => {
                let first_unseen = match state.unseen {
                    0 => None,
                    _ => read::first_unseen(conn, state.id, 1)?,
                };
                let columns = Self {
                    as_of,
                    uids: read::uids(conn, state.id)?,
                    first_unseen,
                    pages: BTreeMap::new(),
                    missed: BTreeMap::new(),
                };
                Ok((columns, state.messages))
            }
        }
    }

    /// Whether the overview kept in the index, brought up to date, is what the
    /// messages say one by one. Within a transaction.
    ///
    /// # Errors
    /// As SQLite's.
    pub(crate) fn is_overview_right(conn: &Connection, mailbox: u64) -> rusqlite::Result<bool> {
        let Some(state) = read::mailbox_by_id(conn, mailbox)? else {
            // It goes with its mailbox.
            return Ok(false);
        };
        let (columns, _) = Self::now(conn, &state, None)?;
        let unseen = read::first_unseen(conn, mailbox, 1)?;
        Ok(columns.uids == read::uids(conn, mailbox)? && columns.first_unseen == unseen)
    }

    /// Takes in what changed up to `as_of`; returns how many messages did.
    fn advance(&mut self, conn: &Connection, mailbox: u64, as_of: ModSeq) -> rusqlite::Result<u64> {
        if self.as_of == as_of {
            return Ok(0);
        }
        let changed = read::changed(conn, mailbox, self.as_of)?;
        let gone = read::vanished(conn, mailbox, self.as_of)?;
        self.first_unseen = self.next_unseen(conn, mailbox, &changed)?;
        // In this order: what is there now is there, whatever is said to be gone.
        let came = changed.iter().map(|row| (row.uid, row.uid));
        let left = self.uids.difference(&gone);
        self.uids = UidSet::from_ranges(left.ranges().chain(came));
        self.remove_from_pages(&gone);
        self.update_pages(&changed);
        self.as_of = as_of;
        Ok(changed.len() as u64 + gone.len())
    }

    fn next_unseen(
        &self,
        conn: &Connection,
        mailbox: u64,
        changed: &[MessageInfo],
    ) -> rusqlite::Result<Option<Uid>> {
        let mut unseen = changed
            .iter()
            .filter(|row| !row.flags.contains(SystemFlag::Seen));
        let changed_first = unseen.next().map(|row| row.uid);
        // Before the one that was first there was none but those changed since.
        let later = match self.first_unseen {
            Some(from) => read::first_unseen(conn, mailbox, from.value())?,
            None => None,
        };
        Ok(changed_first.into_iter().chain(later).min())
    }

    fn update_pages(&mut self, changed: &[MessageInfo]) {
        for messages in changed.chunk_by(|a, b| page_of(a.uid) == page_of(b.uid)) {
            let Some(number) = messages.first().map(|it| page_of(it.uid)) else {
                continue;
            };
            let fresh = match self.pages.get_mut(&number) {
                Some(page) => Arc::make_mut(page).update(messages),
                None => true,
            };
            if !fresh {
                self.pages.remove(&number);
            }
        }
    }

    fn remove_from_pages(&mut self, gone: &UidSet) {
        for (number, page) in &mut self.pages {
            let gone = on_page(gone, *number);
            if !gone.is_empty() {
                Arc::make_mut(page).retain(*number, |uid| !gone.contains(uid));
            }
        }
        self.pages.retain(|_, page| !page.is_empty());
    }

    /// Those messages of `wanted` that exist, ascending; `None` when pages that
    /// they are on are not held.
    pub(crate) fn messages(&self, wanted: &UidSet) -> Option<Vec<MessageInfo>> {
        let there = self.uids.intersection(wanted);
        let mut found = Vec::with_capacity(usize::try_from(there.len()).unwrap_or(0));
        for (number, first, last) in by_page(&there) {
            let page = self.pages.get(&number)?;
            found.extend(page.messages(number, first..=last));
        }
        Some(found)
    }

    /// As [`Columns::messages`], reading what is not held. Whole pages are kept
    /// while there is room for them.
    fn fetch(
        &mut self,
        conn: &Connection,
        mailbox: u64,
        wanted: &UidSet,
        budget: &Budget,
    ) -> rusqlite::Result<Vec<MessageInfo>> {
        let there = self.uids.intersection(wanted);
        let mut found = Vec::with_capacity(usize::try_from(there.len()).unwrap_or(0));
        let parts: Vec<(u32, u32, u32)> = by_page(&there).collect();
        for parts in parts.chunk_by(|a, b| a.0 == b.0) {
            let Some(number) = parts.first().map(|it| it.0) else {
                continue;
            };
            let asked = parts.iter().map(|(_, first, last)| last - first + 1).sum();
            if !self.pages.contains_key(&number)
                && self.is_worth_a_page(number, asked)
                && budget.has_room()
            {
                let page = Page::new(&rows(conn, mailbox, uids_of(number))?, budget);
                self.pages.insert(number, Arc::new(page));
                self.missed.remove(&number);
            } else if !self.pages.contains_key(&number) {
                let missed = self.missed.entry(number).or_default();
                *missed = missed.saturating_add(asked);
            }
            for (_, first, last) in parts {
                match self.pages.get(&number) {
                    Some(page) => found.extend(page.messages(number, *first..=*last)),
                    None => found.extend(rows(conn, mailbox, *first..=*last)?),
                }
            }
        }
        Ok(found)
    }

    fn is_worth_a_page(&self, number: u32, asked: u32) -> bool {
        let there = u32::try_from(on_page(&self.uids, number).len()).unwrap_or(u32::MAX);
        let missed = self.missed.get(&number).copied().unwrap_or(0);
        asked.saturating_mul(WORTH_A_PAGE) >= there
            || missed.saturating_add(asked).saturating_mul(WORTH_IN_TIME) >= there
    }

    /// True when reading so many messages from memory holds nobody up.
    pub(crate) fn is_soon_read(&self, wanted: &UidSet) -> bool {
        wanted.len() <= AT_ONCE || self.uids.intersection(wanted).len() <= AT_ONCE
    }

    /// Without the pages, which take most of the room.
    pub(crate) fn without_pages(&self) -> Self {
        Self {
            as_of: self.as_of,
            uids: self.uids.clone(),
            first_unseen: self.first_unseen,
            pages: BTreeMap::new(),
            missed: BTreeMap::new(),
        }
    }

    /// True when pages are held.
    pub(crate) fn has_pages(&self) -> bool {
        !self.pages.is_empty()
    }
}

impl From<Overview> for Columns {
    fn from(kept: Overview) -> Self {
        Self {
            as_of: kept.as_of,
            uids: kept.uids,
            first_unseen: kept.first_unseen,
            pages: BTreeMap::new(),
            missed: BTreeMap::new(),
        }
    }
}

fn rows(
    conn: &Connection,
    mailbox: u64,
    uids: std::ops::RangeInclusive<u32>,
) -> rusqlite::Result<Vec<MessageInfo>> {
    let ends = Uid::new(*uids.start()).zip(Uid::new(*uids.end()));
    let uids = ends.map_or(UidSet::EMPTY, |(first, last)| UidSet::range(first, last));
    let rows = read::messages(conn, mailbox, &uids)?;
    Ok(rows.into_iter().map(|row| row.info).collect())
}

/// The UIDs that are on a page.
fn on_page(uids: &UidSet, number: u32) -> UidSet {
    let page = uids_of(number);
    let ends = Uid::new(*page.start()).zip(Uid::new(*page.end()));
    ends.map_or(UidSet::EMPTY, |(first, last)| {
        uids.intersection(&UidSet::range(first, last))
    })
}

/// The ranges of a set, cut at the pages' ends: page, first and last UID.
fn by_page(uids: &UidSet) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
    uids.ranges().flat_map(|(first, last)| {
        (page_of(first)..=page_of(last)).map(move |number| {
            let page = uids_of(number);
            let first = first.value().max(*page.start());
            (number, first, last.value().min(*page.end()))
        })
    })
}

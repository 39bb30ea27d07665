//! One page of a mailbox's columns: the messages of 4,096 consecutive UIDs,
//! packed.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mailcore::mailbox::{EmailId, Flags, MessageInfo, ModSeq, ThreadId, Uid};
use mailcore::time::Timestamp;

/// UIDs of one page, as a power of two.
const PAGE_BITS: u32 = 12;
/// UIDs of one page.
const PAGE: u32 = 1 << PAGE_BITS;
/// Sets of keywords of a page, those that no message has any more included,
/// before it is read anew.
const MAX_SETS: usize = 3 * PAGE as usize;
/// Sets of keywords among which a message's is looked for.
const LATE_SETS: usize = 32;
/// Octets of one message in a page, with what its columns have to spare.
const ROW: usize = size_of::<Packed>() + size_of::<u16>() + size_of::<u8>();

/// The page that a UID is in.
pub(crate) fn page_of(uid: Uid) -> u32 {
    uid.value() >> PAGE_BITS
}

/// A UID's place in its page.
pub(super) fn offset_of(uid: Uid) -> u16 {
    // Cut to 12 bits, it fits.
    u16::try_from(uid.value() & (PAGE - 1)).unwrap_or(u16::MAX)
}

/// The UIDs of a page.
pub(crate) fn uids_of(page: u32) -> RangeInclusive<u32> {
    let first = page << PAGE_BITS;
    first.max(1)..=first + (PAGE - 1)
}

/// What does not change with a message's flags, and its ModSeq.
#[derive(Debug, Clone, Copy)]
struct Packed {
    email_id: [u64; 2],
    modseq: u64,
    size: u64,
    internal_date: i64,
    save_date: i64,
    thread: u64,
    /// Place in [`Page::keywords`].
    keywords: u16,
    has_thread: bool,
}

/// The messages of one page, ascending by UID.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// UIDs from the page's first on.
    offsets: Vec<u16>,
    flags: Vec<u8>,
    rows: Vec<Packed>,
    /// Sets of keywords; the first is empty.
    keywords: Vec<Flags>,
    charge: Charge,
}

impl Page {
    /// A page of these messages, which are all of it, ascending.
    pub(crate) fn new(rows: &[MessageInfo], budget: &Budget) -> Self {
        let mut page = Self {
            offsets: Vec::with_capacity(rows.len()),
            flags: Vec::with_capacity(rows.len()),
            rows: Vec::with_capacity(rows.len()),
            keywords: vec![Flags::default()],
            charge: Charge::new(budget),
        };
        rows.iter().for_each(|row| page.put(row));
        page.charge.set(page.octets());
        page
    }

    /// Adds a message, or changes the one of its UID.
    fn put(&mut self, info: &MessageInfo) {
        let packed = Packed {
            email_id: [high(info.email_id.0), low(info.email_id.0)],
            modseq: info.modseq.value(),
            size: info.size,
            internal_date: info.internal_date.millis(),
            save_date: info.save_date.millis(),
            thread: info.thread_id.map_or(0, |it| it.0),
            keywords: self.keyword_set(&info.flags),
            has_thread: info.thread_id.is_some(),
        };
        let bits = info.flags.system_bits();
        match self.offsets.binary_search(&offset_of(info.uid)) {
            Ok(at) => {
                if let (Some(slot), Some(flags)) = (self.rows.get_mut(at), self.flags.get_mut(at)) {
                    (*slot, *flags) = (packed, bits);
                }
            }
            Err(at) => {
                self.offsets.insert(at, offset_of(info.uid));
                self.flags.insert(at, bits);
                self.rows.insert(at, packed);
            }
        }
    }

    /// Adds messages, or changes those of the same UID. False when so many sets
    /// of keywords came and went that the page has to be read anew.
    pub(crate) fn update(&mut self, messages: &[MessageInfo]) -> bool {
        messages.iter().for_each(|it| self.put(it));
        self.charge.set(self.octets());
        self.keywords.len() <= MAX_SETS
    }

    /// The place of a message's keywords: messages next to each other mostly
    /// have the same.
    fn keyword_set(&mut self, flags: &Flags) -> u16 {
        let set = flags.with_system_bits(0);
        if set == Flags::default() {
            return 0;
        }
        let late = self.keywords.len().saturating_sub(LATE_SETS);
        let found = self.keywords.iter().skip(late).position(|it| *it == set);
        let place = found.map_or(self.keywords.len(), |at| at + late);
        if found.is_none() {
            self.keywords.push(set);
        }
        u16::try_from(place).unwrap_or(0)
    }

    /// Takes the messages out that `keep` is false for; `page` is this page's
    /// number.
    pub(crate) fn retain(&mut self, page: u32, keep: impl Fn(Uid) -> bool) {
        let kept: Vec<bool> = self
            .offsets
            .iter()
            .map(|offset| uid(page, *offset).is_some_and(&keep))
            .collect();
        fn sieve<T>(column: &mut Vec<T>, kept: &[bool]) {
            let mut keep = kept.iter().copied();
            column.retain(|_| keep.next().unwrap_or(false));
        }
        sieve(&mut self.offsets, &kept);
        sieve(&mut self.flags, &kept);
        sieve(&mut self.rows, &kept);
        self.charge.set(self.octets());
    }

    /// The messages of `range`, ascending; `page` is this page's number.
    pub(crate) fn messages(
        &self,
        page: u32,
        range: RangeInclusive<u32>,
    ) -> impl Iterator<Item = MessageInfo> + '_ {
        let first = page << PAGE_BITS;
        let begin = self
            .offsets
            .partition_point(|it| first + u32::from(*it) < *range.start());
        let end = self
            .offsets
            .partition_point(|it| first + u32::from(*it) <= *range.end());
        (begin..end).filter_map(move |at| self.message(page, at))
    }

    /// True when no message is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    fn message(&self, page: u32, at: usize) -> Option<MessageInfo> {
        let (row, bits) = (self.rows.get(at)?, self.flags.get(at)?);
        let keywords = self.keywords.get(usize::from(row.keywords))?;
        Some(MessageInfo {
            uid: uid(page, *self.offsets.get(at)?)?,
            flags: keywords.with_system_bits(*bits),
            modseq: ModSeq::new(row.modseq)?,
            size: row.size,
            internal_date: Timestamp::from_millis(row.internal_date),
            save_date: Timestamp::from_millis(row.save_date),
            email_id: EmailId(u128::from(row.email_id[0]) << 64 | u128::from(row.email_id[1])),
            thread_id: row.has_thread.then_some(ThreadId(row.thread)),
        })
    }

    fn octets(&self) -> usize {
        let keywords: usize = self.keywords.iter().map(keyword_octets).sum();
        size_of::<Self>() + self.rows.capacity() * ROW + keywords
    }
}

fn keyword_octets(flags: &Flags) -> usize {
    let text: usize = flags.keywords().map(|it| it.as_str().len() + 64).sum();
    size_of::<Flags>() + text
}

fn uid(page: u32, offset: u16) -> Option<Uid> {
    Uid::new((page << PAGE_BITS) + u32::from(offset))
}

fn high(value: u128) -> u64 {
    u64::try_from(value >> 64).unwrap_or(0)
}

fn low(value: u128) -> u64 {
    u64::try_from(value & u128::from(u64::MAX)).unwrap_or(0)
}

/// Octets of all pages of a store, counted as they come and go.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    /// Room for `limit` octets.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: Arc::default(),
            limit,
        }
    }

    /// Octets of all pages.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Octets beyond the limit. Pages that somebody reads count as well.
    pub(crate) fn excess(&self) -> usize {
        self.used().saturating_sub(self.limit)
    }

    /// True when there is room to spare, for what is cheap to find again.
    pub(super) fn has_plenty(&self) -> bool {
        self.used() < self.limit / 4 * 3
    }

    /// True when a page more is within the limit, or almost.
    pub(crate) fn has_room(&self) -> bool {
        self.limit > 0 && self.excess() == 0
    }
}

/// A page's share of the budget, given back with the page.
#[derive(Debug)]
pub(super) struct Charge {
    octets: usize,
    budget: Budget,
}

impl Charge {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            octets: 0,
            budget: budget.clone(),
        }
    }

    pub(super) fn set(&mut self, octets: usize) {
        let counter = &self.budget.used;
        match octets.checked_sub(self.octets) {
            Some(more) => counter.fetch_add(more, Ordering::Relaxed),
            None => counter.fetch_sub(self.octets - octets, Ordering::Relaxed),
        };
        self.octets = octets;
    }
}

impl Clone for Charge {
    fn clone(&self) -> Self {
        let mut copy = Self::new(&self.budget);
        copy.set(self.octets);
        copy
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

//! Which messages a mailbox has, kept in the index, so that the first SELECT
//! after a start need not count them one by one.
//!
//! An overview is of a ModSeq: what changed since is read from the messages.
//! It may be missing or old.

use mailcore::mailbox::{ModSeq, Uid, UidSet};
use mailcore::pack::{PackError, Packer, Unpacker};
use rusqlite::{Connection, OptionalExtension, params};

use super::Columns;
use crate::embedded::index::{Index, signed, unsigned};

/// The version of the packed form.
const VERSION: u8 = 1;
/// Messages that are worth an overview; fewer are counted as fast.
const WORTH_KEEPING: u64 = 2_000;
/// Octets of a packed overview; a mailbox with more holes has none.
const MAX_OCTETS: usize = 256 << 10;

/// A mailbox's messages as of a ModSeq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overview {
    pub(crate) as_of: ModSeq,
    pub(crate) uids: UidSet,
    pub(crate) first_unseen: Option<Uid>,
}

impl Overview {
    /// The overview to keep of these columns, when `counted` says that it would
    /// have saved something.
    pub(crate) fn worth_keeping(columns: &Columns, counted: u64) -> Option<Self> {
        (counted >= WORTH_KEEPING).then(|| Self {
            as_of: columns.as_of,
            uids: columns.uids.clone(),
            first_unseen: columns.first_unseen,
        })
    }

    /// The one that was kept, unless it is of a time after `as_of`.
    pub(crate) fn load(
        conn: &Connection,
        mailbox: u64,
        as_of: ModSeq,
    ) -> rusqlite::Result<Option<Self>> {
        let found: Option<(i64, Vec<u8>)> = conn
            .prepare_cached("SELECT modseq, overview FROM overviews WHERE mailbox = ?")?
            .query_row([signed(mailbox)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.and_then(|(modseq, octets)| {
            let modseq = ModSeq::new(unsigned(modseq)).filter(|it| *it <= as_of)?;
            // One that cannot be read is as good as none.
            Self::decode(modseq, &octets)
        }))
    }

    /// Keeps it. An older one is replaced.
    pub(crate) fn save(&self, index: &Index, mailbox: u64) -> rusqlite::Result<()> {
        let octets = self.encode();
        if octets.len() > MAX_OCTETS {
            return Ok(());
        }
        index
            .connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO overviews SELECT id, ?, ? FROM mailboxes WHERE id = ?",
            )?
            .execute(params![signed(self.as_of.value()), octets, signed(mailbox)])
            .map(drop)
    }

    /// A checksum and the packed form: SQLite has no checksums of its own.
    pub(super) fn encode(&self) -> Vec<u8> {
        let ranges: Vec<(Uid, Uid)> = self.uids.ranges().collect();
        let mut out = Packer::new(VERSION);
        out.u64(self.first_unseen.map_or(0, |uid| uid.value().into()));
        let mut before = 0;
        out.list(&ranges, |out, (first, last)| {
            out.u64((first.value() - before).into());
            out.u64((last.value() - first.value()).into());
            before = last.value();
        });
        let packed = out.finish();
        let sum = crc32c::crc32c(&packed).to_le_bytes();
        [&sum[..], &packed].concat()
    }

    pub(super) fn decode(as_of: ModSeq, octets: &[u8]) -> Option<Self> {
        let (sum, packed) = octets.split_first_chunk()?;
        if crc32c::crc32c(packed) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (first_unseen, ranges) = unpack(packed).ok()?;
        let uid = |value: u64| u32::try_from(value).ok().and_then(Uid::new);
        let uids = ranges
            .into_iter()
            .filter_map(|(first, last)| uid(first).zip(uid(last)));
        Some(Self {
            as_of,
            uids: UidSet::from_ranges(uids),
            first_unseen: uid(first_unseen),
        })
    }
}

fn unpack(packed: &[u8]) -> Result<(u64, Vec<(u64, u64)>), PackError> {
    let mut from = Unpacker::new(packed, VERSION)?;
    let first_unseen = from.u64()?;
    let mut before = 0u64;
    let ranges = from.list(|from| {
        let first = before.saturating_add(from.u64()?);
        before = first.saturating_add(from.u64()?);
        Ok((first, before))
    })?;
    Ok((first_unseen, ranges))
}

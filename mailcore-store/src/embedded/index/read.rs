//! Reading the tables: rows into mailcore's types.
//!
//! Used by readers on their own connections, and by the writer within a group,
//! where it sees what the group has changed so far.

use std::sync::Arc;

use mailcore::event::{Event, EventCursor, StoredEvent};
use mailcore::mailbox::{
    EmailId, Flags, MessageInfo, MessageKey, ModSeq, SystemFlag, ThreadId, Uid, UidSet, UidValidity,
};
use mailcore::message::Summary;
use mailcore::seams::{QuotaUsage, StateValue};
use mailcore::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::apply::content_sum;
use super::cache::MailboxState;
use super::{signed, unsigned};
use crate::embedded::log::{Lsn, Place, SegmentId};
use crate::embedded::record::{email_id, flags_from};

const MAILBOX: &str = "id, account, name, uid_validity, uid_next, modseq, messages, unseen, deleted, size, special_use";
/// What [`message`] reads, from the first column on.
pub(super) const MESSAGE: &str =
    "uid, flags, keywords, modseq, size, internal_date, save_date, email_id, content, thread";

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get(at).map(unsigned)
}

fn out_of_range(at: usize, value: i64) -> rusqlite::Error {
    rusqlite::Error::IntegralValueOutOfRange(at, value)
}

fn id128(row: &Row<'_>, at: usize) -> rusqlite::Result<u128> {
    row.get(at).map(u128::from_be_bytes)
}

fn mailbox(row: &Row<'_>) -> rusqlite::Result<MailboxState> {
    Ok(MailboxState {
        id: number(row, 0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        uid_validity: UidValidity::new(row.get(3)?).ok_or_else(|| out_of_range(3, 0))?,
        uid_next: number(row, 4)?,
        modseq: number(row, 5)?,
        messages: number(row, 6)?,
        unseen: number(row, 7)?,
        deleted: number(row, 8)?,
        size: number(row, 9)?,
        special_use: row.get(10)?,
    })
}

pub(crate) fn mailbox_by_id(conn: &Connection, id: u64) -> rusqlite::Result<Option<MailboxState>> {
    conn.prepare_cached(&format!("SELECT {MAILBOX} FROM mailboxes WHERE id = ?"))?
        .query_row([signed(id)], mailbox)
        .optional()
}

pub(crate) fn mailbox_by_name(
    conn: &Connection,
    account: &str,
    name: &str,
) -> rusqlite::Result<Option<MailboxState>> {
    conn.prepare_cached(&format!(
        "SELECT {MAILBOX} FROM mailboxes WHERE account = ? AND name = ?"
    ))?
    .query_row([account, name], mailbox)
    .optional()
}

/// The place in the log that the tables stand for.
pub(crate) fn applied_place(conn: &Connection) -> rusqlite::Result<Place> {
    conn.prepare_cached("SELECT next_lsn, segment, place FROM meta")?
        .query_row([], |row| {
            Ok(Place {
                next: Lsn(number(row, 0)?),
                segment: SegmentId(number(row, 1)?),
                offset: number(row, 2)?,
            })
        })
}

/// The log position that the tables stand for.
pub(crate) fn applied(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT next_lsn FROM meta")?
        .query_row([], |row| number(row, 0))
}

/// An account's mailboxes in name order.
pub(crate) fn mailboxes_of(
    conn: &Connection,
    account: &str,
) -> rusqlite::Result<Vec<MailboxState>> {
    conn.prepare_cached(&format!(
        "SELECT {MAILBOX} FROM mailboxes WHERE account = ? ORDER BY name"
    ))?
    .query_map([account], mailbox)?
    .collect()
}

pub(crate) fn subscriptions(conn: &Connection, account: &str) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached("SELECT name FROM subscriptions WHERE account = ? ORDER BY name")?
        .query_map([account], |row| row.get(0))?
        .collect()
}

pub(crate) fn usage(conn: &Connection, account: &str) -> rusqlite::Result<QuotaUsage> {
    conn.prepare_cached("SELECT coalesce(sum(size), 0), coalesce(sum(messages), 0) FROM mailboxes WHERE account = ?")?
        .query_row([account], |row| Ok(QuotaUsage { octets: number(row, 0)?, messages: number(row, 1)? }))
}

/// What the account's table of threads says of a message id.
pub(crate) fn thread(
    conn: &Connection,
    account: &str,
    key: MessageKey,
) -> rusqlite::Result<Option<ThreadId>> {
    conn.prepare_cached("SELECT thread FROM threads WHERE account = ? AND key = ?")?
        .query_row(params![account, key.0.cast_signed()], |row| {
            row.get(0).map(|it: i64| ThreadId(it.cast_unsigned()))
        })
        .optional()
}

/// A message's row with the content it refers to.
#[derive(Debug, Clone)]
pub(crate) struct MessageRow {
    pub(crate) info: MessageInfo,
    pub(crate) content: u64,
}

impl MessageRow {
    /// What it counts in its account's quota.
    pub(crate) fn usage(&self) -> QuotaUsage {
        QuotaUsage::message(self.info.size)
    }
}

pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    let keywords = row.get_ref(2)?.as_str()?;
    let bits: u8 = row.get(1)?;
    let flags = if keywords.is_empty() {
        Flags::from_parts(bits, [])
    } else {
        flags_from(bits, keywords)
    };
    let info = MessageInfo {
        uid: Uid::new(row.get(0)?).ok_or_else(|| out_of_range(0, 0))?,
        flags,
        modseq: ModSeq::new(number(row, 3)?).unwrap_or(ModSeq::MIN),
        size: number(row, 4)?,
        internal_date: Timestamp::from_millis(row.get(5)?),
        save_date: Timestamp::from_millis(row.get(6)?),
        email_id: EmailId(id128(row, 7)?),
        thread_id: row
            .get::<_, Option<i64>>(9)?
            .map(|thread| ThreadId(thread.cast_unsigned())),
    };
    Ok(MessageRow {
        info,
        content: number(row, 8)?,
    })
}

/// Those messages of `uids` that exist, ascending.
pub(crate) fn messages(
    conn: &Connection,
    mailbox: u64,
    uids: &UidSet,
) -> rusqlite::Result<Vec<MessageRow>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {MESSAGE} FROM messages WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid"
    ))?;
    let mut found = Vec::new();
    for (first, last) in uids.ranges() {
        let rows = query.query_map(
            params![signed(mailbox), first.value(), last.value()],
            message,
        )?;
        for row in rows {
            found.push(row?);
        }
    }
    Ok(found)
}

/// The UIDs of all messages.
pub(crate) fn uids(conn: &Connection, mailbox: u64) -> rusqlite::Result<UidSet> {
    let mut query =
        conn.prepare_cached("SELECT uid FROM messages WHERE mailbox = ? ORDER BY uid")?;
    let mut rows = query.query([signed(mailbox)])?;
    let mut runs: Vec<(Uid, Uid)> = Vec::new();
    while let Some(row) = rows.next()? {
        let uid = Uid::new(row.get(0)?).ok_or_else(|| out_of_range(0, 0))?;
        match runs.last_mut() {
            Some((_, last)) if last.next() == Some(uid) => *last = uid,
            _ => runs.push((uid, uid)),
        }
    }
    Ok(UidSet::from_ranges(runs))
}

/// The first message from `from` on without `\Seen`.
pub(crate) fn first_unseen(
    conn: &Connection,
    mailbox: u64,
    from: u32,
) -> rusqlite::Result<Option<Uid>> {
    let seen = SystemFlag::Seen as u8;
    conn.prepare_cached(
        "SELECT uid FROM messages WHERE mailbox = ? AND uid >= ? AND flags & ? = 0 ORDER BY uid LIMIT 1",
    )?
    .query_row(params![signed(mailbox), from, seen], |row| row.get(0))
    .optional()
    .map(|it| it.and_then(Uid::new))
}

/// Messages changed after `since`, ascending by UID.
pub(crate) fn changed(
    conn: &Connection,
    mailbox: u64,
    since: ModSeq,
) -> rusqlite::Result<Vec<MessageInfo>> {
    // From the start everything is asked for: the primary key is in order.
    let everything = since == ModSeq::MIN;
    let sql = match everything {
        true => {
            format!("SELECT {MESSAGE} FROM messages WHERE mailbox = ? AND modseq > ? ORDER BY uid")
        }
        false => format!(
            "SELECT {MESSAGE} FROM messages INDEXED BY messages_modseq WHERE mailbox = ? AND modseq > ? ORDER BY uid"
        ),
    };
    conn.prepare_cached(&sql)?
        .query_map(params![signed(mailbox), signed(since.value())], |row| {
            message(row).map(|it| it.info)
        })?
        .collect()
}

/// UIDs of messages changed after `since`.
pub(crate) fn changed_uids(
    conn: &Connection,
    mailbox: u64,
    since: ModSeq,
) -> rusqlite::Result<UidSet> {
    if since == ModSeq::MIN {
        return uids(conn, mailbox);
    }
    let mut changed = conn
        .prepare_cached(
            "SELECT uid FROM messages INDEXED BY messages_modseq WHERE mailbox = ? AND modseq > ?",
        )?
        .query_map(params![signed(mailbox), signed(since.value())], |row| {
            row.get(0)
        })?
        .collect::<rusqlite::Result<Vec<u32>>>()?;
    changed.sort_unstable();
    Ok(changed.into_iter().filter_map(Uid::new).collect())
}

/// UIDs that went away after `since`.
pub(crate) fn vanished(conn: &Connection, mailbox: u64, since: ModSeq) -> rusqlite::Result<UidSet> {
    let ranges = conn
        .prepare_cached("SELECT first, last FROM vanished WHERE mailbox = ? AND modseq > ?")?
        .query_map(params![signed(mailbox), signed(since.value())], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<Vec<(u32, u32)>>>()?;
    let uids = ranges
        .into_iter()
        .filter_map(|(first, last)| Some((Uid::new(first)?, Uid::new(last)?)));
    Ok(UidSet::from_ranges(uids))
}

/// Stored summaries of those messages of `uids` that exist, ascending; `None`
/// for one whose row is damaged.
pub(crate) fn summaries(
    conn: &Connection,
    mailbox: u64,
    uids: &UidSet,
) -> rusqlite::Result<Vec<(Uid, Option<Summary>)>> {
    let mut query = conn.prepare_cached(
        "SELECT uid, size, id, sum, prefix, summary FROM messages LEFT JOIN contents ON id = content
         WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid",
    )?;
    let mut found = Vec::new();
    for (first, last) in uids.ranges() {
        let mut rows = query.query(params![signed(mailbox), first.value(), last.value()])?;
        while let Some(row) = rows.next()? {
            let size = number(row, 1)?;
            found.extend(Uid::new(row.get(0)?).map(|uid| (uid, summary(row, 2, size))));
        }
    }
    Ok(found)
}

/// A summary from the columns `id, sum, prefix, summary` of a content, `at` and
/// after.
pub(super) fn summary(row: &Row<'_>, at: usize, size: u64) -> Option<Summary> {
    let id = number(row, at).ok()?;
    let (prefix, octets) = (
        row.get_ref(at + 2).ok()?.as_blob().ok()?,
        row.get_ref(at + 3).ok()?.as_blob().ok()?,
    );
    let sound = row.get::<_, u32>(at + 1).ok()? == content_sum(id, prefix, octets);
    let summary = sound.then(|| Summary::decode(octets).ok())??;
    (summary.size == size).then_some(summary)
}

/// Where a body lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyRow {
    pub(crate) id: u64,
    /// A segment, or one of [`super::apply::LOST`] and `IN_EXTENT`.
    pub(crate) segment: i64,
    /// Which of the segment's files.
    pub(crate) generation: u32,
    pub(crate) place: u64,
    /// The group whose frame it is; 0 in extents.
    pub(crate) lsn: u64,
    pub(crate) length: u64,
}

fn body_row(row: &Row<'_>) -> rusqlite::Result<BodyRow> {
    Ok(BodyRow {
        id: number(row, 0)?,
        segment: row.get(1)?,
        place: number(row, 2)?,
        lsn: number(row, 3)?,
        length: number(row, 4)?,
        generation: row.get(5)?,
    })
}

pub(crate) fn body(conn: &Connection, id: u64) -> rusqlite::Result<Option<BodyRow>> {
    conn.prepare_cached(
        "SELECT id, segment, place, lsn, length, generation FROM bodies WHERE id = ?",
    )?
    .query_row([signed(id)], body_row)
    .optional()
}

pub(crate) fn body_hash(conn: &Connection, id: u64) -> rusqlite::Result<Option<[u8; 32]>> {
    conn.prepare_cached("SELECT hash FROM bodies WHERE id = ?")?
        .query_row([signed(id)], |row| row.get(0))
        .optional()
}

/// Up to `limit` bodies after `after`, by id, with their hashes.
pub(crate) fn bodies(
    conn: &Connection,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(BodyRow, [u8; 32])>> {
    conn.prepare_cached(
        "SELECT id, segment, place, lsn, length, generation, hash FROM bodies WHERE id > ? ORDER BY id LIMIT ?",
    )?
    .query_map(params![signed(after), signed(limit as u64)], |row| {
        Ok((body_row(row)?, row.get(6)?))
    })?
    .collect()
}

/// What a message is made of.
#[derive(Debug, Clone)]
pub(crate) struct ContentRow {
    pub(crate) prefix: Vec<u8>,
    pub(crate) body: BodyRow,
}

/// The prefix and body of those messages of `uids` that exist, ascending;
/// `None` when a row is missing or damaged. The email id, being a hash of both,
/// shows that message, prefix and body belong together.
pub(crate) fn contents(
    conn: &Connection,
    mailbox: u64,
    uids: &UidSet,
) -> rusqlite::Result<Vec<(Uid, Option<ContentRow>)>> {
    let mut query = conn.prepare_cached(
        "SELECT bodies.id, segment, place, lsn, length, generation, hash, prefix, size, email_id, uid
         FROM messages LEFT JOIN contents ON contents.id = content LEFT JOIN bodies ON bodies.id = body
         WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid",
    )?;
    let mut found = Vec::new();
    for (first, last) in uids.ranges() {
        let mut rows = query.query(params![signed(mailbox), first.value(), last.value()])?;
        while let Some(row) = rows.next()? {
            let uid = Uid::new(row.get(10)?);
            found.extend(uid.map(|uid| (uid, content_row(row).unwrap_or(None))));
        }
    }
    Ok(found)
}

fn content_row(row: &Row<'_>) -> rusqlite::Result<Option<ContentRow>> {
    let (body, hash) = (body_row(row)?, row.get::<_, [u8; 32]>(6)?);
    let prefix: Vec<u8> = row.get(7)?;
    let sound = number(row, 8)? == prefix.len() as u64 + body.length
        && id128(row, 9)? == email_id(&prefix, &hash);
    Ok(sound.then_some(ContentRow { prefix, body }))
}

/// Where a delivery came to lie: mailbox, UID, ModSeq.
pub(crate) fn delivery(conn: &Connection, id: u128) -> rusqlite::Result<Option<(u64, u32, u64)>> {
    conn.prepare_cached("SELECT mailbox, uid, modseq FROM deliveries WHERE id = ?")?
        .query_row([&id.to_be_bytes()[..]], |row| {
            Ok((number(row, 0)?, row.get(1)?, number(row, 2)?))
        })
        .optional()
}

fn state_value(row: &Row<'_>, at: usize) -> rusqlite::Result<StateValue> {
    Ok(StateValue {
        value: row.get(at)?,
        version: number(row, at + 1)?,
        expires: row
            .get::<_, Option<i64>>(at + 2)?
            .map(Timestamp::from_millis),
    })
}

/// A value, unless it has expired at `now`.
pub(crate) fn state(
    conn: &Connection,
    namespace: &str,
    key: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<StateValue>> {
    conn.prepare_cached(
        "SELECT value, version, expires FROM state WHERE namespace = ? AND key = ? AND (expires IS NULL OR expires > ?)",
    )?
    .query_row(params![namespace, key, now.millis()], |row| state_value(row, 0))
    .optional()
}

/// Which part of a namespace to read.
#[derive(Debug)]
pub(crate) struct StateRange<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) after: Option<&'a str>,
    pub(crate) limit: usize,
}

/// Values whose keys start with the prefix, in key order.
pub(crate) fn state_scan(
    conn: &Connection,
    range: &StateRange<'_>,
    now: Timestamp,
) -> rusqlite::Result<Vec<(Arc<str>, StateValue)>> {
    let mut query = conn.prepare_cached(
        "SELECT key, value, version, expires FROM state WHERE namespace = ? AND key >= ?
         AND (expires IS NULL OR expires > ?) ORDER BY key",
    )?;
    let from = range
        .after
        .map_or(range.prefix, |after| after.max(range.prefix));
    let mut rows = query.query(params![range.namespace, from, now.millis()])?;
    let mut found = Vec::new();
    while found.len() < range.limit
        && let Some(row) = rows.next()?
    {
        let key: Arc<str> = row.get(0)?;
        if !key.starts_with(range.prefix) {
            break;
        }
        if range.after.is_none_or(|after| &*key > after) {
            found.push((key, state_value(row, 1)?));
        }
    }
    Ok(found)
}

/// Up to `limit` events after `after`; those that cannot be read are left out.
pub(crate) fn events(
    conn: &Connection,
    after: EventCursor,
    limit: usize,
) -> rusqlite::Result<Vec<StoredEvent>> {
    let rows = conn
        .prepare_cached(
            "SELECT cursor, event FROM events WHERE cursor > ? ORDER BY cursor LIMIT ?",
        )?
        .query_map(params![signed(after.0), signed(limit as u64)], |row| {
            Ok((number(row, 0)?, row.get::<_, Vec<u8>>(1)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let decoded = rows.into_iter().filter_map(|(cursor, octets)| {
        let event = Event::decode(&octets)
            .inspect_err(
                |error| tracing::warn!(cursor, %error, "an event in the outbox cannot be read"),
            )
            .ok()?;
        Some(StoredEvent {
            cursor: EventCursor(cursor),
            event,
        })
    });
    Ok(decoded.collect())
}

/// The cursor of the oldest event kept.
pub(crate) fn first_event(conn: &Connection) -> rusqlite::Result<Option<u64>> {
    conn.prepare_cached("SELECT min(cursor) FROM events")?
        .query_row([], |row| row.get::<_, Option<i64>>(0))
        .map(|it| it.map(unsigned))
}

//! Messages that are removed and can be brought back: their rows, what holds
//! their contents, and letting go of both when their time is over.

use std::sync::Arc;

use mailcore::mailbox::{MailboxName, Uid};
use mailcore::message::Summary;
use mailcore::seams::{RemovedId, RemovedMessage, RemovedQuery};
use mailcore::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::read::{self, MESSAGE, MessageRow};
use super::{Index, signed, unsigned};
use crate::embedded::record::Keep;

/// Messages let go of in one step, so that no message waits long.
const STEP: usize = 2_000;

impl Index {
    /// Takes messages out of a mailbox; their flags and sizes. Where they can
    /// be brought back, their row and what holds their content lives on in
    /// `expunged`.
    pub(super) fn take_messages(
        &mut self,
        mailbox: u64,
        (first, last): (u32, u32),
        (modseq, (keep, at)): (u64, (Keep, i64)),
    ) -> rusqlite::Result<Vec<(u8, i64)>> {
        self.release_held(mailbox)?;
        // What was in a mailbox whose record is gone is nobody's, and what was
        // brought back from it needs its content all the same.
        let place = match (keep, self.mailbox(mailbox)?) {
            (Keep::Nothing, _) => None,
            (Keep::ForUndelete, Some(it)) => Some((it.account.clone(), it.name.clone())),
            (Keep::ForUndelete, None) => Some((Arc::from(""), String::new())),
        };
        if let Some((account, name)) = &place {
            self.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO expunged SELECT mailbox, uid, ?4, content, flags, keywords,
                     size, internal_date, save_date, email_id, thread, ?5, ?6, ?7 FROM messages
                     WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3",
                )?
                .execute(params![
                    signed(mailbox),
                    first,
                    last,
                    signed(modseq),
                    account,
                    name,
                    at
                ])?;
        }
        let gone: Vec<(i64, u8, i64)> = self
            .conn
            .prepare_cached(
                "DELETE FROM messages WHERE mailbox = ? AND uid BETWEEN ? AND ? RETURNING content, flags, size",
            )?
            .query_map(params![signed(mailbox), first, last], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        if place.is_none() {
            for (content, _, _) in &gone {
                self.count_content(*content, -1)?;
            }
        }
        Ok(gone
            .into_iter()
            .map(|(_, flags, size)| (flags, size))
            .collect())
    }

    pub(super) fn apply_forget(
        &mut self,
        mailbox: u64,
        uids: &[(u32, u32)],
    ) -> rusqlite::Result<()> {
        for (first, last) in uids {
            let contents: Vec<i64> = self
                .conn
                .prepare_cached(
                    "DELETE FROM expunged WHERE mailbox = ? AND uid BETWEEN ? AND ? RETURNING content",
                )?
                .query_map(params![signed(mailbox), first, last], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for content in contents {
                self.count_content(content, -1)?;
            }
        }
        Ok(())
    }

    /// Lets go of messages removed at `until` or before, a step at a time;
    /// true when there are more. The step's end is written down, so that a
    /// check of the log against the index knows what went.
    pub(crate) fn release_removed(&self, until: i64) -> rusqlite::Result<bool> {
        let step: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT expunged_at FROM expunged WHERE expunged_at <= ? ORDER BY expunged_at LIMIT 1 OFFSET ?",
            )?
            .query_row(params![until, signed(STEP as u64)], |row| row.get(0))
            .optional()?;
        let until = step.unwrap_or(until);
        self.conn
            .prepare_cached("UPDATE meta SET released = max(released, ?)")?
            .execute([until])?;
        let contents: Vec<i64> = self
            .conn
            .prepare_cached("DELETE FROM expunged WHERE expunged_at <= ? RETURNING content")?
            .query_map([until], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for content in &contents {
            self.count_content(*content, -1)?;
        }
        Ok(step.is_some())
    }

    /// Lets go of all that another index of the same log has let go of.
    pub(crate) fn release_as(&mut self, other: &Connection) -> rusqlite::Result<()> {
        let until = other.query_row("SELECT released FROM main.meta", [], |row| row.get(0))?;
        self.begin()?;
        while self.release_removed(until)? {}
        self.commit()
    }
}

/// A removed message as its row says.
#[derive(Debug)]
pub(crate) struct RemovedRow {
    pub(crate) id: RemovedId,
    /// What its mailbox was called.
    pub(crate) name: String,
    pub(crate) removed_at: Timestamp,
    pub(crate) message: MessageRow,
    summary: Option<Summary>,
}

fn removed_row(row: &Row<'_>) -> rusqlite::Result<RemovedRow> {
    let message = read::message(row)?;
    let mailbox = mailcore::mailbox::MailboxId(row.get(10).map(unsigned)?);
    Ok(RemovedRow {
        id: RemovedId {
            mailbox,
            uid: message.info.uid,
        },
        name: row.get(11)?,
        removed_at: Timestamp::from_millis(row.get(12)?),
        summary: read::summary(row, 13, message.info.size),
        message,
    })
}

const REMOVED: &str = "mailbox, name, expunged_at, contents.id, sum, prefix, summary
    FROM expunged LEFT JOIN contents ON contents.id = content";

/// The account's removed messages, the latest first; none removed at `until`
/// or before.
pub(crate) fn removed(
    conn: &Connection,
    account: &str,
    query: &RemovedQuery,
    until: i64,
) -> rusqlite::Result<Vec<RemovedMessage>> {
    let since = query.since.map_or(i64::MIN, Timestamp::millis);
    let (at, id) = match query.after {
        Some((at, id)) => (at.millis(), Some(id)),
        None => (i64::MAX, None),
    };
    let name = query.mailbox.as_ref().map(MailboxName::as_str);
    let rows: Vec<RemovedRow> = conn
        .prepare_cached(&format!(
            "SELECT {MESSAGE}, {REMOVED} WHERE account = :account AND expunged_at > :until
             AND expunged_at >= :since AND expunged_at <= :at
             AND (:mailbox IS NULL OR (expunged_at, mailbox, uid) < (:at, :mailbox, :uid))
             AND (:name IS NULL OR name = :name)
             ORDER BY expunged_at DESC, mailbox DESC, uid DESC LIMIT :limit"
        ))?
        .query_map(
            named_params! {
                ":account": account,
                ":until": until,
                ":since": since,
                ":at": at,
                ":mailbox": id.map(|it| signed(it.mailbox.0)),
                ":uid": id.map(|it| it.uid.value()),
                ":name": name,
                ":limit": signed(query.limit as u64),
            },
            removed_row,
        )?
        .collect::<rusqlite::Result<_>>()?;
    let readable = rows.into_iter().filter_map(|row| {
        Some(RemovedMessage {
            id: row.id,
            mailbox: MailboxName::parse(&row.name).ok()?,
            removed_at: row.removed_at,
            info: row.message.info,
            summary: row.summary.map(Arc::new),
        })
    });
    Ok(readable.collect())
}

/// A removed message of the account, unless it was removed at `until` or
/// before.
pub(crate) fn removed_by_id(
    conn: &Connection,
    account: &str,
    id: RemovedId,
    until: i64,
) -> rusqlite::Result<Option<RemovedRow>> {
    conn.prepare_cached(&format!(
        "SELECT {MESSAGE}, {REMOVED} WHERE mailbox = ? AND uid = ? AND account = ? AND expunged_at > ?"
    ))?
    .query_row(
        params![signed(id.mailbox.0), Uid::value(id.uid), account, until],
        removed_row,
    )
    .optional()
}

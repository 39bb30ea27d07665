//! Applying effects to the tables: the one way in, for what is committed now,
//! for replay after a crash and for building the index anew.
//!
//! Every value comes from the effect, so applying decides nothing.

use std::sync::Arc;

use mailcore::envelope::Priority;
use mailcore::mailbox::Flags;
use mailcore::queue::{EntryStateKind, Urgency, decode_params, decode_progress};
use rusqlite::{OptionalExtension, params};

use super::cache::MailboxState;
use super::held::Difference;
use super::{Index, signed, unsigned};
use crate::embedded::body::EXTENT_BODIES;
use crate::embedded::log::{Lsn, SegmentFile};
use crate::embedded::record::{BodySource, Effect, Filed, Keep, keywords_text};

/// Where a group's body frames lie, and when it was committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) lsn: Lsn,
    pub(crate) file: SegmentFile,
    /// Offsets of the body frames; `None` for a lost one.
    pub(crate) bodies: &'a [Option<u64>],
    /// Milliseconds since 1970.
    pub(crate) at: i64,
}

/// The `segment` of a body whose frame is lost.
pub(crate) const LOST: i64 = -1;
/// The `segment` of a body in an extent file.
pub(crate) const IN_EXTENT: i64 = 0;

impl Index {
    /// Applies one effect.
    ///
    /// # Errors
    /// When SQLite fails: the whole group must be rolled back.
    pub(crate) fn apply(&mut self, effect: &Effect, origin: Origin<'_>) -> rusqlite::Result<()> {
        match effect {
            Effect::Body {
                id,
                source,
                length,
                hash,
            } => self.apply_body(*id, *source, (*length, hash), origin),
            Effect::Content {
                id,
                body,
                prefix,
                summary,
            } => self.apply_content(*id, *body, prefix, summary),
            Effect::File(filed) => self.apply_file(filed),
            Effect::Delivery {
                id,
                mailbox,
                uid,
                modseq,
            } => self
                .conn
                .prepare_cached("INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?)")?
                .execute(params![
                    &id.to_be_bytes()[..],
                    signed(*mailbox),
                    uid,
                    signed(*modseq),
                    origin.at
                ])
                .map(drop),
            Effect::Flags {
                mailbox,
                modseq,
                messages,
            } => self.apply_flags(*mailbox, *modseq, messages),
            Effect::Expunge {
                mailbox,
                modseq,
                uids,
                keep,
            } => self.apply_expunge((*mailbox, *modseq), uids, (*keep, origin.at)),
            Effect::DeleteMailbox { id, keep } => self.apply_delete(*id, *keep, origin.at),
            Effect::CreateMailbox {
                id,
                account,
                name,
                uid_validity,
                special_use,
            } => {
                let empty = MailboxState::empty(*id, account, name, *uid_validity);
                let state = empty.ok_or(rusqlite::Error::IntegralValueOutOfRange(3, 0))?;
                self.apply_create(MailboxState {
                    special_use: special_use.clone(),
                    ..state
                })
            }
            other => self.apply_rest(other),
        }
    }

    fn apply_rest(&mut self, effect: &Effect) -> rusqlite::Result<()> {
        match effect {
            Effect::RenameMailbox { id, name } => self.apply_rename(*id, name),
            Effect::Subscribe { account, name } => self.apply_subscription(
                "INSERT OR IGNORE INTO subscriptions VALUES (?, ?)",
                (account, name),
            ),
            Effect::Unsubscribe { account, name } => self.apply_subscription(
                "DELETE FROM subscriptions WHERE account = ? AND name = ?",
                (account, name),
            ),
            Effect::Rights {
                mailbox,
                identifier,
                rights,
            } => self.apply_rights(*mailbox, identifier, rights.as_deref()),
            Effect::Forget { mailbox, uids } => self.apply_forget(*mailbox, uids),
            Effect::Enqueue {
                id,
                body,
                fixed,
                progress,
            } => self.apply_enqueue(*id, *body, fixed, progress),
            Effect::Progress { id, progress } => self.apply_progress(*id, progress),
            Effect::Dequeue { id } => self.apply_dequeue(*id),
            Effect::Put {
                namespace,
                key,
                value,
                version,
                expires,
            } => {
                self.counters.version = self.counters.version.max(version + 1);
                self.conn
                    .prepare_cached("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)")?
                    .execute(params![namespace, key, value, signed(*version), expires])
                    .map(drop)
            }
            Effect::Drop { namespace, key } => self
                .conn
                .prepare_cached("DELETE FROM state WHERE namespace = ? AND key = ?")?
                .execute(params![namespace, key])
                .map(drop),
            Effect::Event { cursor, event } => {
                self.counters.event = self.counters.event.max(cursor + 1);
                self.conn
                    .prepare_cached("INSERT OR REPLACE INTO events VALUES (?, ?)")?
                    .execute(params![signed(*cursor), event])
                    .map(drop)
            }
            // The other half is in `apply`.
            other => self.apply_counted(other),
        }
    }

    fn apply_body(
        &mut self,
        id: u64,
        source: BodySource,
        (length, hash): (u64, &[u8; 32]),
        origin: Origin<'_>,
    ) -> rusqlite::Result<()> {
        let generation = match source {
            BodySource::Extent(_) => 0,
            BodySource::Frame(_) => origin.file.generation,
        };
        let (segment, place) = match source {
            BodySource::Extent(extent) => (IN_EXTENT, signed(extent)),
            BodySource::Frame(index) => {
                match origin.bodies.get(index as usize).copied().flatten() {
                    Some(offset) => (signed(origin.file.id.0), signed(offset)),
                    None => (LOST, 0),
                }
            }
        };
        if id < EXTENT_BODIES {
            self.counters.body = self.counters.body.max(id + 1);
        }
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?, ?, ?, 0, ?)")?
            .execute(params![
                signed(id),
                segment,
                place,
                signed(origin.lsn.0),
                signed(length),
                &hash[..],
                generation
            ])
            .map(drop)
    }

    fn apply_content(
        &mut self,
        id: u64,
        body: u64,
        prefix: &[u8],
        summary: &[u8],
    ) -> rusqlite::Result<()> {
        self.counters.content = self.counters.content.max(id + 1);
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO contents VALUES (?, ?, 0, ?, ?, ?)")?
            .execute(params![
                signed(id),
                signed(body),
                content_sum(id, prefix, summary),
                prefix,
                summary
            ])?;
        self.count_body(body, 1)
    }

    fn count_body(&self, body: u64, change: i64) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("UPDATE bodies SET refs = refs + ? WHERE id = ?")?
            .execute(params![change, signed(body)])
            .map(drop)
    }

    pub(super) fn count_content(&self, content: i64, change: i64) -> rusqlite::Result<()> {
        let left: Option<(i64, i64)> = self
            .conn
            .prepare_cached(
                "UPDATE contents SET refs = refs + ? WHERE id = ? RETURNING refs, body",
            )?
            .query_row(params![change, content], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        if let Some((refs, body)) = left
            && refs <= 0
        {
            self.conn
                .prepare_cached("DELETE FROM contents WHERE id = ?")?
                .execute([content])?;
            self.count_body(unsigned(body), -1)?;
        }
        Ok(())
    }

    fn apply_file(&mut self, filed: &Filed) -> rusqlite::Result<()> {
        self.release_held_at(filed.mailbox, filed.uid)?;
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                signed(filed.mailbox),
                filed.uid,
                signed(filed.modseq),
                signed(filed.content),
                filed.flags.system_bits(),
                keywords_text(&filed.flags),
                signed(filed.size),
                filed.internal_date,
                filed.save_date,
                &filed.email_id.to_be_bytes()[..],
                filed.thread.map(u64::cast_signed),
            ])?;
        self.apply_thread(filed)?;
        self.count_content(signed(filed.content), 1)?;
        self.filed.entry(filed.mailbox).or_insert(filed.uid);
        self.change_mailbox(filed.mailbox, |state| {
            state.uid_next = state.uid_next.max(u64::from(filed.uid) + 1);
            state.modseq = state.modseq.max(filed.modseq);
            state.add(&filed.flags, filed.size);
        })
    }

    /// A mailbox that is missing (its record was damaged) has no counters.
    pub(super) fn change_mailbox(
        &mut self,
        id: u64,
        change: impl FnOnce(&mut MailboxState),
    ) -> rusqlite::Result<()> {
        self.mailbox(id)?;
        if let Some(state) = self.cache.change(id) {
            change(state);
        }
        Ok(())
    }

    fn apply_flags(
        &mut self,
        mailbox: u64,
        modseq: u64,
        messages: &[(u32, u32, Flags)],
    ) -> rusqlite::Result<()> {
        let Difference { unseen, deleted } = self.change_held(mailbox, modseq, messages)?;
        self.change_mailbox(mailbox, |state| {
            state.modseq = state.modseq.max(modseq);
            state.unseen = state.unseen.saturating_add_signed(unseen);
            state.deleted = state.deleted.saturating_add_signed(deleted);
        })
    }

    /// What leads from this message to its thread, when that is not plain.
    fn apply_thread(&mut self, filed: &Filed) -> rusqlite::Result<()> {
        if let (Some(key), Some(thread)) = (filed.thread_key, filed.thread)
            && let Some(account) = self.mailbox(filed.mailbox)?.map(|it| it.account.clone())
        {
            self.conn
                .prepare_cached("INSERT OR REPLACE INTO threads VALUES (?, ?, ?)")?
                .execute(params![account, key.cast_signed(), thread.cast_signed()])?;
        }
        Ok(())
    }

    fn apply_expunge(
        &mut self,
        (mailbox, modseq): (u64, u64),
        uids: &[(u32, u32)],
        kept: (Keep, i64),
    ) -> rusqlite::Result<()> {
        let mut gone = Vec::new();
        for (first, last) in uids {
            gone.extend(self.take_messages(mailbox, (*first, *last), (modseq, kept))?);
            self.conn
                .prepare_cached("INSERT OR REPLACE INTO vanished VALUES (?, ?, ?, ?)")?
                .execute(params![signed(mailbox), signed(modseq), first, last])?;
        }
        self.vanished_in.insert(mailbox);
        self.change_mailbox(mailbox, |state| {
            state.modseq = state.modseq.max(modseq);
            gone.iter()
                .for_each(|(flags, size)| state.subtract(*flags, unsigned(*size)));
        })
    }

    fn apply_subscription(
        &mut self,
        sql: &str,
        (account, name): (&str, &str),
    ) -> rusqlite::Result<()> {
        self.touched.insert(Arc::from(account));
        self.conn
            .prepare_cached(sql)?
            .execute(params![account, name])
            .map(drop)
    }

    fn apply_create(&mut self, state: MailboxState) -> rusqlite::Result<()> {
        self.counters.mailbox = self.counters.mailbox.max(state.id + 1);
        self.counters.validity = self
            .counters
            .validity
            .max(state.uid_validity.value().saturating_add(1));
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO mailboxes VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?)",
            )?
            .execute(params![
                signed(state.id),
                &*state.account,
                state.name,
                state.uid_validity.value(),
                signed(state.uid_next),
                signed(state.modseq),
                state.special_use,
            ])?;
        self.touched.insert(state.account.clone());
        self.cache.insert(state);
        Ok(())
    }

    fn apply_delete(&mut self, id: u64, keep: Keep, at: i64) -> rusqlite::Result<()> {
        let state = self.mailbox(id)?.cloned();
        let modseq = state.as_ref().map_or(0, |it| it.modseq);
        self.take_messages(id, (0, u32::MAX), (modseq, (keep, at)))?;
        self.touched.extend(state.map(|it| it.account));
        for table in ["vanished", "rights", "overviews"] {
            self.conn
                .prepare_cached(&format!("DELETE FROM {table} WHERE mailbox = ?"))?
                .execute([signed(id)])?;
        }
        self.conn
            .prepare_cached("DELETE FROM mailboxes WHERE id = ?")?
            .execute([signed(id)])?;
        self.cache.remove(id);
        self.deleted.push(id);
        Ok(())
    }

    fn apply_rename(&mut self, id: u64, name: &str) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("UPDATE OR REPLACE mailboxes SET name = ? WHERE id = ?")?
            .execute(params![name, signed(id)])?;
        if let Some(mut state) = self.mailbox(id)?.cloned() {
            self.cache.remove(id);
            self.touched.insert(state.account.clone());
            name.clone_into(&mut state.name);
            self.cache.insert(state);
            self.cache.change(id);
        }
        Ok(())
    }

    fn apply_enqueue(
        &mut self,
        id: u128,
        body: u64,
        fixed: &[u8],
        progress: &[u8],
    ) -> rusqlite::Result<()> {
        let Place { state, due, tried } = Place::of(progress);
        let priority = decode_params(fixed).map_or(Priority::NORMAL, |params| params.priority);
        let urgency = Urgency::new(priority, u32::from(tried));
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO spool VALUES (?, ?, ?, ?, ?, ?, ?)")?
            .execute(params![
                &id.to_be_bytes()[..],
                signed(body),
                state,
                urgency.number(),
                due,
                fixed,
                progress
            ])?;
        self.count_body(body, 1)
    }

    fn apply_progress(&mut self, id: u128, progress: &[u8]) -> rusqlite::Result<()> {
        let Place { state, due, tried } = Place::of(progress);
        // An odd urgency is one before the first attempt.
        self.conn
            .prepare_cached(
                "UPDATE spool SET state = ?, due = ?, progress = ?,
                 priority = priority - (priority & ?) WHERE id = ?",
            )?
            .execute(params![
                state,
                due,
                progress,
                i64::from(tried),
                &id.to_be_bytes()[..]
            ])
            .map(drop)
    }

    fn apply_dequeue(&mut self, id: u128) -> rusqlite::Result<()> {
        let body: Option<i64> = self
            .conn
            .prepare_cached("DELETE FROM spool WHERE id = ? RETURNING body")?
            .query_row([&id.to_be_bytes()[..]], |row| row.get(0))
            .optional()?;
        body.map_or(Ok(()), |body| self.count_body(unsigned(body), -1))
    }
}

/// Tells a damaged row of `contents`: SQLite has no checksums of its own.
pub(crate) fn content_sum(id: u64, prefix: &[u8], summary: &[u8]) -> u32 {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&id.to_le_bytes()), prefix);
    crc32c::crc32c_append(sum, summary)
}

/// Where an entry stands: in which state, when it is due, whether it was tried.
struct Place {
    state: u8,
    due: i64,
    tried: bool,
}

impl Place {
    /// One whose progress cannot be read is not tried: an operator has to look at
    /// it.
    fn of(progress: &[u8]) -> Self {
        match decode_progress(progress) {
            Ok(progress) => Self {
                state: progress.state.kind().number(),
                due: progress.due().millis(),
                tried: progress.attempts > 0,
            },
            Err(_) => Self {
                state: EntryStateKind::Bad.number(),
                due: i64::MAX,
                tried: true,
            },
        }
    }
}

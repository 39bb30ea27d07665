//! What of a run is still needed: decided effect by effect, from what the index
//! shows and from what the run says itself.
//!
//! Once something is gone from the index nothing brings it back, so that each
//! decision stays right however long ago it was made; bodies are the exception,
//! and are barred before the run counts. An effect that takes something away
//! goes only when nothing older can state that thing again.
//!
//! The index is not trusted alone where mail is at stake: a message goes only
//! when its mailbox is gone or remembers that it was expunged, and what a kept
//! message is made of must be there.

use std::collections::{BTreeSet, HashMap, HashSet};

use mailcore::mailbox::{Flags, ModSeq, Uid, UidSet};
use rusqlite::{Connection, OptionalExtension, params};

use super::census::{Census, Spot};
use crate::embedded::index::{MadeOne, read, signed, spool, unsigned};
use crate::embedded::record::{Effect, Filed, Keep, put_alike};

/// Why a run is left as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error("the index: {0}")]
    Index(#[from] rusqlite::Error),
    /// The index contradicts the log or itself.
    #[error("the index and the log disagree on {0}; check the store")]
    Disagree(String),
}

/// Decides for one run.
#[derive(Debug)]
pub(super) struct Keeper<'k> {
    pub(super) conn: &'k Connection,
    pub(super) census: &'k Census,
    /// Nothing lies before the run.
    pub(super) is_prefix: bool,
    /// Mailboxes that lost effects.
    pub(super) lost: HashSet<u64>,
    /// Events were left out.
    pub(super) lost_events: bool,
    /// Bodies left out.
    pub(super) dropped: Vec<u64>,
    /// Queue entries of the run that were kept.
    entries: HashSet<u128>,
    expunges: HashMap<u64, MadeOne>,
    /// Expunges that were made one.
    pub(super) made_one: Vec<MadeOne>,
    /// Keys of messages left out that still lead to their threads.
    pub(super) threads: HashMap<u64, Vec<(u64, u64)>>,
    /// Messages that are gone and were kept since something has their content.
    carried: BTreeSet<(u64, u32)>,
    /// What mailboxes remember as expunged.
    vanished: HashMap<u64, UidSet>,
}

impl<'k> Keeper<'k> {
    pub(super) fn new(conn: &'k Connection, census: &'k Census, is_prefix: bool) -> Self {
        Self {
            conn,
            census,
            is_prefix,
            lost: HashSet::new(),
            lost_events: false,
            dropped: Vec::new(),
            entries: HashSet::new(),
            expunges: HashMap::new(),
            made_one: Vec::new(),
            threads: HashMap::new(),
            carried: BTreeSet::new(),
            vanished: HashMap::new(),
        }
    }

    /// Appends what is left of an effect to `kept`.
    pub(super) fn decide(
        &mut self,
        spot: Spot,
        effect: Effect,
        kept: &mut Vec<Effect>,
    ) -> Result<(), KeepError> {
        let keep = match &effect {
            Effect::Body { id, .. } => self.body(*id)?,
            Effect::Content { id, body, .. } => self.content(*id, *body)?,
            Effect::File(filed) => self.file(filed)?,
            Effect::Delivery { id, .. } => read::delivery(self.conn, *id)?.is_some(),
            Effect::Flags {
                mailbox,
                modseq,
                messages,
            } => {
                let left = self.flags(*mailbox, *modseq, messages)?;
                kept.extend(left);
                return Ok(());
            }
            Effect::Expunge { .. } => {
                let merged = self.expunge(&effect)?;
                kept.extend(self.merged_expunge(spot, &effect));
                !merged
            }
            Effect::CreateMailbox { id, .. } => self.stands(*id)?,
            Effect::RenameMailbox { id, .. } => {
                self.stands(*id)? || !self.is_begun_here(self.census.made.contains(id))
            }
            Effect::Put { .. } => {
                let left = self.put(spot, effect)?;
                kept.extend(left);
                return Ok(());
            }
            other => self.keeps_rest(spot, other)?,
        };
        if keep {
            kept.push(effect);
        }
        Ok(())
    }

    fn keeps_rest(&mut self, spot: Spot, effect: &Effect) -> Result<bool, KeepError> {
        Ok(match effect {
            Effect::Subscribe { account, name } => {
                let key = (account.clone(), name.clone());
                self.census.subscriptions.get(&key) == Some(&spot)
            }
            Effect::Unsubscribe { account, name } => {
                let key = (account.clone(), name.clone());
                self.census.subscriptions.get(&key) == Some(&spot) && !self.is_prefix
            }
            Effect::Enqueue { id, body, .. } => {
                let row = spool::entry(self.conn, *id)?;
                let keep = row.is_some_and(|row| row.body == *body);
                if keep {
                    self.must_have_body(*body, "a queue entry")?;
                    self.entries.insert(*id);
                }
                keep
            }
            Effect::Progress { id, progress } => {
                spool::entry(self.conn, *id)?.is_some_and(|row| row.progress == *progress)
            }
            Effect::Dequeue { id } => {
                let begun = self.is_begun_here(self.census.begins(*id));
                !begun || self.entries.contains(id)
            }
            Effect::Drop { namespace, key } => {
                let key = (namespace.clone(), key.clone());
                self.census.states.get(&key) == Some(&spot) && !self.is_prefix
            }
            Effect::Event { cursor, .. } => {
                let keep = self.has("SELECT 1 FROM events WHERE cursor = ?", *cursor)?;
                self.lost_events |= !keep;
                keep
            }
            Effect::Rights {
                mailbox,
                identifier,
                ..
            } => {
                let key = (*mailbox, identifier.clone());
                let begun = self.is_begun_here(self.census.made.contains(mailbox));
                self.census.rights.get(&key) == Some(&spot)
                    && (!begun || self.is_mailbox(*mailbox)?)
            }
            // Both are written anew at the end of the run.
            Effect::Floor(floor) => {
                self.lost.insert(floor.mailbox);
                for (key, thread) in &floor.threads {
                    self.lost_thread(floor.mailbox, *key, *thread)?;
                }
                false
            }
            Effect::Numbers(_) => false,
            _ => true,
        })
    }

    /// Nothing that counts can state the thing again: it began in this run,
    /// where that is left out too, or there is nothing before.
    fn is_begun_here(&self, in_run: bool) -> bool {
        self.is_prefix || in_run
    }

    fn has(&self, sql: &str, number: u64) -> rusqlite::Result<bool> {
        self.conn.prepare_cached(sql)?.exists([signed(number)])
    }

    pub(super) fn is_mailbox(&self, id: u64) -> rusqlite::Result<bool> {
        self.has("SELECT 1 FROM mailboxes WHERE id = ?", id)
    }

    /// The mailbox is there, or messages that can be brought back were in it.
    pub(super) fn stands(&self, id: u64) -> rusqlite::Result<bool> {
        Ok(self.is_mailbox(id)? || self.has("SELECT 1 FROM expunged WHERE mailbox = ?", id)?)
    }

    /// A message among these was removed and can be brought back.
    fn is_removed(&self, mailbox: u64, (first, last): (u32, u32)) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached("SELECT 1 FROM expunged WHERE mailbox = ? AND uid BETWEEN ? AND ?")?
            .exists(params![signed(mailbox), first, last])
    }

    fn lost_thread(&mut self, mailbox: u64, key: u64, thread: u64) -> rusqlite::Result<()> {
        let leads = self
            .conn
            .prepare_cached(
                "SELECT 1 FROM threads WHERE key = ? AND thread = ?
                 AND account = (SELECT account FROM mailboxes WHERE id = ?)",
            )?
            .exists([key.cast_signed(), thread.cast_signed(), signed(mailbox)])?;
        if leads {
            self.threads.entry(mailbox).or_default().push((key, thread));
        }
        Ok(())
    }

    fn has_body(&self, id: u64) -> rusqlite::Result<bool> {
        self.has("SELECT 1 FROM bodies WHERE id = ? AND refs > 0", id)
    }

    fn must_have_body(&self, id: u64, what: &str) -> Result<(), KeepError> {
        match self.has_body(id)? {
            true => Ok(()),
            false => Err(KeepError::Disagree(format!("body {id} of {what}"))),
        }
    }

    fn body(&mut self, id: u64) -> Result<bool, KeepError> {
        let keep = self.has_body(id)?;
        if !keep {
            self.dropped.push(id);
        }
        Ok(keep)
    }

    fn content(&self, id: u64, body: u64) -> Result<bool, KeepError> {
        let keep = self.has("SELECT 1 FROM contents WHERE id = ?", id)?;
        if keep {
            self.must_have_body(body, "a message")?;
        }
        Ok(keep)
    }

    /// A message that is gone stays in the log for as long as another has its
    /// content: without it the content would be let go of before the other
    /// message refers to it.
    fn file(&mut self, filed: &Filed) -> Result<bool, KeepError> {
        let Filed {
            mailbox,
            uid,
            content,
            ..
        } = filed;
        let there =
            self.modseq(*mailbox, *uid)?.is_some() || self.is_removed(*mailbox, (*uid, *uid))?;
        if self.has("SELECT 1 FROM contents WHERE id = ?", *content)? {
            if !there {
                self.carried.insert((*mailbox, *uid));
            }
            return Ok(true);
        }
        if there {
            return Err(KeepError::Disagree(format!("the content of message {uid}")));
        }
        self.lost.insert(*mailbox);
        if self.is_mailbox(*mailbox)? && !self.is_vanished(*mailbox, *uid)? {
            let what = format!("message {uid} of mailbox {mailbox}");
            return Err(KeepError::Disagree(what));
        }
        if let (Some(key), Some(thread)) = (filed.thread_key, filed.thread) {
            self.lost_thread(*mailbox, key, thread)?;
        }
        Ok(false)
    }

    fn modseq(&self, mailbox: u64, uid: u32) -> rusqlite::Result<Option<u64>> {
        self.conn
            .prepare_cached("SELECT modseq FROM messages WHERE mailbox = ? AND uid = ?")?
            .query_row(params![signed(mailbox), uid], |row| {
                row.get(0).map(unsigned)
            })
            .optional()
    }

    fn is_vanished(&mut self, mailbox: u64, uid: u32) -> rusqlite::Result<bool> {
        let uid = Uid::new(uid);
        let covers = |held: &UidSet| uid.is_some_and(|uid| held.contains(uid));
        if self.vanished.get(&mailbox).is_some_and(covers) {
            return Ok(true);
        }
        let now = read::vanished(self.conn, mailbox, ModSeq::MIN)?;
        let found = covers(&now);
        self.vanished.insert(mailbox, now);
        Ok(found)
    }

    /// Those flags that are a message's last.
    fn flags(
        &mut self,
        mailbox: u64,
        modseq: u64,
        messages: &[(u32, u32, Flags)],
    ) -> Result<Option<Effect>, KeepError> {
        let mut left: Vec<(u32, u32, Flags)> = Vec::new();
        for (first, last, flags) in messages {
            for uid in *first..=*last {
                let is_last = self.modseq(mailbox, uid)? == Some(modseq);
                if is_last || self.is_removed(mailbox, (uid, uid))? {
                    put_alike(&mut left, uid, flags);
                } else {
                    self.lost.insert(mailbox);
                }
            }
        }
        Ok((!left.is_empty()).then_some(Effect::Flags {
            mailbox,
            modseq,
            messages: left,
        }))
    }

    /// True when the expunge is left out, to be told with the last one of its
    /// mailbox. One whose messages can be brought back stays as it is, and so
    /// does one whose messages may have been: their contents must be held until
    /// the group that brought them back.
    fn expunge(&mut self, effect: &Effect) -> Result<bool, KeepError> {
        let Effect::Expunge {
            mailbox,
            modseq,
            uids,
            keep,
        } = effect
        else {
            return Ok(false);
        };
        for range in uids {
            if self.is_removed(*mailbox, *range)? {
                return Ok(false);
            }
        }
        let begun = self.is_begun_here(self.census.made.contains(mailbox));
        let carries = uids.iter().any(|(first, last)| {
            let range = (*mailbox, *first)..=(*mailbox, *last);
            self.carried.range(range).next().is_some()
        });
        if *keep == Keep::ForUndelete && (carries || !begun) {
            return Ok(false);
        }
        // Without the mailbox, what the run itself made is left out with it.
        if begun && !self.stands(*mailbox)? {
            return Ok(!carries);
        }
        let merged = self.expunges.entry(*mailbox).or_insert_with(|| MadeOne {
            mailbox: *mailbox,
            modseqs: Vec::new(),
            uids: Vec::new(),
        });
        merged.modseqs.push(*modseq);
        merged.uids.extend(uids);
        Ok(true)
    }

    /// All expunges of a mailbox in this run as one, in the place of the last:
    /// no UID is used twice, so that it may come later than it did.
    fn merged_expunge(&mut self, spot: Spot, effect: &Effect) -> Option<Effect> {
        let Effect::Expunge { mailbox, .. } = effect else {
            return None;
        };
        if self.census.expunges.get(mailbox) != Some(&spot) {
            return None;
        }
        let mut merged = self.expunges.remove(mailbox)?;
        let ranges = merged
            .uids
            .iter()
            .filter_map(|(first, last)| Some((Uid::new(*first)?, Uid::new(*last)?)));
        merged.uids = UidSet::from_ranges(ranges)
            .ranges()
            .map(|(first, last)| (first.value(), last.value()))
            .collect();
        merged.modseqs.sort_unstable();
        let effect = Effect::Expunge {
            mailbox: *mailbox,
            modseq: merged.modseqs.last().copied()?,
            uids: merged.uids.clone(),
            keep: Keep::Nothing,
        };
        self.made_one.push(merged);
        Some(effect)
    }

    /// A value that is not there any more may have left without a record, as
    /// expired ones do; what an older group says of the key must not come back.
    fn put(&self, spot: Spot, effect: Effect) -> Result<Option<Effect>, KeepError> {
        let Effect::Put {
            namespace,
            key,
            version,
            ..
        } = &effect
        else {
            return Ok(None);
        };
        let names = (namespace.clone(), key.clone());
        if self.census.states.get(&names) != Some(&spot) {
            return Ok(None);
        }
        let row: Option<i64> = self
            .conn
            .prepare_cached("SELECT version FROM state WHERE namespace = ? AND key = ?")?
            .query_row(params![namespace, key], |row| row.get(0))
            .optional()?;
        Ok(match row {
            // Replaced by a later group.
            Some(newer) if unsigned(newer) > *version => None,
            Some(_) => Some(effect),
            None if self.is_prefix => None,
            None => {
                let (namespace, key) = names;
                Some(Effect::Drop { namespace, key })
            }
        })
    }
}

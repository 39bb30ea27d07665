//! Messages in mailboxes: filing, flags, copies, moves, expunges.

use mailcore::account::AccountId;
use mailcore::event::{Event, EventName};
use mailcore::mailbox::{
    EmailId, FlagChange, Flags, MAX_KEYWORDS, MailboxId, MailboxName, ModSeq, SystemFlag,
    ThreadKeys, Uid, UidSet,
};
use mailcore::seams::{Appended, CopyReceipt, QuotaLimit, QuotaUsage, StoreError, StoreReceipt};
use mailcore::time::Timestamp;

use super::{
    AppendInput, BodyInput, BodyRef, MAX_MESSAGES, MAX_UID, MailboxState, Refusal, Sequencer,
};
use crate::embedded::index::read::{self, MessageRow};
use crate::embedded::record::{Effect, Filed, Keep, email_id, keywords_text, put_alike};

/// Octets of flags that one request may write.
const MAX_FLAG_OCTETS: usize = 8 << 20;
/// Ranges of UIDs in one event; further ones come in events of their own.
const MAX_EVENT_RANGES: usize = 500;

/// A message to file, its summary already in the stored form.
#[derive(Debug, Clone)]
pub(crate) struct NewMessageInput {
    pub(crate) body: BodyInput,
    pub(crate) prefix: Vec<u8>,
    pub(crate) summary: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) flags: Flags,
    pub(crate) internal_date: Timestamp,
    pub(crate) thread: ThreadKeys,
}

/// A message whose body is known to the store.
#[derive(Debug)]
pub(super) struct Filing<'m> {
    pub(super) body: BodyRef,
    pub(super) prefix: &'m [u8],
    pub(super) summary: &'m [u8],
    pub(super) size: u64,
    pub(super) flags: &'m Flags,
    pub(super) internal_date: Timestamp,
    pub(super) thread: ThreadKeys,
}

impl Sequencer<'_> {
    /// APPEND: all or none.
    pub(crate) fn append(
        &mut self,
        mailbox: u64,
        messages: &[NewMessageInput],
        quota: QuotaLimit,
    ) -> Result<Vec<Appended>, Refusal> {
        let state = self.mailbox(mailbox)?;
        let more = messages.iter().map(|it| QuotaUsage::message(it.size)).sum();
        self.within_quota(&state.account, quota, (more, QuotaUsage::default()))?;
        self.within_limit(messages.len() as u64)?;
        self.room(&state, messages.len())?;
        for message in messages {
            check_keywords(&message.flags)?;
        }
        let mut done = Vec::with_capacity(messages.len());
        for message in messages {
            let body = self.body(&message.body)?;
            done.push(self.file_new(&state, message, body)?);
        }
        Ok(done)
    }

    /// REPLACE: the new message, and the old one gone.
    pub(crate) fn replace(
        &mut self,
        mailbox: u64,
        uid: Uid,
        to: &MailboxName,
        (message, quota): (&NewMessageInput, QuotaLimit),
    ) -> Result<Appended, Refusal> {
        let state = self.mailbox(mailbox)?;
        let old = self.index.messages(mailbox, &UidSet::range(uid, uid))?;
        let replaced = old.first().ok_or(StoreError::NotFound)?.usage();
        let change = (QuotaUsage::message(message.size), replaced);
        self.within_quota(&state.account, quota, change)?;
        let there = self.existing_target(&state.account, to)?;
        if let Some(target) = &there {
            self.room(target, 1)?;
        }
        check_keywords(&message.flags)?;
        // From here on nothing is refused any more.
        let body = self.body(&message.body)?;
        let target = self.target(&state.account, to)?;
        let appended = self.file_new(&target, message, body)?;
        self.expunge_rows(mailbox, &old, self.removed())?;
        Ok(appended)
    }

    fn file_new(
        &mut self,
        state: &MailboxState,
        message: &NewMessageInput,
        body: BodyRef,
    ) -> Result<Appended, Refusal> {
        let filing = Filing {
            body,
            prefix: &message.prefix,
            summary: &message.summary,
            size: message.size,
            flags: &message.flags,
            internal_date: message.internal_date,
            thread: message.thread,
        };
        let appended = self.file(state.id, &filing)?;
        let arrival = Arrival::Appended { size: message.size };
        self.filed_event(state, &appended, arrival)?;
        Ok(appended)
    }

    /// Files a message under the next UID.
    pub(super) fn file(&mut self, mailbox: u64, filing: &Filing<'_>) -> Result<Appended, Refusal> {
        let state = self.mailbox(mailbox)?;
        let content = self.index.counters.content;
        self.emit(Effect::Content {
            id: content,
            body: filing.body.id,
            prefix: filing.prefix.to_vec(),
            summary: filing.summary.to_vec(),
        })?;
        let (uid, modseq) = next(&state)?;
        let email_id = email_id(filing.prefix, &filing.body.hash);
        let conn = self.index.connection();
        let known = |key| read::thread(conn, &state.account, key);
        let threaded = filing.thread.thread(EmailId(email_id), known)?;
        self.emit(Effect::File(Filed {
            mailbox,
            uid: uid.value(),
            modseq: modseq.value(),
            content,
            flags: filing.flags.clone(),
            size: filing.size,
            internal_date: filing.internal_date.millis(),
            save_date: self.now.millis(),
            email_id,
            thread: Some(threaded.thread.0),
            thread_key: threaded.keep.map(|it| it.0),
        }))?;
        Ok(Appended {
            mailbox: MailboxId(mailbox),
            uid_validity: state.uid_validity,
            uid,
            modseq,
        })
    }

    /// The store's own event for a message filed.
    pub(super) fn filed_event(
        &mut self,
        state: &MailboxState,
        appended: &Appended,
        arrival: Arrival<'_>,
    ) -> Result<(), Refusal> {
        let (name, size) = match arrival {
            Arrival::Delivered(append) => (EventName::MessageNew, append.message.size),
            Arrival::Appended { size } => (EventName::MessageAppend, size),
        };
        let mut event = self
            .mailbox_event(name, state)
            .with("uid", appended.uid)
            .with("size", size);
        if let Arrival::Delivered(append) = arrival {
            event.trace = Some(append.trace);
            if let Some(to) = &append.recipient {
                event = event.with("to", to);
            }
        }
        self.event(&event)
    }

    /// The store's own events for messages changed or gone; none for no message.
    pub(super) fn uids_event(&mut self, event: &Event, uids: &UidSet) -> Result<(), Refusal> {
        for part in uids.parts(MAX_EVENT_RANGES) {
            let event = Event {
                id: self.event_id(),
                ..event.clone()
            };
            self.event(&event.with("uids", part))?;
        }
        Ok(())
    }

    /// An event about a mailbox, its fields so far `mailbox` and `uid_validity`.
    pub(super) fn mailbox_event(&self, name: EventName, state: &MailboxState) -> Event {
        let event = Event {
            id: self.event_id(),
            at: self.now,
            name,
            trace: None,
            account: Some(AccountId::new(&state.account)),
            fields: Vec::new(),
        };
        event
            .with("mailbox", &state.name)
            .with("uid_validity", state.uid_validity)
    }

    /// STORE.
    pub(crate) fn store(
        &mut self,
        mailbox: u64,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<StoreReceipt, Refusal> {
        let state = self.mailbox(mailbox)?;
        let modseq = state.modseq + 1;
        let mut receipt = StoreReceipt::default();
        let (mut changed, mut changes, mut octets) = (Vec::new(), 0, 0);
        let mut modified = Vec::new();
        for row in self.index.rows_to_change(mailbox, uids)? {
            let mut info = row.clone();
            let flags = change.apply(&info.flags);
            if unchanged_since.is_some_and(|since| info.modseq > since) {
                modified.push(info.uid);
            } else if flags != info.flags {
                changes += 1;
                if put_alike(&mut changed, info.uid.value(), &flags) {
                    check_keywords(&flags)?;
                    octets += keywords_text(&flags).len() + 16;
                }
                info.flags = flags;
                info.modseq = ModSeq::new(modseq).unwrap_or(info.modseq);
            }
            receipt.messages.push(info);
        }
        receipt.modified = modified.into_iter().collect();
        self.within_limit(changes)?;
        if octets > MAX_FLAG_OCTETS {
            return Err(StoreError::Limit("flags changed at once").into());
        }
        if !changed.is_empty() {
            receipt.modseq = ModSeq::new(modseq);
            let ranges = changed
                .iter()
                .filter_map(|(first, last, _)| Uid::new(*first).zip(Uid::new(*last)));
            let uids = UidSet::from_ranges(ranges);
            self.emit(Effect::Flags {
                mailbox,
                modseq,
                messages: changed,
            })?;
            let name = match change {
                FlagChange::Remove(_) => EventName::FlagsClear,
                _ => EventName::FlagsSet,
            };
            let event = self.mailbox_event(name, &state);
            self.uids_event(&event.with("flags", change.told()), &uids)?;
        }
        Ok(receipt)
    }

    /// The mailbox that messages of an account are to go to; `None` for an
    /// INBOX that is not made yet.
    fn existing_target(
        &mut self,
        account: &str,
        to: &MailboxName,
    ) -> Result<Option<MailboxState>, Refusal> {
        let there = self.mailbox_named(&AccountId::new(account), to.as_str())?;
        match there.is_none() && !to.is_inbox() {
            true => Err(StoreError::NoSuchMailbox.into()),
            false => Ok(there),
        }
    }

    /// As [`Sequencer::existing_target`], INBOX made when it is missing.
    fn target(&mut self, account: &str, to: &MailboxName) -> Result<MailboxState, Refusal> {
        match self.existing_target(account, to)? {
            Some(target) => Ok(target),
            None => self.inbox(&AccountId::new(account)),
        }
    }

    /// COPY, and MOVE when the originals are to go.
    pub(crate) fn copy(
        &mut self,
        mailbox: u64,
        uids: &UidSet,
        to: &MailboxName,
        originals: Originals,
    ) -> Result<CopyReceipt, Refusal> {
        let state = self.mailbox(mailbox)?;
        let there = self.existing_target(&state.account, to)?;
        let rows = self.index.messages(mailbox, uids)?;
        self.within_limit(rows.len() as u64)?;
        if let Originals::Keep(quota) = originals {
            let more = rows.iter().map(MessageRow::usage).sum();
            self.within_quota(&state.account, quota, (more, QuotaUsage::default()))?;
        }
        if let Some(target) = &there {
            self.room(target, rows.len())?;
        }
        let target = self.target(&state.account, to)?;
        let pairs = self.copy_rows(&rows, target.id)?;
        if originals == Originals::Expunge {
            // They live on where they went.
            self.expunge_rows(mailbox, &rows, Keep::Nothing)?;
        }
        Ok(CopyReceipt {
            uid_validity: target.uid_validity,
            pairs,
        })
    }

    /// EXPUNGE: those of `uids` that have `\Deleted`.
    pub(crate) fn expunge(&mut self, mailbox: u64, uids: &UidSet) -> Result<UidSet, Refusal> {
        self.mailbox(mailbox)?;
        let mut rows = self.index.messages(mailbox, uids)?;
        rows.retain(|row| row.info.flags.contains(SystemFlag::Deleted));
        self.expunge_rows(mailbox, &rows, self.removed())
    }

    /// Removes messages whatever their flags.
    pub(crate) fn remove(&mut self, mailbox: u64, uids: &UidSet) -> Result<UidSet, Refusal> {
        self.mailbox(mailbox)?;
        let rows = read::messages(self.index.connection(), mailbox, uids)?;
        self.expunge_rows(mailbox, &rows, self.removed())
    }

    /// What becomes of messages that are removed.
    pub(super) fn removed(&self) -> Keep {
        match self.shared.undelete_for.is_zero() {
            true => Keep::Nothing,
            false => Keep::ForUndelete,
        }
    }

    pub(super) fn copy_rows(
        &mut self,
        rows: &[MessageRow],
        target: u64,
    ) -> Result<Vec<(Uid, Uid)>, Refusal> {
        let mut pairs = Vec::with_capacity(rows.len());
        let state = self.mailbox(target)?;
        let (mut uid, modseq) = (state.uid_next, state.modseq + 1);
        for MessageRow { info, content } in rows {
            let new = u32::try_from(uid).ok().and_then(Uid::new).ok_or(FULL)?;
            self.emit(Effect::File(Filed {
                mailbox: target,
                uid: new.value(),
                modseq,
                content: *content,
                flags: info.flags.clone(),
                size: info.size,
                internal_date: info.internal_date.millis(),
                save_date: self.now.millis(),
                email_id: info.email_id.0,
                thread: info.thread_id.map(|it| it.0),
                thread_key: None,
            }))?;
            pairs.push((info.uid, new));
            uid += 1;
        }
        Ok(pairs)
    }

    pub(super) fn expunge_rows(
        &mut self,
        mailbox: u64,
        rows: &[MessageRow],
        keep: Keep,
    ) -> Result<UidSet, Refusal> {
        let gone: UidSet = rows.iter().map(|row| row.info.uid).collect();
        if !gone.is_empty() {
            let state = self.mailbox(mailbox)?;
            let modseq = state.modseq + 1;
            let uids = gone
                .ranges()
                .map(|(first, last)| (first.value(), last.value()))
                .collect();
            self.emit(Effect::Expunge {
                mailbox,
                modseq,
                uids,
                keep,
            })?;
            let event = self.mailbox_event(EventName::MessageExpunge, &state);
            self.uids_event(&event, &gone)?;
        }
        Ok(gone)
    }

    /// Whether the account may hold so much `more` and so much less.
    pub(super) fn within_quota(
        &self,
        account: &str,
        quota: QuotaLimit,
        (more, less): (QuotaUsage, QuotaUsage),
    ) -> Result<(), Refusal> {
        if quota == QuotaLimit::NONE {
            return Ok(());
        }
        let before = self.index.usage(account)?;
        match quota.permits(before, before.plus(more).minus(less)) {
            true => Ok(()),
            false => Err(StoreError::OverQuota.into()),
        }
    }

    pub(super) fn within_limit(&self, messages: u64) -> Result<(), Refusal> {
        match messages > MAX_MESSAGES as u64 {
            true => Err(StoreError::Limit("messages changed at once").into()),
            false => Ok(()),
        }
    }

    /// Whether the mailbox has UIDs for so many more.
    pub(super) fn room(&self, state: &MailboxState, messages: usize) -> Result<(), Refusal> {
        match state.uid_next + messages as u64 > MAX_UID {
            true => Err(FULL.into()),
            false => Ok(()),
        }
    }
}

/// How a message came in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arrival<'a> {
    /// By delivery.
    Delivered(&'a AppendInput),
    /// From a client, in octets.
    Appended { size: u64 },
}

/// What becomes of the messages copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Originals {
    /// They stay, and the copies count.
    Keep(QuotaLimit),
    Expunge,
}

pub(super) const FULL: StoreError = StoreError::Limit("UIDs of the mailbox");

fn next(state: &MailboxState) -> Result<(Uid, ModSeq), Refusal> {
    let uid = u32::try_from(state.uid_next)
        .ok()
        .and_then(Uid::new)
        .ok_or(FULL)?;
    Ok((uid, ModSeq::new(state.modseq + 1).ok_or(FULL)?))
}

pub(super) fn check_keywords(flags: &Flags) -> Result<(), StoreError> {
    match flags.keywords().count() > MAX_KEYWORDS {
        true => Err(StoreError::Limit("keywords of a message")),
        false => Ok(()),
    }
}

//! The tables of a memory store and the changes that touch more than one.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::batch::{Append, DeliveryId};
use mailcore::event::{Event, EventId, EventName};
use mailcore::mailbox::{
    FlagChange, MailboxId, MailboxName, MessageKey, ThreadId, ThreadKeys, Threaded, Uid, UidSet,
    UidValidity,
};
use mailcore::seams::{
    Appended, CopyReceipt, NewMessage, QuotaLimit, QuotaUsage, StoreError, StoreReceipt,
};
use mailcore::time::Timestamp;

use super::account::Account;
use super::content::{Budget, Charge};
use super::events::EventLog;
use super::folder::{Arrival, Body, FlagRequest, Folder, Row};
use super::removed::RemovedTable;
use super::spool::SpoolTable;
use super::state::StateTable;
use super::{MemoryLimits, Moment};

/// Ranges of UIDs in one event; further ones come in events of their own.
const MAX_EVENT_RANGES: usize = 500;

/// Everything a memory store knows. Its methods check first and change after,
/// so that an error leaves it as it was.
pub(super) struct Core {
    pub(super) limits: MemoryLimits,
    pub(super) budget: Arc<Budget>,
    pub(super) accounts: HashMap<AccountId, Account>,
    pub(super) folders: HashMap<MailboxId, Folder>,
    pub(super) deliveries: Deliveries,
    pub(super) spool: SpoolTable,
    pub(super) state: StateTable,
    pub(super) events: EventLog,
    pub(super) removed: RemovedTable,
    /// Accounts changed since the watchers were told.
    pub(super) touched: BTreeSet<AccountId>,
    last_mailbox_id: u64,
    last_uid_validity: u32,
}

/// Whether a transfer leaves the messages where they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// They stay, and the copies count.
    Copy(QuotaLimit),
    Move,
}

impl Core {
    pub(super) fn new(limits: MemoryLimits, now: Timestamp) -> Self {
        Self {
            limits,
            budget: Budget::new(limits.octets),
            accounts: HashMap::new(),
            folders: HashMap::new(),
            deliveries: Deliveries::new(limits.deliveries),
            spool: SpoolTable::default(),
            state: StateTable::new(limits.state),
            events: EventLog::new(limits.events),
            removed: RemovedTable::default(),
            touched: BTreeSet::new(),
            last_mailbox_id: 0,
            // Seconds of the clock, so that a mailbox of the same name in the
            // next process has another UIDVALIDITY (RFC 9051 section 2.3.1.1).
            last_uid_validity: u32::try_from(now.secs().max(0)).unwrap_or(0),
        }
    }

    pub(super) fn next_mailbox_id(&mut self) -> MailboxId {
        self.last_mailbox_id += 1;
        MailboxId(self.last_mailbox_id)
    }

    pub(super) fn next_uid_validity(&mut self) -> UidValidity {
        loop {
            self.last_uid_validity = self.last_uid_validity.wrapping_add(1);
            if let Some(value) = UidValidity::new(self.last_uid_validity) {
                return value;
            }
        }
    }

    pub(super) fn folder(&self, id: MailboxId) -> Result<&Folder, StoreError> {
        self.folders.get(&id).ok_or(StoreError::NoSuchMailbox)
    }

    pub(super) fn folder_mut(&mut self, id: MailboxId) -> Result<&mut Folder, StoreError> {
        self.folders.get_mut(&id).ok_or(StoreError::NoSuchMailbox)
    }

    /// The mailbox of that name; INBOX is made when it is missing.
    pub(super) fn find(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
        moment: Moment<'_>,
    ) -> Result<MailboxId, StoreError> {
        let found = self
            .accounts
            .get(account)
            .and_then(|account| account.names.get(name));
        match found {
            Some(id) => Ok(*id),
            None if name.is_inbox() => self.make(account, name, None, moment),
            None => Err(StoreError::NoSuchMailbox),
        }
    }

    /// Adds new messages, all or none.
    pub(super) fn append(
        &mut self,
        id: MailboxId,
        messages: &[NewMessage],
        quota: QuotaLimit,
        moment: Moment<'_>,
    ) -> Result<Vec<Appended>, StoreError> {
        let account = self.folder(id)?.account.clone();
        let more = messages
            .iter()
            .map(|it| QuotaUsage::message(it.message.len()))
            .sum();
        self.within_quota(&account, quota, (more, QuotaUsage::default()))?;
        let mut threads = Vec::with_capacity(messages.len());
        let mut arrivals = Vec::with_capacity(messages.len());
        for new in messages {
            let body = Arc::new(Body {
                message: new.message.clone(),
                summary: Arc::clone(&new.summary),
                email_id: mailcore::mailbox::EmailId(moment.id()),
                charge: self.charge(new.message.len())?,
            });
            let threaded = self.thread(&account, &body, &threads);
            threads.extend(threaded.keep.map(|key| (key, threaded.thread)));
            arrivals.push(Arrival {
                body,
                flags: new.flags.clone(),
                internal_date: new.internal_date,
                thread: Some(threaded.thread),
            });
        }
        let folder = self.folder_mut(id)?;
        let uids = folder.append(arrivals, moment.now)?;
        let (uid_validity, modseq) = (folder.uid_validity, folder.highest);
        if let Some(account) = self.accounts.get_mut(&account) {
            account.threads.extend(threads);
        }
        self.touch(&account);
        let appended = |uid| Appended {
            mailbox: id,
            uid_validity,
            uid,
            modseq,
        };
        Ok(uids.into_iter().map(appended).collect())
    }

    /// Takes octets of the budget; what can still be brought back gives way.
    fn charge(&mut self, octets: u64) -> Result<Charge, StoreError> {
        loop {
            match self.budget.charge(octets) {
                Err(StoreError::DiskFull) if self.removed.release_first() => {}
                other => return other,
            }
        }
    }

    /// Notes that something of the account changed.
    pub(super) fn touch(&mut self, account: &AccountId) {
        self.touched.insert(account.clone());
    }

    fn touch_owner(&mut self, id: MailboxId) {
        let owner = self.folders.get(&id).map(|it| it.account.clone());
        self.touched.extend(owner);
    }

    /// The thread of a message, with what earlier messages of the same change
    /// add to the account's table.
    fn thread(&self, account: &AccountId, body: &Body, new: &[(MessageKey, ThreadId)]) -> Threaded {
        let table = self.accounts.get(account).map(|it| &it.threads);
        let known = |key| {
            let added = new.iter().rev().find(|(it, _)| *it == key);
            let kept = added.map(|(_, thread)| *thread);
            Ok::<_, Infallible>(kept.or_else(|| table?.get(&key).copied()))
        };
        let Ok(threaded) = ThreadKeys::of(&body.summary).thread(body.email_id, known);
        threaded
    }

    /// Whether the account may hold so much `more` and so much less.
    pub(super) fn within_quota(
        &self,
        account: &AccountId,
        quota: QuotaLimit,
        (more, less): (QuotaUsage, QuotaUsage),
    ) -> Result<(), StoreError> {
        let before = self.usage(account);
        match quota.permits(before, before.plus(more).minus(less)) {
            true => Ok(()),
            false => Err(StoreError::OverQuota),
        }
    }

    /// Adds a message to `to` and removes one from `from`, both or none.
    pub(super) fn replace(
        &mut self,
        (from, to): (MailboxId, MailboxId),
        uid: Uid,
        (new, quota): (&NewMessage, QuotaLimit),
        moment: Moment<'_>,
    ) -> Result<Appended, StoreError> {
        let folder = self.folder(from)?;
        let old = folder.row(uid).ok_or(StoreError::NotFound)?.usage();
        let change = (QuotaUsage::message(new.message.len()), old);
        self.within_quota(&folder.account.clone(), quota, change)?;
        let added = std::slice::from_ref(new);
        let appended = self
            .append(to, added, QuotaLimit::NONE, moment)?
            .pop()
            .ok_or(StoreError::NotFound)?;
        self.note_appended(&EventName::MessageAppend, &appended, None, moment);
        self.remove(from, &UidSet::range(uid, uid), moment)?;
        Ok(appended)
    }

    /// Copies or moves messages between mailboxes, all or none.
    pub(super) fn transfer(
        &mut self,
        (from, to): (MailboxId, MailboxId),
        uids: &UidSet,
        transfer: Transfer,
        moment: Moment<'_>,
    ) -> Result<CopyReceipt, StoreError> {
        if let Transfer::Copy(quota) = transfer {
            let folder = self.folder(from)?;
            let more = folder.rows(uids).map(Row::usage).sum();
            self.within_quota(
                &folder.account.clone(),
                quota,
                (more, QuotaUsage::default()),
            )?;
        }
        let (old, arrivals): (Vec<Uid>, Vec<Arrival>) = self
            .folder(from)?
            .rows(uids)
            .map(|row| (row.info.uid, row.as_arrival()))
            .unzip();
        let target = self.folder_mut(to)?;
        let new = target.append(arrivals, moment.now)?;
        let uid_validity = target.uid_validity;
        self.touch_owner(to);
        if transfer == Transfer::Move {
            let tombstones = self.limits.tombstones;
            let gone: UidSet = old.iter().copied().collect();
            // They live on where they went.
            drop(self.folder_mut(from)?.remove(&gone, tombstones));
            self.note_uids(EventName::MessageExpunge, from, &gone, moment);
        }
        Ok(CopyReceipt {
            uid_validity,
            pairs: old.into_iter().zip(new).collect(),
        })
    }

    /// Changes flags.
    pub(super) fn store(
        &mut self,
        id: MailboxId,
        request: &FlagRequest<'_>,
        moment: Moment<'_>,
    ) -> Result<StoreReceipt, StoreError> {
        let (receipt, changed) = self.folder_mut(id)?.store(request)?;
        let name = match request.change {
            FlagChange::Remove(_) => EventName::FlagsClear,
            FlagChange::Add(_) | FlagChange::Replace(_) => EventName::FlagsSet,
        };
        let event = self.mailbox_event(name, id, moment);
        let event = event.map(|event| event.with("flags", request.change.told()));
        self.note_parts(event, id, &changed, moment);
        Ok(receipt)
    }

    /// Removes messages with `\Deleted`.
    pub(super) fn expunge(
        &mut self,
        id: MailboxId,
        uids: &UidSet,
        moment: Moment<'_>,
    ) -> Result<UidSet, StoreError> {
        let gone = self.folder(id)?.deleted_among(uids);
        self.remove(id, &gone, moment)?;
        Ok(gone)
    }

    /// Removes messages whatever their flags.
    pub(super) fn remove_among(
        &mut self,
        id: MailboxId,
        uids: &UidSet,
        moment: Moment<'_>,
    ) -> Result<UidSet, StoreError> {
        let gone = self.folder(id)?.uids_among(uids);
        self.remove(id, &gone, moment)?;
        Ok(gone)
    }

    /// Removes messages for good.
    fn remove(
        &mut self,
        id: MailboxId,
        gone: &UidSet,
        moment: Moment<'_>,
    ) -> Result<(), StoreError> {
        let tombstones = self.limits.tombstones;
        let folder = self.folder_mut(id)?;
        let rows = folder.remove(gone, tombstones);
        let (account, name) = (folder.account.clone(), folder.name.clone());
        self.keep_removed((&account, id, &name), rows, moment.now);
        self.note_uids(EventName::MessageExpunge, id, gone, moment);
        Ok(())
    }

    /// Octets of the account's messages, and how many there are.
    pub(super) fn usage(&self, account: &AccountId) -> QuotaUsage {
        let mut usage = QuotaUsage::default();
        let ids = self.accounts.get(account).map(|it| it.names.values());
        for folder in ids
            .into_iter()
            .flatten()
            .filter_map(|id| self.folders.get(id))
        {
            usage.octets += folder.size;
            usage.messages += folder.count();
        }
        usage
    }

    /// Raises `name` for messages that changed or went; for none, nothing.
    pub(super) fn note_uids(
        &mut self,
        name: EventName,
        id: MailboxId,
        uids: &UidSet,
        moment: Moment<'_>,
    ) {
        let event = self.mailbox_event(name, id, moment);
        self.note_parts(event, id, uids, moment);
    }

    /// As [`Core::note_uids`], with an event to which only the UIDs are added.
    fn note_parts(
        &mut self,
        event: Option<Event>,
        id: MailboxId,
        uids: &UidSet,
        moment: Moment<'_>,
    ) {
        if !uids.is_empty() {
            self.touch_owner(id);
        }
        let Some(event) = event else { return };
        for part in uids.parts(MAX_EVENT_RANGES) {
            let event = Event {
                id: EventId(moment.id()),
                ..event.clone()
            };
            self.events.push(event.with("uids", part));
        }
    }

    /// An event about a mailbox, its fields so far `mailbox` and `uid_validity`.
    pub(super) fn mailbox_event(
        &self,
        name: EventName,
        id: MailboxId,
        moment: Moment<'_>,
    ) -> Option<Event> {
        let folder = self.folders.get(&id)?;
        let event = Event {
            id: EventId(moment.id()),
            at: moment.now,
            name,
            trace: None,
            account: Some(folder.account.clone()),
            fields: Vec::new(),
        };
        Some(
            event
                .with("mailbox", &folder.name)
                .with("uid_validity", folder.uid_validity),
        )
    }

    /// Raises `name` for each message just appended.
    pub(super) fn note_appended(
        &mut self,
        name: &EventName,
        appended: &Appended,
        append: Option<&Append>,
        moment: Moment<'_>,
    ) {
        let size = self
            .folders
            .get(&appended.mailbox)
            .and_then(|folder| folder.row(appended.uid))
            .map_or(0, |row| row.info.size);
        if let Some(event) = self.mailbox_event(name.clone(), appended.mailbox, moment) {
            let mut event = event.with("uid", appended.uid).with("size", size);
            if let Some(append) = append {
                event.trace = Some(append.trace);
                if let Some(recipient) = &append.recipient {
                    event = event.with("to", recipient);
                }
            }
            self.events.push(event);
        }
    }
}

/// The last deliveries, so that one that is repeated is filed once.
pub(super) struct Deliveries {
    filed: HashMap<DeliveryId, Appended>,
    order: VecDeque<DeliveryId>,
    limit: usize,
}

impl Deliveries {
    fn new(limit: usize) -> Self {
        Self {
            filed: HashMap::new(),
            order: VecDeque::new(),
            limit,
        }
    }

    pub(super) fn find(&self, id: DeliveryId) -> Option<&Appended> {
        self.filed.get(&id)
    }

    pub(super) fn remember(&mut self, id: DeliveryId, appended: Appended) {
        if self.filed.insert(id, appended).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > self.limit {
            if let Some(oldest) = self.order.pop_front() {
                self.filed.remove(&oldest);
            }
        }
    }
}

//! Messages that are removed and can be brought back, in the order of their
//! removal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::event::EventName;
use mailcore::mailbox::{MailboxId, MailboxName, SystemFlag, UidSet};
use mailcore::seams::{
    Appended, QuotaLimit, QuotaUsage, RemovedId, RemovedMessage, RemovedQuery, StoreError, Undelete,
};
use mailcore::time::Timestamp;

use super::folder::{Arrival, Row};
use super::tables::Core;
use super::{MemoryStore, Moment};

/// A removed message.
struct Removed {
    account: AccountId,
    name: MailboxName,
    row: Row,
}

/// All removed messages.
#[derive(Default)]
pub(super) struct RemovedTable {
    rows: BTreeMap<(Timestamp, RemovedId), Removed>,
    times: HashMap<RemovedId, Timestamp>,
}

impl RemovedTable {
    fn take(&mut self, id: RemovedId) -> Option<Removed> {
        let at = self.times.remove(&id)?;
        self.rows.remove(&(at, id))
    }

    fn find(&self, account: &AccountId, id: RemovedId) -> Option<&Removed> {
        let at = self.times.get(&id)?;
        self.rows
            .get(&(*at, id))
            .filter(|it| it.account == *account)
    }

    /// Lets go of the one removed first, if there is one.
    pub(super) fn release_first(&mut self) -> bool {
        let first = self.rows.pop_first();
        if let Some(((_, id), _)) = &first {
            self.times.remove(id);
        }
        first.is_some()
    }

    /// Lets go of all removed at `until` or before.
    pub(super) fn release(&mut self, until: Timestamp) {
        while self
            .rows
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= until)
        {
            self.release_first();
        }
    }

    fn list(&self, account: &AccountId, query: &RemovedQuery) -> Vec<RemovedMessage> {
        let end = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let latest_first = self.rows.range((Bound::Unbounded, end)).rev();
        latest_first
            .take_while(|((at, _), _)| query.since.is_none_or(|since| *at >= since))
            .filter(|(_, it)| it.account == *account)
            .filter(|(_, it)| query.mailbox.as_ref().is_none_or(|name| it.name == *name))
            .take(query.limit)
            .map(|((at, id), it)| RemovedMessage {
                id: *id,
                mailbox: it.name.clone(),
                removed_at: *at,
                info: it.row.info.clone(),
                summary: Some(Arc::clone(&it.row.body.summary)),
            })
            .collect()
    }
}

impl Core {
    /// Keeps rows that were taken out of a mailbox for a while.
    pub(super) fn keep_removed(
        &mut self,
        (account, mailbox, name): (&AccountId, MailboxId, &MailboxName),
        rows: Vec<Row>,
        now: Timestamp,
    ) {
        if self.limits.undelete_for.is_zero() {
            return;
        }
        for row in rows {
            let id = RemovedId {
                mailbox,
                uid: row.info.uid,
            };
            let removed = Removed {
                account: account.clone(),
                name: name.clone(),
                row,
            };
            self.removed.times.insert(id, now);
            self.removed.rows.insert((now, id), removed);
        }
    }

    /// Lets go of what has had its time.
    pub(super) fn release_removed(&mut self, now: Timestamp) {
        let age = i64::try_from(self.limits.undelete_for.as_millis()).unwrap_or(i64::MAX);
        let until = now.millis().saturating_sub(age);
        self.removed.release(Timestamp::from_millis(until));
    }

    fn restore(
        &mut self,
        account: &AccountId,
        messages: &[RemovedId],
        (into, quota): (Option<&MailboxName>, QuotaLimit),
        moment: Moment<'_>,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut asked = BTreeSet::new();
        let mut more = QuotaUsage::default();
        let mut names = Vec::with_capacity(messages.len());
        for id in messages {
            let found = self.removed.find(account, *id);
            let row = found
                .filter(|_| asked.insert(*id))
                .ok_or(StoreError::NotFound)?;
            more = more.plus(row.row.usage());
            let there = self.folders.get(&id.mailbox).map(|it| &it.name);
            names.push(into.or(there).unwrap_or(&row.name).clone());
        }
        self.within_quota(account, quota, (more, QuotaUsage::default()))?;
        self.check_new_names(account, &names)?;
        self.check_room(account, &names)?;
        let mut places = BTreeMap::new();
        for name in names.iter().collect::<BTreeSet<_>>() {
            let id = match self.find(account, name, moment) {
                Err(StoreError::NoSuchMailbox) => self.create(account, name, None, moment)?,
                found => found?,
            };
            places.insert(name, id);
        }
        let mut done = vec![None; messages.len()];
        for (name, id) in &places {
            self.restore_into(*id, (messages, &names, name), &mut done, moment)?;
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// Whether each mailbox has UIDs for those that go there.
    fn check_room(&self, account: &AccountId, names: &[MailboxName]) -> Result<(), StoreError> {
        let mut counts: BTreeMap<&MailboxName, usize> = BTreeMap::new();
        for name in names {
            *counts.entry(name).or_default() += 1;
        }
        let held = self.accounts.get(account).map(|it| &it.names);
        let full = counts.into_iter().any(|(name, count)| {
            let id = held.and_then(|held| held.get(name));
            let folder = id.and_then(|id| self.folders.get(id));
            folder.is_some_and(|folder| !folder.has_room(count))
        });
        match full {
            true => Err(StoreError::Limit("the mailbox has no UIDs left")),
            false => Ok(()),
        }
    }

    /// Brings those messages back that go to the mailbox `id` of the name.
    fn restore_into(
        &mut self,
        id: MailboxId,
        (messages, names, name): (&[RemovedId], &[MailboxName], &MailboxName),
        done: &mut [Option<Appended>],
        moment: Moment<'_>,
    ) -> Result<(), StoreError> {
        let mut at = Vec::new();
        let mut arrivals = Vec::new();
        for (place, (message, _)) in messages
            .iter()
            .zip(names)
            .enumerate()
            .filter(|(_, (_, it))| *it == name)
        {
            let Some(removed) = self.removed.take(*message) else {
                continue;
            };
            let mut arrival: Arrival = removed.row.as_arrival();
            arrival.flags.remove(SystemFlag::Deleted);
            at.push(place);
            arrivals.push(arrival);
        }
        let folder = self.folder_mut(id)?;
        let uids = folder.append(arrivals, moment.now)?;
        for (place, uid) in at.into_iter().zip(&uids) {
            let appended = Appended {
                mailbox: id,
                uid_validity: folder.uid_validity,
                uid: *uid,
                modseq: folder.highest,
            };
            if let Some(slot) = done.get_mut(place) {
                *slot = Some(appended);
            }
        }
        let uids: UidSet = uids.into_iter().collect();
        self.note_uids(EventName::MessageRestore, id, &uids, moment);
        Ok(())
    }
}

#[async_trait]
impl Undelete for MemoryStore {
    async fn removed(
        &self,
        account: &AccountId,
        query: &RemovedQuery,
    ) -> Result<Vec<RemovedMessage>, StoreError> {
        Ok(self
            .shared
            .locked(|core, _| core.removed.list(account, query)))
    }

    async fn restore(
        &self,
        account: &AccountId,
        messages: &[RemovedId],
        into: Option<&MailboxName>,
        quota: QuotaLimit,
    ) -> Result<Vec<Appended>, StoreError> {
        self.shared
            .locked(|core, moment| core.restore(account, messages, (into, quota), moment))
    }

    async fn purge(&self, account: &AccountId, messages: &[RemovedId]) -> Result<u64, StoreError> {
        Ok(self.shared.locked(|core, _| {
            let mut purged = 0;
            for id in messages {
                if core.removed.find(account, *id).is_some() {
                    core.removed.take(*id);
                    purged += 1;
                }
            }
            purged
        }))
    }
}

//! An account's tree of mailbox names: create, delete, rename, list.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mailcore::account::AccountId;
use mailcore::event::EventName;
use mailcore::mailbox::{MailboxEntry, MailboxId, MailboxName, MessageKey, SpecialUse, ThreadId};
use mailcore::seams::StoreError;

use super::Moment;
use super::folder::Folder;
use super::tables::{Core, Transfer};

/// Names and subscriptions of an account.
#[derive(Default)]
pub(super) struct Account {
    pub(super) names: BTreeMap<MailboxName, MailboxId>,
    pub(super) subscriptions: BTreeSet<MailboxName>,
    /// The threads of messages that did not start one.
    pub(super) threads: HashMap<MessageKey, ThreadId>,
}

impl Core {
    /// Makes one mailbox, its parents not looked at.
    pub(super) fn make(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
        moment: Moment<'_>,
    ) -> Result<MailboxId, StoreError> {
        let limit = self.limits.mailboxes;
        let (id, uid_validity) = (self.next_mailbox_id(), self.next_uid_validity());
        let names = &mut self.accounts.entry(account.clone()).or_default().names;
        // INBOX is always there, whatever the limit.
        if names.len() >= limit && !name.is_inbox() {
            return Err(StoreError::Limit("mailboxes of one account"));
        }
        names.insert(name.clone(), id);
        let mut folder = Folder::new(id, account.clone(), name.clone(), uid_validity);
        folder.special_use = special_use;
        folder.rights = self.inherited_rights(account, name);
        self.touch(account);
        self.folders.insert(id, folder);
        if let Some(event) = self.mailbox_event(EventName::MailboxCreate, id, moment) {
            self.events.push(event);
        }
        Ok(id)
    }

    /// Makes a mailbox and the missing levels above it.
    pub(super) fn create(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
        moment: Moment<'_>,
    ) -> Result<MailboxId, StoreError> {
        if name.is_inbox() || self.has(account, name) {
            return Err(StoreError::MailboxExists);
        }
        let missing = self.missing_parents(account, name);
        let held = self.accounts.get(account).map_or(0, |it| it.names.len());
        if held + missing.len() >= self.limits.mailboxes {
            return Err(StoreError::Limit("mailboxes of one account"));
        }
        for parent in &missing {
            self.make(account, parent, None, moment)?;
        }
        self.make(account, name, special_use, moment)
    }

    pub(super) fn delete(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
        moment: Moment<'_>,
    ) -> Result<(), StoreError> {
        if name.is_inbox() {
            return Err(StoreError::MailboxProtected("INBOX can't be deleted"));
        }
        let names = self.accounts.get_mut(account).map(|it| &mut it.names);
        let id = names
            .and_then(|names| names.remove(name))
            .ok_or(StoreError::NoSuchMailbox)?;
        if let Some(event) = self.mailbox_event(EventName::MailboxDelete, id, moment) {
            self.events.push(event);
        }
        // Taking the folder apart drops its watch sender, which closes watches.
        if let Some(folder) = self.folders.remove(&id) {
            self.keep_removed((account, id, name), folder.into_rows(), moment.now);
        }
        self.touch(account);
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        account: &AccountId,
        from: &MailboxName,
        to: &MailboxName,
        moment: Moment<'_>,
    ) -> Result<(), StoreError> {
        if to.is_inbox() || self.has(account, to) {
            return Err(StoreError::MailboxExists);
        }
        if from.is_inbox() {
            return self.empty_inbox_into(account, to, moment);
        }
        if to.is_below(from) {
            return Err(StoreError::MailboxProtected(
                "a mailbox can't be moved below itself",
            ));
        }
        let moves = self.plan_rename(account, from, to)?;
        let missing = self.missing_parents(account, to);
        let held = self.accounts.get(account).map_or(0, |it| it.names.len());
        if held + missing.len() > self.limits.mailboxes {
            return Err(StoreError::Limit("mailboxes of one account"));
        }
        for parent in &missing {
            self.make(account, parent, None, moment)?;
        }
        let names = &mut self.accounts.entry(account.clone()).or_default().names;
        for (old, _, _) in &moves {
            names.remove(old);
        }
        for (_, new, id) in &moves {
            names.insert(new.clone(), *id);
            if let Some(folder) = self.folders.get_mut(id) {
                folder.name = new.clone();
            }
        }
        self.touch(account);
        for (old, _, id) in &moves {
            if let Some(event) = self.mailbox_event(EventName::MailboxRename, *id, moment) {
                self.events.push(event.with("from", old));
            }
        }
        Ok(())
    }

    /// Old name, new name and id of all that a rename moves.
    fn plan_rename(
        &self,
        account: &AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Vec<(MailboxName, MailboxName, MailboxId)>, StoreError> {
        let names = self.accounts.get(account).map(|it| &it.names);
        let names = names
            .filter(|names| names.contains_key(from))
            .ok_or(StoreError::NoSuchMailbox)?;
        let mut moves = Vec::new();
        for (old, id) in names {
            let Some(new) = old.moved(from, to) else {
                continue;
            };
            let new = MailboxName::parse(new.as_str())
                .map_err(|_| StoreError::Limit("length of a mailbox name"))?;
            if names.contains_key(&new) && new.moved(from, to).is_none() {
                return Err(StoreError::MailboxExists);
            }
            moves.push((old.clone(), new, *id));
        }
        Ok(moves)
    }

    /// RENAME of INBOX (RFC 9051 section 6.3.6).
    fn empty_inbox_into(
        &mut self,
        account: &AccountId,
        to: &MailboxName,
        moment: Moment<'_>,
    ) -> Result<(), StoreError> {
        let inbox = self.find(account, &MailboxName::inbox(), moment)?;
        let target = self.create(account, to, None, moment)?;
        let all = self.folder(inbox)?.all_uids();
        self.transfer((inbox, target), &all, Transfer::Move, moment)?;
        Ok(())
    }

    pub(super) fn list(
        &mut self,
        account: &AccountId,
        moment: Moment<'_>,
    ) -> Result<Vec<MailboxEntry>, StoreError> {
        self.find(account, &MailboxName::inbox(), moment)?;
        let Some(held) = self.accounts.get(account) else {
            return Ok(Vec::new());
        };
        let mut names: BTreeSet<MailboxName> = held.subscriptions.clone();
        for name in held.names.keys() {
            names.insert(name.clone());
            names.extend(std::iter::successors(name.parent(), MailboxName::parent));
        }
        let entry = |name: MailboxName| {
            let id = held.names.get(&name).copied();
            MailboxEntry {
                id,
                special_use: id
                    .and_then(|id| self.folders.get(&id))
                    .and_then(|folder| folder.special_use),
                subscribed: held.subscriptions.contains(&name),
                name,
            }
        };
        Ok(names.into_iter().map(entry).collect())
    }

    pub(super) fn subscribe(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<(), StoreError> {
        let limit = self.limits.mailboxes;
        let held = self.accounts.entry(account.clone()).or_default();
        if held.subscriptions.len() >= limit {
            return Err(StoreError::Limit("subscriptions of one account"));
        }
        held.subscriptions.insert(name.clone());
        self.touch(account);
        Ok(())
    }

    /// Whether mailboxes of these names may be made where they are missing.
    pub(super) fn check_new_names(
        &self,
        account: &AccountId,
        names: &[MailboxName],
    ) -> Result<(), StoreError> {
        let mut missing = BTreeSet::new();
        for name in names.iter().filter(|name| !self.has(account, name)) {
            missing.extend(self.missing_parents(account, name));
            missing.insert(name.clone());
        }
        let held = self.accounts.get(account).map_or(0, |it| it.names.len());
        match !missing.is_empty() && held + missing.len() > self.limits.mailboxes {
            true => Err(StoreError::Limit("mailboxes of one account")),
            false => Ok(()),
        }
    }

    fn has(&self, account: &AccountId, name: &MailboxName) -> bool {
        self.accounts
            .get(account)
            .is_some_and(|it| it.names.contains_key(name))
    }

    /// The levels above `name` that are not there, top first.
    fn missing_parents(&self, account: &AccountId, name: &MailboxName) -> Vec<MailboxName> {
        let mut missing: Vec<MailboxName> =
            std::iter::successors(name.parent(), MailboxName::parent)
                .filter(|parent| !self.has(account, parent))
                .collect();
        missing.reverse();
        missing
    }
}

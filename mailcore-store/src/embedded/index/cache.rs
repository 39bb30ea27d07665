//! What the writer knows of mailboxes without asking SQLite: counters that
//! change with every message, and names.
//!
//! All of it can be dropped at any time between groups and is read again when
//! needed: that is how a group that could not be written is forgotten.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mailcore::mailbox::{Flags, MailboxId, MailboxStatus, ModSeq, SystemFlag, Uid, UidValidity};

/// Mailboxes held before the cache is emptied.
const MAX_MAILBOXES: usize = 20_000;

/// A mailbox's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailboxState {
    pub(crate) id: u64,
    pub(crate) account: Arc<str>,
    pub(crate) name: String,
    pub(crate) uid_validity: UidValidity,
    /// Over `u32::MAX` when the mailbox is full.
    pub(crate) uid_next: u64,
    pub(crate) modseq: u64,
    pub(crate) messages: u64,
    pub(crate) unseen: u64,
    pub(crate) deleted: u64,
    pub(crate) size: u64,
    pub(crate) special_use: Option<String>,
}

impl MailboxState {
    /// A new mailbox; `None` when the UIDVALIDITY is 0.
    pub(crate) fn empty(id: u64, account: &str, name: &str, uid_validity: u32) -> Option<Self> {
        Some(Self {
            id,
            account: Arc::from(account),
            name: name.to_owned(),
            uid_validity: UidValidity::new(uid_validity)?,
            uid_next: 1,
            modseq: ModSeq::MIN.value(),
            messages: 0,
            unseen: 0,
            deleted: 0,
            size: 0,
            special_use: None,
        })
    }

    /// The counters as readers see them.
    pub(crate) fn status(&self) -> MailboxStatus {
        let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        MailboxStatus {
            id: MailboxId(self.id),
            messages: narrow(self.messages),
            unseen: narrow(self.unseen),
            deleted: narrow(self.deleted),
            uid_next: u32::try_from(self.uid_next).ok().and_then(Uid::new),
            uid_validity: self.uid_validity,
            highest_modseq: ModSeq::new(self.modseq).unwrap_or(ModSeq::MIN),
            size: self.size,
        }
    }

    /// Counts a message that came in.
    pub(crate) fn add(&mut self, flags: &Flags, size: u64) {
        self.messages += 1;
        self.size = self.size.saturating_add(size);
        self.unseen += u64::from(!flags.contains(SystemFlag::Seen));
        self.deleted += u64::from(flags.contains(SystemFlag::Deleted));
    }

    /// Counts a message that went away.
    pub(crate) fn subtract(&mut self, system_bits: u8, size: u64) {
        let flags = Flags::from_parts(system_bits, []);
        self.messages = self.messages.saturating_sub(1);
        self.size = self.size.saturating_sub(size);
        self.unseen = self
            .unseen
            .saturating_sub(u64::from(!flags.contains(SystemFlag::Seen)));
        self.deleted = self
            .deleted
            .saturating_sub(u64::from(flags.contains(SystemFlag::Deleted)));
    }
}

/// The next values of everything that is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) mailbox: u64,
    pub(crate) body: u64,
    pub(crate) content: u64,
    pub(crate) version: u64,
    pub(crate) event: u64,
    pub(crate) validity: u32,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            mailbox: 1,
            body: 1,
            content: 1,
            version: 1,
            event: 1,
            validity: 1,
        }
    }
}

/// Mailboxes by id and by name, and which of them differ from their rows.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    mailboxes: HashMap<u64, MailboxState>,
    names: HashMap<Arc<str>, HashMap<String, u64>>,
    /// Changed since the last group.
    dirty: BTreeSet<u64>,
    /// Changed by groups before that, and not in their rows.
    unwritten: BTreeSet<u64>,
}

impl Cache {
    pub(crate) fn mailbox(&self, id: u64) -> Option<&MailboxState> {
        self.mailboxes.get(&id)
    }

    pub(crate) fn id(&self, account: &str, name: &str) -> Option<u64> {
        self.names.get(account)?.get(name).copied()
    }

    pub(crate) fn insert(&mut self, state: MailboxState) {
        self.names
            .entry(state.account.clone())
            .or_default()
            .insert(state.name.clone(), state.id);
        self.mailboxes.insert(state.id, state);
    }

    /// For a change; `None` when it is not held.
    pub(crate) fn change(&mut self, id: u64) -> Option<&mut MailboxState> {
        let state = self.mailboxes.get_mut(&id)?;
        self.dirty.insert(id);
        Some(state)
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.dirty.remove(&id);
        self.unwritten.remove(&id);
        if let Some(state) = self.mailboxes.remove(&id)
            && let Some(names) = self.names.get_mut(&state.account)
        {
            names.remove(&state.name);
        }
    }

    pub(crate) fn dirty(&self) -> impl Iterator<Item = &MailboxState> {
        self.dirty.iter().filter_map(|id| self.mailboxes.get(id))
    }

    /// Mailboxes whose rows do not say what is held.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = &MailboxState> {
        let ids = self.dirty.union(&self.unwritten);
        ids.filter_map(|id| self.mailboxes.get(id))
    }

    /// After a group.
    pub(crate) fn settle(&mut self) {
        self.unwritten.append(&mut self.dirty);
    }

    /// The rows say what is held.
    pub(crate) fn wrote(&mut self) {
        self.unwritten.clear();
        if self.dirty.is_empty() && self.mailboxes.len() > MAX_MAILBOXES {
            self.forget();
        }
    }

    /// Drops everything.
    pub(crate) fn forget(&mut self) {
        self.mailboxes.clear();
        self.names.clear();
        self.dirty.clear();
        self.unwritten.clear();
    }
}

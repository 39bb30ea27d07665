//! Making, deleting, renaming mailboxes; subscriptions.

use mailcore::account::AccountId;
use mailcore::event::EventName;
use mailcore::mailbox::{MailboxId, MailboxName, SpecialUse, UidSet};
use mailcore::seams::StoreError;

use super::{MAX_MAILBOXES, MailboxState, Refusal, Sequencer};
use crate::embedded::index::read;
use crate::embedded::record::{Effect, Keep};

impl Sequencer<'_> {
    /// CREATE: the mailbox and the missing levels above it.
    pub(crate) fn create(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, Refusal> {
        if name.is_inbox() || self.mailbox_named(account, name.as_str())?.is_some() {
            return Err(StoreError::MailboxExists.into());
        }
        let there = read::mailboxes_of(self.index.connection(), account.as_str())?.len();
        if there >= MAX_MAILBOXES {
            return Err(StoreError::Limit("mailboxes of an account").into());
        }
        self.create_parents(account, name)?;
        self.make(account, name, special_use)
            .map(|state| MailboxId(state.id))
    }

    /// The account's INBOX, made when it is missing.
    pub(crate) fn inbox(&mut self, account: &AccountId) -> Result<MailboxState, Refusal> {
        let name = MailboxName::inbox();
        match self.mailbox_named(account, name.as_str())? {
            Some(state) => Ok(state),
            None => self.make(account, &name, None),
        }
    }

    pub(super) fn create_parents(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<(), Refusal> {
        let mut missing = Vec::new();
        let mut above = name.parent();
        while let Some(parent) = above {
            above = parent.parent();
            // One further up may be missing still: a parent can be deleted.
            if !parent.is_inbox() && self.mailbox_named(account, parent.as_str())?.is_none() {
                missing.push(parent);
            }
        }
        for parent in missing.into_iter().rev() {
            self.make(account, &parent, None)?;
        }
        Ok(())
    }

    pub(super) fn make(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxState, Refusal> {
        let id = self.index.counters.mailbox;
        // Seconds since 1970 keep a value from coming back even if this store
        // is lost and begun anew (RFC 9051 section 2.3.1.1).
        let seconds = u32::try_from(self.now.secs()).unwrap_or(0);
        let uid_validity = seconds.max(self.index.counters.validity).max(1);
        self.emit(Effect::CreateMailbox {
            id,
            account: account.as_str().to_owned(),
            name: name.as_str().to_owned(),
            uid_validity,
            special_use: special_use.map(|it| it.as_str().to_owned()),
        })?;
        let state = self.mailbox(id)?;
        self.inherit_rights(&state, name)?;
        let event = self.mailbox_event(EventName::MailboxCreate, &state);
        self.event(&event)?;
        Ok(state)
    }

    /// DELETE; children stay.
    pub(crate) fn delete(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<(), Refusal> {
        if name.is_inbox() {
            return Err(StoreError::MailboxProtected("INBOX can't be deleted").into());
        }
        let state = self
            .mailbox_named(account, name.as_str())?
            .ok_or(StoreError::NoSuchMailbox)?;
        let keep = self.removed();
        self.emit(Effect::DeleteMailbox { id: state.id, keep })?;
        let event = self.mailbox_event(EventName::MailboxDelete, &state);
        self.event(&event)
    }

    /// RENAME, with all that lies below.
    pub(crate) fn rename(
        &mut self,
        account: &AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<(), Refusal> {
        if to.is_inbox() || self.mailbox_named(account, to.as_str())?.is_some() {
            return Err(StoreError::MailboxExists.into());
        }
        if from.is_inbox() {
            return self.rename_inbox(account, to);
        }
        if to.is_below(from) {
            return Err(
                StoreError::MailboxProtected("a mailbox can't be moved below itself").into(),
            );
        }
        // A level that only has children is no mailbox to rename (RFC 9051
        // section 6.3.6).
        if self.mailbox_named(account, from.as_str())?.is_none() {
            return Err(StoreError::NoSuchMailbox.into());
        }
        let moves = self.plan_rename(account, from, to)?;
        self.create_parents(account, to)?;
        let mut events = Vec::with_capacity(moves.len());
        for (old, name) in moves {
            self.emit(Effect::RenameMailbox {
                id: old.id,
                name: name.as_str().to_owned(),
            })?;
            events.push((self.mailbox(old.id)?, old.name));
        }
        for (state, old) in events {
            let event = self.mailbox_event(EventName::MailboxRename, &state);
            self.event(&event.with("from", old))?;
        }
        Ok(())
    }

    /// The mailboxes that a rename moves and their new names, parents first:
    /// a name is given up before a child takes it.
    fn plan_rename(
        &mut self,
        account: &AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Vec<(MailboxState, MailboxName)>, Refusal> {
        let mut moves = Vec::new();
        for state in read::mailboxes_of(self.index.connection(), account.as_str())? {
            let Ok(name) = MailboxName::parse(&state.name) else {
                continue;
            };
            let Some(moved) = name.moved(from, to) else {
                continue;
            };
            let moved = MailboxName::parse(moved.as_str())
                .map_err(|_| StoreError::Limit("length of a name"))?;
            if moved.moved(from, to).is_none()
                && self.mailbox_named(account, moved.as_str())?.is_some()
            {
                return Err(StoreError::MailboxExists.into());
            }
            moves.push((state, moved));
        }
        Ok(moves)
    }

    /// INBOX stays, empty; its messages go to a new mailbox (RFC 9051 section
    /// 6.3.6).
    fn rename_inbox(&mut self, account: &AccountId, to: &MailboxName) -> Result<(), Refusal> {
        let inbox = self.inbox(account)?;
        self.within_limit(inbox.messages)?;
        self.create_parents(account, to)?;
        let target = self.make(account, to, None)?;
        let rows = self.index.messages(inbox.id, &UidSet::all())?;
        self.copy_rows(&rows, target.id)?;
        self.expunge_rows(inbox.id, &rows, Keep::Nothing).map(drop)
    }

    /// SUBSCRIBE.
    pub(crate) fn subscribe(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<(), Refusal> {
        let there = read::subscriptions(self.index.connection(), account.as_str())?;
        if there.len() >= MAX_MAILBOXES {
            return Err(StoreError::Limit("subscriptions of an account").into());
        }
        if there.iter().any(|it| it == name.as_str()) {
            return Ok(());
        }
        self.emit(Effect::Subscribe {
            account: account.as_str().to_owned(),
            name: name.as_str().to_owned(),
        })
    }

    /// UNSUBSCRIBE.
    pub(crate) fn unsubscribe(
        &mut self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<(), Refusal> {
        self.emit(Effect::Unsubscribe {
            account: account.as_str().to_owned(),
            name: name.as_str().to_owned(),
        })
    }
}

/// What LIST needs of a row; a name or use that cannot be read is left out.
pub(crate) fn special_use(state: &MailboxState) -> Option<SpecialUse> {
    state.special_use.as_deref().and_then(SpecialUse::parse)
}

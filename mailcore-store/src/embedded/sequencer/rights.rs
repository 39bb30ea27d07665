//! Rights on mailboxes (RFC 4314).

use mailcore::account::AccountId;
use mailcore::mailbox::{Identifier, MailboxName, Rights, RightsChange};
use mailcore::seams::StoreError;

use super::{MailboxState, Refusal, Sequencer};
use crate::embedded::index::rights;
use crate::embedded::record::Effect;

/// Entries of one mailbox.
const MAX_ENTRIES: usize = 1_000;

impl Sequencer<'_> {
    /// SETACL, and DELETEACL where nothing is left.
    pub(crate) fn set_rights(
        &mut self,
        account: &AccountId,
        mailbox: &MailboxName,
        identifier: &Identifier,
        change: RightsChange,
    ) -> Result<(), Refusal> {
        let there = self.mailbox_named(account, mailbox.as_str())?;
        if there.is_none() && !mailbox.is_inbox() {
            return Err(StoreError::NoSuchMailbox.into());
        }
        let entries = match &there {
            Some(state) => rights::of_mailbox(self.index.connection(), state.id)?,
            None => Vec::new(),
        };
        let held = entries.iter().find(|it| it.identifier == *identifier);
        let old = held.map_or(Rights::NONE, |it| it.rights);
        let new = change.apply(old);
        if new == old {
            return Ok(());
        }
        if held.is_none() && entries.len() >= MAX_ENTRIES {
            return Err(StoreError::Limit("entries of an access control list").into());
        }
        let state = match there {
            Some(state) => state,
            None => self.inbox(account)?,
        };
        self.emit(Effect::Rights {
            mailbox: state.id,
            identifier: identifier.as_str().to_owned(),
            rights: (!new.is_empty()).then(|| new.to_string()),
        })
    }

    /// A new mailbox has the rights of the one above it (RFC 4314 section 4).
    pub(super) fn inherit_rights(
        &mut self,
        state: &MailboxState,
        name: &MailboxName,
    ) -> Result<(), Refusal> {
        let Some(parent) = name.parent() else {
            return Ok(());
        };
        let Some(parent) = self.mailbox_named(&AccountId::new(&state.account), parent.as_str())?
        else {
            return Ok(());
        };
        for entry in rights::of_mailbox(self.index.connection(), parent.id)? {
            self.emit(Effect::Rights {
                mailbox: state.id,
                identifier: entry.identifier.as_str().to_owned(),
                rights: Some(entry.rights.to_string()),
            })?;
        }
        Ok(())
    }
}

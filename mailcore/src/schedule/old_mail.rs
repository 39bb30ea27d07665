//! [`OldMail`]: what has lain in Junk or Trash for long enough goes.

use std::sync::Arc;
use std::time::Duration;

use crate::account::AccountId;
use crate::mailbox::{FlagChange, Flags, MailboxName, SpecialUse, SystemFlag, Uid, UidSet};
use crate::seams::{Mailbox, Storage, StoreError};
use crate::time::Timestamp;

/// Messages looked at in one go.
const STEP: usize = 1_000;

/// Removes old mail from mailboxes of one kind. Work for a [`Job`](super::Job).
#[derive(Debug, Clone)]
pub struct OldMail {
    /// Where the mail is.
    pub storage: Arc<dyn Storage>,
    /// The mailboxes of this use,
    pub special_use: SpecialUse,
    /// and the one of this name when it has no use.
    pub name: MailboxName,
    /// How long mail stays, from when it came into the mailbox.
    pub keep_for: Duration,
}

impl OldMail {
    /// Removes what of an account is too old at `now`, read or not; how many
    /// messages. A client that has the mailbox open is told as of any expunge.
    ///
    /// # Errors
    /// What the store reports; what was removed until then stays removed.
    pub async fn purge(&self, account: &AccountId, now: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        for entry in self.storage.list(account).await? {
            let is_meant = match entry.special_use {
                Some(special_use) => special_use == self.special_use,
                None => entry.name == self.name,
            };
            if !is_meant || entry.id.is_none() {
                continue;
            }
            removed += match self.storage.open(account, &entry.name).await {
                Ok(mailbox) => self.purge_mailbox(&*mailbox, now).await?,
                // Deleted or renamed since it was listed.
                Err(StoreError::NoSuchMailbox) => 0,
                Err(error) => return Err(error),
            };
        }
        Ok(removed)
    }

    async fn purge_mailbox(
        &self,
        mailbox: &dyn Mailbox,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let keep = i64::try_from(self.keep_for.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(now.millis().saturating_sub(keep));
        let mut deleted = Flags::default();
        deleted.insert(SystemFlag::Deleted);
        let deleted = FlagChange::Add(deleted);
        let mut removed = 0;
        let uids: Vec<Uid> = mailbox.uids().await?.iter().collect();
        for step in uids.chunks(STEP) {
            let rows = mailbox.messages(&step.iter().copied().collect()).await?;
            let old = rows.into_iter().filter(|row| row.save_date < before);
            let old: UidSet = old.map(|row| row.uid).collect();
            if old.is_empty() {
                continue;
            }
            mailbox.store(&old, &deleted, None).await?;
            removed += mailbox.expunge(&old).await?.len();
        }
        Ok(removed)
    }
}

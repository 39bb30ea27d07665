//! [`Acl`]: rights on mailboxes, kept with the mailbox.

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::mailbox::{AclEntry, Identifier, MailboxId, MailboxName, Rights, RightsChange};
use mailcore::seams::{Acl, AclMailbox, StoreError};

use super::folder::Folder;
use super::tables::Core;
use super::{MemoryStore, Moment};

/// Entries of one mailbox.
const MAX_ENTRIES: usize = 1_000;

impl Folder {
    fn entries<'a>(
        &'a self,
        of: impl Fn(&Identifier) -> bool + 'a,
    ) -> impl Iterator<Item = AclEntry> + 'a {
        let entries = self.rights.iter().filter(move |(who, _)| of(who));
        entries.map(|(identifier, rights)| AclEntry {
            identifier: identifier.clone(),
            rights: *rights,
        })
    }
}

impl Core {
    fn set_rights(
        &mut self,
        (account, mailbox): (&AccountId, &MailboxName),
        identifier: &Identifier,
        change: RightsChange,
        moment: Moment<'_>,
    ) -> Result<(), StoreError> {
        let id = self.find(account, mailbox, moment)?;
        let rights = &mut self.folder_mut(id)?.rights;
        let old = rights.get(identifier).copied().unwrap_or_default();
        let new = change.apply(old);
        if new == old {
            return Ok(());
        }
        if old.is_empty() && rights.len() >= MAX_ENTRIES {
            return Err(StoreError::Limit("entries of an access control list"));
        }
        match new.is_empty() {
            true => rights.remove(identifier),
            false => rights.insert(identifier.clone(), new),
        };
        self.touch(account);
        Ok(())
    }

    /// A new mailbox has the rights of the one above it (RFC 4314 section 4).
    pub(super) fn inherited_rights(
        &self,
        account: &AccountId,
        name: &MailboxName,
    ) -> std::collections::BTreeMap<Identifier, Rights> {
        let parent = name
            .parent()
            .and_then(|parent| self.accounts.get(account)?.names.get(&parent))
            .and_then(|id: &MailboxId| self.folders.get(id));
        parent.map(|it| it.rights.clone()).unwrap_or_default()
    }
}

#[async_trait]
impl Acl for MemoryStore {
    async fn entries(
        &self,
        account: &AccountId,
        mailbox: &MailboxName,
    ) -> Result<Vec<AclEntry>, StoreError> {
        self.shared.locked(|core, moment| {
            let id = core.find(account, mailbox, moment)?;
            Ok(core.folder(id)?.entries(|_| true).collect())
        })
    }

    async fn set(
        &self,
        account: &AccountId,
        mailbox: &MailboxName,
        identifier: &Identifier,
        change: RightsChange,
    ) -> Result<(), StoreError> {
        self.shared
            .locked(|core, moment| core.set_rights((account, mailbox), identifier, change, moment))
    }

    async fn remove(
        &self,
        account: &AccountId,
        mailbox: &MailboxName,
        identifier: &Identifier,
    ) -> Result<(), StoreError> {
        let none = RightsChange::Replace(Rights::NONE);
        self.set(account, mailbox, identifier, none).await
    }

    async fn mailboxes_of(
        &self,
        identifiers: &[Identifier],
    ) -> Result<Vec<AclMailbox>, StoreError> {
        let mut found: Vec<AclMailbox> = self.shared.locked(|core, _| {
            let all = core.folders.values().map(|folder| AclMailbox {
                owner: folder.account.clone(),
                name: folder.name.clone(),
                entries: folder.entries(|it| identifiers.contains(it)).collect(),
            });
            all.filter(|it| !it.entries.is_empty()).collect()
        });
        found.sort_by(|a, b| (&a.owner, &a.name).cmp(&(&b.owner, &b.name)));
        Ok(found)
    }
}

//! [`Storage`] over the tables.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::mailbox::{MailboxEntry, MailboxId, MailboxName, SpecialUse};
use mailcore::seams::{
    Abilities, AccountWatch, Acl, Mailbox, Metadata, Quota, QuotaUsage, Storage, StoreError,
    Undelete,
};

use super::MemoryStore;
use super::mailbox::MemoryMailbox;

#[async_trait]
impl Storage for MemoryStore {
    fn abilities(&self) -> Abilities {
        let mut abilities = Abilities::default();
        abilities.mod_seq = true;
        abilities.atomic_move = true;
        abilities.multi_append = true;
        abilities.watch = true;
        abilities.special_use = true;
        abilities.object_id = true;
        abilities.thread_id = true;
        abilities.replace = true;
        abilities.watch_account = true;
        abilities.acl = true;
        abilities.metadata = true;
        abilities
    }

    async fn list(&self, account: &AccountId) -> Result<Vec<MailboxEntry>, StoreError> {
        self.shared
            .locked(|core, moment| core.list(account, moment))
    }

    async fn open(
        &self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<Arc<dyn Mailbox>, StoreError> {
        let (id, watch) = self.shared.locked(|core, moment| {
            let id = core.find(account, name, moment)?;
            Ok::<_, StoreError>((id, core.folder(id)?.watch()))
        })?;
        Ok(Arc::new(MemoryMailbox::new(
            Arc::clone(&self.shared),
            id,
            watch,
        )))
    }

    async fn create(
        &self,
        account: &AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, StoreError> {
        self.shared
            .locked(|core, moment| core.create(account, name, special_use, moment))
    }

    async fn delete(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        self.shared
            .locked(|core, moment| core.delete(account, name, moment))
    }

    async fn rename(
        &self,
        account: &AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<(), StoreError> {
        self.shared
            .locked(|core, moment| core.rename(account, from, to, moment))
    }

    async fn subscribe(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        self.shared.locked(|core, _| core.subscribe(account, name))
    }

    async fn unsubscribe(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        self.shared.locked(|core, _| {
            if let Some(held) = core.accounts.get_mut(account) {
                held.subscriptions.remove(name);
            }
            core.touch(account);
        });
        Ok(())
    }

    fn watch_account(&self, account: &AccountId) -> AccountWatch {
        self.shared.watch_account(account)
    }

    fn acl(&self) -> Option<&dyn Acl> {
        Some(self)
    }

    fn metadata(&self) -> Option<&dyn Metadata> {
        Some(self)
    }

    fn undelete(&self) -> Option<&dyn Undelete> {
        Some(self)
    }

    fn quota(&self) -> Option<&dyn Quota> {
        Some(self)
    }
}

#[async_trait]
impl Quota for MemoryStore {
    async fn usage(&self, account: &AccountId) -> Result<QuotaUsage, StoreError> {
        Ok(self.shared.locked(|core, _| core.usage(account)))
    }
}

//! [`Undelete`] and [`Acl`]: removed messages, and rights on mailboxes.

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::mailbox::{AclEntry, Identifier, MailboxName, Rights, RightsChange};
use mailcore::seams::{
    Acl, AclMailbox, Appended, QuotaLimit, RemovedId, RemovedMessage, RemovedQuery, StoreError,
    Undelete,
};

use super::index::{read, removed, rights};
use super::store::EmbeddedStore;

#[async_trait]
impl Undelete for EmbeddedStore {
    async fn removed(
        &self,
        account: &AccountId,
        query: &RemovedQuery,
    ) -> Result<Vec<RemovedMessage>, StoreError> {
        let (account, query) = (account.clone(), query.clone());
        let until = self.shared.removed_until();
        self.shared
            .read(move |conn, _| removed::removed(conn, account.as_str(), &query, until))
            .await
    }

    async fn restore(
        &self,
        account: &AccountId,
        messages: &[RemovedId],
        into: Option<&MailboxName>,
        quota: QuotaLimit,
    ) -> Result<Vec<Appended>, StoreError> {
        let (account, messages, into) = (account.clone(), messages.to_vec(), into.cloned());
        self.shared
            .change(move |it| it.restore(&account, &messages, into.as_ref(), quota))
            .await
    }

    async fn purge(&self, account: &AccountId, messages: &[RemovedId]) -> Result<u64, StoreError> {
        let (account, messages) = (account.clone(), messages.to_vec());
        self.shared
            .change(move |sequencer| sequencer.purge(&account, &messages))
            .await
    }
}

#[async_trait]
impl Acl for EmbeddedStore {
    async fn entries(
        &self,
        account: &AccountId,
        mailbox: &MailboxName,
    ) -> Result<Vec<AclEntry>, StoreError> {
        let (account, name) = (account.clone(), mailbox.clone());
        let found = self.shared.read(move |conn, _| {
            match read::mailbox_by_name(conn, account.as_str(), name.as_str())? {
                Some(state) => rights::of_mailbox(conn, state.id).map(Some),
                None => Ok(name.is_inbox().then(Vec::new)),
            }
        });
        found.await?.ok_or(StoreError::NoSuchMailbox)
    }

    async fn set(
        &self,
        account: &AccountId,
        mailbox: &MailboxName,
        identifier: &Identifier,
        change: RightsChange,
    ) -> Result<(), StoreError> {
        let (account, mailbox, identifier) = (account.clone(), mailbox.clone(), identifier.clone());
        self.shared
            .change(move |it| it.set_rights(&account, &mailbox, &identifier, change))
            .await
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
        let identifiers = identifiers.to_vec();
        self.shared
            .read(move |conn, _| rights::mailboxes_of(conn, &identifiers))
            .await
    }
}

//! Annotations on mailboxes, kept as [`State`](mailcore::seams::State).

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::mailbox::{Annotation, EntryName, MailboxName};
use mailcore::seams::{Metadata, StateAnnotations, StoreError};

use super::MemoryStore;

#[async_trait]
impl Metadata for MemoryStore {
    async fn annotations(
        &self,
        account: &AccountId,
        mailbox: Option<&MailboxName>,
    ) -> Result<Vec<Annotation>, StoreError> {
        self.state_annotations().read(account, mailbox).await
    }

    async fn annotate(
        &self,
        account: &AccountId,
        mailbox: Option<&MailboxName>,
        changes: Vec<(EntryName, Option<Vec<u8>>)>,
    ) -> Result<(), StoreError> {
        let annotations = self.state_annotations();
        annotations.change(account, mailbox, changes).await
    }

    async fn tidy(&self, account: &AccountId) -> Result<(), StoreError> {
        self.state_annotations().tidy(account).await
    }
}

impl MemoryStore {
    fn state_annotations(&self) -> StateAnnotations<'_> {
        StateAnnotations {
            storage: self,
            state: self,
        }
    }
}

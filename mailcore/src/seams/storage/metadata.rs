//! [`Metadata`]: annotations on mailboxes (RFC 5464), and how a store that has
//! [`State`] keeps them.

use std::collections::BTreeSet;
use std::fmt::Debug;

use async_trait::async_trait;

use super::Storage;
use crate::account::AccountId;
use crate::batch::StateChange;
use crate::mailbox::{Annotation, EntryName, MailboxName};
use crate::seams::{State, StateKey, StoreError};

const NAMESPACE: &str = "annotation";

/// Where the server's own annotations lie, in place of a mailbox.
const SERVER: &str = "-";

/// Entries read at a time.
const PAGE: usize = 256;

/// Annotations on mailboxes and on the server (RFC 5464): kept with a mailbox
/// through renames, gone with it. Kept only: whoever serves them enforces rights
/// and limits.
#[async_trait]
pub trait Metadata: Debug + Send + Sync {
    /// What is noted on a mailbox, or for `None` on the server as this account
    /// sees it, by name of entry.
    async fn annotations(
        &self,
        account: &AccountId,
        mailbox: Option<&MailboxName>,
    ) -> Result<Vec<Annotation>, StoreError>;

    /// Sets entries, or removes those without a value: all or none.
    async fn annotate(
        &self,
        account: &AccountId,
        mailbox: Option<&MailboxName>,
        changes: Vec<(EntryName, Option<Vec<u8>>)>,
    ) -> Result<(), StoreError>;

    /// Removes what was noted on mailboxes that are gone.
    async fn tidy(&self, account: &AccountId) -> Result<(), StoreError>;
}

/// Annotations kept as [`State`], for stores that implement both seams. A
/// mailbox's identity is the key, so that a rename changes nothing.
#[derive(Debug, Clone, Copy)]
pub struct StateAnnotations<'a> {
    /// Knows which mailbox a name is.
    pub storage: &'a dyn Storage,
    /// Keeps the values.
    pub state: &'a dyn State,
}

impl StateAnnotations<'_> {
    /// As [`Metadata::annotations`].
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], and those of the store.
    pub async fn read(
        &self,
        account: &AccountId,
        mailbox: Option<&MailboxName>,
    ) -> Result<Vec<Annotation>, StoreError> {
        let prefix = self.prefix(account, mailbox).await?;
        let kept = self.scan(&prefix).await?;
        let annotation = |(key, value): (String, Vec<u8>)| {
            let entry = key.strip_prefix(&prefix)?;
            let entry = EntryName::parse(entry.as_bytes())?;
            Some(Annotation { entry, value })
        };
        Ok(kept.into_iter().filter_map(annotation).collect())
    }

    /// As [`Metadata::annotate`].
    ///
    /// # Errors
    /// As [`StateAnnotations::read`].
    pub async fn change(
        &self,
        account: &AccountId,
        mailbox: Option<&MailboxName>,
        changes: Vec<(EntryName, Option<Vec<u8>>)>,
    ) -> Result<(), StoreError> {
        let prefix = self.prefix(account, mailbox).await?;
        let change = |(entry, value): (EntryName, Option<Vec<u8>>)| {
            let key = StateKey::new(NAMESPACE, &format!("{prefix}{entry}"));
            match value {
                None => StateChange::Remove { key },
                Some(value) => StateChange::Put {
                    key,
                    value,
                    expires: None,
                },
            }
        };
        let changes = changes.into_iter().map(change).collect();
        self.state.change(changes).await.map(drop)
    }

    /// As [`Metadata::tidy`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tidy(&self, account: &AccountId) -> Result<(), StoreError> {
        let prefix = format!("{account} ");
        let kept = self.scan(&prefix).await?;
        if kept.is_empty() {
            return Ok(());
        }
        let mailboxes = self.storage.list(account).await?;
        let ids: BTreeSet<String> = mailboxes
            .iter()
            .filter_map(|it| it.id.as_ref())
            .map(ToString::to_string)
            .collect();
        let is_gone = |key: &str| {
            let mailbox = key
                .strip_prefix(&prefix)
                .and_then(|it| it.split(' ').next());
            mailbox.is_some_and(|id| id != SERVER && !ids.contains(id))
        };
        let gone = kept.into_iter().filter(|(key, _)| is_gone(key));
        let remove = |(key, _): (String, Vec<u8>)| StateChange::Remove {
            key: StateKey::new(NAMESPACE, &key),
        };
        let changes: Vec<StateChange> = gone.map(remove).collect();
        match changes.is_empty() {
            true => Ok(()),
            false => self.state.change(changes).await.map(drop),
        }
    }

    /// What the keys of a mailbox begin with: neither an account's id nor a
    /// mailbox's holds a space.
    async fn prefix(
        &self,
        account: &AccountId,
        mailbox: Option<&MailboxName>,
    ) -> Result<String, StoreError> {
        let Some(name) = mailbox else {
            return Ok(format!("{account} {SERVER} "));
        };
        let mailbox = self.storage.open(account, name).await?;
        let id = mailbox.status().await?.id;
        Ok(format!("{account} {id} "))
    }

    /// Keys and values, in key order.
    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self
                .state
                .scan(NAMESPACE, prefix, after.as_deref(), PAGE)
                .await?;
            let is_last = page.len() < PAGE;
            let pairs = page.into_iter();
            found.extend(pairs.map(|(key, value)| (key.key.to_string(), value.value)));
            after = found.last().map(|(key, _)| key.clone());
            if is_last {
                return Ok(found);
            }
        }
    }
}

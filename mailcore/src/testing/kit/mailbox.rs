//! [`KitMailbox`]: putting messages into a mailbox before a test, and taking
//! them out again.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::accounts::id;
use super::error::KitError;
use super::server::MemoryServer;
use crate::address::Address;
use crate::mailbox::{Flags, Keyword, MailboxName, SystemFlag, Uid, UidSet};
use crate::message::{Message, Summary};
use crate::seams::{Mailbox, NewMessage, QuotaLimit, StoreError};
use crate::time::Timestamp;

/// A mailbox of one account. What is put into it this way is no mail that came:
/// no expectation sees it.
#[derive(Debug, Clone)]
#[must_use]
pub struct KitMailbox<'a> {
    server: &'a MemoryServer,
    address: Address,
    name: MailboxName,
    flags: Flags,
    date: Option<Timestamp>,
}

impl<'a> KitMailbox<'a> {
    pub(super) fn new(
        server: &'a MemoryServer,
        address: &Address,
        name: &str,
    ) -> Result<Self, KitError> {
        let parsed = MailboxName::parse(name);
        let name = parsed.map_err(|source| KitError::MailboxName {
            text: name.to_owned(),
            source,
        })?;
        Ok(Self {
            server,
            address: address.clone(),
            name,
            flags: Flags::default(),
            date: None,
        })
    }

    /// Flags of the messages added from here on: `\Seen`, `$Junk`. What is no
    /// flag panics.
    pub fn flagged<'f>(mut self, flags: impl IntoIterator<Item = &'f str>) -> Self {
        self.flags = Flags::default();
        for text in flags {
            match (SystemFlag::parse(text), Keyword::new(text)) {
                (Some(flag), _) => self.flags.insert(flag),
                (None, Some(keyword)) => self.flags.insert_keyword(keyword),
                (None, None) => panic!("{text:?} is no flag; write one like \\Seen or $Junk"),
            }
        }
        self
    }

    /// INTERNALDATE of the messages added from here on, in place of now.
    pub fn dated(mut self, date: Timestamp) -> Self {
        self.date = Some(date);
        self
    }

    /// Adds a message, octet for octet.
    ///
    /// # Errors
    /// [`KitError::NoAccount`], [`KitError::Store`].
    pub async fn add(&self, octets: impl Into<Bytes>) -> Result<Uid, KitError> {
        let octets = octets.into();
        let message = NewMessage {
            summary: Arc::new(Summary::scan(&octets)),
            message: Message::from_bytes(octets),
            flags: self.flags.clone(),
            internal_date: self.date.unwrap_or_else(|| self.server.clock().now()),
        };
        let mailbox = self.open().await?;
        let filed = mailbox.append(vec![message], QuotaLimit::default()).await?;
        let first = filed.first().map(|filed| filed.uid);
        Ok(first.ok_or(StoreError::Unavailable(
            "the store said nothing of the message",
        ))?)
    }

    /// Adds a file. Line ends of LF alone, as version control leaves them,
    /// become CRLF.
    ///
    /// # Errors
    /// [`KitError::File`], and as [`KitMailbox::add`].
    pub async fn add_file(&self, path: impl AsRef<Path>) -> Result<Uid, KitError> {
        let path = path.as_ref();
        let octets = std::fs::read(path).map_err(|source| KitError::File {
            path: path.to_owned(),
            source,
        })?;
        self.add(with_crlf(&octets)).await
    }

    /// Adds every `.eml` file of a folder, by name; how many.
    ///
    /// # Errors
    /// As [`KitMailbox::add_file`].
    pub async fn add_folder(&self, folder: impl AsRef<Path>) -> Result<usize, KitError> {
        let folder = folder.as_ref();
        let unreadable = |source| KitError::File {
            path: folder.to_owned(),
            source,
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            files.push(entry.map_err(unreadable)?.path());
        }
        files.retain(|path| path.extension().is_some_and(|it| it == "eml"));
        files.sort();
        for file in &files {
            self.add_file(file).await?;
        }
        Ok(files.len())
    }

    /// How many messages are in it.
    ///
    /// # Errors
    /// [`KitError::Store`].
    pub async fn count(&self) -> Result<u32, KitError> {
        Ok(self.open().await?.status().await?.messages)
    }

    /// Removes all messages in it.
    ///
    /// # Errors
    /// [`KitError::Store`].
    pub async fn purge(&self) -> Result<(), KitError> {
        self.open().await?.remove(&UidSet::all()).await?;
        Ok(())
    }

    async fn open(&self) -> Result<Arc<dyn Mailbox>, KitError> {
        let missing = || KitError::NoAccount(self.address.to_string());
        self.server
            .accounts()
            .find_or_make(&self.address)
            .ok_or_else(missing)?;
        let (storage, account) = (self.server.storage(), id(&self.address));
        match storage.open(&account, &self.name).await {
            Err(StoreError::NoSuchMailbox) => {
                storage.create(&account, &self.name, None).await?;
                Ok(storage.open(&account, &self.name).await?)
            }
            opened => Ok(opened?),
        }
    }
}

/// Every line end as CRLF.
pub(super) fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut before = 0;
    for &octet in octets {
        if octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(octet);
        before = octet;
    }
    out
}

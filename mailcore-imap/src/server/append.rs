//! [`Appending`]: the messages of one APPEND, until all of them are added
//! together (RFC 3502).

use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::AccountId;
use mailcore::mailbox::{Flags, MailboxName, Uid, UidSet};
use mailcore::message::{Content, ContentWriter, Message, READ_CHUNK};
use mailcore::seams::{Appended, Mailbox, NewMessage, StoreError};
use mailcore::time::Timestamp;

use super::SessionHost;
use super::host::Answered;
use crate::render::body;
use crate::session::{Answer, Question};
use crate::types::MessageUrl;

/// Octets of whole messages held in memory; those that come when it is used up
/// are staged in the store, small as they are.
const MAX_HELD: usize = 1024 * 1024;

/// What an APPEND has brought so far.
#[derive(Debug)]
pub(super) struct Appending {
    mailbox: Arc<dyn Mailbox>,
    /// The message in progress.
    writer: Option<ContentWriter>,
    whole: Vec<NewMessage>,
    /// Octets of `whole` in memory.
    held: usize,
}

impl SessionHost {
    /// Questions about messages that come.
    pub(super) async fn on_append(&mut self, account: &AccountId, question: Question) -> Answered {
        match question {
            Question::AppendBegin { to, size, limit } => {
                self.append_begin(account, &to, size, limit).await?;
            }
            Question::AppendOctets(octets) => self.append_octets(octets).await?,
            Question::AppendUrl(url) => self.append_url(account, &url).await?,
            Question::AppendNext {
                flags,
                internal_date,
            } => self.append_next(flags, internal_date).await?,
            Question::AppendEnd {
                flags,
                internal_date,
            } => {
                self.append_next(flags, internal_date).await?;
                return self.append_end(account).await.map(Answer::Appended);
            }
            Question::Replace {
                uid,
                to,
                flags,
                internal_date,
            } => {
                self.append_next(flags, internal_date).await?;
                return self.replace(account, uid, &to).await.map(Answer::Appended);
            }
            Question::AppendAbandon => self.append = None,
            other => return self.on_mailbox(account, other).await,
        }
        Ok(Answer::Done)
    }

    /// Refuses what would not be taken in the end, before its octets come.
    pub(super) async fn append_begin(
        &mut self,
        account: &AccountId,
        to: &MailboxName,
        size: u64,
        limit: u64,
    ) -> Result<(), StoreError> {
        let mailbox = self.storage.open(account, to).await?;
        if self.storage.is_read_only() {
            return Err(StoreError::ReadOnly("opened for reading".to_owned()));
        }
        if !self.commit.has_room(size) {
            return Err(StoreError::DiskFull);
        }
        self.room.permits(&*self.storage, account, size).await?;
        let writer = ContentWriter::new(Some(Arc::clone(&self.commit)), limit);
        let append = self.append.get_or_insert_with(|| Appending {
            mailbox,
            writer: None,
            whole: Vec::new(),
            held: 0,
        });
        append.writer = Some(writer);
        Ok(())
    }

    pub(super) async fn append_octets(&mut self, octets: Bytes) -> Result<(), StoreError> {
        let append = self.append.as_mut().ok_or(StoreError::NotFound)?;
        append.write(octets).await
    }

    /// Appends the octets that `url` names, as BODY.PEEK would tell them
    /// (RFC 4469 section 3).
    pub(super) async fn append_url(
        &mut self,
        account: &AccountId,
        url: &MessageUrl,
    ) -> Result<(), StoreError> {
        let mailbox = match (&url.mailbox, &self.open) {
            (Some(name), _) => self.storage.open(account, name).await?,
            (None, Some(open)) => Arc::clone(&open.mailbox),
            (None, None) => return Err(StoreError::NoSuchMailbox),
        };
        if let Some(expected) = url.uid_validity
            && mailbox.status().await?.uid_validity != expected
        {
            return Err(StoreError::NoSuchMailbox);
        }
        let summaries = mailbox.summaries(&UidSet::range(url.uid, url.uid)).await?;
        let (_, summary) = summaries.first().ok_or(StoreError::NotFound)?;
        let message = mailbox.message(url.uid).await?;
        let place = match url.section.is_whole() {
            true => Some(0..message.len()),
            false => body::locate(summary, &url.section),
        };
        let place = place.ok_or(StoreError::NotFound)?;
        let append = self.append.as_mut().ok_or(StoreError::NotFound)?;
        if body::picks_fields(&url.section) {
            let header = message.read(place).await?;
            let picked = body::pick(&header, &url.section);
            return append.write(body::cut(&picked, url.partial)).await;
        }
        let mut rest = body::narrow(place, url.partial);
        while rest.start < rest.end {
            let end = rest.end.min(rest.start.saturating_add(READ_CHUNK as u64));
            let octets = message.read(rest.start..end).await?;
            if octets.is_empty() {
                return Err(StoreError::Damaged("a message ends early".to_owned()));
            }
            rest.start = rest.start.saturating_add(octets.len() as u64);
            append.write(octets).await?;
        }
        Ok(())
    }

    /// Ends the message in progress.
    pub(super) async fn append_next(
        &mut self,
        flags: Flags,
        internal_date: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let append = self.append.as_mut().ok_or(StoreError::NotFound)?;
        let writer = append.writer.take().ok_or(StoreError::NotFound)?;
        let (mut content, summary) = writer.finish().await?;
        if let Content::Inline(octets) = &content {
            if append.held.saturating_add(octets.len()) > MAX_HELD {
                let mut stage = self.commit.stage().await?;
                stage.write(octets.clone()).await?;
                content = stage.finish().await?;
            } else {
                append.held += octets.len();
            }
        }
        append.whole.push(NewMessage {
            message: Message::new(content),
            summary: Arc::new(summary),
            flags,
            internal_date: internal_date.unwrap_or_else(|| self.clock.now()),
        });
        Ok(())
    }

    /// The quota is looked up again: other mail came while the messages did.
    pub(super) async fn append_end(
        &mut self,
        account: &AccountId,
    ) -> Result<Vec<Appended>, StoreError> {
        let append = self.append.take().ok_or(StoreError::NotFound)?;
        let limit = self.room.limit(account).await?;
        append.mailbox.append(append.whole, limit).await
    }

    /// Puts the message in progress in the place of one in the open mailbox.
    pub(super) async fn replace(
        &mut self,
        account: &AccountId,
        uid: Uid,
        to: &MailboxName,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut append = self.append.take().ok_or(StoreError::NotFound)?;
        let new = append.whole.pop().ok_or(StoreError::NotFound)?;
        let open = self.open.as_ref().ok_or(StoreError::NoSuchMailbox)?;
        let limit = self.room.limit(account).await?;
        let appended = open.mailbox.replace(uid, to, new, limit).await?;
        Ok(vec![appended])
    }
}

impl Appending {
    async fn write(&mut self, octets: Bytes) -> Result<(), StoreError> {
        let writer = self.writer.as_mut().ok_or(StoreError::NotFound)?;
        writer.write(octets).await
    }
}

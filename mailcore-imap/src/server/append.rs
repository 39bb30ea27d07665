//! [`Appending`]: the messages of one APPEND, until all of them are added
//! together (RFC 3502).

use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::AccountId;
use mailcore::mailbox::{Flags, MailboxName, Uid, UidSet};
use mailcore::message::{Content, ContentWriter, Message, Part, READ_CHUNK, Summary};
use mailcore::seams::{Appended, Mailbox, NewMessage, QuotaUsage, StoreError};
use mailcore::time::Timestamp;

use super::SessionHost;
use super::host::Answered;
use crate::commands::MAX_HEADER;
use crate::render::body;
use crate::session::{Answer, Question};
use crate::types::MessageUrl;

/// Octets of whole messages held in memory; those that come when it is used up
/// are staged in the store, small as they are.
const MAX_HELD: usize = 1024 * 1024;
/// Octets of the summaries of whole messages. They can't be staged.
const MAX_SUMMARIES: usize = 16 * 1024 * 1024;

/// What an APPEND has brought so far.
#[derive(Debug)]
pub(super) struct Appending {
    mailbox: Arc<dyn Mailbox>,
    to: MailboxName,
    /// The message in progress.
    writer: Option<ContentWriter>,
    whole: Vec<NewMessage>,
    /// Octets of `whole` in memory.
    held: usize,
    /// Octets of its summaries, which are in memory too.
    summaries: usize,
    /// What `whole` will use of the account's quota.
    usage: QuotaUsage,
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
                let append = self.append_last(flags, internal_date).await?;
                let to = append.to.clone();
                let appended = self.append_end(account, append).await?;
                let uids = appended.iter().map(|it| it.uid);
                self.added(account, &to, uids).await;
                return Ok(Answer::Appended(appended));
            }
            Question::Replace {
                uid,
                to,
                flags,
                internal_date,
            } => {
                let append = self.append_last(flags, internal_date).await?;
                let replaced = self.replace(account, uid, &to, append).await?;
                let uids = replaced.iter().map(|it| it.uid);
                self.added(account, &to, uids).await;
                return Ok(Answer::Appended(replaced));
            }
            Question::AppendAbandon => self.append = None,
            other => return self.on_mailbox(account, other).await,
        }
        Ok(Answer::Done)
    }

    /// Refuses what would not be taken in the end, before its octets come.
    async fn append_begin(
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
        let waiting = self.append.as_ref().map(|it| it.usage);
        let usage = waiting.unwrap_or_default().plus(QuotaUsage::message(size));
        self.room.permits(&*self.storage, account, usage).await?;
        let writer = ContentWriter::new(Some(Arc::clone(&self.commit)), limit);
        let append = self.append.get_or_insert_with(|| Appending {
            mailbox,
            to: to.clone(),
            writer: None,
            whole: Vec::new(),
            held: 0,
            summaries: 0,
            usage: QuotaUsage::default(),
        });
        append.writer = Some(writer);
        Ok(())
    }

    async fn append_octets(&mut self, octets: Bytes) -> Result<(), StoreError> {
        let append = self.append.as_mut().ok_or(StoreError::NotFound)?;
        append.write(octets).await
    }

    /// Appends the octets that `url` names, as BODY.PEEK would tell them
    /// (RFC 4469 section 3).
    async fn append_url(
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
            let end = place.end.min(place.start.saturating_add(MAX_HEADER));
            let header = message.read(place.start..end).await?;
            let picked = body::Picked::of(header, &url.section).to_bytes();
            return append.write(body::cut(&picked, url.partial)).await;
        }
        let mut rest = body::narrow(place, url.partial);
        // A short URL brings a long message, and does so again and again.
        let brought = rest.end.saturating_sub(rest.start);
        if !self.commit.has_room(brought) {
            return Err(StoreError::DiskFull);
        }
        let usage = append.usage_with(brought);
        self.room.permits(&*self.storage, account, usage).await?;
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
    async fn append_next(
        &mut self,
        flags: Flags,
        internal_date: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let append = self.append.as_mut().ok_or(StoreError::NotFound)?;
        let writer = append.writer.take().ok_or(StoreError::NotFound)?;
        let (mut content, summary) = writer.finish().await?;
        let summaries = append.summaries.saturating_add(weight(&summary));
        if summaries > MAX_SUMMARIES {
            return Err(StoreError::Limit("messages of one APPEND"));
        }
        append.summaries = summaries;
        append.usage = append.usage.plus(QuotaUsage::message(summary.size));
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

    /// Ends the last message. Whatever comes of it, nothing waits any more: what
    /// was refused must not come with the next APPEND.
    async fn append_last(
        &mut self,
        flags: Flags,
        internal_date: Option<Timestamp>,
    ) -> Result<Appending, StoreError> {
        let ended = self.append_next(flags, internal_date).await;
        let append = self.append.take().ok_or(StoreError::NotFound);
        ended.and(append)
    }

    /// The quota is looked up again: other mail came while the messages did.
    async fn append_end(
        &mut self,
        account: &AccountId,
        append: Appending,
    ) -> Result<Vec<Appended>, StoreError> {
        let limit = self.room.limit(account).await?;
        append.mailbox.append(append.whole, limit).await
    }

    /// Puts the message in progress in the place of one in the open mailbox.
    async fn replace(
        &mut self,
        account: &AccountId,
        uid: Uid,
        to: &MailboxName,
        mut append: Appending,
    ) -> Result<Vec<Appended>, StoreError> {
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

    /// What all of it will use, with so many octets more.
    fn usage_with(&self, octets: u64) -> QuotaUsage {
        let begun = self.writer.as_ref().map_or(0, ContentWriter::size);
        let message = QuotaUsage::message(begun.saturating_add(octets));
        self.usage.plus(message)
    }
}

/// About the octets that a summary takes in memory: its texts, and its parts.
fn weight(summary: &Summary) -> usize {
    let parts = summary.parts.len().saturating_mul(size_of::<Part>());
    summary.encode().len().saturating_add(parts)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use mailcore::account::Identity;
    use mailcore::batch::{Batch, Receipt};
    use mailcore::seams::{AuthError, AuthRequest, Authenticator, Commit, CommitError, Stage};
    use mailcore_store::memory::MemoryStore;

    use super::*;

    /// Nobody logs in, and nothing is staged.
    #[derive(Debug)]
    struct Broken;

    #[async_trait]
    impl Authenticator for Broken {
        async fn authenticate(&self, _: &AuthRequest) -> Result<Identity, AuthError> {
            Err(AuthError::Invalid)
        }
    }

    #[async_trait]
    impl Commit for Broken {
        async fn commit(&self, _: Batch) -> Result<Receipt, CommitError> {
            Err(CommitError::Store(StoreError::DiskFull))
        }
        async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
            Err(StoreError::DiskFull)
        }
        fn has_room(&self, _: u64) -> bool {
            true
        }
    }

    struct Appends {
        host: SessionHost,
        account: AccountId,
    }

    impl Appends {
        async fn new(commit: Option<Arc<dyn Commit>>) -> Self {
            let clock = Arc::new(mailcore::testing::VirtualClock::new());
            let store = Arc::new(MemoryStore::new());
            let account = AccountId::new("a");
            let commit = commit.unwrap_or_else(|| store.clone());
            let host = SessionHost::new(store, commit, Arc::new(Broken), clock);
            Self { host, account }
        }

        async fn ask(&mut self, question: Question) -> Answered {
            self.host.on_append(&self.account, question).await
        }

        async fn begin(&mut self, octets: &Bytes) {
            let begin = Question::AppendBegin {
                to: MailboxName::inbox(),
                size: octets.len() as u64,
                limit: 1 << 30,
            };
            self.ask(begin).await.unwrap();
            for piece in octets.chunks(READ_CHUNK) {
                let piece = Bytes::copy_from_slice(piece);
                self.ask(Question::AppendOctets(piece)).await.unwrap();
            }
        }

        async fn next(&mut self) -> Answered {
            let (flags, internal_date) = (Flags::NONE, None);
            self.ask(Question::AppendNext {
                flags,
                internal_date,
            })
            .await
        }

        async fn end(&mut self) -> Result<usize, StoreError> {
            let (flags, internal_date) = (Flags::NONE, None);
            let end = Question::AppendEnd {
                flags,
                internal_date,
            };
            match self.ask(end).await? {
                Answer::Appended(appended) => Ok(appended.len()),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn messages_of_an_append_that_failed_do_not_come_with_the_next() {
        let mut appends = Appends::new(Some(Arc::new(Broken))).await;
        let octets = Bytes::from(vec![b'x'; 60_000]);
        for _ in 0..17 {
            appends.begin(&octets).await;
            appends.next().await.unwrap();
        }
        appends.begin(&octets).await;
        assert!(matches!(appends.end().await, Err(StoreError::DiskFull)));
        appends
            .begin(&Bytes::from_static(b"Subject: x\r\n\r\n"))
            .await;
        assert_eq!(appends.end().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn summaries_of_messages_that_wait_are_bounded() {
        let mut appends = Appends::new(None).await;
        let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
        let message = format!("{head}{}", "--b\r\n\r\n".repeat(9_000));
        let mut taken = 0;
        let refusal = loop {
            appends.begin(&Bytes::from(message.clone())).await;
            match appends.next().await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 100);
        };
        assert!(
            taken > 1 && matches!(refusal, StoreError::Limit(_)),
            "{taken}"
        );
    }

    #[tokio::test]
    async fn header_fields_are_picked_from_as_much_as_fetch_looks_at() {
        let mut appends = Appends::new(None).await;
        let fill = "Y: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n";
        let message = format!("X: 1\r\n{}X: 2\r\n\r\nbody", fill.repeat(30_000));
        appends.begin(&Bytes::from(message)).await;
        appends.end().await.unwrap();
        appends.begin(&Bytes::new()).await;
        let url = MessageUrl::parse("/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(X)").unwrap();
        appends.ask(Question::AppendUrl(url)).await.unwrap();
        appends.end().await.unwrap();
        let inbox = MailboxName::inbox();
        let mailbox = appends.host.storage.open(&appends.account, &inbox).await;
        let message = mailbox.unwrap().message(Uid::new(2).unwrap()).await;
        let octets = message.unwrap().read(0..100).await.unwrap();
        assert_eq!(octets, "X: 1\r\n\r\n");
    }
}

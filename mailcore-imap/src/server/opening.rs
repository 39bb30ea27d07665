//! [`Moment`]: what a mailbox holds as SELECT tells it, all of one moment
//! however others change it meanwhile.

use mailcore::mailbox::{Changes, MailboxStatus, ModSeq, Uid, UidSet};
use mailcore::seams::{Mailbox, StoreError};

use crate::session::Resync;

/// A mailbox at one moment.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) status: MailboxStatus,
    pub(super) uids: UidSet,
    pub(super) first_unseen: Option<Uid>,
    pub(super) resync: Option<Resync>,
}

impl Moment {
    /// Reads the mailbox, and what happened in it after `since`.
    ///
    /// Counters and UIDs are two questions to a store, and a message may come
    /// in between: it would be in the view though the ModSeq that the client is
    /// told is older, and the client would hear of it as of a change. What
    /// changed after the counters were read makes the two one.
    pub(super) async fn read(
        mailbox: &dyn Mailbox,
        before: MailboxStatus,
        since: Option<ModSeq>,
    ) -> Result<Self, StoreError> {
        let uids = mailbox.uids().await?;
        let first_unseen = mailbox.first_unseen().await?;
        let counted = before.highest_modseq;
        let changes = mailbox.changes(counted).await?;
        let mut moment = Self {
            status: before,
            uids,
            first_unseen,
            resync: None,
        };
        // Where the store does not know, what went away since the counters were
        // read is told as a change, and so is what came.
        if changes.complete {
            moment.advance(&changes, counted);
        }
        if let Some(since) = since {
            moment.resync = Some(moment.missed(mailbox, since.min(counted)).await?);
        }
        Ok(moment)
    }

    /// Takes in what happened after the counters were read.
    fn advance(&mut self, changes: &Changes, counted: ModSeq) {
        let came = changes.changed.iter().map(|row| (row.uid, row.uid));
        let kept = self.uids.difference(&changes.vanished);
        self.uids = UidSet::from_ranges(kept.ranges().chain(came));
        let is_late = |uid: &Uid| {
            let row = changes.changed.iter().find(|row| row.uid == *uid);
            row.is_some_and(|row| row.modseq > counted)
        };
        self.first_unseen = self.first_unseen.filter(|uid| !is_late(uid));
        self.status = changes.status;
    }

    /// What a client missed that knew all up to `since`. It is asked for last,
    /// and what happens in this moment to messages that are there is told as a
    /// change.
    async fn missed(&self, mailbox: &dyn Mailbox, since: ModSeq) -> Result<Resync, StoreError> {
        let missed = mailbox.changed_uids(since).await?;
        let vanished = missed.vanished.difference(&self.uids);
        Ok(Resync {
            changed: missed.changed.intersection(&self.uids),
            vanished: missed.complete.then_some(vanished),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use mailcore::account::AccountId;
    use mailcore::mailbox::{FlagChange, Flags, MailboxName, MessageInfo, SystemFlag};
    use mailcore::message::{Message, Summary};
    use mailcore::seams::{
        Appended, CopyReceipt, NewMessage, QuotaLimit, Storage, StoreReceipt, Watch,
    };
    use mailcore_store::memory::MemoryStore;

    use super::*;

    /// A mailbox in which another session acts while its UIDs are read.
    #[derive(Debug)]
    struct Busy(Arc<dyn Mailbox>);

    fn mail() -> NewMessage {
        let octets = b"Subject: x\r\n\r\n".to_vec();
        NewMessage {
            summary: Arc::new(Summary::scan(&octets)),
            message: Message::from_bytes(octets),
            flags: Flags::NONE,
            internal_date: mailcore::time::Timestamp::default(),
        }
    }

    fn seen() -> FlagChange {
        FlagChange::Add([SystemFlag::Seen].into_iter().collect())
    }

    fn only(uid: u32) -> UidSet {
        Uid::new(uid).into_iter().collect()
    }

    #[async_trait]
    impl Mailbox for Busy {
        async fn status(&self) -> Result<MailboxStatus, StoreError> {
            self.0.status().await
        }
        async fn uids(&self) -> Result<UidSet, StoreError> {
            self.append(vec![mail()], QuotaLimit::NONE).await?;
            let uids = self.0.uids().await?;
            self.append(vec![mail()], QuotaLimit::NONE).await?;
            let deleted = FlagChange::Add([SystemFlag::Deleted].into_iter().collect());
            self.0.store(&only(2), &deleted, None).await?;
            self.0.expunge(&only(2)).await?;
            Ok(uids)
        }
        async fn first_unseen(&self) -> Result<Option<Uid>, StoreError> {
            let first = self.0.first_unseen().await;
            self.0.store(&only(1), &seen(), None).await?;
            first
        }
        async fn messages(&self, uids: &UidSet) -> Result<Vec<MessageInfo>, StoreError> {
            self.0.messages(uids).await
        }
        async fn summaries(&self, uids: &UidSet) -> Result<Vec<(Uid, Arc<Summary>)>, StoreError> {
            self.0.summaries(uids).await
        }
        async fn message(&self, uid: Uid) -> Result<Message, StoreError> {
            self.0.message(uid).await
        }
        async fn changes(&self, since: ModSeq) -> Result<Changes, StoreError> {
            self.0.changes(since).await
        }
        async fn append(
            &self,
            messages: Vec<NewMessage>,
            quota: QuotaLimit,
        ) -> Result<Vec<Appended>, StoreError> {
            self.0.append(messages, quota).await
        }
        async fn store(
            &self,
            uids: &UidSet,
            change: &FlagChange,
            unchanged_since: Option<ModSeq>,
        ) -> Result<StoreReceipt, StoreError> {
            self.0.store(uids, change, unchanged_since).await
        }
        async fn copy(
            &self,
            uids: &UidSet,
            to: &MailboxName,
            quota: QuotaLimit,
        ) -> Result<CopyReceipt, StoreError> {
            self.0.copy(uids, to, quota).await
        }
        async fn move_to(
            &self,
            uids: &UidSet,
            to: &MailboxName,
        ) -> Result<CopyReceipt, StoreError> {
            self.0.move_to(uids, to).await
        }
        async fn expunge(&self, uids: &UidSet) -> Result<UidSet, StoreError> {
            self.0.expunge(uids).await
        }
        fn watch(&self) -> Watch {
            self.0.watch()
        }
    }

    #[tokio::test]
    async fn counters_and_uids_are_of_one_moment_whatever_comes_in_between() {
        let store = MemoryStore::new();
        let inbox = MailboxName::inbox();
        let mailbox = store.open(&AccountId::new("alice"), &inbox).await.unwrap();
        let busy = Busy(mailbox);
        busy.append(vec![mail(), mail(), mail()], QuotaLimit::NONE)
            .await
            .unwrap();
        let before = busy.status().await.unwrap();
        let moment = Moment::read(&busy, before, None).await.unwrap();
        assert_eq!(moment.uids.to_string(), "1,3:5");
        assert_eq!(moment.status, busy.status().await.unwrap());
        assert_eq!(moment.first_unseen, None);
        // A client that knew nothing is told of everything.
        let since = Some(ModSeq::MIN);
        let moment = Moment::read(&busy, moment.status, since).await.unwrap();
        let resync = moment.resync.unwrap();
        assert_eq!(resync.changed.to_string(), "1,3:7");
        assert_eq!(resync.vanished.unwrap().to_string(), "2");
    }
}

//! An open mailbox: a name for its row in the tables.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::event::EventName;
use mailcore::mailbox::{
    Changes, FlagChange, MailboxId, MailboxName, MailboxStatus, MessageInfo, ModSeq, SystemFlag,
    Uid, UidSet,
};
use mailcore::message::{Message, Summary};
use mailcore::seams::{
    Appended, CopyReceipt, Mailbox, NewMessage, QuotaLimit, StoreError, StoreReceipt, Watch,
};

use super::Shared;
use super::content::adopt;
use super::folder::FlagRequest;
use super::tables::Transfer;

/// A handle on a mailbox. Holds no row: each call looks the mailbox up, so a
/// deleted one is noticed and a renamed one is not.
pub(super) struct MemoryMailbox {
    shared: Arc<Shared>,
    id: MailboxId,
    /// What to give out once the mailbox is gone: a closed watch.
    watch: Watch,
}

impl MemoryMailbox {
    pub(super) fn new(shared: Arc<Shared>, id: MailboxId, watch: Watch) -> Self {
        Self { shared, id, watch }
    }

    fn transfer(
        &self,
        uids: &UidSet,
        to: &MailboxName,
        transfer: Transfer,
    ) -> Result<CopyReceipt, StoreError> {
        self.shared.locked(|core, moment| {
            let account = core.folder(self.id)?.account.clone();
            let to = core.find(&account, to, moment)?;
            core.transfer((self.id, to), uids, transfer, moment)
        })
    }
}

impl fmt::Debug for MemoryMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryMailbox")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Mailbox for MemoryMailbox {
    async fn status(&self) -> Result<MailboxStatus, StoreError> {
        self.shared
            .locked(|core, _| Ok(core.folder(self.id)?.status()))
    }

    async fn messages(&self, uids: &UidSet) -> Result<Vec<MessageInfo>, StoreError> {
        self.shared.locked(|core, _| {
            let folder = core.folder(self.id)?;
            Ok(folder.rows(uids).map(|row| row.info.clone()).collect())
        })
    }

    async fn uids(&self) -> Result<UidSet, StoreError> {
        self.shared
            .locked(|core, _| Ok(core.folder(self.id)?.all_uids()))
    }

    async fn first_unseen(&self) -> Result<Option<Uid>, StoreError> {
        self.shared.locked(|core, _| {
            let all = UidSet::all();
            let mut rows = core.folder(self.id)?.rows(&all);
            let unseen = rows.find(|row| !row.info.flags.contains(SystemFlag::Seen));
            Ok(unseen.map(|row| row.info.uid))
        })
    }

    async fn summaries(&self, uids: &UidSet) -> Result<Vec<(Uid, Arc<Summary>)>, StoreError> {
        self.shared.locked(|core, _| {
            let rows = core.folder(self.id)?.rows(uids);
            Ok(rows
                .map(|row| (row.info.uid, Arc::clone(&row.body.summary)))
                .collect())
        })
    }

    async fn message(&self, uid: Uid) -> Result<Message, StoreError> {
        self.shared.locked(|core, _| {
            let row = core.folder(self.id)?.row(uid);
            row.map(|row| row.body.message.clone())
                .ok_or(StoreError::NotFound)
        })
    }

    async fn changes(&self, since: ModSeq) -> Result<Changes, StoreError> {
        self.shared
            .locked(|core, _| Ok(core.folder(self.id)?.changes(since)))
    }

    async fn append(
        &self,
        messages: Vec<NewMessage>,
        quota: QuotaLimit,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut adopted = Vec::with_capacity(messages.len());
        for mut new in messages {
            new.message = adopt(&new.message, self.shared.key, self.shared.limits.message).await?;
            adopted.push(new);
        }
        self.shared.locked(|core, moment| {
            let appended = core.append(self.id, &adopted, quota, moment)?;
            for one in &appended {
                core.note_appended(&EventName::MessageAppend, one, None, moment);
            }
            Ok(appended)
        })
    }

    async fn store(
        &self,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<StoreReceipt, StoreError> {
        let request = FlagRequest {
            uids,
            change,
            unchanged_since,
        };
        self.shared
            .locked(|core, moment| core.store(self.id, &request, moment))
    }

    async fn copy(
        &self,
        uids: &UidSet,
        to: &MailboxName,
        quota: QuotaLimit,
    ) -> Result<CopyReceipt, StoreError> {
        self.transfer(uids, to, Transfer::Copy(quota))
    }

    async fn replace(
        &self,
        uid: Uid,
        to: &MailboxName,
        mut message: NewMessage,
        quota: QuotaLimit,
    ) -> Result<Appended, StoreError> {
        let limit = self.shared.limits.message;
        message.message = adopt(&message.message, self.shared.key, limit).await?;
        self.shared.locked(|core, moment| {
            let folder = core.folder(self.id)?;
            folder.row(uid).ok_or(StoreError::NotFound)?;
            let account = folder.account.clone();
            let to = core.find(&account, to, moment)?;
            core.replace((self.id, to), uid, (&message, quota), moment)
        })
    }

    async fn move_to(&self, uids: &UidSet, to: &MailboxName) -> Result<CopyReceipt, StoreError> {
        self.transfer(uids, to, Transfer::Move)
    }

    async fn expunge(&self, uids: &UidSet) -> Result<UidSet, StoreError> {
        self.shared
            .locked(|core, moment| core.expunge(self.id, uids, moment))
    }

    async fn remove(&self, uids: &UidSet) -> Result<UidSet, StoreError> {
        self.shared
            .locked(|core, moment| core.remove_among(self.id, uids, moment))
    }

    fn watch(&self) -> Watch {
        self.shared.locked(|core, _| {
            core.folder(self.id)
                .map_or_else(|_| self.watch.clone(), |folder| folder.watch())
        })
    }

    async fn claim_recent(&self) -> Result<Uid, StoreError> {
        self.shared
            .locked(|core, _| Ok(core.folder_mut(self.id)?.claim_recent()))
    }
}

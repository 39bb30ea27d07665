//! [`Storage`] and [`Mailbox`]: accounts' mailboxes as protocols see them.
//!
//! Reads go to the index and the log directly; changes go to the writer.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::account::AccountId;
use mailcore::mailbox::{
    ChangedUids, Changes, FlagChange, MailboxEntry, MailboxId, MailboxName, MailboxStatus,
    MessageInfo, ModSeq, SpecialUse, Uid, UidSet,
};
use mailcore::message::{Message, Summary};
use mailcore::seams::{
    Abilities, AccountWatch, Acl, Appended, CommitError, CopyReceipt, Excerpt, Mailbox, Metadata,
    NewMessage, Quota, QuotaLimit, QuotaUsage, Storage, StoreError, StoreReceipt, Undelete, Watch,
};

use super::columns::{Columns, Overview, Reading};
use super::index::{MailboxState, read};
use super::live::Live;
use super::sequencer::{Originals, Refusal, Sequencer, special_use};
use super::shared::Shared;
use super::store::EmbeddedStore;

impl Shared {
    /// Has the writer do what no precondition guards.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Sequencer<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(work).await.map_err(|error| match error {
            CommitError::Store(error) => error,
            _ => StoreError::Unavailable("the change was refused"),
        })
    }

    /// The live counters of a mailbox by name, filled.
    async fn find(
        self: &Arc<Self>,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<Option<Arc<Live>>, StoreError> {
        if let Some(live) = self.names.get(account, name) {
            return Ok(Some(live));
        }
        let began = self.names.moment();
        let found = self.find_in_index(account.clone(), name.clone()).await?;
        if let Some(live) = &found {
            self.names.hold(began, (account, name), live);
        }
        Ok(found)
    }

    /// As [`Shared::find`], without what is held of names.
    async fn find_in_index(
        self: &Arc<Self>,
        account: AccountId,
        name: MailboxName,
    ) -> Result<Option<Arc<Live>>, StoreError> {
        let found =
            self.read(move |conn, _| read::mailbox_by_name(conn, account.as_str(), name.as_str()));
        let Some(state) = found.await? else {
            return Ok(None);
        };
        // Registered first, so that no commit from here on is missed; then read
        // again, for those before. One that was registered has missed none.
        let live = self.live(state.id);
        if live.status().is_ok() {
            return Ok(Some(live));
        }
        self.read(move |conn, _| {
            let snapshot = conn.unchecked_transaction()?;
            let Some(state) = read::mailbox_by_id(conn, live.id)? else {
                return Ok(None);
            };
            live.update(read::applied(conn)?, state.status());
            snapshot.finish()?;
            Ok(Some(live))
        })
        .await
    }
}

#[async_trait]
impl Storage for EmbeddedStore {
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

    fn is_read_only(&self) -> bool {
        self.shared.is_read_only()
    }

    async fn list(&self, account: &AccountId) -> Result<Vec<MailboxEntry>, StoreError> {
        // Made when it is missing, so that it is listed as the mailbox it is.
        // Where nothing can be made now, it is listed as a name.
        match self.open(account, &MailboxName::inbox()).await {
            Err(error) if !error.is_transient() => return Err(error),
            _ => {}
        }
        let account = account.clone();
        let (mailboxes, subscriptions) = self
            .shared
            .read(move |conn, _| {
                let snapshot = conn.unchecked_transaction()?;
                let mailboxes = read::mailboxes_of(conn, account.as_str())?;
                let subscriptions = read::subscriptions(conn, account.as_str())?;
                snapshot.finish()?;
                Ok((mailboxes, subscriptions))
            })
            .await?;
        Ok(entries(&mailboxes, &subscriptions))
    }

    async fn open(
        &self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<Arc<dyn Mailbox>, StoreError> {
        if let Some(live) = self.shared.find(account, name).await? {
            return Ok(Arc::new(OpenMailbox {
                shared: Arc::clone(&self.shared),
                live,
            }));
        }
        if !name.is_inbox() {
            return Err(StoreError::NoSuchMailbox);
        }
        let owner = account.clone();
        self.shared
            .change(move |sequencer| sequencer.inbox(&owner).map(drop))
            .await?;
        let live = self
            .shared
            .find(account, name)
            .await?
            .ok_or(StoreError::NoSuchMailbox)?;
        Ok(Arc::new(OpenMailbox {
            shared: Arc::clone(&self.shared),
            live,
        }))
    }

    async fn create(
        &self,
        account: &AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, StoreError> {
        let (account, name) = (account.clone(), name.clone());
        self.shared
            .change(move |sequencer| sequencer.create(&account, &name, special_use))
            .await
    }

    async fn delete(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        let (account, name) = (account.clone(), name.clone());
        self.shared
            .change(move |sequencer| sequencer.delete(&account, &name))
            .await
    }

    async fn rename(
        &self,
        account: &AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<(), StoreError> {
        let (account, from, to) = (account.clone(), from.clone(), to.clone());
        self.shared
            .change(move |sequencer| sequencer.rename(&account, &from, &to))
            .await
    }

    async fn subscribe(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        let (account, name) = (account.clone(), name.clone());
        self.shared
            .change(move |sequencer| sequencer.subscribe(&account, &name))
            .await
    }

    async fn unsubscribe(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        let (account, name) = (account.clone(), name.clone());
        self.shared
            .change(move |sequencer| sequencer.unsubscribe(&account, &name))
            .await
    }

    fn watch_account(&self, account: &AccountId) -> AccountWatch {
        self.shared.watch_account(account.as_str())
    }

    fn acl(&self) -> Option<&dyn Acl> {
        Some(self)
    }

    fn metadata(&self) -> Option<&dyn Metadata> {
        Some(self)
    }

    fn quota(&self) -> Option<&dyn Quota> {
        Some(self)
    }

    fn undelete(&self) -> Option<&dyn Undelete> {
        Some(self)
    }
}

#[async_trait]
impl Quota for EmbeddedStore {
    async fn usage(&self, account: &AccountId) -> Result<QuotaUsage, StoreError> {
        let account = account.clone();
        self.shared
            .read(move |conn, _| read::usage(conn, account.as_str()))
            .await
    }

    async fn usages(&self, accounts: &[AccountId]) -> Result<Vec<QuotaUsage>, StoreError> {
        let accounts = accounts.to_vec();
        self.shared
            .read(move |conn, _| {
                let snapshot = conn.unchecked_transaction()?;
                let usages = accounts.iter().map(|it| read::usage(conn, it.as_str()));
                let usages = usages.collect::<rusqlite::Result<_>>()?;
                snapshot.finish()?;
                Ok(usages)
            })
            .await
    }
}

/// Mailboxes and subscribed names in name order, INBOX always among them.
fn entries(mailboxes: &[MailboxState], subscriptions: &[String]) -> Vec<MailboxEntry> {
    let entry = |name: MailboxName| MailboxEntry {
        name,
        id: None,
        special_use: None,
        subscribed: false,
    };
    let mut found = BTreeMap::from([(MailboxName::inbox(), entry(MailboxName::inbox()))]);
    for state in mailboxes {
        let Ok(name) = MailboxName::parse(&state.name) else {
            continue;
        };
        // A level above that was deleted is there as a level.
        for parent in std::iter::successors(name.parent(), MailboxName::parent) {
            found.entry(parent.clone()).or_insert_with(|| entry(parent));
        }
        let listed = found.entry(name.clone()).or_insert_with(|| entry(name));
        listed.id = Some(MailboxId(state.id));
        listed.special_use = special_use(state);
    }
    for name in subscriptions
        .iter()
        .filter_map(|name| MailboxName::parse(name).ok())
    {
        found
            .entry(name.clone())
            .or_insert_with(|| entry(name))
            .subscribed = true;
    }
    found.into_values().collect()
}

/// An open mailbox.
#[derive(Debug)]
pub(super) struct OpenMailbox {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Live>,
}

impl OpenMailbox {
    /// The columns now, and those messages of `wanted` that exist.
    pub(super) async fn columns(
        &self,
        wanted: UidSet,
    ) -> Result<(Arc<Columns>, Vec<MessageInfo>), StoreError> {
        let (held, status) = (self.live.columns(), self.live.status()?);
        if let Some(held) = held.as_ref().filter(|it| it.as_of == status.highest_modseq)
            && held.is_soon_read(&wanted)
            && let Some(messages) = held.messages(&wanted)
        {
            return Ok((Arc::clone(held), messages));
        }
        let (id, shared) = (self.live.id, &self.shared);
        let read = shared.read(move |conn, shared| {
            let held = held.map(Arc::unwrap_or_clone);
            Columns::read(conn, id, held, &wanted, &shared.columns)
        });
        let Reading {
            columns,
            messages,
            counted,
        } = read.await?.ok_or(StoreError::NoSuchMailbox)?;
        if let Some(overview) = Overview::worth_keeping(&columns, counted) {
            shared.suggest(move |sequencer| overview.save(sequencer.index, id));
        }
        let columns = Arc::new(columns);
        self.live.hold_columns(&columns);
        shared.trim_columns();
        Ok((columns, messages))
    }
}

#[async_trait]
impl Mailbox for OpenMailbox {
    async fn status(&self) -> Result<MailboxStatus, StoreError> {
        self.live.status()
    }

    async fn messages(&self, uids: &UidSet) -> Result<Vec<MessageInfo>, StoreError> {
        self.columns(uids.clone()).await.map(|(_, found)| found)
    }

    async fn uids(&self) -> Result<UidSet, StoreError> {
        let (columns, _) = self.columns(UidSet::EMPTY).await?;
        Ok(columns.uids.clone())
    }

    async fn first_unseen(&self) -> Result<Option<Uid>, StoreError> {
        let (columns, _) = self.columns(UidSet::EMPTY).await?;
        Ok(columns.first_unseen)
    }

    async fn summaries(&self, uids: &UidSet) -> Result<Vec<(Uid, Arc<Summary>)>, StoreError> {
        self.read_summaries(uids).await
    }

    async fn message(&self, uid: Uid) -> Result<Message, StoreError> {
        self.read_message(uid).await
    }

    async fn excerpts(&self, wanted: &[(Uid, Excerpt)]) -> Vec<Option<Bytes>> {
        match self.read_excerpts(wanted).await {
            Ok(excerpts) => excerpts,
            Err(_) => vec![None; wanted.len()],
        }
    }

    async fn changes(&self, since: ModSeq) -> Result<Changes, StoreError> {
        if let Some(changes) = self.live.changes(since)? {
            return Ok(changes);
        }
        let id = self.live.id;
        let found = self
            .shared
            .read(move |conn, _| {
                let snapshot = conn.unchecked_transaction()?;
                let Some(state) = read::mailbox_by_id(conn, id)? else {
                    return Ok(None);
                };
                let changes = Changes {
                    changed: read::changed(conn, id, since)?,
                    vanished: read::vanished(conn, id, since)?,
                    complete: true,
                    status: state.status(),
                };
                snapshot.finish()?;
                Ok(Some(changes))
            })
            .await?;
        found.ok_or(StoreError::NoSuchMailbox)
    }

    async fn changed_uids(&self, since: ModSeq) -> Result<ChangedUids, StoreError> {
        if let Some(changes) = self.live.changes(since)? {
            return Ok(changes.into());
        }
        let id = self.live.id;
        let job = move |conn: &rusqlite::Connection, _: &Arc<Shared>| {
            let snapshot = conn.unchecked_transaction()?;
            let changes = ChangedUids {
                changed: read::changed_uids(conn, id, since)?,
                vanished: read::vanished(conn, id, since)?,
                complete: true,
            };
            snapshot.finish()?;
            Ok(changes)
        };
        self.shared.read(job).await
    }

    async fn append(
        &self,
        messages: Vec<NewMessage>,
        quota: QuotaLimit,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut inputs = Vec::with_capacity(messages.len());
        for message in &messages {
            let body = self.shared.body_input(message.message.content()).await?;
            inputs.push(super::commit::message_input(message, body));
        }
        let id = self.live.id;
        self.shared
            .change(move |sequencer| sequencer.append(id, &inputs, quota))
            .await
    }

    async fn store(
        &self,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<StoreReceipt, StoreError> {
        let (id, uids, change) = (self.live.id, uids.clone(), change.clone());
        self.shared
            .change(move |sequencer| sequencer.store(id, &uids, &change, unchanged_since))
            .await
    }

    async fn copy(
        &self,
        uids: &UidSet,
        to: &MailboxName,
        quota: QuotaLimit,
    ) -> Result<CopyReceipt, StoreError> {
        let (id, uids, to) = (self.live.id, uids.clone(), to.clone());
        self.shared
            .change(move |sequencer| sequencer.copy(id, &uids, &to, Originals::Keep(quota)))
            .await
    }

    async fn replace(
        &self,
        uid: Uid,
        to: &MailboxName,
        message: NewMessage,
        quota: QuotaLimit,
    ) -> Result<Appended, StoreError> {
        let body = self.shared.body_input(message.message.content()).await?;
        let input = super::commit::message_input(&message, body);
        let (id, to) = (self.live.id, to.clone());
        self.shared
            .change(move |sequencer| sequencer.replace(id, uid, &to, (&input, quota)))
            .await
    }

    async fn move_to(&self, uids: &UidSet, to: &MailboxName) -> Result<CopyReceipt, StoreError> {
        let (id, uids, to) = (self.live.id, uids.clone(), to.clone());
        self.shared
            .change(move |sequencer| sequencer.copy(id, &uids, &to, Originals::Expunge))
            .await
    }

    async fn expunge(&self, uids: &UidSet) -> Result<UidSet, StoreError> {
        let (id, uids) = (self.live.id, uids.clone());
        self.shared
            .change(move |sequencer| sequencer.expunge(id, &uids))
            .await
    }

    async fn remove(&self, uids: &UidSet) -> Result<UidSet, StoreError> {
        let (id, uids) = (self.live.id, uids.clone());
        self.shared
            .change(move |sequencer| sequencer.remove(id, &uids))
            .await
    }

    fn watch(&self) -> Watch {
        self.live.watch()
    }

    async fn claim_recent(&self) -> Result<Uid, StoreError> {
        self.live.status()?;
        let first = self.shared.claim_untold(self.live.id).and_then(Uid::new);
        Ok(first.unwrap_or(Uid::MAX))
    }
}

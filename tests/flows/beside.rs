//! A host's own storage beside a store of ours: what was acknowledged is filed,
//! once, wherever the process died in between.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::account::AccountId;
use mailcore::batch::{Batch, DeliveryId, Receipt};
use mailcore::event::{EventCursor, EventName};
use mailcore::mailbox::{MailboxEntry, MailboxName, MailboxStatus, MessageInfo, Uid, UidSet};
use mailcore::message::Message;
use mailcore::queue::EntryStateKind;
use mailcore::seams::{
    Appended, Commit, CommitError, Mailbox, NewMessage, QuotaLimit, SpoolQuery, Stage, Storage,
    StoreError, Watch,
};
use mailcore::server::{RunningServer, Server, Stores};
use mailcore_store::MemoryStore;
use mailcore_store::directory::MemoryDirectory;

/// What the host's storage does with the next message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Files,
    /// The process is gone before it could.
    Dies,
    /// It has it, and the process is gone before anybody hears so.
    FilesAndDies,
    Refuses,
}

/// A host's storage that knows what it filed before.
#[derive(Debug, Clone)]
struct Host {
    inner: Arc<MemoryStore>,
    mood: Arc<Mutex<Mood>>,
    filed: Arc<Mutex<HashMap<DeliveryId, Appended>>>,
}

#[derive(Debug)]
struct Folder(Arc<dyn Mailbox>, Host);

impl Host {
    fn new() -> Self {
        Self {
            inner: Arc::new(MemoryStore::new()),
            mood: Arc::new(Mutex::new(Mood::Files)),
            filed: Arc::default(),
        }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn inbox(&self) -> u32 {
        let (ann, inbox) = (AccountId::new("ann@a.test"), MailboxName::inbox());
        let inbox = self.inner.open(&ann, &inbox).await.unwrap();
        inbox.status().await.unwrap().messages
    }
}

#[async_trait]
impl Storage for Host {
    async fn list(&self, account: &AccountId) -> Result<Vec<MailboxEntry>, StoreError> {
        self.inner.list(account).await
    }

    async fn open(
        &self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<Arc<dyn Mailbox>, StoreError> {
        let mailbox = self.inner.open(account, name).await?;
        Ok(Arc::new(Folder(mailbox, self.clone())))
    }
}

#[async_trait]
impl Mailbox for Folder {
    async fn status(&self) -> Result<MailboxStatus, StoreError> {
        self.0.status().await
    }

    async fn messages(&self, uids: &UidSet) -> Result<Vec<MessageInfo>, StoreError> {
        self.0.messages(uids).await
    }

    async fn message(&self, uid: Uid) -> Result<Message, StoreError> {
        self.0.message(uid).await
    }

    fn watch(&self) -> Watch {
        self.0.watch()
    }

    async fn append_once(
        &self,
        delivery: DeliveryId,
        message: NewMessage,
        quota: QuotaLimit,
    ) -> Result<Appended, StoreError> {
        let mood = *self.1.mood.lock().unwrap();
        if mood == Mood::Dies {
            std::future::pending::<()>().await;
        }
        if mood == Mood::Refuses {
            return Err(StoreError::Limit("no more tickets"));
        }
        let before = self.1.filed.lock().unwrap().get(&delivery).cloned();
        let appended = match before {
            Some(appended) => appended,
            None => self.0.append(vec![message], quota).await?.remove(0),
        };
        self.1
            .filed
            .lock()
            .unwrap()
            .insert(delivery, appended.clone());
        if mood == Mood::FilesAndDies {
            std::future::pending::<()>().await;
        }
        Ok(appended)
    }
}

/// A store of which every commit but the first `works` fails.
#[derive(Debug)]
struct Failing(Arc<MemoryStore>, AtomicUsize);

#[async_trait]
impl Commit for Failing {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let left = self.1.load(Ordering::SeqCst);
        if left == 0 {
            return Err(StoreError::DiskFull.into());
        }
        self.1.store(left - 1, Ordering::SeqCst);
        self.0.commit(batch).await
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        self.0.stage().await
    }
}

async fn server(host: &Host, rest: impl Into<Stores>) -> RunningServer {
    let stores = Stores::beside(Arc::new(host.clone()), rest).await.unwrap();
    let users = MemoryDirectory::for_tests(&[("ann@a.test", "secret")])
        .await
        .unwrap();
    let builder = Server::builder("mx.a.test").stores(stores).accounts(users);
    builder.start().await.unwrap()
}

fn mail(octets: usize) -> Bytes {
    let head = "From: bob@b.test\r\nTo: ann@a.test\r\nSubject: x\r\n\r\n";
    format!("{head}{}\r\n", "y".repeat(octets)).into()
}

/// Lines of the queue, kept copies aside.
async fn queued(rest: &Arc<MemoryStore>) -> Vec<(EntryStateKind, String)> {
    let stores = Stores::from(Arc::clone(rest));
    let lines = stores.spool.list(&SpoolQuery::default()).await.unwrap();
    let said = |line: &mailcore::seams::SpoolSummary| match &line.entry.progress.state {
        mailcore::queue::EntryState::Bad { reason, .. } => reason.clone(),
        _ => String::new(),
    };
    lines
        .iter()
        .map(|line| (line.entry.progress.state.kind(), said(line)))
        .collect()
}

#[tokio::test]
async fn mail_is_filed_at_the_hosts_and_told_of_and_nothing_stays_behind() {
    let (host, rest) = (Host::new(), Arc::new(MemoryStore::new()));
    let server = server(&host, Arc::clone(&rest)).await;
    for octets in [10, 200_000] {
        let sent = server.send(mail(octets)).await.unwrap();
        assert!(sent.outcome().await.unwrap()[0].success);
    }
    assert_eq!(host.inbox().await, 2);
    assert_eq!(queued(&rest).await, []);
    let stores = Stores::from(Arc::clone(&rest));
    let events = stores
        .outbox
        .read(EventCursor::default(), 100)
        .await
        .unwrap();
    let new: Vec<_> = (events.iter().map(|it| &it.event))
        .filter(|event| event.name == EventName::MessageNew)
        .collect();
    assert_eq!(new.len(), 2);
    assert_eq!(new[1].field("to"), Some("ann@a.test"));
    assert_eq!(new[1].field("mailbox"), Some("INBOX"));
    server.shutdown().await;
}

#[tokio::test]
async fn what_a_crash_left_unfiled_is_filed_once_at_the_next_start() {
    for mood in [Mood::Dies, Mood::FilesAndDies] {
        let (host, rest) = (Host::new(), Arc::new(MemoryStore::new()));
        let first = server(&host, Arc::clone(&rest)).await;
        host.is(mood);
        // It never hears what became of it: the process is gone.
        let mut sending = Box::pin(first.send(mail(200_000)));
        while queued(&rest).await.is_empty() {
            tokio::select! {
                biased;
                _ = &mut sending => panic!("it was told"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(sending);
        drop(first);
        host.is(Mood::Files);
        let second = server(&host, Arc::clone(&rest)).await;
        assert_eq!(host.inbox().await, 1, "{mood:?}");
        assert_eq!(queued(&rest).await, [], "{mood:?}");
        second.shutdown().await;
    }
}

#[tokio::test]
async fn mail_that_our_store_could_not_forget_is_not_filed_again() {
    let (host, rest) = (Host::new(), Arc::new(MemoryStore::new()));
    let mut stores = Stores::from(Arc::clone(&rest));
    stores.commit = Arc::new(Failing(Arc::clone(&rest), AtomicUsize::new(1)));
    let first = server(&host, stores).await;
    first.send(mail(10)).await.unwrap();
    assert_eq!(host.inbox().await, 1);
    assert_eq!(queued(&rest).await.len(), 1);
    drop(first);
    let second = server(&host, Arc::clone(&rest)).await;
    assert_eq!((host.inbox().await, queued(&rest).await.len()), (1, 0));
    second.shutdown().await;
}

#[tokio::test]
async fn what_the_host_refuses_is_told_at_once_and_after_a_crash_kept_for_an_operator() {
    let (host, rest) = (Host::new(), Arc::new(MemoryStore::new()));
    let first = server(&host, Arc::clone(&rest)).await;
    host.is(Mood::Refuses);
    let told = first.send(mail(10)).await;
    assert!(told.is_err() || !told.unwrap().outcome().await.unwrap()[0].success);
    host.is(Mood::Dies);
    let before = queued(&rest).await.len();
    let mut sending = Box::pin(first.send(mail(10)));
    while queued(&rest).await.len() == before {
        tokio::select! {
            biased;
            _ = &mut sending => panic!("it was told"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(sending);
    drop(first);
    host.is(Mood::Refuses);
    let second = server(&host, Arc::clone(&rest)).await;
    let bad = queued(&rest).await;
    let bad = bad
        .iter()
        .find(|(state, _)| *state == EntryStateKind::Bad)
        .unwrap();
    assert!(bad.1.contains("no more tickets"), "{bad:?}");
    second.shutdown().await;
}

//! The limits of the memory store: what it forgets, and that it says so.
#![cfg(feature = "memory")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::AccountId;
use mailcore::batch::{Append, Batch, DeliveryId, IfMissing};
use mailcore::event::{Event, EventCursor, EventId, EventName, TraceId};
use mailcore::mailbox::{FlagChange, Flags, MailboxName, ModSeq, SystemFlag, Uid, UidSet};
use mailcore::message::{Message, Summary};
use mailcore::seams::{
    Commit, CommitError, Mailbox, NewMessage, OsEntropy, Outbox, QuotaLimit, Storage, StoreError,
};
use mailcore::testing::VirtualClock;
use mailcore::time::Timestamp;
use mailcore_store::{MemoryLimits, MemoryStore};

fn store(limits: MemoryLimits) -> MemoryStore {
    let clock = Arc::new(VirtualClock::new());
    MemoryStore::with_limits(clock, Arc::new(OsEntropy), limits)
}

fn account() -> AccountId {
    AccountId::new("user@example.com")
}

async fn inbox(store: &MemoryStore) -> Arc<dyn Mailbox> {
    let inbox = store.open(&account(), &MailboxName::inbox()).await;
    inbox.expect("INBOX is always there")
}

fn message(octets: &'static [u8]) -> NewMessage {
    NewMessage {
        message: Message::from_bytes(octets),
        summary: Arc::new(Summary::scan(octets)),
        flags: Flags::NONE,
        internal_date: Timestamp::EPOCH,
    }
}

fn delivery(id: u128, octets: &'static [u8]) -> Batch {
    Batch {
        appends: vec![Append {
            account: account(),
            mailbox: MailboxName::inbox(),
            if_missing: IfMissing::Fail,
            message: message(octets),
            delivery_id: Some(DeliveryId(id)),
            quota: QuotaLimit::NONE,
            trace: TraceId(0),
            recipient: None,
        }],
        ..Batch::default()
    }
}

#[tokio::test]
async fn an_outbox_that_dropped_events_says_so() {
    let mut limits = MemoryLimits::default();
    limits.events = 3;
    let store = store(limits);
    let event = |id| Event {
        id: EventId(id),
        at: Timestamp::EPOCH,
        name: EventName::parse("Test"),
        trace: None,
        account: None,
        fields: Vec::new(),
    };
    let batch = Batch {
        events: (1..=5).map(event).collect(),
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
    let events = Outbox::read(&store, EventCursor::default(), 10).await;
    let events = events.unwrap();
    assert_eq!(events[0].event.name, EventName::Gap);
    let ids: Vec<u128> = events[1..].iter().map(|it| it.event.id.0).collect();
    assert_eq!(ids, [3, 4, 5]);
    let after_gap = Outbox::read(&store, events[0].cursor, 10).await.unwrap();
    assert_eq!(after_gap, events[1..], "the gap is told once");
}

#[tokio::test]
async fn old_tombstones_are_forgotten_and_that_is_told() {
    let mut limits = MemoryLimits::default();
    limits.tombstones = 1;
    let store = store(limits);
    let mailbox = inbox(&store).await;
    mailbox
        .append(vec![message(b"a"), message(b"b")], QuotaLimit::NONE)
        .await
        .unwrap();
    let delete = FlagChange::Add([SystemFlag::Deleted].into_iter().collect());
    mailbox.store(&UidSet::all(), &delete, None).await.unwrap();
    let since = mailbox.status().await.unwrap().highest_modseq;
    for uid in [1, 2] {
        let uid = Uid::new(uid).unwrap();
        mailbox.expunge(&UidSet::range(uid, uid)).await.unwrap();
    }
    let known = mailbox.changes(since.next()).await.unwrap();
    assert!(known.complete);
    assert_eq!(known.vanished.to_string(), "2");
    assert!(!mailbox.changes(since).await.unwrap().complete);
    assert!(!mailbox.changes(ModSeq::MIN).await.unwrap().complete);
}

#[tokio::test]
async fn a_full_store_refuses_until_room_is_made() {
    let mut limits = MemoryLimits::default();
    limits.octets = 10;
    limits.message = 8;
    let store = store(limits);
    let mailbox = inbox(&store).await;
    assert!(matches!(
        mailbox
            .append(vec![message(b"123456789")], QuotaLimit::NONE)
            .await,
        Err(StoreError::TooLarge { limit: 8 })
    ));
    let both = vec![message(b"123456"), message(b"123456")];
    assert!(matches!(
        mailbox.append(both, QuotaLimit::NONE).await,
        Err(StoreError::DiskFull)
    ));
    assert_eq!(mailbox.status().await.unwrap().messages, 0, "all or none");
    mailbox
        .append(vec![message(b"123456")], QuotaLimit::NONE)
        .await
        .unwrap();
    let receipt = store.commit(delivery(1, b"123456")).await.unwrap();
    assert!(matches!(receipt.appends[0], Err(StoreError::DiskFull)));
    let copied = mailbox
        .copy(&UidSet::all(), &MailboxName::inbox(), QuotaLimit::NONE)
        .await;
    assert_eq!(copied.unwrap().pairs.len(), 1, "copies share their octets");
    let delete = FlagChange::Add([SystemFlag::Deleted].into_iter().collect());
    mailbox.store(&UidSet::all(), &delete, None).await.unwrap();
    mailbox.expunge(&UidSet::all()).await.unwrap();
    let receipt = store.commit(delivery(1, b"123456")).await.unwrap();
    assert!(receipt.appends[0].is_ok());
}

#[tokio::test]
async fn an_endless_stage_ends() {
    let mut limits = MemoryLimits::default();
    limits.message = 100;
    let store = store(limits);
    let mut stage = store.stage().await.unwrap();
    let chunk = Bytes::from_static(&[b'x'; 60]);
    stage.write(chunk.clone()).await.unwrap();
    assert!(matches!(
        stage.write(chunk).await,
        Err(StoreError::TooLarge { limit: 100 })
    ));
}

#[tokio::test]
async fn mailboxes_and_state_keys_are_counted() {
    let mut limits = MemoryLimits::default();
    limits.mailboxes = 3;
    limits.state = 2;
    let store = store(limits);
    inbox(&store).await;
    let name = |text| MailboxName::parse(text).unwrap();
    assert!(matches!(
        store.create(&account(), &name("a/b/c"), None).await,
        Err(StoreError::Limit(_))
    ));
    let listed = store.list(&account()).await.unwrap();
    assert_eq!(listed.len(), 1, "no level was made");
    store.create(&account(), &name("a/b"), None).await.unwrap();
    let put = |key: &str| mailcore::batch::StateChange::Put {
        key: mailcore::seams::StateKey::new("test", key),
        value: Vec::new(),
        expires: None,
    };
    let batch = Batch {
        state: vec![put("a"), put("b"), put("c")],
        ..Batch::default()
    };
    assert!(matches!(
        store.commit(batch).await,
        Err(CommitError::Store(StoreError::Limit(_)))
    ));
}

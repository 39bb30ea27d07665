//! Checks of [`Commit`](crate::seams::Commit).

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Append, Batch, DeliveryId, IfMissing, Precondition, SpoolChange, StateChange};
use crate::message::{Content, Message, Summary};
use crate::seams::{CommitError, Lease, NewMessage, StateKey, StoreError};
use crate::server::Stores;
use crate::testing::VirtualClock;

use super::fixtures::{
    account, all, append_to, create, entry, inbox, message, name, octets, open, read, uid,
};
use super::run;

/// Checks [`Commit`](crate::seams::Commit): batches all or nothing, each append
/// with an outcome of its own.
pub async fn commit(make: &impl AsyncFn(VirtualClock) -> Stores) {
    run!(&make(VirtualClock::new()).await;
        appends_are_filed,
        missing_mailboxes_fall_back,
        deliveries_are_filed_once,
        quota_refuses_one_append_alone,
        a_failed_precondition_writes_nothing,
        a_failed_change_writes_nothing,
        state_preconditions_compare_versions,
        content_is_shared_and_read_back,
        large_content_is_staged,
    );
}

async fn appends_are_filed(stores: &Stores) {
    let mut second = append_to("INBOX", "two");
    second.message.message = second.message.message.with_prefix("Delivered-To: x\r\n");
    let batch = Batch {
        appends: vec![append_to("INBOX", "one"), second],
        ..Batch::default()
    };
    let receipt = stores.commit.commit(batch).await.expect("commit");
    let mailbox = inbox(&stores.storage).await;
    let status = mailbox.status().await.expect("status");
    let filed: Vec<_> = receipt.appends.into_iter().map(Result::unwrap).collect();
    assert_eq!(filed.len(), 2, "one outcome for each append");
    assert_eq!(
        (filed[0].mailbox, filed[0].uid_validity, filed[0].uid),
        (status.id, status.uid_validity, uid(1))
    );
    assert_eq!(filed[1].uid, uid(2), "in the batch's order");
    assert_eq!(read(&mailbox, uid(1)).await, octets("one"));
    let second = read(&mailbox, uid(2)).await;
    assert_eq!(second, format!("Delivered-To: x\r\n{}", octets("two")));
}

async fn missing_mailboxes_fall_back(stores: &Stores) {
    let to = |mailbox: &str, if_missing| Append {
        if_missing,
        ..append_to(mailbox, mailbox)
    };
    let batch = Batch {
        appends: vec![
            to("none", IfMissing::FileToInbox),
            to("made/now", IfMissing::Create),
            to("fail", IfMissing::Fail),
        ],
        ..Batch::default()
    };
    let receipt = stores.commit.commit(batch).await.expect("commit");
    let inbox = inbox(&stores.storage).await.status().await.expect("status");
    let filed = receipt.appends[0].as_ref().expect("filed to INBOX");
    assert_eq!(filed.mailbox, inbox.id, "the fallback is INBOX");
    let made = open(&stores.storage, "made/now").await;
    assert_eq!(read(&made, uid(1)).await, octets("made/now"));
    assert!(
        matches!(receipt.appends[2], Err(StoreError::NoSuchMailbox)),
        "one that fails does so alone"
    );
    assert_eq!(inbox.messages, 1);
}

async fn deliveries_are_filed_once(stores: &Stores) {
    let append = Append {
        delivery_id: Some(DeliveryId(42)),
        ..append_to("INBOX", "once")
    };
    let batch = Batch {
        appends: vec![append],
        ..Batch::default()
    };
    let first = stores.commit.commit(batch.clone()).await.expect("commit");
    let again = stores.commit.commit(batch).await.expect("commit");
    let place = |receipt: &crate::batch::Receipt| receipt.appends[0].clone().expect("filed");
    assert_eq!(place(&first), place(&again), "told where it lies");
    assert_eq!(all(&inbox(&stores.storage).await).await, [1]);
}

async fn quota_refuses_one_append_alone(stores: &Stores) {
    let size = octets("one").len() as u64;
    let limited = |quota: Option<u64>| Append {
        quota: quota.into(),
        ..append_to("INBOX", "one")
    };
    let batch = Batch {
        appends: vec![
            limited(Some(2 * size)),
            limited(Some(2 * size)),
            limited(Some(2 * size)),
            limited(None),
        ],
        ..Batch::default()
    };
    let receipt = stores.commit.commit(batch).await.expect("commit");
    assert!(receipt.appends[0].is_ok());
    assert!(
        receipt.appends[1].is_ok(),
        "the quota may be used up exactly"
    );
    assert!(
        matches!(receipt.appends[2], Err(StoreError::OverQuota)),
        "appends of the same batch count"
    );
    assert!(receipt.appends[3].is_ok(), "no quota, no limit");
}

/// A batch that changes something everywhere.
fn full_batch() -> Batch {
    let due = crate::time::Timestamp::from_secs(1);
    Batch {
        appends: vec![append_to("INBOX", "never")],
        spool: vec![SpoolChange::Enqueue(Arc::new(entry(1, "a@x.test", due)))],
        state: vec![StateChange::Put {
            key: StateKey::new("test", "never"),
            value: b"x".to_vec(),
            expires: None,
        }],
        ..Batch::default()
    }
}

async fn nothing_was_written(stores: &Stores) {
    assert!(all(&inbox(&stores.storage).await).await.is_empty());
    assert_eq!(stores.spool.counts().await.expect("counts").queued(), 0);
    let key = StateKey::new("test", "never");
    assert!(stores.state.read(&key).await.expect("read").is_none());
    let events = stores.outbox.read(Default::default(), 100).await;
    let events = events.expect("events");
    let is_new = |name: &crate::event::EventName| *name == crate::event::EventName::MessageNew;
    assert!(!events.iter().any(|it| is_new(&it.event.name)));
}

async fn a_failed_precondition_writes_nothing(stores: &Stores) {
    let absent = Precondition::StateIs {
        key: StateKey::new("test", "absent"),
        version: None,
    };
    let lease = Precondition::LeaseHeld {
        id: crate::queue::QueueId(99),
        lease: Lease(1),
    };
    let batch = Batch {
        preconditions: vec![absent, lease],
        ..full_batch()
    };
    match stores.commit.commit(batch).await {
        Err(CommitError::Precondition(place)) => assert_eq!(place, 1, "which one failed"),
        other => panic!("a lease that nobody gave is held: {other:?}"),
    }
    nothing_was_written(stores).await;
}

async fn a_failed_change_writes_nothing(stores: &Stores) {
    let mut batch = full_batch();
    batch.state.push(StateChange::Remove {
        key: StateKey::new("test", &"k".repeat(10_000)),
    });
    assert!(
        stores.commit.commit(batch).await.is_err(),
        "a state key has at most 512 octets"
    );
    nothing_was_written(stores).await;
}

async fn state_preconditions_compare_versions(stores: &Stores) {
    let key = StateKey::new("test", "key");
    let put = |version| Batch {
        preconditions: vec![Precondition::StateIs {
            key: key.clone(),
            version,
        }],
        state: vec![StateChange::Put {
            key: key.clone(),
            value: b"value".to_vec(),
            expires: None,
        }],
        ..Batch::default()
    };
    let receipt = stores.commit.commit(put(None)).await.expect("absent");
    let version = receipt.state[0].as_ref().expect("set").version;
    assert!(
        stores.commit.commit(put(None)).await.is_err(),
        "it is not absent any more"
    );
    let receipt = stores.commit.commit(put(Some(version))).await;
    let newer = receipt.expect("the version read").state[0]
        .as_ref()
        .expect("set")
        .version;
    assert!(newer > version, "each change has a greater version");
    assert!(
        stores.commit.commit(put(Some(version))).await.is_err(),
        "an old version does not pass"
    );
}

async fn content_is_shared_and_read_back(stores: &Stores) {
    create(&stores.storage, "a").await;
    let batch = Batch {
        appends: vec![append_to("INBOX", "first")],
        ..Batch::default()
    };
    stores.commit.commit(batch).await.expect("commit");
    let stored = inbox(&stores.storage)
        .await
        .message(uid(1))
        .await
        .expect("message");
    let copy = NewMessage {
        message: stored.with_prefix("Return-Path: <>\r\n"),
        ..message("first")
    };
    let batch = Batch {
        appends: vec![Append {
            message: copy,
            ..append_to("a", "first")
        }],
        ..Batch::default()
    };
    stores.commit.commit(batch).await.expect("commit");
    let target = open(&stores.storage, "a").await;
    let want = format!("Return-Path: <>\r\n{}", octets("first"));
    assert_eq!(read(&target, uid(1)).await, want);
}

async fn large_content_is_staged(stores: &Stores) {
    let chunk = Bytes::from(vec![b'x'; 50_000]);
    let mut stage = stores.commit.stage().await.expect("stage");
    let head = Bytes::from_static(b"Subject: large\r\n\r\n");
    stage.write(head.clone()).await.expect("write");
    for _ in 0..5 {
        stage.write(chunk.clone()).await.expect("write");
    }
    let content: Content = stage.finish().await.expect("finish");
    let length = head.len() as u64 + 250_000;
    assert_eq!(content.len(), length);
    let new = NewMessage {
        message: Message::new(content),
        summary: Arc::new(Summary::scan(&head)),
        ..message("large")
    };
    let append = |mailbox: &str| Append {
        account: account(),
        mailbox: name(mailbox),
        message: new.clone(),
        ..append_to(mailbox, "large")
    };
    let batch = Batch {
        appends: vec![append("INBOX"), append("INBOX")],
        ..Batch::default()
    };
    stores.commit.commit(batch).await.expect("commit");
    let mailbox = inbox(&stores.storage).await;
    for value in [1, 2] {
        let message = mailbox.message(uid(value)).await.expect("message");
        assert_eq!(message.len(), length);
        let tail = message.read(length - 10..length).await.expect("read");
        assert_eq!(tail, "xxxxxxxxxx");
        let seam = message.read(65_500..65_600).await.expect("read");
        assert_eq!(seam.len(), 100, "ranges cross blocks");
    }
    let unused = stores.commit.stage().await.expect("stage");
    drop(unused);
    assert!(mailbox.message(uid(1)).await.is_ok());
}

//! A process that has no file descriptors left: the store answers errors, loses
//! nothing it acknowledged, and goes on once there are some again. A test of its
//! own process, since the limit is the whole process's.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use std::fs::File;
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::batch::{Append, Batch, IfMissing};
use mailcore::event::TraceId;
use mailcore::mailbox::{Flags, MailboxName, UidSet};
use mailcore::message::{Message, Summary};
use mailcore::seams::{Commit, NewMessage, QuotaLimit, Storage, StoreError};
use mailcore::time::Timestamp;
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn batch(size: usize) -> Batch {
    let octets = [b"Subject: x\r\n\r\n".to_vec(), vec![b'x'; size]].concat();
    let message = NewMessage {
        summary: Arc::new(Summary::scan(&octets)),
        message: Message::from_bytes(octets),
        flags: Flags::NONE,
        internal_date: Timestamp::from_secs(1),
    };
    let append = Append {
        account: AccountId::new("a@x.test"),
        mailbox: MailboxName::inbox(),
        if_missing: IfMissing::FileToInbox,
        message,
        delivery_id: None,
        quota: QuotaLimit::NONE,
        trace: TraceId(1),
        recipient: None,
    };
    Batch {
        appends: vec![append],
        ..Batch::default()
    }
}

async fn deliver(store: &EmbeddedStore, size: usize) -> bool {
    match store.commit(batch(size)).await {
        Ok(receipt) => receipt.appends.iter().all(Result::is_ok),
        Err(_) => false,
    }
}

async fn read_all(store: &EmbeddedStore) -> Result<usize, StoreError> {
    let account = AccountId::new("a@x.test");
    let inbox = Storage::open(store, &account, &MailboxName::inbox()).await?;
    let rows = inbox.messages(&UidSet::all()).await?;
    for row in &rows {
        let octets = inbox.message(row.uid).await?.read_all(1 << 20).await?;
        assert_eq!(octets.len() as u64, row.size);
    }
    Ok(rows.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_the_store_answers_errors_and_goes_on_later() {
    let at = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::default();
    // A segment for every few messages: each needs a new file.
    options.log.segment_size = 32 << 10;
    options.log.zero_fill = 4 << 10;
    let store = EmbeddedStore::open(at.path(), options.clone()).unwrap();
    let mut kept = 0;
    for size in [10, 70_000, 20_000] {
        kept += usize::from(deliver(&store, size).await);
    }
    assert_eq!((kept, read_all(&store).await.unwrap()), (3, 3));

    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 256.min(most), most).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    let mut refused = 0;
    for n in 0..40 {
        match deliver(&store, if n % 4 == 3 { 70_000 } else { 10_000 }).await {
            true => kept += 1,
            false => refused += 1,
        }
    }
    // A body of its own needs a file of its own; some of those were made ahead.
    assert!(refused < 40, "what needs no new file goes on");
    // Whatever can be read is whole; the rest is an error and no hole.
    let _ = read_all(&store).await;

    drop(taken);
    assert!(deliver(&store, 70_000).await && deliver(&store, 10).await);
    kept += 2;
    assert_eq!(read_all(&store).await.unwrap(), kept);
    drop(store);
    let store = EmbeddedStore::open(at.path(), options).unwrap();
    assert_eq!(store.opened().damage, []);
    assert_eq!(read_all(&store).await.unwrap(), kept);
}

//! Checks of what is left after a store was closed and opened again.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Append, Batch, DeliveryId, SpoolChange, StateChange};
use crate::event::EventCursor;
use crate::mailbox::{FlagChange, ModSeq, SystemFlag, UidSet};
use crate::queue::QueueId;
use crate::seams::{Clock, LeaseLimit, StateKey};
use crate::server::Stores;
use crate::testing::VirtualClock;

use super::fixtures::{
    account, all, append_to, create, entry, fill, flags, inbox, name, octets, open, read, uid, uids,
};

/// Checks that what was acknowledged is there after closing and opening.
/// `place` makes a fresh place, such as a directory; `open` opens the store
/// that lies there and is called anew after all of an earlier store was
/// dropped.
pub async fn durability<P>(place: impl Fn() -> P, open: impl AsyncFn(&P, VirtualClock) -> Stores) {
    let subject = || Subject {
        place: place(),
        open: &open,
        clock: VirtualClock::new(),
    };
    super::run!(&subject();
        commits_survive,
        mailbox_changes_survive,
        leases_end,
        numbers_go_on,
        old_mail_is_not_recent,
    );
}

struct Subject<'a, P, F> {
    place: P,
    open: &'a F,
    clock: VirtualClock,
}

impl<P, F: AsyncFn(&P, VirtualClock) -> Stores> Subject<'_, P, F> {
    async fn open(&self) -> Stores {
        (self.open)(&self.place, self.clock.clone()).await
    }
}

fn batch(now: crate::time::Timestamp) -> Batch {
    Batch {
        appends: vec![Append {
            delivery_id: Some(DeliveryId(1)),
            ..append_to("INBOX", "kept")
        }],
        spool: vec![SpoolChange::Enqueue(Arc::new(entry(5, "a@x.test", now)))],
        state: vec![StateChange::Put {
            key: StateKey::new("test", "key"),
            value: b"value".to_vec(),
            expires: Some(now.after(Duration::from_secs(60))),
        }],
        ..Batch::default()
    }
}

async fn commits_survive<P, F>(subject: &Subject<'_, P, F>)
where
    F: AsyncFn(&P, VirtualClock) -> Stores,
{
    let now = subject.clock.now();
    let stores = subject.open().await;
    stores.commit.commit(batch(now)).await.expect("commit");
    let key = StateKey::new("test", "key");
    let before = (
        inbox(&stores.storage).await.status().await.expect("status"),
        stores.state.read(&key).await.expect("read"),
        stores.outbox.read(EventCursor::default(), 100).await,
    );
    drop(stores);
    let stores = subject.open().await;
    let mailbox = inbox(&stores.storage).await;
    assert_eq!(mailbox.status().await.expect("status"), before.0);
    assert_eq!(read(&mailbox, uid(1)).await, octets("kept"));
    assert_eq!(stores.state.read(&key).await.expect("read"), before.1);
    let events = stores.outbox.read(EventCursor::default(), 100).await;
    assert_eq!(events.expect("events"), before.2.expect("events"));
    let found = stores.spool.entry(QueueId(5)).await.expect("entry");
    let message = &found.expect("the queue is kept").message;
    let octets_read = message.read_all(1 << 20).await.expect("read");
    assert_eq!(octets_read, octets("queued"));
    let again = Batch {
        spool: Vec::new(),
        ..batch(now)
    };
    stores.commit.commit(again).await.expect("commit");
    assert_eq!(
        all(&mailbox).await,
        [1],
        "a delivery is filed once, whatever happened in between"
    );
    subject.clock.advance(Duration::from_secs(61));
    let expired = stores.state.read(&key).await.expect("read");
    assert_eq!(expired, None, "expiry is kept too");
}

async fn mailbox_changes_survive<P, F>(subject: &Subject<'_, P, F>)
where
    F: AsyncFn(&P, VirtualClock) -> Stores,
{
    let stores = subject.open().await;
    let storage = &stores.storage;
    let mailbox = create(storage, "a/b").await;
    fill(&mailbox, 4).await;
    let delete = FlagChange::Add(flags([SystemFlag::Deleted]));
    mailbox
        .store(&uids([2]), &delete, None)
        .await
        .expect("store");
    let before = mailbox.status().await.expect("status").highest_modseq;
    mailbox.expunge(&UidSet::all()).await.expect("expunge");
    mailbox
        .move_to(&uids([3]), &name("INBOX"))
        .await
        .expect("move");
    storage
        .rename(&account(), &name("a/b"), &name("c"))
        .await
        .expect("rename");
    storage
        .subscribe(&account(), &name("later"))
        .await
        .expect("subscribe");
    let rows = mailbox.messages(&UidSet::all()).await.expect("messages");
    let list = storage.list(&account()).await.expect("list");
    drop((mailbox, stores));
    let stores = subject.open().await;
    assert_eq!(stores.storage.list(&account()).await.expect("list"), list);
    let mailbox = open(&stores.storage, "c").await;
    let after = mailbox.messages(&UidSet::all()).await.expect("messages");
    assert_eq!(after, rows, "rows are as they were");
    let changes = mailbox.changes(before).await.expect("changes");
    assert!(
        !changes.complete || changes.vanished == uids([2, 3]),
        "tombstones are kept, or it is said that they are not"
    );
    let inbox = inbox(&stores.storage).await;
    assert_eq!(read(&inbox, uid(1)).await, octets("3"));
}

async fn leases_end<P, F>(subject: &Subject<'_, P, F>)
where
    F: AsyncFn(&P, VirtualClock) -> Stores,
{
    let now = subject.clock.now();
    let stores = subject.open().await;
    stores.commit.commit(batch(now)).await.expect("commit");
    let lease_for = Duration::from_secs(3600);
    let taken = stores
        .spool
        .lease(now, LeaseLimit::all(10), lease_for)
        .await;
    assert_eq!(taken.expect("lease").len(), 1);
    drop(stores);
    let stores = subject.open().await;
    let again = stores
        .spool
        .lease(now, LeaseLimit::all(10), lease_for)
        .await;
    assert_eq!(
        again.expect("lease").len(),
        1,
        "a lease ends with the process that held it"
    );
}

async fn numbers_go_on<P, F>(subject: &Subject<'_, P, F>)
where
    F: AsyncFn(&P, VirtualClock) -> Stores,
{
    let stores = subject.open().await;
    let mailbox = inbox(&stores.storage).await;
    let old = create(&stores.storage, "a").await;
    let old = old.status().await.expect("status");
    fill(&mailbox, 2).await;
    let delete = FlagChange::Add(flags([SystemFlag::Deleted]));
    mailbox
        .store(&uids([2]), &delete, None)
        .await
        .expect("store");
    mailbox.expunge(&UidSet::all()).await.expect("expunge");
    let highest = mailbox.status().await.expect("status").highest_modseq;
    stores
        .storage
        .delete(&account(), &name("a"))
        .await
        .expect("delete");
    drop((mailbox, stores));
    let stores = subject.open().await;
    let mailbox = inbox(&stores.storage).await;
    assert_eq!(
        fill(&mailbox, 1).await,
        [uid(3)],
        "UIDs are not used again (RFC 9051 section 2.3.1.1)"
    );
    let after: ModSeq = mailbox.status().await.expect("status").highest_modseq;
    assert!(after > highest, "ModSeq does not go back");
    let new = create(&stores.storage, "a").await;
    let new = new.status().await.expect("status");
    assert_ne!((new.uid_validity, new.id), (old.uid_validity, old.id));
    assert_ne!(new.uid_validity, old.uid_validity);
}

async fn old_mail_is_not_recent<P>(
    subject: &Subject<'_, P, impl AsyncFn(&P, VirtualClock) -> Stores>,
) {
    let stores = subject.open().await;
    fill(&inbox(&stores.storage).await, 2).await;
    drop(stores);
    let stores = subject.open().await;
    let mailbox = inbox(&stores.storage).await;
    let claim = async || mailbox.claim_recent().await.expect("claim");
    assert!(claim().await > uid(2), "it came before the start");
    fill(&mailbox, 1).await;
    assert!(claim().await > uid(2));
}

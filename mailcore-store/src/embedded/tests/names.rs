//! Names that change while others open mailboxes: whoever was answered finds
//! what they were answered.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

/// The id of what the name means now.
async fn found(store: &EmbeddedStore, at: &MailboxName) -> Option<u64> {
    match store.open(&account(), at).await {
        Ok(mailbox) => Some(mailbox.status().await.ok()?.id.0),
        Err(StoreError::NoSuchMailbox) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_name_means_what_was_acknowledged_while_others_open_it() {
    let place = TempDir::new().unwrap();
    let store = Arc::new(open(place.path()));
    let (a, b) = (name("a"), name("b"));
    let done = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..3)
        .map(|_| {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            let names = [a.clone(), b.clone(), MailboxName::inbox()];
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    for name in &names {
                        found(&store, name).await;
                    }
                }
            })
        })
        .collect();
    for round in 0..60u64 {
        let made = store.create(&account(), &a, None).await.unwrap().0;
        assert_eq!(found(&store, &a).await, Some(made), "made in {round}");
        let handle = store.open(&account(), &a).await.unwrap();
        store.rename(&account(), &a, &b).await.unwrap();
        assert_eq!(found(&store, &a).await, None, "renamed away in {round}");
        assert_eq!(found(&store, &b).await, Some(made), "renamed in {round}");
        let one = vec![new_message(text(round))];
        handle.append(one, QuotaLimit::NONE).await.unwrap();
        let status = store.open(&account(), &b).await.unwrap().status().await;
        assert_eq!(status.unwrap().messages, 1, "filed in {round}");
        store.delete(&account(), &b).await.unwrap();
        assert_eq!(found(&store, &b).await, None, "deleted in {round}");
        let gone = handle.changes(ModSeq::MIN).await;
        assert!(matches!(gone, Err(StoreError::NoSuchMailbox)), "{gone:?}");
    }
    done.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
}

#[tokio::test]
async fn an_inbox_that_is_renamed_stays_and_is_empty() {
    let place = TempDir::new().unwrap();
    let store = open(place.path());
    let inbox = store.open(&account(), &MailboxName::inbox()).await.unwrap();
    let one = vec![new_message(text(1))];
    inbox.append(one, QuotaLimit::NONE).await.unwrap();
    let before = inbox.status().await.unwrap();
    store
        .rename(&account(), &MailboxName::inbox(), &name("old"))
        .await
        .unwrap();
    let after = inbox.status().await.unwrap();
    assert_eq!((after.id, after.messages), (before.id, 0));
    assert_eq!(
        found(&store, &MailboxName::inbox()).await,
        Some(before.id.0)
    );
    let changes = inbox.changes(before.highest_modseq).await.unwrap();
    assert_eq!(changes.vanished.len(), 1);
    let again = inbox.changes(after.highest_modseq).await.unwrap();
    assert!(again.vanished.is_empty() && again.status == after);
    let old = store.open(&account(), &name("old")).await.unwrap();
    assert_eq!(old.status().await.unwrap().messages, 1);
}

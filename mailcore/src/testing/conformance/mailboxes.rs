//! Checks of the tree of mailboxes.

use std::sync::Arc;

use crate::mailbox::{MailboxEntry, SpecialUse, UidSet};
use crate::seams::{QuotaLimit, Storage, StoreError};

use super::fixtures::{account, all, create, fill, inbox, name, open, read, uid};
use super::run;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Storage>) {
    run!(&make().await;
        inbox_is_always_there,
        create_makes_the_levels_above,
        create_tells_what_exists,
        delete_keeps_children,
        deleted_handles_say_so,
        recreated_mailboxes_have_other_numbers,
        rename_keeps_identity_and_moves_children,
        rename_refuses_what_exists,
        rename_needs_a_mailbox_and_not_a_level_only,
        rename_to_the_level_above_moves_what_is_below,
        rename_of_inbox_empties_it,
        subscriptions_need_no_mailbox,
        special_use_is_kept,
        accounts_do_not_meet,
    );
}

async fn list(storage: &Arc<dyn Storage>) -> Vec<MailboxEntry> {
    storage.list(&account()).await.expect("list")
}

async fn names(storage: &Arc<dyn Storage>) -> Vec<String> {
    let entries = list(storage).await.into_iter();
    entries.map(|it| it.name.to_string()).collect()
}

async fn inbox_is_always_there(storage: &Arc<dyn Storage>) {
    assert_eq!(names(storage).await, ["INBOX"], "LIST of a new account");
    let entry = &list(storage).await[0];
    let status = open(storage, "inbox").await.status().await.expect("status");
    assert_eq!(
        entry.id,
        Some(status.id),
        "INBOX is listed as a mailbox, with the MAILBOXID that STATUS tells"
    );
    assert_eq!(status.messages, 0);
    assert_eq!(status.uid_next, Some(uid(1)));
    assert!(
        matches!(
            storage.delete(&account(), &name("INBOX")).await,
            Err(StoreError::MailboxProtected(_))
        ),
        "INBOX can't be deleted"
    );
    assert!(matches!(
        storage.open(&account(), &name("nowhere")).await,
        Err(StoreError::NoSuchMailbox)
    ));
}

async fn create_makes_the_levels_above(storage: &Arc<dyn Storage>) {
    create(storage, "a/b/c").await;
    assert_eq!(names(storage).await, ["INBOX", "a", "a/b", "a/b/c"]);
    open(storage, "a/b").await;
    storage
        .delete(&account(), &name("a"))
        .await
        .expect("delete");
    create(storage, "a/b/d").await;
    open(storage, "a").await;
}

async fn create_tells_what_exists(storage: &Arc<dyn Storage>) {
    create(storage, "a").await;
    for taken in ["a", "INBOX"] {
        assert!(
            matches!(
                storage.create(&account(), &name(taken), None).await,
                Err(StoreError::MailboxExists)
            ),
            "{taken} exists"
        );
    }
}

async fn delete_keeps_children(storage: &Arc<dyn Storage>) {
    create(storage, "a/b").await;
    storage
        .delete(&account(), &name("a"))
        .await
        .expect("RFC 9051 section 6.3.5 lets a parent be deleted");
    let entries = list(storage).await;
    let parent = entries.iter().find(|it| it.name == name("a"));
    assert!(
        parent.is_some_and(|it| it.id.is_none()),
        "a deleted parent is listed as a level only"
    );
    open(storage, "a/b").await;
    assert!(matches!(
        storage.delete(&account(), &name("a")).await,
        Err(StoreError::NoSuchMailbox)
    ));
    create(storage, "a").await;
}

async fn deleted_handles_say_so(storage: &Arc<dyn Storage>) {
    let mailbox = create(storage, "a").await;
    fill(&mailbox, 1).await;
    let message = mailbox.message(uid(1)).await.expect("message");
    let known = mailbox.status().await.expect("status").highest_modseq;
    let mut watch = mailbox.watch();
    storage
        .delete(&account(), &name("a"))
        .await
        .expect("delete");
    let gone = |result: Result<(), StoreError>, what: &str| {
        assert!(
            matches!(result, Err(StoreError::NoSuchMailbox)),
            "{what} on a deleted mailbox says that it is gone"
        );
    };
    gone(mailbox.status().await.map(drop), "status");
    gone(mailbox.messages(&UidSet::all()).await.map(drop), "messages");
    gone(mailbox.changes(known).await.map(drop), "changes");
    gone(mailbox.message(uid(1)).await.map(drop), "message");
    gone(mailbox.expunge(&UidSet::all()).await.map(drop), "expunge");
    gone(
        mailbox.append(vec![], QuotaLimit::NONE).await.map(drop),
        "append",
    );
    assert!(
        message.read_all(1 << 20).await.is_ok(),
        "octets stay readable while they are held"
    );
    if storage.abilities().watch {
        while watch.changed().await.is_ok() {}
    }
}

async fn recreated_mailboxes_have_other_numbers(storage: &Arc<dyn Storage>) {
    let old = create(storage, "a").await.status().await.expect("status");
    storage
        .delete(&account(), &name("a"))
        .await
        .expect("delete");
    let new = create(storage, "a").await.status().await.expect("status");
    assert_ne!(
        old.uid_validity, new.uid_validity,
        "a mailbox made again has another UIDVALIDITY (RFC 9051 section 2.3.1.1)"
    );
    assert_ne!(old.id, new.id, "and another MAILBOXID (RFC 8474 section 4)");
}

async fn rename_keeps_identity_and_moves_children(storage: &Arc<dyn Storage>) {
    let mailbox = create(storage, "a").await;
    create(storage, "a/x").await;
    create(storage, "ab").await;
    fill(&mailbox, 2).await;
    let before = mailbox.status().await.expect("status");
    storage
        .rename(&account(), &name("a"), &name("new/place"))
        .await
        .expect("rename");
    assert_eq!(
        names(storage).await,
        ["INBOX", "ab", "new", "new/place", "new/place/x"]
    );
    let after = open(storage, "new/place").await.status().await;
    assert_eq!(after.expect("status"), before, "ids and UIDs are kept");
    assert_eq!(
        mailbox.status().await.expect("an open handle goes along"),
        before
    );
}

async fn rename_refuses_what_exists(storage: &Arc<dyn Storage>) {
    create(storage, "a").await;
    create(storage, "b").await;
    for (from, to) in [("a", "b"), ("a", "INBOX")] {
        assert!(
            matches!(
                storage.rename(&account(), &name(from), &name(to)).await,
                Err(StoreError::MailboxExists)
            ),
            "{from} can't become {to}"
        );
    }
    assert!(matches!(
        storage.rename(&account(), &name("c"), &name("d")).await,
        Err(StoreError::NoSuchMailbox)
    ));
    assert!(
        storage
            .rename(&account(), &name("a"), &name("a/below"))
            .await
            .is_err(),
        "a mailbox can't be moved below itself"
    );
    assert_eq!(names(storage).await, ["INBOX", "a", "b"]);
}

async fn rename_needs_a_mailbox_and_not_a_level_only(storage: &Arc<dyn Storage>) {
    create(storage, "a/b").await;
    let deleted = storage.delete(&account(), &name("a")).await;
    deleted.expect("delete");
    for missing in ["a", "nowhere"] {
        assert!(
            matches!(
                storage.rename(&account(), &name(missing), &name("c")).await,
                Err(StoreError::NoSuchMailbox)
            ),
            "{missing} is no mailbox (RFC 9051 section 6.3.6)"
        );
    }
    assert_eq!(names(storage).await, ["INBOX", "a", "a/b"]);
}

async fn rename_to_the_level_above_moves_what_is_below(storage: &Arc<dyn Storage>) {
    let below = create(storage, "a/b/b").await;
    fill(&below, 1).await;
    let deleted = storage.delete(&account(), &name("a")).await;
    deleted.expect("delete");
    let renamed = storage.rename(&account(), &name("a/b"), &name("a")).await;
    renamed.expect("a name is free when the mailbox that bears it moves away");
    assert_eq!(names(storage).await, ["INBOX", "a", "a/b"]);
    let moved = open(storage, "a/b").await.status().await.expect("status");
    assert_eq!(moved.messages, 1);
}

async fn rename_of_inbox_empties_it(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    create(storage, "INBOX/child").await;
    fill(&mailbox, 2).await;
    storage
        .rename(&account(), &name("INBOX"), &name("old"))
        .await
        .expect("rename INBOX (RFC 9051 section 6.3.6)");
    assert_eq!(names(storage).await, ["INBOX", "INBOX/child", "old"]);
    assert!(all(&mailbox).await.is_empty(), "INBOX is empty now");
    let old = open(storage, "old").await;
    let moved = all(&old).await;
    assert_eq!(moved.len(), 2, "its messages are in the new mailbox");
    assert!(read(&old, uid(moved[0])).await.contains("Subject: 1"));
    let next = fill(&mailbox, 1).await;
    assert_eq!(next[0], uid(3), "UIDs of INBOX are not used again");
}

async fn subscriptions_need_no_mailbox(storage: &Arc<dyn Storage>) {
    storage
        .subscribe(&account(), &name("later"))
        .await
        .expect("subscribe");
    let entries = list(storage).await;
    let entry = entries
        .iter()
        .find(|it| it.name == name("later"))
        .expect("a subscribed name is listed");
    assert!(entry.subscribed && entry.id.is_none());
    create(storage, "later").await;
    storage
        .delete(&account(), &name("later"))
        .await
        .expect("delete");
    assert!(
        names(storage).await.contains(&"later".to_owned()),
        "deleting a mailbox does not end its subscription (RFC 9051 section 6.3.5)"
    );
    for _ in 0..2 {
        storage
            .unsubscribe(&account(), &name("later"))
            .await
            .expect("ending a subscription twice is fine");
    }
    assert_eq!(names(storage).await, ["INBOX"]);
}

async fn special_use_is_kept(storage: &Arc<dyn Storage>) {
    if !storage.abilities().special_use {
        return;
    }
    let sent = (name("Sent"), Some(SpecialUse::Sent));
    storage
        .create(&account(), &sent.0, sent.1)
        .await
        .expect("create");
    storage
        .rename(&account(), &sent.0, &name("Gesendet"))
        .await
        .expect("rename");
    let entries = list(storage).await;
    let entry = entries.iter().find(|it| it.name == name("Gesendet"));
    assert_eq!(entry.and_then(|it| it.special_use), sent.1);
}

async fn accounts_do_not_meet(storage: &Arc<dyn Storage>) {
    fill(&inbox(storage).await, 1).await;
    create(storage, "a").await;
    let other = crate::account::AccountId::new("other@example.com");
    let theirs = storage.open(&other, &name("INBOX")).await.expect("open");
    assert_eq!(theirs.status().await.expect("status").messages, 0);
    assert!(matches!(
        storage.open(&other, &name("a")).await,
        Err(StoreError::NoSuchMailbox)
    ));
}

//! Checks of REPLACE, of quota limits, and of account watches.

use std::sync::Arc;

use crate::account::AccountId;
use crate::mailbox::{FlagChange, SystemFlag};
use crate::seams::{QuotaLimit, QuotaUsage, Storage, StoreError};

use super::fixtures::{account, all, create, fill, flagged, flags, inbox, message, name, octets};
use super::fixtures::{open, read, uid, uids};
use super::run;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Storage>) {
    run!(&make().await;
        limits_refuse_what_adds_too_much,
        usages_are_told_for_many,
        replacing_is_one_change,
        account_watchers_are_told,
    );
}

async fn limits_refuse_what_adds_too_much(storage: &Arc<dyn Storage>) {
    if storage.quota().is_none() {
        return;
    }
    let mailbox = inbox(storage).await;
    let other = create(storage, "other").await;
    let size = octets("1").len() as u64;
    let octets = |octets| QuotaLimit::from(Some(octets));
    let messages = |messages| QuotaLimit {
        messages: Some(messages),
        ..QuotaLimit::NONE
    };
    let append = async |count: usize, limit| {
        let messages = vec![message("1"); count];
        mailbox.append(messages, limit).await.map(drop)
    };
    append(2, octets(2 * size)).await.expect("used up exactly");
    for limit in [octets(3 * size), messages(3)] {
        let over = append(2, limit).await;
        assert!(matches!(over, Err(StoreError::OverQuota)), "all or none");
    }
    append(1, messages(3)).await.expect("used up exactly");
    let copy = async |limit| {
        let copied = mailbox.copy(&uids([1, 2]), &name("other"), limit).await;
        copied.map(drop)
    };
    for limit in [octets(4 * size), messages(4), messages(0)] {
        assert!(matches!(copy(limit).await, Err(StoreError::OverQuota)));
    }
    assert!(all(&other).await.is_empty());
    copy(octets(5 * size)).await.expect("used up exactly");
    let nothing = mailbox.copy(&uids([99]), &name("other"), messages(0)).await;
    assert!(nothing.is_ok(), "copying nothing adds nothing");
    let moved = mailbox.move_to(&uids([1]), &name("other")).await;
    moved.expect("a move within the account adds nothing");
}

async fn usages_are_told_for_many(storage: &Arc<dyn Storage>) {
    let Some(quota) = storage.quota() else {
        return;
    };
    fill(&inbox(storage).await, 2).await;
    let accounts = [AccountId::new("nobody@example.com"), account(), account()];
    let usages = quota.usages(&accounts).await.expect("usages");
    let own = QuotaUsage {
        octets: 2 * octets("1").len() as u64,
        messages: 2,
    };
    assert_eq!(usages, [QuotaUsage::default(), own, own]);
}

async fn replacing_is_one_change(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    create(storage, "drafts").await;
    if !storage.abilities().replace {
        let refused = mailbox
            .replace(uid(1), &name("drafts"), message("1"), QuotaLimit::NONE)
            .await;
        assert!(matches!(refused, Err(StoreError::Unsupported(_))));
        return;
    }
    fill(&mailbox, 3).await;
    let before = mailbox.status().await.expect("status");
    let new = flagged("newer", SystemFlag::Draft);
    let full = QuotaLimit {
        messages: Some(3),
        ..QuotaLimit::NONE
    };
    let replaced = mailbox
        .replace(uid(2), &name("INBOX"), new.clone(), full)
        .await;
    let replaced = replaced.expect("what goes makes room");
    assert_eq!((replaced.mailbox, replaced.uid), (before.id, uid(4)));
    assert_eq!(all(&mailbox).await, [1, 3, 4]);
    assert_eq!(read(&mailbox, uid(4)).await, octets("newer"));
    let rows = mailbox.messages(&uids([4])).await.expect("messages");
    assert_eq!(rows[0].flags, flags([SystemFlag::Draft]));
    let changes = mailbox
        .changes(before.highest_modseq)
        .await
        .expect("changes");
    assert!(!changes.complete || changes.vanished.contains(uid(2)));

    let drafts = name("drafts");
    let replaced = mailbox.replace(uid(1), &drafts, new.clone(), full).await;
    assert_eq!(replaced.expect("to another mailbox").uid, uid(1));
    assert_eq!(all(&open(storage, "drafts").await).await, [1]);
    assert_eq!(all(&mailbox).await, [3, 4]);

    let over = QuotaLimit::from(Some(1));
    let over = mailbox.replace(uid(3), &drafts, new.clone(), over).await;
    assert!(storage.quota().is_none() || matches!(over, Err(StoreError::OverQuota)));
    let gone = mailbox.replace(uid(99), &drafts, new.clone(), full).await;
    assert!(matches!(gone, Err(StoreError::NotFound)));
    let nowhere = mailbox.replace(uid(4), &name("nowhere"), new, full).await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchMailbox)));
    assert_eq!(all(&mailbox).await.len(), if over.is_ok() { 1 } else { 2 });
}

async fn account_watchers_are_told(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let mut watch = storage.watch_account(&account());
    if !storage.abilities().watch_account {
        assert!(watch.changed().await.is_err(), "closed from the start");
        return;
    }
    let other = storage.watch_account(&AccountId::new("other@example.com"));
    let mut told = async |what: &str| {
        assert!(watch.has_changed().expect("open"), "{what}");
        watch.borrow_and_update();
    };
    fill(&mailbox, 2).await;
    told("a message").await;
    let add = FlagChange::Add(flags([SystemFlag::Deleted]));
    mailbox.store(&uids([1]), &add, None).await.expect("store");
    told("its flags").await;
    mailbox.expunge(&uids([1])).await.expect("expunge");
    told("its end").await;
    create(storage, "a").await;
    told("a mailbox").await;
    let copied = mailbox.copy(&uids([2]), &name("a"), QuotaLimit::NONE).await;
    copied.expect("copy");
    told("a copy").await;
    let done = storage.rename(&account(), &name("a"), &name("b")).await;
    done.expect("rename");
    told("its name").await;
    let done = storage.subscribe(&account(), &name("b")).await;
    done.expect("subscribe");
    told("a subscription").await;
    let done = storage.delete(&account(), &name("b")).await;
    done.expect("delete");
    told("the mailbox's end").await;
    assert!(!other.has_changed().expect("open"), "another account");
}

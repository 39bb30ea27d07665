//! Checks of messages that can be brought back.

use std::sync::Arc;

use crate::account::AccountId;
use crate::mailbox::{FlagChange, Keyword, MailboxName, SystemFlag, UidSet};
use crate::seams::{
    Mailbox, QuotaLimit, RemovedId, RemovedMessage, RemovedQuery, Storage, StoreError, Undelete,
};

use super::fixtures::{account, all, create, fill, flags, inbox, message, name, octets};
use super::fixtures::{open, read, uid, uids};
use super::run;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Storage>) {
    if make().await.undelete().is_none() {
        return;
    }
    run!(&make().await;
        expunged_messages_come_back,
        deleted_mailboxes_come_back,
        moved_messages_are_not_removed,
        messages_come_back_all_or_none,
        removed_messages_count_in_no_quota,
        purged_messages_stay_away,
        removed_messages_are_listed_in_pages,
    );
}

fn undelete(storage: &Arc<dyn Storage>) -> &dyn Undelete {
    storage.undelete().expect("the store keeps what is removed")
}

async fn removed(storage: &Arc<dyn Storage>) -> Vec<RemovedMessage> {
    let query = RemovedQuery::default();
    let found = undelete(storage).removed(&account(), &query).await;
    found.expect("removed messages")
}

async fn expunge(mailbox: &Arc<dyn Mailbox>, of: UidSet) {
    let delete = FlagChange::Add(flags([SystemFlag::Deleted]));
    mailbox.store(&of, &delete, None).await.expect("store");
    assert_eq!(mailbox.expunge(&of).await.expect("expunge"), of);
}

async fn restore(
    storage: &Arc<dyn Storage>,
    ids: &[RemovedId],
    into: Option<&MailboxName>,
) -> Result<Vec<u32>, StoreError> {
    let done = undelete(storage)
        .restore(&account(), ids, into, QuotaLimit::NONE)
        .await?;
    Ok(done.into_iter().map(|it| it.uid.value()).collect())
}

async fn expunged_messages_come_back(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 3).await;
    let mut kept = flags([SystemFlag::Seen]);
    kept.insert_keyword(Keyword::new("$Work").expect("a keyword"));
    let add = FlagChange::Add(kept.clone());
    mailbox.store(&uids([2]), &add, None).await.expect("store");
    let before = mailbox.messages(&uids([2])).await.expect("messages");
    expunge(&mailbox, uids([2])).await;
    let there = removed(storage).await;
    let [one] = &there[..] else {
        panic!("one message was removed, {there:?} are told")
    };
    let status = mailbox.status().await.expect("status");
    assert_eq!((one.id.mailbox, one.id.uid), (status.id, uid(2)));
    assert_eq!(one.mailbox, name("INBOX"));
    assert_eq!(one.info.modseq, status.highest_modseq);
    assert_eq!(one.summary.as_deref(), Some(&*message("2").summary));
    let strangers = AccountId::new("other@example.com");
    let theirs = undelete(storage)
        .removed(&strangers, &RemovedQuery::default())
        .await;
    assert!(theirs.expect("removed").is_empty());
    let theirs = undelete(storage)
        .restore(&strangers, &[one.id], None, QuotaLimit::NONE)
        .await;
    assert!(matches!(theirs, Err(StoreError::NotFound)));

    assert_eq!(
        restore(storage, &[one.id], None).await.expect("restore"),
        [4]
    );
    assert!(removed(storage).await.is_empty(), "it is there again");
    let after = mailbox.messages(&uids([4])).await.expect("messages");
    assert_eq!(after[0].flags, kept, "as it was, without \\Deleted");
    assert_eq!(after[0].internal_date, before[0].internal_date);
    assert_eq!(after[0].email_id, before[0].email_id);
    assert_eq!(after[0].thread_id, before[0].thread_id);
    assert_eq!(read(&mailbox, uid(4)).await, octets("2"));
    let told = mailbox
        .changes(status.highest_modseq)
        .await
        .expect("changes");
    let told: Vec<u32> = told.changed.iter().map(|it| it.uid.value()).collect();
    assert_eq!(told, [4], "to other sessions it is a new message");
    assert!(matches!(
        restore(storage, &[one.id], None).await,
        Err(StoreError::NotFound)
    ));
}

async fn deleted_mailboxes_come_back(storage: &Arc<dyn Storage>) {
    let mailbox = create(storage, "a/b").await;
    fill(&mailbox, 3).await;
    expunge(&mailbox, uids([1])).await;
    let rename = storage.rename(&account(), &name("a"), &name("c")).await;
    rename.expect("rename");
    for deleted in ["c/b", "c"] {
        let deleted = storage.delete(&account(), &name(deleted)).await;
        deleted.expect("delete");
    }
    let there = removed(storage).await;
    assert_eq!(there.len(), 3, "what was expunged before and the rest");
    let ids: Vec<RemovedId> = there
        .iter()
        .filter(|it| it.id.uid > uid(1))
        .map(|it| it.id)
        .collect();
    assert!(
        there
            .iter()
            .all(|it| !ids.contains(&it.id) || it.mailbox == name("c/b"))
    );
    assert_eq!(
        restore(storage, &ids, None).await.expect("restore").len(),
        2
    );
    let made = open(storage, "c/b").await;
    assert_eq!(all(&made).await.len(), 2, "its mailbox is made again");
    open(storage, "c").await;
    let first = removed(storage).await[0].id;
    let into = name("new/place");
    assert_eq!(
        restore(storage, &[first], Some(&into))
            .await
            .expect("restore"),
        [1]
    );
    let read = read(&open(storage, "new/place").await, uid(1)).await;
    assert_eq!(read, octets("1"));
}

async fn moved_messages_are_not_removed(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    create(storage, "a").await;
    fill(&mailbox, 2).await;
    mailbox.move_to(&uids([1]), &name("a")).await.expect("move");
    let renamed = storage
        .rename(&account(), &name("INBOX"), &name("old"))
        .await;
    renamed.expect("rename of INBOX");
    assert!(removed(storage).await.is_empty(), "they live on elsewhere");
}

async fn messages_come_back_all_or_none(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 2).await;
    expunge(&mailbox, uids([1, 2])).await;
    let ids: Vec<RemovedId> = removed(storage).await.iter().map(|it| it.id).collect();
    let missing = RemovedId {
        uid: uid(99),
        ..ids[0]
    };
    let into = name("new");
    for wrong in [[ids[0], missing], [ids[0], ids[0]]] {
        let result = restore(storage, &wrong, Some(&into)).await;
        assert!(matches!(result, Err(StoreError::NotFound)));
    }
    let limit = QuotaLimit {
        messages: Some(1),
        ..QuotaLimit::NONE
    };
    let result = undelete(storage)
        .restore(&account(), &ids, Some(&into), limit)
        .await;
    assert!(matches!(result, Err(StoreError::OverQuota)));
    assert!(matches!(
        storage.open(&account(), &into).await,
        Err(StoreError::NoSuchMailbox)
    ));
    assert_eq!(removed(storage).await.len(), 2);
}

async fn removed_messages_count_in_no_quota(storage: &Arc<dyn Storage>) {
    let Some(quota) = storage.quota() else {
        return;
    };
    let mailbox = inbox(storage).await;
    fill(&mailbox, 2).await;
    expunge(&mailbox, uids([1])).await;
    let usage = quota.usage(&account()).await.expect("usage");
    assert_eq!(
        (usage.messages, usage.octets),
        (1, octets("2").len() as u64)
    );
    let id = removed(storage).await[0].id;
    restore(storage, &[id], None).await.expect("restore");
    let usage = quota.usage(&account()).await.expect("usage");
    assert_eq!(usage.messages, 2, "it counts again");
}

async fn purged_messages_stay_away(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 2).await;
    expunge(&mailbox, uids([1, 2])).await;
    let there = removed(storage).await;
    let purge = async |account: &AccountId| {
        let purged = undelete(storage).purge(account, &[there[0].id]).await;
        purged.expect("purge")
    };
    assert_eq!(purge(&AccountId::new("other@example.com")).await, 0);
    assert_eq!(purge(&account()).await, 1);
    assert_eq!(purge(&account()).await, 0, "gone already");
    assert!(restore(storage, &[there[0].id], None).await.is_err());
    let left: Vec<RemovedId> = removed(storage).await.iter().map(|it| it.id).collect();
    assert_eq!(left, [there[1].id]);
}

async fn removed_messages_are_listed_in_pages(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let other = create(storage, "other").await;
    fill(&mailbox, 5).await;
    fill(&other, 1).await;
    expunge(&mailbox, uids([1, 2, 3, 4, 5])).await;
    expunge(&other, uids([1])).await;
    let mut query = RemovedQuery {
        limit: 4,
        ..RemovedQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = undelete(storage).removed(&account(), &query).await;
        let page = page.expect("a page");
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        query.after = Some((last.removed_at, last.id));
        found.extend(page);
    }
    assert_eq!(found.len(), 6, "each once");
    assert!(found.is_sorted_by(|a, b| (b.removed_at, b.id) < (a.removed_at, a.id)));
    query.after = None;
    query.mailbox = Some(name("other"));
    let page = undelete(storage).removed(&account(), &query).await;
    assert_eq!(page.expect("a page").len(), 1, "of one mailbox");
}

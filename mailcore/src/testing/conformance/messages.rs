//! Checks of messages: UIDs, content, copies, moves, expunges.

use std::sync::Arc;

use crate::mailbox::{FlagChange, ModSeq, SystemFlag, UidSet};
use crate::seams::{Excerpt, QuotaLimit, Storage, StoreError};

use super::fixtures::{
    account, all, create, fill, flagged, flags, inbox, message, name, octets, read, uid, uids,
};
use super::run;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Storage>) {
    run!(&make().await;
        appended_messages_read_back,
        ranges_are_cut_to_the_message,
        excerpts_come_in_the_order_asked,
        unknown_uids_are_skipped,
        uids_are_never_used_again,
        expunge_takes_deleted_messages_only,
        removed_messages_go_whatever_their_flags,
        content_outlives_its_expunge,
        copies_keep_what_they_are,
        copies_to_nowhere_copy_nothing,
        moves_leave_nothing_behind,
        usage_counts_what_is_there,
        changes_by_others_are_told,
        recent_belongs_to_one_session,
        recent_is_not_forgotten_between_sessions,
        uids_follow_what_comes_and_goes,
        first_unseen_follows_flags,
    );
}

async fn appended_messages_read_back(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let appended = mailbox
        .append(
            vec![message("one"), flagged("two", SystemFlag::Seen)],
            QuotaLimit::NONE,
        )
        .await
        .expect("append");
    let status = mailbox.status().await.expect("status");
    assert_eq!(appended.len(), 2);
    for (one, value) in appended.iter().zip([1, 2]) {
        assert_eq!(one.uid, uid(value), "UIDs count from 1");
        assert_eq!(one.mailbox, status.id);
        assert_eq!(one.uid_validity, status.uid_validity);
        assert!(one.modseq > ModSeq::MIN && one.modseq <= status.highest_modseq);
    }
    let size = octets("one").len() as u64 + octets("two").len() as u64;
    assert_eq!((status.messages, status.unseen), (2, 1));
    assert_eq!(status.uid_next, Some(uid(3)));
    assert_eq!(status.size, size, "STATUS SIZE (RFC 8438)");
    let rows = mailbox.messages(&UidSet::all()).await.expect("messages");
    assert_eq!(rows[0].internal_date, message("one").internal_date);
    assert_eq!(rows[0].size, octets("one").len() as u64);
    assert_eq!(rows[0].modseq, appended[0].modseq);
    assert_ne!(rows[0].email_id, rows[1].email_id, "EMAILID names content");
    assert_eq!(read(&mailbox, uid(1)).await, octets("one"));
    let summaries = mailbox.summaries(&UidSet::all()).await.expect("summaries");
    assert_eq!(*summaries[1].1, *message("two").summary);
}

async fn ranges_are_cut_to_the_message(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let mut new = message("content");
    new.message = new.message.with_prefix("Return-Path: <>\r\n");
    mailbox
        .append(vec![new], QuotaLimit::NONE)
        .await
        .expect("append");
    let whole = format!("Return-Path: <>\r\n{}", octets("content"));
    let stored = mailbox.message(uid(1)).await.expect("message");
    assert_eq!(stored.len(), whole.len() as u64, "sizes count the prefix");
    for (start, end) in [(0, 5), (10, 30), (17, 18), (0, 9_999), (9_000, 9_999)] {
        let got = stored.read(start..end).await.expect("read");
        let cut = |at: u64| usize::try_from(at).expect("small").min(whole.len());
        assert_eq!(got, whole[cut(start)..cut(end)], "octets {start}..{end}");
    }
}

async fn excerpts_come_in_the_order_asked(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let mut prefixed = message("two");
    prefixed.message = prefixed.message.with_prefix("Return-Path: <>\r\n");
    let mut gone = message("gone");
    gone.flags = flags([SystemFlag::Deleted]);
    let messages = vec![message("one"), gone, prefixed, message("three")];
    mailbox
        .append(messages, QuotaLimit::NONE)
        .await
        .expect("append");
    let [one, two, three] = ["one", "two", "three"].map(octets);
    let two = format!("Return-Path: <>\r\n{two}");
    let header = |text: &str| text.split_inclusive("\r\n\r\n").next().map(str::to_owned);
    let limit = header(&two).map_or(0, |it| it.len() as u64);
    let wanted = [
        (uid(4), Excerpt::Range(0..9_999)),
        (uid(1), Excerpt::Range(3..9)),
        (uid(3), Excerpt::Range(10..30)),
        (uid(2), Excerpt::Range(0..9)),
        (uid(99), Excerpt::Range(0..9)),
        (uid(3), Excerpt::Header { limit }),
        (uid(3), Excerpt::Header { limit: limit - 1 }),
        (uid(1), Excerpt::Header { limit: 9_999 }),
    ];
    let right = [
        Some(three),
        one.get(3..9).map(str::to_owned),
        two.get(10..30).map(str::to_owned),
        None,
        None,
        header(&two),
        None,
        header(&one),
    ];
    mailbox.expunge(&uids([2])).await.expect("expunge");
    // Again: a store may remember what it found.
    for _ in 0..2 {
        let excerpts = mailbox.excerpts(&wanted).await;
        let excerpts: Vec<Option<String>> = excerpts
            .iter()
            .map(|it| Some(String::from_utf8_lossy(it.as_ref()?).into_owned()))
            .collect();
        assert_eq!(excerpts, right, "in order, those that exist");
    }
}

async fn unknown_uids_are_skipped(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 3).await;
    let rows = mailbox.messages(&uids([3, 1, 99])).await.expect("messages");
    let found: Vec<u32> = rows.iter().map(|row| row.uid.value()).collect();
    assert_eq!(found, [1, 3], "ascending, those that exist");
    assert_eq!(mailbox.uids().await.expect("uids"), uids([1, 2, 3]));
    assert!(matches!(
        mailbox.message(uid(99)).await,
        Err(StoreError::NotFound)
    ));
    let add = FlagChange::Add(flags([SystemFlag::Seen]));
    let receipt = mailbox.store(&uids([99]), &add, None).await.expect("store");
    assert!(receipt.messages.is_empty() && receipt.modified.is_empty());
}

async fn uids_are_never_used_again(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let deleted = flagged("gone", SystemFlag::Deleted);
    mailbox
        .append(vec![deleted], QuotaLimit::NONE)
        .await
        .expect("append");
    mailbox.expunge(&UidSet::all()).await.expect("expunge");
    assert_eq!(fill(&mailbox, 1).await, [uid(2)]);
}

async fn expunge_takes_deleted_messages_only(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 5).await;
    let delete = FlagChange::Add(flags([SystemFlag::Deleted]));
    mailbox
        .store(&uids([2, 3, 5]), &delete, None)
        .await
        .expect("store");
    assert_eq!(mailbox.status().await.expect("status").deleted, 3);
    let gone = mailbox.expunge(&uids([1, 2, 3])).await.expect("expunge");
    assert_eq!(gone, uids([2, 3]), "asked for and \\Deleted");
    assert_eq!(all(&mailbox).await, [1, 4, 5]);
    let status = mailbox.status().await.expect("status");
    assert_eq!((status.messages, status.deleted), (3, 1));
    let changes = mailbox.changes(ModSeq::MIN).await.expect("changes");
    for value in [2, 3] {
        assert!(changes.vanished.contains(uid(value)) || !changes.complete);
    }
    let gone = mailbox.expunge(&uids([1, 2])).await.expect("expunge");
    assert!(gone.is_empty(), "nothing left to expunge");
}

async fn removed_messages_go_whatever_their_flags(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 4).await;
    let deleted = flagged("marked", SystemFlag::Deleted);
    mailbox
        .append(vec![deleted], QuotaLimit::NONE)
        .await
        .expect("append");
    let gone = mailbox.remove(&uids([1, 3, 9])).await.expect("remove");
    assert_eq!(gone, uids([1, 3]), "asked for and there");
    assert_eq!(
        all(&mailbox).await,
        [2, 4, 5],
        "a mark alone removes nothing"
    );
    let gone = mailbox.remove(&uids([1, 3])).await.expect("remove");
    assert!(gone.is_empty(), "nothing left to remove");
}

async fn content_outlives_its_expunge(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let deleted = flagged("kept", SystemFlag::Deleted);
    mailbox
        .append(vec![deleted], QuotaLimit::NONE)
        .await
        .expect("append");
    let held = mailbox.message(uid(1)).await.expect("message");
    mailbox.expunge(&UidSet::all()).await.expect("expunge");
    let read = held
        .read_all(1 << 20)
        .await
        .expect("octets that are held stay readable");
    assert_eq!(read, octets("kept"));
}

async fn copies_keep_what_they_are(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let target = create(storage, "target").await;
    fill(&target, 1).await;
    fill(&mailbox, 2).await;
    let more = flagged("flagged", SystemFlag::Flagged);
    mailbox
        .append(vec![more], QuotaLimit::NONE)
        .await
        .expect("append");
    let copy = mailbox
        .copy(&uids([1, 3, 77]), &name("target"), QuotaLimit::NONE)
        .await;
    let copy = copy.expect("copy");
    assert_eq!(copy.pairs, [(uid(1), uid(2)), (uid(3), uid(3))]);
    let status = target.status().await.expect("status");
    assert_eq!(copy.uid_validity, status.uid_validity);
    let old = mailbox.messages(&uids([3])).await.expect("messages");
    let new = target.messages(&uids([3])).await.expect("messages");
    assert_eq!(new[0].flags, old[0].flags);
    assert_eq!(new[0].internal_date, old[0].internal_date);
    assert_eq!(new[0].size, old[0].size);
    if storage.abilities().object_id {
        assert_eq!(
            new[0].email_id, old[0].email_id,
            "a copy has the EMAILID of what it copies (RFC 8474 section 5.1)"
        );
    }
    assert_eq!(read(&target, uid(3)).await, octets("flagged"));
    let again = mailbox
        .copy(&uids([1]), &name("INBOX"), QuotaLimit::NONE)
        .await;
    assert_eq!(
        again.expect("a copy in place").pairs,
        [(uid(1), uid(4))],
        "a mailbox may be copied into itself"
    );
    assert_eq!(all(&mailbox).await, [1, 2, 3, 4]);
}

async fn copies_to_nowhere_copy_nothing(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 1).await;
    for result in [
        mailbox
            .copy(&UidSet::all(), &name("nowhere"), QuotaLimit::NONE)
            .await,
        mailbox.move_to(&UidSet::all(), &name("nowhere")).await,
    ] {
        assert!(
            matches!(result, Err(StoreError::NoSuchMailbox)),
            "the protocol answers TRYCREATE"
        );
    }
    assert_eq!(all(&mailbox).await, [1]);
}

async fn moves_leave_nothing_behind(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let target = create(storage, "target").await;
    fill(&mailbox, 3).await;
    let before = mailbox.status().await.expect("status").highest_modseq;
    let moved = mailbox.move_to(&uids([1, 3]), &name("target")).await;
    let pairs = moved.expect("move").pairs;
    assert_eq!(pairs, [(uid(1), uid(1)), (uid(3), uid(2))]);
    assert_eq!(all(&mailbox).await, [2]);
    assert_eq!(read(&target, uid(2)).await, octets("3"));
    let changes = mailbox.changes(before).await.expect("changes");
    assert!(
        !changes.complete || (changes.vanished.contains(uid(1)) && changes.changed.is_empty()),
        "a move is an expunge to those who watch the source"
    );
}

async fn usage_counts_what_is_there(storage: &Arc<dyn Storage>) {
    let Some(quota) = storage.quota() else {
        return;
    };
    let mailbox = inbox(storage).await;
    create(storage, "other").await;
    fill(&mailbox, 2).await;
    mailbox
        .copy(&uids([1]), &name("other"), QuotaLimit::NONE)
        .await
        .expect("copy");
    let size = octets("1").len() as u64;
    let usage = quota.usage(&account()).await.expect("usage");
    assert_eq!((usage.messages, usage.octets), (3, 3 * size));
    storage
        .delete(&account(), &name("other"))
        .await
        .expect("delete");
    let delete = FlagChange::Add(flags([SystemFlag::Deleted]));
    mailbox
        .store(&uids([1]), &delete, None)
        .await
        .expect("store");
    mailbox.expunge(&UidSet::all()).await.expect("expunge");
    let usage = quota.usage(&account()).await.expect("usage");
    assert_eq!((usage.messages, usage.octets), (1, size));
}

async fn changes_by_others_are_told(storage: &Arc<dyn Storage>) {
    if !storage.abilities().watch {
        return;
    }
    let mailbox = inbox(storage).await;
    fill(&mailbox, 1).await;
    let mut watch = mailbox.watch();
    assert!(
        !watch.has_changed().expect("open"),
        "a new watch tells of changes from now on"
    );
    let other = inbox(storage).await;
    fill(&other, 1).await;
    watch.changed().await.expect("open");
    let seen = *watch.borrow_and_update();
    let status = mailbox.status().await.expect("status");
    assert_eq!(
        seen, status.highest_modseq,
        "the watch holds the last ModSeq"
    );
}

async fn recent_belongs_to_one_session(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 2).await;
    let first = mailbox.claim_recent().await.expect("claim");
    let second = mailbox.claim_recent().await.expect("claim");
    assert!(
        second > uid(2),
        "what one session took as recent is recent to no other"
    );
    assert!(first <= second);
}

async fn recent_is_not_forgotten_between_sessions(storage: &Arc<dyn Storage>) {
    fill(&inbox(storage).await, 2).await;
    let claim = async || inbox(storage).await.claim_recent().await.expect("claim");
    if claim().await > uid(2) {
        return; // a store that keeps no \Recent
    }
    assert!(claim().await > uid(2), "told to the session before");
    fill(&inbox(storage).await, 1).await;
    assert_eq!(claim().await, uid(3), "new mail is recent");
    assert!(claim().await > uid(3), "once");
}

async fn uids_follow_what_comes_and_goes(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let told = async || mailbox.uids().await.expect("uids");
    assert_eq!(told().await, UidSet::EMPTY);
    fill(&mailbox, 5).await;
    assert_eq!(told().await, uids(1..=5));
    let deleted = FlagChange::Add(flags([SystemFlag::Deleted]));
    mailbox
        .store(&uids([2, 4]), &deleted, None)
        .await
        .expect("store");
    mailbox.expunge(&UidSet::all()).await.expect("expunge");
    assert_eq!(told().await, uids([1, 3, 5]));
    fill(&mailbox, 2).await;
    assert_eq!(told().await, uids([1, 3, 5, 6, 7]));
    create(storage, "other").await;
    mailbox
        .move_to(&uids([1, 7]), &name("other"))
        .await
        .expect("move");
    assert_eq!(told().await, uids([3, 5, 6]));
    let again = inbox(storage).await.uids().await.expect("uids");
    assert_eq!(again, uids([3, 5, 6]), "to a new session");
}

async fn first_unseen_follows_flags(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let first = async || mailbox.first_unseen().await.expect("first unseen");
    assert_eq!(first().await, None);
    fill(&mailbox, 4).await;
    let Some(told) = first().await else {
        return; // a store that can't tell at once
    };
    assert_eq!(told, uid(1));
    let seen = flags([SystemFlag::Seen]);
    let change = async |of: UidSet, change: FlagChange| {
        mailbox.store(&of, &change, None).await.expect("store");
    };
    change(uids([1, 3]), FlagChange::Add(seen.clone())).await;
    assert_eq!(first().await, Some(uid(2)));
    change(uids([2]), FlagChange::Add(seen.clone())).await;
    assert_eq!(first().await, Some(uid(4)));
    change(uids([3]), FlagChange::Remove(seen.clone())).await;
    assert_eq!(first().await, Some(uid(3)));
    let deleted = flags([SystemFlag::Deleted]);
    change(uids([3]), FlagChange::Add(deleted)).await;
    mailbox.expunge(&UidSet::all()).await.expect("expunge");
    assert_eq!(first().await, Some(uid(4)));
    change(uids([4]), FlagChange::Add(seen)).await;
    assert_eq!(first().await, None);
    fill(&mailbox, 1).await;
    assert_eq!(first().await, Some(uid(5)));
}

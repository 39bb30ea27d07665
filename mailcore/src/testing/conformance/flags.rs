//! Checks of flags and ModSeq (RFC 7162).

use std::sync::Arc;

use crate::mailbox::{FlagChange, Flags, Keyword, MessageInfo, ModSeq, SystemFlag, UidSet};
use crate::seams::{Mailbox, Storage};

use super::fixtures::{fill, flags, inbox, uid, uids};
use super::run;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Storage>) {
    run!(&make().await;
        flags_are_set_cleared_and_replaced,
        modseq_grows_with_each_change,
        unchanged_since_spares_what_changed,
        changes_are_what_came_after,
        counters_follow_flags,
    );
}

async fn row(mailbox: &Arc<dyn Mailbox>, value: u32) -> MessageInfo {
    let mut rows = mailbox.messages(&uids([value])).await.expect("messages");
    rows.pop().expect("the message is there")
}

async fn flags_are_set_cleared_and_replaced(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 1).await;
    let keyword = Keyword::new("$Forwarded").expect("a keyword");
    let both = Flags::from_parts(SystemFlag::Seen as u8, [keyword.clone()]);
    let steps = [
        (FlagChange::Add(both.clone()), both.clone()),
        (
            FlagChange::Remove(flags([SystemFlag::Seen])),
            Flags::from_parts(0, [keyword]),
        ),
        (
            FlagChange::Replace(flags([SystemFlag::Draft])),
            flags([SystemFlag::Draft]),
        ),
    ];
    for (change, want) in steps {
        let receipt = mailbox.store(&UidSet::all(), &change, None).await;
        let rows = receipt.expect("store").messages;
        assert_eq!(rows.len(), 1, "{change:?} tells the message's row");
        assert_eq!(rows[0].flags, want, "{change:?}");
        assert_eq!(row(&mailbox, 1).await, rows[0]);
    }
}

async fn modseq_grows_with_each_change(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 2).await;
    let before = mailbox.status().await.expect("status").highest_modseq;
    let seen = FlagChange::Add(flags([SystemFlag::Seen]));
    let receipt = mailbox.store(&uids([1]), &seen, None).await.expect("store");
    let changed = row(&mailbox, 1).await.modseq;
    assert!(changed > before, "a change has a ModSeq of its own");
    let told = receipt.modseq.unwrap_or(changed);
    assert_eq!(told, changed, "a receipt tells it, or none");
    assert!(row(&mailbox, 2).await.modseq <= before);
    assert_eq!(
        mailbox.status().await.expect("status").highest_modseq,
        changed
    );
    let receipt = mailbox.store(&uids([1]), &seen, None).await.expect("store");
    assert_eq!(receipt.messages.len(), 1, "unchanged rows are told too");
    assert_eq!(receipt.modseq, None, "nothing changed");
    assert!(row(&mailbox, 1).await.modseq >= changed);
}

async fn unchanged_since_spares_what_changed(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 2).await;
    let since = mailbox.status().await.expect("status").highest_modseq;
    let seen = FlagChange::Add(flags([SystemFlag::Seen]));
    mailbox.store(&uids([1]), &seen, None).await.expect("store");
    let draft = FlagChange::Add(flags([SystemFlag::Draft]));
    let receipt = mailbox
        .store(&UidSet::all(), &draft, Some(since))
        .await
        .expect("store");
    assert_eq!(receipt.modified, uids([1]), "changed after UNCHANGEDSINCE");
    assert!(!row(&mailbox, 1).await.flags.contains(SystemFlag::Draft));
    assert!(row(&mailbox, 2).await.flags.contains(SystemFlag::Draft));
}

async fn changes_are_what_came_after(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 4).await;
    let everything = mailbox.changes(ModSeq::MIN).await.expect("changes");
    assert_eq!(
        everything.changed.len(),
        4,
        "from the beginning: everything"
    );
    let since = everything.status.highest_modseq;
    let nothing = mailbox.changes(since).await.expect("changes");
    assert!(nothing.changed.is_empty() && nothing.vanished.is_empty());
    assert!(nothing.complete, "nothing happened, and that is known");
    let seen = FlagChange::Add(flags([SystemFlag::Seen]));
    let deleted = FlagChange::Add(flags([SystemFlag::Deleted]));
    mailbox.store(&uids([3]), &seen, None).await.expect("store");
    mailbox
        .store(&uids([1]), &deleted, None)
        .await
        .expect("store");
    mailbox.expunge(&UidSet::all()).await.expect("expunge");
    fill(&mailbox, 1).await;
    let changes = mailbox.changes(since).await.expect("changes");
    let changed: Vec<u32> = changes.changed.iter().map(|it| it.uid.value()).collect();
    assert_eq!(changed, [3, 5], "changed and new messages, ascending");
    assert!(changes.vanished.contains(uid(1)) || !changes.complete);
    assert!(!changes.vanished.contains(uid(3)));
    assert_eq!(changes.status, mailbox.status().await.expect("status"));
    if storage.abilities().mod_seq {
        assert!(changes.complete, "a fresh tombstone is still known");
        assert_eq!(changes.vanished, uids([1]));
    }
}

async fn counters_follow_flags(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    fill(&mailbox, 3).await;
    let both = flags([SystemFlag::Seen, SystemFlag::Deleted]);
    let steps = [
        (uids([1, 2]), FlagChange::Add(both.clone()), (1, 2)),
        (uids([1]), FlagChange::Replace(Flags::NONE), (2, 1)),
        (UidSet::all(), FlagChange::Replace(both), (0, 3)),
        (
            uids([3]),
            FlagChange::Remove(flags([SystemFlag::Seen])),
            (1, 3),
        ),
    ];
    for (which, change, want) in steps {
        mailbox.store(&which, &change, None).await.expect("store");
        let status = mailbox.status().await.expect("status");
        assert_eq!(
            (status.unseen, status.deleted),
            want,
            "unseen and deleted after {change:?} of {which}"
        );
    }
}

//! Checks of annotations on mailboxes (RFC 5464).

use std::sync::Arc;

use crate::account::AccountId;
use crate::mailbox::{EntryName, MailboxName};
use crate::seams::{Metadata, Storage, StoreError};

use super::fixtures::{account, create, name};
use super::run;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Storage>) {
    if make().await.metadata().is_none() {
        return;
    }
    run!(&make().await;
        annotations_are_set_changed_and_removed,
        annotations_follow_a_rename_and_end_with_a_delete,
        annotations_of_the_server_are_an_accounts_own,
    );
}

fn metadata(storage: &Arc<dyn Storage>) -> &dyn Metadata {
    storage.metadata().expect("the store keeps annotations")
}

async fn note(
    storage: &Arc<dyn Storage>,
    mailbox: Option<&str>,
    changes: &[(&str, Option<&str>)],
) -> Result<(), StoreError> {
    let change = |(entry, value): &(&str, Option<&str>)| {
        let entry = EntryName::parse(entry.as_bytes()).expect("an entry");
        (entry, value.map(|it| it.as_bytes().to_vec()))
    };
    let changes = changes.iter().map(change).collect();
    let mailbox = mailbox.map(name);
    metadata(storage)
        .annotate(&account(), mailbox.as_ref(), changes)
        .await
}

/// Annotations as `entry value`.
async fn noted(
    storage: &Arc<dyn Storage>,
    account: &AccountId,
    mailbox: Option<&MailboxName>,
) -> Vec<String> {
    let found = metadata(storage).annotations(account, mailbox).await;
    let found = found.unwrap_or_else(|error| panic!("annotations of {mailbox:?}: {error}"));
    let show = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let lines = found
        .iter()
        .map(|it| format!("{} {}", it.entry, show(&it.value)));
    lines.collect()
}

async fn annotations_are_set_changed_and_removed(storage: &Arc<dyn Storage>) {
    create(storage, "a").await;
    let a = name("a");
    let changes = [
        ("/shared/comment", Some("one")),
        ("/private/comment", Some("two")),
    ];
    note(storage, Some("a"), &changes).await.expect("noted");
    let all = ["/private/comment two", "/shared/comment one"];
    assert_eq!(noted(storage, &account(), Some(&a)).await, all, "by entry");
    let changes = [
        ("/shared/comment", Some("")),
        ("/private/comment", None),
        ("/private/x", None),
    ];
    note(storage, Some("a"), &changes).await.expect("noted");
    assert_eq!(
        noted(storage, &account(), Some(&a)).await,
        ["/shared/comment "]
    );
    let nowhere = note(storage, Some("b"), &[("/shared/comment", Some("x"))]).await;
    assert!(
        matches!(nowhere, Err(StoreError::NoSuchMailbox)),
        "{nowhere:?}"
    );
}

async fn annotations_follow_a_rename_and_end_with_a_delete(storage: &Arc<dyn Storage>) {
    create(storage, "a").await;
    create(storage, "kept").await;
    for mailbox in [Some("a"), Some("kept"), None] {
        let noted = note(storage, mailbox, &[("/private/comment", Some("x"))]).await;
        noted.expect("noted");
    }
    let renamed = storage.rename(&account(), &name("a"), &name("b")).await;
    renamed.expect("renamed");
    assert_eq!(
        noted(storage, &account(), Some(&name("b"))).await,
        ["/private/comment x"]
    );
    storage
        .delete(&account(), &name("b"))
        .await
        .expect("deleted");
    metadata(storage).tidy(&account()).await.expect("tidy");
    create(storage, "b").await;
    assert!(
        noted(storage, &account(), Some(&name("b")))
            .await
            .is_empty()
    );
    for mailbox in [Some(name("kept")), None] {
        assert_eq!(noted(storage, &account(), mailbox.as_ref()).await.len(), 1);
    }
}

async fn annotations_of_the_server_are_an_accounts_own(storage: &Arc<dyn Storage>) {
    let noted_here = note(storage, None, &[("/private/vendor/x", Some("1"))]).await;
    noted_here.expect("noted");
    let other = AccountId::new("someone-else");
    assert!(noted(storage, &other, None).await.is_empty());
    assert_eq!(
        noted(storage, &account(), None).await,
        ["/private/vendor/x 1"]
    );
}

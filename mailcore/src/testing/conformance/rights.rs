//! Checks of rights on mailboxes (RFC 4314).

use std::sync::Arc;

use crate::account::AccountId;
use crate::mailbox::{AclEntry, Identifier, Rights, RightsChange};
use crate::seams::{Acl, Storage, StoreError};

use super::fixtures::{account, create, inbox, name};
use super::run;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Storage>) {
    if make().await.acl().is_none() {
        return;
    }
    run!(&make().await;
        rights_are_set_changed_and_removed,
        rights_follow_a_rename_and_end_with_a_delete,
        new_mailboxes_inherit_rights,
        mailboxes_are_found_by_identifier,
    );
}

fn who(text: &str) -> Identifier {
    Identifier::parse(text).expect("an identifier")
}

fn rights(text: &str) -> Rights {
    Rights::parse(text.as_bytes()).expect("rights")
}

fn acl(storage: &Arc<dyn Storage>) -> &dyn Acl {
    storage.acl().expect("the store keeps rights")
}

async fn set(storage: &Arc<dyn Storage>, mailbox: &str, identifier: &str, change: RightsChange) {
    acl(storage)
        .set(&account(), &name(mailbox), &who(identifier), change)
        .await
        .unwrap_or_else(|error| panic!("set {identifier} on {mailbox}: {error}"));
}

async fn grant(storage: &Arc<dyn Storage>, mailbox: &str, identifier: &str, letters: &str) {
    let change = RightsChange::Replace(rights(letters));
    set(storage, mailbox, identifier, change).await;
}

/// Entries as `identifier letters`.
async fn entries(storage: &Arc<dyn Storage>, mailbox: &str) -> Vec<String> {
    let entries = acl(storage).entries(&account(), &name(mailbox)).await;
    let entries = entries.unwrap_or_else(|error| panic!("entries of {mailbox}: {error}"));
    let show = |it: AclEntry| format!("{} {}", it.identifier, it.rights);
    entries.into_iter().map(show).collect()
}

async fn rights_are_set_changed_and_removed(storage: &Arc<dyn Storage>) {
    create(storage, "a").await;
    assert!(entries(storage, "a").await.is_empty());
    grant(storage, "a", "fred@example.com", "lrs").await;
    grant(storage, "a", "anyone", "l").await;
    grant(storage, "a", "-$guests", "r").await;
    let all = ["-$guests r", "anyone l", "fred@example.com lrs"];
    assert_eq!(entries(storage, "a").await, all, "by identifier");
    let fred = "fred@example.com";
    set(storage, "a", fred, RightsChange::Add(rights("wi"))).await;
    set(storage, "a", fred, RightsChange::Remove(rights("sx"))).await;
    set(storage, "a", "anyone", RightsChange::Remove(rights("l"))).await;
    let left = ["-$guests r", "fred@example.com lrwi"];
    assert_eq!(entries(storage, "a").await, left);
    for _ in 0..2 {
        let removed = acl(storage)
            .remove(&account(), &name("a"), &who(fred))
            .await;
        removed.expect("removing an entry twice is fine");
    }
    assert_eq!(entries(storage, "a").await, ["-$guests r"]);
    let nowhere = acl(storage).entries(&account(), &name("nowhere")).await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchMailbox)));
    let change = RightsChange::Replace(rights("l"));
    let nowhere = acl(storage)
        .set(&account(), &name("nowhere"), &who("anyone"), change)
        .await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchMailbox)));
}

async fn rights_follow_a_rename_and_end_with_a_delete(storage: &Arc<dyn Storage>) {
    create(storage, "a").await;
    grant(storage, "a", "anyone", "lr").await;
    grant(storage, "INBOX", "anyone", "l").await;
    let rename = async |from: &str, to: &str| {
        let renamed = storage.rename(&account(), &name(from), &name(to)).await;
        renamed.unwrap_or_else(|error| panic!("rename {from}: {error}"));
    };
    rename("a", "b").await;
    assert_eq!(entries(storage, "b").await, ["anyone lr"]);
    rename("INBOX", "old").await;
    assert_eq!(entries(storage, "INBOX").await, ["anyone l"], "INBOX stays");
    assert!(entries(storage, "old").await.is_empty());
    let deleted = storage.delete(&account(), &name("b")).await;
    deleted.expect("delete");
    create(storage, "b").await;
    assert!(entries(storage, "b").await.is_empty(), "RFC 4314 section 4");
}

async fn new_mailboxes_inherit_rights(storage: &Arc<dyn Storage>) {
    create(storage, "a").await;
    grant(storage, "a", "anyone", "lr").await;
    create(storage, "a/b/c").await;
    assert_eq!(entries(storage, "a/b/c").await, ["anyone lr"]);
    grant(storage, "a", "anyone", "l").await;
    assert_eq!(entries(storage, "a/b/c").await, ["anyone lr"], "once");
}

async fn mailboxes_are_found_by_identifier(storage: &Arc<dyn Storage>) {
    inbox(storage).await;
    create(storage, "a").await;
    create(storage, "b").await;
    grant(storage, "a", "fred@example.com", "lr").await;
    grant(storage, "a", "anyone", "l").await;
    grant(storage, "a", "bob@example.com", "l").await;
    grant(storage, "b", "bob@example.com", "l").await;
    let other = AccountId::new("other@example.com");
    let change = RightsChange::Replace(rights("lrs"));
    let inbox = name("INBOX");
    let set = acl(storage)
        .set(&other, &inbox, &who("$staff"), change)
        .await;
    set.expect("INBOX is always there");
    let asked = [who("fred@example.com"), who("anyone"), who("$staff")];
    let found = acl(storage).mailboxes_of(&asked).await.expect("mailboxes");
    let places: Vec<_> = found
        .iter()
        .map(|it| (it.owner.clone(), it.name.clone(), it.entries.len()))
        .collect();
    assert_eq!(places, [(other, inbox, 1), (account(), name("a"), 2)]);
    assert_eq!(found[0].entries[0].rights, rights("lrs"));
    let none = acl(storage).mailboxes_of(&[]).await.expect("mailboxes");
    assert!(none.is_empty());
}

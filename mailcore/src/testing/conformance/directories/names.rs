//! Checks of lists, groups and the listing of served addresses.

use std::sync::Arc;

use super::{Accounts, add_account, add_local, address, leaves_out, password, resolve, run};
use crate::address::Address;
use crate::seams::{
    AddressLine, AddressQuery, AddressState, DirectoryError, GroupKind, GroupName, ListMode,
    ListRecord, Posting, ReplyTo, Resolution, Stands,
};

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Accounts>) {
    run!(&make().await;
        a_list_has_settings_and_members,
        members_come_in_pages,
        a_group_holds_accounts,
        who_is_gone_is_in_no_group,
        addresses_are_listed,
        an_address_is_switched_off_and_on,
        an_import_is_all_or_nothing,
    );
}

async fn a_list_has_settings_and_members(directory: &Arc<dyn Accounts>) {
    let Some(lists) = directory.lists() else {
        return;
    };
    add_local(directory, "x.test").await;
    add_account(directory, "user@x.test").await;
    let mut list = ListRecord::new(address("news@x.test"));
    let added = lists.add_list(&list).await;
    if leaves_out(&added) {
        return;
    }
    added.expect("add");
    for taken in ["news@x.test", "user@x.test"] {
        let again = lists.add_list(&ListRecord::new(address(taken))).await;
        assert!(matches!(again, Err(DirectoryError::Exists(_))), "{again:?}");
    }
    let account = directory
        .add_account(&address("News@x.test"), &password())
        .await;
    assert!(matches!(account, Err(DirectoryError::Exists(_))));
    let address_of = Resolution::List(address("news@x.test"));
    assert_eq!(resolve(directory, "News+detail@x.test").await, address_of);

    list.mode = ListMode::Membership;
    list.posting = Posting::Moderators;
    list.owner = Some(address("user@x.test"));
    list.moderators = vec![address("m@x.test"), address("a@elsewhere.test")];
    list.reply_to = ReplyTo::Address(address("answers@x.test"));
    list.errors_to = Some(address("errors@x.test"));
    list.members_file = Some("/etc/members".into());
    lists.change_list(&list).await.expect("change");
    let read = lists.list(&address("NEWS@x.test")).await.expect("read");
    assert_eq!(read.as_ref(), Some(&list));

    let news = address("news@x.test");
    let members = [address("User@x.test"), address("out@elsewhere.test")];
    let added = lists.add_members(&news, &members).await;
    assert_eq!(added.expect("add"), 2);
    let again = lists.add_members(&news, &members).await;
    assert_eq!(again.expect("add"), 0, "members are there once");
    let is = async |text: &str| lists.is_member(&news, &address(text)).await.expect("read");
    assert!(is("user@X.test").await && is("OUT@elsewhere.test").await);
    assert!(!is("other@x.test").await);
    let itself = lists.add_members(&news, std::slice::from_ref(&news)).await;
    assert!(itself.is_err(), "a list is not on itself");
    let removed = lists.remove_members(&news, &members[..1]).await;
    assert_eq!(removed.expect("remove"), 1);
    assert!(!is("user@x.test").await);
    lists.change_list(&list).await.expect("change");
    assert!(is("out@elsewhere.test").await, "members stay");

    let all = lists.all_lists().await.expect("read");
    assert_eq!(all, std::slice::from_ref(&news));
    lists.remove_list(&news).await.expect("remove");
    assert_eq!(resolve(directory, "news@x.test").await, Resolution::Unknown);
    assert_eq!(lists.list(&news).await.expect("read"), None);
    let gone = lists.members(&news, None, 1).await;
    assert!(matches!(gone, Err(DirectoryError::NotFound(_))));
}

async fn members_come_in_pages(directory: &Arc<dyn Accounts>) {
    let Some(lists) = directory.lists() else {
        return;
    };
    add_local(directory, "x.test").await;
    let all = address("all@x.test");
    let added = lists.add_list(&ListRecord::new(all.clone())).await;
    if leaves_out(&added) {
        return;
    }
    added.expect("add");
    let wanted: Vec<Address> = (0..10_000)
        .map(|number| address(&format!("m{number:05}@elsewhere.test")))
        .collect();
    let count = lists.add_members(&all, &wanted).await.expect("add");
    assert_eq!(count, wanted.len());
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = lists.members(&all, after.as_ref(), 999).await;
        let page = page.expect("read");
        assert!(page.len() <= 999);
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.clone());
        found.extend(page);
    }
    assert!(found == wanted, "each member comes once, in order");
}

async fn a_group_holds_accounts(directory: &Arc<dyn Accounts>) {
    let Some(groups) = directory.groups() else {
        return;
    };
    add_local(directory, "x.test").await;
    let a = add_account(directory, "a@x.test").await;
    let b = add_account(directory, "b@x.test").await;
    let staff = GroupName::parse("Staff").expect("a name");
    let board = GroupName::parse("board@x.test").expect("a name");
    let added = groups.add_group(&staff, GroupKind::Open).await;
    if leaves_out(&added) {
        return;
    }
    added.expect("add");
    groups
        .add_group(&board, GroupKind::Closed)
        .await
        .expect("add");
    let again = groups.add_group(&staff, GroupKind::Open).await;
    assert!(matches!(again, Err(DirectoryError::Exists(_))), "{again:?}");
    let taken = GroupName::parse("a@x.test").expect("a name");
    assert!(groups.add_group(&taken, GroupKind::Open).await.is_err());
    assert_eq!(
        resolve(directory, "Board@x.test").await,
        Resolution::Group(board.clone())
    );

    let both = [b.clone(), a.clone()];
    let count = groups.add_accounts(&staff, &both).await.expect("add");
    assert_eq!(count, 2);
    let count = groups.add_accounts(&board, &both[..1]).await;
    assert_eq!(count.expect("add"), 1);
    let found = groups.group(&staff).await.expect("read").expect("there");
    assert_eq!(found.members, [a.clone(), b.clone()]);
    let of = async |id| groups.groups_of(id).await.expect("read");
    assert_eq!(of(&b).await, [board.clone(), staff.clone()]);
    groups
        .remove_accounts(&staff, &both[..1])
        .await
        .expect("remove");
    assert_eq!(of(&b).await, std::slice::from_ref(&board));
    groups
        .change_group(&staff, GroupKind::Closed)
        .await
        .expect("change");
    let found = groups.group(&staff).await.expect("read").expect("there");
    assert_eq!(
        (found.kind, found.members),
        (GroupKind::Closed, vec![a.clone()])
    );

    groups.remove_group(&board).await.expect("remove");
    assert!(of(&b).await.is_empty());
    assert_eq!(groups.all_groups().await.expect("read"), [staff]);
    assert_eq!(
        resolve(directory, "board@x.test").await,
        Resolution::Unknown
    );
}

async fn who_is_gone_is_in_no_group(directory: &Arc<dyn Accounts>) {
    let Some(groups) = directory.groups() else {
        return;
    };
    add_local(directory, "x.test").await;
    let id = add_account(directory, "a@x.test").await;
    let staff = GroupName::parse("staff").expect("a name");
    let added = groups.add_group(&staff, GroupKind::Open).await;
    if leaves_out(&added) {
        return;
    }
    added.expect("add");
    let count = groups.add_accounts(&staff, std::slice::from_ref(&id)).await;
    assert_eq!(count.expect("add"), 1);
    let removed = directory.remove_account(&address("a@x.test")).await;
    removed.expect("remove");
    let found = groups.group(&staff).await.expect("read").expect("there");
    assert!(found.members.is_empty());
    assert!(groups.groups_of(&id).await.expect("read").is_empty());
}

async fn addresses_are_listed(directory: &Arc<dyn Accounts>) {
    let Some(addresses) = directory.addresses() else {
        return;
    };
    add_local(directory, "x.test").await;
    add_local(directory, "y.test").await;
    add_account(directory, "b@x.test").await;
    add_account(directory, "c@y.test").await;
    let targets = [address("b@x.test")];
    let alias = address("a@x.test");
    directory.add_alias(&alias, &targets).await.expect("add");
    let find = async |query: AddressQuery| {
        let found = addresses.search(&query).await.expect("read");
        let texts = found.iter().map(|it| it.address.to_string());
        texts.collect::<Vec<_>>()
    };
    let mut all = find(AddressQuery::default()).await;
    all.sort();
    assert_eq!(all, ["a@x.test", "b@x.test", "c@y.test"]);
    let of_domain = AddressQuery {
        domain: Some(super::domain("x.test")),
        ..AddressQuery::default()
    };
    assert_eq!(find(of_domain.clone()).await, ["a@x.test", "b@x.test"]);
    let next = AddressQuery {
        after: Some(address("a@x.test")),
        limit: Some(1),
        ..of_domain
    };
    assert_eq!(find(next).await, ["b@x.test"]);
    let text = AddressQuery {
        contains: Some("C@Y".into()),
        ..AddressQuery::default()
    };
    assert_eq!(find(text).await, ["c@y.test"]);
}

async fn an_address_is_switched_off_and_on(directory: &Arc<dyn Accounts>) {
    let Some(addresses) = directory.addresses() else {
        return;
    };
    add_local(directory, "x.test").await;
    let id = add_account(directory, "b@x.test").await;
    let targets = [address("b@x.test")];
    let alias = address("a@x.test");
    directory.add_alias(&alias, &targets).await.expect("add");
    let off = addresses.set_address(&alias, AddressState::Off).await;
    if leaves_out(&off) {
        return;
    }
    off.expect("switch");
    assert_eq!(resolve(directory, "a@x.test").await, Resolution::Unknown);
    assert!(!directory.may_send_as(&id, &alias).await.expect("read"));
    let found = addresses.search(&AddressQuery::default()).await;
    let found = found
        .expect("read")
        .into_iter()
        .find(|it| it.address == alias);
    let found = found.expect("it is kept");
    assert_eq!(found.state, AddressState::Off);
    assert_eq!(found.stands, Stands::Alias(targets.to_vec()));
    let on = addresses.set_address(&alias, AddressState::On).await;
    on.expect("switch");
    assert_eq!(
        resolve(directory, "a@x.test").await,
        Resolution::Alias(targets.to_vec())
    );
    let unknown = addresses
        .set_address(&address("nobody@x.test"), AddressState::Off)
        .await;
    assert!(matches!(unknown, Err(DirectoryError::NotFound(_))));
}

async fn an_import_is_all_or_nothing(directory: &Arc<dyn Accounts>) {
    let Some(addresses) = directory.addresses() else {
        return;
    };
    add_local(directory, "x.test").await;
    add_account(directory, "user@x.test").await;
    let lines = |texts: &[&str]| -> Vec<AddressLine> {
        let lines = texts.iter().map(|it| it.parse().expect("a line"));
        lines.collect()
    };
    let bad = lines(&["new@x.test = user@x.test", "nobody@x.test"]);
    let refused = addresses.import(&bad).await;
    if leaves_out(&refused) {
        return;
    }
    let told = refused.expect_err("nobody is nobody").to_string();
    assert!(told.contains("line 2"), "{told}");
    assert_eq!(resolve(directory, "new@x.test").await, Resolution::Unknown);
    let good = lines(&["new@x.test = user@x.test", "!user@x.test"]);
    assert_eq!(addresses.import(&good).await.expect("import"), 2);
    assert_eq!(
        resolve(directory, "new@x.test").await,
        Resolution::Alias(vec![address("user@x.test")])
    );
    assert_eq!(resolve(directory, "user@x.test").await, Resolution::Unknown);
    let all = addresses.search(&AddressQuery::default()).await;
    let back: Vec<AddressLine> = all.expect("read").into_iter().map(Into::into).collect();
    assert_eq!(back, good, "what is exported can be imported");
    assert_eq!(addresses.import(&back).await.expect("import"), 0);
}

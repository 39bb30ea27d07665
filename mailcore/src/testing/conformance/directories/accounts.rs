//! Checks of administration: alias domains, options, other addresses, ends and
//! roles of accounts.

use std::sync::Arc;

use super::{
    Accounts, add_account, add_local, address, domain, leaves_out, log_in, password, resolve, run,
};
use crate::account::AccountId;
use crate::seams::{
    AccountChange, AccountOptions, AccountTemplate, Administration, DirectoryError, DomainKind,
    KeepCopy, Redirect, Resolution, Role, Sending,
};

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Accounts>) {
    run!(&make().await;
        an_alias_domain_is_its_target,
        the_default_domain_is_the_one_set,
        options_are_changed_alone,
        no_account_redirects_to_itself,
        new_accounts_follow_the_template,
        an_account_keeps_its_id_under_another_address,
        a_closed_account_leaves_its_addresses_to_an_heir,
        a_closed_account_without_an_heir_is_gone,
        administrators_reach_their_domains,
    );
}

fn administration(directory: &Arc<dyn Accounts>) -> Option<&dyn Administration> {
    let found = directory.administration();
    if found.is_none() {
        eprintln!("no administration");
    }
    found
}

async fn an_alias_domain_is_its_target(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    let alias_of = async |name: &str, of: &str| {
        let kind = DomainKind::Alias { of: domain(of) };
        directory.add_domain(&domain(name), kind).await
    };
    let added = alias_of("y.test", "x.test").await;
    if leaves_out(&added) {
        return;
    }
    added.expect("add");
    alias_of("z.test", "Y.test").await.expect("an alias of one");
    for (name, of) in [
        ("w.test", "w.test"),
        ("w.test", "nowhere.test"),
        ("x.test", "z.test"),
    ] {
        assert!(alias_of(name, of).await.is_err(), "{name} of {of}");
    }
    let id = add_account(directory, "user@x.test").await;
    let targets = [address("user@x.test")];
    let alias = address("sales@x.test");
    directory.add_alias(&alias, &targets).await.expect("add");
    for name in ["y.test", "z.test"] {
        let own = format!("User+news@{name}");
        assert_eq!(
            resolve(directory, &own).await,
            Resolution::Account(id.clone())
        );
        let duty = resolve(directory, &format!("postmaster@{name}")).await;
        assert_eq!(duty, Resolution::Account(id.clone()));
        let login = log_in(directory, &format!("user@{name}"), &password()).await;
        assert_eq!(login.expect("a login by the alias domain"), id);
        for sender in [format!("user@{name}"), format!("sales@{name}")] {
            let may = directory.may_send_as(&id, &address(&sender)).await;
            assert!(may.expect("read"), "{sender}");
        }
        let unknown = resolve(directory, &format!("nobody@{name}")).await;
        assert_eq!(unknown, Resolution::Unknown);
    }
    let added = directory
        .add_account(&address("other@y.test"), &password())
        .await;
    assert!(added.is_err(), "accounts are in the domain itself");
    let removed = directory.remove_domain(&domain("y.test")).await;
    assert!(
        matches!(removed, Err(DirectoryError::InUse { .. })),
        "{removed:?}"
    );
    for name in ["z.test", "y.test"] {
        let removed = directory.remove_domain(&domain(name)).await;
        removed.expect("nothing stands on it now");
    }
}

async fn the_default_domain_is_the_one_set(directory: &Arc<dyn Accounts>) {
    let Some(administration) = administration(directory) else {
        return;
    };
    add_local(directory, "x.test").await;
    add_local(directory, "y.test").await;
    let x = add_account(directory, "user@x.test").await;
    let y = add_account(directory, "user@y.test").await;
    let set = administration
        .set_default_domain(Some(&domain("y.test")))
        .await;
    if leaves_out(&set) {
        return;
    }
    set.expect("set");
    let who = async || log_in(directory, "user", &password()).await.expect("login");
    assert_eq!(who().await, y);
    let read = administration.default_domain().await.expect("read");
    assert_eq!(read, Some(domain("y.test")));
    let unknown = domain("nowhere.test");
    assert!(
        administration
            .set_default_domain(Some(&unknown))
            .await
            .is_err()
    );
    administration
        .set_default_domain(None)
        .await
        .expect("unset");
    assert_eq!(who().await, x);
}

async fn options_are_changed_alone(directory: &Arc<dyn Accounts>) {
    let Some(administration) = administration(directory) else {
        return;
    };
    add_local(directory, "x.test").await;
    let id = add_account(directory, "user@x.test").await;
    let user = address("user@x.test");
    let redirect = Redirect {
        to: address("away@elsewhere.test"),
        copy: KeepCopy::Yes,
    };
    for change in [
        AccountChange {
            quota: Some(Some(1_000)),
            quota_messages: Some(Some(7)),
            ..AccountChange::default()
        },
        AccountChange {
            sending: Some(Sending::LocalOnly),
            redirect: Some(Some(redirect.clone())),
            display_name: Some(Some("Ünal".into())),
            spam_to_folder: Some(false),
            ..AccountChange::default()
        },
    ] {
        let changed = administration.change_account(&user, &change).await;
        let read = directory.account(&id).await.expect("read");
        assert_eq!(read, Some(changed.expect("change")));
    }
    let account = directory.account(&id).await.expect("read").expect("there");
    assert_eq!(
        (account.quota, account.quota_messages),
        (Some(1_000), Some(7))
    );
    let expected = AccountOptions {
        sending: Sending::LocalOnly,
        redirect: Some(redirect),
        display_name: Some("Ünal".into()),
        spam_to_folder: false,
        ..AccountOptions::default()
    };
    assert_eq!(account.options, expected);
    let disable = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    let disabled = administration.change_account(&user, &disable).await;
    disabled.expect("disable");
    assert!(log_in(directory, "user@x.test", &password()).await.is_err());
    assert_eq!(
        resolve(directory, "user@x.test").await,
        Resolution::Account(id),
        "mail still comes in"
    );
}

async fn no_account_redirects_to_itself(directory: &Arc<dyn Accounts>) {
    let Some(administration) = administration(directory) else {
        return;
    };
    add_local(directory, "x.test").await;
    add_account(directory, "user@x.test").await;
    let user = address("user@x.test");
    let itself = AccountChange {
        redirect: Some(Some(Redirect {
            to: address("User@x.test"),
            copy: KeepCopy::No,
        })),
        ..AccountChange::default()
    };
    assert!(
        administration.change_account(&user, &itself).await.is_err(),
        "mail redirected to where it comes from goes nowhere"
    );
}

async fn new_accounts_follow_the_template(directory: &Arc<dyn Accounts>) {
    let Some(administration) = administration(directory) else {
        return;
    };
    add_local(directory, "x.test").await;
    let before = add_account(directory, "before@x.test").await;
    let template = AccountTemplate {
        quota: Some(5_000),
        options: AccountOptions {
            sending: Sending::LocalOnly,
            ..AccountOptions::default()
        },
        ..AccountTemplate::default()
    };
    let set = administration
        .set_template(&domain("x.test"), &template)
        .await;
    if leaves_out(&set) {
        return;
    }
    set.expect("set");
    let after = add_account(directory, "after@x.test").await;
    let read = async |id: &AccountId| {
        let account = directory.account(id).await.expect("read");
        let account = account.expect("it is there");
        (account.quota, account.options.sending)
    };
    assert_eq!(read(&before).await, (None, Sending::Anywhere));
    assert_eq!(read(&after).await, (Some(5_000), Sending::LocalOnly));
    let kept = administration.template(&domain("X.test")).await;
    assert_eq!(kept.expect("read"), template);
}

async fn an_account_keeps_its_id_under_another_address(directory: &Arc<dyn Accounts>) {
    let Some(administration) = administration(directory) else {
        return;
    };
    add_local(directory, "x.test").await;
    let id = add_account(directory, "old@x.test").await;
    add_account(directory, "taken@x.test").await;
    let (old, new) = (address("old@x.test"), address("New@x.test"));
    let renamed = administration.rename_account(&old, &new).await;
    if leaves_out(&renamed) {
        return;
    }
    renamed.expect("rename");
    let read = directory.account(&id).await.expect("read").expect("there");
    assert_eq!(read.address, new.folded());
    assert_eq!(
        resolve(directory, "new@x.test").await,
        Resolution::Account(id.clone())
    );
    assert_eq!(
        resolve(directory, "old@x.test").await,
        Resolution::Alias(vec![new.folded()]),
        "mail for the old address comes in"
    );
    let login = log_in(directory, "new@x.test", &password()).await;
    assert_eq!(login.expect("a login by the new address"), id);
    assert!(log_in(directory, "old@x.test", &password()).await.is_err());
    let taken = address("taken@x.test");
    assert!(administration.rename_account(&new, &taken).await.is_err());
    let back = administration.rename_account(&new, &old).await;
    back.expect("an alias of its own is free for it");
    directory
        .remove_alias(&new)
        .await
        .expect("the other is one now");
    administration
        .rename_account(&old, &new)
        .await
        .expect("rename");
    directory.remove_alias(&old).await.expect("let go");
    let other = add_account(directory, "old@x.test").await;
    assert_ne!(other, id, "two accounts never share mail");
}

async fn a_closed_account_leaves_its_addresses_to_an_heir(directory: &Arc<dyn Accounts>) {
    let Some(administration) = administration(directory) else {
        return;
    };
    add_local(directory, "x.test").await;
    let gone = add_account(directory, "gone@x.test").await;
    let heir = add_account(directory, "heir@x.test").await;
    for (alias, targets) in [
        ("one@x.test", &["gone@x.test"][..]),
        (
            "all@x.test",
            &["a@elsewhere.test", "Gone@x.test", "heir@x.test"],
        ),
    ] {
        let targets: Vec<_> = targets.iter().map(|it| address(it)).collect();
        let added = directory.add_alias(&address(alias), &targets).await;
        added.expect("add");
    }
    let (from, to) = (address("gone@x.test"), address("heir@x.test"));
    let nobody = address("nobody@x.test");
    let closed = administration.close_account(&from, Some(&nobody)).await;
    if leaves_out(&closed) {
        return;
    }
    assert!(closed.is_err(), "an heir must be there");
    assert!(directory.account(&gone).await.expect("read").is_some());
    let closed = administration.close_account(&from, Some(&to)).await;
    assert_eq!(closed.expect("close"), gone);
    assert!(directory.account(&gone).await.expect("read").is_none());
    for old in ["gone@x.test", "one@x.test"] {
        assert_eq!(
            resolve(directory, old).await,
            Resolution::Alias(vec![to.clone()]),
            "{old}"
        );
    }
    assert_eq!(
        resolve(directory, "all@x.test").await,
        Resolution::Alias(vec![address("a@elsewhere.test"), to]),
        "each target is there once"
    );
    let may = directory.may_send_as(&heir, &from).await;
    assert!(may.expect("read"));
}

async fn a_closed_account_without_an_heir_is_gone(directory: &Arc<dyn Accounts>) {
    let Some(administration) = administration(directory) else {
        return;
    };
    add_local(directory, "x.test").await;
    add_account(directory, "gone@x.test").await;
    let alias = address("alias@x.test");
    let targets = [address("gone@x.test")];
    directory.add_alias(&alias, &targets).await.expect("add");
    let closed = administration
        .close_account(&address("gone@x.test"), None)
        .await;
    if leaves_out(&closed) {
        return;
    }
    closed.expect("close");
    for gone in ["gone@x.test", "alias@x.test"] {
        assert_eq!(resolve(directory, gone).await, Resolution::Unknown);
    }
    let domain = domain("x.test");
    let removed = directory.remove_domain(&domain).await;
    removed.expect("nothing is left in it");
}

async fn administrators_reach_their_domains(directory: &Arc<dyn Accounts>) {
    let Some(administration) = administration(directory) else {
        return;
    };
    for name in ["x.test", "y.test", "z.test"] {
        add_local(directory, name).await;
    }
    let user = add_account(directory, "user@x.test").await;
    let some = add_account(directory, "some@x.test").await;
    let all = add_account(directory, "all@x.test").await;
    let set = async |who: &str, role: Role| administration.set_role(&address(who), &role).await;
    let two = Role::Domains(vec![domain("x.test"), domain("Y.test")]);
    let done = set("some@x.test", two.clone()).await;
    if leaves_out(&done) {
        return;
    }
    done.expect("set");
    set("all@x.test", Role::Global).await.expect("set");
    let unknown = Role::Domains(vec![domain("nowhere.test")]);
    assert!(set("user@x.test", unknown).await.is_err());
    for (name, expected) in [
        ("x.test", [false, true, true]),
        ("y.test", [false, true, true]),
        ("z.test", [false, false, true]),
    ] {
        let name = domain(name);
        let mut found = Vec::new();
        for id in [&user, &some, &all] {
            found.push(directory.may_administer(id, &name).await.expect("read"));
        }
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(
        resolve(directory, "abuse@y.test").await,
        Resolution::Account(some.clone()),
        "mail of duty comes to the domain's administrator"
    );
    let disable = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    let disabled = administration
        .change_account(&address("all@x.test"), &disable)
        .await;
    disabled.expect("disable");
    let may = directory.may_administer(&all, &domain("x.test")).await;
    assert!(!may.expect("read"), "who may not log in may nothing");
    set("some@x.test", Role::User).await.expect("set");
    let may = directory.may_administer(&some, &domain("x.test")).await;
    assert!(!may.expect("read"));
    let none = directory
        .may_administer(&AccountId::new("nobody"), &domain("x.test"))
        .await;
    assert!(!none.expect("read"));
}

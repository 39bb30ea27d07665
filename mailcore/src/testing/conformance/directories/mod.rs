//! Checks of [`Directory`](crate::seams::Directory), [`DirectoryWrite`] and
//! [`Authenticator`]; and of what is reached through them, where a directory
//! has it.

mod accounts;
mod names;
mod texts;

use std::sync::Arc;

use crate::account::{AccountId, Secret};
use crate::address::{Address, Domain};
use crate::seams::{
    AuthError, AuthRequest, Authenticator, DirectoryError, DirectoryWrite, DomainKind, Proof,
    Resolution,
};

use super::run;

/// A directory that also checks passwords.
pub trait Accounts: DirectoryWrite + Authenticator {}

impl<T: DirectoryWrite + Authenticator> Accounts for T {}

/// Checks a directory and its authenticator. Lists, groups, settings, scripts,
/// secrets, administration and addresses are checked where the directory has
/// them, and changes of them where it makes them.
pub async fn directory<A: Accounts + 'static>(make: impl AsyncFn() -> Arc<A>) {
    let make = async || {
        let made: Arc<dyn Accounts> = make().await;
        made
    };
    run!(&make().await;
        domains_are_served_until_removed,
        accounts_need_a_local_domain,
        addresses_resolve_folded,
        details_resolve_to_their_user,
        aliases_resolve_to_their_targets,
        names_are_taken_once,
        duty_addresses_reach_somebody,
        accounts_send_as_what_reaches_them,
        only_the_right_password_logs_in,
        a_bare_login_means_the_first_domain,
        a_new_password_ends_the_old_one,
        listings_are_in_order,
    );
    accounts::run_all(&make).await;
    names::run_all(&make).await;
    texts::run_all(&make).await;
}

/// True when a directory does not do this at all, so that the check is over.
fn leaves_out<T>(result: &Result<T, DirectoryError>) -> bool {
    matches!(result, Err(DirectoryError::Unsupported(_)))
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

fn password() -> Secret {
    Secret::new("correct horse")
}

async fn add_account(directory: &Arc<dyn Accounts>, text: &str) -> AccountId {
    let added = directory.add_account(&address(text), &password()).await;
    added.unwrap_or_else(|error| panic!("add {text}: {error}"))
}

async fn add_local(directory: &Arc<dyn Accounts>, text: &str) {
    let added = directory.add_domain(&domain(text), DomainKind::Local).await;
    added.unwrap_or_else(|error| panic!("add {text}: {error}"));
}

async fn resolve(directory: &Arc<dyn Accounts>, text: &str) -> Resolution {
    directory.resolve(&address(text)).await.expect("resolve")
}

async fn log_in(
    directory: &Arc<dyn Accounts>,
    login: &str,
    password: &Secret,
) -> Result<AccountId, AuthError> {
    let request = AuthRequest {
        login: login.into(),
        proof: Proof::Password(password.clone()),
        peer: None,
        protocol: "imap",
    };
    let identity = directory.authenticate(&request).await?;
    Ok(identity.account)
}

async fn domains_are_served_until_removed(directory: &Arc<dyn Accounts>) {
    let relay = DomainKind::Relay {
        host: domain("mx.relay.test"),
        port: 25,
    };
    add_local(directory, "local.test").await;
    directory
        .add_domain(&domain("relay.test"), relay.clone())
        .await
        .expect("add");
    let found = directory.domain(&domain("RELAY.test")).await.expect("read");
    assert_eq!(found.map(|it| it.kind), Some(relay));
    assert!(matches!(
        directory
            .add_domain(&domain("Local.test"), DomainKind::Local)
            .await,
        Err(DirectoryError::Exists(_))
    ));
    add_account(directory, "user@local.test").await;
    assert!(
        matches!(
            directory.remove_domain(&domain("local.test")).await,
            Err(DirectoryError::InUse { .. })
        ),
        "a domain with accounts stays"
    );
    directory
        .remove_account(&address("user@local.test"))
        .await
        .expect("remove");
    directory
        .remove_domain(&domain("local.test"))
        .await
        .expect("remove");
    let left = directory.domains().await.expect("read");
    assert_eq!(left.len(), 1);
    assert!(matches!(
        directory.remove_domain(&domain("local.test")).await,
        Err(DirectoryError::NotFound(_))
    ));
}

async fn accounts_need_a_local_domain(directory: &Arc<dyn Accounts>) {
    let relay = DomainKind::Relay {
        host: domain("mx.relay.test"),
        port: 25,
    };
    let relay_test = domain("relay.test");
    directory.add_domain(&relay_test, relay).await.expect("add");
    for text in ["a@relay.test", "a@unknown.test"] {
        assert!(matches!(
            directory.add_account(&address(text), &password()).await,
            Err(DirectoryError::NotLocal(_))
        ));
    }
    add_local(directory, "x.test").await;
    let empty = Secret::new("");
    assert!(
        directory
            .add_account(&address("a@x.test"), &empty)
            .await
            .is_err(),
        "an empty password is none"
    );
}

async fn addresses_resolve_folded(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    let id = add_account(directory, "User@X.test").await;
    for text in ["user@x.test", "USER@x.TEST"] {
        assert_eq!(
            resolve(directory, text).await,
            Resolution::Account(id.clone())
        );
    }
    assert_eq!(
        resolve(directory, "other@x.test").await,
        Resolution::Unknown
    );
    let found = directory.account(&id).await.expect("read");
    let found = found.expect("an account has a record");
    assert_eq!(found.id, id);
    assert!(found.enabled);
    directory
        .remove_account(&address("USER@x.test"))
        .await
        .expect("remove");
    assert_eq!(resolve(directory, "user@x.test").await, Resolution::Unknown);
    assert!(directory.account(&id).await.expect("read").is_none());
}

async fn details_resolve_to_their_user(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    let user = add_account(directory, "user@x.test").await;
    let own = add_account(directory, "user+own@x.test").await;
    let account = Resolution::Account;
    assert_eq!(
        resolve(directory, "user+any@x.test").await,
        account(user.clone())
    );
    assert_eq!(resolve(directory, "user+a+b@x.test").await, account(user));
    assert_eq!(
        resolve(directory, "user+own@x.test").await,
        account(own),
        "an address that is there is not taken apart"
    );
    assert_eq!(resolve(directory, "+any@x.test").await, Resolution::Unknown);
}

async fn aliases_resolve_to_their_targets(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    let targets = [address("b@x.test"), address("c@elsewhere.test")];
    directory
        .add_alias(&address("A@x.test"), &targets)
        .await
        .expect("add");
    let alias = Resolution::Alias(targets.to_vec());
    assert_eq!(resolve(directory, "a@X.test").await, alias);
    assert_eq!(resolve(directory, "a+detail@x.test").await, alias);
    assert!(
        directory
            .add_alias(&address("none@x.test"), &[])
            .await
            .is_err(),
        "an alias stands for something"
    );
    directory
        .remove_alias(&address("a@x.test"))
        .await
        .expect("remove");
    assert_eq!(resolve(directory, "a@x.test").await, Resolution::Unknown);
    assert!(matches!(
        directory.remove_alias(&address("a@x.test")).await,
        Err(DirectoryError::NotFound(_))
    ));
}

async fn names_are_taken_once(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    add_account(directory, "a@x.test").await;
    directory
        .add_alias(&address("b@x.test"), &[address("a@x.test")])
        .await
        .expect("add");
    for taken in ["a@x.test", "B@x.test"] {
        let account = directory.add_account(&address(taken), &password()).await;
        assert!(matches!(account, Err(DirectoryError::Exists(_))));
        let alias = directory
            .add_alias(&address(taken), &[address("a@x.test")])
            .await;
        assert!(matches!(alias, Err(DirectoryError::Exists(_))));
    }
}

async fn duty_addresses_reach_somebody(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    assert_eq!(
        resolve(directory, "postmaster@x.test").await,
        Resolution::Unknown,
        "an empty domain has nobody"
    );
    let first = add_account(directory, "zoe@x.test").await;
    add_account(directory, "ann@x.test").await;
    for duty in ["postmaster@x.test", "Abuse@x.test"] {
        assert_eq!(
            resolve(directory, duty).await,
            Resolution::Account(first.clone()),
            "{duty} reaches the first account (RFC 5321 section 4.5.1)"
        );
    }
    let targets = [address("ann@x.test")];
    directory
        .add_alias(&address("postmaster@x.test"), &targets)
        .await
        .expect("add");
    assert_eq!(
        resolve(directory, "postmaster@x.test").await,
        Resolution::Alias(targets.to_vec()),
        "a postmaster of its own comes first"
    );
}

async fn accounts_send_as_what_reaches_them(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    let a = add_account(directory, "a@x.test").await;
    let b = add_account(directory, "b@x.test").await;
    for (alias, target) in [
        ("team@x.test", "inner@x.test"),
        ("inner@x.test", "a@x.test"),
        ("loop1@x.test", "loop2@x.test"),
        ("loop2@x.test", "loop1@x.test"),
    ] {
        directory
            .add_alias(&address(alias), &[address(target)])
            .await
            .expect("add");
    }
    let may = async |id: &AccountId, text: &str| {
        let answer = directory.may_send_as(id, &address(text)).await;
        answer.expect("read")
    };
    for own in ["a@x.test", "A+news@x.test", "inner@x.test", "team@x.test"] {
        assert!(may(&a, own).await, "a may send as {own}");
        assert!(!may(&b, own).await, "b may not send as {own}");
    }
    assert!(!may(&a, "loop1@x.test").await, "a loop ends");
    assert!(!may(&a, "a@elsewhere.test").await);
}

async fn only_the_right_password_logs_in(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    let id = add_account(directory, "user@x.test").await;
    let targets = [address("user@x.test")];
    directory
        .add_alias(&address("alias@x.test"), &targets)
        .await
        .expect("add");
    for _ in 0..2 {
        let login = log_in(directory, "User@x.test", &password()).await;
        assert_eq!(login.expect("the right password"), id);
        for (login, proof) in [
            ("user@x.test", Secret::new("wrong")),
            ("user@x.test", Secret::new("")),
            ("user@x.test", Secret::new(vec![b'x'; 100_000])),
            ("nobody@x.test", password()),
            ("user@elsewhere.test", password()),
            ("@", password()),
            ("", password()),
        ] {
            assert!(
                matches!(
                    log_in(directory, login, &proof).await,
                    Err(AuthError::Invalid)
                ),
                "{login:?}: unknown and wrong answer alike"
            );
        }
    }
}

async fn a_bare_login_means_the_first_domain(directory: &Arc<dyn Accounts>) {
    add_local(directory, "z.test").await;
    add_local(directory, "a.test").await;
    let first = add_account(directory, "user@z.test").await;
    add_account(directory, "user@a.test").await;
    let login = log_in(directory, "user", &password()).await;
    assert_eq!(login.expect("a login without a domain"), first);
}

async fn a_new_password_ends_the_old_one(directory: &Arc<dyn Accounts>) {
    add_local(directory, "x.test").await;
    add_account(directory, "user@x.test").await;
    log_in(directory, "user@x.test", &password())
        .await
        .expect("the first password");
    let new = Secret::new("battery staple");
    directory
        .set_password(&address("user@x.test"), &new)
        .await
        .expect("set");
    assert!(
        log_in(directory, "user@x.test", &password()).await.is_err(),
        "the old password is remembered by nobody"
    );
    log_in(directory, "user@x.test", &new)
        .await
        .expect("the new password");
    directory
        .remove_account(&address("user@x.test"))
        .await
        .expect("remove");
    assert!(log_in(directory, "user@x.test", &new).await.is_err());
    assert!(matches!(
        directory.set_password(&address("user@x.test"), &new).await,
        Err(DirectoryError::NotFound(_))
    ));
}

async fn listings_are_in_order(directory: &Arc<dyn Accounts>) {
    add_local(directory, "y.test").await;
    add_local(directory, "x.test").await;
    for text in ["b@x.test", "a@x.test", "c@y.test"] {
        add_account(directory, text).await;
    }
    let list = async |wanted: Option<&str>| {
        let wanted = wanted.map(domain);
        let found = directory.accounts(wanted.as_ref()).await.expect("read");
        let line = |it: &crate::seams::AccountSummary| it.account.address.to_string();
        found.iter().map(line).collect::<Vec<_>>()
    };
    let mut all = list(None).await;
    all.sort();
    assert_eq!(all, ["a@x.test", "b@x.test", "c@y.test"]);
    assert_eq!(list(Some("x.test")).await, ["a@x.test", "b@x.test"]);
    assert!(directory.aliases().await.expect("read").is_empty());
}

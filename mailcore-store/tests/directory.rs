//! What the directories of this crate promise beyond the seams' contracts.
#![cfg(all(feature = "memory", feature = "sqlite-directory"))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountChange, Administration, AuthError, AuthRequest, Authenticator, Directory,
    DirectoryError, DirectoryWrite, DomainKind, Proof, Resolution, Role,
};
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::directory::{
    Keep, LocalDirectory, MemoryDirectory, PasswordHashing, SqliteDirectory,
};

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn domain(text: &str) -> Domain {
    text.parse().expect("a domain")
}

fn open_at(path: &Path, clock: &VirtualClock) -> Result<SqliteDirectory, DirectoryError> {
    let entropy = Arc::new(SeededEntropy::new(1));
    let hashing = PasswordHashing::fast_for_tests();
    SqliteDirectory::open_with(path, hashing, Arc::new(clock.clone()), entropy)
}

fn memory() -> MemoryDirectory {
    MemoryDirectory::new(PasswordHashing::fast_for_tests()).expect("parameters")
}

async fn fill<K: Keep>(directory: &LocalDirectory<K>) -> AccountId {
    directory
        .add_domain(&domain("x.test"), DomainKind::Local)
        .await
        .expect("add");
    let secret = Secret::new("the password");
    directory
        .add_account(&address("user@x.test"), &secret)
        .await
        .expect("add")
}

async fn log_in<K: Keep>(directory: &LocalDirectory<K>, secret: &str) -> Result<(), AuthError> {
    let request = AuthRequest {
        login: "user@x.test".into(),
        proof: Proof::Password(Secret::new(secret)),
        peer: None,
        protocol: "imap",
    };
    directory.authenticate(&request).await.map(drop)
}

fn relay() -> DomainKind {
    DomainKind::Relay {
        host: Domain::parse("[192.0.2.1]").unwrap(),
        port: 2525,
    }
}

fn targets() -> [Address; 2] {
    [
        address("user@x.test"),
        address("\"odd one\"@elsewhere.test"),
    ]
}

/// A domain of each kind, an alias, a disabled account and an administrator.
async fn fill_with_all(directory: &SqliteDirectory) {
    fill(directory).await;
    let added = directory.add_domain(&domain("relay.test"), relay()).await;
    added.unwrap();
    let other = DomainKind::Alias {
        of: domain("x.test"),
    };
    let added = directory.add_domain(&domain("other.test"), other).await;
    added.unwrap();
    let added = directory
        .add_alias(&address("all@x.test"), &targets())
        .await;
    added.unwrap();
    let chief = address("chief@x.test");
    let added = directory.add_account(&chief, &Secret::new("x")).await;
    added.unwrap();
    directory.set_role(&chief, &Role::Global).await.unwrap();
    let change = AccountChange {
        quota: Some(Some(1_000)),
        enabled: Some(false),
        ..AccountChange::default()
    };
    let user = address("User@x.test");
    directory.change_account(&user, &change).await.unwrap();
}

#[tokio::test]
async fn a_file_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.db");
    let clock = VirtualClock::new();
    fill_with_all(&open_at(&path, &clock).unwrap()).await;
    let directory = open_at(&path, &clock).unwrap();
    let kinds: Vec<_> = directory.domains().await.unwrap();
    assert_eq!(kinds.len(), 3);
    let found = directory.domain(&domain("relay.test")).await.unwrap();
    assert_eq!(found.unwrap().kind, relay());
    assert_eq!(
        directory.resolve(&address("all@other.test")).await.unwrap(),
        Resolution::Alias(targets().to_vec())
    );
    assert_eq!(
        directory.resolve(&address("abuse@x.test")).await.unwrap(),
        Resolution::Account(AccountId::new("chief@x.test")),
        "an administrator comes before the first account"
    );
    let account = directory.account(&AccountId::new("user@x.test")).await;
    let account = account.unwrap().unwrap();
    assert_eq!((account.quota, account.enabled), (Some(1_000), false));
    assert!(matches!(
        log_in(&directory, "the password").await,
        Err(AuthError::Disabled)
    ));
    assert!(
        matches!(log_in(&directory, "wrong").await, Err(AuthError::Invalid)),
        "that an account is disabled is told after a right password only"
    );
}

#[tokio::test]
async fn changes_by_another_process_are_seen_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.db");
    let clock = VirtualClock::new();
    let server = open_at(&path, &clock).unwrap();
    let tool = open_at(&path, &clock).unwrap();
    let id = fill(&tool).await;
    clock.advance(Duration::from_secs(1));
    let found = server.resolve(&address("user@x.test")).await.unwrap();
    assert_eq!(found, Resolution::Account(id));
    assert!(
        matches!(
            server
                .add_domain(&domain("x.test"), DomainKind::Local)
                .await,
            Err(DirectoryError::Exists(_))
        ),
        "a write looks first"
    );
    log_in(&server, "the password").await.unwrap();
    let new = Secret::new("a new one");
    tool.set_password(&address("user@x.test"), &new)
        .await
        .unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(
        log_in(&server, "the password").await.is_err(),
        "a password changed elsewhere is not remembered"
    );
    log_in(&server, "a new one").await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_private_and_forgets_what_is_removed() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.db");
    let clock = VirtualClock::new();
    let directory = open_at(&path, &clock).unwrap();
    fill(&directory).await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} is the owner's alone", entry.path());
    }
    let hash = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT hash FROM account", [], |row| {
            row.get::<_, String>(0)
        })
        .unwrap();
    assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
    directory
        .set_password(&address("user@x.test"), &Secret::new("other"))
        .await
        .unwrap();
    let needle = hash.as_bytes();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let octets = std::fs::read(&path).unwrap();
        assert!(
            !octets.windows(needle.len()).any(|it| it == needle),
            "{path:?} still holds the old hash"
        );
    }
}

#[tokio::test]
async fn another_programs_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (a)").unwrap();
    let error = open_at(&path, &VirtualClock::new()).unwrap_err();
    assert!(error.to_string().contains("not a mailcore directory"));
    let tables: i64 = other
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn one_domain_may_be_written_two_ways() {
    let directory = memory();
    directory
        .add_domain(&domain("bücher.test"), DomainKind::Local)
        .await
        .unwrap();
    let id = directory
        .add_account(&address("user@bücher.test"), &Secret::new("x"))
        .await
        .unwrap();
    for text in ["user@bücher.test", "USER@xn--bcher-kva.test"] {
        let found = directory.resolve(&address(text)).await.unwrap();
        assert_eq!(found, Resolution::Account(id.clone()), "{text}");
    }
}

#[tokio::test]
async fn a_flood_of_logins_is_turned_away() {
    let directory = memory();
    fill(&directory).await;
    let attempts: Vec<_> = (0..2_000)
        .map(|_| {
            let directory = directory.clone();
            tokio::spawn(async move { log_in(&directory, "wrong").await })
        })
        .collect();
    let mut turned_away = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Err(AuthError::Invalid) => {}
            Err(AuthError::Unavailable(_)) => turned_away += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(turned_away > 0, "what waits is bounded");
    log_in(&directory, "the password").await.unwrap();
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let directory = memory();
    fill(&directory).await;
    let shown = format!("{directory:?}");
    assert!(!shown.contains("argon2") && !shown.contains("password"));
}

/// CVE-2026-27860 (Dovecot) and GHSA-5835-4gvc-32pc (maddy): a name was put into a
/// question to a directory as it came, and meant more than itself there.
async fn a_name_is_only_a_name<K: Keep>(directory: &LocalDirectory<K>) {
    fill(directory).await;
    log_in(directory, "the password").await.expect("the owner");
    for login in [
        "*",
        "%",
        "%@x.test",
        "_ser@x.test",
        "us*@x.test",
        "user@*",
        "user@%",
        "*)(mail=*",
        "user@x.test)(|(mail=*",
        "user@x.test' OR '1'='1",
        "user@x.test\" --",
        "user@x.test;",
        "user@x.test\0",
        "user\\@x.test",
        "",
    ] {
        let request = AuthRequest {
            login: login.into(),
            proof: Proof::Password(Secret::new("the password")),
            peer: None,
            protocol: "imap",
        };
        let answer = directory.authenticate(&request).await;
        assert!(
            matches!(answer, Err(AuthError::Invalid)),
            "{login:?}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn no_name_that_is_tried_asks_a_directory_for_more_than_itself() {
    a_name_is_only_a_name(&memory()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let clock = VirtualClock::new();
    let kept = open_at(&folder.path().join("directory"), &clock).expect("open");
    a_name_is_only_a_name(&kept).await;
}

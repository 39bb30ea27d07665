//! What accounts of these directories prove themselves with.
#![cfg(all(feature = "memory", feature = "sqlite-directory"))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reports by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    Administration, AuthError, AuthRequest, Authenticator, DirectoryError, DirectoryWrite,
    DomainKind, Proof,
};
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::directory::{PasswordHashing, SqliteDirectory, StoreKey};
use rusqlite::Connection;
use tempfile::TempDir;

/// `correct horse`, by `openssl passwd -6`.
const CRYPT: &str = "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0";

struct World {
    dir: TempDir,
    clock: VirtualClock,
    directory: SqliteDirectory,
    ann: AccountId,
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn open(path: &Path, clock: &VirtualClock) -> SqliteDirectory {
    let entropy = Arc::new(SeededEntropy::new(1));
    let hashing = PasswordHashing::fast_for_tests();
    SqliteDirectory::open_with(path, hashing, Arc::new(clock.clone()), entropy)
        .expect("open")
        .with_store_key(StoreKey::new([7; 32]))
}

/// A directory with an account, `ann@x.test`, whose password is `first word`.
async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::new();
    let directory = open(&dir.path().join("directory.db"), &clock);
    let domain: Domain = "x.test".parse().unwrap();
    directory
        .add_domain(&domain, DomainKind::Local)
        .await
        .unwrap();
    let password = Secret::new("first word");
    let ann = directory
        .add_account(&address("ann@x.test"), &password)
        .await
        .unwrap();
    World {
        dir,
        clock,
        directory,
        ann,
    }
}

impl World {
    async fn log_in(&self, password: &str) -> Result<AccountId, AuthError> {
        self.log_in_by("imap", None, password).await
    }

    async fn log_in_by(
        &self,
        protocol: &'static str,
        peer: Option<&str>,
        password: &str,
    ) -> Result<AccountId, AuthError> {
        let request = AuthRequest {
            login: "ann@x.test".into(),
            proof: Proof::Password(Secret::new(password)),
            peer: peer.map(|it| it.parse().unwrap()),
            protocol,
        };
        self.directory
            .authenticate(&request)
            .await
            .map(|it| it.account)
    }

    /// What the file has, beside what the directory shows.
    fn cell(&self, sql: &str) -> String {
        let file = Connection::open(self.dir.path().join("directory.db")).unwrap();
        file.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn hash(&self) -> String {
        self.cell("SELECT hash FROM account")
    }
}

#[tokio::test]
async fn a_hash_of_another_server_is_replaced_at_the_next_login() {
    let world = world().await;
    let ann = address("ann@x.test");
    world
        .directory
        .set_password_hash(&ann, CRYPT)
        .await
        .unwrap();
    assert_eq!(world.hash(), CRYPT);
    assert!(matches!(
        world.log_in("first word").await,
        Err(AuthError::Invalid)
    ));
    assert_eq!(world.hash(), CRYPT, "a wrong password changes nothing");
    assert_eq!(world.log_in("correct horse").await.unwrap(), world.ann);
    let ours = world.hash();
    assert!(ours.starts_with("$argon2id$"), "{ours}");
    assert_eq!(world.log_in("correct horse").await.unwrap(), world.ann);
    assert_eq!(world.hash(), ours, "one write");
}

#[tokio::test]
async fn a_login_does_not_fail_because_its_hash_can_t_be_replaced() {
    let world = world().await;
    let ann = address("ann@x.test");
    world
        .directory
        .set_password_hash(&ann, CRYPT)
        .await
        .unwrap();
    let file = Connection::open(world.dir.path().join("directory.db")).unwrap();
    let sql = "CREATE TRIGGER no BEFORE UPDATE ON account BEGIN SELECT RAISE(ABORT, 'full'); END";
    file.execute_batch(sql).unwrap();
    assert_eq!(world.log_in("correct horse").await.unwrap(), world.ann);
    assert_eq!(world.hash(), CRYPT, "and nothing is lost");
    file.execute_batch("DROP TRIGGER no").unwrap();
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.log_in("correct horse").await.unwrap(), world.ann);
    assert!(world.hash().starts_with("$argon2id$"));
}

#[tokio::test]
async fn a_hash_that_costs_too_much_or_protects_nothing_is_not_taken() {
    let world = world().await;
    let before = world.hash();
    for hash in [
        "{PLAIN}word",
        "$2b$31$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "",
    ] {
        let taken = world
            .directory
            .set_password_hash(&address("ann@x.test"), hash)
            .await;
        assert!(matches!(taken, Err(DirectoryError::Invalid(_))), "{hash}");
    }
    assert_eq!(world.hash(), before);
}

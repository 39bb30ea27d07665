//! What accounts of these directories prove themselves with.
#![cfg(all(feature = "memory", feature = "sqlite-directory"))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain};
use mailcore::seams::Clock as _;
use mailcore::seams::{
    Administration, AppPasswordScope, AuthError, AuthRequest, Authenticator, Begins, CodeCheck,
    DirectoryError, DirectoryWrite, DomainKind, Enrolment, Proof, SecondFactor, SecondFactors,
    Secrets,
};
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::directory::{CodeLogin, PasswordHashing, SqliteDirectory, StoreKey};
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

/// The code that a device shows at a time, worked out here once more.
fn shown(enrolment: &Enrolment, clock: &VirtualClock) -> String {
    use hmac::{Hmac, KeyInit, Mac};

    let text = String::from_utf8(enrolment.secret.expose().to_vec()).unwrap();
    let mut secret = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.chars() {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        bits = bits << 5 | u32::try_from(letters.find(letter).unwrap()).unwrap();
        count += 5;
        if count >= 8 {
            count -= 8;
            secret.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&secret).unwrap();
    let step = u64::try_from(clock.now().millis()).unwrap() / 30_000;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 0xf);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[tokio::test]
async fn with_a_second_factor_mail_programs_log_in_with_app_passwords() {
    let world = world().await;
    let World {
        directory,
        ann,
        clock,
        ..
    } = &world;
    let phone = directory
        .add_app_password(ann, "phone", &AppPasswordScope::default())
        .await;
    let phone = String::from_utf8(phone.unwrap().expose().to_vec()).unwrap();
    let enrolment = directory.enrol(ann, Begins::WhenConfirmed).await.unwrap();
    let uri = String::from_utf8(enrolment.uri.expose().to_vec()).unwrap();
    assert!(
        uri.starts_with("otpauth://totp/x.test:ann%40x.test?secret="),
        "{uri}"
    );
    assert_eq!(
        directory.second_factor(ann).await.unwrap(),
        SecondFactor::Pending
    );
    world.log_in("first word").await.unwrap();
    let code = Secret::new(shown(&enrolment, clock));
    assert_eq!(
        directory.check_code(ann, &code).await.unwrap(),
        CodeCheck::Right
    );
    let on = SecondFactor::On { recovery_codes: 10 };
    assert_eq!(directory.second_factor(ann).await.unwrap(), on);
    assert!(matches!(
        world.log_in("first word").await,
        Err(AuthError::Invalid)
    ));
    world.log_in(&phone).await.unwrap();
    world.log_in_by("web", None, "first word").await.unwrap();
    let again = directory.enrol(ann, Begins::AtOnce).await;
    assert!(matches!(again, Err(DirectoryError::Exists(_))));
    directory.end_second_factor(ann).await.unwrap();
    world.log_in("first word").await.unwrap();
}

#[tokio::test]
async fn a_code_behind_the_password_is_taken_once_where_that_is_allowed() {
    let mut world = world().await;
    world.directory = world.directory.with_code_login(CodeLogin::CodeAppended);
    let World {
        directory,
        ann,
        clock,
        ..
    } = &world;
    let enrolment = directory.enrol(ann, Begins::AtOnce).await.unwrap();
    let with_code = format!("first word{}", shown(&enrolment, clock));
    world.log_in(&with_code).await.unwrap();
    assert!(world.log_in(&with_code).await.is_err(), "used");
    assert!(world.log_in("first word").await.is_err());
    assert!(world.log_in("12345").await.is_err());
    clock.advance(Duration::from_secs(30));
    let wrong = format!("another word{}", shown(&enrolment, clock));
    assert!(world.log_in(&wrong).await.is_err());
    let with_code = format!("first word{}", shown(&enrolment, clock));
    world
        .log_in(&with_code)
        .await
        .expect("a wrong password uses no code up");
}

#[tokio::test]
async fn codes_are_not_guessed_and_recovery_codes_work_once() {
    let world = world().await;
    let World {
        directory,
        ann,
        clock,
        ..
    } = &world;
    let enrolment = directory.enrol(ann, Begins::AtOnce).await.unwrap();
    let check = async |code: &str| directory.check_code(ann, &Secret::new(code)).await.unwrap();
    let code = shown(&enrolment, clock);
    for _ in 0..10 {
        assert_eq!(check("no").await, CodeCheck::Wrong);
    }
    assert_eq!(
        check(&code).await,
        CodeCheck::TooMany,
        "not even a right one"
    );
    clock.advance(Duration::from_secs(301));
    assert_eq!(check(&shown(&enrolment, clock)).await, CodeCheck::Right);
    let recovery = String::from_utf8(enrolment.recovery_codes[0].expose().to_vec()).unwrap();
    assert_eq!(check(&recovery.to_uppercase()).await, CodeCheck::Right);
    assert_eq!(check(&recovery).await, CodeCheck::Wrong);
    let left = SecondFactor::On { recovery_codes: 9 };
    assert_eq!(directory.second_factor(ann).await.unwrap(), left);
    // It outlives the process, and needs the key.
    let path = world.dir.path().join("directory.db");
    assert_eq!(open(&path, clock).second_factor(ann).await.unwrap(), left);
    let other = open(&path, clock).with_store_key(StoreKey::new([8; 32]));
    assert!(matches!(
        other.second_factor(ann).await,
        Err(DirectoryError::Unavailable(_))
    ));
}

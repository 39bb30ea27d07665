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
    CramMd5Key, CredentialKind, CredentialRequest, Credentials, DirectoryError, DirectoryWrite,
    DomainKind, Enrolment, Held, Proof, ProofKind, ScramKeys, ScramPair, SecondFactor,
    SecondFactors, Secrets, SharedSecret, Verified,
};
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::directory::{
    CodeLogin, MemoryDirectory, PasswordHashing, SqliteDirectory, StoreKey,
};
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
    let recovery = String::from_utf8(enrolment.recovery_codes[0].expose().to_vec()).unwrap();
    let wrong = format!("another word{recovery}");
    assert!(world.log_in(&wrong).await.is_err());
    let without_device = format!("first word{recovery}");
    world.log_in(&without_device).await.unwrap();
    assert!(world.log_in(&without_device).await.is_err(), "used");
    // Guesses at codes hear nothing that guesses at the password don't.
    for _ in 0..30 {
        let wrong = world.log_in("first word000000").await;
        assert!(matches!(wrong, Err(AuthError::Invalid)), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_second_factor_that_cant_be_read_is_not_taken_for_none() {
    for damage in [
        "name = 'auth:totq' WHERE name = 'auth:totp'",
        "name = CAST(x'617574683aff' AS TEXT) WHERE name = 'auth:totp'",
        "sealed = x'01' WHERE name = 'auth:totp'",
    ] {
        let mut world = world().await;
        world
            .directory
            .enrol(&world.ann, Begins::AtOnce)
            .await
            .unwrap();
        let path = world.dir.path().join("directory.db");
        let file = Connection::open(&path).unwrap();
        file.execute(&format!("UPDATE secret SET {damage}"), [])
            .unwrap();
        drop(file);
        world.directory = open(&path, &world.clock);
        let let_in = world.log_in("first word").await;
        assert!(
            matches!(let_in, Err(AuthError::Unavailable(_))),
            "{damage}: {let_in:?}"
        );
    }
}

#[tokio::test]
async fn an_app_password_for_everything_opens_no_web_page() {
    let world = world().await;
    let mut scope = AppPasswordScope::default();
    let added = world
        .directory
        .add_app_password(&world.ann, "phone", &scope)
        .await;
    let phone = String::from_utf8(added.unwrap().expose().to_vec()).unwrap();
    world.log_in(&phone).await.unwrap();
    assert!(world.log_in_by("web", None, &phone).await.is_err());
    world.log_in_by("web", None, "first word").await.unwrap();
    scope.protocols = vec!["web".into()];
    let added = world
        .directory
        .add_app_password(&world.ann, "kiosk", &scope)
        .await;
    let kiosk = String::from_utf8(added.unwrap().expose().to_vec()).unwrap();
    world.log_in_by("web", None, &kiosk).await.unwrap();
}

#[tokio::test]
async fn a_proof_of_a_password_that_was_changed_meanwhile_is_none() {
    let world = world().await;
    let keys = scram(&world, "ann@x.test").await;
    let proof = Verified::new(CredentialKind::ScramSha256, None)
        .with_stored_key(keys.pairs[0].value.stored_key.clone());
    let request = AuthRequest {
        login: "ann@x.test".into(),
        proof: Proof::Verified(proof),
        peer: None,
        protocol: "imap",
    };
    world.directory.authenticate(&request).await.unwrap();
    let ann = address("ann@x.test");
    let word = Secret::new("second word");
    world.directory.set_password(&ann, &word).await.unwrap();
    let late = world.directory.authenticate(&request).await;
    assert!(matches!(late, Err(AuthError::Invalid)), "{late:?}");
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
    let mut at_once = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (directory, ann) = (directory.clone(), ann.clone());
        at_once.spawn(async move { directory.check_code(&ann, &Secret::new("no")).await });
    }
    let checked = at_once.join_all().await;
    let looked_at = checked.into_iter().map(Result::unwrap);
    let looked_at = looked_at.filter(|it| *it == CodeCheck::Wrong);
    assert_eq!(looked_at.count(), 10);
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

/// What the directory gives for an exchange.
async fn given(world: &World, login: &str, kind: CredentialKind) -> Result<Credentials, AuthError> {
    let request = CredentialRequest {
        login: login.to_owned(),
        kind,
        peer: None,
        protocol: "imap",
    };
    world.directory.credentials(&request).await
}

async fn scram(world: &World, login: &str) -> ScramKeys {
    match given(world, login, CredentialKind::ScramSha256).await {
        Ok(Credentials::Scram(keys)) => keys,
        other => panic!("{other:?}"),
    }
}

/// The labels of the keys that fit a password.
fn fitting(keys: &ScramKeys, password: &str) -> Vec<Option<String>> {
    let kind = CredentialKind::ScramSha256;
    let derived = ScramPair::derive(kind, password.as_bytes(), &keys.salt, keys.iterations);
    let fitting = keys
        .pairs
        .iter()
        .filter(|it| Some(&it.value) == derived.as_ref());
    fitting
        .map(|it| it.label.as_deref().map(str::to_owned))
        .collect()
}

async fn verified(world: &World, label: Option<&str>) -> Result<AccountId, AuthError> {
    let proof = Verified::new(CredentialKind::ScramSha256, label.map(Into::into));
    let request = AuthRequest {
        login: "ann@x.test".into(),
        proof: Proof::Verified(proof),
        peer: None,
        protocol: "imap",
    };
    world
        .directory
        .authenticate(&request)
        .await
        .map(|it| it.account)
}

#[tokio::test]
async fn scram_works_without_the_password_and_tells_nobody_who_is_there() {
    let world = world().await;
    let keys = scram(&world, "ann@x.test").await;
    assert_eq!(fitting(&keys, "first word"), [None]);
    assert_eq!(verified(&world, None).await.unwrap(), world.ann);
    for login in ["Ann@X.test", "ann"] {
        assert_eq!(scram(&world, login).await.salt, keys.salt, "{login}");
    }
    let nobody = scram(&world, "bob@x.test").await;
    assert_eq!(nobody.iterations, keys.iterations);
    assert_eq!(
        (nobody.salt.len(), nobody.pairs.len()),
        (keys.salt.len(), 1)
    );
    assert_ne!(nobody.salt, keys.salt);
    assert_eq!(
        scram(&world, "BOB@x.test").await.salt,
        nobody.salt,
        "the same each time"
    );
}

#[tokio::test]
async fn a_salt_does_not_show_when_an_account_comes_gets_keys_or_loses_them() {
    let world = world().await;
    let nobody = scram(&world, "bob@x.test").await;
    let bob = address("bob@x.test");
    world
        .directory
        .add_account(&bob, &Secret::new("bob's word"))
        .await
        .unwrap();
    let keys = scram(&world, "bob@x.test").await;
    assert_eq!(
        (fitting(&keys, "bob's word"), &keys.salt),
        (vec![None], &nobody.salt)
    );
    world
        .directory
        .set_password_hash(&bob, CRYPT)
        .await
        .unwrap();
    let keys = scram(&world, "bob@x.test").await;
    assert_eq!(
        (fitting(&keys, "bob's word"), &keys.salt),
        (vec![], &nobody.salt)
    );
    world
        .directory
        .set_password(&bob, &Secret::new("new word"))
        .await
        .unwrap();
    let keys = scram(&world, "bob@x.test").await;
    assert_eq!(
        (fitting(&keys, "new word"), &keys.salt),
        (vec![None], &nobody.salt)
    );
    let sha1 = given(&world, "bob@x.test", CredentialKind::ScramSha1)
        .await
        .unwrap();
    let Credentials::Scram(sha1) = sha1 else {
        panic!("{sha1:?}");
    };
    let derived = ScramPair::derive(
        CredentialKind::ScramSha1,
        b"new word",
        &sha1.salt,
        sha1.iterations,
    );
    assert_eq!(sha1.pairs.first().map(|it| it.value.clone()), derived);
}

#[tokio::test]
async fn a_login_that_shows_the_password_makes_the_keys_that_lack() {
    let world = world().await;
    let ann = address("ann@x.test");
    world
        .directory
        .set_password_hash(&ann, CRYPT)
        .await
        .unwrap();
    assert!(fitting(&scram(&world, "ann").await, "correct horse").is_empty());
    world.log_in("correct horse").await.unwrap();
    assert_eq!(
        fitting(&scram(&world, "ann").await, "correct horse"),
        [None]
    );
    // A file of the time before there were keys.
    let file = Connection::open(world.dir.path().join("directory.db")).unwrap();
    file.execute_batch("DELETE FROM secret").unwrap();
    world.clock.advance(Duration::from_secs(2));
    assert!(fitting(&scram(&world, "ann").await, "correct horse").is_empty());
    let hash = world.hash();
    world.log_in("correct horse").await.unwrap();
    assert_eq!(
        fitting(&scram(&world, "ann").await, "correct horse"),
        [None]
    );
    assert_eq!(world.hash(), hash, "which was as good as a new one");
    assert_eq!(world.cell("SELECT CAST(count(*) AS TEXT) FROM secret"), "1");
}

#[tokio::test]
async fn app_passwords_prove_themselves_by_scram_where_they_count() {
    let world = world().await;
    let World { directory, ann, .. } = &world;
    let add = async |name: &str, protocols: &[&str]| {
        let mut scope = AppPasswordScope::default();
        scope.protocols = protocols.iter().map(|it| (*it).into()).collect();
        let made = directory.add_app_password(ann, name, &scope).await.unwrap();
        String::from_utf8(made.expose().to_vec()).unwrap()
    };
    let (phone, printer) = (add("phone", &[]).await, add("printer", &["smtp"]).await);
    let keys = scram(&world, "ann").await;
    assert_eq!(keys.pairs.len(), 2);
    assert_eq!(fitting(&keys, "first word"), [None]);
    assert_eq!(fitting(&keys, &phone), [Some("phone".to_owned())]);
    assert!(fitting(&keys, &printer).is_empty());
    assert_eq!(verified(&world, Some("phone")).await.unwrap(), *ann);
    assert!(verified(&world, Some("printer")).await.is_err());
    let listed = directory.app_passwords(ann).await.unwrap();
    assert!(
        listed
            .iter()
            .any(|it| &*it.name == "phone" && it.last_used.is_some())
    );
    // They outlive the password, and another primary address.
    directory
        .set_password(&address("ann@x.test"), &Secret::new("second word"))
        .await
        .unwrap();
    let (old, new) = (address("ann@x.test"), address("anna@x.test"));
    directory.rename_account(&old, &new).await.unwrap();
    directory
        .set_password(&new, &Secret::new("third word"))
        .await
        .unwrap();
    let keys = scram(&world, "anna").await;
    assert_eq!(fitting(&keys, "third word"), [None]);
    assert_eq!(fitting(&keys, &phone), [Some("phone".to_owned())]);
    // A code can't be asked for: the password alone is no proof.
    directory.enrol(ann, Begins::AtOnce).await.unwrap();
    let keys = scram(&world, "anna").await;
    assert!(fitting(&keys, "third word").is_empty());
    assert_eq!(fitting(&keys, &phone), [Some("phone".to_owned())]);
    directory.remove_app_password(ann, "phone").await.unwrap();
    assert!(fitting(&scram(&world, "anna").await, &phone).is_empty());
    directory.rename_account(&new, &old).await.unwrap();
    assert!(verified(&world, None).await.is_err());
}

#[tokio::test]
async fn shared_secrets_are_kept_only_where_they_were_allowed() {
    use mailcore::seams::SharedSecret::{Apop, CramMd5, Ntlm};

    let world = world().await;
    let World { directory, ann, .. } = &world;
    let it = address("ann@x.test");
    let cram = async || given(&world, "ann", CredentialKind::CramMd5).await;
    let offered = |kind| directory.proofs().contains(&ProofKind::Credentials(kind));
    assert!(matches!(cram().await, Err(AuthError::Invalid)));
    assert!(!offered(CredentialKind::CramMd5));
    directory
        .allow_shared_secrets(&it, &[CramMd5, Apop, Ntlm])
        .await
        .unwrap();
    let waiting = [CramMd5, Apop, Ntlm].map(|kind| (kind, Held::AtNextPassword));
    assert_eq!(directory.shared_secrets(&it).await.unwrap(), waiting);
    assert!(matches!(cram().await, Err(AuthError::Invalid)));
    world.log_in("first word").await.unwrap();
    let there = [CramMd5, Apop, Ntlm].map(|kind| (kind, Held::Yes));
    assert_eq!(directory.shared_secrets(&it).await.unwrap(), there);
    assert!(offered(CredentialKind::CramMd5) && offered(CredentialKind::Apop));
    let Ok(Credentials::CramMd5(keys)) = cram().await else {
        panic!("no keys");
    };
    assert_eq!(keys[0].value, CramMd5Key::derive(b"first word"));
    directory
        .set_password(&it, &Secret::new("second word"))
        .await
        .unwrap();
    let apop = given(&world, "ann", CredentialKind::Apop).await;
    let Ok(Credentials::Passwords(words)) = apop else {
        panic!("no password");
    };
    assert_eq!(words[0].value.expose(), b"second word");
    let ntlm = given(&world, "ann", CredentialKind::Ntlm).await;
    let Ok(Credentials::NtHashes(hashes)) = ntlm else {
        panic!("no hash");
    };
    assert_eq!(
        Some(&hashes[0].value),
        mailcore::sasl::nt_hash(b"second word").as_ref()
    );
    // None of them has a name under which others could read it.
    for name in ["auth:apop", "apop"] {
        assert_eq!(directory.secret(ann, name).await.unwrap(), None);
    }
    assert!(directory.forget_secret(ann, "auth:apop").await.is_err());
    directory.allow_shared_secrets(&it, &[Apop]).await.unwrap();
    assert!(matches!(cram().await, Err(AuthError::Invalid)));
    assert!(!offered(CredentialKind::CramMd5) && offered(CredentialKind::Apop));
    assert_eq!(
        world.cell("SELECT group_concat(name) FROM secret"),
        "auth:apop,auth:scram"
    );
    directory.set_password_hash(&it, CRYPT).await.unwrap();
    assert!(given(&world, "ann", CredentialKind::Apop).await.is_err());
    directory.remove_account(&it).await.unwrap();
    assert!(!offered(CredentialKind::Apop));
}

#[tokio::test]
async fn without_a_key_passwords_alone_are_told() {
    let directory = MemoryDirectory::for_tests(&[("ann@x.test", "first word")])
        .await
        .unwrap();
    assert_eq!(
        directory.proofs(),
        [ProofKind::Password, ProofKind::Certificate]
    );
    let allowed = directory
        .allow_shared_secrets(&address("ann@x.test"), &[SharedSecret::Apop])
        .await;
    assert!(matches!(allowed, Err(DirectoryError::Unsupported(_))));
}

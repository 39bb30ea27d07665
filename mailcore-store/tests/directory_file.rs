//! The directory's file over the years: earlier schemas, newer ones, damage,
//! and what must be gone from it.
#![cfg(feature = "sqlite-directory")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountChange, Administration, AppPasswordScope, AuthError, AuthRequest, Authenticator,
    Directory, DirectoryError, DirectoryWrite, DomainKind, ListRecord, Lists, Proof, Resolution,
    Role, Scope, ScriptKind, Scripts, Secrets, Settings,
};
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::directory::{
    Extent, PasswordHashing, ScriptLimits, Section, SqliteDirectory, StoreKey,
};
use rusqlite::Connection;
use tempfile::TempDir;

const PAGE: usize = 4096;

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn domain(text: &str) -> Domain {
    text.parse().expect("a domain")
}

fn open(path: &Path) -> Result<SqliteDirectory, DirectoryError> {
    let (clock, entropy) = (VirtualClock::new(), SeededEntropy::new(1));
    let hashing = PasswordHashing::fast_for_tests();
    SqliteDirectory::open_with(path, hashing, Arc::new(clock), Arc::new(entropy))
}

async fn log_in(
    directory: &SqliteDirectory,
    login: &str,
    secret: &str,
) -> Result<AccountId, AuthError> {
    let request = AuthRequest {
        login: login.into(),
        proof: Proof::Password(Secret::new(secret)),
        peer: None,
        protocol: "imap",
    };
    Ok(directory.authenticate(&request).await?.account)
}

/// A place with a copy of the directory of schema 1.
fn version_1() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.db");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/directory-1.db");
    fs::copy(golden, &path).unwrap();
    (dir, path)
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// What the copy of schema 1 holds, whatever its schema is now.
async fn assert_all_is_there(directory: &SqliteDirectory) {
    let ann = log_in(directory, "ann", "ann's password").await.unwrap();
    let ann = directory.account(&ann).await.unwrap().unwrap();
    assert_eq!((ann.quota, ann.enabled), (Some(1_000_000), true));
    assert!(ann.options.in_contacts && ann.options.spam_to_folder);
    assert!(matches!(
        log_in(directory, "bob@example.test", "bob's password").await,
        Err(AuthError::Disabled)
    ));
    let role = directory.role(&address("chief@example.test")).await;
    assert_eq!(
        role.unwrap(),
        Role::Domains(vec![domain("example.test")]),
        "who ran a domain still does"
    );
    assert_eq!(
        directory
            .resolve(&address("team@example.test"))
            .await
            .unwrap(),
        Resolution::Alias(vec![
            address("ann@example.test"),
            address("outside@elsewhere.test")
        ])
    );
    let relay = directory.domain(&domain("relay.test")).await.unwrap();
    assert!(matches!(
        relay.unwrap().kind,
        DomainKind::Relay { port: 2525, .. }
    ));
}

#[tokio::test]
async fn a_file_of_schema_1_is_copied_and_migrated() {
    let (dir, path) = version_1();
    // What an attempt that was cut off left behind.
    fs::write(dir.path().join("directory.db.before-3.part"), "cut off").unwrap();
    let before = fs::read(&path).unwrap();
    {
        let directory = open(&path).unwrap();
        let (from, copy) = directory.opened().migrated.expect("it was migrated");
        assert_eq!(from, 1);
        assert_eq!(copy, dir.path().join("directory.db.before-3"));
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o077, 0);
        assert_all_is_there(&directory).await;
        directory
            .add_list(&ListRecord::new(address("list@example.test")))
            .await
            .unwrap();
    }
    let directory = open(&path).unwrap();
    assert_eq!(directory.opened().migrated, None);
    assert_all_is_there(&directory).await;
    drop(directory);
    assert_eq!(names(&dir), ["directory.db", "directory.db.before-3"]);

    // The copy is what there was before: put back, it is migrated again, and
    // the first copy stays.
    let copy = dir.path().join("directory.db.before-3");
    assert_eq!(fs::read(&copy).unwrap().len(), before.len());
    fs::copy(&copy, &path).unwrap();
    let directory = open(&path).unwrap();
    assert_all_is_there(&directory).await;
    let (_, second) = directory.opened().migrated.expect("it was migrated");
    assert_eq!(second, dir.path().join("directory.db.before-3.1"));
}

#[tokio::test]
async fn a_newer_file_is_not_touched() {
    let (dir, path) = version_1();
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 4).unwrap();
    newer.close().unwrap();
    let before = fs::read(&path).unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(
        error.contains("newer version (schema 4, this program knows 3); run that version"),
        "{error}"
    );
    assert_eq!(names(&dir), ["directory.db"], "nothing is put beside it");
    assert!(fs::read(&path).unwrap() == before);
}

/// A directory of 500 accounts, a list with members, a setting and a script.
async fn large() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.db");
    let directory = open(&path).unwrap();
    let added = directory
        .add_domain(&domain("x.test"), DomainKind::Local)
        .await;
    added.unwrap();
    let secret = Secret::new("the password");
    let first = directory
        .add_account(&address("user0000@x.test"), &secret)
        .await;
    first.unwrap();
    let list = address("list@x.test");
    let added = directory.add_list(&ListRecord::new(list.clone())).await;
    added.unwrap();
    let members = [address("user0000@x.test")];
    directory.add_members(&list, &members).await.unwrap();
    let set = directory.set(&Scope::Global, "k", Some("v")).await;
    set.unwrap();
    let (owner, kind) = (Scope::Global, ScriptKind::Sieve);
    let put = directory.put_script(&owner, kind, "main", "keep;").await;
    put.unwrap();
    drop(directory);
    multiply(&path, 1..500);
    (dir, path)
}

/// Adds copies of the first account under other names.
fn multiply(path: &Path, numbers: std::ops::Range<u32>) {
    let mut connection = Connection::open(path).unwrap();
    let batch = connection.transaction().unwrap();
    for number in numbers {
        let name = format!("user{number:04}@x.test");
        let sql = "INSERT INTO account (seq, address, id, hash, enabled, administrator) \
                   SELECT ?1, ?2, ?2, hash, 1, 0 FROM account WHERE address = 'user0000@x.test'";
        batch
            .execute(sql, rusqlite::params![100 + number, name])
            .unwrap();
    }
    batch.commit().unwrap();
}

/// The number of the leaf (first octet 0x0d) of a table that holds a text.
fn leaf_with(octets: &[u8], text: &str) -> usize {
    let holds = |page: &[u8]| page.windows(text.len()).any(|it| it == text.as_bytes());
    octets
        .chunks(PAGE)
        .position(|page| page[0] == 0x0d && holds(page))
        .expect("a page holds it")
}

#[tokio::test]
async fn a_damaged_page_costs_what_it_held_and_is_not_written_over() {
    let (_dir, path) = large().await;
    let mut octets = fs::read(&path).unwrap();
    let at = leaf_with(&octets, "user0250@x.test") * PAGE;
    octets[at..at + PAGE].fill(0xa5);
    fs::write(&path, &octets).unwrap();

    let directory = open(&path).unwrap();
    let damage = directory.opened().damage;
    let found: Vec<_> = damage.iter().map(|it| (it.section, it.extent)).collect();
    assert_eq!(found, [(Section::Accounts, Extent::Pages)], "{damage:?}");

    for kept in ["user0000@x.test", "user0499@x.test"] {
        let found = directory.resolve(&address(kept)).await;
        assert!(matches!(found, Ok(Resolution::Account(_))), "{kept}");
        log_in(&directory, kept, "the password").await.unwrap();
    }
    let gone = |result| matches!(result, Err(DirectoryError::Unavailable(_)));
    for lost in ["user0250@x.test", "never@x.test"] {
        assert!(
            gone(directory.resolve(&address(lost)).await),
            "{lost} may be one that can't be read: mail for it waits"
        );
        assert!(matches!(
            log_in(&directory, lost, "the password").await,
            Err(AuthError::Unavailable(_))
        ));
    }
    // The rest runs.
    let list = address("list@x.test");
    let members = [address("more@elsewhere.test")];
    directory.add_members(&list, &members).await.unwrap();
    let set = directory.set(&Scope::Global, "k", Some("w")).await;
    set.unwrap();
    let active = directory
        .script(&Scope::Global, ScriptKind::Sieve, "main")
        .await;
    assert_eq!(&*active.unwrap(), "keep;");
    // What is damaged is not written.
    let first = address("user0000@x.test");
    let password = Secret::new("another");
    let set = directory.set_password(&first, &password).await;
    assert!(set.is_err_and(|it| it.to_string().contains("restore directory.db")));
    let new = address("new@x.test");
    assert!(directory.add_account(&new, &password).await.is_err());
    assert!(directory.add_alias(&new, &[first]).await.is_err());
    assert!(directory.remove_domain(&domain("x.test")).await.is_err());
    drop(directory);
    let after = fs::read(&path).unwrap();
    assert!(after[at..at + PAGE].iter().all(|it| *it == 0xa5));
}

#[tokio::test]
async fn a_row_that_makes_no_sense_costs_itself_alone() {
    let (_dir, path) = large().await;
    let connection = Connection::open(&path).unwrap();
    let sql =
        "UPDATE account SET address = 'no address' WHERE seq = (SELECT max(seq) FROM account)";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    connection.close().unwrap();
    let directory = open(&path).unwrap();
    let damage = directory.opened().damage;
    let found: Vec<_> = damage.iter().map(|it| (it.section, it.extent)).collect();
    assert_eq!(found, [(Section::Accounts, Extent::Rows(1))], "{damage:?}");
    let first = address("user0000@x.test");
    let set = directory
        .set_password(&first, &Secret::new("another"))
        .await;
    set.unwrap();
    let new = address("new@x.test");
    let added = directory.add_account(&new, &Secret::new("another")).await;
    added.unwrap();
    drop(directory);
    let connection = Connection::open(&path).unwrap();
    let sql = "SELECT count(*) FROM account WHERE address IN ('no address', 'new@x.test')";
    let count: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2, "the row is left as it is");
}

#[tokio::test]
async fn an_alias_with_an_unreadable_target_leads_nowhere_for_now() {
    let (_dir, path) = version_1();
    drop(open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let sql = "UPDATE alias_target SET target = 'x' WHERE place = 1";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    connection.close().unwrap();
    let directory = open(&path).unwrap();
    let team = directory.resolve(&address("team@example.test")).await;
    assert!(
        matches!(team, Err(DirectoryError::Unavailable(_))),
        "half of its targets would lose the other half's mail: {team:?}"
    );
    let sales = directory.resolve(&address("sales@second.test")).await;
    assert!(matches!(sales, Ok(Resolution::Alias(_))));
}

/// Octets of a secret's end that are looked for.
const TAIL: usize = 24;

/// Every run of [`TAIL`] octets in the files of a place.
fn runs(dir: &TempDir) -> HashSet<Vec<u8>> {
    let paths = fs::read_dir(dir.path()).unwrap();
    let files = paths.map(|it| fs::read(it.unwrap().path()).unwrap());
    let mut runs = HashSet::new();
    for octets in files {
        runs.extend(octets.windows(TAIL).map(<[u8]>::to_vec));
    }
    runs
}

/// How many of these are in the files.
fn found(dir: &TempDir, secrets: &[Vec<u8>]) -> usize {
    let runs = runs(dir);
    let there = |it: &&Vec<u8>| runs.contains(&it[it.len() - TAIL..]);
    secrets.iter().filter(there).count()
}

#[tokio::test]
async fn secrets_that_end_leave_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.db");
    let directory = open(&path).unwrap().with_store_key(StoreKey::new([7; 32]));
    let added = directory
        .add_domain(&domain("x.test"), DomainKind::Local)
        .await;
    added.unwrap();
    let user = |number: u32| address(&format!("user{number:03}@x.test"));
    for number in 0..40 {
        let id = directory
            .add_account(&user(number), &Secret::new("the password"))
            .await;
        let id = id.unwrap();
        let anywhere = AppPasswordScope::default();
        let added = directory.add_app_password(&id, "phone", &anywhere).await;
        added.unwrap();
        let secret = Secret::new("a secret to be had in clear again");
        directory.keep_secret(&id, "apop", &secret).await.unwrap();
    }
    // Rows that grow are moved to other pages.
    for number in 0..40 {
        let change = AccountChange {
            display_name: Some(Some("x".repeat(250).into())),
            ..AccountChange::default()
        };
        let changed = directory.change_account(&user(number), &change).await;
        changed.unwrap();
    }
    let reader = Connection::open(&path).unwrap();
    let sql = "SELECT CAST(hash AS BLOB) FROM account \
               UNION SELECT CAST(hash AS BLOB) FROM app_password UNION SELECT keys FROM app_password \
               UNION SELECT sealed FROM secret";
    let mut statement = reader.prepare(sql).unwrap();
    let rows = statement
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .unwrap();
    let ended: Vec<Vec<u8>> = rows.map(Result::unwrap).collect();
    drop(statement);
    reader.close().unwrap();
    assert_eq!(ended.len(), 200);
    assert_eq!(
        found(&dir, &ended),
        200,
        "or the search finds nothing at all"
    );
    let clear = b"a secret to be had in clear again".to_vec();
    assert_eq!(found(&dir, &[clear]), 0, "never in clear");
    for number in 0..40 {
        if number % 2 == 0 {
            directory.remove_account(&user(number)).await.unwrap();
            continue;
        }
        let set = directory
            .set_password(&user(number), &Secret::new("another"))
            .await;
        set.unwrap();
        let id = AccountId::new(&user(number).to_string());
        directory.remove_app_password(&id, "phone").await.unwrap();
        directory.forget_secret(&id, "apop").await.unwrap();
    }
    assert_eq!(found(&dir, &ended), 0, "of 200");
}

#[tokio::test]
async fn scripts_keep_within_their_limits() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(&dir.path().join("directory.db")).unwrap();
    let mut limits = ScriptLimits::default();
    (limits.count, limits.size, limits.total) = (2, 10, 15);
    let directory = directory.with_script_limits(limits);
    let put = async |name: &str, size: usize| {
        let text = "x".repeat(size);
        let (owner, kind) = (Scope::Global, ScriptKind::Rules);
        directory.put_script(&owner, kind, name, &text).await
    };
    put("a", 10).await.unwrap();
    put("b", 5).await.unwrap();
    for (name, size) in [("a", 11), ("b", 6), ("c", 0)] {
        let refused = put(name, size).await;
        assert!(matches!(refused, Err(DirectoryError::OverQuota { .. })));
    }
    put("a", 1).await.unwrap();
    put("b", 10).await.unwrap();
}

/// How long 100,000 accounts and a list of 10,000 take to open, and how much
/// memory they cost: `cargo test --release -p mailcore-store --test
/// directory_file -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "prints figures"]
async fn figures_of_a_large_directory() {
    let (_dir, path) = large().await;
    multiply(&path, 500..100_000);
    let members: Vec<Address> = (0..10_000)
        .map(|number| address(&format!("user{number:04}@x.test")))
        .collect();
    let list = address("list@x.test");
    let directory = open(&path).unwrap();
    let started = std::time::Instant::now();
    directory.add_members(&list, &members).await.unwrap();
    println!("10,000 members added in {:?}", started.elapsed());
    drop(directory);
    let resident = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|it| it.starts_with("VmRSS")).unwrap();
        line.to_owned()
    };
    println!("before: {}", resident());
    let started = std::time::Instant::now();
    let directory = open(&path).unwrap();
    println!("opened in {:?}", started.elapsed());
    println!("after:  {}", resident());
    println!("file:   {} octets", fs::metadata(&path).unwrap().len());
    let started = std::time::Instant::now();
    for member in &members {
        directory.resolve(member).await.unwrap();
    }
    println!("10,000 addresses resolved in {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let set = directory.set(&Scope::Global, "k", Some("w")).await;
    set.unwrap();
    println!("one change in {:?}", started.elapsed());
}

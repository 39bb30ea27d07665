//! The file itself: who may read it, while it is written and after, and what becomes of older, newer and foreign ones.

use super::*;

#[tokio::test]
async fn others_read_while_it_is_written_and_after_it_is_closed() {
    let desk = Desk::new();
    desk.journal.append(&story()).await.unwrap();
    let reader = JournalReader::open(&desk.path).unwrap();
    let open = Connection::open_with_flags(&desk.path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap();
    open.execute_batch("BEGIN; SELECT count(*) FROM events;")
        .unwrap();
    desk.journal
        .append(&[event(7, EventName::Gap)])
        .await
        .unwrap();
    let query = ask(|it| {
        it.limit = 1;
    });
    let newest = reader.query(&query).await.unwrap().events;
    assert_eq!(newest[0].event.name, EventName::Gap);
    drop((open, reader));
    drop(desk.journal);
    // Who may only read can't make these.
    for beside in ["journal.db-wal", "journal.db-shm"] {
        assert!(desk.path.with_file_name(beside).exists(), "{beside}");
    }
    let reader = JournalReader::open(&desk.path).unwrap();
    assert_eq!(reader.query(&query).await.unwrap().events, newest);
}

#[test]
fn the_group_may_read_it_and_an_operator_may_say_otherwise() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&desk.path), 0o640);
    assert_eq!(mode(&desk.path.with_file_name("journal.db-wal")), 0o640);
    std::fs::set_permissions(&desk.path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let path = desk.path.clone();
    drop(desk.journal);
    SqliteJournal::open(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn files_of_others_and_newer_ones_are_left_as_they_are() {
    let folder = TempDir::new().unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE t (x); PRAGMA user_version = 1;")
        .unwrap();
    let newer = folder.path().join("newer.db");
    drop(SqliteJournal::open(&newer).unwrap());
    Connection::open(&newer)
        .unwrap()
        .execute_batch("PRAGMA user_version = 9; PRAGMA wal_checkpoint(TRUNCATE);")
        .unwrap();
    for (path, why) in [
        (foreign, "not a mailcore journal"),
        (newer, "newer version (schema 9"),
    ] {
        let before = std::fs::read(&path).unwrap();
        for error in [
            SqliteJournal::open(&path).unwrap_err(),
            JournalReader::open(&path).unwrap_err(),
        ] {
            assert!(error.to_string().contains(why), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    let missing = JournalReader::open(&folder.path().join("missing.db"));
    missing.unwrap_err();
    assert!(!folder.path().join("missing.db").exists());
}

#[tokio::test]
async fn an_older_file_is_copied_before_its_tables_change() {
    let desk = Desk::new();
    desk.journal.append(&story()).await.unwrap();
    let path = desk.path.clone();
    drop(desk.journal);
    let broken = [
        schema::STEPS,
        &["ALTER TABLE messages ADD COLUMN score INTEGER; CREATE bad"],
    ]
    .concat();
    file::open(&path, &broken).unwrap_err();
    assert_eq!(rows(&path, "PRAGMA user_version"), ["2"]);
    let steps = [
        schema::STEPS,
        &["ALTER TABLE messages ADD COLUMN score INTEGER"],
    ]
    .concat();
    drop(file::open(&path, &steps).unwrap());
    assert_eq!(
        rows(&path, "SELECT count(score), count(*) FROM messages"),
        ["0|2"]
    );
    let copy = path.with_file_name("journal.db.before-3");
    assert_eq!(rows(&copy, "SELECT count(*) FROM events"), ["6"]);
    assert_eq!(rows(&copy, "PRAGMA user_version"), ["2"]);
    let old = SqliteJournal::open(&path).unwrap_err();
    assert!(old.to_string().contains("newer version"), "{old}");
}

//! The tables of `directory.db`, and how a file of an earlier schema is brought
//! to the present one: a copy first, then one transaction.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, TransactionBehavior};

/// The newest schema this program knows, in `PRAGMA user_version`.
pub(super) const SCHEMA_VERSION: i64 = 3;
/// `PRAGMA application_id` of our files: `mcdi`.
const APPLICATION_ID: i64 = 0x6d63_6469;
/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Schema 1.
const SCHEMA_1: &str = "
CREATE TABLE domain (
    seq INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    relay_host TEXT,
    relay_port INTEGER
) STRICT;
CREATE TABLE account (
    seq INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    quota INTEGER,
    enabled INTEGER NOT NULL,
    administrator INTEGER NOT NULL
) STRICT;
CREATE TABLE alias (
    seq INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE alias_target (
    alias INTEGER NOT NULL REFERENCES alias ON DELETE CASCADE,
    place INTEGER NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (alias, place)
) STRICT, WITHOUT ROWID;
";

/// From schema 1 to 2. Only adds, so that rows of damaged pages stay where they
/// are.
const SCHEMA_2: &str = "
ALTER TABLE domain ADD COLUMN alias_of TEXT;
ALTER TABLE domain ADD COLUMN is_default INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN quota_messages INTEGER;
ALTER TABLE account ADD COLUMN display_name TEXT;
ALTER TABLE account ADD COLUMN language TEXT;
ALTER TABLE account ADD COLUMN local_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN redirect_to TEXT;
ALTER TABLE account ADD COLUMN redirect_copy INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN in_contacts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE account ADD COLUMN spam_to_folder INTEGER NOT NULL DEFAULT 1;
ALTER TABLE account ADD COLUMN domain_signature INTEGER NOT NULL DEFAULT 1;
CREATE TABLE administers (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    domain TEXT NOT NULL,
    PRIMARY KEY (account, domain)
) STRICT, WITHOUT ROWID;
CREATE TABLE template (
    domain INTEGER PRIMARY KEY REFERENCES domain ON DELETE CASCADE,
    quota INTEGER,
    quota_messages INTEGER,
    enabled INTEGER NOT NULL,
    language TEXT,
    local_only INTEGER NOT NULL,
    in_contacts INTEGER NOT NULL,
    spam_to_folder INTEGER NOT NULL,
    domain_signature INTEGER NOT NULL
) STRICT;
CREATE TABLE switched_off (
    address TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE list (
    seq INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    members_only INTEGER NOT NULL,
    moderated INTEGER NOT NULL,
    owner TEXT,
    reply_to_list INTEGER NOT NULL,
    reply_to TEXT,
    errors_to TEXT,
    members_file TEXT
) STRICT;
CREATE TABLE list_moderator (
    list INTEGER NOT NULL REFERENCES list ON DELETE CASCADE,
    place INTEGER NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (list, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE list_member (
    list INTEGER NOT NULL REFERENCES list ON DELETE CASCADE,
    address TEXT NOT NULL,
    PRIMARY KEY (list, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE account_group (
    seq INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    closed INTEGER NOT NULL
) STRICT;
CREATE TABLE group_member (
    account_group INTEGER NOT NULL REFERENCES account_group ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    PRIMARY KEY (account_group, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_member_account ON group_member (account);
CREATE TABLE setting (
    seq INTEGER PRIMARY KEY,
    level INTEGER NOT NULL,
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (level, owner, key)
) STRICT;
CREATE TABLE script (
    seq INTEGER PRIMARY KEY,
    level INTEGER NOT NULL,
    owner TEXT NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    active INTEGER NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (level, owner, kind, name)
) STRICT;
CREATE TABLE app_password (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_used INTEGER,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE secret (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    name TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
";

/// From schema 2 to 3. Only adds, too.
const SCHEMA_3: &str = "
ALTER TABLE app_password ADD COLUMN protocols TEXT NOT NULL DEFAULT '';
ALTER TABLE app_password ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE app_password ADD COLUMN keys BLOB;
CREATE TABLE certificate (
    name TEXT PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_account ON certificate (account);
";

/// What a file turned out to be.
pub(super) enum Found {
    /// Nothing yet.
    Empty,
    /// A directory of this schema.
    Ours(i64),
    /// Something else.
    Foreign,
}

/// Looks at a file's first page alone, so that one of a newer version is not
/// touched. What is in its log is seen by [`inspect`].
pub(super) fn peek(path: &Path) -> std::io::Result<Found> {
    let mut header = [0; 100];
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Empty),
        Err(error) => return Err(error),
    };
    match file.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Found::Empty),
        result => result?,
    }
    if !header.starts_with(MAGIC) {
        return Ok(Found::Foreign);
    }
    // <https://www.sqlite.org/fileformat.html#the_database_header>
    let number = |at: usize| {
        let octets = header.get(at..).and_then(|it| it.first_chunk::<4>());
        i64::from(octets.map_or(0, |it| u32::from_be_bytes(*it)))
    };
    Ok(found(number(68), number(60), true))
}

/// Looks at what the file holds now.
pub(super) fn inspect(connection: &Connection) -> rusqlite::Result<Found> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let sql = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(found(application, version, tables == 0))
}

fn found(application: i64, version: i64, is_empty: bool) -> Found {
    match (application, version) {
        (APPLICATION_ID, version) => Found::Ours(version),
        (0, 0) if is_empty => Found::Empty,
        _ => Found::Foreign,
    }
}

/// Brings a file of schema `from`, 0 for an empty one, to the present one, all
/// or nothing. Another process may have done it meanwhile.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let batch = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = match inspect(&batch)? {
        Found::Empty => 0,
        Found::Ours(version) => version,
        Found::Foreign => return Ok(()),
    };
    if from < 1 {
        batch.execute_batch(SCHEMA_1)?;
        batch.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    if from < 2 {
        batch.execute_batch(SCHEMA_2)?;
    }
    if from < 3 {
        batch.execute_batch(SCHEMA_3)?;
        batch.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    batch.commit()
}

/// Copies the file as it is to `directory.db.before-3`, durably, by SQLite's
/// backup, which takes what is in its log, too. A copy that is there already is
/// kept, and the new one numbered.
pub(super) fn copy_aside(
    connection: &Connection,
    path: &Path,
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let name = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".before-{SCHEMA_VERSION}{suffix}"));
        PathBuf::from(name)
    };
    let part = name(".part");
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    super::make_private(&part)?;
    let mut copy = Connection::open(&part)?;
    Backup::new(connection, &mut copy)?.run_to_completion(1_000, Duration::ZERO, None)?;
    copy.close().map_err(|(_, error)| error)?;
    File::open(&part)?.sync_all()?;
    let mut target = name("");
    for number in 1u64.. {
        if !target.exists() {
            break;
        }
        target = name(&format!(".{number}"));
    }
    std::fs::rename(&part, &target)?;
    crate::directory::sync_parent(&target)?;
    Ok(target)
}

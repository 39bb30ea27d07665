//! [`SqliteDirectory`]: a directory in one SQLite file.
//!
//! The file holds password hashes, so it is readable by its owner alone and
//! what is removed from it is overwritten.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailcore::account::AccountId;
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountRecord, Clock, DirectoryError, DomainKind, DomainRecord, Entropy, OsEntropy, SystemClock,
};
use rusqlite::{Connection, Row, params};

use super::keep::{Change, Keep};
use super::local::LocalDirectory;
use super::passwords::PasswordHashing;
use super::table::Table;
use super::{Access, Role};

/// The newest schema this program knows, in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 1;
/// `PRAGMA application_id` of our files: `mcdi`.
const APPLICATION_ID: i64 = 0x6d63_6469;

const SCHEMA: &str = "
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

/// A directory in a file, `directory.db`. Changes made by other processes are
/// seen within a second.
pub type SqliteDirectory = LocalDirectory<Database>;

impl SqliteDirectory {
    /// Opens or makes the file, on the computer's clock and randomness. Blocks.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`] when the file can't be opened, is not a
    /// directory, or was written by a newer version.
    pub fn open(path: &Path, hashing: PasswordHashing) -> Result<Self, DirectoryError> {
        let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(OsEntropy));
        Self::open_with(path, hashing, clock, entropy)
    }

    /// As [`SqliteDirectory::open`], on the given clock and randomness.
    ///
    /// # Errors
    /// As [`SqliteDirectory::open`].
    pub fn open_with(
        path: &Path,
        hashing: PasswordHashing,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DirectoryError> {
        Self::over(Database::open(path)?, hashing, clock, entropy)
    }
}

/// The file behind a [`SqliteDirectory`].
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    /// `PRAGMA data_version` at the last read: changes when others write.
    seen: Option<i64>,
}

impl Database {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`].
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |error: &dyn std::fmt::Display| {
            DirectoryError::Unavailable(format!("{}: {error}", path.display()))
        };
        make_private(path).map_err(|error| failed(&error))?;
        let mut connection = Connection::open(path).map_err(|error| failed(&error))?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(|error| failed(&error))?;
        match migrate(&mut connection).map_err(|error| failed(&error))? {
            Found::Ours => {}
            Found::Newer(version) => {
                return Err(failed(&format_args!(
                    "written by a newer version (schema {version}, this program knows \
                     {SCHEMA_VERSION}); run that version"
                )));
            }
            Found::Foreign => {
                return Err(failed(
                    &"this is not a mailcore directory; choose another file",
                ));
            }
        }
        configure(&connection).map_err(|error| failed(&error))?;
        Ok(Self {
            connection,
            seen: None,
        })
    }

    fn load(&self) -> rusqlite::Result<Table> {
        let mut table = Table::default();
        let sql = "SELECT seq, name, relay_host, relay_port FROM domain ORDER BY seq";
        self.replay(&mut table, sql, read_domain)?;
        let sql = "SELECT seq, address, id, hash, quota, enabled, administrator FROM account \
                   ORDER BY seq";
        self.replay(&mut table, sql, read_account)?;
        let sql = "SELECT seq, address FROM alias ORDER BY seq";
        self.replay(&mut table, sql, |row| {
            let targets = self.targets(row.get(0)?)?;
            Ok(vec![Change::AddAlias(address(row, 1)?, targets.into())])
        })?;
        Ok(table)
    }

    /// Applies each row as the changes that made it.
    fn replay(
        &self,
        table: &mut Table,
        sql: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<Vec<Change>>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)?.cast_unsigned();
            for change in read(row)? {
                table.apply(change, seq);
            }
        }
        Ok(())
    }

    fn targets(&self, alias: i64) -> rusqlite::Result<Vec<Address>> {
        self.connection
            .prepare_cached("SELECT target FROM alias_target WHERE alias = ?1 ORDER BY place")?
            .query_map([alias], |row| address(row, 0))?
            .collect()
    }

    fn data_version(&self) -> rusqlite::Result<i64> {
        self.connection
            .pragma_query_value(None, "data_version", |row| row.get(0))
    }

    fn write(&mut self, change: &Change, seq: u64) -> rusqlite::Result<()> {
        let seq = seq.cast_signed();
        let batch = self.connection.transaction()?;
        match change {
            Change::AddDomain(record) => insert_domain(&batch, record, seq)?,
            Change::RemoveDomain(domain) => {
                batch.execute("DELETE FROM domain WHERE name = ?1", [domain.as_str()])?;
            }
            Change::AddAccount(record, hash) => insert_account(&batch, record, hash, seq)?,
            Change::RemoveAccount(address) => {
                let sql = "DELETE FROM account WHERE address = ?1";
                batch.execute(sql, [address.to_string()])?;
            }
            Change::SetPassword(address, hash) => {
                let sql = "UPDATE account SET hash = ?2 WHERE address = ?1";
                batch.execute(sql, params![address.to_string(), hash])?;
            }
            Change::SetQuota(address, quota) => {
                let sql = "UPDATE account SET quota = ?2 WHERE address = ?1";
                batch.execute(sql, params![address.to_string(), quota.map(to_sql)])?;
            }
            Change::SetAccess(address, access) => {
                let sql = "UPDATE account SET enabled = ?2 WHERE address = ?1";
                let enabled = *access == Access::Enabled;
                batch.execute(sql, params![address.to_string(), enabled])?;
            }
            Change::SetRole(address, role) => {
                let sql = "UPDATE account SET administrator = ?2 WHERE address = ?1";
                let administrator = *role == Role::Administrator;
                batch.execute(sql, params![address.to_string(), administrator])?;
            }
            Change::AddAlias(alias, targets) => insert_alias(&batch, alias, targets, seq)?,
            Change::RemoveAlias(alias) => {
                let sql = "DELETE FROM alias WHERE address = ?1";
                batch.execute(sql, [alias.to_string()])?;
            }
        }
        batch.commit()?;
        if matches!(change, Change::SetPassword(..) | Change::RemoveAccount(_)) {
            // The old hash is overwritten in the file itself, and the log that
            // still holds it is cut.
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }
}

impl Keep for Database {
    const SHARED: bool = true;

    fn refresh(&mut self) -> Result<Option<Table>, DirectoryError> {
        let version = self.data_version().map_err(unavailable)?;
        if self.seen == Some(version) {
            return Ok(None);
        }
        let table = self.load().map_err(unavailable)?;
        self.seen = Some(version);
        Ok(Some(table))
    }

    fn save(&mut self, change: &Change, seq: u64) -> Result<(), DirectoryError> {
        self.write(change, seq).map_err(unavailable)
    }
}

fn unavailable(error: rusqlite::Error) -> DirectoryError {
    DirectoryError::Unavailable(error.to_string())
}

/// Makes the file, or takes all rights on it from others.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    options.open(path).map(drop)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))
}

/// What a file turned out to be.
enum Found {
    /// A directory of our schema.
    Ours,
    /// A directory of a newer one.
    Newer(i64),
    /// Something else.
    Foreign,
}

/// Makes the tables in an empty file; looks at what there is in another.
fn migrate(connection: &mut Connection) -> rusqlite::Result<Found> {
    let batch = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let number = |pragma| batch.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        batch.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (application, version, tables) == (0, 0, 0) {
        batch.execute_batch(SCHEMA)?;
        batch.pragma_update(None, "application_id", APPLICATION_ID)?;
        batch.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        batch.commit()?;
        return Ok(Found::Ours);
    }
    Ok(match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => Found::Ours,
        (APPLICATION_ID, version) if version > SCHEMA_VERSION => Found::Newer(version),
        _ => Found::Foreign,
    })
}

fn to_sql(octets: u64) -> i64 {
    i64::try_from(octets).unwrap_or(i64::MAX)
}

fn insert_domain(batch: &Connection, record: &DomainRecord, seq: i64) -> rusqlite::Result<()> {
    let (host, port) = match &record.kind {
        DomainKind::Relay { host, port } => (Some(host.as_str()), Some(*port)),
        _ => (None, None),
    };
    batch.execute(
        "INSERT INTO domain (seq, name, relay_host, relay_port) VALUES (?1, ?2, ?3, ?4)",
        params![seq, record.domain.as_str(), host, port],
    )?;
    Ok(())
}

fn insert_account(
    batch: &Connection,
    record: &AccountRecord,
    hash: &str,
    seq: i64,
) -> rusqlite::Result<()> {
    batch.execute(
        "INSERT INTO account (seq, address, id, hash, quota, enabled, administrator) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
        params![
            seq,
            record.address.to_string(),
            record.id.as_str(),
            hash,
            record.quota.map(to_sql),
            record.enabled,
        ],
    )?;
    Ok(())
}

fn insert_alias(
    batch: &Connection,
    alias: &Address,
    targets: &[Address],
    seq: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO alias (seq, address) VALUES (?1, ?2)";
    batch.execute(sql, params![seq, alias.to_string()])?;
    let sql = "INSERT INTO alias_target (alias, place, target) VALUES (?1, ?2, ?3)";
    for (place, target) in (0i64..).zip(targets) {
        batch.execute(sql, params![seq, place, target.to_string()])?;
    }
    Ok(())
}

fn read_domain(row: &Row<'_>) -> rusqlite::Result<Vec<Change>> {
    let relay: Option<String> = row.get(2)?;
    let kind = match relay {
        None => DomainKind::Local,
        Some(host) => DomainKind::Relay {
            host: parsed(2, Domain::parse(&host))?,
            port: row.get(3)?,
        },
    };
    let name: String = row.get(1)?;
    Ok(vec![Change::AddDomain(DomainRecord {
        domain: parsed(1, Domain::parse(&name))?,
        kind,
    })])
}

fn read_account(row: &Row<'_>) -> rusqlite::Result<Vec<Change>> {
    let id = AccountId::new(&row.get::<_, String>(2)?);
    let mut record = AccountRecord::new(id, address(row, 1)?);
    record.quota = row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned);
    record.enabled = row.get(5)?;
    let key = record.address.clone();
    let hash: String = row.get(3)?;
    let mut changes = vec![Change::AddAccount(record, hash.into())];
    if row.get(6)? {
        changes.push(Change::SetRole(key, Role::Administrator));
    }
    Ok(changes)
}

fn address(row: &Row<'_>, column: usize) -> rusqlite::Result<Address> {
    let text: String = row.get(column)?;
    parsed(column, Address::parse(&text))
}

fn parsed<T>(
    column: usize,
    result: Result<T, mailcore::address::AddressError>,
) -> rusqlite::Result<T> {
    result.map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    })
}

//! Checking a store: every frame and checksum, every body against its hash,
//! and the index against what the log says it should be.
//!
//! Changes nothing. Runs beside a store in use, on the state of one moment.

use std::path::PathBuf;

use mailcore::mailbox::{Uid, UidSet};
use mailcore::seams::StoreError;
use rusqlite::Connection;

use super::body::BodyPlace;
use super::columns::Columns;
use super::index::{Index, read, unsigned};
use super::log::{Damage, Loss, Lsn};
use super::replay::{Reach, catch_up};
use super::shared::index_error;
use super::store::EmbeddedStore;
use super::writer::log_error;

/// Problems named one by one; more are counted only.
const MAX_NAMED: usize = 1_000;
/// Bodies taken from the index at a time.
const PAGE: usize = 1_000;

/// What the index and the log must agree on, as columns of tables.
const AGREED: [(&str, &str); 7] = [
    ("mailboxes", "*"),
    ("subscriptions", "*"),
    ("messages", "*"),
    ("contents", "*"),
    ("rights", "*"),
    ("expunged", "*"),
    ("spool", "*"),
];
/// What is removed without a record when it has had its time: what the index has
/// of it must be in the log.
const OUTLIVED: [(&str, &str); 3] = [("state", "*"), ("events", "*"), ("deliveries", "*")];
/// State without an expiry stays until a record says otherwise.
const LASTING: (&str, &str, &str) = ("state", "*", "expires IS NULL");
/// The same for bodies.
const BODIES: (&str, &str) = (
    "bodies",
    "id, segment, generation, place, lsn, length, hash, refs",
);

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Groups read from the log.
    pub groups: u64,
    /// Bodies read and compared with their hashes.
    pub bodies: u64,
    /// Messages in mailboxes.
    pub messages: u64,
    /// Damage in the log.
    pub damage: Vec<Damage>,
    /// What else is wrong, in words; the first thousand.
    pub problems: Vec<String>,
    /// Problems in all.
    pub problem_count: u64,
}

impl CheckReport {
    /// True when nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.problem_count == 0
    }

    /// A problem with so many rows, if there are any.
    fn rows(&mut self, count: i64, table: &str, words: &str) {
        if count > 0 {
            self.problem(format!("{count} rows of {table} {words}"));
        }
    }

    fn problem(&mut self, words: String) {
        self.problem_count += 1;
        if self.problems.len() < MAX_NAMED {
            self.problems.push(words);
        }
    }
}

/// The index as the log says it should be, in a file of its own.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = self.0.clone().into_os_string();
            name.push(suffix);
            // Whatever stays behind is overwritten by the next check.
            drop(std::fs::remove_file(name));
        }
    }
}

impl EmbeddedStore {
    /// Reads and checks everything, compacted segments included; none is
    /// compacted meanwhile. Blocks the thread, for as long as it takes
    /// to read the whole store once and its bodies twice; writes a second index
    /// beside the first and removes it again.
    ///
    /// # Errors
    /// When the store cannot be read at all. Damage is no error: it is in the
    /// report.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        let sqlite = |error: rusqlite::Error| index_error(&error);
        let _hold = self.hold_compaction();
        self.shared.reveal_blocking()?;
        let scratch = Scratch(self.layout.scratch());
        drop(Scratch(scratch.0.clone()));
        let expected = Index::open(&scratch.0, self.identity)
            .map_err(sqlite)?
            .ok_or(StoreError::Unavailable(
                "the check's own index can't be made",
            ))?;
        let conn = self.shared.reader().map_err(sqlite)?;
        conn.execute("ATTACH ? AS expected", [scratch.0.to_string_lossy()])
            .map_err(sqlite)?;
        let moment = conn.unchecked_transaction().map_err(sqlite)?;
        let until = Lsn(read::applied(&conn).map_err(sqlite)?);
        let mut report = CheckReport::default();
        self.replay_into(expected, (until, &conn), &mut report)?;
        let before = report.problem_count;
        integrity(&conn, &mut report).map_err(sqlite)?;
        if report.problem_count > before {
            self.shared.doubt_index();
        }
        for (table, columns) in AGREED {
            compare(&conn, (table, columns, "true"), &mut report).map_err(sqlite)?;
        }
        // Dead bodies are forgotten without a record.
        compare(&conn, (BODIES.0, BODIES.1, "refs > 0"), &mut report).map_err(sqlite)?;
        compare(&conn, LASTING, &mut report).map_err(sqlite)?;
        for (table, columns) in OUTLIVED {
            let rows = difference(&conn, (table, columns, "true"), ("main", "expected"));
            report.rows(rows.map_err(sqlite)?, table, IN_INDEX);
        }
        overviews(&conn, &mut report).map_err(sqlite)?;
        tombstones(&conn, &mut report).map_err(sqlite)?;
        // A thread that nobody is in any more may be known to the index alone.
        let threads = difference(&conn, ("threads", "*", "true"), ("expected", "main"));
        report.rows(threads.map_err(sqlite)?, "threads", IN_LOG);
        self.check_bodies(&conn, &mut report)?;
        report.messages = conn
            .query_row("SELECT count(*) FROM main.messages", [], |row| {
                row.get::<_, u32>(0)
            })
            .map(u64::from)
            .map_err(sqlite)?;
        drop(moment);
        Ok(report)
    }

    fn replay_into(
        &self,
        mut expected: Index,
        (until, conn): (Lsn, &Connection),
        report: &mut CheckReport,
    ) -> Result<(), StoreError> {
        let directory = self.log_directory();
        let reach = Reach {
            vouched: Lsn(until.0.saturating_sub(1)),
            until,
        };
        let replayed =
            catch_up(&mut expected, &directory, reach).map_err(|error| log_error(&error))?;
        let released = expected.release_as(conn);
        released.map_err(|error| index_error(&error))?;
        report.groups = replayed.groups;
        // What is being written just now is not finished, and no damage.
        report.damage = replayed.damage;
        report
            .damage
            .retain(|it| !matches!(it.loss, Loss::Groups(first, _) if first >= until));
        Ok(())
    }

    fn check_bodies(&self, conn: &Connection, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let rows = read::bodies(conn, after, PAGE).map_err(|error| index_error(&error))?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            after = last.id;
            for (row, hash) in &rows {
                report.bodies += 1;
                match self.hash_body(BodyPlace::of(row), row.length) {
                    Ok(found) if found == *hash => {}
                    Ok(_) => report.problem(format!("body {} does not match its hash", row.id)),
                    Err(error) => report.problem(format!("body {}: {error}", row.id)),
                }
            }
        }
    }

    fn hash_body(&self, place: BodyPlace, length: u64) -> Result<[u8; 32], StoreError> {
        const STEP: u64 = 256 << 10;
        let mut hash = blake3::Hasher::new();
        let mut at = 0;
        while at < length {
            let octets =
                self.shared
                    .bodies
                    .read_exact(place, length, at..(at + STEP).min(length))?;
            at += octets.len() as u64;
            hash.update(&octets);
        }
        Ok(*hash.finalize().as_bytes())
    }
}

fn integrity(conn: &Connection, report: &mut CheckReport) -> rusqlite::Result<()> {
    let mut query = conn.prepare("PRAGMA main.integrity_check")?;
    let lines = query.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines {
        let line = line?;
        if line != "ok" {
            report.problem(format!("index: {line}"));
        }
    }
    Ok(())
}

/// Columns of a table, and the condition for rows that count.
type Compared<'a> = (&'a str, &'a str, &'a str);

const IN_LOG: &str = "are in the log and not in the index";
const IN_INDEX: &str = "are in the index and not in the log";

/// How many rows `from` has and `without` has not.
fn difference(
    conn: &Connection,
    (table, columns, kept): Compared<'_>,
    (from, without): (&str, &str),
) -> rusqlite::Result<i64> {
    let sql = format!(
        "SELECT count(*) FROM (SELECT {columns} FROM {from}.{table} WHERE {kept} \
         EXCEPT SELECT {columns} FROM {without}.{table} WHERE {kept})"
    );
    conn.query_row(&sql, [], |row| row.get(0))
}

/// Rows that only one of the two indexes has.
fn compare(
    conn: &Connection,
    compared: Compared<'_>,
    report: &mut CheckReport,
) -> rusqlite::Result<()> {
    let (table, ..) = compared;
    let missing = difference(conn, compared, ("expected", "main"))?;
    report.rows(missing, table, IN_LOG);
    let surplus = difference(conn, compared, ("main", "expected"))?;
    report.rows(surplus, table, IN_INDEX);
    Ok(())
}

/// What an overview says, with what changed since, must be what there is.
fn overviews(conn: &Connection, report: &mut CheckReport) -> rusqlite::Result<()> {
    let mut query = conn.prepare("SELECT mailbox FROM main.overviews")?;
    let ids: Vec<u64> = query
        .query_map([], |row| row.get(0).map(unsigned))?
        .collect::<rusqlite::Result<_>>()?;
    for id in ids {
        if !Columns::is_overview_right(conn, id)? {
            report.problem(format!("the overview of mailbox {id} is wrong"));
        }
    }
    Ok(())
}

/// A row of `vanished`: mailbox, ModSeq, range of UIDs.
type Tombstone = (i64, i64, Uid, Uid);

/// Tombstones that one index has and the other has not, by mailbox, the
/// greatest ModSeq first.
fn other_tombstones(
    conn: &Connection,
    (from, without): (&str, &str),
) -> rusqlite::Result<Vec<Tombstone>> {
    let sql = format!(
        "SELECT mailbox, modseq, first, last FROM (SELECT * FROM {from}.vanished \
         EXCEPT SELECT * FROM {without}.vanished) ORDER BY mailbox, modseq DESC"
    );
    let mut query = conn.prepare(&sql)?;
    let rows = query.query_map([], |row| {
        let range = Uid::new(row.get(2)?).zip(Uid::new(row.get(3)?));
        let (first, last) = range.ok_or(rusqlite::Error::IntegralValueOutOfRange(2, 0))?;
        Ok((row.get(0)?, row.get(1)?, first, last))
    })?;
    rows.collect()
}

/// Old tombstones are made few without a record. So what the log says went away
/// must be covered, at its ModSeq or a greater one, and nothing that is there
/// may be.
fn tombstones(conn: &Connection, report: &mut CheckReport) -> rusqlite::Result<()> {
    let alive = "SELECT count(*) FROM main.vanished AS gone JOIN main.messages AS message \
         ON message.mailbox = gone.mailbox AND uid BETWEEN first AND last";
    let alive = conn.query_row(alive, [], |row| row.get(0))?;
    report.rows(alive, "vanished", "are about messages that are there");
    let mut index = other_tombstones(conn, ("main", "expected"))?
        .into_iter()
        .peekable();
    let (mut of, mut ranges, mut covered) = (None, Vec::new(), UidSet::EMPTY);
    let mut missing = 0;
    for (mailbox, modseq, first, last) in other_tombstones(conn, ("expected", "main"))? {
        if of != Some(mailbox) {
            (of, covered) = (Some(mailbox), UidSet::EMPTY);
            ranges.clear();
        }
        while index.next_if(|it| it.0 < mailbox).is_some() {}
        let before = ranges.len();
        while let Some(it) = index.next_if(|it| it.0 == mailbox && it.1 >= modseq) {
            ranges.push((it.2, it.3));
        }
        if ranges.len() > before {
            covered = UidSet::from_ranges(ranges.iter().copied());
        }
        if !covered.covers(first, last) {
            missing += 1;
        }
    }
    report.rows(missing, "vanished", IN_LOG);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_what_it_does_not_name() {
        let mut report = CheckReport::default();
        for n in 0..=MAX_NAMED {
            report.problem(n.to_string());
        }
        assert_eq!(
            (report.problems.len(), report.problem_count),
            (MAX_NAMED, 1_001)
        );
        assert!(!report.is_sound());
    }
}

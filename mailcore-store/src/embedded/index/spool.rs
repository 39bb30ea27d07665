//! Reading the queue's table.
//!
//! Kept copies may be many times what waits, so every question about what waits
//! is a range of an index that has its state first, or no copies at all.

use mailcore::queue::{EntryStateKind, Urgency};
use mailcore::seams::{LeaseLimit, SpoolCounts, SpoolOrder, SpoolQuery};
use mailcore::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{signed, unsigned};

/// A queue entry's row.
#[derive(Debug, Clone)]
pub(crate) struct SpoolRow {
    pub(crate) id: u128,
    pub(crate) body: u64,
    pub(crate) fixed: Vec<u8>,
    pub(crate) progress: Vec<u8>,
}

fn spool_row(row: &Row<'_>) -> rusqlite::Result<SpoolRow> {
    Ok(SpoolRow {
        id: id(row, 0)?,
        body: row.get(1).map(unsigned)?,
        fixed: row.get(2)?,
        progress: row.get(3)?,
    })
}

fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<u128> {
    row.get(at).map(u128::from_be_bytes)
}

/// Takes each urgency that entries of a state have, the highest first: what is
/// due is a range of the index only within one. The column is called after the
/// priority, the greater part of it.
fn each_urgency(
    conn: &Connection,
    state: EntryStateKind,
    mut take: impl FnMut(i8) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut query = conn.prepare_cached(
        "SELECT priority FROM spool WHERE state = ? AND priority < ? ORDER BY priority DESC LIMIT 1",
    )?;
    let mut below = i64::from(i8::MAX);
    while let Some(found) = query
        .query_row(params![state.number(), below], |row| row.get::<_, i8>(0))
        .optional()?
    {
        take(found)?;
        below = i64::from(found);
    }
    Ok(())
}

/// The ids of up to `limit` entries of a state due at `now`, without those
/// `passed` over: the urgent first, then those due longest.
pub(crate) fn due(
    conn: &Connection,
    state: EntryStateKind,
    (now, limit): (Timestamp, LeaseLimit),
    passed: &dyn Fn(u128) -> bool,
) -> rusqlite::Result<Vec<u128>> {
    let mut query = conn.prepare_cached(
        "SELECT id, due FROM spool WHERE state = ? AND priority = ? AND due <= ? ORDER BY due, id",
    )?;
    let mut found = Vec::new();
    each_urgency(conn, state, |value| {
        let urgency = Urgency::from_number(value);
        let mut room = limit.of(urgency);
        if room == 0 {
            return Ok(());
        }
        let mut rows = query.query(params![state.number(), value, now.millis()])?;
        while room > 0
            && let Some(row) = rows.next()?
        {
            let (id, due) = (id(row, 0)?, Timestamp::from_millis(row.get(1)?));
            if !passed(id) {
                found.push((urgency.rank(due), id, urgency));
                room -= 1;
            }
        }
        Ok(())
    })?;
    found.sort_unstable();
    let ranked = found.into_iter().map(|(_, id, urgency)| (urgency, id));
    Ok(limit.take(ranked.collect()))
}

/// Up to `limit` waiting entries that are due later than `after`.
pub(crate) fn due_after(
    conn: &Connection,
    after: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<u128>> {
    let state = EntryStateKind::Waiting;
    let mut query = conn.prepare_cached(
        "SELECT id FROM spool WHERE state = ? AND priority = ? AND due > ? ORDER BY due DESC LIMIT ?",
    )?;
    let mut found = Vec::new();
    each_urgency(conn, state, |priority| {
        let room = signed(limit.saturating_sub(found.len()) as u64);
        let mut rows = query.query(params![state.number(), priority, after.millis(), room])?;
        while let Some(row) = rows.next()? {
            found.push(id(row, 0)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// When the first waiting entry not `leased` is due.
pub(crate) fn next_due(
    conn: &Connection,
    leased: &dyn Fn(u128) -> bool,
) -> rusqlite::Result<Option<Timestamp>> {
    let state = EntryStateKind::Waiting;
    let mut query = conn.prepare_cached(
        "SELECT id, due FROM spool WHERE state = ? AND priority = ? ORDER BY due",
    )?;
    let mut first: Option<Timestamp> = None;
    each_urgency(conn, state, |priority| {
        let mut rows = query.query(params![state.number(), priority])?;
        while let Some(row) = rows.next()? {
            if !leased(id(row, 0)?) {
                let due = Timestamp::from_millis(row.get(1)?);
                first = Some(first.map_or(due, |first| first.min(due)));
                break;
            }
        }
        Ok(())
    })?;
    Ok(first)
}

pub(crate) fn entry(conn: &Connection, id: u128) -> rusqlite::Result<Option<SpoolRow>> {
    conn.prepare_cached("SELECT id, body, fixed, progress FROM spool WHERE id = ?")?
        .query_row([&id.to_be_bytes()[..]], spool_row)
        .optional()
}

/// Up to `limit` entries of the states that `query` takes, after `after`, by id.
pub(crate) fn page(
    conn: &Connection,
    query: &SpoolQuery,
    after: Option<u128>,
    limit: usize,
) -> rusqlite::Result<Vec<SpoolRow>> {
    let (question, state, start) = page_question(query);
    let after = after.map_or(start, |id| id.to_be_bytes().to_vec());
    conn.prepare_cached(&question)?
        .query_map(params![state, after, signed(limit as u64)], spool_row)?
        .collect()
}

/// The words of [`page`], the state to ask for in them, and what is before all
/// ids in the order asked for.
fn page_question(query: &SpoolQuery) -> (String, Option<u8>, Vec<u8>) {
    // The sign keeps SQLite from the index by state, which would sort all copies
    // for each page (sqlite.org/optoverview.html, "Manual Control").
    const APART: &str = "WHERE +state >= 3";
    const QUEUED: &str = "INDEXED BY spool_queued WHERE state < 3";
    let (from, state) = match query.state {
        Some(state) if !state.is_queued() => (APART, Some(state.number())),
        Some(state) => (QUEUED, Some(state.number())),
        None => (QUEUED, None),
    };
    let (beyond, direction, start) = match query.order {
        SpoolOrder::OldestFirst => (">", "ASC", Vec::new()),
        // Longer than any id, and so after all.
        SpoolOrder::NewestFirst => ("<", "DESC", vec![u8::MAX; 17]),
    };
    let question = format!(
        "SELECT id, body, fixed, progress FROM spool {from} AND +state = ifnull(?, state)
         AND id {beyond} ? ORDER BY id {direction} LIMIT ?"
    );
    (question, state, start)
}

pub(crate) fn counts(conn: &Connection) -> rusqlite::Result<SpoolCounts> {
    let mut counts = SpoolCounts::default();
    let mut query = conn.prepare_cached("SELECT state, count(*) FROM spool GROUP BY state")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(state) = EntryStateKind::from_number(row.get(0)?) {
            *counts.of(state) += row.get(1).map(unsigned)?;
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_is_sorted_however_many_copies_are_kept() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("schema.sql")).unwrap();
        for state in EntryStateKind::ALL.map(Some).into_iter().chain([None]) {
            for order in [SpoolOrder::OldestFirst, SpoolOrder::NewestFirst] {
                let mut query = SpoolQuery::default();
                (query.state, query.order) = (state, order);
                let (question, ..) = page_question(&query);
                let plan = format!("EXPLAIN QUERY PLAN {question}");
                let mut plan = conn.prepare(&plan).unwrap();
                let steps = plan.query_map(params![None::<u8>, [0u8; 16], 10], |row| row.get(3));
                let steps: Vec<String> = steps.unwrap().map(Result::unwrap).collect();
                assert!(steps.len() == 1 && steps[0].contains("(id"), "{steps:?}");
            }
        }
    }
}

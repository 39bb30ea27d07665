//! Which segments are worth rewriting, and which of their neighbours go along.

use std::collections::HashMap;

use mailcore::time::Timestamp;
use rusqlite::Connection;

use super::Compaction;
use crate::embedded::log::{Extent, Part, Place, SEGMENT_HEADER, SegmentFile, SegmentId};

/// Segments taken into one run, and how many times a segment's size they may
/// have together: bounds what one run has to remember.
const MAX_RUN: usize = 32;
const MAX_RUN_SIZES: u64 = 8;
/// A segment with less than this share of the usual size (one in so many) is
/// taken along by its neighbours.
const SMALL: u64 = 4;
/// Small ones that are worth being made one, whatever they hold.
const MANY_SMALL: usize = 4;
/// After so long a segment that was not worth it is looked at again: events and
/// deliveries have had their time.
const LOOK_AGAIN: i64 = 24 * 60 * 60 * 1_000;
/// So is one that has lost this share (one in so many) since.
const NOTABLE: u64 = 20;

/// A sealed segment and what is known of its octets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) part: Part,
    /// Octets of frames.
    pub(super) size: u64,
    /// Octets of bodies that something refers to.
    pub(super) live: u64,
    /// Octets of bodies that nothing refers to.
    dead: u64,
}

/// Neighbours to be made one file.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) members: Vec<Candidate>,
    /// The first segment of the log is among them.
    pub(super) is_prefix: bool,
    /// They are rewritten to be fewer, whatever is dead in them.
    pub(super) is_merge: bool,
}

impl Run {
    pub(super) fn size(&self) -> u64 {
        self.members.iter().map(|it| it.size).sum()
    }
}

/// Segments that turned out to be not worth it: octets of live bodies in them
/// then, and when.
pub(crate) type Refused = HashMap<SegmentFile, (u64, Timestamp)>;

/// What the survey goes by.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    pub(super) options: Compaction,
    pub(super) segment_size: u64,
    pub(super) refused: &'a Refused,
    pub(super) now: Timestamp,
}

/// Octets of bodies by segment: live and dead.
fn body_octets(conn: &Connection) -> rusqlite::Result<HashMap<SegmentId, (u64, u64)>> {
    let mut query = conn.prepare(
        "SELECT segment, sum(CASE WHEN refs > 0 THEN (length + 71) / 8 * 8 ELSE 0 END),
         sum(CASE WHEN refs > 0 THEN 0 ELSE (length + 71) / 8 * 8 END)
         FROM bodies WHERE segment > 0 GROUP BY segment",
    )?;
    let number = |row: &rusqlite::Row<'_>, at| row.get(at).map(|it: i64| it.cast_unsigned());
    query
        .query_map([], |row| {
            let octets = (number(row, 1)?, number(row, 2)?);
            Ok((SegmentId(number(row, 0)?), octets))
        })?
        .collect()
}

/// The sealed segments that the index has taken in for good, with `None`
/// wherever something is between two of them that cannot be rewritten.
pub(super) fn candidates(
    conn: &Connection,
    parts: &[Part],
    durable: Place,
) -> rusqlite::Result<Vec<Option<Candidate>>> {
    let octets = body_octets(conn)?;
    let mut found = Vec::with_capacity(parts.len());
    let mut before = SegmentId(0);
    for part in parts.iter().filter(|part| part.id() < durable.segment) {
        let follows = part.header.is_some_and(|it| it.previous == before);
        before = part.id();
        if !follows {
            found.push(None);
        }
        let Extent::Sealed(end) = part.extent else {
            found.push(None);
            continue;
        };
        let (live, dead) = octets.get(&part.id()).copied().unwrap_or_default();
        let size = end.saturating_sub(SEGMENT_HEADER);
        found.push(part.header.map(|_| Candidate {
            part: *part,
            size,
            live,
            dead,
        }));
    }
    Ok(found)
}

impl Terms<'_> {
    /// The octets that must be dead for a file of this size to be worth it.
    pub(super) fn share(&self, size: u64) -> u64 {
        size / 100 * u64::from(self.options.dead_share.min(100)).max(1)
    }

    fn is_small(&self, it: &Candidate) -> bool {
        it.size < self.segment_size / SMALL
    }

    /// Whether enough of it may be dead. What lies beside bodies is known only
    /// once it was read.
    fn is_worth_it(&self, it: &Candidate) -> bool {
        let may_be_dead = it.size.saturating_sub(it.live);
        let refused = self.refused.get(&it.part.file).is_some_and(|(live, at)| {
            let since = self.now.millis().saturating_sub(at.millis());
            since < LOOK_AGAIN && live.saturating_sub(it.live) < it.size / NOTABLE
        });
        may_be_dead > 0 && may_be_dead >= self.share(it.size) && !refused
    }

    /// About what is left of it: what lies beside bodies goes with them.
    fn left_of(&self, it: &Candidate) -> u64 {
        let beside = it.size.saturating_sub(it.live + it.dead);
        match it.live + it.dead {
            0 => beside,
            bodies => it.live + beside.saturating_mul(it.live) / bodies,
        }
    }

    /// Runs of neighbours, in the log's order.
    pub(super) fn runs(&self, candidates: &[Option<Candidate>]) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut members: Vec<Candidate> = Vec::new();
        let (mut left, mut size) = (0, 0);
        for candidate in candidates {
            let wanted = candidate.filter(|it| self.is_worth_it(it) || self.is_small(it));
            let fits = wanted.is_some_and(|it| {
                members.len() < MAX_RUN
                    && left + self.left_of(&it) <= self.segment_size
                    && size + it.size <= self.segment_size.saturating_mul(MAX_RUN_SIZES)
            });
            if !fits {
                runs.extend(self.run(std::mem::take(&mut members)));
                (left, size) = (0, 0);
            }
            if let Some(it) = wanted {
                left += self.left_of(&it);
                size += it.size;
                members.push(it);
            }
        }
        runs.extend(self.run(members));
        runs
    }

    fn run(&self, members: Vec<Candidate>) -> Option<Run> {
        let first = members.first()?.part.header?;
        let small = members.iter().filter(|it| self.is_small(it)).count();
        let size: u64 = members.iter().map(|it| it.size).sum();
        let is_merge = members.len() > 1
            && small == members.len()
            && (small >= MANY_SMALL || size >= self.segment_size / SMALL);
        let worth_it = members.iter().any(|it| self.is_worth_it(it));
        (worth_it || is_merge).then_some(Run {
            members,
            is_prefix: first.previous == SegmentId(0),
            is_merge,
        })
    }
}

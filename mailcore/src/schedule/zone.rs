//! Local time: a [`Zone`] says how far it is from UTC, and [`first_at`] turns
//! a local time into the moment at which clocks first show it.
//!
//! No time zones are known here; a host brings those it needs.

use std::fmt::Debug;

use crate::time::Timestamp;

/// Seconds around a local time within which its moment lies, whatever the zone.
const REACH: i64 = 26 * 60 * 60;

/// The clocks of one place.
pub trait Zone: Debug + Send + Sync {
    /// Seconds by which clocks there are ahead of UTC at that moment: positive
    /// east of Greenwich, within ±26 hours. Two changes of it are taken to be
    /// at least 52 hours apart; a schedule is off by the change where they are
    /// not.
    fn offset(&self, at: Timestamp) -> i32;
}

/// UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Utc;

impl Zone for Utc {
    fn offset(&self, _at: Timestamp) -> i32 {
        0
    }
}

/// What clocks show at a moment, in seconds since 1970-01-01 00:00 local time.
pub(super) fn local(at: Timestamp, zone: &dyn Zone) -> i64 {
    at.secs().saturating_add(i64::from(zone.offset(at)))
}

/// The first moment at which clocks show `local` or later: of a time that comes
/// twice the first, of one that is skipped the moment of the skip.
pub(super) fn first_at(local: i64, zone: &dyn Zone) -> Timestamp {
    let offset = |secs| i64::from(zone.offset(Timestamp::from_secs(secs)));
    let (mut before, mut after) = (local.saturating_sub(REACH), local.saturating_add(REACH));
    let (old, new) = (offset(before), offset(after));
    if old == new {
        return Timestamp::from_secs(local.saturating_sub(old));
    }
    // The change lies after `before` and not after `after`.
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if offset(middle) == old {
            before = middle;
        } else {
            after = middle;
        }
    }
    let by_old = local.saturating_sub(old);
    Timestamp::from_secs(if by_old < after {
        by_old
    } else {
        after.max(local.saturating_sub(new))
    })
}

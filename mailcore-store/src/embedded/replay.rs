//! Taking the log into the index: after a crash what the index lacks, into an
//! empty index everything.

use super::index::{Index, Origin};
use super::log::{Damage, Item, LogDirectory, LogError, Lsn, Place, Tail};
use super::record::Record;

/// Groups applied in one transaction of the index.
const GROUPS: u64 = 2_000;

/// How far to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// Groups up to this one are known to have been synced.
    pub(crate) vouched: Lsn,
    /// Groups from this one on are left out.
    pub(crate) until: Lsn,
}

impl Reach {
    /// To the log's end.
    pub(crate) fn all(vouched: Lsn) -> Self {
        Self {
            vouched,
            until: Lsn(u64::MAX),
        }
    }

    /// To the last group that was synced, whatever lies behind it.
    pub(crate) fn synced(last: Lsn) -> Self {
        Self {
            vouched: last,
            until: last.next(),
        }
    }
}

/// What [`catch_up`] found.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) tail: Tail,
    pub(crate) damage: Vec<Damage>,
    pub(crate) groups: u64,
}

/// Applies what the log holds beyond the index.
///
/// # Errors
/// [`LogError`]; the index keeps what was committed before.
pub(crate) fn catch_up(
    index: &mut Index,
    directory: &LogDirectory,
    reach: Reach,
) -> Result<Replayed, LogError> {
    let mut damage = Vec::new();
    let mut groups = 0u64;
    index.begin()?;
    let from = index.applied;
    let tail = directory.replay(from, reach.vouched, &mut |item| {
        let group = match item {
            Item::Damage(it) => {
                tracing::error!(damage = %it, "the log is damaged");
                damage.push(it);
                return Ok(());
            }
            Item::Group(group) if group.lsn >= reach.until => return Ok(()),
            Item::Group(group) => group,
        };
        let record = Record::decode(&group.record).map_err(|_| LogError::Record(group.lsn))?;
        let origin = Origin {
            lsn: group.lsn,
            file: group.file,
            bodies: &group.bodies,
            at: record.at,
        };
        for effect in &record.effects {
            index.apply(effect, origin)?;
        }
        index.applied = Place {
            segment: group.file.id,
            offset: group.end,
            next: group.lsn.next(),
        };
        groups += 1;
        if groups.is_multiple_of(GROUPS) {
            turn(index)?;
            index.begin()?;
        }
        Ok(())
    })?;
    let end = tail.place.next.min(reach.until);
    index.applied.next = index.applied.next.max(end);
    turn(index)?;
    index.deleted.clear();
    index.filed.clear();
    index.touched.clear();
    Ok(Replayed {
        tail,
        damage,
        groups,
    })
}

/// Reads what [`catch_up`] is going to read, to know before anything is written
/// that all of it can be.
///
/// # Errors
/// [`LogError`].
pub(crate) fn look_ahead(
    directory: &LogDirectory,
    from: Place,
    vouched: Lsn,
) -> Result<(), LogError> {
    directory
        .replay(from, vouched, &mut |item| match item {
            Item::Damage(_) => Ok(()),
            Item::Group(group) => match Record::decode(&group.record) {
                Ok(_) => Ok(()),
                Err(_) => Err(LogError::Record(group.lsn)),
            },
        })
        .map(drop)
}

fn turn(index: &mut Index) -> Result<(), LogError> {
    index.settle();
    index.commit()?;
    Ok(())
}

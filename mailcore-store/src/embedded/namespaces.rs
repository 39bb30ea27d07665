//! [`Namespaces`]: which namespaces of the state were ever written to, so that
//! asking for what nobody uses costs nothing. A list that is empty is asked for
//! every message.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use rusqlite::{Connection, params};

/// Only grows: one that has become empty is looked into in vain.
#[derive(Debug)]
pub(crate) struct Namespaces(RwLock<Known>);

#[derive(Debug)]
enum Known {
    /// These and no others.
    These(BTreeSet<Box<str>>),
    /// They could not be read: any may be.
    Nothing,
}

impl Namespaces {
    /// Those that the index has something in.
    pub(crate) fn read(conn: &Connection) -> Self {
        let known = match used(conn) {
            Ok(used) => Known::These(used),
            Err(error) => {
                tracing::warn!(%error, "the names of the state's parts can't be read");
                Known::Nothing
            }
        };
        Self(RwLock::new(known))
    }

    /// Notes one that is written to; before anybody is told that it was.
    pub(crate) fn note(&self, namespace: &str) {
        if self.may_hold(namespace) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Known::These(used) = &mut *known {
            used.insert(namespace.into());
        }
    }

    /// False when there is nothing in it.
    pub(crate) fn may_hold(&self, namespace: &str) -> bool {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Known::These(used) => used.contains(namespace),
            Known::Nothing => true,
        }
    }
}

/// Goes from one to the next by the table's key, however many rows each has.
fn used(conn: &Connection) -> rusqlite::Result<BTreeSet<Box<str>>> {
    let mut next = conn.prepare("SELECT min(namespace) FROM state WHERE namespace > ?")?;
    let mut last: Box<str> = "".into();
    // No name is less than the empty one: it is always looked into.
    let mut used = BTreeSet::from([last.clone()]);
    while let Some(namespace) =
        next.query_row(params![last], |row| row.get::<_, Option<Box<str>>>(0))?
    {
        last.clone_from(&namespace);
        used.insert(namespace);
    }
    Ok(used)
}

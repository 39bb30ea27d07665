//! What is known not to be there, for as long as its zone says (RFC 2308).
//!
//! hickory keeps no denial that it validated, and most hosts have no TLSA
//! records: without this each delivery would ask for them anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RecordType};

use crate::seams::DnssecStatus;
use crate::time::Monotonic;

/// Denials kept.
const MAX_KEPT: usize = 10_000;
/// RFC 2308 section 5 finds one to three hours sensible.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Denials by name and type.
#[derive(Debug, Default)]
pub(super) struct Denials {
    kept: Mutex<HashMap<(Name, RecordType), Denial>>,
}

#[derive(Debug, Clone, Copy)]
struct Denial {
    dnssec: DnssecStatus,
    until: Monotonic,
}

impl Denials {
    /// The status of a denial that still holds.
    pub(super) fn find(
        &self,
        name: &Name,
        kind: RecordType,
        now: Monotonic,
    ) -> Option<DnssecStatus> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let denial = kept.get(&(name.clone(), kind))?;
        (denial.until > now).then_some(denial.dnssec)
    }

    /// Keeps one for `ttl`.
    pub(super) fn keep(
        &self,
        key: (Name, RecordType),
        dnssec: DnssecStatus,
        ttl: Duration,
        now: Monotonic,
    ) {
        let until = now.after(ttl.min(LONGEST));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, denial| denial.until > now);
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, Denial { dnssec, until });
    }
}

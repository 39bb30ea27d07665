//! What of a response answers the question: the records at the end of the
//! chain of aliases, and how far they can be trusted.
//!
//! Records of other names are passed over, signed or not: a zone vouches for
//! its own names only.

use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RData, Record};

use super::{MAX_RECORDS, host};
use crate::seams::{Alias, DnssecStatus, Lookup};

/// Aliases followed from one name.
const MAX_ALIASES: usize = 8;

/// The records of `name` that `pick` knows, or `None` where there are none.
pub(super) fn read<T>(
    name: &Name,
    records: &[Record],
    pick: impl Fn(&RData) -> Option<T>,
) -> Option<Lookup<T>> {
    let chain = chain(name, records);
    let end = chain.last().map_or(name, |(_, target)| *target);
    let (mut found, mut ttl) = (Vec::new(), u32::MAX);
    let mut dnssec = DnssecStatus::Secure;
    for (alias, _) in &chain {
        ttl = ttl.min(alias.ttl);
        dnssec = dnssec.and(status(alias));
    }
    for record in records.iter().filter(|record| record.name == *end) {
        if let Some(value) = pick(&record.data).filter(|_| found.len() < MAX_RECORDS) {
            found.push(value);
            ttl = ttl.min(record.ttl);
            dnssec = dnssec.and(status(record));
        }
    }
    if found.is_empty() {
        return None;
    }
    let alias = chain.first().and_then(|(first, _)| {
        Some(Alias {
            target: host(end)?,
            dnssec: status(first),
        })
    });
    Some(Lookup {
        records: found,
        dnssec,
        ttl: Duration::from_secs(ttl.into()),
        alias,
    })
}

/// The CNAME records from `name` on, each with what it points to.
fn chain<'a>(name: &Name, records: &'a [Record]) -> Vec<(&'a Record, &'a Name)> {
    let mut chain: Vec<(&Record, &Name)> = Vec::new();
    while chain.len() < MAX_ALIASES {
        let current = chain.last().map_or(name, |(_, target)| *target);
        let next = records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *current => Some((record, &target.0)),
            _ => None,
        });
        match next {
            Some(next) => chain.push(next),
            None => break,
        }
    }
    chain
}

#[cfg(feature = "dnssec")]
fn status(record: &Record) -> DnssecStatus {
    if record.proof.is_secure() {
        DnssecStatus::Secure
    } else {
        DnssecStatus::Insecure
    }
}

#[cfg(not(feature = "dnssec"))]
fn status(_: &Record) -> DnssecStatus {
    DnssecStatus::Insecure
}

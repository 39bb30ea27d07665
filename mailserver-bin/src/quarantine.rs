//! The quarantine as the configuration wants it.

use std::sync::Arc;

use mailcore::quarantine::{Actor, QuarantineSeams, QuarantineStore, Section};
use mailcore::schedule::{JobError, JobRun};
use mailcore::seams::{OsEntropy, SystemClock};
use mailcore::server::Stores;
use mailcore::time::Timestamp;

use crate::config::{Config, QuarantineConfig};

/// The quarantine of these stores.
pub(crate) fn store(config: &Config, stores: &Stores) -> QuarantineStore {
    let clock = Arc::new(SystemClock::new());
    let seams = QuarantineSeams::of(stores, clock, Arc::new(OsEntropy));
    QuarantineStore::new(seams, config.hostname.clone()).schedule(config.schedule.clone())
}

/// Removes what is old, and what is too much.
pub(crate) async fn tend(
    store: &QuarantineStore,
    config: &QuarantineConfig,
    run: JobRun,
) -> Result<String, JobError> {
    let mut old = 0;
    if !config.keep.is_zero() {
        let keep = i64::try_from(config.keep.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(run.began.millis().saturating_sub(keep));
        let purged = store.purge(&Section::Everything, before, &Actor::Age);
        old = purged.await?.messages;
    }
    let over = store.trim(&config.limits).await?.messages;
    Ok(format!(
        "{old} old messages and {over} over the limits removed from quarantine"
    ))
}

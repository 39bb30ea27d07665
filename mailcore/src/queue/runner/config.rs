//! What a runner works with, and how.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::destinations::DestinationLimits;
use crate::address::Address;
use crate::queue::RetrySchedule;
use crate::seams::{Clock, Commit, DeliveryAgent, Entropy, Router, Spool};

/// What a runner works with.
#[derive(Debug, Clone)]
pub struct RunnerSeams {
    /// Where entries are leased.
    pub spool: Arc<dyn Spool>,
    /// Where they are settled.
    pub commit: Arc<dyn Commit>,
    /// Where recipients lead.
    pub router: Arc<dyn Router>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
    /// Who delivers, by the name that routes use; `mailbox` takes
    /// [`Route::Mailbox`](crate::seams::Route::Mailbox).
    pub agents: HashMap<Arc<str>, Arc<dyn DeliveryAgent>>,
}

/// How a runner works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunnerConfig {
    /// When deferred mail is tried again and given up.
    pub schedule: RetrySchedule,
    /// For how long a copy of an entry that is done with is kept; `None` for not
    /// at all.
    pub keep_delivered: Option<Duration>,
    /// For how long an entry that is bad waits for an operator.
    pub keep_bad: Duration,
    /// Who notices are from; `None` for `postmaster` at this server.
    pub notices_from: Option<Address>,
    /// Messages up to so many octets are given back whole in a notice, where
    /// their sender asked for that; of others the header (RFC 3461 section 6.2).
    pub returned_in_full: u64,
    /// Jobs that run at once. Retries to other hosts use three quarters of them
    /// at most, all jobs to other hosts nine tenths.
    pub max_jobs: usize,
    /// What one destination is given, and when one is left alone.
    pub destinations: DestinationLimits,
    /// Entries held at once; those above the running jobs wait for a slot. Of
    /// those tried before a quarter of this is held at most.
    pub max_leased: usize,
    /// How long an entry is held at most. An attempt ends after three quarters
    /// of it.
    pub lease_for: Duration,
    /// How long running attempts may go on when the server goes down.
    pub drain_for: Duration,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            schedule: RetrySchedule::default(),
            keep_delivered: None,
            keep_bad: Duration::from_secs(30 * 24 * 3_600),
            notices_from: None,
            returned_in_full: 48 * 1_024,
            max_jobs: 100,
            destinations: DestinationLimits::default(),
            max_leased: 1_000,
            lease_for: Duration::from_secs(3_600),
            drain_for: Duration::from_secs(30),
        }
    }
}

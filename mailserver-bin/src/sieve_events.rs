//! The site's scripts as a filter, with what they ask.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::seams::FilterSession;
use mailcore_filter::greylist::Greylist;
use mailcore_filter::pipeline::{Look, Test};
use mailcore_sieve::filter::{Greylisting, SieveFilter, SieveFilterSeams};

use crate::config::Config;
use crate::filters::TestSeams;

/// The filter; `None` where the site has no scripts for sessions.
pub(crate) fn filter(config: &Config, seams: &TestSeams<'_>) -> Option<SieveFilter> {
    let sieve = &config.sieve;
    if !sieve.on || sieve.events.is_empty() {
        return None;
    }
    let clock = || Arc::clone(&seams.clock);
    // The same memory as that of `[filter.greylist]`, whether or not that is on.
    let greylist = config.filter.greylist.clone().unwrap_or_default();
    let greylist = Greylist::new(Arc::clone(seams.state), clock(), greylist);
    let seams = SieveFilterSeams {
        resolver: Arc::clone(seams.resolver),
        clock: clock(),
        hostname: config.hostname.clone(),
    };
    let filter = SieveFilter::new(sieve.events.clone(), seams)
        .limits(sieve.settings.limits.clone())
        .greylisting(Arc::new(ByTest(greylist)));
    Some(filter)
}

/// Greylisting as the test `greylist` does it.
#[derive(Debug)]
struct ByTest(Greylist);

#[async_trait]
impl Greylisting for ByTest {
    async fn must_wait(&self, session: &FilterSession, from: &ReversePath, to: &Address) -> bool {
        let look = Look::at(session).from(from).to(to);
        !self.0.look(&look).await.is_empty()
    }
}

//! What mail goes by once it is filed: Sieve.

use std::sync::Arc;

use mailcore::seams::{Directory, OsEntropy, Resolver, Rules, SystemClock};
use mailcore::server::Stores;
use mailcore_sieve::host::{SieveRules, SieveSeams};

use crate::config::Config;

/// The rules of deliveries; `None` where the configuration turns them off.
pub(crate) fn rules(
    config: &Config,
    stores: &Stores,
    directory: &Arc<dyn Directory>,
    resolver: &Arc<dyn Resolver>,
) -> Option<Arc<dyn Rules>> {
    if !config.sieve.on {
        return None;
    }
    let mut seams = SieveSeams::new(
        Arc::clone(directory),
        Arc::clone(&stores.storage),
        Arc::clone(&stores.state),
        Arc::new(SystemClock::new()),
        Arc::new(OsEntropy),
    );
    seams.resolver = Some(Arc::clone(resolver));
    let mut settings = config.sieve.settings.clone();
    settings.zone = Arc::clone(&config.housekeeping.zone);
    let hostname = config.hostname.clone();
    let rules = SieveRules::new(hostname, seams, settings);
    Some(Arc::new(rules))
}

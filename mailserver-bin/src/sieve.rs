//! What mail goes by once it is filed: Sieve.

use std::sync::Arc;

use mailcore::seams::{Directory, OsEntropy, Resolver, SystemClock};
use mailcore::server::Stores;
use mailcore_imap::server::Imap;
use mailcore_sieve::host::{SieveRules, SieveSeams};

use crate::config::{Config, Protocol};

/// The port of ManageSieve (RFC 5804 section 1.8), which its URLs leave out.
const PORT: u16 = 4190;

/// The rules of deliveries; `None` where the configuration turns them off.
pub(crate) fn rules(
    config: &Config,
    stores: &Stores,
    directory: &Arc<dyn Directory>,
    resolver: &Arc<dyn Resolver>,
) -> Option<Arc<SieveRules>> {
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
    settings.script_server = script_server(config);
    let hostname = config.hostname.clone();
    let rules = SieveRules::new(hostname, seams, settings);
    Some(Arc::new(rules))
}

/// IMAP, with the scripts of mailboxes unless the configuration turns them off.
pub(crate) fn imap(config: &Config, rules: Option<&Arc<SieveRules>>) -> Imap {
    let imap = config.imap.clone();
    match rules.filter(|_| config.sieve.imap) {
        Some(rules) => imap.mailbox_rules(Arc::clone(rules) as _),
        None => imap,
    }
}

/// Where users keep their scripts, for clients of IMAP to find (RFC 6785 section
/// 2.1); nowhere without a listener for it.
fn script_server(config: &Config) -> Option<Arc<str>> {
    let mut listeners = config.listeners.iter();
    let listener = listeners.find(|it| it.protocol == Protocol::ManageSieve)?;
    let url = match listener.address.port() {
        0 | PORT => format!("sieve://{}", config.hostname),
        port => format!("sieve://{}:{port}", config.hostname),
    };
    Some(url.into())
}

//! As whose mail goes on from addresses here to other hosts.

use std::sync::Arc;

use mailcore::route::{SrsRouter, SrsSeams};
use mailcore::seams::{Directory, OsEntropy, Router, SystemClock};
use mailcore::server::Stores;
use mailcore_store::directory::mac;

use crate::config::{Config, ForwardedSender};

/// The routes of `router`, with senders of ours for mail that is sent on.
pub(crate) fn routes(
    config: &Config,
    stores: &Stores,
    directory: Arc<dyn Directory>,
    router: Arc<dyn Router>,
) -> Arc<dyn Router> {
    if config.forwarding.sender == ForwardedSender::Kept {
        return router;
    }
    let seams = SrsSeams {
        directory,
        state: Arc::clone(&stores.state),
        commit: Arc::clone(&stores.commit),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        mac,
    };
    let routes = SrsRouter::new(router, seams);
    Arc::new(match &config.forwarding.domain {
        Some(domain) => routes.with_domain(domain.clone()),
        None => routes,
    })
}

//! What serves lists, put together.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::deliver::list::{AuthorPolicies, ListSeams};
use mailcore::seams::{Directory, OsEntropy, Resolver, SystemClock};
use mailcore::server::Stores;
use mailcore_filter::sender_auth::dmarc::{Dmarc, DmarcPolicy, DmarcQuery, DmarcResult};

use crate::config::Config;

/// The name under which routes know the agent.
pub(crate) const AGENT: &str = "list";

/// What lists work with; without policies of authors' domains.
pub(crate) fn seams(config: &Config, stores: &Stores, directory: Arc<dyn Directory>) -> ListSeams {
    ListSeams {
        hostname: config.hostname.clone(),
        directory,
        state: Arc::clone(&stores.state),
        spool: Arc::clone(&stores.spool),
        commit: Arc::clone(&stores.commit),
        schedule: config.schedule.clone(),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        policies: None,
    }
}

/// What authors' domains publish.
#[derive(Debug)]
pub(crate) struct Published(Dmarc);

impl Published {
    pub(crate) fn new(resolver: &Arc<dyn Resolver>) -> Arc<Self> {
        let clock = Arc::new(SystemClock::new());
        Arc::new(Self(Dmarc::new(Arc::clone(resolver), clock)))
    }
}

#[async_trait]
impl AuthorPolicies for Published {
    async fn is_strict(&self, author: &Domain) -> bool {
        // Mail without any proof: what the domain asks for then is its policy.
        let author = [author.clone()];
        let query = DmarcQuery {
            from: &author,
            spf: None,
            dkim: &[],
            unanswered: &[],
        };
        let report = self.0.check(&query).await;
        match report.result {
            DmarcResult::None => false,
            DmarcResult::TempError => true,
            _ => report.published_policy() != DmarcPolicy::None,
        }
    }
}

//! What serves lists, put together.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::deliver::list::{AuthorPolicies, ListAgent, ListSeams};
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

/// The agent, which asks DNS for the policies of authors' domains.
pub(crate) fn agent(
    config: &Config,
    stores: &Stores,
    directory: &Arc<dyn Directory>,
    resolver: &Arc<dyn Resolver>,
) -> Arc<ListAgent> {
    let mut seams = seams(config, stores, Arc::clone(directory));
    let clock = Arc::new(SystemClock::new());
    let published = Published(Dmarc::new(Arc::clone(resolver), clock));
    seams.policies = Some(Arc::new(published));
    Arc::new(ListAgent::new(seams))
}

/// What authors' domains publish.
#[derive(Debug)]
struct Published(Dmarc);

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

//! Tests of the sending host and the sender's address, and the signs that senders
//! of ours leave with.

use std::sync::Arc;

use mailcore::route::KeyRingSeams;
use mailcore::seams::{DeliveryAgent, OsEntropy, RecipientCheck, Router, SystemClock};
use mailcore::server::Stores;
use mailcore_filter::batv::{Batv, BatvAgent, BatvCheck, BatvRouter};
use mailcore_filter::greylist::Greylist;
use mailcore_filter::pipeline::Test;
use mailcore_filter::sender::{
    Callback, CallbackSeams, HeloName, Iprev, SenderDomain, SenderId, Vbr,
};
use mailcore_smtp::client::RemoteAgent;
use mailcore_store::directory::mac;

use crate::config::Config;
use crate::filters::TestSeams;
use crate::outgoing;

/// What these tests are made from beside what all are.
#[derive(Debug, Default)]
pub(crate) struct SenderParts {
    /// Where a domain signs its senders.
    pub(crate) batv: Option<Arc<Batv>>,
    /// What asks hosts for addresses.
    pub(crate) check: Option<Arc<dyn RecipientCheck>>,
}

impl SenderParts {
    /// The signs, where the configuration asks for any, and the agent `smtp`.
    pub(crate) fn new(
        config: &Config,
        stores: &Stores,
        agents: &[(String, Arc<RemoteAgent>)],
    ) -> Self {
        let batv = config.filter.batv.as_ref().map(|batv| {
            let seams = KeyRingSeams {
                state: Arc::clone(&stores.state),
                commit: Arc::clone(&stores.commit),
                clock: Arc::new(SystemClock::new()),
                entropy: Arc::new(OsEntropy),
            };
            Batv::new(batv.clone(), seams, mac)
        });
        let own = agents.iter().find(|(name, _)| name == outgoing::AGENT);
        let check = own.map(|(_, agent)| Arc::clone(agent) as _);
        Self { batv, check }
    }

    /// The routes of `router`, and back from signed senders.
    pub(crate) fn routes(&self, router: Arc<dyn Router>) -> Arc<dyn Router> {
        match &self.batv {
            Some(batv) => Arc::new(BatvRouter::new(router, Arc::clone(batv))),
            None => router,
        }
    }

    /// The agent, under signed senders.
    pub(crate) fn agent(&self, agent: Arc<dyn DeliveryAgent>) -> Arc<dyn DeliveryAgent> {
        match &self.batv {
            Some(batv) => Arc::new(BatvAgent::new(agent, Arc::clone(batv))),
            None => agent,
        }
    }

    /// The tests that the configuration asks for.
    pub(crate) fn tests(&self, config: &Config, seams: &TestSeams<'_>) -> Vec<Arc<dyn Test>> {
        let mut tests: Vec<Arc<dyn Test>> = Vec::new();
        let filter = &config.filter;
        let resolver = || Arc::clone(seams.resolver);
        if filter.sender.iprev {
            tests.push(Arc::new(Iprev::new(resolver())));
        }
        if filter.sender.helo {
            tests.push(Arc::new(HeloName::new(resolver(), config.hostname.clone())));
        }
        if filter.sender.mx_check {
            let test = SenderDomain::new(resolver()).directory(Arc::clone(seams.directory));
            tests.push(Arc::new(test));
        }
        if let Some((callback, check)) = filter.callback.as_ref().zip(self.check.as_ref()) {
            let seams = CallbackSeams {
                check: Arc::clone(check),
                agent: outgoing::AGENT.into(),
                resolver: resolver(),
                directory: Arc::clone(seams.directory),
                state: Arc::clone(seams.state),
                clock: Arc::clone(&seams.clock),
            };
            tests.push(Arc::new(Callback::new(seams, callback.clone())));
        }
        if filter.sender.sender_id {
            let (clock, own) = (Arc::clone(&seams.clock), config.hostname.clone());
            tests.push(Arc::new(SenderId::new(resolver(), clock, own)));
        }
        if !filter.sender.vouchers.is_empty() {
            let vouchers = filter.sender.vouchers.iter().cloned();
            tests.push(Arc::new(Vbr::new(resolver(), vouchers)));
        }
        if let Some(batv) = &self.batv {
            tests.push(Arc::new(BatvCheck::new(Arc::clone(batv))));
        }
        if let Some(greylist) = &filter.greylist {
            let (state, clock) = (Arc::clone(seams.state), Arc::clone(&seams.clock));
            tests.push(Arc::new(Greylist::new(state, clock, greylist.clone())));
        }
        tests
    }
}

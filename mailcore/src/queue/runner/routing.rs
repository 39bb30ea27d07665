//! Where recipients lead and who delivers, which an operator may change while
//! the queue is worked on.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::QueueRunner;
use crate::seams::{DeliveryAgent, Router};

type Agents = HashMap<Arc<str>, Arc<dyn DeliveryAgent>>;

/// The router and the agents in force.
#[derive(Debug)]
pub(super) struct Routing(RwLock<(Arc<dyn Router>, Agents)>);

impl Routing {
    pub(super) fn new(router: Arc<dyn Router>, agents: Agents) -> Self {
        Self(RwLock::new((router, agents)))
    }

    pub(super) fn router(&self) -> Arc<dyn Router> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.0)
    }

    pub(super) fn agent(&self, name: &str) -> Option<Arc<dyn DeliveryAgent>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.1.get(name).cloned()
    }
}

impl QueueRunner {
    /// Goes on with another router and other agents: attempts that begin from
    /// now on use them, those under way end with what they began with.
    pub fn reroute(&self, router: Arc<dyn Router>, agents: Agents) {
        let mut current = (self.routing.0.write()).unwrap_or_else(PoisonError::into_inner);
        *current = (router, agents);
    }
}

//! [`Faults`]: a plan over every seam of a server in a test.

use std::sync::Arc;

use crate::seams::{Authenticator, DeliveryAgent, Directory, Filter};
use crate::server::Stores;
use crate::testing::faults::{
    FaultPlan, FaultyAgent, FaultyAuthenticator, FaultyCommit, FaultyDirectory, FaultyFilter,
    FaultyState,
};

/// The seams of a server by a [`FaultPlan`], to plan faults in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Faults {
    /// Durable writes.
    pub commit: Arc<FaultyCommit>,
    /// Small values.
    pub state: Arc<FaultyState>,
    /// Who is served.
    pub directory: Arc<FaultyDirectory>,
    /// Logins.
    pub authenticator: Arc<FaultyAuthenticator>,
    /// Mail to other hosts.
    pub agent: Arc<FaultyAgent>,
    /// The filters, in the order in which the builder was given them.
    pub filters: Vec<Arc<FaultyFilter>>,
}

/// What a server is made of, before and after the plan is put over it.
pub(super) struct Seams {
    pub(super) stores: Stores,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) authenticator: Arc<dyn Authenticator>,
    pub(super) agent: Arc<dyn DeliveryAgent>,
    pub(super) filters: Vec<Arc<dyn Filter>>,
}

impl Faults {
    pub(super) fn over(seams: &mut Seams, plan: &FaultPlan) -> Self {
        let filters = seams.filters.iter();
        let faults = Self {
            commit: plan.commit(Arc::clone(&seams.stores.commit)),
            state: plan.state(Arc::clone(&seams.stores.state)),
            directory: plan.directory(Arc::clone(&seams.directory)),
            authenticator: plan.authenticator(Arc::clone(&seams.authenticator)),
            agent: plan.agent(Arc::clone(&seams.agent)),
            filters: filters.map(|it| plan.filter(Arc::clone(it))).collect(),
        };
        seams.stores.commit = Arc::clone(&faults.commit) as _;
        seams.stores.state = Arc::clone(&faults.state) as _;
        seams.directory = Arc::clone(&faults.directory) as _;
        seams.authenticator = Arc::clone(&faults.authenticator) as _;
        seams.agent = Arc::clone(&faults.agent) as _;
        let filters = faults.filters.iter();
        seams.filters = filters.map(|it| Arc::clone(it) as _).collect();
        faults
    }
}

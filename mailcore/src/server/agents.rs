//! Agents that a builder makes when it knows the server's name and seams.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::StartError;
use crate::address::Domain;
use crate::seams::{Clock, DeliveryAgent, Dialer, Entropy, Resolver};

/// Becomes an agent once the seams are known: what a protocol crate's
/// configuration of its client implements. A reload makes a new one.
pub trait IntoAgent: fmt::Debug + Send {
    /// Makes the agent.
    ///
    /// # Errors
    /// [`StartError::Missing`] from [`AgentParts`], or what is wrong with the
    /// configuration.
    fn into_agent(
        self: Box<Self>,
        parts: &AgentParts,
    ) -> Result<Arc<dyn DeliveryAgent>, StartError>;
}

/// What an agent is made from.
#[derive(Debug)]
pub struct AgentParts {
    pub(super) hostname: Domain,
    pub(super) resolver: Option<Arc<dyn Resolver>>,
    pub(super) dialer: Arc<dyn Dialer>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl AgentParts {
    /// This server's name.
    pub fn hostname(&self) -> &Domain {
        &self.hostname
    }

    /// Names and mail hosts: the builder's, else, with the feature `dns`, those
    /// that the system's name servers know.
    ///
    /// # Errors
    /// [`StartError::Missing`] without either, [`StartError::Service`] when the
    /// system names no servers.
    pub fn resolver(&self) -> Result<Arc<dyn Resolver>, StartError> {
        match &self.resolver {
            Some(resolver) => Ok(Arc::clone(resolver)),
            None => system_resolver(),
        }
    }

    /// Outgoing connections.
    pub fn dialer(&self) -> Arc<dyn Dialer> {
        Arc::clone(&self.dialer)
    }

    /// Time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Chance.
    pub fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.entropy)
    }
}

#[cfg(feature = "dns")]
fn system_resolver() -> Result<Arc<dyn Resolver>, StartError> {
    match crate::net::HickoryResolver::from_system() {
        Ok(resolver) => Ok(Arc::new(resolver)),
        Err(error) => Err(StartError::Service {
            service: "mail to other hosts",
            reason: format!("{error}; give a resolver with Builder::resolver"),
        }),
    }
}

#[cfg(not(feature = "dns"))]
fn system_resolver() -> Result<Arc<dyn Resolver>, StartError> {
    Err(StartError::Missing {
        seam: "a resolver (or mailcore's feature `dns`, which brings the system's)",
        method: "resolver",
    })
}

/// All agents by the names that routes use.
pub(super) type Agents = HashMap<Arc<str>, Arc<dyn DeliveryAgent>>;

/// An agent, or what one is made of.
#[derive(Debug)]
pub(super) enum AgentSource {
    Made(Arc<dyn DeliveryAgent>),
    Config(Box<dyn IntoAgent>),
}

/// Makes what is to be made; each name is one agent's.
pub(super) fn made(
    sources: Vec<(Arc<str>, AgentSource)>,
    parts: &AgentParts,
) -> Result<Agents, StartError> {
    let mut agents = Agents::with_capacity(sources.len());
    for (name, source) in sources {
        let agent = match source {
            AgentSource::Made(agent) => agent,
            AgentSource::Config(config) => config.into_agent(parts)?,
        };
        add(&mut agents, name, agent)?;
    }
    Ok(agents)
}

/// Adds one under a name that is free.
pub(super) fn add(
    agents: &mut Agents,
    name: Arc<str>,
    agent: Arc<dyn DeliveryAgent>,
) -> Result<(), StartError> {
    match agents.insert(Arc::clone(&name), agent) {
        None => Ok(()),
        Some(_) => Err(StartError::AgentTwice {
            name: name.to_string(),
        }),
    }
}

#[cfg(all(test, not(feature = "dns")))]
mod tests {
    use super::*;
    use crate::seams::{OsEntropy, SystemClock, TcpDialer};

    #[test]
    fn who_has_no_resolver_is_told_of_both_ways_to_one() {
        let parts = AgentParts {
            hostname: "mx.a.test".parse().unwrap(),
            resolver: None,
            dialer: Arc::new(TcpDialer::default()),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        };
        let told = parts.resolver().unwrap_err().to_string();
        assert!(
            told.contains("Builder::resolver") && told.contains("`dns`"),
            "{told}"
        );
    }
}

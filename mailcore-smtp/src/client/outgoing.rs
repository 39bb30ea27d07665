//! [`Outgoing`]: mail to other hosts, as a server's builder takes it.

use std::fmt;
use std::sync::Arc;

use mailcore::seams::DeliveryAgent;
use mailcore::server::{AgentParts, IntoAgent, StartError};

use super::config::{HostSettings, RouteSettings};
use super::remote_agent::{RemoteAgent, RemoteAgentBuilder, RemoteSeams};

type Step = Box<dyn FnOnce(RemoteAgentBuilder) -> RemoteAgentBuilder + Send>;

/// Mail to other hosts: a [`RemoteAgent`] under the server's own name, over the
/// builder's resolver, dialer, clock and entropy.
///
/// ```
/// # use mailcore::server::{Builder, Server};
/// use mailcore_smtp::client::{Outgoing, RemoteConfig};
///
/// # fn set_up() -> Builder {
/// Server::builder("shop.example.com")
///     .outgoing(Outgoing::new().with(|agent| agent.config(RemoteConfig::default())))
/// # }
/// ```
#[derive(Default)]
pub struct Outgoing {
    steps: Vec<Step>,
}

impl Outgoing {
    /// As [`RemoteAgent::builder`] begins: without TLS until it is given.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes the agent as its own builder does: smart hosts, routes, TLS.
    #[must_use]
    pub fn with(
        mut self,
        step: impl FnOnce(RemoteAgentBuilder) -> RemoteAgentBuilder + Send + 'static,
    ) -> Self {
        self.steps.push(Box::new(step));
        self
    }

    /// Hands all mail to one host, that of a provider say, whatever the
    /// recipients' domains are. [`TlsPolicy::Verified`](super::TlsPolicy) takes
    /// the certificates to trust, by `RemoteAgentBuilder::verified_tls`.
    ///
    /// ```
    /// use mailcore::account::Secret;
    /// use mailcore_smtp::client::{HostSettings, Outgoing, TlsPolicy};
    ///
    /// # fn set_up() -> Result<Outgoing, Box<dyn std::error::Error>> {
    /// let provider = HostSettings::new("smtp.provider.example".parse()?, 587)
    ///     .tls(TlsPolicy::Verified)
    ///     .login("shop", Secret::new("from the provider"));
    /// # Ok(
    /// Outgoing::new().smart_host(provider)
    /// # )
    /// # }
    /// ```
    #[must_use]
    pub fn smart_host(self, host: HostSettings) -> Self {
        self.with(|agent| agent.every_route(RouteSettings::by([host])))
    }

    /// TLS with any certificate where a host offers it (RFC 7435), which is how
    /// mail goes between hosts that know nothing of one another.
    ///
    /// # Errors
    /// When the provider has no suites for TLS 1.2 or 1.3.
    #[cfg(feature = "tls")]
    pub fn tls(self, provider: Arc<rustls::crypto::CryptoProvider>) -> Result<Self, rustls::Error> {
        let config = super::opportunistic_config(provider)?;
        Ok(self.with(|agent| agent.tls(config)))
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

impl IntoAgent for Outgoing {
    fn into_agent(
        self: Box<Self>,
        parts: &AgentParts,
    ) -> Result<Arc<dyn DeliveryAgent>, StartError> {
        let seams = RemoteSeams {
            resolver: parts.resolver()?,
            dialer: parts.dialer(),
            clock: parts.clock(),
            entropy: parts.entropy(),
        };
        let agent = RemoteAgent::builder(parts.hostname().clone(), seams);
        let agent = self
            .steps
            .into_iter()
            .fold(agent, |agent, step| step(agent));
        Ok(agent.build())
    }
}

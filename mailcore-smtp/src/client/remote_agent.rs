//! [`RemoteAgent`]: the delivery agent for other hosts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::seams::{
    Clock, DeliveryAgent, DeliveryJob, Dialer, Entropy, NextHop, OsEntropy, Resolver, SystemClock,
    TcpDialer,
};
use mailcore::status::{Failure, Outcome};
use mailcore::time::Monotonic;

use super::config::{HostSettings, RemoteConfig, SessionConfig, TlsPolicy};
use super::connection::TlsConfigs;
use super::delivery::Delivery;
use super::pool::Pool;

/// Hops whose latest answer is remembered.
const MAX_REMEMBERED: usize = 10_000;

/// What the agent works with.
#[derive(Debug, Clone)]
pub struct RemoteSeams {
    /// Finds hosts.
    pub resolver: Arc<dyn Resolver>,
    /// Connects to them.
    pub dialer: Arc<dyn Dialer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for hosts of equal preference.
    pub entropy: Arc<dyn Entropy>,
}

impl RemoteSeams {
    /// The system's sockets, clock and randomness around `resolver`.
    pub fn system(resolver: Arc<dyn Resolver>) -> Self {
        Self {
            resolver,
            dialer: Arc::new(TcpDialer::default()),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        }
    }
}

/// Delivers to other hosts by SMTP.
///
/// Hosts are tried in the order of their MX records, addresses in that of DNS,
/// until each recipient is taken or refused. A recipient that a host refuses
/// for now is tried at the next one; after the end of the data was sent it is
/// not, since the host may have taken the message.
#[derive(Debug)]
pub struct RemoteAgent {
    pub(super) hostname: Domain,
    pub(super) seams: RemoteSeams,
    pub(super) config: RemoteConfig,
    pub(super) hosts: HashMap<(Domain, u16), HostSettings>,
    pub(super) tls: TlsConfigs,
    pub(super) pool: Arc<Pool>,
    memory: Mutex<HashMap<NextHop, Memory>>,
}

/// How a hop was found to be, and until when that is believed.
#[derive(Debug)]
struct Memory {
    /// `None` while it takes mail.
    failure: Option<Failure>,
    until: Monotonic,
}

/// Builds a [`RemoteAgent`].
#[derive(Debug)]
pub struct RemoteAgentBuilder {
    hostname: Domain,
    seams: RemoteSeams,
    config: RemoteConfig,
    hosts: HashMap<(Domain, u16), HostSettings>,
    pub(super) tls: TlsConfigs,
}

impl RemoteAgent {
    /// An agent that calls itself `hostname` in EHLO. Without more it sends in
    /// clear: TLS comes with the feature `tls` and the builder's `tls`.
    pub fn builder(hostname: Domain, seams: RemoteSeams) -> RemoteAgentBuilder {
        RemoteAgentBuilder {
            hostname,
            seams,
            config: RemoteConfig::default(),
            hosts: HashMap::new(),
            tls: TlsConfigs::default(),
        }
    }

    /// How to speak to a hop, and whether TLS may be tried.
    pub(super) fn session_config(&self, hop: &NextHop) -> SessionConfig {
        let hostname = self.hostname.to_ascii();
        let hostname = hostname.unwrap_or_else(|_| self.hostname.clone());
        let mut config = SessionConfig::new(hostname);
        config.timeouts = self.config.timeouts;
        let settings = match hop {
            NextHop::Host { host, port } => self.hosts.get(&(host.clone(), *port)),
            _ => None,
        };
        let policy = settings.map_or(self.config.tls, |settings| settings.tls);
        config.tls = self.tls.possible(policy);
        config.credentials = settings.and_then(|settings| settings.credentials.clone());
        config
    }

    fn suspended(&self, hop: &NextHop) -> Option<Failure> {
        let memory = self.memory();
        let known = memory.get(hop)?;
        let holds = known.until > self.seams.clock.monotonic();
        known.failure.clone().filter(|_| holds)
    }

    /// Remembers that the hop took mail.
    pub(super) fn served(&self, hop: &NextHop) {
        self.remember(hop, None);
    }

    /// Remembers that no connection could be made; but a hop that took mail
    /// just now is only busy.
    pub(super) fn suspend(&self, hop: &NextHop, failure: &Failure) {
        let now = self.seams.clock.monotonic();
        let busy = self
            .memory()
            .get(hop)
            .is_some_and(|known| known.failure.is_none() && known.until > now);
        if !busy {
            self.remember(hop, Some(failure.clone()));
        }
    }

    fn remember(&self, hop: &NextHop, failure: Option<Failure>) {
        let now = self.seams.clock.monotonic();
        let until = now.after(self.config.suspend_for);
        let mut memory = self.memory();
        if memory.len() >= MAX_REMEMBERED {
            memory.retain(|_, known| known.until > now);
        }
        if memory.len() < MAX_REMEMBERED || memory.contains_key(hop) {
            memory.insert(hop.clone(), Memory { failure, until });
        }
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<NextHop, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeliveryAgent for RemoteAgent {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        if let Some(failure) = self.suspended(&job.next_hop) {
            let outcome = Outcome::from_failure(failure);
            return vec![outcome; job.recipients.len()];
        }
        Delivery::new(self, &job).await.run().await
    }
}

impl RemoteAgentBuilder {
    /// Replaces the configuration.
    #[must_use]
    pub fn config(mut self, config: RemoteConfig) -> Self {
        self.config = config;
        self
    }

    /// Treats one host differently: a smart host with its login and TLS, an
    /// internal server in clear.
    #[must_use]
    pub fn host(mut self, settings: HostSettings) -> Self {
        let key = (settings.host.clone(), settings.port);
        self.hosts.insert(key, settings);
        self
    }

    /// TLS where the policy says [`TlsPolicy::Opportunistic`]: see
    /// [`opportunistic_config`](super::opportunistic_config).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, opportunistic: Arc<rustls::ClientConfig>) -> Self {
        self.tls.opportunistic = Some(opportunistic);
        self
    }

    /// TLS where the policy wants a valid certificate: see
    /// [`verified_config`](super::verified_config).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn verified_tls(mut self, verified: Arc<rustls::ClientConfig>) -> Self {
        self.tls.verified = Some(verified);
        self
    }

    /// The agent.
    pub fn build(self) -> Arc<RemoteAgent> {
        Arc::new(RemoteAgent {
            pool: Pool::new(self.config.pool, self.seams.clock.clone()),
            hostname: self.hostname,
            seams: self.seams,
            config: self.config,
            hosts: self.hosts,
            tls: self.tls,
            memory: Mutex::default(),
        })
    }
}

/// The same session without TLS: what is left when an opportunistic handshake
/// failed.
pub(super) fn in_clear(mut config: SessionConfig) -> SessionConfig {
    config.tls = TlsPolicy::Never;
    config
}

//! [`RemoteAgent`]: the delivery agent for other hosts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::seams::{
    Clock, DeliveryAgent, DeliveryJob, Dialer, Entropy, NextHop, OsEntropy, Resolver, Signer,
    SystemClock, TcpDialer,
};
use mailcore::status::{Failure, Outcome};
use mailcore::time::Monotonic;

use super::config::{
    HostSettings, Protocol, RemoteConfig, RouteSettings, SessionConfig, SourceAddress, TlsPolicy,
};
use super::connection::TlsConfigs;
use super::delivery::Delivery;
use super::in_time::InTime;
use super::pool::Pool;
use super::targets::{self, Target};

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
    hosts: HashMap<(Domain, u16), Arc<HostSettings>>,
    routes: HashMap<Arc<str>, Route>,
    every_route: Option<Route>,
    pub(super) tls: TlsConfigs,
    pub(super) signer: Option<Arc<dyn Signer>>,
    pub(super) pool: Arc<Pool>,
    memory: Mutex<HashMap<Way, Memory>>,
}

/// Where mail goes, and by which route: what connections are kept for, and what
/// is found dead.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Way {
    pub(super) agent: Arc<str>,
    pub(super) hop: NextHop,
}

impl Way {
    pub(super) fn of(job: &DeliveryJob) -> Self {
        Self {
            agent: Arc::clone(&job.agent),
            hop: job.next_hop.clone(),
        }
    }
}

/// A route's settings.
#[derive(Debug)]
struct Route {
    hosts: Vec<Arc<HostSettings>>,
    sources: Vec<SourceAddress>,
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
    hosts: HashMap<(Domain, u16), Arc<HostSettings>>,
    routes: HashMap<Arc<str>, Route>,
    every_route: Option<Route>,
    pub(super) tls: TlsConfigs,
    signer: Option<Arc<dyn Signer>>,
}

impl From<RouteSettings> for Route {
    fn from(settings: RouteSettings) -> Self {
        Self {
            hosts: settings.hosts.into_iter().map(Arc::new).collect(),
            sources: settings.sources,
        }
    }
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
            routes: HashMap::new(),
            every_route: None,
            tls: TlsConfigs::default(),
            signer: None,
        }
    }

    fn route(&self, way: &Way) -> Option<&Route> {
        self.routes.get(&way.agent).or(self.every_route.as_ref())
    }

    /// The resolver for one step of a delivery, from now on.
    pub(super) fn resolver(&self) -> InTime<'_> {
        let RemoteSeams {
            resolver, clock, ..
        } = &self.seams;
        InTime::new(
            resolver.as_ref(),
            clock.as_ref(),
            self.config.timeouts.lookup,
        )
    }

    /// Where to call for a job, in order.
    pub(super) async fn targets(&self, way: &Way) -> Result<Vec<Target>, Failure> {
        let resolver = &self.resolver();
        let route = self.route(way);
        if let Some(route) = route.filter(|route| !route.hosts.is_empty()) {
            return targets::of_route(&route.hosts, &self.config, resolver).await;
        }
        let entropy = self.seams.entropy.as_ref();
        let mut targets = targets::find(&way.hop, &self.config, resolver, entropy).await?;
        if let NextHop::Host { host, port } = &way.hop {
            let settings = self.hosts.get(&(host.clone(), *port));
            for target in &mut targets {
                target.settings = settings.cloned();
            }
        }
        Ok(targets)
    }

    /// The address to call `target` from; `None` for the system's choice.
    pub(super) fn source(&self, way: &Way, target: &Target) -> Option<&SourceAddress> {
        let of_route = self.route(way).map(|route| &route.sources);
        let sources = of_route.filter(|sources| !sources.is_empty());
        let mut sources = sources.unwrap_or(&self.config.sources).iter();
        sources.find(|source| source.ip.is_ipv4() == target.address.is_ipv4())
    }

    /// How to speak to a target, and whether TLS may be tried.
    pub(super) fn session_config(&self, way: &Way, target: &Target) -> SessionConfig {
        let source = self.source(way, target);
        let name = source.and_then(|source| source.name.as_ref());
        let name = name.unwrap_or(&self.hostname);
        let mut config = SessionConfig::new(name.to_ascii().unwrap_or_else(|_| name.clone()));
        config.timeouts = self.config.timeouts;
        config.chunking = self.config.chunking;
        let settings = target.settings.as_deref();
        let policy = settings.map_or(self.config.tls, |settings| settings.tls);
        config.tls = self.tls.possible(policy);
        config.protocol = settings.map_or(Protocol::Smtp, |settings| settings.protocol);
        config.entropy = Arc::clone(&self.seams.entropy);
        config.credentials = settings.and_then(|settings| settings.credentials.clone());
        config
    }

    pub(super) fn suspended(&self, way: &Way) -> Option<Failure> {
        let memory = self.memory();
        let known = memory.get(way)?;
        let holds = known.until > self.seams.clock.monotonic();
        known.failure.clone().filter(|_| holds)
    }

    /// Remembers that the hop took mail.
    pub(super) fn served(&self, way: &Way) {
        self.remember(way, None);
    }

    /// Remembers that no connection could be made; but a hop that took mail
    /// just now is only busy.
    pub(super) fn suspend(&self, way: &Way, failure: &Failure) {
        let now = self.seams.clock.monotonic();
        let busy = self
            .memory()
            .get(way)
            .is_some_and(|known| known.failure.is_none() && known.until > now);
        if !busy {
            let at = failure.at.or(Some(self.seams.clock.now()));
            let failure = Failure {
                at,
                ..failure.clone()
            };
            self.remember(way, Some(failure));
        }
    }

    fn remember(&self, way: &Way, failure: Option<Failure>) {
        let now = self.seams.clock.monotonic();
        let until = now.after(self.config.suspend_for);
        let mut memory = self.memory();
        if memory.len() >= MAX_REMEMBERED {
            memory.retain(|_, known| known.until > now);
        }
        if memory.len() < MAX_REMEMBERED || memory.contains_key(way) {
            memory.insert(way.clone(), Memory { failure, until });
        }
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<Way, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeliveryAgent for RemoteAgent {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        if let Some(failure) = self.suspended(&Way::of(&job)) {
            job.transcript.note("not called again so soon");
            let outcome = Outcome::Unreachable(failure);
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
        self.hosts.insert(key, Arc::new(settings));
        self
    }

    /// Has the agent deliver by other hosts, or from other addresses, what
    /// reaches it under the name `agent`: it is to be registered under that
    /// name too.
    #[must_use]
    pub fn route(mut self, agent: impl Into<Arc<str>>, settings: RouteSettings) -> Self {
        self.routes.insert(agent.into(), settings.into());
        self
    }

    /// The same for whatever reaches it under any other name.
    #[must_use]
    pub fn every_route(mut self, settings: RouteSettings) -> Self {
        self.every_route = Some(settings.into());
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

    /// Has every message signed as it is sent. Without, mail leaves unsigned.
    #[must_use]
    pub fn signer(mut self, signer: Arc<dyn Signer>) -> Self {
        self.signer = Some(signer);
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
            routes: self.routes,
            every_route: self.every_route,
            tls: self.tls,
            signer: self.signer,
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

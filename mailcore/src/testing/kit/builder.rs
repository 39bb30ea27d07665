//! [`MemoryServerBuilder`]: what a server in a test is made of.

use std::fmt;
use std::sync::Arc;

use super::accounts::{Accounts, Setup, Unknown};
use super::capture::Capture;
use super::error::KitError;
use super::faults::{Faults, Seams};
use super::inside::Inside;
use super::ledger::Ledger;
use super::server::{Kit, MemoryServer};
use super::witness::{SeenCommit, SeenFilter};
use crate::account::Secret;
use crate::address::{Address, Domain};
use crate::event::RecorderConfig;
use crate::sasl::{InClear, Mechanism};
use crate::seams::{
    Clock, Commit, Entropy, Filter, OsEntropy, Outbox, Spool, State, Storage, SystemClock,
};
use crate::server::{Builder, IntoService, Server, Stores};
use crate::testing::faults::FaultPlan;
use crate::testing::{SeededEntropy, VirtualClock};

/// Refusals that are kept: all that a test may cause.
const REFUSALS: usize = 100_000;

type MakeStores = Box<dyn FnOnce(Arc<dyn Clock>, Arc<dyn Entropy>) -> Stores + Send>;
type Change = Box<dyn FnOnce(Builder) -> Builder + Send>;

/// Takes the parts of a [`MemoryServer`]. Order does not matter.
#[must_use]
pub struct MemoryServerBuilder {
    hostname: String,
    domains: Vec<String>,
    accounts: Vec<(String, Option<Secret>)>,
    setup: Setup,
    stores: Option<MakeStores>,
    filters: Vec<Arc<dyn Filter>>,
    changes: Vec<Change>,
    time: Time,
    entropy: Option<Arc<dyn Entropy>>,
    faults: Option<FaultPlan>,
}

/// Whose time a server lives in.
#[derive(Debug, Clone)]
pub(super) enum Time {
    Real(Arc<dyn Clock>),
    Virtual(VirtualClock),
}

impl Time {
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Real(clock) => Arc::clone(clock),
            Self::Virtual(clock) => Arc::new(clock.clone()),
        }
    }
}

impl MemoryServerBuilder {
    pub(super) fn new(domain: &str) -> Self {
        Self {
            hostname: format!("mail.{domain}"),
            domains: vec![domain.to_owned()],
            accounts: Vec::new(),
            setup: Setup::default(),
            stores: None,
            filters: Vec::new(),
            changes: Vec::new(),
            time: Time::Real(Arc::new(SystemClock::new())),
            entropy: None,
            faults: None,
        }
    }

    /// Where mail is kept: `MemoryStore::with`, or whatever makes a store of the
    /// server's clock and chance.
    pub fn stores<S, F>(mut self, make: F) -> Self
    where
        S: Storage + Commit + Spool + State + Outbox + 'static,
        F: FnOnce(Arc<dyn Clock>, Arc<dyn Entropy>) -> S + Send + 'static,
    {
        self.stores = Some(Box::new(move |clock, entropy| {
            Arc::new(make(clock, entropy)).into()
        }));
        self
    }

    /// A store that is there already, in the server's time if that is virtual.
    pub fn existing_stores(mut self, stores: impl Into<Stores>) -> Self {
        let stores = stores.into();
        self.stores = Some(Box::new(move |_, _| stores));
        self
    }

    /// Serves within the process.
    pub fn serve(self, service: impl IntoService + 'static) -> Self {
        self.with(move |server| server.serve(service))
    }

    /// Serves on `address`, `127.0.0.1:0` say, for clients that take no stream.
    /// Passwords may pass without TLS; STARTTLS is offered where there is TLS.
    pub fn listen(self, address: impl Into<String>, service: impl IntoService + 'static) -> Self {
        let address = address.into();
        self.with(move |server| server.listen(address, Inside(Box::new(service))))
    }

    /// TLS for all listeners.
    #[cfg(feature = "tls")]
    pub fn tls(self, config: Arc<rustls::ServerConfig>) -> Self {
        self.with(move |server| server.tls(config))
    }

    /// Serves on `address` within TLS from the first octet.
    #[cfg(feature = "tls")]
    pub fn listen_tls(
        self,
        address: impl Into<String>,
        service: impl IntoService + 'static,
    ) -> Self {
        let address = address.into();
        self.with(move |server| server.listen_tls(address, service))
    }

    /// One more filter; what it says is part of the evidence.
    pub fn filter(mut self, filter: Arc<dyn Filter>) -> Self {
        self.filters.push(filter);
        self
    }

    /// The server's name, in place of `mail.` and the domain.
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = hostname.into();
        self
    }

    /// One more domain that is served here.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domains.push(domain.into());
        self
    }

    /// An account with a password of its own: no other one logs it in.
    pub fn account(mut self, address: &str, password: &str) -> Self {
        let password = Some(Secret::new(password));
        self.accounts.push((address.to_owned(), password));
        self
    }

    /// Everybody's password, where an account has none of its own. With the
    /// feature `sasl` SCRAM and CRAM-MD5 are offered from then on.
    pub fn password(mut self, password: &str) -> Self {
        self.setup.password = Some(Secret::new(password));
        self
    }

    /// What becomes of addresses and logins that nobody set up.
    pub fn unknown(mut self, unknown: Unknown) -> Self {
        self.setup.unknown = unknown;
        self
    }

    /// Time stands still, and moves while mail is waited for: a day of retries
    /// takes no time. For tests on one thread, over a store that waits for
    /// nothing but the clock, without ports.
    pub fn virtual_time(self) -> Self {
        self.clock(VirtualClock::new())
    }

    /// The same with a clock that others live by, too.
    pub fn clock(mut self, clock: VirtualClock) -> Self {
        self.time = Time::Virtual(clock);
        self
    }

    /// Chance that repeats.
    pub fn seed(mut self, seed: u64) -> Self {
        self.entropy = Some(Arc::new(SeededEntropy::new(seed)));
        self
    }

    /// The plan's time and chance, and its faults over every seam of the server:
    /// [`MemoryServer::faults`] puts them in.
    pub fn faults(mut self, plan: &FaultPlan) -> Self {
        self.time = Time::Virtual(plan.clock().clone());
        self.entropy = Some(plan.entropy());
        self.faults = Some(plan.clone());
        self
    }

    /// Whatever else a server can have: agents, rules, limits, jobs.
    pub fn with(mut self, change: impl FnOnce(Builder) -> Builder + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// [`KitError::Address`], [`KitError::NoStore`], [`KitError::Start`].
    pub async fn start(mut self) -> Result<MemoryServer, KitError> {
        let setup = self.setup()?;
        let clock = self.time.clock();
        let entropy = self.entropy.take().unwrap_or_else(|| Arc::new(OsEntropy));
        let make = self.stores.take().ok_or(KitError::NoStore)?;
        let mechanisms = mechanisms(&setup);
        let ledger = Arc::new(Ledger::default());
        let accounts = Accounts::new(setup);
        let capture = Capture::new(Arc::clone(&ledger), Arc::clone(&clock));
        let mut seams = Seams {
            stores: make(Arc::clone(&clock), Arc::clone(&entropy)),
            directory: Arc::clone(&accounts) as _,
            authenticator: Arc::clone(&accounts) as _,
            agent: Arc::clone(&capture) as _,
            filters: self.filters,
        };
        let kit = Kit {
            ledger: Arc::clone(&ledger),
            stores: seams.stores.clone(),
            time: self.time,
            faults: self.faults.map(|plan| Faults::over(&mut seams, &plan)),
            accounts,
            capture,
        };
        seams.stores.commit = Arc::new(SeenCommit {
            inner: seams.stores.commit,
            ledger: Arc::clone(&ledger),
            clock: Arc::clone(&clock),
        });
        let mut server = Server::builder(self.hostname)
            .stores(seams.stores)
            .directory(seams.directory)
            .authenticator(seams.authenticator)
            .mechanisms(mechanisms, InClear::Challenges)
            .agent("smtp", Arc::clone(&seams.agent))
            .agent("lmtp", seams.agent)
            .recorder(telling())
            .clock(clock)
            .entropy(entropy);
        for inner in seams.filters {
            let ledger = Arc::clone(&ledger);
            server = server.filter(Arc::new(SeenFilter { inner, ledger }));
        }
        for change in self.changes {
            server = change(server);
        }
        let running = server.start().await?;
        Ok(MemoryServer::new(running, kit))
    }

    /// Starts it on a thread and a runtime of its own, for a `static` that all
    /// tests of a binary share, each in a [`Scope`](super::Scope) of its own: the
    /// runtime of a single test ends with that test. Not for virtual time, which
    /// tests can't share.
    ///
    /// # Errors
    /// As for [`start`](Self::start), and [`KitError::Broken`] when the system
    /// gives no thread.
    pub fn start_shared(self) -> Result<MemoryServer, KitError> {
        let (sender, started) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new().name("test server".to_owned());
        thread.spawn(move || {
            runtime.block_on(async {
                // Whoever asked waits for it.
                let _ = sender.send(self.start().await);
                std::future::pending::<()>().await;
            });
        })?;
        let gone = |_| std::io::Error::other("the test server's thread has ended");
        started.recv().map_err(gone)?
    }

    fn setup(&mut self) -> Result<Setup, KitError> {
        let mut setup = std::mem::take(&mut self.setup);
        for text in &self.domains {
            let domain = Domain::parse(text).map_err(|source| KitError::Address {
                text: text.clone(),
                source,
            })?;
            setup.domains.push(domain);
        }
        for (text, password) in self.accounts.drain(..) {
            let address = Address::parse(&text);
            let address = address.map_err(|source| KitError::Address { text, source })?;
            setup.accounts.push((address, password));
        }
        Ok(setup)
    }
}

impl fmt::Debug for MemoryServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryServerBuilder")
            .field("hostname", &self.hostname)
            .field("domains", &self.domains)
            .finish_non_exhaustive()
    }
}

/// What is announced follows from what the accounts can be proved by.
fn mechanisms(setup: &Setup) -> Vec<Mechanism> {
    let mut mechanisms = Mechanism::USUAL.to_vec();
    if setup.password.is_some() {
        mechanisms.push(Mechanism::CramMd5);
    }
    mechanisms
}

/// Refusals are told of at once, one by one.
fn telling() -> RecorderConfig {
    RecorderConfig {
        gather: std::time::Duration::ZERO,
        refusals: REFUSALS,
        refusals_per_peer: REFUSALS,
        ..RecorderConfig::default()
    }
}

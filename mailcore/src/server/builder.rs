//! The builder: takes the seams, checks them, starts the server.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use super::handle::{Door, ListenerKind, ServiceHandle};
use super::running::Services;
use super::tail::{Journaling, Tails};
use super::{Holds, IntoService, Parts, RunningServer, StartError, Stores};
use crate::abuse::{AbuseConfig, Keeper, Limiter, LimiterSeams, ScreenedLogins};
use crate::access::AccessRules;
use crate::address::{Address, Domain};
use crate::deliver::MailboxAgent;
use crate::event::{FollowerConfig, Recorder, RecorderConfig, RecorderTask};
use crate::intake::{
    Callout, CalloutConfig, HookAgent, HookError, HookRouter, Intake, IntakeParts, IntakePolicy,
    ReceivedMail, Subjects,
};
use crate::limits::Limits;
use crate::net::{Gate, Network, ShutdownSwitch};
use crate::queue::{QueueRunner, RetrySchedule, RunnerConfig, RunnerSeams};
use crate::route::{DirectoryRouter, SuppressionList, SuppressionRouter};
use crate::sasl::{InClear, Mechanism};
use crate::schedule::{Job, JobMemory, Scheduler, SchedulerConfig, SchedulerSeams};
use crate::seams::{
    Authenticator, Clock, DeliveryAgent, Directory, DirectoryWrite, Entropy, Filter, Journal,
    OsEntropy, RecipientCheck, Router, Rules, SystemClock,
};

/// The name under which mailboxes are an agent of the queue.
const MAILBOX_AGENT: &str = "mailbox";

/// Octets that a closure's message may have over the size limit: the fields
/// that this server puts before it.
const HEADER_ROOM: u64 = 16 * 1024;

/// A mail server.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Begins a server of this name: a fully qualified host name, the one that
    /// MX records point to.
    pub fn builder(hostname: impl Into<String>) -> Builder {
        Builder {
            hostname: hostname.into(),
            stores: None,
            directory: None,
            authenticator: None,
            mechanisms: Mechanism::USUAL.to_vec(),
            in_clear: InClear::default(),
            router: None,
            suppression: None,
            agents: HashMap::new(),
            hooks: Vec::new(),
            filters: Vec::new(),
            recipient_check: None,
            callout: CalloutConfig::default(),
            rules: None,
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
            schedule: RetrySchedule::default(),
            keep_delivered: None,
            runner: RunnerConfig::default(),
            limits: Limits::default(),
            abuse: AbuseConfig::default(),
            account_closer: None,
            journal: None,
            follower: FollowerConfig::default(),
            recorder: RecorderConfig::default(),
            subjects: Subjects::default(),
            policy: IntakePolicy::default(),
            #[cfg(feature = "tls")]
            tls: None,
            services: Vec::new(),
            jobs: Vec::new(),
            scheduler: SchedulerConfig::default(),
        }
    }
}

/// Takes a server's parts. Order does not matter.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    hostname: String,
    stores: Option<Stores>,
    directory: Option<Arc<dyn Directory>>,
    authenticator: Option<Arc<dyn Authenticator>>,
    mechanisms: Vec<Mechanism>,
    in_clear: InClear,
    router: Option<Arc<dyn Router>>,
    suppression: Option<SuppressionList>,
    agents: Agents,
    hooks: Vec<(String, HookAgent)>,
    filters: Vec<Arc<dyn Filter>>,
    recipient_check: Option<Arc<dyn RecipientCheck>>,
    callout: CalloutConfig,
    rules: Option<Arc<dyn Rules>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    schedule: RetrySchedule,
    keep_delivered: Option<Duration>,
    runner: RunnerConfig,
    limits: Limits,
    abuse: AbuseConfig,
    account_closer: Option<Arc<dyn DirectoryWrite>>,
    journal: Option<Arc<dyn Journal>>,
    follower: FollowerConfig,
    recorder: RecorderConfig,
    subjects: Subjects,
    policy: IntakePolicy,
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ServerConfig>>,
    services: Vec<Spec>,
    jobs: Vec<Job>,
    scheduler: SchedulerConfig,
}

#[derive(Debug)]
struct Spec {
    address: Option<String>,
    kind: ListenerKind,
    proxies: Vec<Network>,
    access: AccessRules,
    /// In place of the builder's.
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ServerConfig>>,
    service: Box<dyn IntoService>,
}

impl Builder {
    /// Where mail is kept: without one, only closures receive.
    pub fn stores(mut self, stores: impl Into<Stores>) -> Self {
        self.stores = Some(stores.into());
        self
    }

    /// Who is served here.
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Who is who.
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// The mechanisms by which users log in, announced in this order, and which
    /// of them may be used without TLS. What the authenticator can't serve is
    /// not announced. Unless told otherwise [`Mechanism::USUAL`], within TLS.
    pub fn mechanisms(
        mut self,
        mechanisms: impl IntoIterator<Item = Mechanism>,
        in_clear: InClear,
    ) -> Self {
        self.mechanisms = mechanisms.into_iter().collect();
        self.in_clear = in_clear;
        self
    }

    /// Where mail goes; without one, the directory says.
    pub fn router(mut self, router: Arc<dyn Router>) -> Self {
        self.router = Some(router);
        self
    }

    /// Sends nothing to those on this list, whatever the router says. Without
    /// one, no list is looked at.
    pub fn suppression(mut self, list: SuppressionList) -> Self {
        self.suppression = Some(list);
        self
    }

    /// An agent under the name that routes use; `smtp` reaches other hosts.
    pub fn agent(mut self, name: &str, agent: Arc<dyn DeliveryAgent>) -> Self {
        self.agents.insert(name.into(), agent);
        self
    }

    /// Hands mail for `address` to a closure. The sender is told that it
    /// arrived when the closure has returned `Ok`.
    pub fn deliver_to<F, T>(mut self, address: impl Into<String>, call: F) -> Self
    where
        F: Fn(ReceivedMail) -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        // The limit is set when all limits are known.
        let agent = HookAgent::new(0, call);
        self.hooks.push((address.into(), agent));
        self
    }

    /// One more filter, asked after those before it.
    pub fn filter(mut self, filter: Arc<dyn Filter>) -> Self {
        self.filters.push(filter);
        self
    }

    /// What is decided about mail on its way in: who is trusted, what
    /// submitted mail must look like.
    pub fn intake_policy(mut self, policy: IntakePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Asks the hosts of relayed domains for recipients, where a domain's rules
    /// say so ([`keys::CALLOUT`](crate::route::keys::CALLOUT)): the agent that
    /// takes the mail there. Needs stores, which keep what was said.
    pub fn recipient_check(mut self, check: Arc<dyn RecipientCheck>) -> Self {
        self.recipient_check = Some(check);
        self
    }

    /// How long what hosts say of recipients is believed, and how many are asked
    /// at a time.
    pub fn callout(mut self, config: CalloutConfig) -> Self {
        self.callout = config;
        self
    }

    /// The recipients' own rules.
    pub fn rules(mut self, rules: Arc<dyn Rules>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// Another clock: a test's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of chance: a test's.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// When queued mail is tried again.
    pub fn retry_schedule(mut self, schedule: RetrySchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// For how long a copy of delivered mail is kept, with what became of each
    /// recipient; `None`, the default, for not at all. Remove those whose time
    /// is over now and then: [`remove_outlived`](crate::queue::remove_outlived).
    pub fn keep_delivered(mut self, keep_for: Option<Duration>) -> Self {
        self.keep_delivered = keep_for;
        self
    }

    /// How the queue works: what a destination is given, how much is in hand,
    /// what notices are like. When mail is tried again and for how long copies
    /// are kept is [`Builder::retry_schedule`]'s and
    /// [`Builder::keep_delivered`]'s, deliveries at a time and the time to end
    /// them are [`Limits`]', whatever is set here.
    pub fn runner(mut self, config: RunnerConfig) -> Self {
        self.runner = config;
        self
    }

    /// Work to be done at set times, as long as the server runs. With stores,
    /// what ran when outlives a restart. [`RunningServer::scheduler`] takes
    /// more jobs: those that need the running server.
    pub fn job(mut self, job: Job) -> Self {
        self.jobs.push(job);
        self
    }

    /// In whose time jobs run, and how many. How long a run may go on at
    /// shutdown is [`Limits::drain`], whatever is set here.
    pub fn scheduler(mut self, config: SchedulerConfig) -> Self {
        self.scheduler = config;
        self
    }

    /// Limits of the whole server.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is too often, for strangers and for users, and what is done then.
    /// Guesses of passwords are counted by default. With stores, bans outlive a
    /// restart.
    pub fn abuse(mut self, config: AbuseConfig) -> Self {
        self.abuse = config;
        self
    }

    /// Closes accounts, where a rule of [`Builder::abuse`] asks for it
    /// ([`Consequence::CloseAccount`](crate::abuse::Consequence)).
    pub fn account_closer(mut self, directory: Arc<dyn DirectoryWrite>) -> Self {
        self.account_closer = Some(directory);
        self
    }

    /// Keeps the store's events in a journal, too, for people to ask.
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// How the journal is fed.
    pub fn follower(mut self, config: FollowerConfig) -> Self {
        self.follower = config;
        self
    }

    /// How events that belong to no mail are gathered, and how many refusals are
    /// told of one by one.
    pub fn recorder(mut self, config: RecorderConfig) -> Self {
        self.recorder = config;
        self
    }

    /// Whether events tell the subjects of messages.
    pub fn subjects(mut self, subjects: Subjects) -> Self {
        self.subjects = subjects;
        self
    }

    /// TLS for all listeners: plain ones offer STARTTLS from then on.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Serves on `address`, `host:port`; port 0 takes a free one. STARTTLS is
    /// offered when the builder has TLS.
    pub fn listen(self, address: impl Into<String>, service: impl IntoService + 'static) -> Self {
        self.add(Some(address.into()), ListenerKind::Plain, service)
    }

    /// Serves on `address` without offering STARTTLS, whatever TLS there is.
    pub fn listen_plain(
        self,
        address: impl Into<String>,
        service: impl IntoService + 'static,
    ) -> Self {
        self.add(Some(address.into()), ListenerKind::NoTls, service)
    }

    /// Serves on `address` within TLS from the first octet (RFC 8314).
    #[cfg(feature = "tls")]
    pub fn listen_tls(
        self,
        address: impl Into<String>,
        service: impl IntoService + 'static,
    ) -> Self {
        self.add(Some(address.into()), ListenerKind::Implicit, service)
    }

    /// The listener named last stands behind these proxies: they alone may
    /// connect, and say for whom by the PROXY protocol, version 1 or 2. Empty
    /// for none.
    pub fn behind(mut self, proxies: impl IntoIterator<Item = Network>) -> Self {
        if let Some(spec) = self.services.last_mut() {
            spec.proxies = proxies.into_iter().collect();
        }
        self
    }

    /// The listener named last has TLS of its own, in place of the builder's: one
    /// that asks for client certificates, say.
    #[cfg(feature = "tls")]
    pub fn with_tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        if let Some(spec) = self.services.last_mut() {
            spec.tls = Some(config);
        }
        self
    }

    /// Who may connect to the listener named last; everybody by default.
    pub fn admitting(mut self, access: AccessRules) -> Self {
        if let Some(spec) = self.services.last_mut() {
            spec.access = access;
        }
        self
    }

    /// Serves within the process only: [`RunningServer::connect`] reaches it.
    pub fn serve(self, service: impl IntoService + 'static) -> Self {
        self.add(None, ListenerKind::Plain, service)
    }

    fn add(
        mut self,
        address: Option<String>,
        kind: ListenerKind,
        service: impl IntoService + 'static,
    ) -> Self {
        self.services.push(Spec {
            address,
            kind,
            proxies: Vec::new(),
            access: AccessRules::default(),
            #[cfg(feature = "tls")]
            tls: None,
            service: Box::new(service),
        });
        self
    }

    /// Starts the server on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: nothing runs and no port stays bound.
    pub async fn start(mut self) -> Result<RunningServer, StartError> {
        let hostname = self.name()?;
        let (router, agents) = self.routing(&hostname)?;
        let (recorder, recording) = self.recording();
        let limiter = self.limiter(&recorder).await;
        let parts = self.parts(hostname, (&router, &agents), recorder, limiter);
        let follower = self
            .journaling()
            .follower(parts.stores.as_ref(), &self.clock)?;
        let gate = Gate::new(&self.limits);
        let services = self.services(&parts, &gate)?;
        let scheduler = self.jobs(&parts)?;
        // All ports or none: nothing accepts before every one is bound.
        let mut sockets = Vec::with_capacity(services.len());
        for service in &services {
            sockets.push(service.bind().await?);
        }
        // Before anything can raise an event.
        let tails = Tails::spawn(Keeper::new(parts.limiter()), recording, follower);
        for (service, socket) in services.iter().zip(sockets) {
            service.run(socket);
        }
        let (switch, shutdown) = ShutdownSwitch::new();
        let jobs = tokio::spawn(Arc::clone(&scheduler).run(shutdown.clone()));
        let queue = self.queue(&parts, router, agents);
        if let Some(queue) = &queue {
            parts.intake.starts(Arc::clone(queue) as _);
        }
        let running = queue.clone().map(|queue| {
            tokio::spawn(async move {
                let mut shutdown = shutdown;
                queue.run(async move { shutdown.begun().await }).await;
            })
        });
        Ok(RunningServer {
            services: Mutex::new(Services {
                live: services,
                retired: Vec::new(),
            }),
            queue: queue.zip(running),
            scheduler: (scheduler, jobs),
            switch,
            tails,
            parts: RwLock::new(parts),
            gate,
            turn: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn name(&self) -> Result<Domain, StartError> {
        Domain::parse(&self.hostname).map_err(|source| StartError::Hostname {
            name: self.hostname.clone(),
            source,
        })
    }

    /// Takes over from a running server what can't be changed under it.
    pub(super) fn take_over(&mut self, parts: &Parts) {
        self.stores.clone_from(&parts.stores);
        self.clock = parts.clock();
        self.entropy = parts.entropy();
    }

    pub(super) fn new_limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes events that belong to no batch of mail; without a store, nobody
    /// does.
    fn recording(&self) -> (Recorder, Option<RecorderTask>) {
        let Some(stores) = &self.stores else {
            return (Recorder::default(), None);
        };
        let (recorder, task) = Recorder::new(
            Arc::clone(&stores.commit),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
            self.recorder.clone(),
        );
        (recorder, Some(task))
    }

    async fn limiter(&mut self, recorder: &Recorder) -> Arc<Limiter> {
        let mut seams = LimiterSeams::new(Arc::clone(&self.clock), Arc::clone(&self.entropy));
        seams.state = self.stores.as_ref().map(|it| Arc::clone(&it.state));
        seams.directory = self.account_closer.take();
        seams.recorder = recorder.clone();
        Limiter::open(std::mem::take(&mut self.abuse), seams).await
    }

    fn journaling(&mut self) -> Journaling {
        Journaling {
            journal: self.journal.take(),
            config: self.follower.clone(),
        }
    }

    /// The router with the closures' addresses before it, and all agents.
    pub(super) fn routing(
        &mut self,
        hostname: &Domain,
    ) -> Result<(Arc<dyn Router>, Agents), StartError> {
        let mut agents = std::mem::take(&mut self.agents);
        let mut routes = Vec::with_capacity(self.hooks.len());
        for (text, hook) in self.hooks.drain(..) {
            let address = Address::parse(&text).map_err(|source| StartError::Address {
                address: text,
                source,
            })?;
            let name: Arc<str> = format!("hook:{address}").into();
            let hook = hook.with_limit(self.limits.message_size.saturating_add(HEADER_ROOM));
            agents.insert(Arc::clone(&name), Arc::new(hook));
            routes.push((address, name));
        }
        let rest = self.router.clone().or_else(|| {
            let directory = Arc::clone(self.directory.as_ref()?);
            Some(Arc::new(DirectoryRouter::new(directory, hostname.clone())) as _)
        });
        let router: Arc<dyn Router> = match rest {
            Some(router) if routes.is_empty() => router,
            rest => Arc::new(HookRouter::new(routes, rest)),
        };
        let router = match self.suppression.take() {
            Some(list) => Arc::new(SuppressionRouter::new(router, list)),
            None => router,
        };
        if let Some(stores) = &self.stores {
            let mailboxes = MailboxAgent {
                router: Arc::clone(&router),
                commit: Arc::clone(&stores.commit),
                rules: self.rules.clone(),
                schedule: self.schedule.clone(),
                clock: Arc::clone(&self.clock),
                entropy: Arc::clone(&self.entropy),
            };
            agents
                .entry(MAILBOX_AGENT.into())
                .or_insert_with(|| Arc::new(mailboxes));
        }
        Ok((router, agents))
    }

    pub(super) fn parts(
        &mut self,
        hostname: Domain,
        (router, agents): (&Arc<dyn Router>, &Agents),
        recorder: Recorder,
        limiter: Arc<Limiter>,
    ) -> Parts {
        let authenticator = self.authenticator.clone().map(|it| {
            Arc::new(ScreenedLogins::new(it, Arc::clone(&limiter))) as Arc<dyn Authenticator>
        });
        let intake = Intake::new(IntakeParts {
            hostname: hostname.clone(),
            router: Arc::clone(router),
            directory: self.directory.clone(),
            commit: self
                .stores
                .as_ref()
                .map(|stores| Arc::clone(&stores.commit)),
            agents: agents.clone(),
            filters: std::mem::take(&mut self.filters),
            callout: self.callouts(),
            rules: self.rules.clone(),
            schedule: self.schedule.clone(),
            keep_delivered: self.keep_delivered,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            limits: self.limits.clone(),
        })
        .telling(recorder, self.subjects)
        .with_policy(self.policy.clone())
        .limited_by(Arc::clone(&limiter));
        Parts {
            hostname,
            intake: Arc::new(intake),
            stores: self.stores.clone(),
            directory: self.directory.clone(),
            authenticator,
            mechanisms: self.mechanisms.clone(),
            in_clear: self.in_clear,
            limiter,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            limits: self.limits.clone(),
            holds: Holds::default(),
        }
    }

    fn callouts(&self) -> Option<Callout> {
        let (check, stores) = self.recipient_check.as_ref().zip(self.stores.as_ref())?;
        Some(Callout::new(
            Arc::clone(check),
            Arc::clone(&stores.state),
            Arc::clone(&self.clock),
            self.callout.clone(),
        ))
    }

    pub(super) fn services(
        &mut self,
        parts: &Parts,
        gate: &Arc<Gate>,
    ) -> Result<Vec<Arc<ServiceHandle>>, StartError> {
        let mut services = Vec::with_capacity(self.services.len());
        for spec in self.services.drain(..) {
            let service = spec.service.into_service(parts)?;
            let door = Door {
                #[cfg(feature = "tls")]
                tls: (spec.tls.as_ref().or(self.tls.as_ref()))
                    .map(|config| crate::net::TlsAcceptor::for_protocol(config, service.alpn())),
                service,
                address: spec.address,
                kind: spec.kind,
                proxies: spec.proxies,
                access: spec.access,
                gate: Arc::clone(gate),
                limiter: parts.limiter(),
                limits: self.limits.clone(),
                clock: Arc::clone(&self.clock),
            };
            services.push(Arc::new(ServiceHandle::new(door)?));
        }
        Ok(services)
    }

    fn jobs(&mut self, parts: &Parts) -> Result<Arc<Scheduler>, StartError> {
        let memory = self.stores.as_ref().map(|stores| JobMemory {
            state: Arc::clone(&stores.state),
            commit: Arc::clone(&stores.commit),
        });
        let seams = SchedulerSeams {
            clock: parts.clock(),
            entropy: parts.entropy(),
            memory,
        };
        let config = SchedulerConfig {
            drain_for: self.limits.drain,
            ..self.scheduler.clone()
        };
        let scheduler = Scheduler::new(seams, config);
        for job in self.jobs.drain(..) {
            scheduler.add(job)?;
        }
        Ok(scheduler)
    }

    fn queue(
        self,
        parts: &Parts,
        router: Arc<dyn Router>,
        agents: Agents,
    ) -> Option<Arc<QueueRunner>> {
        let stores = self.stores?;
        let seams = RunnerSeams {
            spool: stores.spool,
            commit: stores.commit,
            router,
            clock: self.clock,
            entropy: self.entropy,
            agents,
        };
        let config = RunnerConfig {
            schedule: self.schedule,
            keep_delivered: self.keep_delivered,
            max_jobs: self.limits.deliveries,
            drain_for: self.limits.drain,
            ..self.runner
        };
        Some(QueueRunner::new(parts.hostname.clone(), seams, config))
    }
}

type Agents = HashMap<Arc<str>, Arc<dyn DeliveryAgent>>;

//! Putting the parts together: what is missing is said before anything runs.

use std::sync::{Arc, Mutex, RwLock};

use super::Builder;
use super::check::one_listener_each;
use crate::abuse::{Keeper, Limiter, LimiterSeams, ScreenedLogins};
use crate::address::{Address, Domain};
use crate::deliver::MailboxAgent;
use crate::deliver::list::{ListAgent, ListSeams};
use crate::event::{Recorder, RecorderTask};
use crate::intake::{Callout, HookRouter, Intake, IntakeParts};
use crate::limits::Limits;
use crate::net::{Gate, ShutdownSwitch};
use crate::queue::{QueueRunner, RunnerConfig, RunnerSeams};
use crate::route::{DirectoryRouter, SuppressionRouter};
use crate::schedule::{JobMemory, Scheduler, SchedulerConfig, SchedulerSeams};
use crate::seams::{Authenticator, Router};
use crate::server::agents::{self, Agents};
use crate::server::handle::{Door, ServiceHandle};
use crate::server::readers::CheckedReaders;
use crate::server::running::Services;
use crate::server::tail::{Journaling, Tails};
use crate::server::{AgentParts, Holds, Parts, RunningServer, StartError};

/// The name under which mailboxes are an agent of the queue.
pub(super) const MAILBOX_AGENT: &str = "mailbox";
/// The name of the agent that serves lists.
const LIST_AGENT: &str = "list";

/// Octets that a closure's message may have over the size limit: the fields
/// that this server puts before it.
const HEADER_ROOM: u64 = 16 * 1024;

impl Builder {
    /// Starts the server on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: nothing runs and no port stays bound.
    pub async fn start(mut self) -> Result<RunningServer, StartError> {
        tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let hostname = self.name()?;
        self.check()?;
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
        let readers = self.readers(&parts)?;
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
        let reading = readers.spawn(&parts);
        Ok(RunningServer {
            reading: Mutex::new(Some(reading)),
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

    pub(in crate::server) fn name(&self) -> Result<Domain, StartError> {
        Domain::parse(&self.hostname).map_err(|source| StartError::Hostname {
            name: self.hostname.clone(),
            source,
        })
    }

    /// Takes over from a running server what can't be changed under it.
    pub(in crate::server) fn take_over(&mut self, parts: &Parts) {
        self.stores.clone_from(&parts.stores);
        self.clock = parts.clock();
        self.entropy = parts.entropy();
    }

    /// What a running server's limiter is to count from now on.
    pub(in crate::server) fn new_abuse(&mut self) -> crate::abuse::AbuseConfig {
        std::mem::take(&mut self.abuse)
    }

    /// What reads events, when it can be used.
    pub(in crate::server) fn readers(
        &mut self,
        parts: &Parts,
    ) -> Result<CheckedReaders, StartError> {
        std::mem::take(&mut self.readers).check(parts.stores.as_ref())
    }

    pub(in crate::server) fn new_limits(&self) -> &Limits {
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
    pub(in crate::server) fn routing(
        &mut self,
        hostname: &Domain,
    ) -> Result<(Arc<dyn Router>, Agents), StartError> {
        let mut agents = self.made_agents(hostname)?;
        let mut routes = Vec::with_capacity(self.hooks.len());
        for (text, hook) in self.hooks.drain(..) {
            let address = Address::parse(&text).map_err(|source| StartError::Address {
                address: text,
                source,
            })?;
            let name: Arc<str> = format!("hook:{}", address.folded()).into();
            let hook = hook.with_limit(self.limits.message_size.saturating_add(HEADER_ROOM));
            if agents.insert(Arc::clone(&name), Arc::new(hook)).is_some() {
                return Err(StartError::AddressTwice {
                    address: address.to_string(),
                });
            }
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
                hostname: hostname.clone(),
                schedule: self.schedule.clone(),
                clock: Arc::clone(&self.clock),
                entropy: Arc::clone(&self.entropy),
            };
            agents
                .entry(MAILBOX_AGENT.into())
                .or_insert_with(|| Arc::new(mailboxes));
        }
        if let Some(seams) = self.list_seams(hostname) {
            agents
                .entry(LIST_AGENT.into())
                .or_insert_with(|| Arc::new(ListAgent::new(seams)));
        }
        Ok((router, agents))
    }

    /// What serves lists, where there may be any.
    fn list_seams(&self, hostname: &Domain) -> Option<ListSeams> {
        let (stores, directory) = (self.stores.as_ref()?, self.directory.as_ref()?);
        directory.lists()?;
        Some(ListSeams {
            hostname: hostname.clone(),
            directory: Arc::clone(directory),
            state: Arc::clone(&stores.state),
            spool: Arc::clone(&stores.spool),
            commit: Arc::clone(&stores.commit),
            schedule: self.schedule.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            policies: None,
        })
    }

    fn made_agents(&mut self, hostname: &Domain) -> Result<Agents, StartError> {
        let parts = AgentParts {
            hostname: hostname.clone(),
            resolver: self.resolver.clone(),
            dialer: Arc::clone(&self.dialer),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        };
        agents::made(std::mem::take(&mut self.agents), &parts)
    }

    pub(in crate::server) fn parts(
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
            receives: self.receives(agents),
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

    pub(in crate::server) fn services(
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
        one_listener_each(&services)?;
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

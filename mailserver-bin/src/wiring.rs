//! From a configuration to a server: the one place where the crates meet.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mailcore::abuse::{AbuseConfig, Limiter, LimiterSeams};
use mailcore::access::{AccessRules, Shield, TrustedHosts, TrustedPeer};
use mailcore::intake::IntakePolicy;
use mailcore::net::{ChallengeStore, HickoryResolver, ResolverError};
use mailcore::queue::{QueueRunner, RunnerSeams};
use mailcore::route::{DirectoryRouter, SuppressionList};
use mailcore::seams::{
    Directory, Journal, JournalRetention, OsEntropy, Resolver, Router, State, SystemClock, Trust,
};
use mailcore::server::{Builder, Server, Stores};
use mailcore_filter::sender_auth::signing::KeyRing;
use mailcore_imap::server::Imap;
use mailcore_sieve::managesieve::ManageSieve;
use mailcore_smtp::client::TlsReport;
use mailcore_smtp::server::{AuthOffer, Limits as SmtpLimits, Smtp};
use mailcore_store::MemoryStore;
use mailcore_store::directory::{PasswordHashing, SqliteDirectory, StoreKey};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore, OpenReport};
use mailcore_store::journal::SqliteJournal;
use mailcore_web::pages::{Challenges, MtaStsPolicy};
use mailcore_web::{Hosts, Web};
use thiserror::Error;

use crate::config::{
    Config, Dnssec, JournalMode, Listener, Peers, PlaintextLogin, Protocol, StoreKind, TlsMode,
};
use crate::data::{DataDir, DataLock};
use crate::dmarc::DmarcReports;
use crate::filters::{self, TestSeams};
use crate::forwarding;
use crate::housekeeping::Tools;
use crate::senders::SenderParts;
use crate::tls::Keys;
use crate::{lists, oauth, outgoing, quarantine, sieve, sieve_events, signing, telling};

/// Asked when the system names no resolver.
const LOCAL_RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// An open store.
#[derive(Debug, Clone)]
pub(crate) struct OpenStore {
    pub(crate) stores: Stores,
    /// The store itself, where it has a log to check.
    pub(crate) embedded: Option<Arc<EmbeddedStore>>,
    /// What opening it came upon, for the log.
    pub(crate) findings: Vec<String>,
}

/// Why a server could not be put together.
#[derive(Debug, Error)]
pub(crate) enum WiringError {
    #[error("can't open the store in {path}: {reason}")]
    Store { path: String, reason: String },
    #[error("can't look names up: {0}; set [dns] servers")]
    Dns(#[from] ResolverError),
    #[error("can't set TLS up for mail to other hosts: {0}")]
    Tls(#[from] crate::tls::TlsError),
    #[error("can't set web hooks up: {0}")]
    Webhook(#[from] mailcore::event::webhook::WebhookError),
    #[error("can't check access tokens: {0}")]
    OAuth(#[from] mailcore::oauth::OAuthError),
    #[error("can't set filters up: {0}")]
    Filter(String),
    #[error("can't open the list of accounts: {0}")]
    Directory(#[from] mailcore::seams::DirectoryError),
}

/// Opens or makes the directory.
pub(crate) fn open_directory(
    data: &DataDir,
    lock: &DataLock,
) -> Result<SqliteDirectory, WiringError> {
    let directory = SqliteDirectory::open(lock.directory(data), PasswordHashing::default())?;
    if lock.is_read_only() && !data.directory_key().exists() {
        // No secret was ever kept, and none can be.
        return Ok(directory);
    }
    let key = StoreKey::open(&data.directory_key(), &OsEntropy)?;
    Ok(directory.with_store_key(key))
}

/// Opens or makes the store.
pub(crate) async fn open_store(config: &Config, data: &DataDir) -> Result<OpenStore, WiringError> {
    if config.store == StoreKind::Memory {
        return Ok(OpenStore {
            stores: Arc::new(MemoryStore::new()).into(),
            embedded: None,
            findings: Vec::new(),
        });
    }
    let path = data.store();
    let wrong = |reason: String| WiringError::Store {
        path: data.store().display().to_string(),
        reason,
    };
    let mut options = EmbeddedOptions::default();
    options.migration = config.migration;
    if let Some(undelete_for) = config.undelete_for {
        options.retention.undelete_for = undelete_for;
    }
    let kept = &config.events;
    options.retention.events_for = kept.keep.unwrap_or(options.retention.events_for);
    options.retention.events = kept.most.unwrap_or(options.retention.events);
    // Room for the largest message and for what comes with it, and then some.
    let message = config.limits.message_size;
    options.low_space = config
        .low_space
        .unwrap_or_else(|| options.low_space.max(message.saturating_add(message / 2)));
    let open = move || EmbeddedStore::open(path, options);
    let store = tokio::task::spawn_blocking(open)
        .await
        .map_err(|error| wrong(error.to_string()))?
        .map_err(|error| wrong(error.to_string()))?;
    let store = Arc::new(store);
    Ok(OpenStore {
        findings: findings(store.opened()),
        stores: Arc::clone(&store).into(),
        embedded: Some(store),
    })
}

/// Opens or makes the journal. One that can't be opened does not keep mail from
/// being served.
pub(crate) fn open_journal(config: &Config, data: &DataDir) -> Option<Arc<SqliteJournal>> {
    if config.journal.mode == JournalMode::Off || config.store == StoreKind::Memory {
        return None;
    }
    match SqliteJournal::open(&data.journal(config.journal.path.as_deref())) {
        Ok(journal) => Some(Arc::new(journal)),
        Err(error) => {
            tracing::error!("{error}; mail is served without it");
            None
        }
    }
}

/// What the housekeeping needs of a journal.
pub(crate) fn kept(
    config: &Config,
    journal: Option<&Arc<SqliteJournal>>,
) -> Option<(Arc<dyn Journal>, JournalRetention)> {
    let journal: Arc<dyn Journal> = Arc::clone(journal?) as _;
    Some((journal, config.journal.retention.clone()))
}

/// What is worth a line in the log.
fn findings(report: &OpenReport) -> Vec<String> {
    let mut lines = Vec::new();
    if report.rebuilt {
        lines.push("the index was missing or damaged and was built anew from the log".to_owned());
    }
    if report.torn > 0 {
        lines.push(format!(
            "{} octets that a crash cut off, never acknowledged, were dropped",
            report.torn
        ));
    }
    if let Some(reason) = &report.read_only {
        lines.push(format!(
            "the store can't be written ({reason}): mail is served and none is taken; make it \
             writable and start the server anew"
        ));
    }
    if let Some(copy) = &report.kept_copy {
        lines.push(format!(
            "{} holds the store as it was before its format was changed; remove it once you don't \
             want to go back: the two share disk space, which is not freed while it is there",
            copy.display()
        ));
    }
    for damage in &report.damage {
        lines.push(format!("damage in the store: {damage}"));
    }
    lines
}

/// A queue that nobody runs: for an operator's changes while no server does.
pub(crate) fn idle_queue(
    config: &Config,
    stores: &Stores,
    directory: Arc<dyn Directory>,
) -> Arc<QueueRunner> {
    let router = DirectoryRouter::new(Arc::clone(&directory), config.hostname.clone());
    let router = outgoing::routes(config, Arc::new(router));
    let seams = RunnerSeams {
        spool: Arc::clone(&stores.spool),
        commit: Arc::clone(&stores.commit),
        router: forwarding::routes(config, stores, directory, router),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        agents: HashMap::new(),
    };
    let mut settings = config.runner.clone();
    settings.schedule = config.schedule.clone();
    settings.keep_delivered = config.keep_delivered;
    QueueRunner::new(config.hostname.clone(), seams, settings)
}

/// How TLS to other hosts went, counted.
pub(crate) fn tls_report(state: &Arc<dyn State>) -> Arc<TlsReport> {
    TlsReport::new(Arc::clone(state), Arc::new(SystemClock::new()))
}

/// Everything that a server is put together from.
pub(crate) struct Wiring<'a> {
    pub(crate) config: &'a Config,
    pub(crate) stores: Stores,
    pub(crate) embedded: Option<Arc<EmbeddedStore>>,
    pub(crate) journal: Option<Arc<SqliteJournal>>,
    pub(crate) directory: Arc<SqliteDirectory>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) tls_report: Arc<TlsReport>,
    pub(crate) dmarc: Arc<DmarcReports>,
    pub(crate) ring: Option<Arc<KeyRing>>,
}

impl Wiring<'_> {
    /// The server, ready to be started.
    pub(crate) fn builder(self) -> Result<Builder, WiringError> {
        let config = self.config;
        let directory: Arc<dyn Directory> = self.directory.clone();
        let tools = self.tools();
        let resolver = self.resolver;
        let (state, report) = (&self.stores.state, self.tls_report);
        let signer = signing::signer(config, self.ring.as_ref(), &directory, &resolver);
        let agents = outgoing::agents(config, Arc::clone(&resolver), state, report, signer)?;
        let senders = SenderParts::new(config, &self.stores, &agents);
        let seams = TestSeams {
            resolver: &resolver,
            state,
            commit: &self.stores.commit,
            directory: &directory,
            clock: Arc::new(SystemClock::new()),
            senders: &senders,
        };
        let pipeline = filters::pipeline(config, &seams).map_err(WiringError::Filter)?;
        let scripts = sieve_events::filter(config, &seams);
        let rules = sieve::rules(config, &self.stores, &directory, &resolver);
        let imap = sieve::imap(config, rules.as_ref());
        let reports = self.dmarc.filters(config, &resolver, &directory);
        let authenticator = oauth::authenticator(config, &resolver, &self.directory)?;
        let router = senders.routes(routes(config, &self.stores, &directory));
        let lists = lists::agent(config, &self.stores, &directory, &resolver);
        let mut builder = Server::builder(config.hostname.as_str())
            .suppression(SuppressionList::new(Arc::clone(&self.stores.state)))
            .stores(self.stores)
            .directory(directory)
            .agent(lists::AGENT, lists)
            .authenticator(authenticator)
            .mechanisms(config.auth.mechanisms.iter().copied(), config.auth.in_clear)
            .router(router)
            .retry_schedule(config.schedule.clone())
            .keep_delivered(config.keep_delivered)
            .runner(config.runner.clone())
            .limits(config.limits.clone())
            .abuse(abuse(config))
            .account_closer(self.directory)
            .callout(config.callout.clone())
            .subjects(config.journal.subjects)
            .intake_policy(policy(config, &resolver))
            .tls(self.keys.server_config(config)?);
        for (name, agent) in agents {
            builder = builder.agent(&name, senders.agent(agent));
        }
        // Relayed domains' mail leaves by this one.
        let check = senders.check.into_iter();
        builder = check.fold(builder, Builder::recipient_check);
        let journal = self.journal.into_iter();
        builder = journal.fold(builder, |builder, journal| builder.journal(journal));
        let rules = rules.into_iter();
        builder = rules.fold(builder, |builder, rules| builder.rules(rules));
        builder = scheduled(builder, config, tools);
        builder = telling::rules(builder, config);
        builder = telling::webhooks(builder, config, &resolver)?;
        builder = filters::added(builder, config, scripts, pipeline);
        // They see what all others decided.
        builder = reports.into_iter().fold(builder, Builder::filter);
        doors(builder, (config, imap), &self.keys, &resolver)
    }

    /// What the server's own jobs work on.
    fn tools(&self) -> Tools {
        let resolver = Some(Arc::clone(&self.resolver));
        Tools {
            stores: self.stores.clone(),
            lists: lists::seams(self.config, &self.stores, Arc::clone(&self.directory) as _),
            embedded: self.embedded.clone(),
            directory: Arc::clone(&self.directory) as _,
            retention: self.config.retention,
            journal: kept(self.config, self.journal.as_ref()),
            keys: Some(Arc::clone(&self.keys)),
            quarantine: (
                quarantine::store(self.config, &self.stores),
                self.config.filter.quarantine,
            ),
            signing: signing::Tending::new(self.config, self.ring.clone(), resolver),
            dmarc: Some(Arc::clone(&self.dmarc)),
        }
    }
}

/// The server's own jobs.
fn scheduled(builder: Builder, config: &Config, tools: Tools) -> Builder {
    let builder = builder.scheduler(config.housekeeping.settings());
    let jobs = config.housekeeping.jobs(tools);
    jobs.into_iter().fold(builder, Builder::job)
}

/// Where mail goes, and as whose it goes on.
fn routes(config: &Config, stores: &Stores, directory: &Arc<dyn Directory>) -> Arc<dyn Router> {
    let plain = router(config, directory);
    forwarding::routes(config, stores, Arc::clone(directory), plain)
}

/// Where mail goes, before the senders of what goes on are changed.
fn router(config: &Config, directory: &Arc<dyn Directory>) -> Arc<dyn Router> {
    let mut router = DirectoryRouter::new(Arc::clone(directory), config.hostname.clone())
        .with_own_addresses(outgoing::own_addresses(config));
    if let Some(host) = &config.smart_host {
        router = router.with_smart_host(host.host.clone(), host.port);
    }
    outgoing::routes(config, Arc::new(router))
}

/// Every listener, and the page that an authority may look for.
fn doors(
    mut builder: Builder,
    (config, imap): (&Config, Imap),
    keys: &Keys,
    resolver: &Arc<dyn Resolver>,
) -> Result<Builder, WiringError> {
    for listener in &config.listeners {
        builder = listen(builder, (config, &imap), (listener, &keys.challenges()))
            .behind(listener.peers.proxies.iter().copied())
            .admitting(access(&listener.peers, resolver));
        if let Some(tls) = keys.of_listener(config, listener)? {
            builder = builder.with_tls(tls);
        }
    }
    if let Some(address) = config.acme.as_ref().and_then(|acme| acme.http_address) {
        let page = challenges(Web::bare(), keys.challenges());
        builder = builder.listen_plain(address.to_string(), page);
    }
    Ok(builder)
}

/// Hosts that are looked up as time goes by.
fn hosts(peers: &[TrustedPeer], resolver: &Arc<dyn Resolver>) -> Arc<TrustedHosts> {
    let clock = Arc::new(SystemClock::new());
    TrustedHosts::new(peers.iter().cloned(), Arc::clone(resolver), clock)
}

/// Who may connect to a listener.
fn access(peers: &Peers, resolver: &Arc<dyn Resolver>) -> AccessRules {
    let mut access = AccessRules::new();
    if let Some(allow) = &peers.allow {
        access = access.allow(hosts(allow, resolver));
    }
    if !peers.deny.is_empty() {
        access = access.deny(hosts(&peers.deny, resolver));
    }
    access
}

/// What the configuration decides about mail on its way in.
fn policy(config: &Config, resolver: &Arc<dyn Resolver>) -> IntakePolicy {
    let smtp = &config.smtp;
    let mut policy = IntakePolicy::default();
    if !smtp.trusted.is_empty() {
        policy.trusted = Some(hosts(&smtp.trusted, resolver));
    }
    for shield in &config.shields {
        let mut it = Shield::new(shield.domain.clone(), hosts(&shield.hosts, resolver));
        it.users = shield.users;
        policy.shields.push(it);
    }
    policy.relay_logins.clone_from(&smtp.relay_logins);
    policy.from = smtp.from;
    policy.tarpit = smtp.tarpit;
    policy.header_size = smtp.header_size.unwrap_or(policy.header_size);
    policy.transcripts = config.journal.transcripts;
    policy.quarantine = config.filter.quarantine.place;
    policy
}

/// Proxies, and hosts that are trusted by their network, are not counted: what
/// comes from them is others'.
fn abuse(config: &Config) -> AbuseConfig {
    let mut abuse = config.abuse.clone();
    abuse.exempt.extend(&config.smtp.xclient);
    for trusted in &config.smtp.trusted {
        if let TrustedPeer::Network(network) = trusted {
            abuse.exempt.push(*network);
        }
    }
    abuse
}

/// Bans, for an operator's changes while no server runs.
pub(crate) async fn idle_limiter(stores: &Stores) -> Arc<Limiter> {
    let mut seams = LimiterSeams::new(Arc::new(SystemClock::new()), Arc::new(OsEntropy));
    seams.state = Some(Arc::clone(&stores.state));
    Limiter::open(AbuseConfig::default(), seams).await
}

/// The resolvers of the configuration, else the system's. A host without any
/// still takes and serves mail; what is to go out waits in the queue.
pub(crate) fn resolver(config: &Config) -> Result<Arc<dyn Resolver>, WiringError> {
    let builder = || {
        let builder = match config.dns.hosts_file {
            true => HickoryResolver::builder().hosts_file(),
            false => HickoryResolver::builder(),
        };
        match &config.dns.dnssec {
            Dnssec::Off => builder,
            Dnssec::Validate(anchors) => builder.validate(anchors.clone()),
        }
    };
    if !config.dns.servers.is_empty() {
        return Ok(Arc::new(builder().servers(&config.dns.servers).build()?));
    }
    let resolver = builder().build().or_else(|error| {
        tracing::warn!(%error, "no name servers; asking 127.0.0.1, or set [dns] servers");
        builder().servers(&[LOCAL_RESOLVER]).build()
    });
    Ok(Arc::new(resolver?))
}

fn listen(
    builder: Builder,
    (config, imap): (&Config, &Imap),
    (listener, challenges): (&Listener, &Arc<ChallengeStore>),
) -> Builder {
    let pop3 = &config.pop3;
    let address = listener.address.to_string();
    let mut limits = SmtpLimits::default();
    limits.message_size = config.limits.message_size;
    let tls = listener.tls;
    let anywhere = listener.login == PlaintextLogin::Anywhere;
    let smtp = |smtp: Smtp| {
        let settings = &config.smtp;
        let mut smtp = smtp
            .limits(limits)
            .verify(settings.verify)
            .least_deadline(settings.least_deadline)
            .xclient(settings.xclient.clone())
            .doors(listener.peers.doors);
        if let Some(time) = settings.max_hold {
            smtp = smtp.max_hold(time);
        }
        if listener.peers.trust == Trust::Trusted {
            smtp = smtp.internal();
        }
        if anywhere {
            smtp.auth(AuthOffer::Always)
        } else {
            smtp
        }
    };
    match listener.protocol {
        Protocol::Smtp => at(builder, address, tls, smtp(Smtp::mx())),
        Protocol::Submission => at(builder, address, tls, smtp(Smtp::submission())),
        Protocol::Lmtp => at(builder, address, tls, Smtp::lmtp()),
        Protocol::Imap if anywhere => {
            let policy = mailcore_imap::session::PlaintextLogin::Anywhere;
            at(builder, address, tls, imap.clone().plaintext_login(policy))
        }
        Protocol::Imap => at(builder, address, tls, imap.clone()),
        Protocol::Pop3 if anywhere => {
            let policy = mailcore_pop3::session::PlaintextLogin::Anywhere;
            at(builder, address, tls, pop3.clone().plaintext_login(policy))
        }
        Protocol::Pop3 => at(builder, address, tls, pop3.clone()),
        Protocol::ManageSieve => at(builder, address, tls, managesieve(config, listener)),
        Protocol::Http => at(builder, address, tls, web(config, Arc::clone(challenges))),
    }
}

/// Scripts are checked by what runs them.
fn managesieve(config: &Config, listener: &Listener) -> ManageSieve {
    let compiler = Arc::new(config.sieve.settings.compiler());
    let managesieve = config.managesieve.clone().checked_by(compiler);
    match listener.login {
        PlaintextLogin::Anywhere => {
            managesieve.plaintext_login(mailcore_sieve::managesieve::PlaintextLogin::Anywhere)
        }
        PlaintextLogin::WithinTls => managesieve,
    }
}

/// Adds what an authority looks for.
fn challenges(web: Web, store: Arc<ChallengeStore>) -> Web {
    let answers = Challenges::new(move |token| store.page(token));
    web.page(Hosts::Any, Challenges::PATH, answers)
}

/// The pages of an HTTP listener.
fn web(config: &Config, store: Arc<ChallengeStore>) -> Web {
    let mut web = challenges(Web::new(), store);
    for name in &config.web.names {
        web = web.name(name.as_str());
    }
    for (domain, policy) in &config.web.policies {
        let host = Hosts::One(MtaStsPolicy::host(domain));
        web = web.page(host, MtaStsPolicy::PATH, policy.clone());
    }
    web
}

fn at(
    builder: Builder,
    address: String,
    tls: TlsMode,
    service: impl mailcore::server::IntoService + 'static,
) -> Builder {
    match tls {
        TlsMode::None => builder.listen_plain(address, service),
        TlsMode::Starttls => builder.listen(address, service),
        TlsMode::Implicit => builder.listen_tls(address, service),
    }
}

//! The builder: takes the seams, checks them, starts the server. Its methods
//! stand in groups: the seams, the listeners, the settings.

mod assemble;
mod check;
mod events;
mod listeners;
mod seams;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use super::agents::AgentSource;
use super::handle::ListenerKind;
use super::readers::Readers;
use super::{IntoService, Stores};
use crate::abuse::AbuseConfig;
use crate::access::AccessRules;
use crate::event::{FollowerConfig, RecorderConfig};
use crate::intake::{CalloutConfig, HookAgent, IntakePolicy, Subjects};
use crate::limits::Limits;
use crate::net::Network;
use crate::queue::{RetrySchedule, RunnerConfig};
use crate::route::SuppressionList;
use crate::sasl::{InClear, Mechanism};
use crate::schedule::{Job, SchedulerConfig};
use crate::seams::{
    Authenticator, Clock, Dialer, Directory, DirectoryWrite, Entropy, Filter, Journal, OsEntropy,
    RecipientCheck, Resolver, Router, Rules, SystemClock, TcpDialer,
};

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
            agents: Vec::new(),
            resolver: None,
            dialer: Arc::new(TcpDialer::default()),
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
            too_early: None,
            jobs: Vec::new(),
            scheduler: SchedulerConfig::default(),
            readers: Readers::default(),
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
    agents: Vec<(Arc<str>, AgentSource)>,
    resolver: Option<Arc<dyn Resolver>>,
    dialer: Arc<dyn Dialer>,
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
    /// A method about the listener before it that came before any.
    too_early: Option<&'static str>,
    jobs: Vec<Job>,
    scheduler: SchedulerConfig,
    readers: Readers,
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

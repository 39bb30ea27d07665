//! The service: [`ManageSieve`] is its settings, [`ScriptHost`] answers a
//! [`Session`]'s questions.

mod host;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::event::{Recorder, SessionEvents};
use mailcore::net::{Connection, Ending, Service, drive};
use mailcore::sasl::Offer;
use mailcore::seams::Authenticator;
use mailcore::server::{IntoService, Parts, StartError};

use super::check::ScriptCheck;
use super::session::{PlaintextLogin, Session, SessionConfig, Transport};
use crate::engine::Compiler;
use host::{ScriptHost, UserScripts};

const PROTOCOL: &str = "managesieve";

/// A ManageSieve service to be given to a server's builder: users' scripts lie
/// in the server's directory.
#[derive(Debug, Clone)]
pub struct ManageSieve {
    check: Option<Arc<dyn ScriptCheck>>,
    plaintext_login: PlaintextLogin,
    login_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    max_errors: Option<u32>,
    max_login_failures: Option<u32>,
    max_script: Option<usize>,
}

impl ManageSieve {
    /// ManageSieve with passwords within TLS only, for scripts that the compiler
    /// with its defaults takes.
    pub fn new() -> Self {
        Self {
            check: None,
            plaintext_login: PlaintextLogin::default(),
            login_timeout: None,
            idle_timeout: None,
            max_errors: None,
            max_login_failures: None,
            max_script: None,
        }
    }

    /// What scripts must pass; a host that has scripts run gives the compiler that
    /// they run by.
    #[must_use]
    pub fn checked_by(mut self, check: Arc<dyn ScriptCheck>) -> Self {
        self.check = Some(check);
        self
    }

    /// Where passwords may be sent in clear.
    #[must_use]
    pub fn plaintext_login(mut self, policy: PlaintextLogin) -> Self {
        self.plaintext_login = policy;
        self
    }

    /// From connect to login; 10 minutes unless set.
    #[must_use]
    pub fn login_timeout(mut self, timeout: Duration) -> Self {
        self.login_timeout = Some(timeout);
        self
    }

    /// Time without a command until a connection is closed; not under the 30
    /// minutes that RFC 5804 section 1.2 asks for.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Commands in error until a connection is closed; 20 unless set.
    #[must_use]
    pub fn max_errors(mut self, errors: u32) -> Self {
        self.max_errors = Some(errors);
        self
    }

    /// Failed logins until a connection is closed; 3 unless set.
    #[must_use]
    pub fn max_login_failures(mut self, failures: u32) -> Self {
        self.max_login_failures = Some(failures);
        self
    }

    /// Octets of a script that is taken in; 1 MiB unless set. The directory may
    /// take fewer.
    #[must_use]
    pub fn max_script(mut self, octets: usize) -> Self {
        self.max_script = Some(octets);
        self
    }

    fn session(&self, parts: &Parts) -> SessionConfig {
        let mut config = SessionConfig::new(parts.hostname().clone());
        config.plaintext_login = self.plaintext_login;
        config.login_timeout = self.login_timeout.unwrap_or(config.login_timeout);
        config.idle_timeout = self
            .idle_timeout
            .map_or(config.idle_timeout, |time| time.max(config.idle_timeout));
        config.max_errors = self.max_errors.unwrap_or(config.max_errors);
        config.max_login_failures = self.max_login_failures.unwrap_or(config.max_login_failures);
        config.max_script = self.max_script.unwrap_or(config.max_script);
        config
    }
}

impl Default for ManageSieve {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoService for ManageSieve {
    fn into_service(self: Box<Self>, parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        let directory = parts.directory()?;
        if directory.scripts().is_none() {
            return Err(StartError::Missing {
                seam: "a directory that keeps scripts",
                method: "Builder::directory",
            });
        }
        let mut config = self.session(parts);
        let check = self.check.unwrap_or_else(|| Arc::new(Compiler::new()));
        config.extensions = check.extensions();
        config.max_redirects = check.max_redirects();
        let mut private = config.clone();
        private.plaintext_login = PlaintextLogin::Anywhere;
        Ok(Arc::new(ManageSieveService {
            config: Arc::new(config),
            private: Arc::new(private),
            scripts: UserScripts { directory, check },
            authenticator: parts.authenticator()?,
            offer: parts.offer()?,
            recorder: parts.recorder(),
        }))
    }
}

#[derive(Debug)]
struct ManageSieveService {
    config: Arc<SessionConfig>,
    /// Where nobody else listens.
    private: Arc<SessionConfig>,
    scripts: UserScripts,
    authenticator: Arc<dyn Authenticator>,
    offer: Offer,
    recorder: Recorder,
}

#[async_trait]
impl Service for ManageSieveService {
    fn protocol(&self) -> &'static str {
        PROTOCOL
    }

    async fn serve(&self, connection: Connection) {
        let (transport, config) = if connection.is_private() {
            (Transport::Tls, &self.private)
        } else if connection.offers_starttls() {
            (Transport::Starttls, &self.config)
        } else {
            (Transport::Plain, &self.config)
        };
        let peer = connection.peer;
        let (recorder, meter) = (self.recorder.clone(), connection.meter.clone());
        let host = ScriptHost {
            scripts: self.scripts.clone(),
            authenticator: Arc::clone(&self.authenticator),
            events: SessionEvents::new(recorder, PROTOCOL, peer, meter),
            peer,
        };
        let session = Session::new(Arc::clone(config), transport).offering(
            self.offer.now(&*self.authenticator),
            peer.map(|peer| peer.ip()),
            connection.tls.clone(),
        );
        match drive(session, host, connection).await {
            Ending::Closed => {}
            ending => tracing::debug!(?peer, ?ending, "ManageSieve connection ended"),
        }
    }

    fn denied(&self) -> &'static [u8] {
        b"BYE \"you may not connect here\"\r\n"
    }

    fn busy(&self) -> &'static [u8] {
        b"BYE (TRYLATER) \"too many connections, try again later\"\r\n"
    }
}

//! The service: [`Pop3`] is its settings, [`MaildropHost`] answers a
//! [`Session`]'s questions.

mod folder;
mod host;
mod read_ahead;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::event::{Recorder, SessionEvents};
use mailcore::net::{Connection, Ending, Service, drive};
use mailcore::sasl::Offer;
use mailcore::seams::Authenticator;
use mailcore::server::{IntoService, Parts, StartError};

use crate::session::{Expire, PlaintextLogin, Session, SessionConfig, Transport, Utf8Header};
pub use folder::Folders;
use host::{MaildropHost, Maildrops};

const PROTOCOL: &str = "pop3";

/// Messages of a maildrop that a session knows of, unless set otherwise.
const MAX_MESSAGES: usize = 250_000;

/// Octets that a session reads ahead, unless set otherwise.
const READ_AHEAD: u64 = 128 * 1024;

/// A POP3 service to be given to a server's builder.
///
/// A maildrop is held by one session at a time (RFC 1939 section 4), whichever
/// of a server's POP3 listeners it came by. Other readers of the folder (IMAP)
/// are not locked out: a message that they remove is reported when it is asked
/// for.
#[derive(Debug, Clone)]
pub struct Pop3 {
    plaintext_login: PlaintextLogin,
    login_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    max_errors: Option<u32>,
    max_login_failures: Option<u32>,
    login_delay: Duration,
    expire: Expire,
    utf8_header: Utf8Header,
    folders: Folders,
    max_messages: usize,
    read_ahead: u64,
    apop: ApopUse,
}

/// Whether users may log in by APOP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApopUse {
    /// They may not.
    #[default]
    Off,
    /// They may, where passwords can be had back: the authenticator must keep
    /// them so. Takes the feature `sasl`.
    Offered,
}

impl Pop3 {
    /// POP3 with passwords within TLS only.
    pub fn new() -> Self {
        Self {
            plaintext_login: PlaintextLogin::default(),
            login_timeout: None,
            idle_timeout: None,
            max_errors: None,
            max_login_failures: None,
            login_delay: Duration::ZERO,
            expire: Expire::default(),
            utf8_header: Utf8Header::default(),
            folders: Folders::default(),
            max_messages: MAX_MESSAGES,
            read_ahead: READ_AHEAD,
            apop: ApopUse::default(),
        }
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

    /// Time without a command until a connection is closed; not under the 10
    /// minutes that RFC 1939 section 3 asks for.
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

    /// Time between two logins to one maildrop, told to clients and enforced
    /// (RFC 2449 section 6.5); none unless set. It is counted in whole seconds.
    #[must_use]
    pub fn login_delay(mut self, delay: Duration) -> Self {
        self.login_delay = delay;
        self
    }

    /// What clients are told of how long messages stay; removing them is the
    /// host's.
    #[must_use]
    pub fn expire(mut self, expire: Expire) -> Self {
        self.expire = expire;
        self
    }

    /// What a client without UTF8 gets of UTF-8 in headers (RFC 6856).
    #[must_use]
    pub fn utf8_header(mut self, form: Utf8Header) -> Self {
        self.utf8_header = form;
        self
    }

    /// Which folder a session serves.
    #[must_use]
    pub fn folders(mut self, folders: Folders) -> Self {
        self.folders = folders;
        self
    }

    /// Messages that a session knows of at most, the oldest ones; 250,000 unless
    /// set. A client that removes those sees the others at its next login.
    #[must_use]
    pub fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages;
        self
    }

    /// Octets of small messages that a session reads before its client, which
    /// fetches one after the other, asks for them; 128 KiB unless set, none when
    /// 0.
    #[must_use]
    pub fn read_ahead(mut self, octets: u64) -> Self {
        self.read_ahead = octets;
        self
    }

    /// Whether users may log in by APOP (RFC 1939 section 7). Its digest is MD5,
    /// and the server must keep passwords readable: SCRAM is better in all
    /// respects.
    #[must_use]
    pub fn apop(mut self, apop: ApopUse) -> Self {
        self.apop = apop;
        self
    }

    /// Where the timestamps of greetings come from, where APOP can be offered.
    #[cfg(feature = "sasl")]
    fn stamps(&self, parts: &Parts) -> Option<Arc<dyn mailcore::seams::Entropy>> {
        (self.apop == ApopUse::Offered).then(|| parts.entropy())
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
        config.login_delay = self.login_delay;
        config.expire = self.expire;
        config.utf8_header = self.utf8_header;
        config
    }
}

impl Default for Pop3 {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoService for Pop3 {
    fn into_service(self: Box<Self>, parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        let config = self.session(parts);
        let mut private = config.clone();
        private.plaintext_login = PlaintextLogin::Anywhere;
        Ok(Arc::new(Pop3Service {
            config: Arc::new(config),
            private: Arc::new(private),
            maildrops: Arc::new(Maildrops {
                storage: parts.storage()?,
                state: parts.state()?,
                directory: parts.directory().ok(),
                clock: parts.clock(),
                holds: parts.holds(),
                folders: self.folders,
                max_messages: self.max_messages,
                login_delay: self.login_delay,
                read_ahead: self.read_ahead,
            }),
            authenticator: parts.authenticator()?,
            offer: parts.offer()?.unbound_unless_chosen(),
            #[cfg(feature = "sasl")]
            apop: self.stamps(parts),
            recorder: parts.recorder(),
        }))
    }
}

#[derive(Debug)]
struct Pop3Service {
    config: Arc<SessionConfig>,
    /// Where nobody else listens.
    private: Arc<SessionConfig>,
    maildrops: Arc<Maildrops>,
    authenticator: Arc<dyn Authenticator>,
    offer: Offer,
    /// Makes the timestamps of greetings.
    #[cfg(feature = "sasl")]
    apop: Option<Arc<dyn mailcore::seams::Entropy>>,
    recorder: Recorder,
}

/// Whether some account may log in by APOP now.
#[cfg(feature = "sasl")]
fn keeps_apop(authenticator: &dyn Authenticator) -> bool {
    use mailcore::seams::{CredentialKind, ProofKind};
    let kind = ProofKind::Credentials(CredentialKind::Apop);
    authenticator.proofs().contains(&kind)
}

#[async_trait]
impl Service for Pop3Service {
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
        let events = SessionEvents::new(recorder, PROTOCOL, peer, meter);
        let (maildrops, authenticator) = (&self.maildrops, &self.authenticator);
        let host = MaildropHost::new(
            Arc::clone(maildrops),
            Arc::clone(authenticator),
            events,
            peer,
        );
        let address = peer.map(|peer| peer.ip());
        let session = Session::new(Arc::clone(config), transport).offering(
            self.offer.now(&**authenticator),
            address,
            connection.tls.clone(),
        );
        #[cfg(feature = "sasl")]
        let session = match &self.apop {
            Some(entropy) if keeps_apop(&**authenticator) => {
                let host = config.hostname.as_str();
                session.apop(mailcore::sasl::Apop::new(&**entropy, host))
            }
            _ => session,
        };
        match drive(session, host, connection).await {
            Ending::Closed => {}
            ending => tracing::debug!(?peer, ?ending, "POP3 connection ended"),
        }
    }

    fn denied(&self) -> &'static [u8] {
        b"-ERR [SYS/PERM] you may not connect here\r\n"
    }

    fn busy(&self) -> &'static [u8] {
        b"-ERR [SYS/TEMP] too many connections, try again later\r\n"
    }
}

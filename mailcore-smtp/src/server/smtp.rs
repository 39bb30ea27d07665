//! [`Smtp`]: the service as a server's builder takes it.

use std::sync::Arc;
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::net::{Network, Service};
use mailcore::seams::Trust;
use mailcore::server::{IntoService, Parts, StartError};

use super::SmtpServer;
use super::config::{AuthOffer, Doors, Kind, Limits, SmtpConfig, StartTls, Verify};

/// SMTP, submission or LMTP, to be given to a server's builder.
///
/// STARTTLS is offered where the listener has TLS.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name is the server's, filled in at the start.
    config: SmtpConfig,
}

impl Smtp {
    /// SMTP as port 25 speaks it: mail from anybody for this server's domains.
    /// Users may log in under TLS when the server has an authenticator.
    pub fn mx() -> Self {
        Self::of(Kind::Mx)
    }

    /// Submission, ports 587 and 465: mail from users who log in, to anywhere
    /// (RFC 6409).
    pub fn submission() -> Self {
        Self::of(Kind::Submission)
    }

    /// LMTP: mail from other servers of the house, one answer for each
    /// recipient (RFC 2033). Whoever can connect can deliver.
    pub fn lmtp() -> Self {
        Self::of(Kind::Lmtp)
    }

    fn of(kind: Kind) -> Self {
        Self {
            config: SmtpConfig::new(Domain::literal([127, 0, 0, 1].into()), kind),
        }
    }

    /// Whether AUTH is offered, and where.
    #[must_use]
    pub fn auth(mut self, offer: AuthOffer) -> Self {
        self.config.auth = offer;
        self
    }

    /// Takes no mail before STARTTLS. Not for a public port 25 (RFC 3207
    /// section 4).
    #[must_use]
    pub fn require_starttls(mut self) -> Self {
        self.config.start_tls = StartTls::Required;
        self
    }

    /// How long the greeting waits for peers that talk out of turn.
    #[must_use]
    pub fn greeting_delay(mut self, delay: Duration) -> Self {
        self.config.greeting_delay = delay;
        self
    }

    /// Who is told by VRFY and EXPN who is here.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.config.verify = verify;
        self
    }

    /// How long submitted mail may be held back at most; zero for not at all.
    #[must_use]
    pub fn max_hold(mut self, time: Duration) -> Self {
        self.config.max_hold = time;
        self
    }

    /// The nearest deadline after which a message may be asked to be returned;
    /// zero for any.
    #[must_use]
    pub fn least_deadline(mut self, time: Duration) -> Self {
        self.config.least_deadline = time;
        self
    }

    /// For hosts of the house alone: every peer is trusted. Whoever can connect
    /// can relay.
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.config.peers = Trust::Trusted;
        self
    }

    /// The proxies that may say by XCLIENT for whom they speak.
    #[must_use]
    pub fn xclient(mut self, proxies: impl IntoIterator<Item = Network>) -> Self {
        self.config.xclient = proxies.into_iter().collect();
        self
    }

    /// Whether mail is taken at all.
    #[must_use]
    pub fn doors(mut self, doors: Doors) -> Self {
        self.config.doors = doors;
        self
    }

    /// What no session may exceed.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }
}

impl IntoService for Smtp {
    fn into_service(self: Box<Self>, parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        let mut config = self.config;
        config.hostname = parts.hostname().clone();
        // What only passes mail on needs a queue, and nobody of its own.
        let passes_on = config.kind == Kind::Submission || config.peers == Trust::Trusted;
        if !passes_on || parts.spool().is_err() {
            parts.recipients()?;
        }
        let authenticator = match config.kind {
            Kind::Submission => Some(parts.authenticator()?),
            Kind::Mx | Kind::Lmtp => parts.authenticator().ok(),
        };
        let mut server = SmtpServer::new(config, parts.intake(), authenticator);
        if let Ok(offer) = parts.offer() {
            server = server.offer(offer);
        }
        Ok(Arc::new(server))
    }
}

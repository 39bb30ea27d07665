//! The SMTP, submission and LMTP server: [`SmtpServer`] runs a [`Session`] for
//! each connection and answers its questions through intake.
//!
//! Sockets, TLS and accepting connections are [`mailcore::net`]'s; what becomes
//! of mail is [`mailcore::intake`]'s.

mod asking;
mod auth;
mod chunking;
mod config;
mod connection;
mod delivery;
mod host;
mod question;
mod session;
mod smtp;
mod state;
mod table;
mod transaction;
mod transcript;
mod wording;
mod xclient;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::event::SessionEvents;
use mailcore::intake::{Intake, SessionKind};
use mailcore::net::{Connection, Ending, Service, drive};
use mailcore::sasl::Offer;
use mailcore::seams::{Authenticator, FilterSession};
use mailcore::wire::Machine as _;

pub use config::{AuthOffer, Doors, Kind, Limits, SmtpConfig, StartTls, Verify};
use host::{Known, SessionHost};
pub use question::{Answer, NewTransaction, Question};
pub use session::{Notice, Session};
pub use smtp::Smtp;

/// SMTP, submission or LMTP for a listener.
#[derive(Debug)]
pub struct SmtpServer {
    config: Arc<SmtpConfig>,
    intake: Arc<Intake>,
    authenticator: Option<Arc<dyn Authenticator>>,
    offer: Option<Offer>,
}

impl SmtpServer {
    /// A server that hands mail to `intake`. SIZE announces intake's limit
    /// where that is the smaller one. Without an authenticator AUTH is not
    /// offered.
    pub fn new(
        mut config: SmtpConfig,
        intake: Arc<Intake>,
        authenticator: Option<Arc<dyn Authenticator>>,
    ) -> Self {
        config.limits.message_size = config.limits.message_size.min(intake.max_message_size());
        if authenticator.is_none() {
            config.auth = AuthOffer::Never;
        }
        let offer = authenticator.as_deref().map(Offer::new);
        Self {
            config: Arc::new(config),
            intake,
            authenticator,
            offer,
        }
    }

    /// With these mechanisms in place of the usual ones.
    #[must_use]
    pub fn offer(mut self, offer: Offer) -> Self {
        self.offer = Some(offer);
        self
    }

    /// The configuration for one connection: STARTTLS only where the listener
    /// has a certificate for it; within the process no waiting for peers who
    /// talk out of turn, and no listener whom TLS would keep out.
    fn config_for(&self, connection: &Connection) -> Arc<SmtpConfig> {
        let mut config = SmtpConfig::clone(&self.config);
        config.start_tls = match (connection.offers_starttls(), config.start_tls) {
            (true, StartTls::Absent) => StartTls::Offered,
            (false, StartTls::Offered) => StartTls::Absent,
            (_, configured) => configured,
        };
        if connection.peer.is_none() {
            config.greeting_delay = Duration::ZERO;
            if config.auth == AuthOffer::UnderTls {
                config.auth = AuthOffer::Always;
            }
        }
        if config == *self.config {
            Arc::clone(&self.config)
        } else {
            Arc::new(config)
        }
    }
}

#[async_trait]
impl Service for SmtpServer {
    fn protocol(&self) -> &'static str {
        match self.config.kind {
            Kind::Mx => "smtp",
            Kind::Submission => "submission",
            Kind::Lmtp => "lmtp",
        }
    }

    fn alpn(&self) -> &'static str {
        "smtp"
    }

    async fn serve(&self, connection: Connection) {
        let peer = connection.peer;
        let door = match self.config.kind {
            Kind::Mx => SessionKind::Mx,
            Kind::Submission => SessionKind::Submission,
            Kind::Lmtp => SessionKind::Lmtp,
        };
        let facts = FilterSession::new(peer).through(door);
        let mut session = Session::new(self.config_for(&connection), facts);
        let clock = &connection.clock;
        session.set_time(clock.now(), clock.monotonic());
        let transcript = self.intake.new_transcript(peer);
        if let (Some(offer), Some(authenticator)) = (&self.offer, &self.authenticator) {
            session.offer(offer.now(&**authenticator));
        }
        if let Some(transcript) = &transcript {
            session.keep_transcript(transcript.clone());
        }
        if let Some(tls) = &connection.tls {
            session.tls_established(tls.clone());
        }
        let known = Known::default();
        let host = SessionHost {
            known: known.clone(),
            transcript,
            kind: self.config.kind,
            peers: self.config.peers,
            intake: Arc::clone(&self.intake),
            authenticator: self.authenticator.clone(),
            clock: Arc::clone(&connection.clock),
            transaction: None,
            recipients: 0,
            events: SessionEvents::new(
                self.intake.recorder().clone(),
                self.protocol(),
                peer,
                connection.meter.clone(),
            ),
        };
        match drive(session, host, connection).await {
            Ending::Closed => tracing::debug!(?peer, protocol = self.protocol(), "session closed"),
            ending => tracing::debug!(
                ?peer,
                ?ending,
                protocol = self.protocol(),
                "session broke off"
            ),
        }
        if let Some(facts) = known.take() {
            self.intake.disconnect(&facts).await;
        }
    }

    /// A refusal in place of the greeting (RFC 5321 section 3.1).
    fn denied(&self) -> &'static [u8] {
        b"554 5.7.1 You may not connect here\r\n"
    }

    fn busy(&self) -> &'static [u8] {
        b"421 4.3.2 Too many connections; try again later\r\n"
    }
}

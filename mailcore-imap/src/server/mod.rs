//! The IMAP server: [`ImapServer`] runs a [`Session`] for each connection and
//! answers its questions from the seams.
//!
//! Sockets, TLS and accepting connections are [`mailcore::net`]'s.

mod annotations;
mod append;
mod host;
mod imap;
mod opening;
mod room;
mod ruled;

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::event::{Recorder, SessionEvents};
use mailcore::intake::Intake;
use mailcore::net::{Connection, Ending, Service, drive};
use mailcore::sasl::Offer;
use mailcore::seams::{Authenticator, Commit, Directory, MailboxRules, Storage};

pub use host::SessionHost;
pub use imap::Imap;

use self::ruled::Ruled;
use crate::session::{Config, Peer, Session, Transport};

/// In events and logs.
const PROTOCOL: &str = "imap";

/// IMAP for a listener.
#[derive(Debug)]
pub struct ImapServer {
    config: Arc<Config>,
    storage: Arc<dyn Storage>,
    commit: Arc<dyn Commit>,
    authenticator: Arc<dyn Authenticator>,
    offer: Offer,
    directory: Option<Arc<dyn Directory>>,
    recorder: Recorder,
    ruled: Option<Ruled>,
}

impl ImapServer {
    /// A server over these seams. `commit` is used to stage what APPEND brings
    /// in; it belongs to the same store as `storage`.
    pub fn new(
        config: Config,
        storage: Arc<dyn Storage>,
        commit: Arc<dyn Commit>,
        authenticator: Arc<dyn Authenticator>,
    ) -> Self {
        Self {
            config: Arc::new(config),
            storage,
            commit,
            offer: Offer::new(&*authenticator),
            authenticator,
            directory: None,
            recorder: Recorder::default(),
            ruled: None,
        }
    }

    /// With these mechanisms in place of the usual ones.
    #[must_use]
    pub fn offer(mut self, offer: Offer) -> Self {
        self.offer = offer;
        self
    }

    /// With its logins told to `recorder`.
    #[must_use]
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = recorder;
        self
    }

    /// Holding accounts to the quotas that `directory` has for them.
    #[must_use]
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// With these rules told of what clients change (RFC 6785), and `intake` to take
    /// the mail that comes of them; without one there is none.
    #[must_use]
    pub fn ruled(mut self, rules: Arc<dyn MailboxRules>, intake: Option<Arc<Intake>>) -> Self {
        self.ruled = Some(Ruled { rules, intake });
        self
    }

    /// The machine and its host for one connection.
    pub fn session(&self, connection: &Connection) -> (Session, SessionHost) {
        let transport = if connection.is_private() {
            Transport::Tls
        } else if connection.offers_starttls() {
            Transport::PlainWithStartTls
        } else {
            Transport::Plain
        };
        let peer = Peer {
            address: connection.peer.map(|peer| peer.ip()),
            transport,
        };
        let session = Session::new(Arc::clone(&self.config), self.storage.abilities(), peer)
            .offering(self.offer.now(&*self.authenticator), connection.tls.clone());
        let host = SessionHost::new(
            Arc::clone(&self.storage),
            Arc::clone(&self.commit),
            Arc::clone(&self.authenticator),
            Arc::clone(&connection.clock),
        )
        .telling(SessionEvents::new(
            self.recorder.clone(),
            PROTOCOL,
            connection.peer,
            connection.meter.clone(),
        ));
        let host = match &self.directory {
            Some(directory) => host.directory(Arc::clone(directory)),
            None => host,
        };
        let host = match &self.ruled {
            Some(ruled) => host.ruled(Arc::clone(&ruled.rules), ruled.intake.clone()),
            None => host,
        };
        (session, host)
    }
}

#[async_trait]
impl Service for ImapServer {
    fn protocol(&self) -> &'static str {
        PROTOCOL
    }

    async fn serve(&self, connection: Connection) {
        let peer = connection.peer;
        let (session, host) = self.session(&connection);
        match drive(session, host, connection).await {
            Ending::Closed => {}
            Ending::Broken(error) => tracing::debug!(?peer, %error, "imap connection broke"),
            ending => tracing::info!(?peer, ?ending, "imap connection ended"),
        }
    }

    fn denied(&self) -> &'static [u8] {
        b"* BYE You may not connect here\r\n"
    }

    fn busy(&self) -> &'static [u8] {
        b"* BYE [LIMIT] Too many connections; try again later\r\n"
    }
}

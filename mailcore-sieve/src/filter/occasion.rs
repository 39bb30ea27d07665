//! What a session's script is run for, and what it may know of it.

use mailcore::address::{Address, Domain, ReversePath};
use mailcore::plan::Stage;
use mailcore::seams::FilterSession;
use mailcore::time::Timestamp;

use crate::engine::{Environment, Event};

/// A moment of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub(super) event: Event,
    pub(super) session: &'a FilterSession,
    pub(super) from: Option<&'a ReversePath>,
    pub(super) to: Option<&'a Address>,
}

impl<'a> Occasion<'a> {
    pub(super) fn new(event: Event, session: &'a FilterSession) -> Self {
        Self {
            event,
            session,
            from: None,
            to: None,
        }
    }

    pub(super) fn from(mut self, from: &'a ReversePath) -> Self {
        self.from = Some(from);
        self
    }

    pub(super) fn to(mut self, to: Option<&'a Address>) -> Self {
        self.to = to;
        self
    }

    /// When what a script said was found.
    pub(super) fn stage(&self) -> Stage {
        match self.event {
            Event::Connect => Stage::Connect,
            Event::Helo => Stage::Helo,
            Event::Auth => Stage::Auth,
            Event::Mail => Stage::Mail,
            Event::Rcpt => Stage::Rcpt,
            Event::Data | Event::Delivery | Event::Imap => Stage::Content,
        }
    }

    /// The surroundings of a run. `ip "ssl"` and `ip "known"` are told by items.
    pub(super) fn environment(&self, hostname: &Domain, now: Timestamp) -> Environment {
        let mut environment = Environment::new(self.event);
        let session = self.session;
        environment.now = now.secs();
        environment.host = hostname.to_string();
        environment.domain.clone_from(&environment.host);
        environment.session.ip = session.peer.map(|peer| peer.ip().to_canonical());
        environment.session.helo.clone_from(&session.helo);
        let identity = session.identity.as_ref();
        environment.envelope.auth = identity.map(|identity| identity.login.to_string());
        environment.envelope.from = self.from.map(|from| {
            let address = from.address();
            address.map(ToString::to_string).unwrap_or_default()
        });
        environment.envelope.to = self.to.map(ToString::to_string);
        let items = &mut environment.items;
        if let Some(tls) = &session.tls {
            items.push(("vnd.mailcore.tls".into(), tls.version.clone()));
        }
        if session.is_known() {
            items.push(("vnd.mailcore.known".into(), "yes".to_owned()));
        }
        environment
    }
}

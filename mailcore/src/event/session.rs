//! What is told of one session: who logged in, who was not let in, and when it
//! was over.

use std::net::{IpAddr, SocketAddr};

use super::{Event, EventName, Recorder};
use crate::account::Identity;
use crate::net::Meter;
use crate::seams::AuthError;

/// Tells of one connection's logins. Dropping it tells of the log-out, however
/// the connection ended.
#[derive(Debug)]
pub struct SessionEvents {
    recorder: Recorder,
    protocol: &'static str,
    peer: Option<IpAddr>,
    meter: Meter,
    /// The event of the login, until the log-out is told.
    open: Option<Event>,
}

impl SessionEvents {
    /// For a connection of `protocol` (`smtp`, `imap`, `pop3`) from `peer`, whose
    /// octets `meter` counts.
    pub fn new(
        recorder: Recorder,
        protocol: &'static str,
        peer: Option<SocketAddr>,
        meter: Meter,
    ) -> Self {
        Self {
            recorder,
            protocol,
            peer: peer.map(|peer| peer.ip().to_canonical()),
            meter,
            open: None,
        }
    }

    /// The connection's peer speaks for another client from now on.
    pub fn speak_for(&mut self, peer: Option<SocketAddr>) {
        self.peer = peer.map(|peer| peer.ip().to_canonical());
        self.meter.speaks_for(self.peer);
    }

    /// Somebody proved who it is. A second login on the connection ends the first.
    pub fn logged_in(&mut self, identity: &Identity) {
        self.logged_out();
        self.meter.logged_in(identity);
        let Some(mut event) = self.recorder.event(EventName::Login) else {
            return;
        };
        event.account = Some(identity.account.clone());
        // The event's own id names the session.
        let session = format!("{:032x}", event.id.0);
        let event = self
            .about(event)
            .with("session", session)
            .with("login", &identity.login);
        self.open = Some(event.clone());
        self.recorder.record(event);
    }

    /// Somebody was not let in. The name that was typed is not told: it may be a
    /// password that was typed in the wrong place.
    pub fn refused(&self, error: &AuthError) {
        let Some(event) = self.recorder.refusal(EventName::LoginFailed, self.peer) else {
            return;
        };
        self.recorder
            .record(self.about(event).with("status", error));
    }

    fn about(&self, event: Event) -> Event {
        let event = event.with("protocol", self.protocol);
        match self.peer {
            Some(peer) => event.with("peer", peer),
            None => event,
        }
    }

    /// The session of whoever logged in is over, though the connection may not
    /// be. Dropping this says so, too.
    pub fn logged_out(&mut self) {
        self.meter.logged_out();
        let Some(login) = self.open.take() else {
            return;
        };
        let Some(mut event) = self.recorder.event(EventName::Logout) else {
            return;
        };
        event.account = login.account;
        event.fields = login.fields;
        let event = event
            .with("started", login.at.millis())
            .with("octets_in", self.meter.received())
            .with("octets_out", self.meter.sent());
        self.recorder.record(event);
    }
}

impl Drop for SessionEvents {
    fn drop(&mut self) {
        self.logged_out();
    }
}

//! Decisions about mail on its way in.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::SessionMemory;
use crate::account::Identity;
use crate::address::{Address, ReversePath};
use crate::envelope::Envelope;
use crate::intake::SessionKind;
use crate::message::{Message, Summary};
use crate::plan::Plan;
use crate::status::Status;
use crate::wire::TlsInfo;

/// Looks at a session stage by stage. Every method has a default that lets
/// pass; a filter implements the one it is about.
///
/// Filters run before the 250, under a deadline that intake sets; a filter
/// whose future is dropped has said nothing. An error inside a filter is the
/// filter's own to turn into a verdict: by default it lets pass.
#[async_trait]
pub trait Filter: Debug + Send + Sync {
    /// For logs and findings: `access-list`.
    fn name(&self) -> &str;

    /// A peer has connected.
    async fn connect(&self, _session: &FilterSession) -> Verdict {
        Verdict::Continue
    }

    /// It has greeted: `session.helo` is set.
    async fn helo(&self, _session: &FilterSession) -> Verdict {
        Verdict::Continue
    }

    /// It has authenticated: `session.identity` is set.
    async fn auth(&self, _session: &FilterSession) -> Verdict {
        Verdict::Continue
    }

    /// MAIL names the sender.
    async fn mail(&self, _session: &FilterSession, _reverse_path: &ReversePath) -> Verdict {
        Verdict::Continue
    }

    /// RCPT names a recipient.
    async fn rcpt(
        &self,
        _session: &FilterSession,
        _reverse_path: &ReversePath,
        _recipient: &Address,
    ) -> Verdict {
        Verdict::Continue
    }

    /// DATA is asked for; the recipients are known.
    async fn data(&self, _session: &FilterSession, _envelope: &Envelope) -> Verdict {
        Verdict::Continue
    }

    /// The message is here. Changes the plan made by the filters before it.
    async fn message(&self, _session: &FilterSession, _mail: &IncomingMail<'_>, _plan: &mut Plan) {}

    /// The peer is gone.
    async fn disconnect(&self, _session: &FilterSession) {}
}

/// A message that has arrived and is not accepted yet.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct IncomingMail<'a> {
    /// From whom, to whom.
    pub envelope: &'a Envelope,
    /// The octets, our Received field on top.
    pub message: &'a Message,
    /// Header fields and structure.
    pub summary: &'a Summary,
}

impl<'a> IncomingMail<'a> {
    /// A message as intake shows it.
    pub fn new(envelope: &'a Envelope, message: &'a Message, summary: &'a Summary) -> Self {
        Self {
            envelope,
            message,
            summary,
        }
    }
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterSession {
    /// The peer; `None` for mail from inside the process.
    pub peer: Option<SocketAddr>,
    /// The name it gave in HELO or EHLO.
    pub helo: Option<String>,
    /// Whom it proved to be.
    pub identity: Option<Identity>,
    /// Its TLS.
    pub tls: Option<TlsInfo>,
    /// Whether it is a host of the house.
    pub trust: Trust,
    /// Which door it came through.
    pub door: SessionKind,
    /// What filters remember of it.
    pub memory: SessionMemory,
}

/// Whether a peer may do without a login what others may not: relay, ask the
/// queue to start, raise a priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// Anybody.
    #[default]
    Stranger,
    /// A host that the configuration names, or a peer of a listener for such
    /// hosts alone.
    Trusted,
}

impl FilterSession {
    /// A session of which only the peer is known, at the door for mail from any
    /// server.
    pub fn new(peer: Option<SocketAddr>) -> Self {
        Self {
            peer,
            helo: None,
            identity: None,
            tls: None,
            trust: Trust::Stranger,
            door: SessionKind::Mx,
            memory: SessionMemory::default(),
        }
    }

    /// Through another door.
    #[must_use]
    pub fn through(mut self, door: SessionKind) -> Self {
        self.door = door;
        self
    }

    /// True when it proved who it is, or is trusted.
    pub fn is_known(&self) -> bool {
        self.identity.is_some() || self.trust == Trust::Trusted
    }
}

/// What a filter says at a stage.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing against it.
    Continue,
    /// Good: skip the rest of the filters at this stage.
    Accept,
    /// Go on, after a pause.
    Delay(Duration),
    /// Not now.
    Defer(Status),
    /// No.
    Reject(Status),
    /// No, and close the connection.
    Disconnect(Status),
}

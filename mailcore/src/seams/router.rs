//! Where mail for an address goes.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use crate::account::AccountId;
use crate::address::{Address, Domain, ReversePath};
use crate::mailbox::MailboxName;
use crate::seams::{Demands, QuotaLimit};
use crate::status::Status;

/// Decides where an address leads. Asked at RCPT and again at each delivery
/// attempt, so that changes take effect on queued mail. May look into the
/// directory; asks no remote host.
#[async_trait]
pub trait Router: Debug + Send + Sync {
    /// The route of an address.
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError>;

    /// What a message must be like to be taken for an address. Asked at RCPT;
    /// an address that nobody demands anything for has the default. A router
    /// over another one passes this on.
    async fn demands(&self, address: &Address) -> Result<Demands, RouteError> {
        let _ = address;
        Ok(Demands::default())
    }

    /// As whom a message of this sender is handed to another host when an
    /// address of ours sends it on there: notices must find back, and the
    /// sender's domain names the hosts that may use it (RFC 7208 section 2.4).
    /// A router over another one passes this on.
    async fn forwarded_sender(&self, sender: &ReversePath) -> Result<ReversePath, RouteError> {
        Ok(sender.clone())
    }
}

/// What a route is asked for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RouteQuery<'a> {
    /// Whose route.
    pub address: &'a Address,
    /// From whom the mail is, where a message is at hand: some senders' mail
    /// goes by a host of their own.
    pub reverse_path: Option<&'a ReversePath>,
    /// Who wrote it: some addresses are for some senders only.
    pub writer: Writer<'a>,
}

/// Who wrote a message, as far as the session shows in which it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Writer<'a> {
    /// The message was let in before: who may write is not asked again.
    #[default]
    Admitted,
    /// Nobody knows: its sender is what the peer says.
    Stranger,
    /// An account that logged in, whose sender was checked.
    Account(&'a AccountId),
    /// A host of the house, or this process.
    House,
}

impl<'a> RouteQuery<'a> {
    /// For mail from anybody.
    pub fn new(address: &'a Address) -> Self {
        Self {
            address,
            reverse_path: None,
            writer: Writer::Admitted,
        }
    }

    /// For mail from this sender.
    #[must_use]
    pub fn from_sender(mut self, reverse_path: &'a ReversePath) -> Self {
        self.reverse_path = Some(reverse_path);
        self
    }

    /// For mail that this one wrote.
    #[must_use]
    pub fn written_by(mut self, writer: Writer<'a>) -> Self {
        self.writer = writer;
        self
    }
}

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// A mailbox here.
    Mailbox {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: MailboxName,
        /// What the account may hold.
        quota: QuotaLimit,
    },
    /// An agent takes it.
    Agent {
        /// The name the agent was registered under: `smtp`, `hook:orders`.
        agent: Arc<str>,
        /// Where the agent takes it.
        next_hop: NextHop,
    },
    /// The agent `list` takes it, out of the queue: a distribution list, or an
    /// address that belongs to one.
    List {
        /// The list.
        list: Address,
    },
    /// Other addresses stand for this one.
    Expand {
        /// Which. Routed in their turn, up to a depth.
        to: Vec<Address>,
    },
    /// One place takes it, and others get a copy: an account that passes its
    /// mail on and keeps it, an address that is watched.
    Copied {
        /// A mailbox or an agent.
        route: Box<Route>,
        /// Who gets copies. Routed in their turn.
        to: Vec<Address>,
    },
    /// Nobody gets it, and the sender is told so.
    Refused {
        /// In these words.
        status: Status,
    },
    /// Nobody gets it, and the sender is not told.
    Discarded,
    /// The domain is ours and the address is not there.
    Unknown,
    /// The domain is not ours: for senders that may relay.
    Remote {
        /// The agent that reaches it.
        agent: Arc<str>,
        /// Where it is handed over.
        next_hop: NextHop,
    },
    /// The domain is not ours, and nothing is sent to this address: senders that
    /// may relay are told so, others only that they may not.
    Withheld {
        /// In these words.
        status: Status,
    },
}

/// The next host of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NextHop {
    /// Whatever the MX records of this domain say (RFC 5321 section 5).
    Mx(Domain),
    /// This host, whatever MX says: a smart host or an internal server.
    Host {
        /// Name or address literal.
        host: Domain,
        /// Port.
        port: u16,
    },
    /// No other host: the agent itself is the end.
    Local,
}

/// Why no route could be found now; the message waits.
#[derive(Debug, Clone, Error)]
#[error("the directory does not answer: {0}")]
pub struct RouteError(pub String);

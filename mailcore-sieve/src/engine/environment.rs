//! What a script may know beside the message and without asking.

use std::net::IpAddr;
use std::sync::Arc;

/// The surroundings of a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Environment {
    /// When the script runs.
    pub event: Event,
    /// From whom and to whom; there is none before MAIL, nor in IMAP.
    pub envelope: Envelope,
    /// The peer's session, where there is one.
    pub session: Session,
    /// The account's own addresses, the first being its primary one; vacation
    /// answers mail to these (RFC 5230 section 4.5) and looks like the first.
    pub addresses: Vec<String>,
    /// Seconds since 1970, UTC.
    pub now: i64,
    /// Minutes that local time is ahead of UTC (RFC 5260).
    pub utc_offset: i32,
    /// The character between a user and a detail (RFC 5233).
    pub separator: char,
    /// The mailbox that keep files to.
    pub inbox: String,
    /// The flags that the message has: of one that lies in a mailbox (RFC 6785
    /// section 2.2.3).
    pub flags: Vec<String>,
    /// This server's domain: `domain` of RFC 5183, and in what it writes.
    pub domain: String,
    /// `host` of RFC 5183.
    pub host: String,
    /// How spam-like the message is, from 0 to 1; `None` for not tested
    /// (RFC 5235).
    pub spam: Option<f32>,
    /// What the virus test said, from 1 (clean) to 5 (infected); `None` for not
    /// tested.
    pub virus: Option<u8>,
    /// More items of the `environment` test by name, `imap.user` and
    /// `vnd.mailcore.*`.
    pub items: Vec<(Arc<str>, String)>,
}

impl Environment {
    /// The surroundings of a delivery, of which nothing is known.
    pub fn new(event: Event) -> Self {
        Self {
            event,
            envelope: Envelope::default(),
            session: Session::default(),
            addresses: Vec::new(),
            now: 0,
            utc_offset: 0,
            separator: '+',
            inbox: "INBOX".into(),
            flags: Vec::new(),
            domain: String::new(),
            host: String::new(),
            spam: None,
            virus: None,
            items: Vec::new(),
        }
    }
}

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Event {
    /// The peer has connected.
    Connect,
    /// It has greeted.
    Helo,
    /// It has authenticated.
    Auth,
    /// MAIL names the sender.
    Mail,
    /// RCPT names a recipient.
    Rcpt,
    /// The message is here and not accepted yet.
    Data,
    /// A recipient's copy is filed.
    Delivery,
    /// A client adds a message to a mailbox or changes one there (RFC 6785).
    Imap,
}

impl Event {
    /// All, in their order.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Helo,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Delivery,
        Self::Imap,
    ];

    /// `connect`, `helo`, ...
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Helo => "helo",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Delivery => "delivery",
            Self::Imap => "imap",
        }
    }

    /// The event of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }
}

/// The envelope, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Envelope {
    /// `user@domain`; empty for nobody (`<>`).
    pub from: Option<String>,
    /// The recipient that this run is for.
    pub to: Option<String>,
    /// The login, where the sender proved who he is.
    pub auth: Option<String>,
    /// ENVID and RET (RFC 3461), for `envelope-dsn` (RFC 6009).
    pub envid: Option<String>,
    /// As RET says: `FULL`, `HDRS`.
    pub ret: Option<String>,
    /// As NOTIFY says: `SUCCESS,FAILURE`.
    pub notify: Option<String>,
    /// As ORCPT says.
    pub orcpt: Option<String>,
}

/// What is known of the peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Session {
    /// Its address.
    pub ip: Option<IpAddr>,
    /// Its name by DNS, confirmed; empty where it has none.
    pub host: Option<String>,
    /// What it said in HELO or EHLO.
    pub helo: Option<String>,
}

//! The SMTP envelope: who a message is from, whom it is for, and what was asked
//! for it on the way (RFC 5321, RFC 3461, RFC 6152, RFC 6531).
//!
//! The message's own header says nothing here: an [`Envelope`] is all that
//! decides where mail goes.

use crate::address::{Address, ReversePath};
use crate::time::Timestamp;

/// Who a message is from and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Where failure notices go.
    pub reverse_path: ReversePath,
    /// What MAIL asked for.
    pub params: MailParams,
    /// For whom.
    pub recipients: Vec<Recipient>,
}

impl Envelope {
    /// An envelope without recipients or parameters.
    pub fn from_sender(reverse_path: ReversePath) -> Self {
        Self {
            reverse_path,
            params: MailParams::default(),
            recipients: Vec::new(),
        }
    }

    /// An envelope for plain recipients.
    pub fn new(reverse_path: ReversePath, recipients: impl IntoIterator<Item = Address>) -> Self {
        Self {
            recipients: recipients.into_iter().map(Recipient::new).collect(),
            ..Self::from_sender(reverse_path)
        }
    }
}

/// Parameters of MAIL that stay with the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MailParams {
    /// `SIZE=`: octets the client announces (RFC 1870).
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152, RFC 3030).
    pub body: BodyType,
    /// `SMTPUTF8` (RFC 6531 section 3.4).
    pub smtputf8: bool,
    /// `REQUIRETLS` (RFC 8689).
    pub require_tls: bool,
    /// `RET=` (RFC 3461 section 4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded from xtext (RFC 3461 section 4.4).
    pub envelope_id: Option<String>,
    /// `HOLDFOR=`, `HOLDUNTIL=`: not sent on before (RFC 4865).
    pub hold_until: Option<Timestamp>,
    /// `BY=` (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// `MT-PRIORITY=` (RFC 6710).
    pub priority: Priority,
}

/// When a message is to have arrived, and what then (RFC 2852 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverBy {
    /// The deadline; may be past in mode [`ByMode::Notify`].
    pub deadline: Timestamp,
    /// What happens then.
    pub mode: ByMode,
    /// `T`: the sender wants to hear of each relay (RFC 2852 section 4.1.3).
    pub trace: bool,
}

/// What becomes of a message at its deadline (RFC 2852 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByMode {
    /// `R`: it is returned.
    Return,
    /// `N`: the sender is told that it is late, and it goes on.
    Notify,
}

/// How urgent a message is, from -9 to 9 (RFC 6710 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(i8);

impl Priority {
    /// As mail is when nothing is said.
    pub const NORMAL: Self = Self(0);

    /// `None` outside of -9 to 9.
    pub const fn new(value: i8) -> Option<Self> {
        match value {
            -9..=9 => Some(Self(value)),
            _ => None,
        }
    }

    /// The number; greater is more urgent.
    pub const fn value(self) -> i8 {
        self.0
    }
}

/// What the content is made of (RFC 6152 section 3, RFC 3030 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyType {
    /// Lines of ASCII.
    #[default]
    SevenBit,
    /// Lines of octets.
    EightBitMime,
    /// Any octets.
    BinaryMime,
}

/// How much of the message a failure notice returns (RFC 3461 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ret {
    /// `FULL`: all of it.
    Full,
    /// `HDRS`: its header.
    Headers,
}

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Where this copy goes now.
    pub address: Address,
    /// `NOTIFY=` (RFC 3461 section 4.1).
    pub notify: Notify,
    /// `ORCPT=`: the address the sender wrote (RFC 3461 section 4.2).
    pub original: Option<OriginalRecipient>,
}

impl Recipient {
    /// A recipient without parameters.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            notify: Notify::default(),
            original: None,
        }
    }
}

/// When the sender wants a notice (RFC 3461 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify {
    /// On delivery.
    pub success: bool,
    /// On failure.
    pub failure: bool,
    /// On delay.
    pub delay: bool,
    /// True when the sender said so, and did not leave it to the servers: it is
    /// said to the next one, too (RFC 3461 section 5.2.1).
    pub asked: bool,
}

impl Notify {
    /// `NEVER`.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
        asked: true,
    };
}

/// Without `NOTIFY=`: on failure, and on delay as the server likes.
impl Default for Notify {
    fn default() -> Self {
        Self {
            success: false,
            failure: true,
            delay: true,
            asked: false,
        }
    }
}

/// `addr-type ";" xtext`, decoded (RFC 3461 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalRecipient {
    /// `rfc822`, `utf-8`.
    pub address_type: String,
    /// The address as the sender gave it.
    pub address: String,
}

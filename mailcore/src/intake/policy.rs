//! What an operator decides about mail on its way in: who is trusted, who may
//! relay, what submitted mail must look like.

use std::sync::Arc;

use crate::abuse::Tarpit;
use crate::access::{Shield, TrustedHosts};
use crate::plan::QuarantinePlace;

/// Octets of a header unless another limit is set.
const HEADER: u64 = 256 * 1_024;

/// Decisions about mail on its way in, each with a safe default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IntakePolicy {
    /// Hosts that may relay without a login; by default nobody.
    pub trusted: Option<Arc<TrustedHosts>>,
    /// The logins that may relay on listeners for mail from other servers;
    /// `None` for all.
    pub relay_logins: Option<Vec<String>>,
    /// Senders' domains whose mail comes from known addresses alone.
    pub shields: Vec<Shield>,
    /// How strangers that name many recipients are slowed down; not at all by
    /// default.
    pub tarpit: Option<Tarpit>,
    /// What is done about a From field that is not the sender's.
    pub from: ForeignFrom,
    /// Octets that a message's header may have.
    pub header_size: u64,
    /// Whether events of messages hold what was said in their sessions.
    pub transcripts: Transcripts,
    /// The usual place for mail that comes in and is kept apart; by default the
    /// junk folder.
    pub quarantine: QuarantinePlace,
}

impl Default for IntakePolicy {
    fn default() -> Self {
        Self {
            trusted: None,
            relay_logins: None,
            shields: Vec::new(),
            tarpit: None,
            from: ForeignFrom::default(),
            header_size: HEADER,
            transcripts: Transcripts::default(),
            quarantine: QuarantinePlace::Folder,
        }
    }
}

impl IntakePolicy {
    /// True when this login may relay on a listener for mail from other
    /// servers.
    pub(super) fn login_may_relay(&self, login: &str) -> bool {
        self.relay_logins
            .as_ref()
            .is_none_or(|logins| logins.iter().any(|known| known.eq_ignore_ascii_case(login)))
    }
}

/// What is done about submitted mail whose From field names an address that is
/// not the sender's (RFC 6409 section 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ForeignFrom {
    /// It is refused.
    #[default]
    Refuse,
    /// It gets a Sender field that names who sent it.
    AddSender,
}

/// Whether events tell what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transcripts {
    /// They do.
    #[default]
    Kept,
    /// They do not.
    LeftOut,
}

//! What the queue holds: a message on its way, for one or more recipients.

use std::fmt;
use std::sync::Arc;

use crate::address::{Domain, ReversePath};
use crate::envelope::{MailParams, Priority, Recipient};
use crate::event::TraceId;
use crate::message::Message;
use crate::plan::Finding;
use crate::status::{EnhancedStatusCode, Failure, Outcome, Status};
use crate::time::Timestamp;

mod codec;
mod findings;

pub use codec::{decode_entry, decode_params, decode_progress};
pub(crate) use findings::kept_findings;

/// By how much each step of priority lets an entry pass those due before it.
/// One of the lowest priority so waits three hours at most for a flood of the
/// highest (RFC 6710 section 1: priority orders a queue, it starves nobody).
const PRIORITY_STEP_MS: i64 = 10 * 60 * 1_000;
/// By how much an entry never tried passes those that were: these waited for
/// hours mostly for hosts that do not answer, and a crowd of them falls due at
/// once when a server starts.
const FIRST_AHEAD_MS: i64 = 4 * 60 * 60 * 1_000;

/// Names an entry; later entries have greater ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u128);

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for QueueId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// Where queued mail came from. A copy that goes on to others came from where its
/// original did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// By SMTP or LMTP, from whoever it is; also from one who logged in at the
    /// door for other servers, where nobody is asked whose From it is.
    Received,
    /// By submission, or from a host of the house: mail that this server vouches
    /// for.
    Submitted,
    /// From the host application.
    Host,
    /// Written by this server: a notice, an autoreply.
    Server,
}

/// A message on its way. All but [`QueueEntry::progress`] never changes.
#[derive(Debug, Clone)]
pub struct QueueEntry {
    /// Its name.
    pub id: QueueId,
    /// Its track through the server.
    pub trace: TraceId,
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// What MAIL asked for.
    pub params: MailParams,
    /// Where it came from.
    pub origin: Origin,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The octets to send.
    pub message: Message,
    /// What the filters found when it came: the first of it, without the details.
    pub findings: Arc<[Finding]>,
    /// What is left to do.
    pub progress: QueueProgress,
}

/// What is to become of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// Tried when it is due. Only such an entry is ever leased.
    Waiting,
    /// Kept from being tried until an operator or a filter releases it.
    Held,
    /// Can be neither delivered nor returned: a loop, a notice that failed,
    /// attempts that end the program. Waits for an operator.
    Bad {
        /// Why, for the operator.
        reason: String,
        /// When it goes if the operator does nothing.
        until: Timestamp,
    },
    /// Done with: a copy of what was delivered, for those who look it up.
    Kept {
        /// When the copy goes.
        until: Timestamp,
    },
    /// Kept apart for its recipients or an administrator to look at:
    /// the quarantine alone changes it.
    Quarantined,
}

impl EntryState {
    /// Which of them.
    pub const fn kind(&self) -> EntryStateKind {
        match self {
            Self::Waiting => EntryStateKind::Waiting,
            Self::Held => EntryStateKind::Held,
            Self::Bad { .. } => EntryStateKind::Bad,
            Self::Kept { .. } => EntryStateKind::Kept,
            Self::Quarantined => EntryStateKind::Quarantined,
        }
    }
}

/// An [`EntryState`] without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryStateKind {
    /// [`EntryState::Waiting`].
    Waiting,
    /// [`EntryState::Held`].
    Held,
    /// [`EntryState::Bad`].
    Bad,
    /// [`EntryState::Kept`].
    Kept,
    /// [`EntryState::Quarantined`].
    Quarantined,
}

impl EntryStateKind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Held,
        Self::Bad,
        Self::Kept,
        Self::Quarantined,
    ];

    /// Its word: `waiting`, `held`, `bad`, `kept`, `quarantined`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Bad => "bad",
            Self::Kept => "kept",
            Self::Quarantined => "quarantined",
        }
    }

    /// The number in which stores keep it.
    pub const fn number(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Held => 1,
            Self::Bad => 2,
            Self::Kept => 3,
            Self::Quarantined => 4,
        }
    }

    /// True for what is on its way, or may be again by an operator's word on the
    /// queue; not for copies, nor for what is in quarantine.
    pub const fn is_queued(self) -> bool {
        matches!(self, Self::Waiting | Self::Held | Self::Bad)
    }

    /// Undoes [`EntryStateKind::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

impl fmt::Display for EntryStateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The changing part of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueProgress {
    /// The recipients not done with.
    pub recipients: Vec<QueueRecipient>,
    /// The recipients done with, where a copy of the message will be kept.
    pub done: Vec<DoneRecipient>,
    /// When to try next.
    pub next_attempt: Timestamp,
    /// When to give up.
    pub expires_at: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// The last attempts that ended in a panic, one after the other.
    pub broken: u32,
    /// What is to become of it.
    pub state: EntryState,
    /// True once the sender was told of the delay.
    pub delay_told: bool,
}

impl QueueProgress {
    /// An entry not tried yet, waiting.
    pub fn new(
        recipients: impl IntoIterator<Item = Recipient>,
        next_attempt: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            recipients: recipients.into_iter().map(QueueRecipient::new).collect(),
            done: Vec::new(),
            next_attempt,
            expires_at,
            attempts: 0,
            broken: 0,
            state: EntryState::Waiting,
            delay_told: false,
        }
    }

    /// The same in another state.
    pub fn in_state(self, state: EntryState) -> Self {
        Self { state, ..self }
    }

    /// About how many octets it takes written down, and rather more than less.
    /// Each recipient's words count: a message for tens of thousands is one
    /// batch, and what is said of each is mostly short.
    pub fn octets(&self) -> usize {
        let who = |recipient: &Recipient| {
            let original = recipient.original.as_ref();
            let original = original.map_or(0, |it| it.address_type.len() + it.address.len());
            let address = &recipient.address;
            64 + address.local_part().len() + address.domain().as_str().len() + original
        };
        let said = |status: &Status, remote: Option<&Domain>| {
            64 + status.text.len() + remote.map_or(0, |it| it.as_str().len())
        };
        let left = self.recipients.iter().map(|it| {
            let failure = it.last_failure.as_ref();
            let failure = failure.map_or(0, |failure| {
                let words = failure.said.as_ref().map_or(0, String::len);
                words + said(&failure.status, failure.remote.as_ref())
            });
            who(&it.recipient) + failure
        });
        let done =
            (self.done.iter()).map(|it| who(&it.recipient) + said(&it.status, it.remote.as_ref()));
        left.chain(done).sum()
    }

    /// The moment by which stores sort it within its state: when it is due, or
    /// when it goes.
    pub fn due(&self) -> Timestamp {
        match self.state {
            EntryState::Kept { until } | EntryState::Bad { until, .. } => until,
            _ => self.next_attempt,
        }
    }
}

/// What besides its time decides about the turn of a waiting entry: its priority,
/// and whether it was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Urgency(i8);

impl Urgency {
    /// Of an entry of this priority after so many attempts.
    pub fn new(priority: Priority, attempts: u32) -> Self {
        // -18 to 19: a priority is -9 to 9.
        Self(priority.value() * 2 + i8::from(attempts == 0))
    }

    /// True before the first attempt.
    pub const fn is_first(self) -> bool {
        self.0.rem_euclid(2) == 1
    }

    /// The number in which stores keep it; the greater goes first.
    pub const fn number(self) -> i8 {
        self.0
    }

    /// Undoes [`Urgency::number`].
    pub const fn from_number(number: i8) -> Self {
        Self(number)
    }

    /// The place among those that are due: the least goes first. The more urgent
    /// passes the less urgent, but not one that has been due much longer.
    pub fn rank(self, due: Timestamp) -> i64 {
        let first = i64::from(self.is_first()) * FIRST_AHEAD_MS;
        let ahead = i64::from(self.0.div_euclid(2)) * PRIORITY_STEP_MS;
        due.millis().saturating_sub(ahead.saturating_add(first))
    }
}

/// A recipient and what its last attempt said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueRecipient {
    /// Who.
    pub recipient: Recipient,
    /// Why the last attempt failed, if there was one.
    pub last_failure: Option<Failure>,
}

impl QueueRecipient {
    /// A recipient not tried yet.
    pub fn new(recipient: Recipient) -> Self {
        Self {
            recipient,
            last_failure: None,
        }
    }
}

/// A recipient that needs no further attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DoneRecipient {
    /// Who.
    pub recipient: Recipient,
    /// How it ended.
    pub ended: Ended,
    /// When.
    pub at: Timestamp,
    /// What was said.
    pub status: Status,
    /// The host that said it, if one did.
    pub remote: Option<Domain>,
    /// That host's reply code.
    pub reply_code: Option<u16>,
}

/// How a recipient ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// In a mailbox here.
    Delivered,
    /// Taken by another host.
    Relayed,
    /// Replaced by others.
    Expanded,
    /// Given up.
    Failed,
}

impl Ended {
    /// Its word: `delivered`, `relayed`, `expanded`, `failed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
            Self::Failed => "failed",
        }
    }
}

impl DoneRecipient {
    /// What an attempt that ended with `outcome` leaves. `None` for an outcome
    /// after which the recipient is tried again.
    pub fn of(recipient: Recipient, outcome: &Outcome, at: Timestamp) -> Option<Self> {
        let success = |text| Status::new(EnhancedStatusCode::success(0, 0), text);
        let (ended, status, remote) = match outcome {
            Outcome::Delivered => (Ended::Delivered, success("delivered"), None),
            Outcome::Relayed { remote, reply, .. } => {
                (Ended::Relayed, reply.clone(), Some(remote.clone()))
            }
            Outcome::Expanded { .. } => (Ended::Expanded, success("expanded"), None),
            Outcome::Failed(failure) => (
                Ended::Failed,
                failure.status.clone(),
                failure.remote.clone(),
            ),
            Outcome::Deferred(_) | Outcome::Unreachable(_) => return None,
        };
        Some(Self {
            recipient,
            ended,
            at,
            status,
            remote,
            reply_code: match outcome {
                Outcome::Relayed { reply_code, .. } => Some(*reply_code),
                Outcome::Failed(failure) => failure.reply_code,
                _ => None,
            },
        })
    }
}

#[cfg(test)]
mod tests;

//! What a recipient's own rules make of a message.

use std::fmt::Debug;
use std::sync::LazyLock;

use async_trait::async_trait;
use bytes::Bytes;

use super::{FilterSession, StateKey};
use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::StateChange;
use crate::envelope::{MailParams, Recipient};
use crate::event::TraceId;
use crate::mailbox::{Flags, MailboxName};
use crate::message::{Message, Summary};
use crate::plan::{Action, Finding};
use crate::time::Timestamp;

/// Message and recipient in, a ruling out.
///
/// Asked once for each attempt to file a recipient's copy: before the reply, or by
/// the queue. Rules may read what they like; they change nothing themselves but
/// say what is to change ([`Ruling::state`]), so that an attempt that fails leaves
/// nothing behind. *Errors* are [`Ruling::failed`]: the mail is kept. *Cost*: mail
/// waits for the answer, and an account without rules is asked for as well.
#[async_trait]
pub trait Rules: Debug + Send + Sync {
    /// What is to become of this copy.
    async fn evaluate(&self, input: &RulesInput<'_>) -> Ruling;
}

/// What rules may look at.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RulesInput<'a> {
    /// Whose rules.
    pub account: &'a AccountId,
    /// The mailbox that the copy is kept in unless rules say otherwise.
    pub mailbox: &'a MailboxName,
    /// From whom, by the envelope.
    pub reverse_path: &'a ReversePath,
    /// To whom: the account's address that the mail was led to.
    pub recipient: &'a Address,
    /// The recipient as the sender named it, with NOTIFY and ORCPT: another
    /// address than `recipient` where an alias led here. None where that is not
    /// known.
    pub named: Option<&'a Recipient>,
    /// The parameters of MAIL.
    pub params: &'a MailParams,
    /// The octets as they will be filed: Return-Path and Delivered-To on top.
    pub message: &'a Message,
    /// The message's structure.
    pub summary: &'a Summary,
    /// When this server accepted it.
    pub received_at: Timestamp,
    /// Its track through the server.
    pub trace: TraceId,
    /// What the filters found, as far as that is known here: mail that comes from
    /// the queue brings none.
    pub findings: &'a [Finding],
    /// The session that the mail comes in by; none for mail from the queue.
    pub session: Option<&'a FilterSession>,
}

static INBOX: LazyLock<MailboxName> = LazyLock::new(MailboxName::inbox);
static NO_PARAMS: LazyLock<MailParams> = LazyLock::new(MailParams::default);

impl<'a> RulesInput<'a> {
    /// A message of which no more is known than this.
    pub fn new(
        account: &'a AccountId,
        reverse_path: &'a ReversePath,
        recipient: &'a Address,
        message: &'a Message,
        summary: &'a Summary,
    ) -> Self {
        Self {
            account,
            mailbox: &INBOX,
            reverse_path,
            recipient,
            named: None,
            params: &NO_PARAMS,
            message,
            summary,
            received_at: Timestamp::from_millis(0),
            trace: TraceId(0),
            findings: &[],
            session: None,
        }
    }

    /// With what the envelope says beyond the addresses.
    #[must_use]
    pub fn with_envelope(self, params: &'a MailParams, named: Option<&'a Recipient>) -> Self {
        Self {
            params,
            named,
            ..self
        }
    }

    /// Kept in this mailbox unless rules say otherwise.
    #[must_use]
    pub fn into_mailbox(self, mailbox: &'a MailboxName) -> Self {
        Self { mailbox, ..self }
    }

    /// The message of this track, which came then.
    #[must_use]
    pub fn tracked(self, trace: TraceId, received_at: Timestamp) -> Self {
        Self {
            trace,
            received_at,
            ..self
        }
    }

    /// With what is known of how it came.
    #[must_use]
    pub fn with_session(self, session: Option<&'a FilterSession>, findings: &'a [Finding]) -> Self {
        Self {
            session,
            findings,
            ..self
        }
    }
}

/// What is to become of a recipient's copy, and what comes of it beside.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Ruling {
    /// What is done with the copy. None is implicit keep (RFC 5228 section
    /// 2.10.2); [`Action::Discard`] alone drops it. One [`Action::Reject`] refuses
    /// it, whatever stands beside it.
    pub actions: Vec<Action>,
    /// Mail that comes of it: answers, notices. Sent once the copy is filed, each
    /// in a batch of its own, and not at all where the copy is refused. Those
    /// beyond the first 16 are dropped.
    pub letters: Vec<Letter>,
    /// What says the refusal where `actions` refuse the copy and no reply can say
    /// it any more, since others have taken the message or it comes from the queue:
    /// the copy then counts as taken (RFC 5429 section 2.2). Without it the sender
    /// gets a notice that delivery failed (section 2.1).
    pub instead: Option<Letter>,
    /// What is to be remembered once the copy is filed.
    pub state: Vec<StateChange>,
    /// Why rules could not be carried through, for their owner: an event tells of
    /// it, and once a day a notice. `actions` count all the same.
    pub failed: Option<String>,
}

impl Ruling {
    /// Kept where mail is kept.
    pub fn keep() -> Self {
        Self::default()
    }

    /// These actions.
    pub fn actions(actions: impl Into<Vec<Action>>) -> Self {
        Self {
            actions: actions.into(),
            ..Self::default()
        }
    }

    /// Kept, since rules failed for this reason.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self {
            failed: Some(reason.into()),
            ..Self::default()
        }
    }

    /// With one more letter.
    #[must_use]
    pub fn with_letter(mut self, letter: Letter) -> Self {
        self.letters.push(letter);
        self
    }

    /// With this letter where the refusal can't be said in a reply.
    #[must_use]
    pub fn or_letter(mut self, letter: Letter) -> Self {
        self.instead = Some(letter);
        self
    }

    /// With this to be remembered.
    #[must_use]
    pub fn with_state(mut self, change: StateChange) -> Self {
        self.state.push(change);
        self
    }
}

impl From<Vec<Action>> for Ruling {
    fn from(actions: Vec<Action>) -> Self {
        Self::actions(actions)
    }
}

/// Mail that rules write. It enters the queue as the host's
/// ([`Origin::Host`](crate::queue::Origin::Host)).
///
/// Whoever writes one sees to it that letters do not answer one another (RFC 3834
/// section 2, RFC 5436 section 2.7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Letter {
    /// From whom, by the envelope. A letter from nobody that can't be delivered is
    /// dropped.
    pub reverse_path: ReversePath,
    /// To whom; none for a letter of which only the copy is wanted.
    pub recipients: Vec<Address>,
    /// The octets, with CRLF.
    pub message: Bytes,
    /// What keeps it from being sent again.
    pub once: Option<Once>,
    /// Where the owner of the rules gets a copy (RFC 8580).
    pub copy: Option<LetterCopy>,
}

impl Letter {
    /// A letter, sent each time.
    pub fn new(
        reverse_path: ReversePath,
        recipients: impl Into<Vec<Address>>,
        message: impl Into<Bytes>,
    ) -> Self {
        Self {
            reverse_path,
            recipients: recipients.into(),
            message: message.into(),
            once: None,
            copy: None,
        }
    }

    /// Sent only where `key` is absent from the state, which keeps it until then:
    /// of two messages at once one gets the letter.
    #[must_use]
    pub fn once(self, key: StateKey, until: Timestamp) -> Self {
        Self {
            once: Some(Once { key, until }),
            ..self
        }
    }

    /// With a copy for the owner of the rules.
    #[must_use]
    pub fn copied_to(self, copy: LetterCopy) -> Self {
        Self {
            copy: Some(copy),
            ..self
        }
    }
}

/// What keeps a letter from being sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Absent when it may be sent, there from then on.
    pub key: StateKey,
    /// Until when.
    pub until: Timestamp,
}

/// Where a copy of a letter is filed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LetterCopy {
    /// Where.
    pub mailbox: MailboxName,
    /// With these flags.
    pub flags: Flags,
    /// Make the mailbox when it is missing; else INBOX.
    pub create: bool,
}

impl LetterCopy {
    /// In this mailbox, without flags; in INBOX where it is missing.
    pub fn new(mailbox: MailboxName) -> Self {
        Self {
            mailbox,
            flags: Flags::NONE,
            create: false,
        }
    }
}

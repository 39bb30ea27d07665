//! The one way into a mailbox: a message, a recipient and its plan become
//! appends. Used by intake before the reply and by the mailbox agent alike.

use std::sync::Arc;

use bytes::Bytes;

use super::trace::{delivered_to_field, return_path};
use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{Append, DeliveryId, IfMissing};
use crate::event::TraceId;
use crate::mailbox::{Flags, MailboxName};
use crate::message::{HeaderWriter, Message, Summary};
use crate::plan::{Action, Disposition, Edit, RecipientPlan};
use crate::seams::{NewMessage, QuotaLimit, Rules, RulesInput};
use crate::status::Status;
use crate::time::Timestamp;

/// Where quarantined mail is filed.
const JUNK: &str = "Junk";

/// A message about to be filed.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its track.
    pub trace: TraceId,
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// The octets that all copies share.
    pub message: Message,
    /// The summary of `message`.
    pub summary: Arc<Summary>,
    /// When this server accepted it: INTERNALDATE.
    pub received_at: Timestamp,
    /// The addresses that it was delivered to before: its Delivered-To fields.
    pub delivered_to: Arc<[String]>,
}

impl Mail {
    /// True when a copy for `address` would go round in a loop of forwards.
    pub fn was_delivered_to(&self, address: &Address) -> bool {
        let address = address.to_string();
        self.delivered_to
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&address))
    }

    /// The prefix of this message with the fields that the plan adds before it.
    /// What else the plan edits is done before, by [`Mail::rewritten`].
    pub(super) fn edited(&self, edits: &[Edit]) -> Bytes {
        if edits.is_empty() {
            return self.message.prefix().clone();
        }
        let mut prefix = Vec::new();
        for edit in edits {
            let Edit::AddHeader { name, value } = edit else {
                continue;
            };
            let mut field = HeaderWriter::new();
            field.text(name, value);
            prefix.extend_from_slice(&field.finish());
        }
        prefix.extend_from_slice(self.message.prefix());
        prefix.into()
    }
}

/// Whose mailbox it goes to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MailboxTarget {
    /// The account.
    pub account: AccountId,
    /// The mailbox it goes to unless the plan says otherwise.
    pub mailbox: MailboxName,
    /// What the account may hold.
    pub quota: QuotaLimit,
    /// The address that led here.
    pub address: Address,
    /// Who gets a copy of what is filed, unless it is kept apart.
    pub copies: Vec<Address>,
}

/// Files mail.
#[derive(Debug, Clone, Copy)]
pub struct Filing<'a> {
    /// The recipients' own rules.
    pub rules: Option<&'a dyn Rules>,
}

/// What filing one copy comes to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Filed {
    /// To commit. Empty when the copy was discarded or only sent on.
    pub appends: Vec<Append>,
    /// Addresses that the recipient's rules send it on to, and those that get a
    /// copy.
    pub redirects: Vec<Address>,
    /// What to send there: it names the recipient, so that a loop is seen.
    pub forwarded: Option<Message>,
    /// Why the copy is refused; nothing else is done with it then.
    pub refused: Option<Status>,
}

impl Filed {
    fn refused(status: Status) -> Self {
        Self {
            refused: Some(status),
            ..Self::default()
        }
    }
}

impl Filing<'_> {
    /// What becomes of one copy of `mail`.
    pub fn file(&self, mail: &Mail, target: &MailboxTarget, plan: &RecipientPlan) -> Filed {
        if mail.was_delivered_to(&target.address) {
            return Filed::refused(Status::permanent(
                4,
                6,
                "the message was here before: it is in a loop of forwards",
            ));
        }
        let copy = Copy::new(mail, target, plan);
        match &plan.disposition {
            Disposition::Accept => {
                let mut filed = self.act(&copy, plan);
                if filed.refused.is_none() {
                    filed.redirects.extend(target.copies.iter().cloned());
                }
                if !filed.redirects.is_empty() {
                    filed.forwarded = Some(copy.forwarded(&plan.edits));
                }
                filed
            }
            Disposition::Quarantine(_) => {
                // A junk folder is made when it is missing; its name is a
                // constant that parses.
                let junk = MailboxName::parse(JUNK).unwrap_or_else(|_| MailboxName::inbox());
                Filed {
                    appends: vec![copy.append(0, junk, Flags::NONE, IfMissing::Create)],
                    ..Filed::default()
                }
            }
            Disposition::Discard => Filed::default(),
            Disposition::Reject(status) | Disposition::Defer(status) => {
                Filed::refused(status.clone())
            }
        }
    }

    /// Does what the plan says, or where it says nothing the recipient's rules.
    fn act(&self, copy: &Copy<'_>, plan: &RecipientPlan) -> Filed {
        let actions = match (plan.actions.as_slice(), self.rules) {
            ([], Some(rules)) => rules.evaluate(&RulesInput::new(
                &copy.target.account,
                &copy.mail.reverse_path,
                &copy.target.address,
                &copy.message,
                &copy.summary,
            )),
            (given, _) => given.to_vec(),
        };
        if actions.is_empty() {
            let inbox = copy.target.mailbox.clone();
            return Filed {
                appends: vec![copy.append(0, inbox, Flags::NONE, IfMissing::FileToInbox)],
                ..Filed::default()
            };
        }
        let mut filed = Filed::default();
        for (index, action) in actions.into_iter().enumerate() {
            match action {
                Action::File {
                    mailbox,
                    flags,
                    create,
                } => {
                    let if_missing = if create {
                        IfMissing::Create
                    } else {
                        IfMissing::FileToInbox
                    };
                    filed
                        .appends
                        .push(copy.append(index, mailbox, flags, if_missing));
                }
                Action::Redirect { to } => filed.redirects.push(to),
                Action::Discard => {}
                Action::Reject { reason } => {
                    return Filed::refused(Status::permanent(7, 1, reason));
                }
            }
        }
        filed
    }
}

/// One recipient's copy: the shared octets under a prefix of its own.
struct Copy<'a> {
    mail: &'a Mail,
    target: &'a MailboxTarget,
    message: Message,
    summary: Arc<Summary>,
}

impl<'a> Copy<'a> {
    fn new(mail: &'a Mail, target: &'a MailboxTarget, plan: &RecipientPlan) -> Self {
        let mut prefix = return_path(&mail.reverse_path).into_bytes();
        prefix.extend_from_slice(delivered_to_field(&target.address).as_bytes());
        prefix.extend_from_slice(&mail.edited(&plan.edits));
        let shift = prefix.len().saturating_sub(mail.message.prefix().len()) as u64;
        Self {
            mail,
            target,
            message: mail.message.with_prefix(prefix),
            summary: Arc::new(mail.summary.as_ref().clone().with_prefix(shift)),
        }
    }

    /// The message as it goes on to others: without the Return-Path, which is
    /// for the place where it stays (RFC 5321 section 4.4).
    fn forwarded(&self, edits: &[Edit]) -> Message {
        let mut prefix = delivered_to_field(&self.target.address).into_bytes();
        prefix.extend_from_slice(&self.mail.edited(edits));
        self.mail.message.with_prefix(prefix)
    }

    fn append(
        &self,
        index: usize,
        mailbox: MailboxName,
        flags: Flags,
        if_missing: IfMissing,
    ) -> Append {
        Append {
            account: self.target.account.clone(),
            mailbox,
            if_missing,
            message: NewMessage {
                message: self.message.clone(),
                summary: Arc::clone(&self.summary),
                flags,
                internal_date: self.mail.received_at,
            },
            delivery_id: Some(delivery_id(self.mail.trace, &self.target.address, index)),
            quota: self.target.quota,
            trace: self.mail.trace,
            recipient: Some(self.target.address.clone()),
        }
    }
}

/// Names the delivery of the message `trace` to `address` by its rules' action
/// `index`: equal when the same delivery is tried again after a crash.
pub fn delivery_id(trace: TraceId, address: &Address, index: usize) -> DeliveryId {
    // FNV-1a over 128 bits: not a secret, only a name that spreads well.
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    const TIME: u128 = !0 << 80;
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let folded = address.folded().to_string();
    let octets = trace
        .0
        .to_be_bytes()
        .into_iter()
        .chain(folded.bytes())
        .chain(index.to_be_bytes());
    let hash = octets.fold(START, |hash, octet| {
        (hash ^ u128::from(octet)).wrapping_mul(PRIME)
    });
    // The trace begins with its time, and so does the name: what a store keeps
    // by it grows at one end.
    DeliveryId(trace.0 & TIME | hash & !TIME)
}

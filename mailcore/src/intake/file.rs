//! The one way into a mailbox: a message, a recipient and its plan become
//! appends. Used by intake before the reply and by the mailbox agent alike.

use std::sync::Arc;

use super::trace::return_path;
use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{Append, DeliveryId, IfMissing};
use crate::event::TraceId;
use crate::mailbox::{Flags, MailboxName};
use crate::message::{Header, HeaderWriter, Message, Summary};
use crate::plan::{Action, Disposition, Edit, RecipientPlan};
use crate::seams::{NewMessage, Rules, RulesInput};
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
}

/// Whose mailbox it goes to.
#[derive(Debug, Clone)]
pub struct MailboxTarget {
    /// The account.
    pub account: AccountId,
    /// The mailbox it goes to unless the plan says otherwise.
    pub mailbox: MailboxName,
    /// Octets the account may hold.
    pub quota: Option<u64>,
    /// The address that led here.
    pub address: Address,
}

/// Files mail.
#[derive(Debug, Clone, Copy)]
pub struct Filing<'a> {
    /// The recipients' own rules.
    pub rules: Option<&'a dyn Rules>,
}

/// What filing one copy comes to.
#[derive(Debug, Default)]
pub struct Filed {
    /// To commit. Empty when the copy was discarded or only sent on.
    pub appends: Vec<Append>,
    /// Addresses that the recipient's rules send it on to.
    pub redirects: Vec<Address>,
    /// The recipient's rules refuse it.
    pub refused: Option<Status>,
}

impl Filing<'_> {
    /// What becomes of one copy of `mail`.
    pub fn file(&self, mail: &Mail, target: &MailboxTarget, plan: &RecipientPlan) -> Filed {
        let mut filed = Filed::default();
        let quarantined = match &plan.disposition {
            Disposition::Accept => false,
            Disposition::Quarantine { .. } => true,
            Disposition::Discard => return filed,
            Disposition::Reject(status) | Disposition::Defer(status) => {
                filed.refused = Some(status.clone());
                return filed;
            }
        };
        let copy = Copy::new(mail, target, plan);
        if quarantined {
            // A junk folder is made when it is missing; its name is a constant
            // that parses.
            let junk = MailboxName::parse(JUNK).unwrap_or_else(|_| MailboxName::inbox());
            filed
                .appends
                .push(copy.append(0, junk, Flags::NONE, IfMissing::Create));
            return filed;
        }
        let actions = match (plan.actions.as_slice(), self.rules) {
            ([], Some(rules)) => rules.evaluate(&RulesInput::new(
                &target.account,
                &mail.reverse_path,
                &target.address,
                &copy.message,
                &copy.summary,
            )),
            (given, _) => given.to_vec(),
        };
        if actions.is_empty() {
            filed.appends.push(copy.append(
                0,
                target.mailbox.clone(),
                Flags::NONE,
                IfMissing::FileToInbox,
            ));
        }
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
                Action::Reject { reason } => filed.refused = Some(Status::permanent(7, 1, reason)),
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
        prefix.extend_from_slice(format!("Delivered-To: {}\r\n", target.address).as_bytes());
        for Edit::AddHeader { name, value } in &plan.edits {
            let mut field = HeaderWriter::new();
            field.text(name, value);
            prefix.extend_from_slice(&field.finish());
        }
        prefix.extend_from_slice(mail.message.prefix());
        let shift = prefix.len().saturating_sub(mail.message.prefix().len()) as u64;
        Self {
            mail,
            target,
            message: mail.message.with_prefix(prefix),
            summary: Arc::new(mail.summary.as_ref().clone().with_prefix(shift)),
        }
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
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let folded = address.folded().to_string();
    let octets = trace
        .0
        .to_be_bytes()
        .into_iter()
        .chain(folded.bytes())
        .chain(index.to_be_bytes());
    DeliveryId(octets.fold(START, |hash, octet| {
        (hash ^ u128::from(octet)).wrapping_mul(PRIME)
    }))
}

/// True when the message was delivered to `address` before: the copy is in a
/// loop of forwards.
pub(super) fn is_delivered_to(head: &[u8], address: &Address) -> bool {
    let own = address.to_string();
    Header::new(head).all("Delivered-To").any(|field| {
        field
            .value()
            .trim_ascii()
            .eq_ignore_ascii_case(own.as_bytes())
    })
}

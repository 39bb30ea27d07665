//! One recipient's copy of a message, as it is filed and as it goes on.

use std::sync::Arc;

use super::form::Shape;
use super::trace::{delivered_to_field, return_path};
use super::{Mail, MailboxTarget};
use crate::address::Address;
use crate::batch::{Append, DeliveryId, IfMissing};
use crate::event::TraceId;
use crate::mailbox::{Flags, MailboxName};
use crate::message::{Message, Summary};
use crate::plan::RecipientPlan;
use crate::seams::NewMessage;

/// One recipient's copy: the shared octets under a prefix of its own.
pub(super) struct Copy<'a> {
    pub(super) mail: &'a Mail,
    pub(super) target: &'a MailboxTarget,
    /// As it is filed.
    pub(super) message: Message,
    pub(super) summary: Arc<Summary>,
    /// Without Return-Path and Delivered-To.
    pub(super) plain: Shape,
}

impl<'a> Copy<'a> {
    pub(super) fn new(mail: &'a Mail, target: &'a MailboxTarget, plan: &RecipientPlan) -> Self {
        let edited = mail.edited(&plan.edits);
        let shift = edited.len().saturating_sub(mail.message.prefix().len()) as u64;
        let plain = Shape {
            message: mail.message.with_prefix(edited),
            summary: match shift {
                0 => Arc::clone(&mail.summary),
                shift => Arc::new(mail.summary.as_ref().clone().with_prefix(shift)),
            },
        };
        let (message, summary) = owned(mail, target, &plain);
        Self {
            mail,
            target,
            message,
            summary,
            plain,
        }
    }

    /// The message as it goes on to others: without the Return-Path, which is
    /// for the place where it stays (RFC 5321 section 4.4).
    pub(super) fn forwarded(&self, shape: &Shape) -> Message {
        let mut prefix = delivered_to_field(&self.target.address).into_bytes();
        prefix.extend_from_slice(shape.message.prefix());
        shape.message.with_prefix(prefix)
    }

    pub(super) fn append(
        &self,
        index: usize,
        shape: &Shape,
        (mailbox, flags, if_missing): (MailboxName, Flags, IfMissing),
    ) -> Append {
        let (message, summary) = match Arc::ptr_eq(&shape.summary, &self.plain.summary) {
            true => (self.message.clone(), Arc::clone(&self.summary)),
            false => owned(self.mail, self.target, shape),
        };
        Append {
            account: self.target.account.clone(),
            mailbox,
            if_missing,
            message: NewMessage {
                message,
                summary,
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

/// The message as it is filed there.
fn owned(mail: &Mail, target: &MailboxTarget, shape: &Shape) -> (Message, Arc<Summary>) {
    let mut prefix = return_path(&mail.reverse_path).into_bytes();
    prefix.extend_from_slice(delivered_to_field(&target.address).as_bytes());
    let shift = prefix.len() as u64;
    prefix.extend_from_slice(shape.message.prefix());
    let summary = shape.summary.as_ref().clone().with_prefix(shift);
    (shape.message.with_prefix(prefix), Arc::new(summary))
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

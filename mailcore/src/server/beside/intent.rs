//! What is to be filed, as our store keeps it until it is.

use std::sync::Arc;

use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{Append, DeliveryId, IfMissing};
use crate::envelope::{MailParams, Recipient};
use crate::event::TraceId;
use crate::mailbox::{Flags, Keyword, MailboxName};
use crate::pack::{PackError, Packer, Unpacker};
use crate::queue::{EntryState, Origin, QueueEntry, QueueId, QueueProgress};
use crate::seams::{NewMessage, QuotaLimit};
use crate::time::Timestamp;

const VERSION: u8 = 1;

/// An [`Append`] without its message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Intent {
    account: AccountId,
    mailbox: MailboxName,
    if_missing: IfMissing,
    pub(super) flags: Flags,
    pub(super) internal_date: Timestamp,
    delivery_id: Option<DeliveryId>,
    quota: QuotaLimit,
    recipient: Option<Address>,
}

/// The queue entry that holds the message: on hold, so that the queue leaves it
/// alone.
pub(super) fn entry(id: QueueId, append: &Append, now: Timestamp) -> QueueEntry {
    let to = append.recipient.clone().map(Recipient::new);
    QueueEntry {
        id,
        trace: append.trace,
        reverse_path: ReversePath::Null,
        params: MailParams::default(),
        origin: Origin::Received,
        received_at: now,
        message: append.message.message.clone(),
        findings: Arc::default(),
        progress: QueueProgress::new(to, now, now).in_state(EntryState::Held),
    }
}

impl Intent {
    pub(super) fn of(append: &Append) -> Self {
        Self {
            account: append.account.clone(),
            mailbox: append.mailbox.clone(),
            if_missing: append.if_missing,
            flags: append.message.flags.clone(),
            internal_date: append.message.internal_date,
            delivery_id: append.delivery_id,
            quota: append.quota,
            recipient: append.recipient.clone(),
        }
    }

    pub(super) fn append(self, trace: TraceId, message: NewMessage) -> Append {
        Append {
            account: self.account,
            mailbox: self.mailbox,
            if_missing: self.if_missing,
            message,
            delivery_id: self.delivery_id,
            quota: self.quota,
            trace,
            recipient: self.recipient,
        }
    }

    pub(super) fn pack(&self) -> Vec<u8> {
        let mut out = Packer::new(VERSION);
        out.text(self.account.as_str());
        out.text(self.mailbox.as_str());
        out.u64(match self.if_missing {
            IfMissing::FileToInbox => 0,
            IfMissing::Create => 1,
            IfMissing::Fail => 2,
        });
        out.u64(self.flags.system_bits().into());
        let keywords: Vec<&Keyword> = self.flags.keywords().collect();
        out.list(&keywords, |out, keyword| out.text(keyword.as_str()));
        out.i64(self.internal_date.millis());
        out.option(self.delivery_id, |out, id| out.u128(id.0));
        out.option(self.quota.octets, Packer::u64);
        out.option(self.quota.messages, Packer::u64);
        let recipient = self.recipient.as_ref().map(ToString::to_string);
        out.option(recipient, |out, to| out.text(&to));
        out.finish()
    }

    pub(super) fn unpack(octets: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(octets, VERSION)?;
        let account = AccountId::new(from.text()?);
        let mailbox = MailboxName::parse(from.text()?).map_err(|_| PackError::Damaged)?;
        let if_missing = match from.u64()? {
            0 => IfMissing::FileToInbox,
            1 => IfMissing::Create,
            2 => IfMissing::Fail,
            _ => return Err(PackError::Damaged),
        };
        let bits = u8::try_from(from.u64()?).map_err(|_| PackError::Damaged)?;
        let keywords = from.list(|from| {
            let text = from.text()?;
            Keyword::new(text).ok_or(PackError::Damaged)
        })?;
        Ok(Self {
            account,
            mailbox,
            if_missing,
            flags: Flags::from_parts(bits, keywords),
            internal_date: Timestamp::from_millis(from.i64()?),
            delivery_id: from.option(Unpacker::u128)?.map(DeliveryId),
            quota: QuotaLimit {
                octets: from.option(Unpacker::u64)?,
                messages: from.option(Unpacker::u64)?,
            },
            recipient: from.option(|from| {
                let text = from.text()?;
                Address::parse(text).map_err(|_| PackError::Damaged)
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::SystemFlag;

    #[test]
    fn what_is_kept_says_the_same_when_it_is_read_again() {
        let mut flags = Flags::from_parts(0, Keyword::new("$Junk"));
        flags.insert(SystemFlag::Seen);
        let intent = Intent {
            account: AccountId::new("17"),
            mailbox: MailboxName::parse("Junk/Old").unwrap(),
            if_missing: IfMissing::Create,
            flags,
            internal_date: Timestamp::from_millis(-5),
            delivery_id: Some(DeliveryId(u128::MAX)),
            quota: QuotaLimit {
                octets: Some(7),
                messages: None,
            },
            recipient: Some("ann@a.test".parse().unwrap()),
        };
        let kept = intent.pack();
        assert_eq!(Intent::unpack(&kept), Ok(intent));
        for end in 0..kept.len() {
            assert!(Intent::unpack(&kept[..end]).is_err());
        }
    }
}

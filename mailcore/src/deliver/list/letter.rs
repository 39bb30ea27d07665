//! Mail that a list itself writes: questions, notices, word of what was done.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ListAgent, ListRole};
use crate::address::{Address, ReversePath};
use crate::envelope::{BodyType, MailParams, Notify, Recipient};
use crate::event::TraceId;
use crate::message::{DateTime, HeaderWriter, Message};
use crate::queue::{Origin, QueueEntry, QueueId, QueueProgress};
use crate::seams::{DeliveryJob, ListRecord};

/// Characters in a line of base64 (RFC 2045 section 6.8).
const BASE64_LINE: usize = 76;

/// What is to be written.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    pub(super) to: &'a Address,
    /// Where an answer goes; to the owner else.
    pub(super) reply_to: Option<Address>,
    pub(super) subject: String,
    /// Lines that end in `\n`.
    pub(super) text: String,
}

impl ListAgent {
    /// A letter in the list's name. Nobody is told when it can't be delivered, and
    /// nothing that answers by itself answers it (RFC 3834 section 5).
    pub(super) fn letter(&self, list: &ListRecord, letter: &Letter<'_>) -> QueueEntry {
        let now = self.seams.clock.now();
        let id = self.seams.entropy.id(now);
        let owner = ListRole::Owner.at(&list.address, None);
        let from = owner.unwrap_or_else(|| list.address.clone());
        let mut header = HeaderWriter::new();
        header
            .addresses("From", [(list.address.local_part(), &from)])
            .addresses("To", [("", letter.to)]);
        if let Some(reply_to) = &letter.reply_to {
            header.addresses("Reply-To", [("", reply_to)]);
        }
        header
            .text("Subject", &letter.subject)
            .date("Date", DateTime::utc(now))
            .structured(
                "Message-ID",
                format_args!("<{id:032x}@{}>", self.seams.hostname),
            )
            .structured("Auto-Submitted", "auto-generated")
            .structured("MIME-Version", "1.0")
            .structured("Content-Type", "text/plain; charset=utf-8")
            .structured("Content-Transfer-Encoding", "base64");
        let mut octets = header.finish();
        octets.extend_from_slice(b"\r\n");
        let text = STANDARD.encode(letter.text.replace('\n', "\r\n"));
        for line in text.as_bytes().chunks(BASE64_LINE) {
            octets.extend_from_slice(line);
            octets.extend_from_slice(b"\r\n");
        }
        let ascii = octets.is_ascii() && letter.to.is_ascii();
        self.entry(
            TraceId(self.seams.entropy.id(now)),
            Message::from_bytes(octets),
            MailParams {
                smtputf8: !ascii,
                body: match ascii {
                    true => BodyType::SevenBit,
                    false => BodyType::EightBitMime,
                },
                ..MailParams::default()
            },
            letter.to.clone(),
        )
    }

    /// A message that goes on to another address as it is, from nobody: what
    /// becomes of it is no more its writer's concern.
    pub(super) fn passed_on(&self, job: &DeliveryJob, to: Address) -> QueueEntry {
        let params = MailParams {
            body: job.params.body,
            smtputf8: job.params.smtputf8,
            require_tls: job.params.require_tls,
            ..MailParams::default()
        };
        let mut entry = self.entry(job.trace, job.message.clone(), params, to);
        entry.origin = job.origin;
        entry.received_at = job.received_at;
        entry
    }

    fn entry(
        &self,
        trace: TraceId,
        message: Message,
        params: MailParams,
        to: Address,
    ) -> QueueEntry {
        let now = self.seams.clock.now();
        let recipient = Recipient {
            notify: Notify::NEVER,
            ..Recipient::new(to)
        };
        QueueEntry {
            id: QueueId(self.seams.entropy.id(now)),
            trace,
            reverse_path: ReversePath::Null,
            params,
            origin: Origin::Server,
            received_at: now,
            message,
            findings: Arc::default(),
            progress: QueueProgress::new([recipient], now, self.seams.schedule.expires_at(now)),
        }
    }
}

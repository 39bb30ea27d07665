//! Delivery status notifications: what a sender is told about a message that
//! failed, waits, or arrived (RFC 3461 section 6, RFC 3464, RFC 6522, RFC 6533).
//!
//! Who is told what and when is the queue runner's decision; here a decided
//! [`Report`] becomes a message.

mod returned;
mod status_part;
#[cfg(test)]
mod tests;
mod text;

use crate::address::{Address, Domain};
use crate::envelope::{BodyType, MailParams, Recipient, Ret};
use crate::message::{DateTime, Message};
use crate::queue::QueueEntry;
use crate::status::{Failure, Status};
use crate::time::Timestamp;

use returned::Returned;
use text::{is_plain, push_field};

/// The track of the message that a notice is about, among the fields of its status
/// part: by it a list knows notices about its own mail.
pub(crate) const TRACE_FIELD: &str = "X-Mailcore-Trace";

/// What a sender is to be told about one message, in one notice.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report<'a> {
    /// The message.
    pub entry: &'a QueueEntry,
    /// The server that tells.
    pub hostname: &'a Domain,
    /// When it tells.
    pub at: Timestamp,
    /// Makes Message-ID and boundary; never used twice, not to be guessed.
    pub id: u128,
    /// About whom; at least one.
    pub recipients: Vec<ReportedRecipient>,
    /// Who it is from; `None` for `postmaster` at `hostname`.
    pub from: Option<&'a Address>,
    /// Messages up to so many octets are given back whole.
    pub returned_in_full: u64,
}

/// One field group of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportedRecipient {
    /// Whom the message was for.
    pub recipient: Recipient,
    /// What became of it.
    pub action: ReportedAction,
    /// Why.
    pub status: Status,
    /// Who said so, when it was another host.
    pub remote: Option<Domain>,
    /// That host's reply code.
    pub reply_code: Option<u16>,
    /// Its reply as it came, where code and status do not say it exactly.
    pub said: Option<String>,
    /// When the last attempt was; `None` when there was none, or it is not
    /// known any more.
    pub last_attempt: Option<Timestamp>,
}

impl ReportedRecipient {
    /// What an attempt came to, or a success put into the words of one.
    pub fn new(recipient: Recipient, action: ReportedAction, failure: Failure) -> Self {
        Self {
            recipient,
            action,
            status: failure.status,
            remote: failure.remote,
            reply_code: failure.reply_code,
            said: failure.said,
            last_attempt: failure.at,
        }
    }
}

/// `Action` (RFC 3464 section 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportedAction {
    /// Given up.
    Failed,
    /// Still tried.
    Delayed {
        /// Until when.
        retry_until: Timestamp,
    },
    /// In the mailbox.
    Delivered,
    /// Handed to a host that sends no notices.
    Relayed,
    /// Handed on to the addresses that stand for it.
    Expanded,
}

/// A notice, ready for the queue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Notice {
    /// The octets.
    pub message: Message,
    /// What they need of the hosts on their way.
    pub params: MailParams,
}

/// Writes the notice for `sender`.
///
/// What is returned of the message is read from its store; when that fails the
/// notice goes without, since a sender told little is better off than one told
/// nothing.
pub async fn write(report: &Report<'_>, sender: &Address) -> Notice {
    let params = &report.entry.params;
    let any_failed = report
        .recipients
        .iter()
        .any(|of| of.action == ReportedAction::Failed);
    // RFC 6522 section 3: all of it, unless the sender said otherwise; RFC 8689
    // section 5: never of a message that is to travel by TLS alone.
    let in_full = any_failed && params.ret != Some(Ret::Headers) && !params.require_tls;
    let returned = match in_full {
        true => returned::full(&report.entry.message, report.returned_in_full).await,
        false => returned::header(&report.entry.message).await,
    };
    let addresses_ascii = report
        .recipients
        .iter()
        .all(|of| of.recipient.address.is_ascii());
    let content_ascii = returned
        .as_ref()
        .is_none_or(|part| part.header().is_ascii());
    let international =
        !sender.is_ascii() || (params.smtputf8 && !(addresses_ascii && content_ascii));
    let octets = Writer {
        report,
        sender,
        returned: returned.map(|part| part.fit(international)),
        international,
    }
    .write();
    let body = if octets.is_ascii() {
        BodyType::SevenBit
    } else {
        BodyType::EightBitMime
    };
    Notice {
        message: Message::from_bytes(octets),
        params: MailParams {
            smtputf8: international,
            body,
            require_tls: params.require_tls,
            ..MailParams::default()
        },
    }
}

/// The parts of a notice and how they are put together.
struct Writer<'a> {
    report: &'a Report<'a>,
    sender: &'a Address,
    returned: Option<Returned>,
    /// True when the notice may hold UTF-8 outside of texts (RFC 6533).
    international: bool,
}

impl Writer<'_> {
    fn write(&self) -> Vec<u8> {
        let mut out = String::new();
        self.header(&mut out);
        let boundary = self.boundary();
        self.human_part(&boundary, &mut out);
        out.push_str(&format!("--{boundary}\r\n"));
        status_part::write(self.report, self.international, &mut out);
        let mut out = out.into_bytes();
        if let Some(returned) = &self.returned {
            out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            returned.write(self.international, &mut out);
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        out
    }

    /// 128 random bits: no returned message can hold it.
    fn boundary(&self) -> String {
        format!("=_{:032x}", self.report.id)
    }

    fn header(&self, out: &mut String) {
        let Report {
            hostname, at, id, ..
        } = self.report;
        // A name that is not ASCII has no place in a header that is.
        let ascii = hostname.to_ascii();
        let hostname = ascii.as_ref().unwrap_or(hostname);
        let from = match self.report.from {
            Some(address) if self.international || address.is_ascii() => address.to_string(),
            _ => format!("postmaster@{hostname}"),
        };
        let from = format!("Mail Delivery System <{from}>");
        push_field("From", &from, out);
        push_field("To", &format!("<{}>", self.sender), out);
        push_field("Subject", self.subject(), out);
        push_field("Date", &DateTime::utc(*at).to_string(), out);
        push_field("Message-ID", &format!("<{id:032x}@{hostname}>"), out);
        push_field("Auto-Submitted", "auto-replied", out);
        push_field("MIME-Version", "1.0", out);
        let content = format!(
            "multipart/report; report-type=delivery-status; boundary=\"{}\"",
            self.boundary()
        );
        push_field("Content-Type", &content, out);
        out.push_str("\r\n");
    }

    /// Speaks of the worst that happened.
    fn subject(&self) -> &'static str {
        let any = |wanted: fn(&ReportedAction) -> bool| {
            self.report.recipients.iter().any(|of| wanted(&of.action))
        };
        if any(|action| *action == ReportedAction::Failed) {
            "Your message could not be delivered"
        } else if any(|action| matches!(action, ReportedAction::Delayed { .. })) {
            "Your message is delayed"
        } else {
            "Your message was delivered"
        }
    }

    fn human_part(&self, boundary: &str, out: &mut String) {
        let text = text::for_people(self.report);
        let encoding = if is_plain(text.as_bytes()) {
            "7bit"
        } else {
            "8bit"
        };
        out.push_str(&format!("--{boundary}\r\n"));
        push_field("Content-Type", "text/plain; charset=utf-8", out);
        push_field("Content-Transfer-Encoding", encoding, out);
        out.push_str("\r\n");
        out.push_str(&text);
        out.push_str("\r\n");
    }
}

//! Trace fields (RFC 5321 section 4.4): Received, Return-Path, and counting the
//! hops of a message that may be in a loop.

use std::fmt::Write;
use std::sync::Arc;

use super::SessionInfo;
use crate::address::{Address, Domain, ReversePath};
use crate::envelope::Priority;
use crate::event::TraceId;
use crate::message::{DateTime, Header, HeaderWriter, Summary};
use crate::time::Timestamp;

/// What the Received field of an accepted message says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reception<'a> {
    pub(super) session: &'a SessionInfo,
    pub(super) hostname: &'a Domain,
    pub(super) trace: TraceId,
    /// Named in the `for` clause when it is the only one: more would tell the
    /// recipients of each other.
    pub(super) only_recipient: Option<&'a Address>,
    /// Told when it is not the usual one (RFC 6710 section 4.1).
    pub(super) priority: Priority,
    pub(super) now: Timestamp,
}

impl Reception<'_> {
    /// The field, folded, with its CRLF.
    pub(super) fn received(&self) -> String {
        let filter = &self.session.filter;
        let mut field = String::from("Received:");
        if let Some(peer) = filter.peer {
            let helo = filter.helo.as_deref().map(printable).unwrap_or_default();
            let helo = if helo.is_empty() { "unknown" } else { &helo };
            let _ = write!(
                field,
                " from {helo} ({})\r\n\t",
                Domain::literal(peer.ip().to_canonical())
            );
        } else {
            field.push(' ');
        }
        let _ = write!(field, "by {} with {}", self.hostname, self.session.with);
        if let Some(tls) = &filter.tls {
            let _ = write!(
                field,
                " ({} {})",
                printable(&tls.version),
                printable(&tls.cipher)
            );
        }
        let _ = write!(field, "\r\n\tid {}", self.trace);
        if let Some(recipient) = self.only_recipient {
            let _ = write!(field, "\r\n\tfor <{recipient}>");
        }
        if self.priority != Priority::NORMAL {
            let _ = write!(field, "\r\n\tPRIORITY {}", self.priority.value());
        }
        let _ = write!(field, ";\r\n\t{}\r\n", DateTime::utc(self.now));
        field
    }
}

/// What a peer called itself, without what could end or fold the field.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !c.is_whitespace() && !"()\\".contains(*c))
        .take(255)
        .collect()
}

/// Return-Path, with its CRLF: put on top at final delivery.
pub(super) fn return_path(reverse_path: &ReversePath) -> String {
    format!("Return-Path: <{reverse_path}>\r\n")
}

/// The fields that every message needs and this one lacks (RFC 6409 section
/// 8): what a submission server adds for its users.
pub(super) fn missing_fields(
    summary: &Summary,
    trace: TraceId,
    hostname: &Domain,
    now: Timestamp,
) -> Vec<u8> {
    let mut fields = HeaderWriter::new();
    if summary.envelope.date.is_none() {
        fields.date("Date", DateTime::utc(now));
    }
    if summary.envelope.message_id.is_none() {
        fields.structured("Message-ID", format_args!("<{trace}@{hostname}>"));
    }
    fields.finish()
}

/// What is put on top of a copy that goes on from `address`: should it come
/// back, that is seen.
pub(super) fn delivered_to_field(address: &Address) -> String {
    format!("Delivered-To: {address}\r\n")
}

/// The addresses that a message was delivered to before, by its beginning.
pub(crate) fn delivered_to(head: &[u8]) -> Arc<[String]> {
    Header::new(head)
        .all("Delivered-To")
        .map(|field| String::from_utf8_lossy(&field.value()).trim().to_owned())
        .collect()
}

/// How many Received fields the beginning of a message holds.
pub(super) fn hops(head: &[u8]) -> usize {
    Header::new(head).all("Received").count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::FilterSession;

    #[test]
    fn what_a_peer_calls_itself_can_not_start_a_line() {
        let mut filter = FilterSession::new(Some("[2001:db8::1]:25".parse().unwrap()));
        filter.helo = Some("evil\r\nBcc: (x)".into());
        let session = SessionInfo {
            filter,
            with: "ESMTP",
            transcript: None,
        };
        let reception = Reception {
            session: &session,
            hostname: &"mx.test".parse().unwrap(),
            trace: TraceId(1),
            only_recipient: Some(&"u@x.test".parse().unwrap()),
            priority: Priority::NORMAL,
            now: Timestamp::from_secs(1_795_312_800),
        };
        let received = reception.received();
        assert_eq!(
            received,
            "Received: from evilBcc:x ([IPv6:2001:db8::1])\r\n\tby mx.test with ESMTP\r\n\t\
             id 00000000000000000000000000000001\r\n\tfor <u@x.test>;\r\n\tSun, 22 Nov 2026 02:00:00 +0000\r\n"
        );
        assert_eq!(
            hops(format!("{received}{received}Subject: x\r\n\r\nReceived: no\r\n").as_bytes()),
            2
        );
    }
}

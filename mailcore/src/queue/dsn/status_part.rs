//! `message/delivery-status` (RFC 3464 section 2) and its international form
//! `message/global-delivery-status` (RFC 6533 section 4).

use std::fmt::Write as _;

use super::text::{clip, push_field, push_verbatim};
use super::{Report, ReportedAction, ReportedRecipient, TRACE_FIELD};
use crate::message::DateTime;

/// Octets of a remote host's reply that are passed on.
const MAX_REPLY: usize = 8 * 1_024;

/// Writes the part, its header included.
pub(super) fn write(report: &Report<'_>, international: bool, out: &mut String) {
    if international {
        push_field("Content-Type", "message/global-delivery-status", out);
        push_field("Content-Transfer-Encoding", "8bit", out);
    } else {
        push_field("Content-Type", "message/delivery-status", out);
        push_field("Content-Transfer-Encoding", "7bit", out);
    }
    out.push_str("\r\n");
    let form = Form { international };
    if let Some(id) = &report.entry.params.envelope_id {
        push_verbatim("Original-Envelope-Id", &form.text(id), out);
    }
    let reporter = form.host(report.hostname.to_string());
    push_field("Reporting-MTA", &format!("dns; {reporter}"), out);
    if let Some((name, address)) = received_from(report.entry.message.prefix()) {
        let name = form.host(name.to_owned());
        push_field(
            "Received-From-MTA",
            &format!("dns; {name} ({address})"),
            out,
        );
    }
    let queue_id = report.entry.id.to_string();
    push_field("X-Mailcore-Queue-ID", &queue_id, out);
    push_field(TRACE_FIELD, &report.entry.trace.to_string(), out);
    let arrival = DateTime::utc(report.entry.received_at);
    push_field("Arrival-Date", &arrival.to_string(), out);
    for recipient in &report.recipients {
        out.push_str("\r\n");
        form.recipient(recipient, out);
    }
    out.push_str("\r\n");
}

/// What the host called itself that gave us the message, and its address, as the
/// trace field says that was put on top when it was taken (RFC 3464 section
/// 2.2.4).
fn received_from(prefix: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(prefix).ok()?;
    let field = text
        .lines()
        .find_map(|line| line.strip_prefix("Received: from "))?;
    let mut words = field.split_whitespace();
    let name = words.next().filter(|name| *name != "unknown")?;
    let address = words.next()?.strip_prefix('(')?.strip_suffix(')')?;
    Some((name, address))
}

/// How texts are written: as they are, or kept to ASCII.
struct Form {
    international: bool,
}

impl Form {
    fn recipient(&self, of: &ReportedRecipient, out: &mut String) {
        if let Some(original) = &of.recipient.original {
            let typed = self.address(&original.address_type, &original.address);
            push_verbatim("Original-Recipient", &typed, out);
        }
        let address = of.recipient.address.to_string();
        push_verbatim("Final-Recipient", &self.address("rfc822", &address), out);
        push_field("Action", action(of.action), out);
        push_field("Status", &of.status.code.to_string(), out);
        // RFC 3464 section 2.3.6: where it stands, the diagnostic is that
        // host's. What we say of a host that did not answer is ours.
        if let (Some(remote), Some(_)) = (&of.remote, of.reply_code) {
            let host = self.host(remote.to_string());
            push_field("Remote-MTA", &format!("dns; {host}"), out);
        }
        if let Some(diagnostic) = self.diagnostic(of) {
            push_field("Diagnostic-Code", &diagnostic, out);
        }
        if let Some(at) = of.last_attempt {
            push_field("Last-Attempt-Date", &DateTime::utc(at).to_string(), out);
        }
        if let ReportedAction::Delayed { retry_until } = of.action {
            let until = DateTime::utc(retry_until).to_string();
            push_field("Will-Retry-Until", &until, out);
        }
    }

    /// The remote's reply as it came (RFC 3461 section 9.2), or what this server
    /// says of a failure.
    fn diagnostic(&self, of: &ReportedRecipient) -> Option<String> {
        let words = || of.status.to_string();
        Some(match (of.reply_code, &of.said) {
            (Some(_), Some(said)) => format!("smtp; {}", self.text(clip(said, MAX_REPLY))),
            (Some(code), None) => {
                format!("smtp; {code} {}", self.text(clip(&words(), MAX_REPLY)))
            }
            (None, _) if is_failure(of.action) => {
                format!("x-mailcore; {}", self.text(clip(&words(), MAX_REPLY)))
            }
            (None, _) => return None,
        })
    }

    /// `addr-type ";" address`. An address beyond ASCII is of type `utf-8`, in
    /// `utf-8-addr-xtext` where the notice itself must stay ASCII (RFC 6533
    /// section 3).
    fn address(&self, address_type: &str, address: &str) -> String {
        if address.is_ascii() {
            return format!("{address_type}; {address}");
        }
        if self.international {
            return format!("utf-8; {address}");
        }
        let mut encoded = String::new();
        for c in address.chars() {
            if c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\') {
                encoded.push(c);
            } else {
                let _ = write!(encoded, "\\x{{{:02X}}}", u32::from(c));
            }
        }
        format!("utf-8; {encoded}")
    }

    fn text(&self, text: &str) -> String {
        if self.international || text.is_ascii() {
            return text.to_owned();
        }
        let replaced = text.chars().map(|c| if c.is_ascii() { c } else { '?' });
        replaced.collect()
    }

    fn host(&self, host: String) -> String {
        let ascii = crate::address::Domain::parse(&host).and_then(|domain| domain.to_ascii());
        ascii.map_or_else(|_| self.text(&host), |domain| domain.to_string())
    }
}

fn is_failure(action: ReportedAction) -> bool {
    matches!(
        action,
        ReportedAction::Failed | ReportedAction::Delayed { .. }
    )
}

fn action(action: ReportedAction) -> &'static str {
    match action {
        ReportedAction::Failed => "failed",
        ReportedAction::Delayed { .. } => "delayed",
        ReportedAction::Delivered => "delivered",
        ReportedAction::Relayed => "relayed",
        ReportedAction::Expanded => "expanded",
    }
}

//! The refusal of `reject` as a notice of disposition (RFC 5429 section 2.2.1,
//! RFC 8098).

use std::fmt::Write as _;

use mailcore::address::ReversePath;
use mailcore::message::{Header, HeaderWriter, MAX_LINE_LENGTH};

use super::{Letterhead, Trigger, Written, body, thread};

/// Octets of the header that goes back.
const MAX_HEADER: usize = 32 * 1024;

/// The refusal, to the sender of `trigger`; none where there is nobody to tell
/// (RFC 8098 section 2.1).
pub fn refusal(head: &Letterhead<'_>, reason: &str, trigger: &Trigger<'_>) -> Option<Written> {
    let to = trigger.reverse_path.address()?.clone();
    let boundary = head.boundary();
    let mut header = head.open(("", trigger.recipient), std::slice::from_ref(&to));
    let subject = match trigger.text("Subject") {
        Some(subject) => format!("Rejected: {subject}"),
        None => "Rejected".to_owned(),
    };
    header.text("Subject", &subject);
    let id = trigger.message_id();
    thread(&mut header, id.as_deref(), id.as_deref().into_iter());
    header
        .structured("Auto-Submitted", "auto-replied (rejected)")
        .structured(
            "Content-Type",
            format_args!(
                "multipart/report; report-type=disposition-notification; boundary=\"{boundary}\""
            ),
        );
    let mut message = header.finish();
    let mut part = |fields: HeaderWriter, content: &[u8]| {
        message.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        message.extend_from_slice(&fields.finish());
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(content);
    };
    let (encoding, text) = body::encoded(&format!(
        "The message was refused by the recipient's mail filtering program.\n\
         The reason given was as follows:\n\n{reason}\n"
    ));
    part(described("text/plain; charset=utf-8", encoding), &text);
    let fields = disposition(head, trigger, id.as_deref());
    part(
        described("message/disposition-notification", "7bit"),
        &fields,
    );
    let (encoding, returned) = returned(trigger.header);
    part(described("text/rfc822-headers", encoding), &returned);
    message.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Some(Written {
        // RFC 8098 section 3.
        reverse_path: ReversePath::Null,
        recipients: vec![to],
        message: message.into(),
    })
}

fn described(content_type: &str, encoding: &str) -> HeaderWriter {
    let mut fields = HeaderWriter::new();
    fields
        .structured("Content-Type", content_type)
        .structured("Content-Transfer-Encoding", encoding);
    fields
}

/// The fields for programs (RFC 8098 section 3.1).
fn disposition(head: &Letterhead<'_>, trigger: &Trigger<'_>, id: Option<&str>) -> Vec<u8> {
    let mut fields = HeaderWriter::new();
    fields.structured(
        "Reporting-UA",
        format_args!("{}; mailcore Sieve", head.host()),
    );
    // An address beyond ASCII has no place in 7bit but by RFC 6533's escapes.
    let recipient = trigger.recipient.to_string();
    let (kind, recipient) = match recipient.is_ascii() {
        true => ("rfc822", recipient),
        false => ("utf-8", xtext(&recipient)),
    };
    fields.structured("Final-Recipient", format_args!("{kind}; {recipient}"));
    if let Some(id) = id.filter(|id| id.is_ascii()) {
        fields.structured("Original-Message-ID", id);
    }
    fields.structured(
        "Disposition",
        "automatic-action/MDN-sent-automatically; deleted",
    );
    fields.finish()
}

/// `utf-8-addr-xtext` (RFC 6533 section 3).
fn xtext(address: &str) -> String {
    let mut out = String::new();
    for c in address.chars() {
        match c {
            '\\' | '+' | '=' => {
                let _ = write!(out, "\\x{{{:02X}}}", u32::from(c));
            }
            c if c.is_ascii_graphic() => out.push(c),
            c => {
                let _ = write!(out, "\\x{{{:02X}}}", u32::from(c));
            }
        }
    }
    out
}

/// The header of the refused message, as it came where any host takes it so.
fn returned(octets: &[u8]) -> (&'static str, Vec<u8>) {
    let start = octets.get(..MAX_HEADER).unwrap_or(octets);
    let end = Header::new(start).fields().last();
    let end = end.map_or(0, |field| field.range.end);
    let header = start.get(..end).unwrap_or_default();
    let fits = |line: &[u8]| line.len() <= MAX_LINE_LENGTH;
    if header.is_ascii() && header.split(|&octet| octet == b'\n').all(fits) {
        let text = String::from_utf8_lossy(header);
        return ("7bit", body::lines(&text).into_bytes());
    }
    body::encoded(&String::from_utf8_lossy(header))
}

//! The message that a rule sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::rule::{Checked, MailTo};
use super::template::Facts;
use crate::address::{Address, Domain};
use crate::envelope::{Envelope, MailParams, Notify, Recipient};
use crate::message::{DateTime, HeaderWriter};
use crate::time::Timestamp;

/// Recipients of one mail that a field names.
const MAX_RECIPIENTS: usize = 20;
/// Octets of a subject and of a text.
const MAX_SUBJECT: usize = 500;
const MAX_TEXT: usize = 64 * 1024;
/// Octets in a line without its end (RFC 5322 section 2.1.1).
const MAX_LINE: usize = 998;
/// Characters in a line of base64 (RFC 2045 section 6.8).
const BASE64_LINE: usize = 76;
/// Ends the left side of our Message-IDs, by which they are known again.
const MARK: &str = ".event";

/// A mail, ready for intake.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    pub(super) envelope: Envelope,
    pub(super) message: Bytes,
    pub(super) message_id: String,
}

/// The mail of `rule` for an event; `None` when its recipients are nobody.
pub(super) fn write(rule: &Checked, facts: Facts<'_>, now: Timestamp) -> Option<Mail> {
    let hostname = facts.hostname;
    let to = recipients(&rule.rule.to, facts);
    if to.is_empty() {
        return None;
    }
    let from = rule.rule.from.clone().or_else(|| postmaster(hostname))?;
    let mut text = rule.text.fill(facts, MAX_TEXT);
    if facts.more > 0 && !rule.text.fields().any(|field| field == "more") {
        text.push_str(&format!("\nAnd {} more like it.\n", facts.more));
    }
    let (encoding, body) = encoded(&text);
    let message_id = message_id(&rule.rule.name, facts);
    let mut header = HeaderWriter::new();
    header
        .addresses("From", [("", &from)])
        .addresses("To", to.iter().map(|to| ("", to)))
        .text("Subject", &rule.subject.fill(facts, MAX_SUBJECT))
        .date("Date", DateTime::utc(now))
        .structured("Message-ID", &message_id)
        // RFC 3834 section 5: nothing that answers by itself answers this.
        .structured("Auto-Submitted", "auto-generated")
        .structured("MIME-Version", "1.0")
        .structured("Content-Type", "text/plain; charset=utf-8")
        .structured("Content-Transfer-Encoding", encoding);
    let mut message = header.finish();
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(&body);
    let smtputf8 = !from.is_ascii() || to.iter().any(|to| !to.is_ascii());
    let recipient = |address| Recipient {
        notify: match rule.rule.reverse_path.is_null() {
            true => Notify::NEVER,
            false => Notify::default(),
        },
        ..Recipient::new(address)
    };
    Some(Mail {
        envelope: Envelope {
            params: MailParams {
                smtputf8,
                ..MailParams::default()
            },
            recipients: to.into_iter().map(recipient).collect(),
            ..Envelope::from_sender(rule.rule.reverse_path.clone())
        },
        message: message.into(),
        message_id,
    })
}

/// True for the Message-ID of a mail that a rule of this server sent.
pub(super) fn is_ours(message_id: &str, hostname: &Domain) -> bool {
    message_id
        .trim()
        .trim_matches(['<', '>'])
        .rsplit_once('@')
        .is_some_and(|(left, right)| {
            left.ends_with(MARK) && right.eq_ignore_ascii_case(hostname.as_str())
        })
}

/// The same each time the mail is written.
fn message_id(rule: &str, facts: Facts<'_>) -> String {
    let rule = rule.replace('.', "-");
    let (id, hostname) = (facts.event.id.0, facts.hostname);
    format!("<{id:032x}.{rule}{MARK}@{hostname}>")
}

fn postmaster(hostname: &Domain) -> Option<Address> {
    Address::new("postmaster", hostname.clone()).ok()
}

fn recipients(to: &MailTo, facts: Facts<'_>) -> Vec<Address> {
    match to {
        MailTo::Postmaster => postmaster(facts.hostname).into_iter().collect(),
        MailTo::Address(address) => vec![address.clone()],
        MailTo::Field(field) => {
            let value = super::condition::value(facts.event, field).unwrap_or_default();
            let words = value.split_whitespace().take(MAX_RECIPIENTS);
            let parsed = words.map(|word| Address::parse(word.trim_matches(['<', '>', ','])));
            parsed.filter_map(Result::ok).collect()
        }
    }
}

/// A text as content, and how it is encoded.
fn encoded(text: &str) -> (&'static str, Vec<u8>) {
    let mut plain = String::new();
    for line in text.lines() {
        let shown = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
        plain.extend(line.chars().map(shown));
        plain.push_str("\r\n");
    }
    if plain.is_ascii() && plain.lines().all(|line| line.len() <= MAX_LINE) {
        return ("7bit", plain.into_bytes());
    }
    let encoded = STANDARD.encode(plain).into_bytes();
    let lines = encoded.chunks(BASE64_LINE);
    let body = lines.flat_map(|line| [line, b"\r\n"].concat()).collect();
    ("base64", body)
}

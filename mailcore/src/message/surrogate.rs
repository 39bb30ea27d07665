//! What a reader who takes no UTF-8 in headers gets of a message that has some:
//! [`Surrogate`] (RFC 6858, RFC 6855 section 7, RFC 6856 section 2.1).
//!
//! The message's own header only: a body goes out as it is, the headers of its
//! parts with it. What is ASCII is not touched, so most messages come out octet
//! for octet.

use bytes::BytesMut;
use memchr::memchr;

use super::address_list::{HeaderAddress, HeaderMailbox, MAX_ADDRESSES, parse_addresses};
use super::decode::header_text;
use super::header::{Field, Header};
use super::header_writer::{HeaderWriter, phrase};

/// Octets of a field that is rewritten; of a longer one every octet outside
/// ASCII becomes `?`.
const MAX_FIELD: usize = 64 * 1024;

/// Stands for an address that cannot be written in ASCII: it belongs to nobody
/// (RFC 6858 section 3.1, RFC 2606).
const NO_ADDRESS: &str = "<invalid@internationalized-address.invalid>";

/// Text that encoded-words may stand in.
const UNSTRUCTURED: [&str; 4] = ["Subject", "Comments", "Content-Description", "Thread-Topic"];
const ADDRESSES: [&str; 14] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Return-Path",
    "Disposition-Notification-To",
];
const WITH_PARAMETERS: [&str; 2] = ["Content-Type", "Content-Disposition"];

/// Rewrites a message's header as it passes, in pieces of any size; how it is
/// cut changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surrogate {
    part: Part,
    /// The field in progress.
    field: Vec<u8>,
    /// A line of it has ended; the next octet tells whether it goes on.
    line_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    /// Within a field that is too long.
    LongField,
    Body,
}

impl Default for Surrogate {
    fn default() -> Self {
        Self::new()
    }
}

impl Surrogate {
    /// At a message's start.
    pub fn new() -> Self {
        Self {
            part: Part::Header,
            field: Vec::new(),
            line_ended: false,
        }
    }

    /// True when all that follows comes out as it is.
    pub fn is_past_header(&self) -> bool {
        self.part == Part::Body
    }

    /// Takes the next octets of the message.
    pub fn write(&mut self, octets: &[u8], out: &mut BytesMut) {
        let mut rest = octets;
        while let Some(&first) = rest.first() {
            if self.part == Part::Body {
                return out.extend_from_slice(rest);
            }
            if std::mem::take(&mut self.line_ended) && !matches!(first, b' ' | b'\t') {
                self.end_field(out);
            }
            let end = memchr(b'\n', rest).map(|at| at + 1);
            let (line, after) = rest
                .split_at_checked(end.unwrap_or(rest.len()))
                .unwrap_or((rest, &[]));
            rest = after;
            self.take(line, out);
            self.line_ended = end.is_some();
            if self.line_ended && matches!(self.field.as_slice(), b"\r\n" | b"\n") {
                out.extend_from_slice(&self.field);
                self.field = Vec::new();
                self.part = Part::Body;
            }
        }
    }

    /// Ends a message that may have no body.
    pub fn finish(&mut self, out: &mut BytesMut) {
        if self.part != Part::Body {
            self.end_field(out);
        }
    }

    fn take(&mut self, line: &[u8], out: &mut BytesMut) {
        if self.part == Part::Header && self.field.len() + line.len() <= MAX_FIELD {
            return self.field.extend_from_slice(line);
        }
        self.part = Part::LongField;
        push_masked(&std::mem::take(&mut self.field), out);
        push_masked(line, out);
    }

    fn end_field(&mut self, out: &mut BytesMut) {
        self.part = Part::Header;
        if self.field.is_ascii() {
            out.extend_from_slice(&self.field);
        } else if let Some(field) = Header::new(&self.field).fields().next() {
            out.extend_from_slice(&rewrite(&field));
        }
        self.field.clear();
    }
}

fn push_masked(octets: &[u8], out: &mut BytesMut) {
    out.extend(octets.iter().map(|octet| match octet.is_ascii() {
        true => *octet,
        false => b'?',
    }));
}

/// The field in ASCII; nothing of one that has no such form (RFC 6858 section
/// 3.4).
fn rewrite(field: &Field<'_>) -> Vec<u8> {
    let Some(name) = str::from_utf8(field.name).ok().filter(|it| it.is_ascii()) else {
        return Vec::new();
    };
    let is_among = |names: &[&str]| names.iter().any(|it| it.eq_ignore_ascii_case(name));
    let mut writer = HeaderWriter::new();
    if is_among(&UNSTRUCTURED) {
        writer.text(name, &header_text(&field.value()));
    } else if is_among(&ADDRESSES) {
        writer.structured(name, addresses(field.raw));
    } else if is_among(&WITH_PARAMETERS)
        && let Some(value) = ascii_parameters(&field.value())
    {
        writer.structured(name, value);
    }
    writer.finish()
}

/// The list with names in encoded-words, and addresses that need UTF-8 told of
/// in place of the name (RFC 6858 section 3.1).
fn addresses(raw: &[u8]) -> String {
    let mut text = String::new();
    let mut separator = "";
    for entry in parse_addresses(raw, MAX_ADDRESSES) {
        match entry {
            HeaderAddress::Mailbox(mailbox) => {
                text.push_str(separator);
                push_mailbox(&mailbox, &mut text);
                separator = ", ";
            }
            HeaderAddress::GroupStart(name) => {
                text.push_str(separator);
                text.push_str(&phrase(&header_text(&name)));
                text.push_str(": ");
                separator = "";
            }
            HeaderAddress::GroupEnd => {
                text.push(';');
                separator = ", ";
            }
        }
    }
    text
}

fn push_mailbox(mailbox: &HeaderMailbox, text: &mut String) {
    let name = mailbox.name.as_deref().map(header_text).unwrap_or_default();
    let address = mailbox.address();
    let Some(plain) = ascii_address(mailbox) else {
        let told = format!("{name} {}", header_text(&address));
        text.push_str(&phrase(told.trim_start_matches(' ')));
        text.push(' ');
        text.push_str(NO_ADDRESS);
        return;
    };
    if name.is_empty() {
        text.push_str(&plain);
    } else {
        text.push_str(&format!("{} <{plain}>", phrase(&name)));
    }
}

/// The address, its local part quoted where it must be.
fn ascii_address(mailbox: &HeaderMailbox) -> Option<String> {
    let ascii = |octets: &[u8]| {
        let text = str::from_utf8(octets).ok()?.to_owned();
        text.is_ascii().then_some(text)
    };
    let (local, host) = (ascii(&mailbox.local_part)?, ascii(&mailbox.host)?);
    let is_plain =
        |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet);
    let local = match local.bytes().all(is_plain) && !local.is_empty() {
        true => local,
        false => format!("\"{}\"", local.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    Some(match host.as_str() {
        "" => local,
        host => format!("{local}@{host}"),
    })
}

/// The value without the parameters that are not ASCII (RFC 6858 section 3.2).
fn ascii_parameters(value: &[u8]) -> Option<String> {
    let mut pieces = split_parameters(value).into_iter();
    let first = pieces.next().filter(|it| it.is_ascii())?;
    let kept = [first].into_iter().chain(pieces.filter(|it| it.is_ascii()));
    let kept: Vec<&str> = kept.filter_map(|it| str::from_utf8(it).ok()).collect();
    Some(kept.join(";"))
}

/// Cuts at the semicolons outside quotes.
fn split_parameters(value: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let ends = |octet: &u8| {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b';' => return !quoted,
            _ => {}
        }
        false
    };
    value.split(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderWriter;
    use proptest::prelude::*;

    fn run(pieces: &[&[u8]]) -> Vec<u8> {
        let mut surrogate = Surrogate::new();
        let mut out = BytesMut::new();
        for piece in pieces {
            surrogate.write(piece, &mut out);
        }
        surrogate.finish(&mut out);
        out.to_vec()
    }

    fn header(text: &str) -> String {
        String::from_utf8(run(&[text.as_bytes()])).unwrap()
    }

    #[test]
    fn what_can_be_said_in_ascii_is_said_and_the_rest_left_out() {
        assert_eq!(
            header(
                "From: Jürgen <j@a.test>\r\nSubject: Grüße\r\n und mehr\r\nX-A: ü\r\nX-B: u\r\n"
            ),
            "From: =?utf-8?q?J=C3=BCrgen?= <j@a.test>\r\n\
             Subject: =?utf-8?b?R3LDvMOfZQ==?= und mehr\r\nX-B: u\r\n"
        );
    }

    #[test]
    fn an_address_in_utf8_is_told_of_and_belongs_to_nobody() {
        let text =
            header("To: A <a@b.test>, Jürgen <jürgen@bücher.test>, G: x@y.test, ö@y.test;\r\n\r\n");
        assert!(text.starts_with("To: A <a@b.test>, =?utf-8?"), "{text}");
        assert_eq!(text.matches(NO_ADDRESS).count(), 2, "{text}");
        assert!(text.contains("G: x@y.test"), "{text}");
        assert!(text.is_ascii() && text.ends_with(";\r\n\r\n"), "{text}");
    }

    #[test]
    fn parameters_outside_ascii_go_and_the_others_stay() {
        assert_eq!(
            header("Content-Type: text/plain; name=\"ü;x\"; charset=utf-8\r\n\r\nü"),
            "Content-Type: text/plain; charset=utf-8\r\n\r\nü"
        );
    }

    #[test]
    fn a_field_too_long_to_rewrite_is_masked() {
        let text = format!("Subject: {}\r\n\r\n", "ü".repeat(MAX_FIELD));
        let out = header(&text);
        assert!(out.is_ascii() && out.len() == text.len());
    }

    proptest! {
        #[test]
        fn any_octets_make_an_ascii_header_however_they_are_cut(
            pieces in proptest::collection::vec("((Subject|To|X): ?)?[a<>@\"\\\\;:=? .\u{fc}\u{20ac}]{0,9}(\r\n|\n|\r| |)", 0..9),
        ) {
            let whole = pieces.concat();
            let cut: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let out = run(&[whole.as_bytes()]);
            prop_assert_eq!(&run(&cut), &out);
            prop_assert!(Header::new(&out).fields().all(|it| out[it.range].is_ascii()));
            if whole.is_ascii() {
                prop_assert_eq!(out.as_slice(), whole.as_bytes());
            } else if let Some((_, body)) = whole.split_once("\r\n\r\n") {
                prop_assert!(out.ends_with(body.as_bytes()));
            }
        }

        #[test]
        fn names_of_any_kind_are_read_back(name in "\\PC{1,40}") {
            let mut writer = HeaderWriter::new();
            writer.structured("From", format!("\"{}\" <a@b.test>", name.replace(['"', '\\'], "")));
            let out = run(&[&writer.finish()]);
            prop_assert!(out.is_ascii());
            let field = Header::new(&out).fields().next().unwrap();
            let list = parse_addresses(field.raw, 9);
            prop_assert_eq!(list[0].mailbox().unwrap().address(), b"a@b.test");
        }
    }
}

//! The part of a notice that people read, and the lines of which all parts are
//! made.

use std::fmt::Write as _;

use super::{Report, ReportedAction, ReportedRecipient};
use crate::message::DateTime;

/// Octets of one word in a line: with the field's name below 998 (RFC 5322
/// section 2.1.1).
const MAX_WORD: usize = 900;
/// Octets of a remote host's words that people are told.
const MAX_WORDS: usize = 600;
/// Column at which fields and paragraphs are folded (RFC 5322 section 2.1.1).
const FOLD_AT: usize = 76;

/// The explanation, a paragraph for each kind of news.
pub(super) fn for_people(report: &Report<'_>) -> String {
    let mut out = format!("This is the mail server {}.\r\n", report.hostname);
    let of = |wanted: fn(&ReportedAction) -> bool| -> Vec<&ReportedRecipient> {
        let recipients = report.recipients.iter();
        recipients.filter(|of| wanted(&of.action)).collect()
    };
    paragraph(
        "Your message could not be delivered to these recipients, and will not be tried again:",
        &of(|action| *action == ReportedAction::Failed),
        &mut out,
    );
    let delayed = of(|action| matches!(action, ReportedAction::Delayed { .. }));
    let until = delayed.first().map(|of| match of.action {
        ReportedAction::Delayed { retry_until } => DateTime::utc(retry_until).to_string(),
        _ => String::new(),
    });
    let heading = format!(
        "Your message has not reached these recipients yet. It will be tried again \
         until {}; you need not send it again:",
        until.unwrap_or_default()
    );
    paragraph(&heading, &delayed, &mut out);
    paragraph(
        "Your message was delivered to these recipients:",
        &of(|action| *action == ReportedAction::Delivered),
        &mut out,
    );
    paragraph(
        "Your message was handed on for these recipients; you may hear no more of it:",
        &of(|action| matches!(action, ReportedAction::Relayed | ReportedAction::Expanded)),
        &mut out,
    );
    out
}

fn paragraph(heading: &str, recipients: &[&ReportedRecipient], out: &mut String) {
    if recipients.is_empty() {
        return;
    }
    out.push_str("\r\n");
    push_folded(heading, "", out);
    for of in recipients {
        let _ = write!(out, "\r\n  <{}>\r\n", of.recipient.address);
        let by = of.remote.as_ref().map(|host| match of.reply_code {
            Some(_) => format!("{host} said: "),
            None => format!("{host}: "),
        });
        let code = of.reply_code.map(|code| format!("{code} "));
        let said = format!(
            "{}{}{}",
            by.unwrap_or_default(),
            code.unwrap_or_default(),
            clip(&of.status.to_string(), MAX_WORDS)
        );
        push_folded(&said, "    ", out);
    }
}

/// Cuts a text from elsewhere.
pub(super) fn clip(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// A header field whose value stays as its author wrote it, spaces and all (RFC
/// 3464 sections 2.2.1 and 2.3.2).
pub(super) fn push_verbatim(name: &str, value: &str, out: &mut String) {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    out.push_str(name);
    out.push_str(": ");
    out.extend(clip(value, MAX_WORD).chars().map(clean));
    out.push_str("\r\n");
}

/// A header field, folded at spaces. Control characters become spaces, so that
/// no value adds a line.
pub(super) fn push_field(name: &str, value: &str, out: &mut String) {
    out.push_str(name);
    out.push(':');
    push_words(value, name.len() + 1, " ", out);
    out.push_str("\r\n");
}

fn push_folded(text: &str, indent: &str, out: &mut String) {
    let mut lines = String::new();
    push_words(text, 0, indent, &mut lines);
    // The first word brings one space of its own.
    out.push_str(indent);
    out.push_str(lines.trim_start());
    out.push_str("\r\n");
}

fn push_words(text: &str, mut column: usize, indent: &str, out: &mut String) {
    let mut first = true;
    let words = text.split(|c: char| c == ' ' || c.is_control());
    for word in words.filter(|word| !word.is_empty()).flat_map(pieces) {
        if !first && column + 1 + word.len() > FOLD_AT {
            out.push_str("\r\n");
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
        first = false;
    }
}

/// A word that no line holds, in parts.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at_checked(rest.floor_char_boundary(MAX_WORD))?;
        rest = after;
        Some(piece).filter(|piece| !piece.is_empty())
    })
}

/// True for octets that any host takes: ASCII text in lines of at most 998
/// octets (RFC 5322 section 2.1.1) that end with CRLF, no other controls.
pub(super) fn is_plain(octets: &[u8]) -> bool {
    octets.is_ascii() && is_clean(octets)
}

/// As [`is_plain`], octets above 127 allowed.
pub(super) fn is_clean(octets: &[u8]) -> bool {
    octets.split(|&octet| octet == b'\n').all(|line| {
        let body = line.strip_suffix(b"\r").unwrap_or(line);
        body.len() <= 998 && !body.iter().any(|&octet| octet == b'\r' || octet == 0)
    }) && ends_lines_with_crlf(octets)
}

fn ends_lines_with_crlf(octets: &[u8]) -> bool {
    let mut before = 0;
    octets.iter().all(|&octet| {
        let fits = octet != b'\n' || before == b'\r';
        before = octet;
        fits
    }) && before != b'\r'
}

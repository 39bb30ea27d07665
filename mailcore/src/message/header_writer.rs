//! Writes header fields that are well-formed whatever their values hold:
//! [`HeaderWriter`] (RFC 5322 section 2.2, RFC 2047, RFC 6532).
//!
//! No value can end its line: control characters become spaces, so nothing
//! that came from a peer can add a field. Which fields a message must have is
//! for the caller to know.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::date::DateTime;
use crate::address::Address;

/// Octets a line is folded to stay within, its CRLF not counted (RFC 5322
/// section 2.1.1).
pub const LINE_LENGTH: usize = 78;
/// Octets no line exceeds.
pub const MAX_LINE_LENGTH: usize = 998;
/// Octets in an encoded-word (RFC 2047 section 2).
const MAX_ENCODED_WORD: usize = 75;

/// Header fields being written, in order.
#[derive(Debug, Clone, Default)]
pub struct HeaderWriter {
    octets: Vec<u8>,
}

impl HeaderWriter {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An unstructured field, such as Subject: folded, what is not ASCII in
    /// encoded-words.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        let value = single_line(value);
        self.field(name, &encode_text(&value))
    }

    /// A structured field, such as Received: folded at its white space. What
    /// is not ASCII stays UTF-8 (RFC 6532), since encoded-words have no place
    /// in tokens and addresses.
    pub fn structured(&mut self, name: &str, value: impl Display) -> &mut Self {
        let value = single_line(&value.to_string());
        self.field(name, &value)
    }

    /// A date.
    pub fn date(&mut self, name: &str, date: DateTime) -> &mut Self {
        self.structured(name, date)
    }

    /// A list of addresses, each with a display name that may be empty.
    pub fn addresses<'a>(
        &mut self,
        name: &str,
        list: impl IntoIterator<Item = (&'a str, &'a Address)>,
    ) -> &mut Self {
        let one = |(display, address): (&str, &Address)| match phrase(&single_line(display)) {
            display if display.is_empty() => address.to_string(),
            display => format!("{display} <{address}>"),
        };
        let list: Vec<String> = list.into_iter().map(one).collect();
        self.field(name, &single_line(&list.join(", ")))
    }

    /// The fields, each with its CRLF; the empty line that ends a header is
    /// not among them.
    pub fn finish(self) -> Vec<u8> {
        self.octets
    }

    /// `value` is one line.
    fn field(&mut self, name: &str, value: &str) -> &mut Self {
        let is_name = |octet: &u8| octet.is_ascii_graphic() && *octet != b':';
        let start = self.octets.len();
        self.octets.extend(name.bytes().filter(is_name));
        self.octets.push(b':');
        let column = self.octets.len() - start;
        fold(value, column, &mut self.octets);
        self.octets.extend_from_slice(b"\r\n");
        self
    }
}

/// Trimmed, control characters as spaces.
fn single_line(value: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    value
        .chars()
        .map(plain)
        .collect::<String>()
        .trim_matches(' ')
        .to_owned()
}

/// Appends `value` behind a name and colon that take up `column` octets. Folds
/// stand before spaces, which stay, so that unfolding gives `value` back; only
/// a word longer than a line may be is cut.
fn fold(value: &str, column: usize, out: &mut Vec<u8>) {
    let mut column = column;
    let mut first = true;
    for word in words(value) {
        let spaces = word.len() - word.trim_start_matches(' ').len();
        let width = word.len() + usize::from(first);
        if !first && spaces > 0 && column + width > LINE_LENGTH {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        if first {
            out.push(b' ');
        }
        first = false;
        column += width;
        if column <= MAX_LINE_LENGTH {
            out.extend_from_slice(word.as_bytes());
        } else {
            column = cut(word, column - word.len(), out);
        }
    }
}

/// Appends a word too long for any line, over several; gives the last's width.
fn cut(word: &str, column: usize, out: &mut Vec<u8>) -> usize {
    let mut column = column;
    let mut rest = word;
    loop {
        let room = MAX_LINE_LENGTH.saturating_sub(column);
        let Some((line, after)) = rest.split_at_checked(rest.floor_char_boundary(room)) else {
            return column;
        };
        out.extend_from_slice(line.as_bytes());
        // A line must not be of white space alone (RFC 5322 section 3.2.2).
        let after = after.trim_start_matches(' ');
        if after.is_empty() {
            return column + line.len();
        }
        out.extend_from_slice(b"\r\n ");
        (rest, column) = (after, 1);
    }
}

/// Splits into words, each with the spaces before it. Runs of spaces longer
/// than a line's worth are cut short.
fn words(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let start = rest.find(|c| c != ' ')?;
        let end = rest
            .get(start..)?
            .find(' ')
            .map_or(rest.len(), |length| start + length);
        let (word, after) = rest.split_at_checked(end)?;
        rest = after;
        word.get(start.saturating_sub(LINE_LENGTH / 2)..)
    })
}

/// Puts runs of words that need it into encoded-words.
fn encode_text(value: &str) -> String {
    let mut text = String::new();
    let mut run = String::new();
    for word in words(value) {
        if needs_encoding(word) {
            run.push_str(word);
        } else {
            encode_run(&mut run, &mut text);
            text.push_str(word);
        }
    }
    encode_run(&mut run, &mut text);
    text
}

fn needs_encoding(word: &str) -> bool {
    !word.is_ascii() || word.contains("=?") || word.len() > MAX_LINE_LENGTH / 2
}

/// Encodes `run`, which begins with the spaces that set it apart: they stay
/// outside. It is cleared.
fn encode_run(run: &mut String, text: &mut String) {
    let words = run.trim_start_matches(' ');
    text.extend(std::iter::repeat_n(' ', run.len() - words.len()));
    encode_words(words, text);
    run.clear();
}

/// Encoded-words (RFC 2047) for `value`, in base64 or, where that is shorter,
/// the Q encoding; no character is divided (section 5).
fn encode_words(value: &str, text: &mut String) {
    let safe = value.bytes().filter(|&octet| is_q_safe(octet)).count();
    let quoted = safe + 3 * (value.len() - safe) < value.len().div_ceil(3) * 4;
    let room = MAX_ENCODED_WORD - "=?utf-8?q??=".len();
    let width = |c: char| match quoted {
        true if c.is_ascii() && (c == ' ' || is_q_safe(c as u8)) => 1,
        true => 3 * c.len_utf8(),
        false => c.len_utf8(),
    };
    let room = if quoted { room } else { room / 4 * 3 };
    let mut rest = value;
    let mut separator = "";
    while !rest.is_empty() {
        let mut used = 0;
        let fits = |&(_, c): &(usize, char)| {
            used += width(c);
            used <= room
        };
        let length = rest
            .char_indices()
            .take_while(fits)
            .last()
            .map_or(0, |(at, c)| at + c.len_utf8());
        let Some((piece, after)) = rest.split_at_checked(length).filter(|_| length > 0) else {
            return;
        };
        rest = after;
        text.push_str(separator);
        separator = " ";
        if quoted {
            text.push_str("=?utf-8?q?");
            piece.bytes().for_each(|octet| push_q(octet, text));
        } else {
            text.push_str("=?utf-8?b?");
            STANDARD.encode_string(piece, text);
        }
        text.push_str("?=");
    }
}

/// Octets that stand for themselves in the Q encoding anywhere, phrases
/// included (RFC 2047 section 5 (3)).
fn is_q_safe(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'!' | b'*' | b'+' | b'-' | b'/')
}

fn push_q(octet: u8, text: &mut String) {
    match octet {
        b' ' => text.push('_'),
        _ if is_q_safe(octet) => text.push(char::from(octet)),
        _ => text.push_str(&format!("={octet:02X}")),
    }
}

/// A display name as a `phrase`: atoms, a quoted string or encoded-words.
pub(super) fn phrase(name: &str) -> String {
    let is_atom =
        |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~ ".contains(&octet);
    if needs_encoding(name) {
        let mut text = String::new();
        encode_words(name, &mut text);
        text
    } else if name.bytes().all(is_atom) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::decode::header_text;
    use crate::message::{Header, HeaderAddress, parse_addresses};
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut HeaderWriter)) -> String {
        let mut writer = HeaderWriter::new();
        write(&mut writer);
        String::from_utf8(writer.finish()).unwrap()
    }

    #[test]
    fn values_cannot_add_fields() {
        let text = written(|out| {
            out.text("Subject", "a\r\nBcc: x@y\r\n\r\nbody");
            out.structured("X\r\nEvil: 1", "b\n\nc\0");
        });
        assert_eq!(text, "Subject: a  Bcc: x@y    body\r\nXEvil1: b  c\r\n");
    }

    #[test]
    fn received_folds_at_spaces() {
        let value = "from client.example.org (client.example.org [192.0.2.1]) by mx.example.net \
                     with ESMTPS id 0123456789 for <ann@example.net>; Sun, 22 Nov 2026 01:44:00 +0000";
        let text = written(|out| {
            out.structured("Received", value);
        });
        assert!(text.lines().all(|line| line.len() <= LINE_LENGTH), "{text}");
        assert_eq!(text.replace("\r\n", ""), format!("Received: {value}"));
    }

    #[test]
    fn display_names() {
        let address: Address = "a@b.test".parse().unwrap();
        let names = ["", "Ann Example", "Example, Ann \"A\"", "Ännchen"];
        let text = written(|out| {
            out.addresses("To", names.map(|name| (name, &address)));
        });
        let list = parse_addresses(text.strip_prefix("To:").unwrap().as_bytes(), 9);
        let read: Vec<String> = list
            .iter()
            .filter_map(HeaderAddress::mailbox)
            .map(|mailbox| header_text(mailbox.name.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(read, names);
    }

    fn value() -> impl Strategy<Value = String> {
        let word = prop_oneof![8 => "[ -~]{0,12}", 3 => "\\PC{0,30}", 1 => "[a-z]{900,3000}", 1 => "\\p{C}{1,3}"];
        proptest::collection::vec(word, 0..20).prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn texts_read_back(value in value()) {
            let text = written(|out| { out.text("Subject", &value); });
            prop_assert!(text.lines().all(|line| line.len() <= MAX_LINE_LENGTH));
            let header = Header::new(text.as_bytes());
            prop_assert_eq!(header.fields().count(), 1);
            let read = header_text(&header.first("subject").unwrap().value());
            prop_assert_eq!(read, single_line(&value));
        }

        #[test]
        fn structured_values_are_one_field(value in value()) {
            let text = written(|out| { out.structured("X", &value); });
            prop_assert!(text.lines().all(|line| line.len() <= MAX_LINE_LENGTH));
            let header = Header::new(text.as_bytes());
            prop_assert_eq!(header.fields().count(), 1);
            let without = |text: &str| text.replace([' ', '\r', '\n'], "");
            prop_assert_eq!(without(&text), without(&format!("X:{}", single_line(&value))));
        }
    }
}

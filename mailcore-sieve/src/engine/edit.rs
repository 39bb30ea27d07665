//! Header edits carried out: [`HeaderEdit::apply`], [`Form::header`] (RFC 5293).

use super::mime::header::{fields, section_len};
use super::outcome::{Form, HeaderEdit};

/// Octets that a line is folded to stay within (RFC 5322 section 2.1.1).
const LINE_LENGTH: usize = 78;
/// Octets that no line exceeds.
const MAX_LINE_LENGTH: usize = 998;
/// Octets of text in one encoded-word, so that it has 75 at most (RFC 2047 section 2).
const WORD_TEXT: usize = 45;

impl Form {
    /// The header section of a message in this form, made of the section that it came
    /// with, empty line and all. None for a message that was written anew, which has
    /// its own.
    pub fn header(&self, section: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Unchanged => Some(section.to_vec()),
            Self::Edited(edits) => Some(apply(edits, section)),
            Self::Written(_) => None,
        }
    }
}

/// The header section after these edits.
pub(crate) fn apply(edits: &[HeaderEdit], section: &[u8]) -> Vec<u8> {
    edits
        .iter()
        .fold(section.to_vec(), |section, edit| edit.apply(&section))
}

impl HeaderEdit {
    /// The header section after this edit, with the empty line where it had one.
    pub fn apply(&self, section: &[u8]) -> Vec<u8> {
        let length = section_len(section);
        match self {
            Self::First { name, value } => {
                let mut edited = field(name, value);
                edited.extend_from_slice(section);
                edited
            }
            Self::Last { name, value } => {
                let last = fields(section).last().map_or(0, |field| field.range.end);
                let (before, after) = section.split_at_checked(last).unwrap_or((section, b""));
                let mut edited = before.to_vec();
                if !edited.is_empty() && !edited.ends_with(b"\n") {
                    edited.extend_from_slice(b"\r\n");
                }
                edited.extend(field(name, value));
                edited.extend_from_slice(after);
                edited
            }
            Self::Remove(places) => {
                let mut edited = Vec::with_capacity(section.len());
                let mut gone = places.iter().peekable();
                let mut end = 0;
                let mut place = 0;
                for field in fields(section) {
                    end = field.range.end;
                    let named = !field.name.is_empty();
                    if !named || gone.next_if(|gone| **gone == place).is_none() {
                        edited.extend_from_slice(section.get(field.range).unwrap_or_default());
                    }
                    place += usize::from(named);
                }
                edited.extend_from_slice(section.get(end..length).unwrap_or_default());
                edited
            }
        }
    }
}

/// A field of its own, folded; what is not ASCII in encoded-words (RFC 5293 section 4).
/// Control characters are spaces, so that no value ends its line.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let value: String = value.chars().map(plain).collect();
    let mut out = format!("{name}:").into_bytes();
    let mut column = out.len();
    for (index, word) in encoded(value.trim_matches(' ')).iter().enumerate() {
        let blank = word.trim_start_matches(' ').is_empty();
        if index > 0 && !blank && column + word.len() > LINE_LENGTH {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        if index == 0 {
            out.push(b' ');
            column += 1;
        }
        out.extend_from_slice(word.as_bytes());
        column += word.len();
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Words of a value, each with the spaces before it, ready to be written. Neighbours
/// that are not ASCII are encoded together, the spaces between them being text.
fn encoded(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut run = String::new();
    for word in words(value) {
        if word.is_ascii() && !word.contains("=?") && word.len() < MAX_LINE_LENGTH / 2 {
            encode(&mut run, &mut out);
            out.push(word.to_owned());
        } else {
            run.push_str(word);
        }
    }
    encode(&mut run, &mut out);
    out
}

/// Splits into words, each with the spaces before it.
fn words(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let start = rest.find(|c| c != ' ')?;
        let end = rest.get(start..)?.find(' ');
        let (word, after) = rest.split_at_checked(end.map_or(rest.len(), |end| start + end))?;
        rest = after;
        Some(word)
    })
}

/// Encoded-words for `run`, the spaces it begins with staying outside; it is cleared.
fn encode(run: &mut String, out: &mut Vec<String>) {
    let text = run.trim_start_matches(' ');
    let mut spaces = " ".repeat(run.len() - text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest
            .split_at_checked(rest.floor_char_boundary(WORD_TEXT))
            .unwrap_or((rest, ""));
        out.push(format!("{spaces}=?utf-8?B?{}?=", base64(piece.as_bytes())));
        " ".clone_into(&mut spaces);
        rest = after;
    }
    run.clear();
}

/// Base64 with its padding (RFC 2045 section 6.8), on one line.
pub(crate) fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(octets.len().div_ceil(3) * 4);
    for chunk in octets.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0u32, |bits, octet| bits << 8 | u32::from(*octet));
        let bits = bits << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let sextet = usize::try_from(bits >> (18 - 6 * index) & 63).unwrap_or(0);
            let letter = ALPHABET.get(sextet).copied().unwrap_or(b'=');
            out.push(if index <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Mail, PlainMail};
    use proptest::prelude::*;

    fn last(name: &str, value: &str) -> HeaderEdit {
        HeaderEdit::Last {
            name: name.into(),
            value: value.into(),
        }
    }

    fn first(name: &str, value: &str) -> HeaderEdit {
        HeaderEdit::First {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn edits_are_made_in_their_order() {
        let section = b"From mbox\r\nA: 1\r\n\tx\r\nB: 2\r\nC: 3\r\n\r\n";
        let edits = [
            first("X", "0"),
            last("Y", "9"),
            HeaderEdit::Remove(vec![1, 3]),
        ];
        let form = Form::Edited(edits.into());
        assert_eq!(
            form.header(section).unwrap(),
            b"X: 0\r\nFrom mbox\r\nB: 2\r\nY: 9\r\n\r\n"
        );
        assert_eq!(Form::Unchanged.header(section).unwrap(), section);
    }

    #[test]
    fn a_header_without_an_end_gets_its_field_on_a_line_of_its_own() {
        assert_eq!(last("X", "y").apply(b"A: 1"), b"A: 1\r\nX: y\r\n");
        assert_eq!(last("X", "y").apply(b"\r\n"), b"X: y\r\n\r\n");
        assert_eq!(last("X", "y").apply(b""), b"X: y\r\n");
        assert_eq!(HeaderEdit::Remove(vec![0]).apply(b"A: 1\n\nbody"), b"\n");
    }

    #[test]
    fn no_value_adds_a_field() {
        let written = field("X", "a\r\nBcc: b\0");
        assert_eq!(written, b"X: a  Bcc: b\r\n");
        assert_eq!(field("X", ""), b"X:\r\n");
    }

    proptest! {
        #[test]
        fn values_are_read_back(value in "([ -~]{0,12}|[ -~é€😀]{0,60}|[a-z]{900,1100}| ){0,12}") {
            let written = field("Subject", &value);
            for line in written.split(|&octet| octet == b'\n') {
                prop_assert!(line.len() <= MAX_LINE_LENGTH + 1 && line.is_ascii());
            }
            let header: Vec<_> = fields(&written).collect();
            prop_assert_eq!(header.len(), 1);
            let unfolded: Vec<u8> = header[0].raw.iter().copied().filter(|o| !b"\r\n".contains(o)).collect();
            let mail = PlainMail::new(Vec::new());
            let text = mail.text(&unfolded);
            prop_assert_eq!(text.trim_matches(' '), value.trim_matches(' '));
        }
    }
}

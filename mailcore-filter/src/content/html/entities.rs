//! Character references of HTML, for text that was read and not parsed further:
//! [`decode`].
//!
//! Knows the names of HTML 4 and those of later ones that mail is found to use;
//! a name that is not known stays as it is written.

use std::borrow::Cow;

use memchr::memchr;

use super::entity_names::NAMES;

/// The longest name known, and the longest number worth reading.
const MAX_NAME: usize = 10;

/// `text` with its character references as characters. Never longer than `text`.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if memchr(b'&', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, reference)) = rest.split_once('&') {
        decoded.push_str(before);
        match one(reference) {
            Some((character, length)) => {
                decoded.push(character);
                rest = reference.get(length..).unwrap_or_default();
            }
            None => {
                decoded.push('&');
                rest = reference;
            }
        }
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The character that `reference`, after its ampersand, begins with, and how many
/// octets name it.
fn one(reference: &str) -> Option<(char, usize)> {
    let (character, length) = match reference.strip_prefix('#') {
        Some(number) => {
            let (value, length) = match number.strip_prefix(['x', 'X']) {
                Some(digits) => (digits_of(digits, 16)?, 2),
                None => (digits_of(number, 10)?, 1),
            };
            (numbered(value.0)?, length + value.1)
        }
        None => named(reference)?,
    };
    let closed = reference.as_bytes().get(length) == Some(&b';');
    Some((character, length + usize::from(closed)))
}

/// The number at the start of `text` and its length. Too large a number is one
/// that names no character; leading zeros are as many as the writer likes.
fn digits_of(text: &str, base: u32) -> Option<(u32, usize)> {
    let digits = text
        .bytes()
        .take(64)
        .take_while(|it| char::from(*it).is_digit(base));
    let length = digits.count();
    let digits = text.get(..length).filter(|it| !it.is_empty())?;
    let value = digits.trim_start_matches('0');
    let value = match value {
        "" => 0,
        value => u32::from_str_radix(value, base).unwrap_or(u32::MAX),
    };
    Some((value, length))
}

/// Numbers of C1 controls mean Windows-1252, as in every browser.
fn numbered(value: u32) -> Option<char> {
    const SAME_IN_WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    match value {
        0x80..=0x9f => SAME_IN_WINDOWS.chars().nth(value as usize - 0x80),
        0 => Some(char::REPLACEMENT_CHARACTER),
        _ => Some(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

fn named(reference: &str) -> Option<(char, usize)> {
    let letters = reference.bytes().take(MAX_NAME);
    let length = letters.take_while(u8::is_ascii_alphanumeric).count();
    let name = reference.get(..length)?;
    if let Ok(place) = NAMES.binary_search_by_key(&name, |(name, _)| name) {
        return NAMES.get(place).map(|(_, character)| (*character, length));
    }
    // `&nbspword`: browsers know these without their semicolon.
    const UNCLOSED: [(&str, char); 5] = [
        ("nbsp", '\u{a0}'),
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
    ];
    let known = UNCLOSED.iter().find(|(known, _)| name.starts_with(known));
    known.map(|(known, character)| (*character, known.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_characters() {
        for (text, want) in [
            ("a&amp;b", "a&b"),
            ("&lt;p&gt", "<p>"),
            ("&#65;&#x42;&#X43", "ABC"),
            ("&#0000000000000065;", "A"),
            ("&#146;&#128;", "’€"),
            ("&eacute;&Eacute;&euro;", "éÉ€"),
            ("x&nbspy", "x\u{a0}y"),
            (
                "AT&T & co &nonsense; &;&#;&#x;",
                "AT&T & co &nonsense; &;&#;&#x;",
            ),
            (
                "&#99999999999999999999;&#xd800;&#0;",
                "\u{fffd}\u{fffd}\u{fffd}",
            ),
        ] {
            assert_eq!(decode(text), want, "{text}");
        }
    }

    #[test]
    fn names_are_in_order_and_none_is_too_long() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| *name));
        assert!(NAMES.iter().all(|(name, _)| name.len() <= MAX_NAME));
    }
}
